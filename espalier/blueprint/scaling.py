"""A server's ScaledObject: as many replicas as its devices are busy, none while nobody asks for it.

Facts: KEDA 2.20, ScaledObject and its Prometheus scaler; NVIDIA's DCGM exporter 4.5.3-4.8.2. Both charts that install
the exporter have Prometheus keep its own labels (honorLabels: false), so that the pod which uses a device is in
exported_pod and exported_namespace. A MIG device has no DCGM_FI_DEV_GPU_UTIL; what it has is a share of 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from espalier.blueprint import names
from espalier.types import Manifest, Mistake

_RANDOM: Final = "[bcdfghjklmnpqrstvwxz2456789]"
"""What hashes and suffixes are made of. Source: Kubernetes, apimachinery pkg/util/rand."""
_REST: Final = {"Deployment": f"{_RANDOM}{{1,10}}-{_RANDOM}{{5}}", "StatefulSet": "[0-9]+"}
"""What a pod's name has after its workload's: llm's pods are not llm-judge's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A workload that scales. `demand` is a Prometheus query that has a value without any pod of it."""

    name: str
    namespace: str
    minimum: int
    maximum: int
    prometheus: str
    """Prometheus' address, such as http://prometheus-operated.monitoring:9090."""
    kind: str = "Deployment"
    busy: int = 70
    """Percent of its devices' time at which it is to have more replicas."""
    demand: str = ""
    demand_each: int = 1
    """What of the demand one replica takes."""
    mig: bool = False
    """Its devices are MIG's."""
    idle_seconds: int = 300
    """How long nothing must ask for it before it goes to none."""


def server_mistakes(server: Server, path: str) -> Iterator[Mistake]:
    """What keeps it from scaling as it says."""
    if not 0 <= server.minimum <= server.maximum or server.maximum < 1:
        got, accepted = f"{server.minimum} to {server.maximum} replicas", "at least 0, at most a maximum of 1 or more"
        yield Mistake(f"{path}.minimum", got, accepted, "Put the smaller number first.")
    if server.minimum == 0 and not server.demand:
        accepted = "a query that has a value while there is no pod: requests that wait, or a queue's length"
        do = "Add it, or keep one replica: a device that no pod uses tells nothing."
        yield Mistake(f"{path}.demand", "nothing, at a minimum of 0", accepted, do)
    if not 1 <= server.busy <= 100:
        yield Mistake(f"{path}.busy", str(server.busy), "1 to 100 percent", "Write a percentage.")


def scaled_object(server: Server) -> Manifest:
    """The ScaledObject of a server without mistakes. Its pods want a PriorityClass: espalier-serving wakes a pool."""
    spec: dict[str, Any] = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": server.kind, "name": server.name},
        "minReplicaCount": server.minimum,
        "maxReplicaCount": server.maximum,
        "pollingInterval": 15,
        "cooldownPeriod": server.idle_seconds,
        # A server that just started is idle for a while: it loads its model.
        "advanced": {
            "horizontalPodAutoscalerConfig": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 300}}},
        },
        "triggers": [_busy(server), *([_demand(server)] if server.demand else [])],
    }
    metadata = {"name": server.name, "namespace": server.namespace, "labels": dict(names.MANAGED_BY)}
    return {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": metadata, "spec": spec}


def _busy(server: Server) -> dict[str, Any]:
    """The mean over its pods, of which each replica bears its part: hence Value and not AverageValue."""
    pods = f'exported_namespace="{server.namespace}",exported_pod=~"{server.name}-{_REST.get(server.kind, ".+")}"'
    query = f"avg(DCGM_FI_DEV_GPU_UTIL{{{pods}}})"
    if server.mig:
        query = f"100 * avg(DCGM_FI_PROF_GR_ENGINE_ACTIVE{{{pods}}})"
    return _trigger(server, "busy", "Value", query, server.busy)


def _demand(server: Server) -> dict[str, Any]:
    return _trigger(server, "demand", "AverageValue", server.demand, server.demand_each)


def _trigger(server: Server, name: str, metric_type: str, query: str, threshold: int) -> dict[str, Any]:
    values = {
        "serverAddress": server.prometheus,
        "query": query,
        "threshold": str(threshold),
        "activationThreshold": "0",
    }
    return {"type": "prometheus", "name": name, "metricType": metric_type, "metadata": values}
