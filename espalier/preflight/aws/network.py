"""The network that a stack names: whether it is there, and whether the pools have room in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from espalier.preflight.aws.facts import Facts, Subnet
from espalier.preflight.model import Finding, NotAsked, doubt, not_judged, ok, shortened, wrong
from espalier.preflight.needs import COUNTED_TWICE, Needs


def network_findings(needs: Needs, facts: Facts, *, standing: bool) -> Iterator[Finding]:
    """Nothing where the program makes the network itself. `standing`: the stack's own nodes may hold addresses."""
    network = needs.cluster.network
    if network.id is not None:
        yield _vpc(network.id, facts)
    if not network.subnets:
        return
    if isinstance(facts.subnets, NotAsked):
        yield not_judged("subnets", facts.subnets)
        return
    there: dict[str, Subnet] = {}
    for name in network.subnets:
        found = facts.subnets.get(name)
        if found is None:
            yield wrong(f"subnet {name}", "there is none in this account and region", "Correct network.subnets.")
        else:
            there[name] = found
            yield _subnet(name, found, network.id)
    yield from _zones(needs, there)
    yield _room(needs, there, standing=standing)


def _vpc(name: str, facts: Facts) -> Finding:
    what = f"network {name}"
    if isinstance(facts.vpc, NotAsked):
        return not_judged(what, facts.vpc)
    if facts.vpc is None:
        return wrong(what, "there is none in this account and region", "Correct espalier:cluster.network.id.")
    return ok(what, facts.vpc)


def _subnet(name: str, found: Subnet, vpc: str | None) -> Finding:
    what, got = f"subnet {name}", f"{found.zone}, {found.free} addresses free"
    if vpc is not None and found.vpc != vpc:
        return wrong(what, f"in {found.vpc}, not in {vpc}", "Name subnets of that network.")
    if found.public:
        return wrong(what, f"{got}; it has a route to an internet gateway", "Name private subnets for nodes.")
    return ok(what, got)


def _zones(needs: Needs, there: Mapping[str, Subnet]) -> Iterator[Finding]:
    zones = {subnet.zone for subnet in there.values()}
    if len(zones) < 2:
        got = f"subnets in {shortened(sorted(zones)) or 'no zone'}; EKS wants two zones at least"
        yield wrong("zones of the subnets", got, "Add a subnet of another zone.")
    for group in needs.groups:
        lacking = [zone for zone in group.zones if zone not in zones]
        if lacking:
            do = f"Add a subnet there, or set the pool's zones to some of {shortened(sorted(zones), 6)}."
            yield wrong(f"zones of {group.group}", f"no subnet in {shortened(lacking)}", do)


def _room(needs: Needs, there: Mapping[str, Subnet], *, standing: bool) -> Finding:
    """Each node has one address, and each of its pods one more unless the pods have a range of their own."""
    free = sum(subnet.free for subnet in there.values())
    nodes = sum(group.maximum for group in needs.groups)
    pods = 0 if needs.cluster.network.pods else sum(group.maximum * group.pods for group in needs.groups)
    got = f"{free} free; {nodes} nodes at most, with {pods} pods" if pods else f"{free} free; {nodes} nodes at most"
    if nodes > free and standing:
        return doubt("addresses of the subnets", f"{got}; {COUNTED_TWICE}", "See how many its own nodes have.")
    if nodes > free:
        return wrong("addresses of the subnets", got, "Add subnets, or lower nodes.max.")
    if nodes + pods > free:
        do = "Give pods a range of their own (network.pods), lower max-pods, or add subnets."
        return doubt("addresses of the subnets", got, do)
    return ok("addresses of the subnets", got)
