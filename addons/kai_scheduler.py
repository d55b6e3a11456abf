"""KAI: a scheduler of its own for GPUs, with queues of queues; an alternative to Kueue.

Facts: kai-scheduler/KAI-Scheduler v0.17.0, deployments/kai-scheduler (values, hooks). Its pods are those that name it
(`schedulerName: kai-scheduler`) and their queue (`kai.scheduler/queue`). Helm runs its hooks: they write its
configuration at each upgrade, and clean up when it goes. A tag v0.20.1 is older than v0.17.0; never take the highest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from espalier.addons.placement import staying_affinity, system_tolerations
from espalier.content import ChartSource, Content, ContentFacts
from espalier.types import AddonInputs, AddonRecord

NAME: Final = "kai-scheduler"
VERSION: Final = "v0.17.0"
_REGISTRY: Final = "ghcr.io/kai-scheduler/kai-scheduler"
_PARTS: Final = (
    "admission",
    "binder",
    "nodescaleadjuster",
    "operator",
    "podgroupcontroller",
    "podgrouper",
    "queuecontroller",
    "resourcereservation",
    "scalingpod",
    "scheduler",
)
_CRDS: Final = (
    "bindrequests.scheduling.run.ai",
    "configs.kai.scheduler",
    "podgroups.scheduling.run.ai",
    "queues.scheduling.run.ai",
    "schedulingshards.kai.scheduler",
    "topologies.kai.scheduler",
)


class Options(BaseModel):
    """No options: everything follows from the pools and the tenants."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def values(inputs: AddonInputs) -> Mapping[str, Any]:
    """Values of the chart: the released images; pools that sleep, or may, are waited for.

    Every namespace may name the scheduler: its selector of namespaces compares values, and each tenant's label has
    one of its own.
    """
    return {
        "global": {
            "registry": _REGISTRY,
            "tag": VERSION,
            "leaderElection": True,
            "clusterAutoscaling": inputs.facts.may_scale,
            "gpuSharing": False,
            "affinity": staying_affinity(),
            "tolerations": system_tolerations(),
            "namespaceLabelSelector": {},
        },
        "operator": {"replicaCount": 2},
    }


RECORD = AddonRecord(
    id=NAME,
    version=VERSION,
    category="queueing",
    tier="optional",
    licence="Apache-2.0",
    source="https://github.com/kai-scheduler/KAI-Scheduler",
    options=Options,
    content=Content(
        source=ChartSource(NAME, VERSION, f"oci://{_REGISTRY}"),
        namespace=NAME,
        values=values,
        hooks="release",
        facts=ContentFacts(crds=_CRDS, images=tuple(f"{_REGISTRY}/{part}:{VERSION}" for part in _PARTS)),
    ),
    conflicts={"kueue": "", "volcano": ""},
    provides=frozenset({"queues", "scheduler"}),
    seen=(("scheduling.run.ai", ("podgroups",)),),
)
