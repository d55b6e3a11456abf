"""`isolation`: a tenant's user, asking the API as such, gets nowhere but into its own namespaces, and not to its walls;
there each may do what its roles say, and nothing else.

With many tenants each is asked about a few others only, or the check would grow with their square: the next ones in
the order of the stack file, and every namespace where a binding that no plan knows names one of its groups. All
bindings are read once, so that such a one is found wherever it is.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

from espalier.blueprint import Blueprint
from espalier.blueprint.tenants import TenantPlan
from espalier.kube import ApiError, Client, Kind
from espalier.verify.attempts import Answer, attempt, on_cluster, on_foreign, on_own, rules
from espalier.verify.model import Context, NotProven, Outcome, Task
from espalier.verify.rights import differences, expected_of, few
from espalier.verify.tenants import EVERYONE, as_member, groups_of, may_not_impersonate

SAMPLE = 3
"""Namespaces of other tenants that each tenant is asked about."""
SUSPECTS = 10
"""Namespaces of other tenants, at most, that are asked about because of a binding."""
PEOPLE = 3
"""People of a tenant, at most, whose rules are asked for: they are named one by one, and all get the same."""
_SYSTEM = ("default", "espalier-system", "kube-system")
_BINDING = Kind("rbac.authorization.k8s.io/v1", "RoleBinding")


@dataclass(frozen=True, slots=True)
class Member:
    """A user in some of a tenant's groups, and the namespaces that it must not get into."""

    groups: tuple[str, ...]
    foreign: tuple[str, ...]
    sample: int
    """How many of `foreign` are other tenants'."""
    others: int
    """How many namespaces other tenants have in all."""


@dataclass(frozen=True, slots=True)
class Person:
    """One whom a tenant names itself, and the namespaces in which this person must be as any other."""

    name: str
    foreign: tuple[str, ...]


class Strangers:
    """What anyone with an account may do in a namespace, asked once a namespace."""

    def __init__(self, client: Client) -> None:
        self._client = as_member(client, ())
        self._lock = threading.Lock()
        self._rules: dict[str, frozenset[str]] = {}

    def rules(self, namespace: str) -> frozenset[str]:
        with self._lock:
            if namespace not in self._rules:
                self._rules[namespace] = rules(self._client, namespace)
            return self._rules[namespace]


def isolation_tasks(context: Context) -> list[Task]:
    """One task for each tenant."""
    bound = _unplanned_bindings(context)
    members, people = members_of(context.blueprint, bound), people_of(context.blueprint, bound)
    strangers = Strangers(context.client)
    return [
        Task(
            f"isolation/{tenant.name}",
            partial(_isolation, context, tenant, members[tenant.name], people[tenant.name], strangers),
        )
        for tenant in context.blueprint.tenants
    ]


def _isolation(
    context: Context,
    tenant: TenantPlan,
    members: Sequence[Member],
    people: Sequence[Person],
    strangers: Strangers,
) -> Outcome | NotProven:
    answers: list[Answer] = []
    extra: list[str] = []
    expected = expected_of(tenant)
    try:
        for member in members:
            user = as_member(context.client, member.groups)
            answers += [attempt(user, item) for name in member.foreign for item in on_foreign(name)]
            extra += [text for name in member.foreign for text in _extra(user, strangers, name)]
        for person in people:
            user = context.client.as_user(person.name, [EVERYONE])
            found = [text for name in person.foreign for text in _extra(user, strangers, name)]
            extra += [f"{person.name} {text}" for text in found]
        user = as_member(context.client, groups_of(tenant))
        own = [item for workspace in tenant.workspaces for item in on_own(context.client, workspace)]
        answers += [attempt(user, item) for item in (*on_cluster(), *own)]
        extra += differences(context.client, strangers.rules, expected)
    except ApiError as error:
        if may_not_impersonate(error):
            return NotProven(f"the API server said: {error.message}")
        raise
    allowed = [answer.said for answer in answers if not answer.refused]
    if allowed or extra:
        return Outcome(False, few([*allowed, *extra], "; "))
    asked = "; ".join(map(_asked, (*members, *people)))
    held = f"{len(expected)} times a subject's rights in a namespace of its tenant are those of its roles there"
    return Outcome(True, f"{len(answers)} requests refused, such as {_quotes(answers)}. {asked}. {held}")


def members_of(blueprint: Blueprint, bound: Mapping[str, Sequence[str]]) -> dict[str, list[Member]]:
    """Tenant -> whom to ask as, and about which namespaces; `bound` names those with an unplanned binding, by group.

    A tenant has one user for the groups that are its alone, and one for each set that it shares with other tenants,
    since the members of those are at home there. The effort grows with the number of tenants, not with its square.
    """
    sharers = _sharers(blueprint.tenants)
    neighbours = _Neighbours(blueprint, bound)
    system = (*_SYSTEM, *blueprint.privileged_namespaces)
    found: dict[str, list[Member]] = {}
    for tenant in blueprint.tenants:
        found[tenant.name] = []
        for owners, groups in _apart(tenant, sharers):
            near = neighbours.of(tenant.name, owners, groups)
            member = Member(groups, (*near, *system), len(near), neighbours.others(owners))
            found[tenant.name].append(member)
    return found


