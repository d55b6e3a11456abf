"""Kubeflow Trainer v2: TrainJobs, which run a framework's training by a runtime that the platform gives.

Facts: kubeflow/trainer v2.3.0, charts/kubeflow-trainer (Chart.yaml, values.yaml, templates); its release notes: whoever
has 2.0 to 2.2 goes by 2.3, whose definitions are templates. JobSet is an add-on of its own, of the version that the
chart would bring; both of its hooks belong to upstream's runtimes, which are left out: an installer that loads kubectl
at run time, images without a tag, and no toleration for a tainted pool. Those of the pools stand in for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from espalier.addons.placement import staying_affinity, system_tolerations
from espalier.addons.training_runtimes import FRAMEWORKS, IMAGES, PinnedImage, runtimes
from espalier.addons.walls import budget, wall
from espalier.content import ChartSource, Content, ContentFacts
from espalier.types import AddonInputs, AddonRecord, Peer, Planned, Traffic, UpgradeStep, Window

NAME: Final = "kubeflow-trainer"
VERSION: Final = "2.3.0"
NAMESPACE: Final = "kubeflow-system"
GROUP: Final = "trainer.kubeflow.org"
PODS: Final = {"app.kubernetes.io/name": NAME, "app.kubernetes.io/component": "manager"}
_CHART: Final = f"https://github.com/kubeflow/trainer/blob/v{VERSION}/charts/kubeflow-trainer/Chart.yaml"


Kind = Annotated[str, Field(pattern=rf"^({'|'.join(FRAMEWORKS)})/[a-z]+$")]


class Options(BaseModel):
    """Images of the runtimes that follow from the pools."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    images: Annotated[dict[Kind, PinnedImage], Field(max_length=50)] = Field(
        default={}, description="images by framework and vendor, such as jax/google: a pinned tag or digest"
    )


def objects(inputs: AddonInputs) -> Sequence[Planned]:
    """The wall, metrics at 8443, webhook at 9443, jobs' reports at 10443; the budget that the chart lacks; runtimes."""
    options: Options = inputs.options
    return (
        wall(NAMESPACE, (8443, 9443, 10443), pods=PODS),
        budget(NAME, NAMESPACE, PODS),
        *runtimes(inputs.pools, {**IMAGES, **options.images}),
    )


def values(inputs: AddonInputs) -> Mapping[str, Any]:
    """Two managers, of which one leads."""
    del inputs
    return {
        "jobset": {"install": False},
        "dataCache": {"enabled": False},
        "runtimes": {"defaultEnabled": False},
        "manager": {
            "replicas": 2,
            "affinity": staying_affinity(),
            "tolerations": system_tolerations(),
            "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
        },
    }


RECORD = AddonRecord(
    id=NAME,
    version=VERSION,
    category="training",
    tier="core",
    licence="Apache-2.0",
    source="https://github.com/kubeflow/trainer",
    options=Options,
    objects=objects,
    content=Content(
        source=ChartSource(NAME, VERSION, "oci://ghcr.io/kubeflow/charts"),
        namespace=NAMESPACE,
        namespace_labels={"pod-security.kubernetes.io/enforce": "restricted"},
        values=values,
        facts=ContentFacts(
            crds=(
                f"clustertrainingruntimes.{GROUP}",
                f"trainingruntimes.{GROUP}",
                f"trainjobs.{GROUP}",
            ),
            images=(f"ghcr.io/kubeflow/trainer/trainer-controller-manager:v{VERSION}",),
        ),
    ),
    needs=frozenset({"jobset"}),
    versions={"jobset": Window("0.12", "0.12", _CHART)},
    upgrades=(
        UpgradeStep(
            before="2.3",
            to="2.4",
            why="its definitions move from one part of the chart to another in 2.3, and later versions count on that",
            do="Upgrade to 2.3 and bring the stack up, then go on; or take your jobs' definitions along by hand.",
            source="kubeflow/trainer#3655",
        ),
    ),
    work=((GROUP, ("trainingruntimes", "trainjobs")),),
    traffic=Traffic(servers=(Peer(NAMESPACE, PODS, (10443,)),)),
)
