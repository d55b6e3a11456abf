"""A stack file's values with the file and line that gave each, and the faults found in them.

Loading works on this tree, so that a mistake found after the merge still names the file and line it came from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from espalier.types import Mistake

MAX_DEPTH: Final = 50
"""Levels of nesting; the deepest key of the model is at 8, and options of add-ons stay far below."""

Path = tuple[str | int, ...]
"""Keys and indices from the top: ("espalier:pools", 1, "nodes", "max")."""


class Broken:
    """Stands where a value was refused already: what is beneath it is not judged again."""

    def __repr__(self) -> str:
        return "a value refused above"


BROKEN: Final = Broken()


@dataclass(slots=True, eq=False)
class Node:
    """One value. `text` is how a number or boolean was written; `file` is empty for the stack file itself."""

    value: dict[str, Node] | list[Node] | str | int | float | bool | Broken | None
    line: int | None = None
    file: str = ""
    text: str | None = None
    size: int = 1
    height: int = 0

    def measure(self) -> Node:
        """Set `size` (values, this one included) and `height` (levels beneath) from the children's own."""
        children = self.children()
        self.size = 1 + sum(child.size for child in children)
        self.height = 1 + max((child.height for child in children), default=0)
        return self

    def children(self) -> Sequence[Node]:
        if isinstance(self.value, dict):
            return list(self.value.values())
        return self.value if isinstance(self.value, list) else ()


@dataclass(frozen=True, slots=True)
class Fault:
    """A mistake before its path is turned into text.

    `whole`: the value itself is refused, so that faults beneath it are moot; False for rules between several keys.
    """

    path: Path
    got: str
    accepted: str
    do: str
    line: int | None = None
    file: str = ""
    whole: bool = True


def plain(node: Node) -> Any:
    """The JSON values alone, mappings sorted by key (Pulumi's configuration does not keep the order of a file)."""
    if isinstance(node.value, dict):
        return {key: plain(child) for key, child in sorted(node.value.items())}
    return [plain(child) for child in node.value] if isinstance(node.value, list) else node.value


def find(node: Node, path: Path) -> tuple[Node, bool]:
    """The node at `path`, or the nearest one above it that exists; and whether it is the very one."""
    for step in path:
        child = _child(node.value, step)
        if child is None:
            return node, False
        node = child
    return node, True


def _child(value: Any, step: str | int) -> Node | None:
    if isinstance(value, dict):
        return value.get(step)
    return value[step] if isinstance(value, list) and isinstance(step, int) and step < len(value) else None


def is_secret(node: Node) -> bool:
    """Whether Pulumi reads this mapping as an encrypted value: `{secure: <text>}` (its config/object.go)."""
    return isinstance(node.value, dict) and len(node.value) == 1 and _holds_text(node.value.get("secure"))


def _holds_text(node: Node | None) -> bool:
    return node is not None and isinstance(node.value, str)


def merge(under: Node, over: Node) -> Node:
    """`over` laid on `under`: mappings merge key by key, lists and scalars replace."""
    if not (isinstance(under.value, dict) and isinstance(over.value, dict)) or is_secret(under) or is_secret(over):
        return over
    merged = dict(under.value)
    for key, child in over.value.items():
        merged[key] = merge(merged[key], child) if key in merged else child
    return Node(merged, over.line, over.file)


def from_plain(value: Any, path: Path, faults: list[Fault]) -> Node:
    """A tree of plain values without lines. What is not JSON, or too deep, becomes a fault at its path."""
    if len(path) > MAX_DEPTH:
        faults.append(too_deep(path, None))
        return Node(BROKEN)
    if isinstance(value, Mapping):
        mapping: Mapping[Any, Any] = value
        children = {k: from_plain(v, (*path, k), faults) for k, v in mapping.items() if isinstance(k, str)}
        faults += (
            Fault((*path, str(key)), short(key), "a key that is text", "Write the key as text.")
            for key in mapping
            if not isinstance(key, str)
        )
        return Node(children)
    if isinstance(value, list | tuple):
        items: Sequence[Any] = value
        return Node([from_plain(item, (*path, index), faults) for index, item in enumerate(items)])
    if value is None or isinstance(value, str | bool | int | float):
        return _scalar(value, path, faults)
    faults.append(
        Fault(path, f"a {type(value).__name__}", "a plain value", "Settings shape the program: give plain values.")
    )
    return Node(BROKEN)


