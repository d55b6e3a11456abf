"""Argo Workflows: work of many steps, each step a pod in the namespace of whoever started it.

Facts: argoproj/argo-helm argo-workflows-1.0.18 (app v4.0.6), charts/argo-workflows (values.yaml, templates). Its full
definitions come by a hook that downloads them; the minimal ones, which Kubeflow Pipelines has too, are templates. No
server and no page: who sees Workflows asks the API server. What waits beside each step writes to API servers, and fits
a restricted namespace.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from espalier.addons.placement import apart, staying_affinity, system_tolerations
from espalier.addons.walls import wall
from espalier.content import ChartSource, Content, ContentFacts, ImagePath
from espalier.types import AddonInputs, AddonRecord, Peer, Planned, Traffic

NAME: Final = "argo-workflows"
CHART: Final = "1.0.18"
VERSION: Final = "v4.0.6"
NAMESPACE: Final = "argo"
PODS: Final = {"app.kubernetes.io/instance": NAME, "app.kubernetes.io/name": "argo-workflows-workflow-controller"}
_KINDS: Final = (
    "clusterworkflowtemplates",
    "cronworkflows",
    "workflowartifactgctasks",
    "workfloweventbindings",
    "workflows",
    "workflowtaskresults",
    "workflowtasksets",
    "workflowtemplates",
)
_SECURITY: Final[Mapping[str, Any]] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}


class Options(BaseModel):
    """How long a Workflow that has ended is kept."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=lambda name: name.replace("_", "-")
    )

    keep_hours: Annotated[int, Field(ge=1, le=8760)] = Field(
        default=24, description="hours after which a Workflow that has ended is deleted, unless it says otherwise"
    )


def objects(inputs: AddonInputs) -> Sequence[Planned]:
    """The wall: metrics at 9090."""
    del inputs
    return (wall(NAMESPACE, (9090,), pods=PODS),)


def values(inputs: AddonInputs) -> Mapping[str, Any]:
    """Two controllers, of which one leads; what it puts into steps' pods asks for no right."""
    options: Options = inputs.options
    return {
        "crds": {"install": True, "keep": True, "full": False},
        "images": {"pullPolicy": "IfNotPresent"},
        "createAggregateRoles": False,
        "workflow": {"rbac": {"create": False}},
        "controller": {
            "replicas": 2,
            "pdb": {"enabled": True, "maxUnavailable": 1},
            "affinity": staying_affinity(),
            "tolerations": system_tolerations(),
            "topologySpreadConstraints": apart(PODS),
            "podSecurityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
            "resources": {"requests": {"cpu": "100m", "memory": "512Mi"}, "limits": {"memory": "2Gi"}},
            "workflowDefaults": {"spec": {"ttlStrategy": {"secondsAfterCompletion": options.keep_hours * 3600}}},
        },
        "executor": {"securityContext": dict(_SECURITY)},
        "server": {"enabled": False},
    }


RECORD = AddonRecord(
    id=NAME,
    version=VERSION,
    category="pipelines",
    tier="core",
    licence="Apache-2.0",
    source="https://github.com/argoproj/argo-helm",
    options=Options,
    objects=objects,
    content=Content(
        source=ChartSource(NAME, CHART, "https://argoproj.github.io/argo-helm"),
        namespace=NAMESPACE,
        namespace_labels={"pod-security.kubernetes.io/enforce": "restricted"},
        values=values,
        images=(
            ImagePath(
                "Deployment",
                "spec.template.spec.containers[*].args[*]",
                "*-workflow-controller",
                r"^(\S+/argoexec:\S+)$",
            ),
        ),
        facts=ContentFacts(
            crds=tuple(f"{kind}.argoproj.io" for kind in _KINDS),
            images=(
                f"quay.io/argoproj/argoexec:{VERSION}",
                f"quay.io/argoproj/workflow-controller:{VERSION}",
            ),
        ),
    ),
    may_exist=True,
    work=(("argoproj.io", ("cronworkflows", "workfloweventbindings", "workflows", "workflowtemplates")),),
    seen=(("argoproj.io", ("workflowartifactgctasks", "workflowtaskresults", "workflowtasksets")),),
    traffic=Traffic(servers=(Peer(ports=(443, 6443)),)),
)
