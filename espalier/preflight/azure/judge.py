"""Compares what a stack needs with what Azure answered. Pure: asks nobody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from espalier.preflight.azure.facts import Facts, Reserved, Size, Usage
from espalier.preflight.azure.permissions import actions_of, is_allowed, unjudged
from espalier.preflight.close import close_to
from espalier.preflight.model import Finding, NotAsked, doubt, not_judged, ok, shortened, wrong
from espalier.preflight.needs import COUNTED_TWICE, GroupNeed, Needs, held, largest
from espalier.preflight.parts import part_findings
from espalier.preflight.versions import older_nodes, step
from espalier.settings.aks import Aks

_SPOT, _ALL = "lowprioritycores", "cores"
"""Azure's names of the vCPU quotas of spot and of all else together (Compute usages)."""


def findings(needs: Needs, facts: Facts) -> list[Finding]:
    """All findings, in the order in which people ask."""
    cluster = needs.cluster
    assert isinstance(cluster, Aks)  # noqa: S101 - of its own kind
    return [
        ok("subscription", facts.subscription),
        *_group(cluster, facts),
        *_permissions(needs, facts),
        *_cluster(needs, facts),
        *_network(needs, facts),
        *_encryption(facts),
        *part_findings(needs, facts.parts),
        *_quotas(needs, facts),
        *_sizes(needs, facts),
        *_reservations(needs, facts),
    ]


def _group(cluster: Aks, facts: Facts) -> Iterator[Finding]:
    if cluster.resource_group is None:
        return
    what = f"resource group {cluster.resource_group}"
    if isinstance(facts.group, NotAsked):
        yield not_judged(what, facts.group)
    elif not facts.group:
        yield wrong(what, "there is none", "Make it, or leave resource-group out: one is made then.")
    else:
        yield ok(what, "is there")


def _permissions(needs: Needs, facts: Facts) -> Iterator[Finding]:
    if unknown := unjudged(needs.types()):
        yield not_judged("permissions", NotAsked(f"what {shortened(unknown)} needs is not known to Espalier"), "Look.")
    if isinstance(facts.allowed, NotAsked):
        yield not_judged("permissions", facts.allowed, "See that the deployer may make what `plan` lists.")
        return
    lacking = [action for action in actions_of(needs.types()) if not is_allowed(action, facts.allowed)]
    for action in lacking:
        yield wrong(f"permission {action}", "no role of the caller grants it", "Assign a role that does.")
    if not lacking:
        yield ok("permissions", "all actions of what is made are granted")


def _cluster(needs: Needs, facts: Facts) -> Iterator[Finding]:
    what, found, wanted = f"cluster {needs.plan.name}", facts.cluster, needs.cluster.version
    if isinstance(found, NotAsked):
        yield not_judged(what, found)
    elif found is None and needs.given:
        do = "Correct espalier:cluster.name, resource-group or subscription."
        yield wrong(what, "the stack adds pools to it, but it is not there", do)
    elif found is None:
        yield ok(what, "the name is free")
    elif not needs.given and not _is_ours(needs, found.tags):
        do = "Give espalier:cluster.name another value, or delete that cluster."
        yield wrong(what, "there is one already, without the tags that this stack gives", do)
    else:
        yield step(what, found.version, wanted)
        yield from older_nodes(found.pools, wanted)
    yield _version(wanted, facts)


def _is_ours(needs: Needs, tags: Mapping[str, str]) -> bool:
    clusters = [inputs for type_, inputs in needs.resources if type_.endswith(":ManagedCluster")]
    wanted = [tag for inputs in clusters if isinstance(tag := inputs.get("tags"), Mapping) and tag]
    return any(all(tags.get(str(key)) == value for key, value in tag.items()) for tag in wanted)


def _stands(needs: Needs, facts: Facts) -> bool:
    """Whether nodes of this stack may run already."""
    found = facts.cluster
    if found is None or isinstance(found, NotAsked):
        return False
    if needs.given:
        return any(group.group in found.pools for group in needs.groups)
    return _is_ours(needs, found.tags)


def _version(wanted: str, facts: Facts) -> Finding:
    what = f"Kubernetes {wanted}"
    if isinstance(facts.versions, NotAsked):
        return not_judged(what, facts.versions)
    if wanted not in facts.versions:
        return wrong(what, f"the region has {shortened(sorted(facts.versions), 9)}", "Choose one of these.")
    if facts.versions[wanted]:
        return doubt(what, "a preview, without support", "Take an older minor for production.")
    return ok(what, "supported")


def _network(needs: Needs, facts: Facts) -> Iterator[Finding]:
    """Each node has one address; pods have a range of their own."""
    nodes = sum(group.maximum for group in needs.groups)
    for name, free in sorted(facts.subnets.items()):
        what = f"subnet {name}"
        if isinstance(free, NotAsked):
            yield not_judged(what, free)
        elif free is None:
            yield wrong(what, "there is none", "Correct espalier:cluster.network.subnets.")
        elif free < nodes and _stands(needs, facts):
            got = f"{free} addresses free; {nodes} nodes at most; {COUNTED_TWICE}"
            yield doubt(what, got, "See how many addresses its own nodes have.")
        elif free < nodes:
            yield wrong(what, f"{free} addresses free; {nodes} nodes at most", "Take a larger one, or lower nodes.max.")
        else:
            yield ok(what, f"{free} addresses free; {nodes} nodes at most")


