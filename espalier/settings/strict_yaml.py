"""YAML without its traps: what two readers of YAML could take for different values is refused, with the line.

Pulumi reads a stack file with Go's yaml.v3, Espalier with libyaml. Where YAML 1.1, YAML 1.2 and these two disagree
(`no`, `1_000`, `017`, `12:30`, `2026-01-01`, merge keys, tags), the text must say what it means. Values are built
from libyaml's events, so that neither depth nor aliases of a hostile file cost more than their fixed bounds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import yaml

from espalier.settings.tree import BROKEN, MAX_DEPTH, Fault, Node, Path, short, too_deep, unfit

MAX_BYTES: Final = 5 * 2**20
"""A file of 5,000 tenants is below 2 MiB."""

MAX_VALUES: Final = 500_000
"""Values after aliases are expanded; stops a file that doubles itself by aliases of aliases."""

MAX_SKIPPED_DEPTH: Final = 200
"""Levels that are passed over beneath a refused value; libyaml's time grows with their square."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_NULL = {"", "~", "null", "Null", "NULL"}
_TRUE = {"true", "True", "TRUE"}
_FALSE = {"false", "False", "FALSE"}
_YAML_1_1_BOOLEAN = {s for w in ("y", "n", "yes", "no", "on", "off") for s in (w, w.capitalize(), w.upper())}
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
_AMBIGUOUS = (
    (re.compile(r"[-+]?0[0-9_]+(\.[0-9_]*)?([eE][-+]?[0-9]+)?"), "a number with a leading zero"),
    (re.compile(r"[-+]?0([oO][0-7_]*|[xX][0-9a-fA-F_]*|[bB][01_]*)"), "an octal, hexadecimal or binary number"),
    (re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"), "a number to the base of 60"),
    (re.compile(r"[-+]?[0-9][0-9_]*_[0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?"), "a number with underscores"),
    (re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"), "a number that is not finite"),
    (re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt \t].*)?"), "a timestamp"),
    (re.compile(r"=|<<"), "a sign of YAML's own"),
)


class _HopelessError(Exception):
    """The rest of the file is not worth reading; the faults say why."""


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says: its tree, and the faults in its text. `root` is None where the text ends in the middle."""

    root: Node | None
    faults: tuple[Fault, ...]


def parse(data: bytes, file: str = "") -> Document:
    """Read one YAML document. Never raises for any bytes; what is wrong is in `faults`, each with its line.

    `file` goes into each node and fault; leave it empty for the stack file itself.
    """
    text, fault = _decode(data, file)
    if fault is not None:
        return Document(None, (fault,))
    builder = _Builder(_Loader(text), file)
    try:
        root = builder.document()
    except _HopelessError:
        return Document(None, tuple(builder.faults))
    except yaml.YAMLError as error:
        return Document(None, (*builder.faults, _syntax(error, text, tuple(builder.path), file)))
    return Document(root, tuple(builder.faults))


def _decode(data: bytes, file: str) -> tuple[str, Fault | None]:
    if len(data) > MAX_BYTES:
        what = f"a file of {len(data) / 2**20:.1f} MiB"
        return "", Fault((), what, f"at most {MAX_BYTES // 2**20} MiB", "Split the environment into stacks.", 1, file)
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        return "", Fault((), "a byte-order mark", "UTF-8 without one", "Save the file as plain UTF-8.", 1, file)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        got = f"the byte 0x{data[error.start]:02x}"
        return "", Fault((), got, "text in UTF-8", "Save the file as UTF-8.", line, file)
    # libyaml refuses these, too, but without the line.
    control = re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufeff\ufffe\uffff]", text)
    if control:
        line = text.count("\n", 0, control.start()) + 1
        got = f"the control character U+{ord(control[0]):04X}"
        return "", Fault((), got, "printable text", "Remove the character.", line, file)
    return text, None


def _syntax(error: yaml.YAMLError, text: str, path: Path, file: str) -> Fault:
    mark = getattr(error, "problem_mark", None)
    line: int | None = min(mark.line + 1, text.count("\n") + 1) if mark is not None else None
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "a syntax error"
    lines = text.split("\n")
    if line is not None and "\t" in lines[line - 1]:
        return Fault(path, "a tab where YAML takes none", "spaces", "Indent with spaces.", line, file)
    do = "Mend the line, or the end of the value before it: a quote, bracket or indentation does not fit."
    return Fault(path, f"broken YAML ({problem})", "well-formed YAML", do, line, file)


class _Builder:
    """Builds the tree from events; `path` is where it stands, so that a syntax error can say so."""

    def __init__(self, loader: Any, file: str) -> None:
        self.loader = loader
        self.file = file
        self.path: list[str | int] = []
        self.faults: list[Fault] = []
        self.anchors: dict[str, Node] = {}
        self.values = 0

    def document(self) -> Node | None:
        self.loader.get_event()  # the stream's start
        if self.loader.check_event(yaml.StreamEndEvent):
            self._fault("an empty file", "a mapping with `config:`", "Write the settings under `config:`.", 1)
            return None
        self.loader.get_event()  # the document's start
        root = self._value(self.loader.get_event())
        self.loader.get_event()  # the document's end
        if not self.loader.check_event(yaml.StreamEndEvent):
            line = self.loader.peek_event().start_mark.line + 1
            self._fault("a second document", "one document a file", "Remove what follows `---`.", line)
        return root

    def _fault(self, got: str, accepted: str, do: str, line: int, *more: str, whole: bool = True) -> None:
        self.faults.append(Fault((*self.path, *more), got, accepted, do, line, self.file, whole))

    def _value(self, event: Any) -> Node:
        line: int = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            return self._alias(str(event.anchor), line)
        self.values += 1
        if self.values > MAX_VALUES:
            self._fault("one value too many", f"at most {MAX_VALUES:,} values", "Split the environment.", line)
            raise _HopelessError
        if event.tag is not None:
            self._fault(f"the tag {short(str(event.tag))}", "values without tags", "Remove the tag; quote text.", line)
            self._skip(event)
            return Node(BROKEN, line, self.file)
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event, line)
        elif len(self.path) >= MAX_DEPTH:
            self.faults.append(too_deep(tuple(self.path), line, self.file))
            self._skip(event)
            return Node(BROKEN, line, self.file)
        elif isinstance(event, yaml.MappingStartEvent):
            node = self._mapping(line)
        else:
            node = self._sequence(line)
        return self._anchored(event.anchor, node, line)

    def _anchored(self, anchor: str | None, node: Node, line: int) -> Node:
        if anchor is not None and anchor in self.anchors:
            self._fault(f"a second anchor &{anchor}", "each anchor once", "Rename one of them.", line, whole=False)
        elif anchor is not None:
            self.anchors[anchor] = node
        return node

    def _alias(self, name: str, line: int) -> Node:
        known = self.anchors.get(name)
        if known is None:
            names = ", ".join(sorted(self.anchors)) or "none is set above"
            self._fault(
                f"the alias *{name}", f"an anchor set above ({names})", f"Set &{name}, or write the value.", line
            )
            return Node(BROKEN, line, self.file)
        self.values += known.size
        if self.values > MAX_VALUES:
            self._fault(
                f"the alias *{name}",
                f"at most {MAX_VALUES:,} values with aliases written out",
                "Write fewer values.",
                line,
            )
            return Node(BROKEN, line, self.file)
        if len(self.path) + known.height > MAX_DEPTH:
            self.faults.append(too_deep(tuple(self.path), line, self.file))
            return Node(BROKEN, line, self.file)
        return known

    def _sequence(self, line: int) -> Node:
        items: list[Node] = []
        while not self.loader.check_event(yaml.SequenceEndEvent):
            self.path.append(len(items))
            items.append(self._value(self.loader.get_event()))
            self.path.pop()
        self.loader.get_event()
        return Node(items, line, self.file).measure()

    def _mapping(self, line: int) -> Node:
        children: dict[str, Node] = {}
        while not self.loader.check_event(yaml.MappingEndEvent):
            event = self.loader.get_event()
            key = self._key(event)
            if key is None:
                self._skip(self.loader.get_event())
                continue
            self.path.append(key)
            child = self._value(self.loader.get_event())
            if key in children:
                first = children[key].line
                got = f"the key a second time (first on line {first})"
                self._fault(got, "each key once", "Remove one of them.", event.start_mark.line + 1, whole=False)
            else:
                children[key] = child
            self.path.pop()
        self.loader.get_event()
        return Node(children, line, self.file).measure()

    def _key(self, event: Any) -> str | None:
        """The key's text; None, with a fault, where it is not text: the entry is left out then."""
        line: int = event.start_mark.line + 1
        if not isinstance(event, yaml.ScalarEvent) or event.tag is not None:
            self._skip(event)
            self._fault("a key that is not plain text", "text as a key", "Write the key as text.", line, whole=False)
            return None
        text = str(event.value)
        if text == "<<" and event.implicit[0]:
            self._fault("a merge key", "no merge keys", "Use espalier:extends, or write the keys out.", line, text)
            return None
        value, reading = _resolve(text) if event.implicit[0] else (text, None)
        if reading is None and isinstance(value, str) and unfit(value) is None:
            if event.anchor is not None:
                self._anchored(str(event.anchor), Node(value, line, self.file, None), line)
            return value
        self._fault(f"the key {short(text)}", "text as a key", f'Quote the key: "{text[:40]}".', line, text or "null")
        return None

    def _scalar(self, event: Any, line: int) -> Node:
        text = str(event.value)
        value, reading = _resolve(text) if event.implicit[0] else (text, None)
        if reading is not None:
            do = f'Quote it where text is meant: "{text[:40]}". {reading[1]}'.strip()
            self._fault(f"{text[:60]} unquoted ({reading[0]})", "an unambiguous value", do, line)
            return Node(BROKEN, line, self.file)
        why = unfit(value)
        if why is not None:
            self._fault(short(text), why, "Change the value.", line)
            return Node(BROKEN, line, self.file)
        return Node(value, line, self.file, None if isinstance(value, str) else text)

    def _skip(self, start: Any) -> None:
        """Pass over the value that `start` began, without recursion."""
        line: int = start.start_mark.line + 1
        depth = 1 if isinstance(start, yaml.CollectionStartEvent) else 0
        while depth:
            event = self.loader.get_event()
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_SKIPPED_DEPTH:
                fault = too_deep(tuple(self.path), line, self.file)
                self.faults += [] if fault in self.faults else [fault]
                raise _HopelessError


def _resolve(text: str) -> tuple[str | int | float | bool | None, tuple[str, str] | None]:
    """An unquoted scalar's value; or, second, what YAML could take it for and what else to write."""
    if text in _NULL:
        return None, None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE, None
    if text in _YAML_1_1_BOOLEAN:
        return text, ("a boolean in YAML 1.1", "Write true or false where a boolean is meant.")
    if text[0] not in "-+.=<0123456789":
        return text, None
    if _WHOLE.fullmatch(text):
        return (int(text) if len(text) <= 40 else 10**40), None
    if _DECIMAL.fullmatch(text):
        return float(text), None
    for pattern, what in _AMBIGUOUS:
        if pattern.fullmatch(text):
            return text, (what, "Write a plain decimal number where a number is meant.")
    return text, None