def people_of(blueprint: Blueprint, bound: Mapping[str, Sequence[str]]) -> dict[str, list[Person]]:
    """Tenant -> its first people, and about which namespaces to ask: not about those of tenants that name them, too."""
    neighbours = _Neighbours(blueprint, bound)
    homes: dict[str, set[str]] = defaultdict(set)
    for tenant in blueprint.tenants:
        for name in tenant.people:
            homes[name].add(tenant.name)
    return {
        tenant.name: [
            Person(name, tuple(neighbours.of(tenant.name, frozenset(homes[name]), (name,))))
            for name in sorted(tenant.people, key=lambda name: (name not in bound, name))[:PEOPLE]
        ]
        for tenant in blueprint.tenants
    }


class _Neighbours:
    """Namespaces of other tenants: a few, the same each time, and those where a binding is that no plan knows."""

    def __init__(self, blueprint: Blueprint, bound: Mapping[str, Sequence[str]]) -> None:
        self._bound = bound
        self._order = [(tenant.name, name) for tenant in blueprint.tenants for name in tenant.namespaces]
        self._owner_of = {name: owner for owner, name in self._order}
        self._count = {tenant.name: len(tenant.workspaces) for tenant in blueprint.tenants}
        self._starts = {owner: index for index, (owner, _) in reversed(list(enumerate(self._order)))}

    def of(self, tenant: str, owners: frozenset[str], subjects: Sequence[str]) -> list[str]:
        """Those of all tenants but `owners`; `subjects` are the names that bindings may have."""
        sample = dict.fromkeys(islice(_after(self._order, self._starts[tenant], owners), SAMPLE))
        suspects = {name for subject in (*subjects, EVERYONE) for name in self._bound.get(subject, ())}
        foreign = sorted(name for name in suspects if self._owner_of.get(name, tenant) not in owners)
        return list(sample | dict.fromkeys(foreign[:SUSPECTS]))

    def others(self, owners: frozenset[str]) -> int:
        """How many namespaces there are of all tenants but `owners`."""
        return len(self._order) - sum(self._count[owner] for owner in owners)


def _apart(tenant: TenantPlan, sharers: Mapping[str, frozenset[str]]) -> list[tuple[frozenset[str], tuple[str, ...]]]:
    """The tenant's groups, those together that the same tenants share."""
    together: dict[frozenset[str], list[str]] = defaultdict(list)
    for group in groups_of(tenant):
        together[sharers[group]].append(group)
    if not together:
        together[frozenset({tenant.name})] = []
    return sorted(((owners, tuple(groups)) for owners, groups in together.items()), key=lambda item: item[1])


def _after(order: Sequence[tuple[str, str]], start: int, owners: frozenset[str]) -> Iterator[str]:
    """Namespaces of all but `owners`, from `start` on and round to it again."""
    for step in range(len(order)):
        owner, name = order[(start + step) % len(order)]
        if owner not in owners:
            yield name


def _sharers(tenants: Sequence[TenantPlan]) -> dict[str, frozenset[str]]:
    """Group -> the tenants that name it: its members are at home in all of them."""
    found: dict[str, set[str]] = defaultdict(set)
    for tenant in tenants:
        for group in groups_of(tenant):
            found[group].add(tenant.name)
    return {group: frozenset(owners) for group, owners in found.items()}


def _unplanned_bindings(context: Context) -> dict[str, list[str]]:
    """Group or person -> namespaces with a RoleBinding of it that is not the blueprint's; empty where we may not read
    them."""
    planned = {
        (item.manifest["metadata"]["namespace"], item.manifest["metadata"]["name"])
        for tenant in context.blueprint.tenants
        for workspace in tenant.workspaces
        for item in workspace.objects
        if item.manifest["kind"] == _BINDING.kind
    }
    try:
        live = context.client.list(_BINDING)
    except ApiError as error:
        if error.status == 403:
            return {}
        raise
    found: dict[str, list[str]] = defaultdict(list)
    for binding in live:
        namespace, name = binding["metadata"]["namespace"], binding["metadata"]["name"]
        for subject in binding.get("subjects", []) if (namespace, name) not in planned else ():
            if subject["kind"] in ("Group", "User"):
                found[subject["name"]].append(namespace)
    return found


def _extra(user: Client, strangers: Strangers, namespace: str) -> list[str]:
    """Rules that a tenant's groups have in a foreign namespace and a mere account has not."""
    more = rules(user, namespace) - strangers.rules(namespace)
    return [f"may, by its rules in namespace {namespace}: {few(sorted(more))}"] if more else []


def _quotes(answers: Sequence[Answer]) -> str:
    """One answer of each sort, verbatim."""
    wanted = ("list secrets in", "list pods in", "ask for a service account's token", "patch ResourceQuota")
    first = (next((a for a in answers if a.attempt.what.startswith(start)), None) for start in wanted)
    return ", ".join(f'"{answer.said}"' for answer in first if answer)


def _asked(member: Member | Person) -> str:
    if isinstance(member, Person):
        return (
            f"Asked for the rules of {member.name} in {', '.join(member.foreign) or 'no namespace: there is no other'}"
        )
    groups = ", ".join(member.groups) or "no group"
    where = ", ".join(member.foreign)
    return f"Asked with {groups} about {where} ({member.sample} of other tenants' {member.others} namespaces)"
