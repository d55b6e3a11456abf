"""Stack files and Pulumi's configuration become Settings, by the same steps, with every mistake at once."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path as File
from typing import Any, Final

from espalier.settings.explain import check_settings
from espalier.settings.files import PREFIX, Bases, entries, read, stack_folder, stack_name
from espalier.settings.model import Settings
from espalier.settings.rules import check_rules
from espalier.settings.tree import (
    BROKEN,
    MAX_DEPTH,
    Fault,
    Node,
    Path,
    from_plain,
    is_secret,
    lines_of,
    plain,
    short,
    to_mistakes,
)
from espalier.types import Mistake, Mistakes

SECRET: Final = "[secret]"  # noqa: S105 - a placeholder
"""Stands for an encrypted value, as in the output of Pulumi's own command."""

_OF_PULUMI = ("config", "encryptionsalt", "encryptedkey", "secretsprovider", "environment")
"""Top-level keys of a stack file. Source: pulumi sdk/go/common/workspace, type ProjectStack."""


@dataclass(frozen=True, slots=True)
class StackFile:
    """A stack file that is right.

    `raw` holds the merged values under `espalier:`, without the prefix. `config` is what `pulumi.Config` would hold
    for this file: text by full key, mappings and lists as JSON; the keys in `secret_keys` hold "[secret]" instead of
    their value.
    """

    name: str
    path: File
    settings: Settings
    raw: Mapping[str, Any]
    config: Mapping[str, str]
    secret_keys: frozenset[str]
    tree: Node = field(repr=False, compare=False)
    """The merged values with their lines."""

    def located(self, mistakes: Iterable[Mistake]) -> tuple[Mistake, ...]:
        """The mistakes of a later judge (the blueprint) with the lines that gave their values."""
        lines = lines_of(self.tree, PREFIX)
        return tuple(replace(mistake, line=mistake.line or lines.get(mistake.path)) for mistake in mistakes)


class WrongSettingsError(Mistakes):
    """Settings with mistakes, and what was read of them all the same: a later judge may say more of that."""

    def __init__(self, mistakes: Iterable[Mistake], tree: Node) -> None:
        super().__init__(mistakes)
        self.values: Mapping[str, Any] = plain(tree) if isinstance(tree.value, dict) else {}
        """The merged values under `espalier:`, without the prefix, right or wrong."""
        self.lines = lines_of(tree, PREFIX)


def load_file(path: File) -> StackFile:
    """Read `Pulumi.<name>.yaml` and what it extends. Raises Mistakes, with lines."""
    name = stack_name(path)
    faults: list[Fault] = []
    found = _read_stack(path, faults)
    settings, merged = _settings(_own(found), Bases(path.parent), faults, path.name)
    secrets = frozenset(key for key, node in found.items() if _holds_secret(node))
    config = {key: _as_pulumi(node) for key, node in sorted(found.items())}
    return StackFile(name, path, settings, plain(merged), config, secrets, merged)


def validate(tree: Any, where: str) -> Settings:
    """Settings from plain values, keys without prefix; `where` starts each mistake's path. Raises Mistakes."""
    if not isinstance(tree, Mapping):
        raise Mistakes([Mistake(where, short(tree), "a mapping with cluster, pools, ...", "Give a mapping.")])
    faults: list[Fault] = []
    root = from_plain(tree, (), faults)
    faults = [replace(fault, path=(where, *fault.path)) for fault in faults]
    settings = _judge(root, faults, lambda path: (where, *path))
    if settings is None:
        raise Mistakes(to_mistakes(faults, where))
    return settings


def from_pulumi() -> Settings:
    """Settings of the stack that Pulumi runs. Raises pulumi.RunError, which Pulumi shows without a traceback.

    The values are Pulumi's; where the stack's file is found, its text is checked, too, and gives the lines.
    """
    import pulumi  # the command must start without it

    try:
        return _from_pulumi(pulumi.get_stack())
    except Mistakes as mistakes:
        count = len(mistakes.mistakes)
        heading = f"{count} mistake{'s' if count > 1 else ''} in the settings of this stack:"
        raise pulumi.RunError("\n".join([heading, *(f"  {m.text()}" for m in mistakes.mistakes)])) from None


def _from_pulumi(stack: str) -> Settings:
    folder = stack_folder(File.cwd())
    path = folder / f"Pulumi.{stack}.yaml"
    faults: list[Fault] = []
    written = _own(_read_stack(path, faults)) if path.is_file() else {}
    configured = _configured(faults)
    own = {key: overlay(written[key], node) if key in written else node for key, node in configured.items()}
    return _settings(own, Bases(folder), faults, path.name)[0]


