"""MPI operator: MPIJobs of version v2beta1, a launcher that reaches its workers by SSH.

Facts: kubeflow/mpi-operator v0.8.0, deploy/v2beta1/mpi-operator.yaml and Dockerfile (distroless, so any user runs it);
it leads by a lease in its own namespace. The definition excludes that of v1, which training-operator v1 would bring
(https://github.com/kubeflow/trainer/issues/1930): that add-on leaves it out. It takes no values, so each object is
changed by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from espalier.addons.edits import controller, labelled
from espalier.addons.walls import budget, wall
from espalier.content import Content, ContentFacts, ManifestSource
from espalier.types import AddonInputs, AddonRecord, Planned

NAME: Final = "mpi-operator"
VERSION: Final = "v0.8.0"
NAMESPACE: Final = "mpi-operator"
PODS: Final = {"app.kubernetes.io/name": NAME}
_URL: Final = f"https://raw.githubusercontent.com/kubeflow/mpi-operator/{VERSION}/deploy/v2beta1/mpi-operator.yaml"
_PRIVILEGES: Final = {"pod-security.kubernetes.io/enforce": "restricted"}


class Options(BaseModel):
    """Nothing to say."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def objects(inputs: AddonInputs) -> Sequence[Planned]:
    """The wall, without a way in: it has no webhook; and the budget."""
    del inputs
    return (wall(NAMESPACE, ()), budget(NAME, NAMESPACE, PODS))


def edit(inputs: AddonInputs, manifest: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Two controllers; and without the roles that aggregate to Kubeflow's own, which tenants' roles stand in for."""
    del inputs
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    if kind == "ClusterRole" and name.startswith("kubeflow-mpijobs-"):
        return None
    if kind == "Namespace":
        return labelled(manifest, _PRIVILEGES)
    if kind == "Deployment":
        return controller(manifest, requests={"cpu": "100m", "memory": "128Mi"}, memory="512Mi")
    return manifest


RECORD = AddonRecord(
    id=NAME,
    version=VERSION,
    category="training",
    tier="optional",
    licence="Apache-2.0",
    source="https://github.com/kubeflow/mpi-operator",
    options=Options,
    objects=objects,
    content=Content(
        source=ManifestSource(_URL, VERSION),
        namespace=NAMESPACE,
        edit=edit,
        facts=ContentFacts(crds=("mpijobs.kubeflow.org",), images=("mpioperator/mpi-operator:0.8.0",)),
    ),
    work=(("kubeflow.org", ("mpijobs",)),),
)
