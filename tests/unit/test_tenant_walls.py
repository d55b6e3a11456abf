"""Tenants' two NetworkPolicies: what add-ons ask for goes through, nothing else does, and no policy is added."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from espalier.addons import RECORDS
from espalier.blueprint import build
from espalier.blueprint.tenant_walls import walls
from espalier.settings import validate
from espalier.types import AddonRecord, Peer, Traffic

OWN = {"podSelector": {}}
PODS = st.dictionaries(st.sampled_from(["app", "part"]), st.sampled_from(["a", "b"]), max_size=2)
PORT = st.sampled_from([80, 443, 8888])
PORTS = st.lists(PORT, max_size=2, unique=True).map(tuple)
PLACED = st.builds(Peer, st.sampled_from(["kubeflow", "ray"]), PODS, PORTS)
ANYWHERE = st.builds(Peer, st.just(""), st.just({}), st.lists(PORT, min_size=1, max_size=2, unique=True).map(tuple))
TRAFFIC = st.builds(
    Traffic, st.lists(PLACED, max_size=4).map(tuple), st.lists(PLACED | ANYWHERE, max_size=4).map(tuple)
)


def record(**keys: Any) -> AddonRecord:
    class Options(BaseModel):
        port: int = 80

    return AddonRecord("tracker", "1.0", "test", "optional", "Apache-2.0", "here", Options, **keys)


def policies(record: AddonRecord, options: Mapping[str, Any]) -> dict[str, Any]:
    block = {
        "cluster": {"kind": "simulated"},
        "addons": {record.id: dict(options)},
        "tenants": [{"name": "vision", "groups": {"view": ["v"], "edit": ["e"], "admin": ["a"]}}],
    }
    (tenant,) = build(validate(block, where="espalier"), {record.id: record}).tenants
    (work,) = tenant.workspaces
    assert len(work.objects) == 11  # with the tenant itself twelve resources, whatever the add-ons ask for
    manifests = [planned.manifest for planned in work.objects]
    return {one["metadata"]["name"]: one["spec"] for one in manifests if one["kind"] == "NetworkPolicy"}


def lets(rules: Sequence[Mapping[str, Any]], side: str, peer: Peer, port: int) -> bool:
    """Whether some rule lets a pod with exactly these labels through at a port."""
    return any(
        (side not in rule or any(_selects(one, peer) for one in rule[side]))
        and ("ports" not in rule or any(one["port"] == port and one["protocol"] == "TCP" for one in rule["ports"]))
        for rule in rules
    )


def _selects(one: Mapping[str, Any], peer: Peer) -> bool:
    namespace = one.get("namespaceSelector", {}).get("matchLabels")
    labels = one.get("podSelector", {}).get("matchLabels", {})
    return namespace == {"kubernetes.io/metadata.name": peer.namespace} and labels.items() <= peer.pods.items()


def test_without_add_ons_nothing_goes_in_or_out_but_to_the_namespace_itself_and_dns() -> None:
    made = walls()
    assert made["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert made["allow-own-namespace"]["ingress"] == [{"from": [OWN]}]
    own, dns = made["allow-own-namespace"]["egress"]
    assert own == {"to": [OWN]}
    assert {port["port"] for port in dns["ports"]} == {53}


@given(st.lists(TRAFFIC, max_size=3))
def test_all_that_is_asked_for_goes_through_and_the_order_says_nothing(asked: list[Traffic]) -> None:
    made = walls(asked)
    assert made == walls(list(reversed(asked)))
    assert list(made) == ["default-deny", "allow-own-namespace"]
    assert set(made["default-deny"]) == {"podSelector", "policyTypes"}
    spec = made["allow-own-namespace"]
    for one in asked:
        for side, rules, peers in (("from", spec["ingress"], one.callers), ("to", spec["egress"], one.servers)):
            for peer in peers:
                assert all(lets(rules, side, peer, port) for port in peer.ports or (1, 65535))


@given(st.lists(TRAFFIC, max_size=3), PLACED, PORT)
def test_nothing_goes_through_that_nobody_asked_for(asked: list[Traffic], peer: Peer, port: int) -> None:
    spec = walls(asked)["allow-own-namespace"]
    for side, rules, peers in (
        ("from", spec["ingress"], [one for traffic in asked for one in traffic.callers]),
        ("to", spec["egress"], [one for traffic in asked for one in traffic.servers]),
    ):
        meant = any(
            one.namespace in ("", peer.namespace)
            and one.pods.items() <= peer.pods.items()
            and (not one.ports or port in one.ports)
            for one in peers
        )
        assert lets(rules, side, peer, port) == meant


def test_a_rule_of_one_peer_word_by_word() -> None:
    asked = Traffic(
        callers=(Peer("kubeflow", {"app": "notebook-controller"}, (8888,)),),
        servers=(Peer("ray", ports=(8265, 6379)), Peer(ports=(443,))),
    )
    spec = walls([asked])["allow-own-namespace"]
    assert spec["ingress"][1:] == [
        {
            "from": [
                {
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kubeflow"}},
                    "podSelector": {"matchLabels": {"app": "notebook-controller"}},
                }
            ],
            "ports": [{"protocol": "TCP", "port": 8888}],
        }
    ]
    assert spec["egress"][2:] == [
        {"ports": [{"protocol": "TCP", "port": 443}]},
        {
            "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ray"}}}],
            "ports": [{"protocol": "TCP", "port": 6379}, {"protocol": "TCP", "port": 8265}],
        },
    ]


def test_an_add_on_of_a_stack_opens_its_tenants_walls_by_its_options() -> None:
    by_options = record(traffic_by=lambda options: Traffic(callers=(Peer("mon", ports=(options.port,)),)))
    (ingress,) = policies(by_options, {"port": 9090})["allow-own-namespace"]["ingress"][1:]
    assert ingress["ports"] == [{"protocol": "TCP", "port": 9090}]
    always = record(traffic=Traffic(servers=(Peer("mon", ports=(5000,)),)))
    assert len(policies(always, {})["allow-own-namespace"]["egress"]) == 3
    assert len(policies(record(), {})["allow-own-namespace"]["egress"]) == 2


def test_what_the_cluster_has_already_opens_them_as_well() -> None:
    there = replace(
        record(traffic_by=lambda options: Traffic(servers=(Peer("mon", ports=(options.port,)),))), may_exist=True
    )
    assert len(policies(there, {"existing": "1.0"})["allow-own-namespace"]["egress"]) == 3


@pytest.mark.parametrize("peer", [{"namespace": ""}, {"namespace": "", "pods": {"app": "a"}}])
def test_nobody_opens_everything_by_an_empty_peer(peer: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="needs ports"):
        Peer(**peer)


def test_nobody_lets_everybody_call() -> None:
    with pytest.raises(ValueError, match="needs a namespace"):
        Traffic(callers=(Peer(ports=(80,)),))


def test_jobs_report_to_the_trainer() -> None:
    (server,) = RECORDS["kubeflow-trainer"].traffic.servers
    assert (server.namespace, server.ports) == ("kubeflow-system", (10443,))
