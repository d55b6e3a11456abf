"""cert-manager: certificates for webhooks and gateways, signed by issuers that the platform or a tenant names.

Facts: cert-manager v1.21.1, deploy/charts/cert-manager (values.yaml, templates). Its one hook is a check that the
webhook answers, which the engine's own waits make. The leases are in its own namespace: GKE Autopilot lets nobody
write into kube-system. Whoever may make Issuers decides what the controller connects to, hence the wall.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from espalier.addons.placement import apart, one_at_a_time, staying_affinity, system_tolerations
from espalier.addons.walls import wall
from espalier.content import ChartSource, Content, ContentFacts, ImagePath
from espalier.types import AddonInputs, AddonRecord, Planned

NAME: Final = "cert-manager"
VERSION: Final = "v1.21.1"
NAMESPACE: Final = "cert-manager"
_PARTS: Final = {"": "controller", "webhook": "webhook", "cainjector": "cainjector"}
"""Where the chart's values of a part stand -> the part's label app.kubernetes.io/component."""
_CRDS: Final = (
    "certificaterequests.cert-manager.io",
    "certificates.cert-manager.io",
    "challenges.acme.cert-manager.io",
    "clusterissuers.cert-manager.io",
    "issuers.cert-manager.io",
    "orders.acme.cert-manager.io",
)
_IMAGES: Final = ("acmesolver", "cainjector", "controller", "webhook")


class Options(BaseModel):
    """What the controller may connect to besides the API server and issuers at port 443."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=lambda name: name.replace("_", "-")
    )

    http01: bool = Field(
        default=False, description="whether it proves domains by HTTP: it then connects to port 80 of any address"
    )


def objects(inputs: AddonInputs) -> Sequence[Planned]:
    """The wall: the webhook at 10250, metrics at 9402."""
    options: Options = inputs.options
    return (wall(NAMESPACE, (9402, 10250), out=(80,) if options.http01 else ()),)


def values(inputs: AddonInputs) -> Mapping[str, Any]:
    """Two of each part, and nothing for the roles that tenants' own are made without."""
    del inputs
    parts = {path: _part(component) for path, component in _PARTS.items()}
    return {
        **parts[""],
        **{path: part for path, part in parts.items() if path},
        "crds": {"enabled": True, "keep": True},
        "global": {
            "leaderElection": {"namespace": NAMESPACE},
            "priorityClassName": "system-cluster-critical",
            "rbac": {"aggregateClusterRoles": False},
        },
        "startupapicheck": {"enabled": False},
    }


def _part(component: str) -> dict[str, Any]:
    return {
        "replicaCount": 2,
        "podDisruptionBudget": {"enabled": True, **one_at_a_time()},
        "affinity": staying_affinity(),
        "tolerations": system_tolerations(),
        "topologySpreadConstraints": apart({"app.kubernetes.io/component": component}),
        "resources": {"requests": {"cpu": "20m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
    }


RECORD = AddonRecord(
    id=NAME,
    version=VERSION,
    category="certificates",
    tier="core",
    licence="Apache-2.0",
    source="https://github.com/cert-manager/cert-manager",
    options=Options,
    objects=objects,
    content=Content(
        source=ChartSource(NAME, VERSION, "oci://quay.io/jetstack/charts"),
        namespace=NAMESPACE,
        namespace_labels={"pod-security.kubernetes.io/enforce": "restricted"},
        values=values,
        images=(
            ImagePath(
                "Deployment",
                "spec.template.spec.containers[*].args[*]",
                NAME,
                r"^--acme-http01-solver-image=(\S+)",
            ),
        ),
        facts=ContentFacts(
            crds=_CRDS, images=tuple(f"quay.io/jetstack/cert-manager-{part}:{VERSION}" for part in _IMAGES)
        ),
    ),
    may_exist=True,
    work=(("cert-manager.io", ("certificates", "issuers")),),
    seen=(
        ("acme.cert-manager.io", ("challenges", "orders")),
        ("cert-manager.io", ("certificaterequests",)),
    ),
)