def _configured(faults: list[Fault]) -> dict[str, Node]:
    """The values of `espalier:` that Pulumi gives to the program: text, mappings and lists as JSON.

    Source: pulumi sdk/go/common/resource/config/object.go, MarshalString.
    """
    from pulumi.runtime import config as pulumi_config

    names = {**pulumi_config.get_config_env(), **pulumi_config.CONFIG.get()}
    known = {PREFIX + key for key in (*Settings.model_fields, "extends")}
    secret = pulumi_config.get_config_secret_keys_env()
    values: dict[str, Node] = {}
    for full in sorted(known | {name for name in names if name.startswith(PREFIX)}):
        text = pulumi_config.get_config(full)
        if text is None:
            continue
        key = full.removeprefix(PREFIX)
        if pulumi_config.is_config_secret(full) or full in secret:
            faults.append(_secret_fault(Node(None), (full,)))
            values[key] = Node(BROKEN)
        else:
            values[key] = from_plain(_from_json(str(text)), (full,), faults)
    return values


def _from_json(text: str) -> Any:
    """A configured value: JSON of a mapping or list, or the text itself where it is none."""
    depth = 0
    for bracket in re.findall(r"[\[\]{}]", re.sub(r'"(?:\\.|[^"\\])*"', "", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:  # json would end in a RecursionError
            return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def overlay(written: Node, value: Node) -> Node:
    """Pulumi's value, by the file's own nodes where they say the same: those know their lines and their spelling."""
    if written.value is BROKEN or plain(written) == plain(value):
        return written
    if isinstance(written.value, dict) and isinstance(value.value, dict):
        old = written.value
        return Node({k: overlay(old[k], v) if k in old else v for k, v in value.value.items()}, written.line)
    if isinstance(written.value, list) and isinstance(value.value, list):
        known = [overlay(*pair) for pair in zip(written.value, value.value, strict=False)]
        return Node([*known, *value.value[len(known) :]], written.line)
    return value


def _read_stack(path: File, faults: list[Fault]) -> dict[str, Node]:
    """The entries under `config:` of a stack file, by full key. Raises Mistakes where nothing more can be said."""
    root = read(path, "", faults)
    found = None if root is None else entries(root, _OF_PULUMI, faults)
    if found is None:
        raise Mistakes(to_mistakes(faults, path.name))
    return found


def _own(found: Mapping[str, Node]) -> dict[str, Node]:
    return {key.removeprefix(PREFIX): node for key, node in found.items() if key.startswith(PREFIX)}


def _settings(own: Mapping[str, Node], bases: Bases, faults: list[Fault], name: str) -> tuple[Settings, Node]:
    """What the stack extends, laid under its own values, and all of it judged. Raises Mistakes."""
    merged = bases.lay_under(own, faults)
    settings = _judge(merged, faults, lambda path: (f"{PREFIX}{path[0]}", *path[1:]))
    if settings is None:
        raise WrongSettingsError(to_mistakes(faults, name), merged)
    return settings, merged


def _judge(root: Node, faults: list[Fault], full: Callable[[Path], Path]) -> Settings | None:
    """The settings; or None, with every fault added, its path made full."""
    found: list[Fault] = []
    root = _without_secrets(root, (), found)
    settings, more = check_settings(root)
    found += more
    found += check_rules(root, frozenset(f.path for f in found))
    faults += (replace(f, path=full(f.path)) for f in found)
    if not faults:
        return settings
    refused = {f.path for f in faults if f.whole}
    faults[:] = [f for f in faults if not any(f.path[:n] in refused for n in range(1, len(f.path)))]
    return None


def _without_secrets(node: Node, path: Path, faults: list[Fault]) -> Node:
    """No key of `espalier:` needs a secret, and what `plan` shows must not hold one: each is refused."""
    if is_secret(node):
        faults.append(_secret_fault(node, path))
        return Node(BROKEN, node.line, node.file)
    if isinstance(node.value, dict):
        children = {k: _without_secrets(v, (*path, k), faults) for k, v in node.value.items()}
        return Node(children, node.line, node.file)
    if isinstance(node.value, list):
        items = [_without_secrets(v, (*path, i), faults) for i, v in enumerate(node.value)]
        return Node(items, node.line, node.file)
    return node


def _secret_fault(node: Node, path: Path) -> Fault:
    do = "Keep it under a key of your own namespace, and give Espalier the name of a Kubernetes Secret."
    return Fault(path, "a secret", "a plain value: no key of espalier: takes a secret", do, node.line, node.file)


def _as_pulumi(node: Node) -> str:
    """A value as Pulumi gives it to the program. Source: as for `_configured`."""
    if is_secret(node):
        return SECRET
    return node.value if isinstance(node.value, str) else _json(_opaque(node))


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _opaque(node: Node) -> Any:
    if is_secret(node):
        return SECRET
    if isinstance(node.value, dict):
        return {key: _opaque(child) for key, child in node.value.items()}
    return [_opaque(child) for child in node.value] if isinstance(node.value, list) else node.value


def _holds_secret(node: Node) -> bool:
    return is_secret(node) or any(_holds_secret(child) for child in node.children())
