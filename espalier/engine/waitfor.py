"""What an object's own annotations say of waiting: `pulumi.com/skipAwait`, `timeoutSeconds` and `waitFor`.

The syntax and the meaning are those of Pulumi's Kubernetes provider 4.34 (`pkg/metadata`, `pkg/await/condition`,
`pkg/jsonpath`); what it refuses in the middle of an `up` is refused before anything is applied.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from espalier.engine.jsonpath import Path, parse
from espalier.engine.waiting import READY, State
from espalier.kube import Manifest

SKIP = "pulumi.com/skipAwait"
TIMEOUT = "pulumi.com/timeoutSeconds"
WAIT_FOR = "pulumi.com/waitFor"
PROPAGATION = "pulumi.com/deletionPropagationPolicy"
_CONDITION, _JSONPATH = "condition=", "jsonpath="
_ACCEPTED = (
    "condition=Type, condition=Type=Status, jsonpath={.a.b[0].c}, jsonpath={.a.b}=value "
    "and a JSON array of these are accepted"
)
_BRACES = re.compile(r"\{\s*(.*?)\s*\}")

Test = Callable[[Manifest], State]


def annotations_of(obj: Manifest) -> Mapping[str, str]:
    """The annotations of an object, empty where it has none."""
    return obj["metadata"].get("annotations") or {}


def is_skipped(obj: Manifest) -> bool:
    """Tells whether the object asks not to be awaited."""
    return annotations_of(obj).get(SKIP) == "true"


def seconds_of(obj: Manifest) -> float | None:
    """The timeout that the object asks for. Raises ValueError with what is accepted."""
    text = annotations_of(obj).get(TIMEOUT)
    if text is None:
        return None
    if not re.fullmatch(r"[1-9]\d*", text):
        raise ValueError(f"annotation {TIMEOUT} is {text!r}; a whole number of seconds is accepted")
    return float(text)


def asked_for(obj: Manifest) -> Test | None:
    """What the object asks to wait for instead of its kind's own condition; None where it says nothing.

    Raises ValueError with what is accepted.
    """
    text = annotations_of(obj).get(WAIT_FOR)
    if not text:
        return None
    try:
        tests = [_test(each) for each in _expressions(text)]
    except ValueError as error:
        raise ValueError(f"annotation {WAIT_FOR} is {text!r}: {error}; {_ACCEPTED}") from None

    def all_of_them(live: Manifest) -> State:
        states = (test(live) for test in tests)
        return next((state for state in states if not state.ready), READY)

    return all_of_them


def condition_of(obj: Manifest, type_: str) -> Mapping[str, Any]:
    """The condition of a type, whatever its case; empty where there is none."""
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return next((each for each in conditions if str(each.get("type")).lower() == type_.lower()), {})


def condition_is(type_: str, wanted: str = "True") -> Test:
    """Ready when the condition has the status, said of the object as it is now."""

    def test(obj: Manifest) -> State:
        condition = condition_of(obj, type_)
        status = condition.get("status", "missing")
        said = condition.get("message") or condition.get("reason")
        text = f"condition {type_} is {status}" + (f": {said}" if said else "")
        if status.lower() != wanted.lower():
            return State(text)
        seen = condition.get("observedGeneration", (obj.get("status") or {}).get("observedGeneration"))
        return State(f"{text}, but said of an older generation") if _is_older(seen, obj) else READY

    return test


def _is_older(observed: int | None, obj: Manifest) -> bool:
    return observed is not None and observed < obj["metadata"].get("generation", 0)


def _expressions(text: str) -> list[str]:
    try:
        found = json.loads(text)
    except ValueError:
        return [text]
    if isinstance(found, list) and found and all(isinstance(item, str) for item in found):
        return found
    raise ValueError("it holds no expression")


def _test(text: str) -> Test:
    if text.startswith(_CONDITION):
        type_, _, status = text.removeprefix(_CONDITION).partition("=")
        if not type_:
            raise ValueError("the condition has no type")
        return condition_is(type_, status or "True")
    if text.startswith(_JSONPATH):
        return _path_is(text.removeprefix(_JSONPATH))
    raise ValueError(f"{text!r} begins neither with condition= nor with jsonpath=")


def _path_is(text: str) -> Test:
    # `==` belongs to a filter, a single `=` parts the path from the value; so `!=` is refused, as by Pulumi.
    path_text, *values = re.split(r"(?<!=)=(?!=)", text)
    if len(values) > 1 or "" in values:
        raise ValueError("{.path} or {.path}=value is needed after jsonpath=")
    match = _BRACES.search(path_text)
    if match is None or path_text.startswith("'"):
        raise ValueError(f"the path {path_text} has to stand in braces, without quotes around them")
    path = parse(match[1])
    wanted = values[0] if values else None
    return lambda obj: _matches(path, wanted, obj)


def _matches(path: Path, wanted: str | None, obj: Manifest) -> State:
    if _is_older((obj.get("status") or {}).get("observedGeneration"), obj):
        return State("the controller has not seen it yet")
    found = path.select(obj)
    if not found:
        return State(f"{path.text} is not set")
    if wanted is None:
        return READY
    if isinstance(found[0], (dict, list)):
        return State(f"{path.text} is no plain value, so it is never {wanted}", failed=True)
    text = found[0] if isinstance(found[0], str) else json.dumps(found[0])
    return READY if text == wanted else State(f"{path.text} is {text}, not {wanted}")
