"""Training operator v1: TFJobs, PyTorchJobs, XGBoostJobs, PaddleJobs and JAXJobs, for those who have them already.

Facts: kubeflow/trainer v1.9.4, manifests/overlays/standalone, cmd/training-operator.v1/main.go (flags) and
pkg/config/config.go: for a PyTorchJob it starts alpine:3.10, for an MPIJob an image of no fixed version. MPIJobs are
the add-on mpi-operator's, of version v2beta1: the two definitions exclude one another, and upstream means to remove
v1 (https://github.com/kubeflow/trainer/issues/1906). Upstream runs one manager without a leader, and so gives it no
rights to leases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from espalier.addons.edits import controller
from espalier.addons.kubeflow_base import NAMESPACE
from espalier.addons.walls import budget, wall
from espalier.content import Content, ContentFacts, ImagePath, KustomizeSource
from espalier.types import AddonInputs, AddonRecord, Ended, Planned

NAME: Final = "training-operator-v1"
VERSION: Final = "v1.9.4"
PODS: Final = {"control-plane": "kubeflow-training-operator"}
KINDS: Final = ("jaxjobs", "paddlejobs", "pytorchjobs", "tfjobs", "xgboostjobs")
IMAGE: Final = "ghcr.io/kubeflow/training-v1/training-operator:v1-93c5489"
INIT_IMAGE: Final = "docker.io/library/alpine:3.21.3"
"""What waits in a PyTorchJob's workers for its master, instead of upstream's alpine:3.10, which has long ended."""
_MPI: Final = "mpijobs.kubeflow.org"


class Options(BaseModel):
    """Nothing to say."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def objects(inputs: AddonInputs) -> Sequence[Planned]:
    """The wall, metrics at 8080 and the webhook at 9443; the budget; and the right to lead."""
    del inputs
    about = {"name": f"{NAME}-leader", "namespace": NAMESPACE, "labels": {"app.kubernetes.io/managed-by": "espalier"}}
    group = "rbac.authorization.k8s.io"
    verbs = ["create", "get", "list", "patch", "update", "watch"]
    role = {
        "apiVersion": f"{group}/v1",
        "kind": "Role",
        "metadata": about,
        "rules": [{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": verbs}],
    }
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": about,
        "roleRef": {"apiGroup": group, "kind": "Role", "name": about["name"]},
        "subjects": [{"kind": "ServiceAccount", "name": "training-operator", "namespace": NAMESPACE}],
    }
    return (
        wall(NAMESPACE, (8080, 9443), pods=PODS),
        budget(NAME, NAMESPACE, PODS),
        Planned("leader-role", role),
        Planned("leader-role-binding", binding, needs=("leader-role",)),
    )


def edit(inputs: AddonInputs, manifest: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Two managers, of which one leads, for all kinds but MPIJob; without sidecars."""
    del inputs
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    if name == _MPI:
        return None
    if kind == "Namespace":
        return None
    if kind == "ClusterRole":
        theirs = [rule for rule in manifest["rules"] if not any(one.startswith("mpijobs") for one in rule["resources"])]
        return {**manifest, "rules": theirs}
    if kind == "Deployment":
        schemes = [f"--enable-scheme={one.removesuffix('s')}" for one in KINDS]
        arguments = ["--leader-elect", f"--pytorch-init-container-image={INIT_IMAGE}", *schemes]
        made = controller(manifest, arguments=arguments, requests={"cpu": "100m", "memory": "256Mi"}, memory="1Gi")
        made["spec"]["template"]["metadata"]["labels"]["sidecar.istio.io/inject"] = "false"
        return made
    return manifest


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
        source=KustomizeSource(
            f"https://github.com/kubeflow/trainer/archive/refs/tags/{VERSION}.tar.gz",
            VERSION,
            f"trainer-{VERSION.removeprefix('v')}/manifests/overlays/standalone",
        ),
        namespace=NAMESPACE,
        create_namespace=False,
        edit=edit,
        images=(
            ImagePath(
                "Deployment",
                "spec.template.spec.containers[*].args[*]",
                "training-operator",
                r"^--pytorch-init-container-image=(\S+)",
            ),
        ),
        facts=ContentFacts(crds=tuple(f"{kind}.kubeflow.org" for kind in KINDS), images=(INIT_IMAGE, IMAGE)),
    ),
    state="deprecated",
    ended=Ended(
        "2025",
        "https://www.kubeflow.org/docs/components/trainer/operator-guides/migration",
        "Rewrite jobs as TrainJobs.",
        ("kubeflow-trainer",),
    ),
    needs=frozenset({"kubeflow-base"}),
    work=(("kubeflow.org", KINDS),),
)