def _scalar(value: str | bool | int | float | None, path: Path, faults: list[Fault]) -> Node:
    if isinstance(value, float) and value.is_integer() and abs(value) < _LARGEST_WHOLE:
        value = int(value)  # JSON does not tell them apart, and programs in other languages send floats
    why = unfit(value)
    if why is None:
        return Node(value)
    faults.append(Fault(path, short(value), why, "Change the value."))
    return Node(BROKEN)


# C0 and C1 controls other than tab and newline, and halves of surrogate pairs: no name, path or label has them.
_UNFIT_CHARACTERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_LARGEST_WHOLE = 2**53 - 1


def unfit(value: str | bool | int | float | None) -> str | None:
    """What would be accepted in place of a scalar that JSON, or Kubernetes, could not carry; None if it is fit."""
    if isinstance(value, str):
        return "text without control characters" if _UNFIT_CHARACTERS.search(value) else None
    if isinstance(value, int) and abs(value) > _LARGEST_WHOLE:
        return "a whole number that JSON can carry (at most 2^53 - 1)"
    if isinstance(value, float) and not abs(value) < 1e300:
        return "a finite number"
    return None


def too_deep(path: Path, line: int | None, file: str = "") -> Fault:
    """The fault of a value that lies deeper than MAX_DEPTH."""
    return Fault(
        path, f"nesting deeper than {MAX_DEPTH}", f"at most {MAX_DEPTH} levels", "Flatten the value.", line, file
    )


def short(value: Any, limit: int = 60) -> str:
    """A value for people: its kind and size where it is a collection, else its literal, cut to `limit` characters."""
    if isinstance(value, Mapping):
        keys = sorted(str(key) for key in value)
        text = "a mapping of " + ", ".join(keys) if keys else "an empty mapping"
    elif isinstance(value, list | tuple):
        text = f"a list of {len(value)}" if value else "an empty list"
    elif value is None:
        text = "null"
    elif isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, str):
        text = repr(value[: limit * 2])
    else:
        text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def lines_of(root: Node, prefix: str) -> dict[str, int]:
    """Line by path text, for values of the stack file itself; those of a base file are left out."""
    found: dict[str, int] = {}
    rest: list[tuple[Path, Node]] = [((), root)]
    while rest:
        path, node = rest.pop()
        if path and node.line is not None and not node.file:
            found[path_text(path, prefix)] = node.line
        steps = node.value.items() if isinstance(node.value, dict) else ()
        rest += (((*path, key), child) for key, child in steps)
        items = enumerate(node.value) if isinstance(node.value, list) else ()
        rest += (((*path, index), child) for index, child in items)
    return found


_PLAIN_KEY = re.compile(r"[A-Za-z0-9_][-A-Za-z0-9_]*")


def path_text(path: Path, prefix: str = "") -> str:
    """("pools", 1, "nodes", "max") as `pools[1].nodes.max`; a key of other characters as `labels["a.b/c"]`."""
    text = prefix
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN_KEY.fullmatch(step) or not text:
            text += ("." if text and not text.endswith(":") else "") + short_key(step)
        else:
            text += f'["{short_key(step)}"]'
    return text


def short_key(key: str) -> str:
    """A key for people: on one line, at most 80 characters."""
    shown = _UNFIT_CHARACTERS.sub("?", key).replace("\n", "?").replace("\t", "?")
    return shown if len(shown) <= 80 else shown[:77] + "..."


def to_mistakes(faults: Iterable[Fault], where: str) -> tuple[Mistake, ...]:
    """The faults as the report that people get: by file and line, each once; `where` names what has no key."""
    ordered = sorted(
        {(f.path, f.file, f.got, f.accepted): f for f in faults}.values(),
        key=lambda f: (f.file, f.line or 0, path_text(f.path), f.got),
    )
    return tuple(Mistake(_full_path(f, where), f.got, f.accepted, f.do, f.line) for f in ordered)


def _full_path(fault: Fault, where: str) -> str:
    path = path_text(fault.path)
    if not path:
        return fault.file or where
    return f"{fault.file}: {path}" if fault.file else path
