"""Asks Microsoft Graph for the groups of Entra that administer a cluster.

Graph asks for permissions of its own (Group.Read.All, or a directory role): who has none is told so, and the rest of
`preflight` goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from espalier.preflight.model import NotAsked, NotPossibleError
from espalier.preflight.parts import Part
from espalier.settings.aks import Aks

Ask = Callable[[Callable[[], Mapping[str, Any]]], Mapping[str, Any] | NotAsked | None]


class Graph(Protocol):
    """Microsoft Graph."""

    def get(self, path: str) -> Mapping[str, Any]:
        """What a path below /v1.0 names. Raises ResourceNotFoundError."""
        ...


def people_of(graph: Graph, ask: Ask, cluster: Aks) -> Iterator[Part]:
    """The groups under access.admins."""
    for admin in sorted(set(cluster.access.admins if cluster.access else ())):
        found = _told(lambda admin=admin: ask(lambda: graph.get(f"/groups/{admin}")))
        known = found if isinstance(found, Mapping) else {}
        fit = known.get("securityEnabled", True)
        yield Part(
            key="access.admins",
            what=f"group of Entra {admin}",
            made=False,
            state=found if isinstance(found, NotAsked) else "absent" if found is None else "there",
            got=str(known.get("displayName", "")),
            fault="" if fit else "no security group, and AKS lets in these alone",
        )


def _told(question: Callable[[], Any]) -> Any:
    """Credentials that Azure takes need not be good for Graph."""
    try:
        return question()
    except NotPossibleError as error:
        return NotAsked(str(error))
