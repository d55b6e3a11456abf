"""Karpenter, real, beside a simulated cluster: pools wake, fall through, are taken back, and go to zero."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from espalier import sim
from espalier.kube import Kind
from espalier.sim.errors import SimError
from espalier.verify.run import verify
from tests.sim.elastic import POD, Elastic, elastic, stack

__all__ = ["elastic", "stack"]

NODE_POOLS = Kind("karpenter.sh/v1", "NodePool")


@pytest.mark.supports("autoscaling: wake and return to zero", "rehearsed")
def test_each_pool_wakes_falls_through_is_taken_back_and_goes_to_zero(elastic: Elastic) -> None:
    found = verify(elastic.rehearsal.blueprint, elastic.client, simulated=True, cluster=elastic.name)
    assert [(check.name, check.evidence) for check in found.checks if not check.ok] == []
    assert found.skipped == ()
    assert found.left == ()
    evidence = {check.name: check.evidence for check in found.checks}
    drills = ("wake/", "to-zero/", "stock-out/", "reclaim/", "device-lost/")
    assert {name for name in evidence if name.startswith(drills)} == {
        *(f"wake/{pool}/{kind}" for pool in ("h100", "a100-mig", "l4-slices") for kind in ("one", "whole")),
        *(f"{drill}/{pool}" for drill in ("to-zero", "device-lost") for pool in ("h100", "a100-mig", "l4-slices")),
        *(f"{drill}/{pool}" for drill in ("stock-out", "reclaim") for pool in ("h100", "l4-slices")),
    }
    assert "NodePool h100-spot" in evidence["wake/h100/whole"]
    assert "NodePool h100-on-demand" in evidence["stock-out/h100"]
    assert "which was taken back, ran again" in evidence["reclaim/h100"]
    assert "which lost a device, ran again" in evidence["device-lost/a100-mig"]
    assert "must reach 2: kwok-a100-mig-on-demand-" in evidence["daemonset/nvidia-device-plugin-mig"]  # woken ones
    assert "56 pods held all of a100-mig-slices-" in evidence["sharing/a100-mig"]
    assert "one more the scheduler said" in evidence["sharing/l4-slices"]


@pytest.mark.supports("autoscaling: spot sold out", "rehearsed")
def test_work_falls_through_to_on_demand_where_spot_is_sold_out(
    elastic: Elastic, eventually: Callable[..., Any]
) -> None:
    sim.fault(elastic.name, "karpenter", "no-spot")
    elastic.pod("falls")
    node = eventually(lambda: elastic.node_of("falls"), 60)
    assert node["metadata"]["labels"]["espalier.dev/capacity"] == "on-demand"
    sim.fault(elastic.name, "karpenter", "in-stock")
    elastic.pod("prefers")
    node = eventually(lambda: elastic.node_of("prefers"), 60)
    assert node["metadata"]["labels"]["espalier.dev/capacity"] == "spot"


@pytest.mark.supports("autoscaling: spot taken back", "rehearsed")
def test_work_whose_spot_node_is_taken_back_runs_again(elastic: Elastic, eventually: Callable[..., Any]) -> None:
    labels = {"app": "train"}
    work = elastic.spec(8)
    work["nodeSelector"] |= {"espalier.dev/capacity": "spot"}
    template = {"metadata": {"labels": labels}, "spec": work}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": "train", "namespace": "default"}
    elastic.client.create({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})

    def node() -> str | None:
        pods = elastic.client.list(POD, "default", labelSelector="app=train")
        running = [
            pod for pod in pods if pod["status"]["phase"] == "Running" and not pod["metadata"].get("deletionTimestamp")
        ]
        return str(running[0]["spec"]["nodeName"]) if running else None

    first = eventually(node, 60)
    assert sim.fault(elastic.name, "karpenter", "reclaim-spot", node=first) == (first,)
    second = eventually(lambda: (found := node()) != first and found, 60)
    assert second in elastic.made()


def test_a_pool_never_has_more_nodes_than_its_maximum(elastic: Elastic, eventually: Callable[..., Any]) -> None:
    names = [elastic.pod(f"many-{number}") for number in range(8)]
    eventually(lambda: sum(elastic.node_of(name) is not None for name in names) >= 6, 60)
    eventually(lambda: elastic.capacities() == ["on-demand"] * 3 + ["spot"] * 3, 60)
    assert sum(elastic.node_of(name) is not None for name in names) == 6


def test_a_killed_autoscaler_is_seen_and_mended(elastic: Elastic, eventually: Callable[..., Any]) -> None:
    sim.fault(elastic.name, "karpenter", "kill")
    (status,) = sim.status(elastic.name)
    assert not status.ready
    assert sim.up(elastic.name).ready
    elastic.pod("again")
    eventually(lambda: elastic.node_of("again"), 60)


def test_other_machines_reach_the_autoscaler_by_the_next_up(stack: Elastic) -> None:
    (before,) = [part.pid for part in sim.up(stack.name).components if part.name == "karpenter"]
    machines = stack.rehearsal.blueprint.machines
    assert machines is not None
    sim.up(stack.name, machines=machines)
    (same,) = [part.pid for part in sim.up(stack.name).components if part.name == "karpenter"]
    assert same == before
    sim.up(stack.name, machines=machines.replace('"192"', '"96"'))
    (after,) = [part.pid for part in sim.up(stack.name, machines=machines).components if part.name == "karpenter"]
    assert after != before


def test_a_cluster_without_an_autoscaler_has_no_shortages(sim_cluster: sim.SimStatus) -> None:
    with pytest.raises(SimError, match="has no autoscaler"):
        sim.fault(sim_cluster.name, "karpenter", "no-spot")
    assert "karpenter" not in {part.name for part in sim_cluster.components}


def test_it_listens_on_loopback_only(stack: Elastic) -> None:
    (part,) = [part for part in sim.up(stack.name).components if part.name == "karpenter"]
    inodes = {os.readlink(link) for link in Path(f"/proc/{part.pid}/fd").iterdir() if link.is_symlink()}
    rows = [line.split() for kind in ("tcp", "tcp6") for line in Path(f"/proc/net/{kind}").read_text().splitlines()[1:]]
    listening = [row[1].split(":")[0] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in inodes]
    assert listening
    assert set(listening) == {"0100007F"}
