"""Pydantic's errors in the words of a stack file: key path, value got, what is accepted, what to do.

What is accepted comes from the model's own JSON Schema, so that it cannot drift from what is validated.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from espalier.settings.base import FORMS
from espalier.settings.clusters import CLUSTER_KINDS
from espalier.settings.model import Settings
from espalier.settings.tree import BROKEN, Fault, Node, Path, find, plain, short

Schema = Mapping[str, Any]
_TOO_MANY_KEYS: Final = 12


def check(model: type[BaseModel], root: Node) -> tuple[BaseModel | None, list[Fault]]:
    """The tree as a model, or None and every fault, paths relative to `root`."""
    try:
        # JSON mode: a list is a sequence, but a number is never text. What was refused before is null here.
        return model.model_validate_json(json.dumps(plain(root), default=lambda _: None)), []
    except ValidationError as error:
        return None, _faults(error, model, root)


@cache
def _schema(model: type[BaseModel]) -> Schema:
    return model.model_json_schema()


def _faults(error: ValidationError, model: type[BaseModel], root: Node) -> list[Fault]:
    schema = _schema(model)
    faults: list[Fault] = []
    unknown: set[Path] = set()
    missing: list[tuple[Path, Fault]] = []
    for details in error.errors(include_url=False):
        path, is_key = _path(details["loc"], root)
        node, exact = find(root, path)
        if details["type"] == "cluster_kind":
            faults += _cluster_without_kind(root)
        elif (exact and node.value is BROKEN) or _misses_only_broken(details, node):
            continue
        elif details["type"] == "missing":
            missing.append((path, _fault(details, path, is_key, root, schema)))
        else:
            faults.append(_fault(details, path, is_key, root, schema))
            if details["type"] == "extra_forbidden":
                unknown.add(path)
    return faults + [fault for path, fault in missing if not _is_misspelt(path, unknown)]


def _misses_only_broken(details: ErrorDetails, node: Node) -> bool:
    """Pydantic counts only the valid items of a list: a list of one invalid item is not too short."""
    return details["type"] == "too_short" and isinstance(node.value, list | dict) and len(node.value) > 0


def _is_misspelt(path: Path, unknown: set[Path]) -> bool:
    """Whether an unknown key beside it was meant for the missing one: then it is reported once."""
    beside = [str(other[-1]) for other in unknown if other[:-1] == path[:-1]]
    return nearest(str(path[-1]), beside) is not None


def _cluster_without_kind(root: Node) -> list[Fault]:
    """The kind is not known: report it, and of the rest what no kind of cluster would take."""
    cluster, _ = find(root, ("cluster",))
    kinds = ", ".join(CLUSTER_KINDS)
    if not isinstance(cluster.value, dict):
        do = "Write a mapping, such as {kind: simulated}."
        return [_at(root, ("cluster",), _got(cluster), f"a mapping whose kind is one of {kinds}", do)]
    by_kind = [_beside_kind(cluster.value, kind, model) for kind, model in CLUSTER_KINDS.items()]
    shared = set(by_kind[0]).intersection(*by_kind[1:])
    faults = [by_kind[0][path] for path in sorted(shared, key=str)]
    kind = cluster.value.get("kind")
    if kind is None and _is_misspelt(("cluster", "kind"), shared):
        return faults
    if kind is None or kind.value is not BROKEN:
        got = "nothing" if kind is None else _got(kind)
        name = kind.value if kind is not None and isinstance(kind.value, str) else ""
        faults.append(_at(root, ("cluster", "kind"), got, f"one of {kinds}", _suggest(name, CLUSTER_KINDS)))
    return faults


def _beside_kind(cluster: Mapping[str, Node], kind: str, model: type[BaseModel]) -> dict[Path, Fault]:
    assumed = Node({**cluster, "kind": Node(kind)})
    _, faults = check(model, assumed)
    return {("cluster", *f.path): replace(f, path=("cluster", *f.path)) for f in faults if find(assumed, f.path)[1]}


def _path(loc: Sequence[str | int], root: Node) -> tuple[Path, bool]:
    """Pydantic's location without the tags of unions (`<shape>`); and whether it is about the key itself."""
    path: list[str | int] = []
    for index, step in enumerate(loc):
        node, _ = find(root, tuple(path))
        held = isinstance(node.value, dict) and step in node.value
        last = index == len(loc) - 1
        if not held and step == "[key]" and last:
            return tuple(path), True
        if not held and isinstance(step, str) and step.startswith("<") and step.endswith(">"):
            continue
        path.append(step)
    return tuple(path), False


def _at(root: Node, path: Path, got: str, accepted: str, do: str) -> Fault:
    node, _ = find(root, path)
    return Fault(path, got, accepted, do, node.line, node.file)


def _got(node: Node) -> str:
    return node.text or short(node.value)


def _fault(details: ErrorDetails, path: Path, is_key: bool, root: Node, schema: Schema) -> Fault:
    kind = details["type"]
    node, _ = find(root, path)
    if kind == "extra_forbidden":
        known = sorted({key for s in _at_path(schema, path[:-1], root) for key in s.get("properties", {})})
        return _at(
            root, path, "an unknown key", "the keys " + ", ".join(known), _suggest(str(path[-1]), known, "Remove it.")
        )
    if is_key:
        patterns = [p for s in _at_path(schema, path[:-1], root) for p in s.get("patternProperties", {})]
        accepted = " or ".join(FORMS.get(p, f"a key that matches {p}") for p in patterns)
        return _at(root, path, f"the key {short(path[-1])}", accepted, "Rename the key.")
    schemas = _at_path(schema, path, root)
    accepted = " or ".join(dict.fromkeys(words(s) for s in schemas)) or details["msg"]
    if kind == "missing":
        return _at(root, path, "nothing", accepted, "Add the key.")
    if kind in ("quantity", "group", "date", "prefix"):  # the model's own checks say it best
        accepted = details["msg"]
    return _at(root, path, _got(node), accepted, _advice(node, schemas))


