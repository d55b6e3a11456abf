"""A tenant put into a stack file, or taken out: the lines that are its own change, and no other byte does.

Where the lines are, PyYAML's marks say. What comes out is read again, and a file whose form was not understood (a list
on one line) is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import yaml

from espalier.settings.files import PREFIX
from espalier.types import Mistake, Mistakes

TENANTS: Final = f"{PREFIX}tenants"


def with_tenant(text: str, block: Mapping[str, Any]) -> str:
    """The file with one more tenant, after those that it has. Raises Mistakes where its form is too strange."""
    lines = text.splitlines(keepends=True)
    config = _value(_root(text), "config")
    found = _entry(config, TENANTS)
    indent = config.start_mark.column
    if found is None:
        last = _last_line(config)
        head = [f"{' ' * indent}{TENANTS}:\n", *_item(block, indent + 2)]
        return _checked(text, _spliced(lines, last + 1, last + 1, head), [*tenants_of(text), block])
    key, tenants = found
    if tenants.value and not tenants.flow_style:
        last = _last_line(tenants)
        new = _spliced(lines, last + 1, last + 1, _item(block, tenants.start_mark.column))
    else:  # an empty list, or one on one line, which the check refuses
        start = key.start_mark.line
        head = [f"{' ' * indent}{TENANTS}:\n", *_item(block, indent + 2)]
        new = _spliced(lines, start, _last_line(tenants) + 1, head)
    return _checked(text, new, [*tenants_of(text), block])


def without_tenant(text: str, name: str) -> str:
    """The file without a tenant. Raises Mistakes where it has none such, or its form is too strange."""
    names = [tenant["name"] for tenant in tenants_of(text)]
    if name not in names:
        accepted = ", ".join(sorted(names)) or "none: the file has no tenants of its own"
        do = "Name a tenant of this very file; one of a file that it extends is removed there."
        raise Mistakes([Mistake("NAME", repr(name), accepted, do)])
    lines = text.splitlines(keepends=True)
    key, tenants = _found(_value(_root(text), "config"), TENANTS)
    item = tenants.value[names.index(name)]
    start, end = item.start_mark.line, _last_line(item) + 1
    if len(names) == 1:
        start, left = key.start_mark.line, [f"{' ' * key.start_mark.column}{TENANTS}: []\n"]
    else:
        left = []
    return _checked(text, _spliced(lines, start, end, left), [one for one in tenants_of(text) if one["name"] != name])


def _root(text: str) -> Any:
    return yaml.compose(text, Loader=yaml.SafeLoader)


def _entry(mapping: Any, name: str) -> tuple[Any, Any] | None:
    return next(((key, value) for key, value in mapping.value if key.value == name), None)


def _found(mapping: Any, name: str) -> tuple[Any, Any]:
    found = _entry(mapping, name)
    assert found is not None  # noqa: S101 - a file that was read has it
    return found


def _value(mapping: Any, name: str) -> Any:
    return _found(mapping, name)[1]


def _leaves(node: Any) -> Iterator[Any]:
    """Nodes whose end is where their text ends: a block's is where the next thing begins, comments passed over."""
    if isinstance(node, yaml.ScalarNode) or node.flow_style:
        yield node
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield key
            yield from _leaves(value)
    else:
        for item in node.value:
            yield from _leaves(item)


def _last_line(node: Any) -> int:
    return max(leaf.end_mark.line for leaf in _leaves(node))


def _item(block: Mapping[str, Any], indent: int) -> list[str]:
    """A line each key, what is within a key on its line."""
    pairs = [f"{key}: {_inline(value)}" for key, value in block.items()]
    return [f"{' ' * indent}{'- ' if at == 0 else '  '}{pair}\n" for at, pair in enumerate(pairs)]


def _inline(value: Any) -> str:
    plain = "\\" not in repr(value)  # nothing that Python itself would escape
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, sort_keys=False, allow_unicode=plain)
    return text.removesuffix("...\n").strip()


def _spliced(lines: Sequence[str], start: int, end: int, new: Sequence[str]) -> str:
    before = list(lines[:start])
    if before and not before[-1].endswith("\n"):
        before[-1] += "\n"
    return "".join((*before, *new, *lines[end:]))


def tenants_of(text: str) -> list[Any]:
    """The tenants that the file itself has."""
    return yaml.safe_load(text)["config"].get(TENANTS) or []


def _checked(old: str, new: str, wanted: Sequence[Mapping[str, Any]]) -> str:
    """The new text, where it says what the old one said but for the tenants, and `wanted` of these."""
    if _said(new) == {**_said(old), TENANTS: list(wanted)}:
        return new
    accepted = "a block of `- name: ...` items"
    raise Mistakes([Mistake(TENANTS, "a form that cannot be edited line by line", accepted, "Edit the file by hand.")])


def _said(text: str) -> dict[str, Any]:
    """What stands under `config`; nothing where the text is none that YAML reads."""
    try:
        return dict(yaml.safe_load(text)["config"])
    except yaml.YAMLError:
        return {}
