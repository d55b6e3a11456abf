"""JobSet: several Jobs as one, with a network between their pods; Kubeflow's Trainer makes its jobs of it.

Facts: kubernetes-sigs/jobset v0.12.0, charts/jobset (values.yaml, templates), whose values in git name the staging
registry: the released image is given. It signs its webhook's certificate itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from espalier.addons.placement import one_at_a_time, staying_affinity, system_tolerations
from espalier.addons.walls import wall
from espalier.content import ChartSource, Content, ContentFacts
from espalier.types import AddonInputs, AddonRecord, Planned

NAME: Final = "jobset"
VERSION: Final = "0.12.0"
NAMESPACE: Final = "jobset-system"
_REPOSITORY: Final = "registry.k8s.io/jobset/jobset"


class Options(BaseModel):
    """Nothing to say."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def objects(inputs: AddonInputs) -> Sequence[Planned]:
    """The wall: metrics at 8443, the webhook at 9443."""
    del inputs
    return (wall(NAMESPACE, (8443, 9443)),)


def values(inputs: AddonInputs) -> Mapping[str, Any]:
    """Two controllers, of which one leads."""
    del inputs
    return {
        "image": {"repository": _REPOSITORY, "tag": f"v{VERSION}", "pullPolicy": "IfNotPresent"},
        "controller": {
            "replicas": 2,
            "affinity": staying_affinity(),
            "tolerations": system_tolerations(),
            "podDisruptionBudget": {"enabled": True, **one_at_a_time()},
            "resources": {"requests": {"cpu": "200m", "memory": "256Mi"}, "limits": {"memory": "4Gi"}},
        },
    }


RECORD = AddonRecord(
    id=NAME,
    version=VERSION,
    category="training",
    tier="core",
    licence="Apache-2.0",
    source="https://github.com/kubernetes-sigs/jobset",
    options=Options,
    objects=objects,
    content=Content(
        source=ChartSource(NAME, VERSION, "oci://registry.k8s.io/jobset/charts"),
        namespace=NAMESPACE,
        namespace_labels={"pod-security.kubernetes.io/enforce": "restricted"},
        values=values,
        facts=ContentFacts(crds=("jobsets.jobset.x-k8s.io",), images=(f"{_REPOSITORY}:v{VERSION}",)),
    ),
    may_exist=True,
    work=(("jobset.x-k8s.io", ("jobsets",)),),
)
