"""KServe: InferenceServices, each a Deployment with its model beside it, on runtimes that the platform gives.

Facts: kserve/kserve v0.20.0, charts/kserve-resources (values.yaml, templates), and pkg/apis/serving/v1beta1: defaults
of resources that are "" are none, so that runtimes' own hold. Its mode is Standard, which needs neither Knative nor
Istio, unless Knative is said: then Knative Serving routes, and no VirtualService of KServe's. Runtimes are not the
chart kserve-runtime-configs', whose images are old or float and whose pods tolerate no taint: those of the pools stand
in for them. The image of ART explainers has no tag there: none are offered.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from espalier.addons.kserve_crd import GROUP, NAMESPACE, VERSION
from espalier.addons.placement import apart, staying_affinity, system_tolerations
from espalier.addons.serving_runtimes import IMAGES, SERVERS, runtimes
from espalier.addons.training_runtimes import PinnedImage
from espalier.addons.walls import budget, wall
from espalier.blueprint import names
from espalier.content import ChartSource, Content, ContentFacts, ImagePath
from espalier.types import AddonInputs, AddonRecord, Mistake, Peer, Planned, Traffic, Window

NAME: Final = "kserve"
PODS: Final = {"control-plane": "kserve-controller-manager"}
GATEWAY: Final = "kserve-ingress-gateway"
PORTS: Final = (8080, 8081, 9081)
"""Of a predictor, of a transformer, and of the agent that logs and batches before it."""
_DOMAIN: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+$"
_NAME: Final = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
_IN_JSON: Final = r'"(?:image|defaultJobImage)"\s*:\s*"([^"]+)"'
_IMAGES: Final = ("agent", "kserve-controller", "router", "storage-initializer")

Kind = Annotated[str, Field(pattern=rf"^({'|'.join(SERVERS)})/([a-z]+|cpu)$")]


class Options(BaseModel):
    """How models are reached from outside, what they may load, and images of the servers."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=lambda name: name.replace("_", "-")
    )

    mode: Literal["Standard", "Knative"] = Field(
        default="Standard",
        description="Standard: each model is a Deployment; Knative: it goes to zero, and traffic is split by percent "
        "(needs knative-serving)",
    )
    domain: Annotated[str, Field(pattern=_DOMAIN, max_length=200)] | None = Field(
        default=None,
        description="models are served as <name>-<namespace>.<domain>; without it within the cluster alone",
    )
    gateway_class: Annotated[str, Field(pattern=_NAME)] = Field(
        default="istio", description="the GatewayClass of the gateway that is made where there is a domain"
    )
    gateway_namespace: Annotated[str, Field(pattern=_NAME)] = Field(
        default=NAMESPACE, description="where that class runs its proxies: envoy-gateway-system for Envoy Gateway"
    )
    issuer: Annotated[str, Field(pattern=_NAME)] | None = Field(
        default=None, description="the ClusterIssuer that signs the domain's certificate"
    )
    downloads: bool = Field(
        default=True, description="whether tenants' pods reach port 443 of every address, where models are loaded from"
    )
    images: Annotated[dict[Kind, PinnedImage], Field(max_length=50)] = Field(
        default={}, description="images by server and vendor, such as vllm/amd or mlserver/cpu: a pinned tag or digest"
    )


def objects(inputs: AddonInputs) -> Sequence[Planned]:
    """The wall, metrics at 8443, webhooks at 9443; the budget that the chart lacks; runtimes."""
    options: Options = inputs.options
    return (
        wall(NAMESPACE, (8443, 9443), pods=PODS),
        budget(NAME, NAMESPACE, PODS),
        *_gateway(options),
        *runtimes(inputs.pools, {**IMAGES, **options.images}),
    )


def _gateway(options: Options) -> Iterator[Planned]:
    """HTTPS alone, for routes of tenants' namespaces."""
    if not options.domain:
        return
    host = f"*.{options.domain}"
    metadata = {
        "name": GATEWAY,
        "namespace": NAMESPACE,
        "labels": {"app.kubernetes.io/managed-by": "espalier"},
    }
    issuer = {"group": "cert-manager.io", "kind": "ClusterIssuer", "name": options.issuer}
    spec = {"secretName": GATEWAY, "dnsNames": [host], "issuerRef": issuer}
    yield Planned(
        "gateway-certificate",
        {"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": metadata, "spec": spec},
    )
    tenants = {"matchExpressions": [{"key": names.TENANT, "operator": "Exists"}]}
    listener = {
        "name": "https",
        "protocol": "HTTPS",
        "port": 443,
        "hostname": host,
        "tls": {"mode": "Terminate", "certificateRefs": [{"kind": "Secret", "name": GATEWAY}]},
        "allowedRoutes": {"namespaces": {"from": "Selector", "selector": tenants}},
    }
    body = {"gatewayClassName": options.gateway_class, "listeners": [listener]}
    yield Planned(
        "gateway",
        {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": metadata, "spec": body},
        needs=("gateway-certificate",),
    )


def values(inputs: AddonInputs) -> Mapping[str, Any]:
    """Requests that fit a small model, no limits that would end a large one, and a gateway where there is a domain."""
    options: Options = inputs.options
    gateway: dict[str, Any] = {"disableIngressCreation": True, "disableIstioVirtualHost": True}
    if options.mode == "Knative":
        gateway = {"disableIstioVirtualHost": True}
    if options.domain:
        gateway = {
            "domain": options.domain,
            "urlScheme": "https",
            "disableIstioVirtualHost": True,
            "ingressGateway": {"enableGatewayApi": True, "kserveGateway": f"{NAMESPACE}/{GATEWAY}"},
        }
    restricted = {
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    return {
        "kserve": {
            "controller": {
                "deploymentMode": options.mode,
                "gateway": gateway,
                "imagePullPolicy": "IfNotPresent",
                "affinity": staying_affinity(),
                "tolerations": system_tolerations(),
                "topologySpreadConstraints": apart(PODS),
                "resources": {"requests": {"cpu": "100m", "memory": "300Mi"}, "limits": {"memory": "1Gi"}},
            },
            "inferenceservice": {
                "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": "", "memory": ""}}
            },
            "storage": {"containerSecurityContext": restricted},
        }
    }


