"""What tenants may do: nothing that lifts their own ceiling, walls or rights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from espalier.policies.resources import Index, Tenancy, describe, index_of
from espalier.policies.values import at, is_hidden, listing, mapping, texts
from espalier.types import Finding, Registered, Rule

RBAC = "rbac.authorization.k8s.io"
# Kubernetes' own edit and admin let their holder change NetworkPolicies and act as any service account.
_TOO_BROAD = frozenset(("cluster-admin", "admin", "edit"))
_HARMLESS = ("ClusterRole", "view")
_READS = frozenset(("get", "list", "watch"))
_ESCALATES = frozenset(("escalate", "bind", "impersonate"))
_PROTECTED = frozenset(("limitranges", "namespaces", "networkpolicies", "resourcequotas", "roles"))
_EVERYONE = frozenset(("system:authenticated", "system:unauthenticated", "system:serviceaccounts"))
Members = Mapping[str, frozenset[str]]
"""Names of the tenants' groups and people, by the kind of subject that they are."""


def least_privilege(resources: Sequence[Registered], facts: Mapping[str, Any] | None) -> Iterator[Finding | str]:
    """Roles and bindings of tenants hold no wildcard, no administrator, no way to more rights."""
    index = index_of(resources)
    tenancy = index.tenancy(facts)
    yield from tenancy.unclear
    if tenancy.namespaces:
        yield from _judge_roles(index, tenancy)
        yield from _judge_bindings(index, tenancy)
    yield from _judge_cluster_bindings(index, tenancy, facts)


def _judge_roles(index: Index, tenancy: Tenancy) -> Iterator[Finding | str]:
    roles = index.placed(RBAC, "Role")
    yield from (f"{describe(role)}: its namespace is not known" for role in roles.unplaced)
    for namespace in tenancy.namespaces:
        for role in roles.within(namespace):
            yield from _judge_rules(role)


def _judge_bindings(index: Index, tenancy: Tenancy) -> Iterator[Finding | str]:
    """Bindings in tenant namespaces; a ClusterRole that one refers to is judged as if it were a Role there."""
    bindings, roles = index.placed(RBAC, "RoleBinding"), index.placed(RBAC, "Role")
    cluster_roles = _by_name(index.of(RBAC, "ClusterRole"))
    yield from (f"{describe(binding)}: its namespace is not known" for binding in bindings.unplaced)
    referred: set[str] = set()
    for namespace in tenancy.namespaces:
        own = _by_name(roles.within(namespace))
        for binding in bindings.within(namespace):
            kind, name = _role_of(binding)
            if kind == "ClusterRole" and name in cluster_roles:
                referred.add(name)
            yield from _judge_binding(binding, cluster_roles if kind == "ClusterRole" else own)
    for role in (role for name in sorted(referred) for role in cluster_roles[name]):
        yield from _judge_rules(role)


def _judge_binding(binding: Registered, registered: Mapping[str, Sequence[Registered]]) -> Iterator[Finding | str]:
    kind, name = _role_of(binding)
    if not name:
        yield f"{describe(binding)}: the role that it binds is not known"
    elif kind == "ClusterRole" and name in _TOO_BROAD:
        advice = "bind a role that holds only what the tenant needs"
        yield Finding(binding.urn, f"{describe(binding)}: binds ClusterRole {name}; {advice}")
    elif name not in registered and (kind, name) != _HARMLESS:
        yield f"{describe(binding)}: {kind} {name} is not among the registered resources"


def _by_name(roles: Sequence[Registered]) -> dict[str, list[Registered]]:
    named: dict[str, list[Registered]] = {}
    for role in roles:
        name = at(role.props, "metadata", "name")
        if isinstance(name, str):
            named.setdefault(name, []).append(role)
    return named


def _role_of(binding: Registered) -> tuple[str, str]:
    """Kind and name of the role that is bound, both "" where either cannot be read."""
    kind, name = at(binding.props, "roleRef", "kind"), at(binding.props, "roleRef", "name")
    return (kind, name) if isinstance(kind, str) and isinstance(name, str) else ("", "")


