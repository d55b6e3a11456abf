"""Whether people of a tenant may do in its namespaces what the blueprint's roles say: all of it, and nothing else.

What they may is asked of the API server, by its list of rules for a user (SelfSubjectRulesReview), in one request for
all verbs and resources of a namespace. What the blueprint says is read from its Roles and RoleBindings.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from espalier.blueprint.tenants import TenantPlan, WorkspacePlan
from espalier.kube import Client, Manifest
from espalier.verify.attempts import rule_texts, rules
from espalier.verify.tenants import EVERYONE, as_member

SIBLINGS = 3
"""Namespaces of its own tenant in which somebody has no role, at most, that are asked about; the next ones in order."""
_PEOPLE = ("Group", "User")


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """Somebody whom a tenant's bindings name, by the binding's own words."""

    kind: str
    name: str

    def client(self, client: Client) -> Client:
        """A client that asks as a user of this name, or as one who is in this group alone."""
        return client.as_user(self.name, [EVERYONE]) if self.kind == "User" else as_member(client, [self.name])


@dataclass(frozen=True, slots=True)
class Expected:
    """What somebody may do in a namespace, by the plan; one text a verb and resource."""

    subject: Subject
    namespace: str
    rights: frozenset[str]


def expected_of(tenant: TenantPlan) -> list[Expected]:
    """Each subject of a tenant with each namespace in which it has a role, and with some in which it has none.

    Left out is where a binding names a role that is not the tenant's own: what that holds is others' matter.
    """
    by_workspace = [_rights(workspace) for workspace in tenant.workspaces]
    subjects = sorted({subject for found in by_workspace for subject in found})
    return [expected for subject in subjects for expected in _of(subject, tenant.workspaces, by_workspace)]


def differences(
    client: Client, everyone: Callable[[str], frozenset[str]], expected: Sequence[Expected]
) -> Iterator[str]:
    """What is not as expected, in words. `everyone` gives what any account may do in a namespace."""
    for one in expected:
        live = rules(one.subject.client(client), one.namespace)
        who = f"{one.subject.kind.lower()} {one.subject.name}"
        if more := live - everyone(one.namespace) - one.rights:
            yield f"{who} may, beyond its roles in namespace {one.namespace}: {few(sorted(more))}"
        if less := one.rights - live:
            yield f"{who} may not, though its roles in namespace {one.namespace} say so: {few(sorted(less))}"


def few(items: Sequence[str], between: str = ", ", most: int = 5) -> str:
    """The first of them, and how many there are besides."""
    return between.join([*items[:most], f"and {len(items) - most} more"] if len(items) > most else items)


def _of(
    subject: Subject,
    workspaces: Sequence[WorkspacePlan],
    by_workspace: Sequence[Mapping[Subject, frozenset[str] | None]],
) -> Iterator[Expected]:
    homes = [index for index, found in enumerate(by_workspace) if subject in found]
    for index in homes:
        rights = by_workspace[index][subject]
        if rights is not None:
            yield Expected(subject, workspaces[index].namespace, rights)
    after = ((homes[0] + step) % len(workspaces) for step in range(len(workspaces)))
    for index in islice((index for index in after if index not in homes), SIBLINGS):
        yield Expected(subject, workspaces[index].namespace, frozenset())


def _rights(workspace: WorkspacePlan) -> dict[Subject, frozenset[str] | None]:
    """Subject -> what the workspace's bindings give it; None where one of them names a role that is not planned."""
    manifests = [planned.manifest for planned in workspace.objects]
    roles = {one["metadata"]["name"]: _texts(one) for one in manifests if one["kind"] == "Role"}
    found: dict[Subject, list[frozenset[str] | None]] = defaultdict(list)
    for binding in (one for one in manifests if one["kind"] == "RoleBinding"):
        ref = binding["roleRef"]
        rights = roles.get(ref["name"]) if ref["kind"] == "Role" else None
        for subject in binding.get("subjects", ()):
            if subject["kind"] in _PEOPLE:
                found[Subject(subject["kind"], subject["name"])].append(rights)
    return {subject: _together(rights) for subject, rights in found.items()}


def _together(rights: Iterable[frozenset[str] | None]) -> frozenset[str] | None:
    found: frozenset[str] = frozenset()
    for one in rights:
        if one is None:
            return None
        found |= one
    return found


def _texts(role: Manifest) -> frozenset[str]:
    return frozenset(text for rule in role["rules"] for text in rule_texts(rule))