def edit(inputs: AddonInputs, manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """Two controllers, of which one leads, whose proxies write no request's headers into the log; no examples."""
    del inputs
    changed = copy.deepcopy(dict(manifest))
    if changed["kind"] == "Deployment":
        changed["spec"]["replicas"] = 2
        for container in changed["spec"]["template"]["spec"]["containers"]:
            container["args"] = ["--v=0" if arg == "--v=10" else arg for arg in container.get("args", ())]
    if changed["kind"] == "ConfigMap" and "explainers" in changed["data"]:
        data = {key: text for key, text in changed["data"].items() if key != "_example"}
        changed["data"] = {**data, "explainers": json.dumps({})}
    return changed


def judges(inputs: AddonInputs) -> Iterator[Mistake]:
    """A domain is served by a Gateway, whose definitions somebody has to bring."""
    options: Options = inputs.options
    if options.mode == "Knative" and "knative-serving" not in inputs.beside:
        do = "Add `knative-serving: {}` to espalier:addons, or take Standard."
        yield Mistake(f"espalier:addons.{NAME}.mode", "Knative", "Knative beside knative-serving", do)
    if options.mode == "Knative" and options.domain:
        do = "Say the domain of knative-serving instead."
        yield Mistake(f"espalier:addons.{NAME}.domain", options.domain, "a domain with mode Standard", do)
    if options.domain and "gateway-api" not in inputs.beside:
        do = "Add `gateway-api: {}` to espalier:addons and a controller for its gateways, or remove the domain."
        yield Mistake(f"espalier:addons.{NAME}.domain", options.domain, "a domain beside gateway-api", do)
    if options.domain and not options.issuer:
        do = "Name the ClusterIssuer that signs its certificate, or remove the domain."
        yield Mistake(f"espalier:addons.{NAME}.domain", "a domain without an issuer", "models served by HTTPS", do)


def traffic(options: Options) -> Traffic:
    """Models are loaded from anywhere; the gateway's proxies reach those who serve them."""
    pods = {"gateway.networking.k8s.io/gateway-name": GATEWAY} if options.gateway_namespace == NAMESPACE else {}
    return Traffic(
        callers=(Peer(options.gateway_namespace, pods, PORTS),) if options.domain else (),
        servers=(Peer(ports=(443,)),) if options.downloads else (),
    )


RECORD = AddonRecord(
    id=NAME,
    version=VERSION,
    category="serving",
    tier="core",
    licence="Apache-2.0",
    source="https://github.com/kserve/kserve",
    options=Options,
    objects=objects,
    content=Content(
        source=ChartSource("kserve-resources", VERSION, "oci://ghcr.io/kserve/charts"),
        namespace=NAMESPACE,
        namespace_labels={"pod-security.kubernetes.io/enforce": "restricted"},
        release="kserve-resources",
        values=values,
        edit=edit,
        api_versions=("cert-manager.io/v1", "gateway.networking.k8s.io/v1"),
        cluster_scoped=frozenset({"ClusterStorageContainer"}),
        images=(
            ImagePath("ConfigMap", "data[*]", "inferenceservice-config", _IN_JSON),
            ImagePath("ClusterStorageContainer", "spec.container.image"),
        ),
        facts=ContentFacts(
            images=(
                *(f"kserve/{name}:{VERSION}" for name in _IMAGES),
                "quay.io/brancz/kube-rbac-proxy:v0.18.0",
            )
        ),
    ),
    needs=frozenset({"cert-manager", "kserve-crd"}),
    after=frozenset({"gateway-api", "istiod", "knative-serving"}),
    kubernetes=Window("1.32", "", "https://kserve.github.io/website/docs/admin-guide/kubernetes-deployment"),
    versions={
        "kserve-crd": Window("0.20", "0.20", "https://github.com/kserve/kserve/blob/v0.20.0/charts/kserve-resources"),
        "cert-manager": Window("1.17", "", "https://github.com/kserve/kserve/blob/v0.20.0/kserve-deps.env"),
    },
    judges=judges,
    work=((GROUP, ("inferencegraphs", "inferenceservices", "servingruntimes", "trainedmodels")),),
    traffic_by=traffic,
)
