"""Where stack files are, what stands in them by key, and the files that they extend."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path as File
from typing import Final

from espalier.settings.explain import nearest
from espalier.settings.model import Settings
from espalier.settings.strict_yaml import parse
from espalier.settings.tree import BROKEN, Fault, Node, merge, short
from espalier.types import Mistake, Mistakes

Chain = tuple[str, ...]
"""Names of the files on the way to this one."""

PREFIX: Final = "espalier:"
MAX_CHAIN: Final = 16
"""Files that extend one another, one after the other; nobody could follow more."""

_STACK_FILE = re.compile(r"Pulumi\.([A-Za-z0-9][-A-Za-z0-9_.]{0,99})\.yaml")
BASE_NAME: Final = "[A-Za-z0-9][-A-Za-z0-9_]{0,62}"


def stack_folder(cwd: File) -> File:
    """The folder of stack files: `stackConfigDir` of the nearest Pulumi.yaml at `cwd` or above, else `cwd`/stacks."""
    for folder in (cwd, *cwd.parents):
        if (folder / "Pulumi.yaml").is_file():
            root = parse((folder / "Pulumi.yaml").read_bytes()).root
            entry = root.value.get("stackConfigDir") if root is not None and isinstance(root.value, dict) else None
            return folder / entry.value if entry is not None and isinstance(entry.value, str) else folder
    return cwd / "stacks"


def stack_name(path: File) -> str:
    """The stack that a file is for. Raises Mistakes where the file is not named for one."""
    found = _STACK_FILE.fullmatch(path.name)
    if found is None:
        wanted = "a file named Pulumi.<stack>.yaml"
        raise Mistakes([Mistake(str(path), short(path.name), wanted, "Give another file, or rename it.")])
    return found[1]


def find_stack(name_or_path: str, cwd: File) -> File:
    """The file of a stack, by the stack's name or by the file's path. Raises Mistakes that name those that exist."""
    if "/" in name_or_path or name_or_path.endswith((".yaml", ".yml")):
        path = cwd / name_or_path
        stack_name(path)
        if not path.is_file():
            raise Mistakes([Mistake("STACK", short(name_or_path), "a file that exists", "Mend the path.")])
        return path
    folder = stack_folder(cwd)
    known = sorted(found[1] for file in folder.glob("Pulumi.*.yaml") if (found := _STACK_FILE.fullmatch(file.name)))
    if name_or_path in known:
        return folder / f"Pulumi.{name_or_path}.yaml"
    near = nearest(name_or_path, known)
    do = f"Did you mean {near}?" if near else f"Choose one, or write {folder.name}/Pulumi.<stack>.yaml."
    raise Mistakes([Mistake("STACK", short(name_or_path), "one of " + (", ".join(known) or "none yet"), do)])


def read(path: File, file: str, faults: list[Fault]) -> Node | None:
    """A file's tree; None, with the fault, where it cannot be read to its end. `file` names it in faults."""
    try:
        data = path.read_bytes()
    except OSError as error:
        got = f"no reading of it ({error.strerror})"
        faults.append(Fault((), got, "a file that can be read", "Mend the path or its permissions.", None, file))
        return None
    document = parse(data, file)
    faults += (
        replace(f, path=f.path[1:] if f.path[:1] == ("config",) and f.path[1:] else f.path) for f in document.faults
    )
    return document.root


def entries(root: Node, top_level: Sequence[str], faults: list[Fault]) -> dict[str, Node] | None:
    """What stands under `config:`, by full key; None where nothing can stand there.

    Keys that no one would read become faults and are left out.
    """
    file = root.file
    if not isinstance(root.value, dict):
        if root.value is not BROKEN:
            do = "Write the settings under `config:`."
            faults.append(Fault((), short(root.value), "a mapping with config", do, root.line, file))
        return None
    for key, node in root.value.items():
        if key not in top_level:
            near = nearest(key, top_level)
            known = [name for name in (*Settings.model_fields, "extends") if key.removeprefix(PREFIX) == name]
            do = f"Move it under config: as {PREFIX}{known[0]}." if known else "Remove it."
            do = f"Did you mean {near}?" if near else do
            faults.append(Fault((key,), "an unknown key", "the keys " + ", ".join(top_level), do, node.line, file))
    config = root.value.get("config")
    if config is None or not isinstance(config.value, dict):
        if config is None or config.value is not BROKEN:
            got = "nothing" if config is None else short(config.value)
            do = f"Write a mapping of keys such as {PREFIX}cluster."
            line = root.line if config is None else config.line
            faults.append(Fault(("config",), got, "a mapping", do, line, file))
        return None
    return {key: node for key, node in config.value.items() if _is_readable(key, node, faults)}