def _judge_rules(role: Registered) -> Iterator[Finding | str]:
    if at(role.props, "aggregationRule"):
        yield f"{describe(role)}: its rules are gathered in the cluster from other roles"
    rules = role.props.get("rules")
    unclear = is_hidden(rules)
    faults: set[str] = set()
    for rule in listing(rules):
        parts = [mapping(rule).get(key) for key in ("apiGroups", "resources", "verbs")]
        unclear = unclear or any(is_hidden(part) for part in (rule, *parts))
        unclear = unclear or any(is_hidden(item) for part in parts for item in listing(part))
        faults.update(_faults(*(frozenset(texts(part)) for part in parts)))
    if unclear:
        yield f"{describe(role)}: a part of its rules is not known"
    if faults:
        advice = "name only what the tenant needs"
        yield Finding(role.urn, f"{describe(role)}: {'; '.join(sorted(faults))}; {advice}")


def _faults(groups: frozenset[str], resources: frozenset[str], verbs: frozenset[str]) -> Iterator[str]:
    for what, values in (("apiGroups", groups), ("resources", resources), ("verbs", verbs)):
        if any("*" in value for value in values):
            yield f"a wildcard in {what}"
    if gained := sorted(verbs & _ESCALATES):
        yield f"the verbs {', '.join(gained)}"
    kept = sorted({resource.partition("/")[0] for resource in resources} & _PROTECTED)
    if kept and verbs - _READS:
        yield f"may change {', '.join(kept)}"


def _judge_cluster_bindings(index: Index, tenancy: Tenancy, facts: Mapping[str, Any] | None) -> Iterator[Finding | str]:
    """A ClusterRoleBinding reaches every namespace, so a tenant has none."""
    bindings = index.of(RBAC, "ClusterRoleBinding")
    members = _members(facts)
    if bindings and tenancy.namespaces and facts is None:
        yield "ClusterRoleBindings: no facts of a Platform are known, so the tenants' groups are not known"
    for binding in bindings:
        subjects = binding.props.get("subjects")
        entries = listing(subjects)
        fields = [value for entry in entries for value in mapping(entry).values()]
        if any(is_hidden(part) for part in (subjects, *entries, *fields)):
            yield f"{describe(binding)}: its subjects are not known"
        _, role = _role_of(binding)
        found = {
            member
            for entry in entries
            if (member := _tenant_member(mapping(entry), members, tenancy, role in _TOO_BROAD))
        }
        if found:
            advice = "bind a Role in the tenant's namespaces instead"
            text = f"{describe(binding)}: gives {', '.join(sorted(found))} rights in every namespace; {advice}"
            yield Finding(binding.urn, text)


def _members(facts: Mapping[str, Any] | None) -> Members:
    tenants = [mapping(tenant) for tenant in listing(mapping(facts).get("tenants"))]
    roles = [members for tenant in tenants for members in mapping(tenant.get("groups")).values()]
    return {
        "Group": frozenset(name for members in roles for name in texts(members)),
        "User": frozenset(name for tenant in tenants for name in texts(tenant.get("people"))),
    }


def _tenant_member(subject: Mapping[str, Any], members: Members, tenancy: Tenancy, broad: bool) -> str:
    """How to name a subject that is a tenant's, or everyone under a broad role; "" for any other."""
    kind, name, namespace = subject.get("kind"), subject.get("name"), subject.get("namespace")
    if not isinstance(name, str):
        return ""
    if kind == "ServiceAccount":
        return f"service account {namespace}/{name}" if _in_tenancy(namespace, tenancy) else ""
    if kind == "User":
        return f"user {name}" if name in members["User"] else ""
    if kind != "Group":
        return ""
    of_namespace = name.removeprefix("system:serviceaccounts:")
    theirs = name in members["Group"] or (of_namespace != name and _in_tenancy(of_namespace, tenancy))
    return f"group {name}" if theirs or (broad and name in _EVERYONE) else ""


def _in_tenancy(namespace: Any, tenancy: Tenancy) -> bool:
    return isinstance(namespace, str) and namespace in tenancy.namespaces


RULES = (
    Rule(
        "tenant-least-privilege",
        "mandatory",
        "No tenant holds a wildcard, an administrator's role, or a way to more rights, quota or network.",
        least_privilege,
        fix="Bind a Role in the tenant's namespaces that names only the API groups, resources and verbs it needs.",
    ),
)
