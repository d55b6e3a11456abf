"""Compares what a stack needs with what AWS answered. Pure: asks nobody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from espalier.preflight.aws.facts import Facts, Quota, Reserved
from espalier.preflight.aws.network import network_findings
from espalier.preflight.aws.permissions import unjudged
from espalier.preflight.aws.quotas import ADDRESSES, NETWORKS, Market, quota_of
from espalier.preflight.aws.settings import accounts_of, image_parameter
from espalier.preflight.close import close_to
from espalier.preflight.model import Finding, NotAsked, doubt, not_judged, ok, shortened, wrong
from espalier.preflight.needs import GroupNeed, Needs, held, largest
from espalier.preflight.parts import part_findings
from espalier.preflight.versions import older_nodes, step

Codes = Mapping[tuple[str, str], Quota]


def findings(needs: Needs, facts: Facts) -> list[Finding]:
    """All findings, in the order in which people ask."""
    return [
        *_identity(needs, facts),
        *_permissions(needs, facts),
        *_cluster(needs, facts),
        *_clashes(needs, facts),
        *network_findings(needs, facts, standing=_stands(needs, facts)),
        *_given(facts),
        *part_findings(needs, facts.parts),
        *_vcpus(needs, facts),
        *_pieces(needs, facts),
        *_offerings(needs, facts),
        *_reservations(needs, facts),
        *_images(needs, facts),
    ]


def _identity(needs: Needs, facts: Facts) -> Iterator[Finding]:
    expected = accounts_of(needs)
    if expected and facts.account not in expected:
        do = f"Take credentials of {shortened(expected)} (AWS_PROFILE), or correct the ARNs of the stack file."
        yield wrong("identity", f"{facts.caller}; the stack file names account {shortened(expected)}", do)
    else:
        yield ok("identity", f"{facts.caller} in {needs.plan.region}")


def _permissions(needs: Needs, facts: Facts) -> Iterator[Finding]:
    if unknown := unjudged(needs.types()):
        yield not_judged("permissions", NotAsked(f"what {shortened(unknown)} needs is not known to Espalier"), "Look.")
    if isinstance(facts.denied, NotAsked):
        do = "Allow iam:SimulatePrincipalPolicy on the caller itself, or look by hand."
        yield not_judged("permissions", facts.denied, do)
        return
    for each in facts.denied:
        what = f"permission {each.action}"
        if each.unsure and not each.explicit:
            yield doubt(what, "allowed under conditions that cannot be judged here", "See that its conditions hold.")
        else:
            why = "forbidden by a policy" if each.explicit else "allowed by no policy"
            yield wrong(what, f"{why} of {facts.caller}", "Allow it to whoever runs `up`.")
    if not facts.denied:
        yield ok("permissions", "all actions of what is made are allowed")


def _cluster(needs: Needs, facts: Facts) -> Iterator[Finding]:
    name, wanted, found = needs.plan.name, needs.cluster.version, facts.cluster
    what = f"cluster {name}"
    if isinstance(found, NotAsked):
        yield not_judged(what, found)
    elif needs.given and found is None:
        yield wrong(what, "the stack adds pools to it, but it is not there", "Correct espalier:cluster.name or region.")
    elif found is not None and not needs.given and not _is_ours(needs, "aws:eks/cluster:Cluster", found.tags):
        do = "Give espalier:cluster.name another value, or delete that cluster."
        yield wrong(what, "there is one already, without the tags that this stack gives", do)
    elif found is not None:
        yield step(what, found.version, wanted)
        yield from older_nodes(found.groups, wanted)
    else:
        yield ok(what, "the name is free")
    yield _version(needs, facts)


def _version(needs: Needs, facts: Facts) -> Finding:
    wanted, known = needs.cluster.version, facts.versions
    what = f"Kubernetes {wanted}"
    if isinstance(known, NotAsked):
        return not_judged(what, known)
    if wanted not in known:
        return wrong(what, f"EKS has {shortened(sorted(known), 9)}", "Choose one of these as espalier:cluster.version.")
    if known[wanted] != "STANDARD_SUPPORT":
        do = "Upgrade: extended support costs more for each cluster and hour."
        return doubt(what, known[wanted].lower().replace("_", " "), do)
    return ok(what, "standard support")


def _is_ours(needs: Needs, kind: str, tags: Mapping[str, str]) -> bool:
    """Whether a thing carries every tag that the program gives to its own; one without tags cannot be told."""
    given = [inputs.get("tags") for type_, inputs in needs.resources if type_ == kind]
    wanted = [tag for tag in given if isinstance(tag, Mapping) and tag]
    return any(all(tags.get(str(key)) == value for key, value in tag.items()) for tag in wanted)


def _stands(needs: Needs, facts: Facts) -> bool:
    """Whether nodes of this stack may run already, and have addresses of its subnets."""
    found = facts.cluster
    if found is None or isinstance(found, NotAsked):
        return False
    if needs.given:
        return any(group.group in found.groups for group in needs.groups)
    return _is_ours(needs, "aws:eks/cluster:Cluster", found.tags)


def _clashes(needs: Needs, facts: Facts) -> Iterator[Finding]:
    kinds = {"role": "aws:iam/role:Role", "log group": "aws:cloudwatch/logGroup:LogGroup"}
    for what, tags in sorted(facts.taken.items()):
        kind = next(type_ for word, type_ in kinds.items() if what.startswith(word))
        if isinstance(tags, NotAsked):
            yield not_judged(what, tags)
        elif not _is_ours(needs, kind, tags):
            yield wrong(what, "there already, without the tags that this stack gives", "Delete or rename it.")


def _given(facts: Facts) -> Iterator[Finding]:
    for key, state in sorted(facts.keys.items()):
        if isinstance(state, NotAsked):
            yield not_judged(f"key {key}", state)
        elif state != "Enabled":
            got = f"its state is {state}" if state else "there is no such key in this account and region"
            yield wrong(f"key {key}", got, "Enable it, or name another under espalier:cluster.keys.")
        else:
            yield ok(f"key {key}", "enabled")
    for role, there in sorted(facts.roles.items()):
        if isinstance(there, NotAsked):
            yield not_judged(f"role {role}", there)
        elif not there:
            yield wrong(f"role {role}", "there is no such role", "Make it, or correct its ARN.")
        else:
            yield ok(f"role {role}", "is there")
    for what, there in sorted(facts.named.items()):
        if isinstance(there, NotAsked):
            yield not_judged(what, there)
        else:
            do = "Make it, or correct it under espalier:cluster."
            yield ok(what, "is there") if there else wrong(what, "there is none in this account and region", do)


def _vcpus(needs: Needs, facts: Facts) -> Iterator[Finding]:
    """Each quota against all groups at their largest that count against it, and what else runs there."""
    if isinstance(facts.quotas, NotAsked):
        yield not_judged("vCPU quotas", facts.quotas, "Allow servicequotas:ListServiceQuotas.")
        return
    codes = {code for service, code in facts.quotas if service == "ec2"}
    wanted: dict[str, list[GroupNeed]] = {}
    for group in needs.groups:
        if group.kind == "reserved":
            continue  # counted when it was reserved
        market: Market = "spot" if group.kind == "spot" else "on-demand"
        code = quota_of(group.machine, market, codes)
        if code is None:
            yield doubt(f"quota of {group.machine} ({market})", "not known to Espalier", "Look in Service Quotas.")
        else:
            wanted.setdefault(code, []).append(group)
    for code, groups in sorted(wanted.items()):
        yield _vcpu(code, groups, facts.quotas, facts, codes)


def _vcpu(code: str, groups: list[GroupNeed], quotas: Codes, facts: Facts, codes: set[str]) -> Finding:
    quota = quotas.get(("ec2", code))
    if quota is None:
        return doubt(f"quota {code}", "the region does not list it", "Look in Service Quotas.")
    elsewhere, told = 0, "use elsewhere not known"
    if not isinstance(facts.running, NotAsked):
        elsewhere = sum(
            each.vcpu for each in facts.running if quota_of(each.type, _market(spot=each.spot), codes) == code
        )
        told = f"{elsewhere} in use elsewhere"
    need = sum(group.maximum * group.vcpu for group in groups)
    got = f"{need} vCPUs at most ({largest(groups)}); quota {quota.value:.0f}, {told}"
    what = f"quota {code} {quota.name}"
    if need + elsewhere <= quota.value:
        return ok(what, got)
    do = (
        f"Ask for {need + elsewhere} or more: aws service-quotas request-service-quota-increase --service-code ec2 "
        f"--quota-code {code} --desired-value {need + elsewhere}; or lower nodes.max."
    )
    return wrong(what, got, do)


def _market(*, spot: bool) -> Market:
    return "spot" if spot else "on-demand"


def _pieces(needs: Needs, facts: Facts) -> Iterator[Finding]:
    """Quotas that count pieces; what stands already is in their number."""
    if isinstance(facts.quotas, NotAsked) or facts.cluster is not None:
        return
    for kind, key, there in (
        ("aws:ec2/eip:Eip", ADDRESSES, facts.addresses),
        ("aws:ec2/vpc:Vpc", NETWORKS, facts.networks),
    ):
        count, quota = needs.count(kind), facts.quotas.get(key)
        if not count or quota is None:
            continue
        what = f"quota {key[1]} {quota.name}"
        if isinstance(there, NotAsked):
            yield not_judged(what, there)
            continue
        got = f"{count} made, {there} there already; quota {quota.value:.0f}"
        do = f"Ask for {count + there} or more in Service Quotas, or release some."
        yield ok(what, got) if count + there <= quota.value else wrong(what, got, do)


def _offerings(needs: Needs, facts: Facts) -> Iterator[Finding]:
    if isinstance(facts.offered, NotAsked):
        yield not_judged("instance types in zones", facts.offered)
        return
    for group in needs.groups:
        for machine in group.machines:
            yield _offering(group, machine, facts.offered, needs.plan.region)


def _offering(group: GroupNeed, machine: str, offered: Mapping[str, frozenset[str]], region: str) -> Finding:
    what = f"{machine} for {group.group}"
    there = offered.get(machine, frozenset())
    lacking = [zone for zone in group.zones if zone not in there]
    if not there:
        near = close_to("aws", group, machine, offered)
        return wrong(what, f"{region} has none", f"Close to it there: {near}; or take another region.")
    if len(lacking) == len(group.zones):
        do = f"Set the pool's zones to some of {shortened(sorted(there), 6)}."
        return wrong(what, f"not in {shortened(lacking, 6)}", do)
    if lacking:
        do = f"Set the pool's zones to {shortened(sorted(there & {*group.zones}), 6)}."
        return doubt(what, f"not in {shortened(lacking, 6)}, where this group tries, too", do)
    return ok(what, f"in {shortened(group.zones, 6)}")


def _reservations(needs: Needs, facts: Facts) -> Iterator[Finding]:
    wanted = [(group.reservation.id, group) for group in needs.groups if group.reservation is not None]
    for name, group in sorted(wanted, key=lambda each: (each[0], each[1].pool)):
        what = f"reservation {name} for {group.pool}"
        if name in facts.groups:
            yield _group(f"reservations {name} for {group.pool}", group, facts.groups[name], held(needs.groups, group))
        elif isinstance(facts.reservations, NotAsked):
            yield not_judged(what, facts.reservations)
        elif name not in facts.reservations:
            yield not_judged(what, NotAsked("it was not looked up"))
        elif (found := facts.reservations[name]) is None:
            yield wrong(what, f"not in {needs.plan.region} of this account", "Correct the pool's reservation.id.")
        else:
            yield _reservation(what, group, found, facts, *held(needs.groups, group))


def _reservation(what: str, group: GroupNeed, found: Reserved, facts: Facts, count: int, told: str) -> Finding:
    ends = f", ends {found.ends:%Y-%m-%d %H:%M} UTC" if found.ends else ""
    kind = "capacity block" if found.block else "reservation"
    got = f"{kind} of {found.total} {found.type} in {found.zone}, {found.available} free, {found.state}{ends}"
    if found.type not in group.machines:
        return wrong(
            what, f"{got}; the pool's machine is {group.machine}", "Name that machine, or another reservation."
        )
    if group.zones and found.zone not in group.zones:
        return wrong(what, f"{got}; the pool is in {shortened(group.zones)}", f"Set its zones to [{found.zone}].")
    assert group.reservation is not None  # noqa: S101 - the caller's
    if found.block != (group.reservation.type == "capacity-block"):
        word = "capacity-block" if found.block else "reservation"
        return wrong(what, got, f"Set the pool's reservation.type to {word}.")
    if found.state in ("expired", "cancelled", "failed") or (found.ends and found.ends <= facts.now):
        return wrong(what, got, "Buy or make another, and name it.")
    if found.state in ("scheduled", "pending", "payment-pending", "assessing", "delayed"):
        return doubt(what, got, "It is not there yet: the pool has no nodes before it starts.")
    if found.total < count:
        return wrong(what, f"{got}; {told}", f"Lower nodes.max to {found.total} in all, or reserve more.")
    return ok(what, got)


def _group(
    what: str, group: GroupNeed, members: tuple[Reserved, ...] | NotAsked | None, wanted: tuple[int, str]
) -> Finding:
    """A resource group of reservations: machines of its members count together."""
    if isinstance(members, NotAsked):
        return not_judged(what, members)
    if members is None:
        return wrong(what, "there is no such resource group", "Correct the pool's reservation.id.")
    got = ", ".join(f"{one.total} {one.type} in {one.zone}, {one.state}" for one in members) or "no reservation in it"
    zones = group.zones or tuple(one.zone for one in members)
    fit = [one for one in members if one.type in group.machines and one.zone in zones and one.state == "active"]
    count = sum(one.total for one in fit)
    if not count:
        return wrong(what, f"{got}; the pool's are {group.machine} in {shortened(zones)}", "Add such, or change it.")
    if count < wanted[0]:
        do = f"Lower nodes.max to {count} in all, or reserve more."
        return wrong(what, f"{got}; {wanted[1]}", do)
    return ok(what, got)


def _images(needs: Needs, facts: Facts) -> Iterator[Finding]:
    for group in needs.plan.groups:
        need = next(each for each in needs.groups if each.group == group.name)
        parameter = image_parameter(needs, group, need.release)
        if parameter is None or parameter not in facts.images:
            continue
        what, found = f"node image of {group.name}", facts.images[parameter]
        if isinstance(found, NotAsked):
            yield not_judged(what, found)
        elif found is None:
            do = "Correct the pool's image.release, or leave it out for the newest."
            yield wrong(what, f"{parameter} is not there", do if need.release else "Take another version or image.os.")
        else:
            yield ok(what, found)
