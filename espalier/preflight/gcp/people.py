"""Asks Google for the identities that a cluster lets in: service accounts of IAM, groups of Cloud Identity.

Of users Google tells to administrators of a Workspace alone. But a project's policy takes no user that there is not,
and keeps one that was deleted as `deleted:user:...`: so a user whom it names is known by it.
Source: Google Cloud IAM, REST reference, Policy and its bindings' members.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from espalier.preflight.model import NotAsked
from espalier.preflight.parts import Part
from espalier.settings.gke import Gke

Service = Callable[[str, str], Any]
There = Callable[[Callable[[], Any]], Any]
_NOBODY_TELLS: Final = NotAsked("Google tells who this is to administrators of its Workspace alone")
_USER: Final = NotAsked(
    "the project's policy does not name this user, and of others Google tells to administrators of its Workspace alone"
)


def people_of(service: Service, there: There, cluster: Gke) -> Iterator[Part]:
    """The identities under access.admins, and the group of groups under security-group."""
    members = sorted(set(cluster.access.admins if cluster.access else ()))
    users = any(member.startswith("user:") for member in members)
    named = _named(service, there, cluster.project) if users else frozenset[str]()
    for member in members:
        kind, _, name = member.partition(":")
        found = _user(name, named) if kind == "user" else _found(service, there, kind, name)
        yield _part("access.admins", f"administrator {member}", found)
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


def _named(service: Service, there: There, project: str) -> frozenset[str]:
    """Whom the project's policy names, in small letters; nobody where it may not be read."""
    projects = service("cloudresourcemanager", "v1").projects()
    options = {"options": {"requestedPolicyVersion": 3}}  # the one that tells of bindings with a condition
    policy = there(lambda: projects.getIamPolicy(resource=project, body=options).execute())
    bindings = policy.get("bindings", ()) if isinstance(policy, Mapping) else ()
    return frozenset(member.lower() for binding in bindings for member in binding.get("members", ()))


def _user(name: str, named: frozenset[str]) -> Any:
    if f"user:{name}".lower() in named:
        return {}
    gone = f"deleted:user:{name}?".lower()
    return {"deleted": True} if any(member.startswith(gone) for member in named) else _USER


def _part(key: str, what: str, found: Any) -> Part:
    state: Any = found if isinstance(found, NotAsked) else "absent" if found is None else "there"
    faults = [fault for fault in ("deleted", "disabled") if isinstance(found, Mapping) and found.get(fault)]
    return Part(key=key, what=what, made=False, state=state, fault="".join(faults))
