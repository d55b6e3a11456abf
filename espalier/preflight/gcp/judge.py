"""Compares what a stack needs with what Google Cloud answered. Pure: asks nobody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from espalier.catalogue import catalogue
from espalier.preflight.close import close_to
from espalier.preflight.gcp.facts import Facts, Quota, Reserved
from espalier.preflight.gcp.permissions import apis_of, unjudged
from espalier.preflight.gcp.quotas import cpus_of, devices_of
from espalier.preflight.model import Finding, NotAsked, doubt, not_judged, ok, shortened, wrong
from espalier.preflight.needs import COUNTED_TWICE, GroupNeed, Needs, held
from espalier.preflight.parts import part_findings
from espalier.preflight.versions import minor, older_nodes, step
from espalier.settings.gke import Gke


def findings(needs: Needs, facts: Facts) -> list[Finding]:
    """All findings, in the order in which people ask."""
    cluster = needs.cluster
    assert isinstance(cluster, Gke)  # noqa: S101 - of its own kind
    return [
        *_project(cluster, needs, facts),
        *_permissions(needs, facts),
        *_cluster(cluster, needs, facts),
        *_names(facts),
        *_given(facts),
        *part_findings(needs, facts.parts),
        *_quotas(needs, facts),
        *_zones(needs, facts),
        *_reservations(needs, facts),
    ]


def _project(cluster: Gke, needs: Needs, facts: Facts) -> Iterator[Finding]:
    what = f"project {cluster.project}"
    if isinstance(facts.project, NotAsked):
        do = "Log in as someone who may see it, or correct espalier:cluster.project."
        yield wrong(what, f"{facts.caller} cannot see it: {facts.project.why}", do)
    elif facts.project != "ACTIVE":
        yield wrong(what, f"its state is {facts.project}", "Restore it, or name another project.")
    else:
        yield ok(what, f"active; asked as {facts.caller}")
    if isinstance(facts.apis, NotAsked):
        yield not_judged("APIs", facts.apis)
        return
    off = [api for api in apis_of(needs.types()) if api not in facts.apis]
    if not off:
        yield ok("APIs", "all that are needed are on")
    elif cluster.enable_apis:
        yield ok("APIs", f"{shortened(off)}: switched on by `up`")
    else:
        do = f"gcloud services enable {' '.join(off)} --project {cluster.project}; or set enable-apis: true."
        yield wrong("APIs", f"off: {shortened(off)}", do)


def _permissions(needs: Needs, facts: Facts) -> Iterator[Finding]:
    if unknown := unjudged(needs.types()):
        yield not_judged("permissions", NotAsked(f"what {shortened(unknown)} needs is not known to Espalier"), "Look.")
    if isinstance(facts.lacking, NotAsked):
        yield not_judged("permissions", facts.lacking)
        return
    for permission in facts.lacking:
        yield wrong(f"permission {permission}", f"{facts.caller} has it not", "Grant a role that holds it.")
    if not facts.lacking:
        yield ok("permissions", "all that is needed is granted")


def _cluster(cluster: Gke, needs: Needs, facts: Facts) -> Iterator[Finding]:
    what, found = f"cluster {needs.plan.name}", facts.cluster
    if isinstance(found, NotAsked):
        yield not_judged(what, found)
    elif found is None:
        if needs.given:
            do = "Correct espalier:cluster.name, region or project."
            yield wrong(what, "the stack adds pools to it, but it is not there", do)
        else:
            yield ok(what, "the name is free")
    elif not needs.given and not _is_ours(needs, found.labels):
        do = "Give espalier:cluster.name another value, or delete that cluster."
        yield wrong(what, "there is one already, without the labels that this stack gives", do)
    else:
        yield step(what, found.version, cluster.version)
        yield from older_nodes(found.pools, cluster.version)
    yield _version(cluster, facts)


def _is_ours(needs: Needs, labels: Mapping[str, str]) -> bool:
    given = [
        inputs.get("resourceLabels") for type_, inputs in needs.resources if type_ == "gcp:container/cluster:Cluster"
    ]
    wanted = [each for each in given if isinstance(each, Mapping) and each]
    return any(all(labels.get(str(key)) == value for key, value in each.items()) for each in wanted)


def _stands(needs: Needs, facts: Facts) -> bool:
    """Whether nodes of this stack may run already."""
    found = facts.cluster
    if found is None or isinstance(found, NotAsked):
        return False
    if needs.given:
        return any(group.group in found.pools for group in needs.groups)
    return _is_ours(needs, found.labels)


def _version(cluster: Gke, facts: Facts) -> Finding:
    what = f"Kubernetes {cluster.version} in channel {cluster.channel}"
    if isinstance(facts.versions, NotAsked):
        return not_judged(what, facts.versions)
    there = facts.versions.get(cluster.channel, ())
    fit = [version for version in there if minor(version) == minor(cluster.version)]
    if fit:
        return ok(what, shortened(fit))
    others = sorted(
        channel
        for channel, versions in facts.versions.items()
        if any(minor(v) == minor(cluster.version) for v in versions)
    )
    minors = sorted({f"1.{minor(version)}" for version in there})
    do = f"Take channel {' or '.join(others)}, or another version." if others else "Take another version."
    return wrong(what, f"the channel has {shortened(minors, 9) or 'none'}", do)


def _names(facts: Facts) -> Iterator[Finding]:
    """Of a cluster that stands already, the names are its own."""
    if facts.cluster is not None and not isinstance(facts.cluster, NotAsked):
        return
    for what, answer in sorted(facts.taken.items()):
        if answer is not None:
            yield not_judged(what, answer)
        else:
            do = "Delete it, or give the cluster another name."
            if what.startswith("key ring "):
                do = "A key ring is never deleted: name its keys under espalier:cluster.keys, secrets and disks, or "
                do += "give the cluster another name."
            yield wrong(what, "there already, though the cluster is not", do)


def _given(facts: Facts) -> Iterator[Finding]:
    for what, found in sorted(facts.network.items()):
        if isinstance(found, NotAsked):
            yield not_judged(what, found)
        elif found is None:
            yield wrong(what, "there is none of this name", "Correct espalier:cluster.network.")
        else:
            yield ok(what, found)
    for key, state in sorted(facts.keys.items()):
        if isinstance(state, NotAsked):
            yield not_judged(f"key {key}", state)
        elif state != "ENABLED":
            got = f"its state is {state}" if state else "there is no such key"
            yield wrong(f"key {key}", got, "Enable it, or name another under espalier:cluster.keys.")
        else:
            yield ok(f"key {key}", "enabled")


def _quotas(needs: Needs, facts: Facts) -> Iterator[Finding]:
    """All groups at their largest together with what is in use now, their own nodes with it."""
    if isinstance(facts.quotas, NotAsked):
        yield not_judged("quotas", facts.quotas)
        return
    wanted: dict[str, list[tuple[GroupNeed, int]]] = {}
    for group in needs.groups:
        if group.kind == "reserved":
            continue  # counted when it was reserved
        spot = group.kind in ("spot", "flex")
        if cpus := cpus_of(group.machine, spot=spot, known=facts.quotas):
            wanted.setdefault(cpus, []).append((group, group.vcpu))
        if group.devices:
            metric = devices_of(_cloud_name(group), spot=spot)
            if metric is None:
                why = NotAsked(f"the region does not tell of {_cloud_name(group) or group.machine}; Cloud Quotas does")
                yield not_judged(
                    f"quota of {group.accelerator} for {group.group}", why, "Look at it under IAM, Quotas."
                )
            else:
                wanted.setdefault(metric, []).append((group, group.devices))
    for metric, groups in sorted(wanted.items()):
        yield _quota(metric, groups, facts.quotas, needs, standing=_stands(needs, facts))


def _cloud_name(group: GroupNeed) -> str:
    machine = catalogue().machines("gcp").get(group.machine)
    return machine.cloud_accelerator if machine else ""


def _quota(
    metric: str,
    groups: list[tuple[GroupNeed, int]],
    quotas: Mapping[str, Quota],
    needs: Needs,
    *,
    standing: bool,
) -> Finding:
    what, quota = f"quota {metric} in {needs.plan.region}", quotas.get(metric)
    need = sum(group.maximum * each for group, each in groups)
    told = ", ".join(f"{group.group} {group.maximum} x {each}" for group, each in groups)
    if quota is None:
        return not_judged(what, NotAsked(f"the region does not list it; {need} wanted at most ({told})"))
    got = f"{need} at most ({told}); quota {quota.limit:.0f}, {quota.usage:.0f} in use"
    if need + quota.usage <= quota.limit:
        return ok(what, got)
    if need <= quota.limit and standing:
        left = quota.limit - need
        do = f"See that no more than {left:.0f} is used by others, or ask for more (IAM, Quotas)."
        return doubt(what, f"{got}; {COUNTED_TWICE}", do)
    do = f"Ask for {need + quota.usage:.0f} or more (IAM, Quotas), or lower nodes.max."
    return wrong(what, got, do)


def _zones(needs: Needs, facts: Facts) -> Iterator[Finding]:
    """Machines, and the accelerators that are attached to machines, in the zones of each group."""
    if isinstance(facts.machines, NotAsked):
        yield not_judged("machine types in zones", facts.machines)
        return
    for group in needs.groups:
        for machine in group.machines:
            yield _offered(f"{machine} for {group.group}", group, machine, facts.machines, needs.plan.region)
        name = _cloud_name(group)
        if not name.startswith("nvidia-"):
            continue
        if isinstance(facts.accelerators, NotAsked):
            yield not_judged(f"{name} for {group.group}", facts.accelerators)
        else:
            yield _offered(f"{name} for {group.group}", group, "", facts.accelerators, needs.plan.region)


def _offered(what: str, group: GroupNeed, machine: str, offered: Mapping[str, frozenset[str]], region: str) -> Finding:
    there = offered.get(what.partition(" ")[0], frozenset())
    lacking = [zone for zone in group.zones if zone not in there]
    if not there:
        near = f"Close to it there: {close_to('gcp', group, machine, offered)}; or take" if machine else "Take"
        return wrong(what, f"no zone of {region} has it", f"{near} another region.")
    zones = f"Set the pool's zones to some of {shortened(sorted(there), 6)}."
    if len(lacking) == len(group.zones):
        return wrong(what, f"not in {shortened(lacking, 6)}", zones)
    return (
        doubt(what, f"not in {shortened(lacking, 6)}", zones)
        if lacking
        else ok(what, f"in {shortened(group.zones, 6)}")
    )


def _reservations(needs: Needs, facts: Facts) -> Iterator[Finding]:
    for group in needs.groups:
        if group.reservation is None:
            continue
        what = f"reservation {group.reservation.id} for {group.group}"
        if isinstance(facts.reservations, NotAsked):
            yield not_judged(what, facts.reservations)
        elif (found := facts.reservations.get(group.reservation.id)) is None:
            got = f"not in {shortened(group.reservation.zones or group.zones)} of this project"
            yield wrong(what, got, "Correct the pool's reservation.")
        else:
            yield _reservation(what, group, found, *held(needs.groups, group))


def _reservation(what: str, group: GroupNeed, found: Reserved, count: int, told: str) -> Finding:
    got = f"{found.count} {found.machine} in {found.zone}, {found.used} in use, {found.status.lower()}"
    if found.machine not in group.machines:
        return wrong(
            what, f"{got}; the pool's machine is {group.machine}", "Name that machine, or another reservation."
        )
    if group.zones and found.zone not in group.zones:
        return wrong(what, f"{got}; the pool is in {shortened(group.zones)}", f"Set its zones to [{found.zone}].")
    if found.count < count:
        return wrong(what, f"{got}; {told}", f"Lower nodes.max to {found.count} in all, or reserve more.")
    if found.status != "READY":
        return doubt(what, got, "It is not ready yet: the pool has no nodes before.")
    if not found.specific:
        return doubt(what, f"{got}; any machine of the project may take it", "Make it one that must be named.")
    return ok(what, got)
