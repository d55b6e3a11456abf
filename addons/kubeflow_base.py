"""What Kubeflow's parts share: the namespace `kubeflow`, its wall, its gateway, and roles that the parts add up to.

Facts: kubeflow/community-distribution 26.03.1, common/kubeflow-namespace, kubeflow-roles, istio/kubeflow-istio-
resources. Its namespace takes restricted pods alone, as upstream's does. Two things are left out: the label
`control-plane`, by which AKS keeps webhooks off, and Kubernetes' own `edit` and `admin` in the roles, which would let a
notebook open its namespace's network.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from espalier.addons.istio import GATEWAY_PODS
from espalier.addons.istio import NAMESPACE as MESH
from espalier.addons.istio import PODS as ISTIOD
from espalier.addons.walls import wall
from espalier.types import AddonInputs, AddonRecord, Planned

NAME: Final = "kubeflow-base"
VERSION: Final = "26.03.1"
NAMESPACE: Final = "kubeflow"
GATEWAY: Final = "kubeflow-gateway"
MARKS: Final = {"app.kubernetes.io/part-of": "kubeflow-profile", "istio-injection": "enabled"}
"""Labels of tenants' namespaces that Kubeflow's pages and policies go by."""
ROLES: Final = ("admin", "edit", "view")
_OURS: Final = {"app.kubernetes.io/managed-by": "espalier"}
_AGGREGATE: Final = "rbac.authorization.kubeflow.org/aggregate-to-kubeflow"


class Options(BaseModel):
    """Nothing to say."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def objects(inputs: AddonInputs) -> Iterator[Planned]:
    """The namespace, what is in it before its parts are, and a gateway where Istio has one."""
    meshed = "istiod" in inputs.beside
    labels = {**_OURS, "pod-security.kubernetes.io/enforce": "restricted"}
    if meshed:
        labels["istio-injection"] = "enabled"
    yield Planned("namespace", _object("v1", "Namespace", NAMESPACE, {}, labels=labels))
    yield _wall(meshed=meshed)
    yield from _roles()
    if "istio-gateway" in inputs.beside:
        spec = {
            "selector": {"istio": GATEWAY_PODS["istio"]},
            "servers": [{"hosts": ["*"], "port": {"name": "http", "number": 80, "protocol": "HTTP"}}],
        }
        gateway = _object("networking.istio.io/v1", "Gateway", GATEWAY, {"spec": spec}, namespace=NAMESPACE)
        yield Planned("gateway", gateway, needs=("namespace",))


def _wall(*, meshed: bool) -> Planned:
    """Parts reach one another, names, API servers and, with sidecars, istiod; Istio's gateway reaches them."""
    made = wall(NAMESPACE, (), name=NAMESPACE)
    own = {"podSelector": {}}
    spec: dict[str, Any] = {**made.manifest["spec"]}
    spec["ingress"] = [{"from": [own, *([_in_mesh(GATEWAY_PODS)] if meshed else [])]}]
    spec["egress"] = [*spec["egress"], {"to": [own, *([_in_mesh(ISTIOD)] if meshed else [])]}]
    return Planned(made.suffix, {**made.manifest, "spec": spec}, needs=("namespace",))


def _in_mesh(pods: Mapping[str, str]) -> dict[str, Any]:
    namespace = {"matchLabels": {"kubernetes.io/metadata.name": MESH}}
    return {"namespaceSelector": namespace, "podSelector": {"matchLabels": dict(pods)}}


def _roles() -> Iterator[Planned]:
    """Sums of what the parts give to whoever works in a namespace; each holds those below it."""
    for at, role in enumerate(ROLES):
        below = {f"{_AGGREGATE}-{above}": "true" for above in ROLES[:at]}
        selectors = [{"matchLabels": {f"{_AGGREGATE}-{role}": "true"}}]
        body = {"aggregationRule": {"clusterRoleSelectors": selectors}}
        made = _object(
            "rbac.authorization.k8s.io/v1", "ClusterRole", f"kubeflow-{role}", body, labels={**_OURS, **below}
        )
        yield Planned(f"role-{role}", made)


def _object(
    api: str,
    kind: str,
    name: str,
    body: Mapping[str, Any],
    *,
    labels: Mapping[str, str] = _OURS,
    namespace: str = "",
) -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {}), "labels": dict(labels)}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **body}


RECORD = AddonRecord(
    id=NAME,
    version=VERSION,
    category="platform",
    tier="core",
    licence="Apache-2.0",
    source="https://github.com/kubeflow/community-distribution",
    options=Options,
    objects=lambda inputs: tuple(objects(inputs)),
    after=frozenset({"istio-base", "istiod", "istio-gateway"}),
)