def _at_path(schema: Schema, path: Path, root: Node) -> list[Schema]:
    """The subschemas that apply at a path, alternatives resolved, null left out where there is another."""
    found = _alternatives(schema, schema, root)
    for index, step in enumerate(path):
        node, _ = find(root, path[: index + 1])
        found = [
            alternative
            for parent in found
            for child in _children(parent, step)
            for alternative in _alternatives(child, schema, node)
        ]
    return found


def _alternatives(schema: Schema, top: Schema, node: Node) -> list[Schema]:
    if "$ref" in schema:
        name = str(schema["$ref"]).rsplit("/", 1)[-1]
        return _alternatives({**top["$defs"][name], **{k: v for k, v in schema.items() if k != "$ref"}}, top, node)
    choices: list[Schema] = schema.get("anyOf") or schema.get("oneOf") or []
    if not choices:
        return [schema]
    about = {"description": schema["description"]} if "description" in schema else {}
    found = [a for choice in choices for a in _alternatives({**about, **choice}, top, node)]
    kind = node.value.get("kind") if isinstance(node.value, dict) else None
    chosen = [s for s in found if kind is not None and _const(s, "kind") == kind.value]
    return chosen or [s for s in found if s.get("type") != "null"] or found


def _const(schema: Schema, key: str) -> Any:
    return schema.get("properties", {}).get(key, {}).get("const", BROKEN)


def _children(schema: Schema, step: str | int) -> list[Schema]:
    if isinstance(step, int):
        return [schema["items"]] if "items" in schema else []
    if step in schema.get("properties", {}):
        return [schema["properties"][step]]
    rest = schema.get("additionalProperties")
    return [*schema.get("patternProperties", {}).values(), *([rest] if isinstance(rest, Mapping) else [])]


def words(schema: Schema) -> str:
    """What a subschema accepts, in words."""
    kind = schema.get("type")
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return "one of " + ", ".join(schema["enum"])
    if kind in ("integer", "number"):
        least, most = schema.get("minimum"), schema.get("maximum")
        word = "a whole number" if kind == "integer" else "a number"
        return f"{word} from {least:,.0f} to {most:,.0f}" if least is not None and most is not None else word
    if kind == "boolean":
        return "true or false"
    if kind == "string":
        return _text_words(schema)
    if kind == "array":
        least, most = schema.get("minItems"), schema.get("maxItems")
        return "a list" + (f" of {least or 0} to {most:,}" if most else "")
    if kind == "object":
        keys = list(schema.get("properties", {}))
        return "a mapping" + (" with " + ", ".join(keys) if 0 < len(keys) <= _TOO_MANY_KEYS else "")
    return "null" if kind == "null" else "any value"


def _text_words(schema: Schema) -> str:
    if "pattern" in schema:
        return FORMS.get(schema["pattern"], f"text that matches {schema['pattern']}")
    if "minLength" in schema and "maxLength" in schema:
        return f"text of {schema['minLength']} to {schema['maxLength']} characters"
    return "text"


def _advice(node: Node, schemas: Iterable[Schema]) -> str:
    kinds = {s.get("type") for s in schemas}
    value = node.value
    if isinstance(value, bool | int | float) and kinds & {"string"}:
        text = node.text or short(value)
        return f'Quote it: "{text}".' if _takes(schemas, text) else "Write it as text, in quotes."
    if isinstance(value, str) and kinds & {"integer", "number"} and value.strip().lstrip("+-").isdecimal():
        return "Write it without quotes."
    if value is None:
        return "Give a value, or remove the key."
    if kinds == {"array"} and not isinstance(value, list):
        return "Write a list: [a, b], or lines that start with `- `."
    if kinds == {"object"} and not isinstance(value, dict):
        return "Write a mapping: {key: value}, or indented lines of `key: value`."
    if isinstance(value, str):
        choices = [str(c) for s in schemas for c in s.get("enum", [])]
        return _suggest(value, choices, "Change it to what is accepted.")
    return "Change it to what is accepted."


def _takes(schemas: Iterable[Schema], text: str) -> bool:
    """Whether one of the subschemas would take this text, once it is quoted."""
    texts = (s for s in schemas if s.get("type") == "string")
    return any(s.get("const", text) == text and re.search(s.get("pattern", ""), text) for s in texts)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` was probably meant to be."""
    found = difflib.get_close_matches(name[:100], sorted(known), n=1, cutoff=0.6)
    return found[0] if found else None


def _suggest(name: str, known: Iterable[str], otherwise: str = "Choose one of them.") -> str:
    near = nearest(name, known)
    return f"Did you mean {near}?" if near else otherwise


def check_settings(root: Node) -> tuple[Settings | None, list[Fault]]:
    """The tree as Settings, or None and every fault that one key alone shows."""
    model, faults = check(Settings, root)
    return (model, []) if isinstance(model, Settings) else (None, faults)
