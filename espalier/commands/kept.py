"""What stays in the cluster though its stack has it no more: volumes, their namespaces, definitions."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from espalier.commands.project import Project
from espalier.commands.target import client_of
from espalier.engine.inventory import Inventory
from espalier.kube import Reference
from espalier.report.console import Output

_DEFINITION = "CustomResourceDefinition"


def keepers(project: Project) -> frozenset[Reference]:
    """What the stack has now and would leave in the cluster. Raises KubeError."""
    inventory = Inventory.load(client_of(project), project.name, project.stack.name)
    return frozenset(entry.reference for entry in inventory.entries.values() if entry.retain)


def tell_kept(project: Project, out: Output, before: Collection[Reference]) -> None:
    """Says what of it the stack has let go of, and how each is deleted. Raises KubeError."""
    for line in lines(set(before) - keepers(project)) if before else ():
        out.people.print(line, markup=False)


def lines(kept: Collection[Reference]) -> Iterator[str]:
    """One for each volume and namespace, and one for all definitions, which may be hundreds."""
    definitions = sorted(one.name for one in kept if one.kind.kind == _DEFINITION)
    others = [one for one in kept if one.kind.kind != _DEFINITION]
    for one in sorted(others, key=lambda one: (one.kind.kind == "Namespace", str(one))):
        where = f" -n {one.namespace}" if one.namespace else ""
        with_it = " (and all that is in it)" if one.kind.kind == "Namespace" else ""
        yield f"{one} stays; to delete it{with_it}: kubectl delete {one.kind.kind.lower()} {one.name}{where}"
    if definitions:
        what = f"{len(definitions)} definitions stay" if definitions[1:] else "A definition stays"
        yield f"{what}; to delete with all that was made of them: kubectl delete crd {' '.join(definitions)}"
