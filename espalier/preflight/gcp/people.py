"""Asks Google for the identities that a cluster lets in: service accounts of IAM, groups of Cloud Identity."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from espalier.preflight.model import NotAsked
from espalier.preflight.parts import Part
from espalier.settings.gke import Gke

Service = Callable[[str, str], Any]
There = Callable[[Callable[[], Any]], Any]
_NOBODY_TELLS: Final = NotAsked("Google tells who this is to administrators of its Workspace alone")


def people_of(service: Service, there: There, cluster: Gke) -> Iterator[Part]:
    """The identities under access.admins, and the group of groups under security-group."""
    for member in sorted(set(cluster.access.admins if cluster.access else ())):
        kind, _, name = member.partition(":")
        yield _part("access.admins", f"administrator {member}", _found(service, there, kind, name))
    if group := cluster.security_group:
        yield _part("security-group", f"group {group}", _found(service, there, "group", group))


def _found(service: Service, there: There, kind: str, name: str) -> Any:
    if kind == "serviceAccount":
        accounts = service("iam", "v1").projects().serviceAccounts()
        return there(lambda: accounts.get(name=f"projects/-/serviceAccounts/{name}").execute())
    if kind == "group":
        # Where the caller may not see groups, or there is none, the answer is the same refusal.
        return there(lambda: service("cloudidentity", "v1").groups().lookup(groupKey_id=name).execute())
    return _NOBODY_TELLS


def _part(key: str, what: str, found: Any) -> Part:
    state: Any = found if isinstance(found, NotAsked) else "absent" if found is None else "there"
    fault = "disabled" if isinstance(found, Mapping) and found.get("disabled") else ""
    return Part(key=key, what=what, made=False, state=state, fault=fault)