def _encryption(facts: Facts) -> Iterator[Finding]:
    for name, there in sorted(facts.encryption_sets.items()):
        what = f"disk encryption set {name}"
        if isinstance(there, NotAsked):
            yield not_judged(what, there)
        else:
            do = "Correct espalier:cluster.keys.disks."
            yield ok(what, "is there") if there else wrong(what, "there is none", do)


def _quotas(needs: Needs, facts: Facts) -> Iterator[Finding]:
    """Each quota against all groups at their largest and what is in use now."""
    if isinstance(facts.usages, NotAsked):
        yield not_judged("vCPU quotas", facts.usages)
        return
    wanted: dict[str, list[GroupNeed]] = {}
    for group in needs.groups:
        if group.kind == "reserved":
            continue  # counted when it was reserved
        if group.kind == "spot":
            wanted.setdefault(_SPOT, []).append(group)
            continue
        wanted.setdefault(_ALL, []).append(group)
        size = None if isinstance(facts.sizes, NotAsked) else facts.sizes.get(group.machine)
        if size is not None:
            wanted.setdefault(size.family.lower(), []).append(group)
    for name, groups in sorted(wanted.items()):
        yield _quota(name, groups, facts.usages, needs, standing=_stands(needs, facts))


def _quota(name: str, groups: list[GroupNeed], usages: Mapping[str, Usage], needs: Needs, *, standing: bool) -> Finding:
    region = needs.plan.region
    usage = usages.get(name)
    need = sum(group.maximum * group.vcpu for group in groups)
    if usage is None:
        why = NotAsked(f"the region does not list it; {need} vCPUs wanted at most ({largest(groups)})")
        return not_judged(f"quota {name} in {region}", why)
    what = f"quota {usage.title} in {region}"
    got = f"{need} vCPUs at most ({largest(groups)}); quota {usage.limit}, {usage.used} in use"
    if need + usage.used <= usage.limit:
        return ok(what, got)
    if need <= usage.limit and standing:
        do = f"See that no more than {usage.limit - need} is used by others, or ask for more (Quotas in the portal)."
        return doubt(what, f"{got}; {COUNTED_TWICE}", do)
    return wrong(what, got, f"Ask for {need + usage.used} or more (Quotas in the portal), or lower nodes.max.")


def _sizes(needs: Needs, facts: Facts) -> Iterator[Finding]:
    if isinstance(facts.sizes, NotAsked):
        yield not_judged("VM sizes", facts.sizes)
        return
    for group in needs.groups:
        yield _size(group, facts.sizes, needs.plan.region)


def _size(group: GroupNeed, sizes: Mapping[str, Size], region: str) -> Finding:
    what, found = f"{group.machine} for {group.group}", sizes.get(group.machine)
    if found is None or found.refused:
        got = f"{region} has none" if found is None else f"the subscription may not use it: {found.refused}"
        near = close_to("azure", group, group.machine, [name for name, size in sizes.items() if not size.refused])
        ask = "" if found is None else "Ask Azure's support to allow it, or take another. "
        return wrong(what, got, f"{ask}Close to it there: {near}.")
    zones = [zone.rpartition("-")[2] for zone in group.zones]
    lacking = [zone for zone in zones if zone not in found.zones]
    if lacking:
        do = f"Set the pool's zones to {shortened(sorted(found.zones)) or 'none'}."
        return wrong(what, f"not in zone {shortened(lacking)}", do)
    return ok(what, f"in zone {shortened(zones)}" if zones else f"in {region}")


def _reservations(needs: Needs, facts: Facts) -> Iterator[Finding]:
    for group in needs.groups:
        if group.reservation is None:
            continue
        what = f"reservation {group.reservation.id} for {group.group}"
        found = facts.reservations.get(group.reservation.id)
        if isinstance(found, NotAsked):
            yield not_judged(what, found)
        elif found is None:
            yield wrong(what, "there is no such capacity reservation group", "Correct the pool's reservation.id.")
        else:
            yield _reservation(what, group, found, *held(needs.groups, group))


def _reservation(what: str, group: GroupNeed, members: tuple[Reserved, ...], wanted: int, told: str) -> Finding:
    got = ", ".join(f"{m.count} {m.size}{' in zone ' + '/'.join(m.zones) if m.zones else ''}" for m in members)
    fit = [member for member in members if member.size.lower() == group.machine.lower()]
    if not fit:
        return wrong(what, f"{got or 'empty'}; the pool's machine is {group.machine}", "Reserve that, or change it.")
    count = sum(member.count for member in fit)
    if count < wanted:
        do = f"Lower nodes.max to {count} in all, or reserve more (and one for each node of surge)."
        return wrong(what, f"{got}; {told}", do)
    return ok(what, got)
