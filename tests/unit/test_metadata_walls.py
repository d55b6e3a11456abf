"""No NetworkPolicy of ours lets a pod to where clouds give out credentials, but the one identity that is its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from espalier.addons.walls import wall
from espalier.blueprint.clouds.tenancy import to_the_cloud

METADATA = ("169.254.169.254", "169.254.170.2", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254")
PUBLIC = ("203.0.113.7", "2001:db8::7")


def reached(rules: Any, address: str, port: int) -> bool:
    """Whether egress rules let a pod to an address outside the cluster (networking.k8s.io/v1)."""
    return any(_at(rule, port) and (not rule.get("to") or any(_holds(rule, address))) for rule in rules)


def _at(rule: Mapping[str, Any], port: int) -> bool:
    return not rule.get("ports") or any(one.get("port") in (None, port) for one in rule["ports"])


def _holds(rule: Mapping[str, Any], address: str) -> Iterator[bool]:
    found = ip_address(address)
    for block in (peer["ipBlock"] for peer in rule["to"] if "ipBlock" in peer):
        yield found in ip_network(block["cidr"]) and not any(found in ip_network(no) for no in block.get("except", ()))


def egress(out: tuple[int, ...]) -> Any:
    return wall("n", (8443,), out=out).manifest["spec"]["egress"]


@pytest.mark.parametrize("out", [(), (80,), (8000,)])
@pytest.mark.parametrize("address", METADATA)
def test_an_add_on_never_reaches_credentials_of_its_node(out: tuple[int, ...], address: str) -> None:
    assert not reached(egress(out), address, 80)


@pytest.mark.parametrize("address", PUBLIC)
def test_one_that_may_use_port_80_reaches_everybody_elses(address: str) -> None:
    assert reached(egress((80,)), address, 80)
    assert reached(egress(()), address, 443)
    assert not reached(egress(()), address, 80)


@pytest.mark.parametrize("address", [*METADATA, "10.1.2.3"])
def test_a_tenant_with_an_identity_of_its_own_does_neither(address: str) -> None:
    assert not reached([to_the_cloud()], address, 443)
    assert reached([to_the_cloud()], PUBLIC[0], 443)