def _is_readable(key: str, node: Node, faults: list[Fault]) -> bool:
    known = [PREFIX + name for name in (*Settings.model_fields, "extends")]
    space, colon, name = key.partition(":")
    if key in known or (colon and space and name and space != "espalier" and not node.file):
        return True
    if not colon or not (space and name):
        got, accepted = "a key without a namespace", "<namespace>:<key>, such as espalier:pools or aws:region"
        near = PREFIX + key if PREFIX + key in known else nearest(PREFIX + key, known)
        do = f"Write {near}." if near else "Put its namespace before it."
    elif space != "espalier":
        got, accepted = "a key of another namespace", "keys of espalier: in a file that others extend"
        do = "Move it to the stack's own file: Pulumi reads only that."
    else:
        got, accepted = "an unknown key", "the keys " + ", ".join(known)
        near = nearest(key, known)
        do = f"Did you mean {near}?" if near else "Remove it."
    faults.append(Fault((key,), got, accepted, do, node.line, node.file))
    return False


class Bases:
    """The files that a stack file extends, each read once."""

    def __init__(self, folder: File) -> None:
        self.folder = folder
        self.known: dict[str, Node] = {}

    def lay_under(self, own: Mapping[str, Node], faults: list[Fault], file: str = "", chain: Chain = ()) -> Node:
        """`own` laid on what its `extends` names, left to right; `extends` itself is gone from the result."""
        extends = own.get("extends")
        merged = Node({k: v for k, v in own.items() if k != "extends"}, 1, file)
        if extends is None or extends.value is BROKEN:
            return merged
        if not isinstance(extends.value, list):
            do = "Write a list: [base]."
            got = short(extends.value)
            path = (f"{PREFIX}extends",)
            faults.append(Fault(path, got, "a list of files beside this one", do, extends.line, file))
            return merged
        under = Node({})
        for index, item in enumerate(extends.value):
            under = merge(under, self._base(item, index, file, chain, faults))
        return merge(under, merged)

    def _base(self, item: Node, index: int, file: str, chain: Chain, faults: list[Fault]) -> Node:
        name = item.value
        if name is BROKEN:
            return Node({})
        path = (f"{PREFIX}extends", index)
        why = self._why_not(name, chain)
        if why is not None or not isinstance(name, str):
            got, accepted, do = why or ("", "", "")
            faults.append(Fault(path, got, accepted, do, item.line, file))
            return Node({})
        if name not in self.known:
            self.known[name] = self._read(name, (*chain, name), faults)
        return self.known[name]

    def _read(self, name: str, chain: Chain, faults: list[Fault]) -> Node:
        root = read(self.folder / f"{name}.yaml", f"{name}.yaml", faults)
        if root is None:
            return Node({})
        found = entries(root, ("config",), faults) or {}
        own = {key.removeprefix(PREFIX): node for key, node in found.items()}
        return self.lay_under(own, faults, root.file, chain)

    def _why_not(self, name: object, chain: Chain) -> tuple[str, str, str] | None:
        """Got, accepted and advice where `name` cannot be extended here."""
        accepted = "the name of a file beside this one, without .yaml"
        if not isinstance(name, str) or not re.fullmatch(BASE_NAME, name):
            return short(name), accepted, "Write the name alone: letters, digits, - and _."
        if name in chain:
            circle = " -> ".join((*chain[chain.index(name) :], name))
            return f"a circle ({circle})", "files that do not extend one another", "Take one of them out."
        if len(chain) >= MAX_CHAIN:
            return short(name), f"at most {MAX_CHAIN} files, one extending the next", "Join some of them."
        if not (self.folder / f"{name}.yaml").is_file():
            files = sorted(f.stem for f in self.folder.glob("*.yaml") if not f.name.startswith("Pulumi."))
            near = nearest(name, files)
            do = f"Did you mean {near}?" if near else f"Write {name}.yaml, or remove the name."
            return short(name), "one of " + (", ".join(files) or "none yet"), do
        return None
