"""Volcano: a scheduler of its own for gangs, with queues; an alternative to Kueue.

Facts: volcano-sh/volcano v1.15.1, installer/helm/chart/volcano (values, hooks), docs/user-guide (capacity plugin). The
capacity plugin counts each device by itself, which the default one (proportion) does not; a scheduler has one of them.
Its pods are those that name it (`schedulerName: volcano`). Kueue has no integration of Volcano's jobs (v0.19.2, its
list of frameworks), and both would decide when a job's pods start: a stack has one of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import yaml
from pydantic import BaseModel, ConfigDict

from espalier.addons.placement import staying_affinity, system_tolerations
from espalier.content import ChartSource, Content, ContentFacts
from espalier.types import AddonInputs, AddonRecord

NAME: Final = "volcano"
VERSION: Final = "1.15.1"
NAMESPACE: Final = "volcano-system"
_IMAGES: Final = tuple(
    f"docker.io/volcanosh/{name}:v{VERSION}" for name in ("vc-controller-manager", "vc-scheduler", "vc-webhook-manager")
)
_CRDS: Final = (
    "commands.bus.volcano.sh",
    "cronjobs.batch.volcano.sh",
    "hypernodes.topology.volcano.sh",
    "jobflows.flow.volcano.sh",
    "jobs.batch.volcano.sh",
    "jobtemplates.flow.volcano.sh",
    "podgroups.scheduling.volcano.sh",
    "queues.scheduling.volcano.sh",
)


class Options(BaseModel):
    """No options: everything follows from the pools and the tenants."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def values(inputs: AddonInputs) -> Mapping[str, Any]:
    """Values of the chart: pinned images, two of each on nodes that stay, and a scheduler that counts devices."""
    return {
        "basic": {"image_pull_policy": "IfNotPresent", "image_tag_version": f"v{VERSION}"},
        "custom": {
            "admission_replicas": 2,
            "controller_replicas": 2,
            "scheduler_replicas": 2,
            "leader_elect_enable": True,
            "default_affinity": staying_affinity(),
            "default_tolerations": system_tolerations(),
            "webhooks_namespace_selector_expressions": [{"key": "espalier.dev/tenant", "operator": "Exists"}],
            "scheduler_config_override": yaml.safe_dump(configuration(inputs), sort_keys=False),
        },
    }


def configuration(inputs: AddonInputs) -> dict[str, Any]:
    """The scheduler's: what may stop running work is an action, and left out where nothing may.

    `enqueue` makes no pod of a job before there is room for it: no autoscaler would see it wait (volcano-sh/volcano
    #3910, #1775), and `preempt` would have nobody to make room for (a maintainer there: keep one of the two). Without
    it `allocate` takes every job in (pkg/scheduler/actions/allocate).
    """
    queues = inputs.queues
    preempts = queues.preemption == "priority"
    actions = ["allocate"] if inputs.facts.may_scale or preempts else ["enqueue", "allocate"]
    if preempts:
        actions.append("preempt")
    if queues.borrowing and queues.preemption != "never":
        actions.append("reclaim")
    first = [{"name": "priority"}, {"name": "gang", "enablePreemptable": False}, {"name": "conformance"}]
    second = [
        {"name": "drf", "enablePreemptable": False},
        {"name": "predicates"},
        {"name": "capacity"},
        {"name": "nodeorder"},
        {"name": "binpack"},
    ]
    return {"actions": ", ".join([*actions, "backfill"]), "tiers": [{"plugins": first}, {"plugins": second}]}


RECORD = AddonRecord(
    id=NAME,
    version=VERSION,
    category="queueing",
    tier="optional",
    licence="Apache-2.0",
    source="https://github.com/volcano-sh/volcano",
    options=Options,
    content=Content(
        source=ChartSource(NAME, VERSION, "https://volcano-sh.github.io/helm-charts"),
        namespace=NAMESPACE,
        values=values,
        hooks={"*/volcano-admission-init*": "keep"},
        facts=ContentFacts(crds=_CRDS, images=_IMAGES),
    ),
    conflicts={"kai-scheduler": "", "kueue": ""},
    provides=frozenset({"queues", "scheduler"}),
    work=(("batch.volcano.sh", ("jobs",)),),
    seen=(("scheduling.volcano.sh", ("podgroups",)),),
)
