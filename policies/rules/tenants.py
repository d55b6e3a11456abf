"""What every tenant namespace must have: a ceiling, a Pod Security level, and a wall on its network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from espalier.policies.devices import device_names
from espalier.policies.resources import TENANT_LABEL, describe, index_of
from espalier.policies.values import at, is_hidden, listing, mapping
from espalier.types import Finding, Registered, Rule

ENFORCE = "pod-security.kubernetes.io/enforce"
# A quota on "cpu" is the same as one on "requests.cpu" (Kubernetes, concepts/policy/resource-quotas).
_BASICS = (("requests.cpu", "cpu"), ("requests.memory", "memory"))


def quota(resources: Sequence[Registered], facts: Mapping[str, Any] | None) -> Iterator[Finding | str]:
    """Each tenant namespace caps requests of CPU, of memory, and of every device that the pools have."""
    index = index_of(resources)
    tenancy = index.tenancy(facts)
    yield from tenancy.unclear
    if facts is None and tenancy.namespaces:
        yield "devices: no facts of a Platform are known, so the devices that a quota must cap are not known"
    wanted = [*_BASICS, *((f"requests.{device}",) for device in sorted(device_names(facts)))]
    quotas = index.placed("core", "ResourceQuota")
    for namespace, urn in tenancy.namespaces.items():
        capped, unclear = _capped(quotas.within(namespace))
        missing = [names[0] for names in wanted if not capped.intersection(names)]
        if not missing:
            continue
        if unclear or quotas.unplaced:
            yield f"namespace {namespace}: a ResourceQuota's contents or namespace is not known"
        else:
            yield Finding(
                urn,
                f"namespace {namespace}: no ResourceQuota caps {', '.join(missing)}; "
                "add each to spec.hard, 0 where the tenant may have none",
            )


def _capped(quotas: Sequence[Registered]) -> tuple[set[str], bool]:
    """The resources capped for all pods, and whether something could not be read; a scoped quota caps only some."""
    capped: set[str] = set()
    unclear = False
    for item in quotas:
        spec = item.props.get("spec")
        hard = at(spec, "hard")
        scoped = at(spec, "scopes") or at(spec, "scopeSelector")
        unclear = unclear or is_hidden(hard) or is_hidden(scoped)
        if not scoped:
            capped.update(name for name, limit in mapping(hard).items() if limit is not None)
    return capped, unclear


def pod_security(resources: Sequence[Registered], facts: Mapping[str, Any] | None) -> Iterator[Finding | str]:
    """Each namespace with the tenant label enforces the baseline or the restricted level."""
    for namespace in index_of(resources).of("core", "Namespace"):
        labels = at(namespace.props, "metadata", "labels")
        if is_hidden(labels):
            yield f"{describe(namespace)}: its labels are not known"
            continue
        if mapping(labels).get(TENANT_LABEL) is None:
            continue
        level = mapping(labels).get(ENFORCE)
        if is_hidden(level):
            yield f"{describe(namespace)}: the level that it enforces is not known"
        elif level not in ("baseline", "restricted"):
            yield Finding(
                namespace.urn,
                f"{describe(namespace)}: label {ENFORCE} is {level!r}; set it to baseline or restricted",
            )


def default_deny(resources: Sequence[Registered], facts: Mapping[str, Any] | None) -> Iterator[Finding | str]:
    """Each tenant namespace has a NetworkPolicy that selects every pod and lets nothing in or out."""
    index = index_of(resources)
    tenancy = index.tenancy(facts)
    yield from tenancy.unclear
    policies = index.placed("networking.k8s.io", "NetworkPolicy")
    for namespace, urn in tenancy.namespaces.items():
        answers = [_denies_all(policy) for policy in policies.within(namespace)]
        if True in answers:
            continue
        if None in answers or policies.unplaced:
            yield f"namespace {namespace}: a NetworkPolicy's contents or namespace is not known"
        else:
            yield Finding(
                urn,
                f"namespace {namespace}: no NetworkPolicy denies by default; add one with podSelector {{}}, "
                "policyTypes [Ingress, Egress] and no rules",
            )


def _denies_all(policy: Registered) -> bool | None:
    """Whether the policy walls off every pod; None where a value that decides is hidden."""
    spec = policy.props.get("spec")
    selector = at(spec, "podSelector")
    types, ingress, egress = at(spec, "policyTypes"), at(spec, "ingress"), at(spec, "egress")
    if any(is_hidden(value) for value in (spec, selector, types, ingress, egress)):
        return None
    kinds = listing(types)
    return not selector and not ingress and not egress and "Ingress" in kinds and "Egress" in kinds


RULES = (
    Rule(
        "tenant-quota",
        "mandatory",
        "Every tenant namespace has a ceiling on CPU, memory and every device of the platform's pools.",
        quota,
        fix="Give the namespace a ResourceQuota that names requests.cpu, requests.memory and requests.<device>.",
    ),
    Rule(
        "tenant-pod-security",
        "mandatory",
        "Every tenant namespace enforces the baseline or the restricted Pod Security level.",
        pod_security,
        fix=f"Label the namespace {ENFORCE}: baseline (or restricted).",
        scope="resource",
    ),
    Rule(
        "tenant-default-deny",
        "mandatory",
        "Every tenant namespace denies all network traffic that no other policy allows.",
        default_deny,
        fix="Add a NetworkPolicy with podSelector {}, policyTypes [Ingress, Egress] and no rules.",
    ),
)
