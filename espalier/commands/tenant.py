"""`tenant show`, `add`, `remove`: a tenant of a stack, and the lines of the stack file that are its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from espalier.blueprint import Blueprint
from espalier.commands.project import Project, open_project
from espalier.commands.tenant_preview import ask
from espalier.report.console import Output
from espalier.report.documents import ChangesDocument, header
from espalier.report.terminal import kinds_text, show_changes
from espalier.settings import find_stack
from espalier.settings.edit import TENANTS, tenants_of, with_tenant, without_tenant
from espalier.types import Mistake, Mistakes
from espalier.whole import write_whole


def show(stack: str, name: str, out: Output) -> int:
    """Shows what a tenant consists of."""
    return _shown("tenant show", name, open_project(stack), out)


def add(stack: str, block: Mapping[str, Any], out: Output) -> int:
    """Writes a tenant into the stack file, unless the stack would be wrong with it, and shows it."""

    def change(text: str, before: Blueprint) -> str:
        own = {tenant["name"] for tenant in tenants_of(text)}
        if inherited := [tenant.name for tenant in before.tenants if tenant.name not in own]:
            got = f"{', '.join(inherited)}, of a file that this one extends"
            do = "Add the tenant to that file, or write all of them into this one."
            raise Mistakes([Mistake(TENANTS, got, "tenants of the file's own: a list here would replace those", do)])
        return with_tenant(text, block)

    return _shown("tenant add", block["name"], _rewritten(stack, change), out)


def remove(stack: str, name: str, out: Output) -> int:
    """Takes a tenant out of the stack file, and says what becomes of what it has."""
    before = open_project(stack).blueprint
    entry = _entry(before, name)
    project = _rewritten(stack, lambda text, _: without_tenant(text, name))
    where = ", ".join(entry["namespaces"])
    said = [
        f"{name} is out of the stack file. Nothing is deleted yet: see `espalier preview {stack}`.",
        f"`espalier up {stack}` deletes {where}, and refuses to while volume claims are in there.",
        "Save their data, then delete them:",
        *(f"  kubectl delete persistentvolumeclaims --all --namespace {one}" for one in entry["namespaces"]),
    ]
    for line in said:
        out.people.print(line, markup=False)
    _end("tenant remove", project, before, entry, out)
    return 0


def block_of(
    name: str, groups: Mapping[str, Sequence[str]], owners: Sequence[str], quota: Mapping[str, Any]
) -> dict[str, Any]:
    """The block of a new tenant: only what was said."""
    said = {role: list(members) for role, members in groups.items() if members}
    block: dict[str, Any] = {"name": name}
    return block | {
        key: value for key, value in (("groups", said), ("owners", list(owners)), ("quota", dict(quota))) if value
    }


def devices_of(texts: Sequence[str]) -> dict[str, int]:
    """Devices by resource name, each from `nvidia.com/gpu=8`. Raises Mistakes with all that are wrong."""
    split = {text: text.rpartition("=") for text in texts}
    wrong = [text for text, (name, _, count) in split.items() if not name or not count.isascii() or not count.isdigit()]
    if wrong:
        accepted, do = "a device and how many, such as nvidia.com/gpu=8", "Change it to what is accepted."
        raise Mistakes([Mistake("--device", repr(text), accepted, do) for text in wrong])
    return {name: int(count) for name, _, count in split.values()}


def _rewritten(stack: str, change: Callable[[str, Blueprint], str]) -> Project:
    """The stack with a change to its file; where it is wrong then, the file is as it was."""
    path: Path = find_stack(stack, Path.cwd())
    old = path.read_bytes().decode()
    new = change(old, open_project(stack).blueprint)
    project: Project | None = None
    _write(path, new)
    try:
        project = open_project(stack)
        return project
    finally:
        if project is None:
            _write(path, old)


def _write(path: Path, text: str) -> None:
    try:
        write_whole(path, text)
    except OSError as error:
        do = "Make room, or mend its permissions."
        got = f"{path}: {error.strerror or error}"
        raise Mistakes([Mistake("stack file", got, "a file that can be written", do)]) from None


def _shown(command: str, name: str, project: Project, out: Output) -> int:
    entry = _entry(project.blueprint, name)
    out.people.print(f"{name} in {project.stack.name}", markup=False)
    for key, text in (
        ("namespaces", ", ".join(entry["namespaces"])),
        ("groups", "; ".join(f"{role}: {', '.join(found)}" for role, found in entry["groups"].items()) or "none"),
        ("at most a month", _month(entry["month"])),
        ("secrets", ", ".join(entry["secrets"]) or "none"),
        ("buckets", "; ".join(f"{space} has {url}" for space, url in entry["folders"].items()) or "none"),
        ("serves by", ", ".join(entry["domains"]) or "no host name"),
    ):
        out.people.print(f"  {key}: {text}", markup=False)
    for one in entry["objects"]:
        where = f"{one['namespace']}/" if one["namespace"] else ""
        out.people.print(f"  {one['kind']} {where}{one['name']}", markup=False)
    for namespace, hard in entry["quota"].items():
        limits = ", ".join(f"{key} {value}" for key, value in hard.items())
        kinds = "".join(f"; {text}" for text in kinds_text(entry["kinds"].get(namespace, {})))
        out.people.print(f"  quota of {namespace}: {limits}{kinds}", markup=False)
    _end(command, project, project.blueprint, entry, out)
    return 0


def _end(command: str, project: Project, having: Blueprint, entry: Mapping[str, Any], out: Output) -> None:
    """What `up` would do to the tenant, as the blueprint with it has it, where the cluster tells; and the document."""
    tenant = next(one for one in having.tenants if one.name == entry["name"])
    changes, unasked = ask(project, tenant, out)
    if changes is not None:
        out.people.print(f"`espalier up {project.stack.name}` would do, of {tenant.name}'s:", markup=False)
    rows: Any = [change.to_json() for change in changes or ()]
    preview: ChangesDocument = {**header(command), "stack": project.stack.name, "changes": rows, "waves": []}
    if changes is not None:
        show_changes(out.people, preview)
    for error in unasked:
        out.people.print(f"what `up` would do is not known: {error['got']}", markup=False)
    known = {"changes": None if changes is None else rows, "unasked": unasked}
    out.document({**header(command), "stack": project.stack.name, "tenant": entry, **known})


def _month(month: Mapping[str, Any] | None) -> str:
    if month is None:
        return "not known: the stack names no pools"
    if month["worst"] is None:
        return f"not known: no price of {', '.join(month['unknown'])}"
    return f"{month['worst']:,.0f} USD"


def _entry(blueprint: Blueprint, name: str) -> dict[str, Any]:
    tenant = next((one for one in blueprint.tenants if one.name == name), None)
    if tenant is None:
        accepted = ", ".join(sorted(one.name for one in blueprint.tenants)) or "none: the stack has no tenants"
        raise Mistakes([Mistake("NAME", repr(name), accepted, "Name a tenant of the stack.")])
    worst = next((one for one in blueprint.worst if one.tenant == name), None)
    block = next(one for one in blueprint.settings.tenants if one.name == name)
    manifests = [planned.manifest for work in tenant.workspaces for planned in work.objects]
    return {
        "name": name,
        "namespaces": list(tenant.namespaces),
        "groups": {role: list(members) for role, members in tenant.groups.items()},
        "quota": {work.namespace: dict(work.hard) for work in tenant.workspaces},
        "kinds": {
            work.namespace: {side: dict(most) for side, most in work.kinds.items()}
            for work in tenant.workspaces
            if work.kinds
        },
        "month": worst and {"worst": worst.month, "budget": worst.budget, "unknown": list(worst.unknown)},
        "objects": [
            {"kind": one["kind"], "namespace": one["metadata"].get("namespace", ""), "name": one["metadata"]["name"]}
            for one in manifests
        ],
        "folders": {work.namespace: work.folder for work in tenant.workspaces if work.folder},
        "secrets": [secret.name for secret in (*block.secrets, *block.pull_secrets)],
        "domains": list(block.exposure.domains) if block.exposure else [],
    }
