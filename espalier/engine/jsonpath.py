"""The part of JSONPath (RFC 9535) that `pulumi.com/waitFor` needs.

Names, quoted names, indices, wildcards and filters with `==`, `!=`, `&&`, `||`, `!` and parentheses. What Pulumi's
provider refuses is refused here too; slices, descendants (`..`) and functions, which it would take, are refused by
name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

_STEP = re.compile(
    r"""\.(?P<name>[A-Za-z_\u0080-\U0010ffff][\w\u0080-\U0010ffff]*)
      | \[\s*(?P<quoted>'[^']*'|"[^"]*")\s*\]
      | \[\s*(?P<index>-?\d+)\s*\]
      | (?P<all>\.\*|\[\s*\*\s*\])
      | (?P<filter>\[\s*\?)""",
    re.VERBOSE,
)
_TOKEN = re.compile(
    r"""\s*(?: (?P<op>==|!=|&&|\|\||!|\(|\)|\])
      | (?P<literal>'[^']*'|"[^"]*"|-?\d+(?:\.\d+)?|true|false|null)
      | (?P<here>@)
    )""",
    re.VERBOSE,
)

_Select = Callable[[Any], list[Any]]
_Test = Callable[[Any], bool]


@dataclass(frozen=True)
class Path:
    """A parsed expression. `select` gives what it finds in an object, in order."""

    text: str
    select: _Select


def parse(text: str) -> Path:
    """Parses `$.a.b`, `.a['b'][0]`, `.a[?(@.type=="x")].c`. Raises ValueError saying where it cannot be read."""
    source = text if text.startswith("$") else f"${text}"
    select, end = _steps(source, 1)
    if end < len(source):
        raise ValueError(f"cannot be read from {source[end:]!r} on")
    return Path(text, select)


def _steps(source: str, at: int) -> tuple[_Select, int]:
    steps: list[_Select] = []
    while match := _STEP.match(source, at):
        at = match.end()
        if match["filter"]:
            test, at = _either(source, at)
            at = _expect(source, at, "]")
            steps.append(_filtered(test))
        else:
            steps.append(_step(match))

    def select(root: Any) -> list[Any]:
        found = [root]
        for step in steps:
            found = [value for item in found for value in step(item)]
        return found

    return select, at


def _step(match: re.Match[str]) -> _Select:
    if match["index"]:
        return _indexed(int(match["index"]))
    if match["all"]:
        return lambda item: list(_children(item))
    name = match["name"] or match["quoted"][1:-1]
    return lambda item: [item[name]] if isinstance(item, dict) and name in item else []


def _indexed(index: int) -> _Select:
    def select(item: Any) -> list[Any]:
        return [item[index]] if isinstance(item, list) and -len(item) <= index < len(item) else []

    return select


def _filtered(test: _Test) -> _Select:
    return lambda item: [child for child in _children(item) if test(child)]


def _children(item: Any) -> Iterable[Any]:
    if isinstance(item, dict):
        return item.values()
    return item if isinstance(item, list) else ()


def _either(source: str, at: int) -> tuple[_Test, int]:
    tests: list[_Test] = []
    while True:
        test, at = _both(source, at)
        tests.append(test)
        match = _TOKEN.match(source, at)
        if not match or match["op"] != "||":
            return lambda item: any(each(item) for each in tests), at
        at = match.end()


def _both(source: str, at: int) -> tuple[_Test, int]:
    tests: list[_Test] = []
    while True:
        test, at = _one(source, at)
        tests.append(test)
        match = _TOKEN.match(source, at)
        if not match or match["op"] != "&&":
            return lambda item: all(each(item) for each in tests), at
        at = match.end()


def _one(source: str, at: int) -> tuple[_Test, int]:
    match = _TOKEN.match(source, at)
    if match and match["op"] == "(":
        test, at = _either(source, match.end())
        return test, _expect(source, at, ")")
    if match and match["op"] == "!":
        inner, at = _one(source, match.end())
        return (lambda item: not inner(item)), at
    left, at = _operand(source, at)
    match = _TOKEN.match(source, at)
    if match and match["op"] in ("==", "!="):
        right, at = _operand(source, match.end())
        wanted = match["op"] == "=="
        return (lambda item: (left(item) == right(item)) is wanted), at
    return (lambda item: bool(left(item))), at


def _operand(source: str, at: int) -> tuple[_Select, int]:
    """A path from the item, which exists or not, or a literal."""
    match = _TOKEN.match(source, at)
    if match and match["here"]:
        return _steps(source, match.end())
    if match and (text := match["literal"]):
        value = text[1:-1] if text[0] in "'\"" else json.loads(text)
        return (lambda _: [value]), match.end()
    raise ValueError(f"cannot be read from {source[at:]!r} on")


def _expect(source: str, at: int, op: str) -> int:
    match = _TOKEN.match(source, at)
    if match and match["op"] == op:
        return match.end()
    raise ValueError(f"misses {op} at {source[at:]!r}")
