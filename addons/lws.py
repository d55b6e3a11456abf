"""LeaderWorkerSet: groups of pods, a leader and its workers each, that serve a model too large for one node.

Facts: kubernetes-sigs/lws v0.10.0, charts/lws (values.yaml, templates), whose image in git is `main`: the released one
is given. Its definition converts by its webhook. DisaggregatedSets, whose definitions come with it, are not yet judged
by a webhook unless that is switched on, so tenants are given LeaderWorkerSets alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from espalier.addons.placement import staying_affinity, system_tolerations
from espalier.addons.walls import budget, wall
from espalier.content import ChartSource, Content, ContentFacts
from espalier.types import AddonInputs, AddonRecord, Planned

NAME: Final = "lws"
VERSION: Final = "0.10.0"
NAMESPACE: Final = "lws-system"
_REPOSITORY: Final = "registry.k8s.io/lws/lws"
PODS: Final = {"control-plane": "controller-manager", "app.kubernetes.io/name": NAME}


class Options(BaseModel):
    """Nothing to say."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def objects(inputs: AddonInputs) -> Sequence[Planned]:
    """The wall, metrics at 8443 and the webhook at 9443, and the budget that the chart lacks."""
    del inputs
    return (wall(NAMESPACE, (8443, 9443)), budget(NAME, NAMESPACE, PODS))


def values(inputs: AddonInputs) -> Mapping[str, Any]:
    """Two controllers, of which one leads."""
    del inputs
    return {
        "replicaCount": 2,
        "image": {"manager": {"repository": _REPOSITORY, "tag": f"v{VERSION}", "pullPolicy": "IfNotPresent"}},
        "podSecurityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "priorityClassName": "system-cluster-critical",
        "affinity": staying_affinity(),
        "tolerations": system_tolerations(),
        "resources": {"requests": {"cpu": "200m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
    }


RECORD = AddonRecord(
    id=NAME,
    version=VERSION,
    category="serving",
    tier="optional",
    licence="Apache-2.0",
    source="https://github.com/kubernetes-sigs/lws",
    options=Options,
    objects=objects,
    content=Content(
        source=ChartSource(NAME, VERSION, "oci://registry.k8s.io/lws/charts"),
        namespace=NAMESPACE,
        namespace_labels={"pod-security.kubernetes.io/enforce": "restricted"},
        values=values,
        facts=ContentFacts(
            crds=(
                "disaggregatedsetrolescalers.disaggregatedset.x-k8s.io",
                "disaggregatedsets.disaggregatedset.x-k8s.io",
                "leaderworkersets.leaderworkerset.x-k8s.io",
            ),
            images=(f"{_REPOSITORY}:v{VERSION}",),
        ),
    ),
    may_exist=True,
    work=(("leaderworkerset.x-k8s.io", ("leaderworkersets",)),),
)
