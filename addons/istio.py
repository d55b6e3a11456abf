"""Istio: who talks to whom is known by certificates, and what comes from outside by one gateway.

Facts: istio/istio 1.30.3, manifests/charts (base, istio-control/istio-discovery, gateway, istio-cni). Sidecars, and not
ambient: Kubeflow's AuthorizationPolicies compare a header with a namespace's owner, which in ambient mode takes one
more proxy in each tenant's namespace. A sidecar's traffic is led to it by the CNI plugin instead of an init container
with NET_ADMIN, which a tenant's namespace would refuse; the plugin alone has access to its nodes, in a namespace of its
own. Sidecars are native ones (Istio's default), so that Jobs end.

istiod writes Fail into its validation's webhooks once it answers, over the charts' Ignore, which server-side apply
would put back at each run (https://github.com/istio/istio/issues/61613): they say Fail from the beginning.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from espalier.addons.placement import apart, one_at_a_time, staying_affinity, system_tolerations
from espalier.addons.walls import wall
from espalier.content import ChartSource, Content, ContentFacts, ImagePath
from espalier.types import AddonInputs, AddonRecord, Peer, Planned, Traffic, Window

VERSION: Final = "1.30.3"
NAMESPACE: Final = "istio-system"
PLUGIN_NAMESPACE: Final = "istio-cni"
GATEWAY: Final = "istio-ingressgateway"
ACCOUNT: Final = "istio-ingressgateway-service-account"
"""As Kubeflow's AuthorizationPolicies name it, in istio-system."""
GATEWAY_PODS: Final = {"app": GATEWAY, "istio": "ingressgateway"}
PODS: Final = {"app": "istiod"}
PROXY: Final = f"registry.istio.io/release/proxyv2:{VERSION}"
_REPO: Final = "https://istio-release.storage.googleapis.com/charts"
_SOURCE: Final = "https://github.com/istio/istio"
_SUPPORT: Final = "https://istio.io/latest/docs/releases/supported-releases"
_RESTRICTED: Final = {"pod-security.kubernetes.io/enforce": "restricted"}
_SECCOMP: Final = {"type": "RuntimeDefault"}
_GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "extensions": ("trafficextensions", "wasmplugins"),
    "networking": (
        "destinationrules",
        "envoyfilters",
        "gateways",
        "proxyconfigs",
        "serviceentries",
        "sidecars",
        "virtualservices",
        "workloadentries",
        "workloadgroups",
    ),
    "security": ("authorizationpolicies", "peerauthentications", "requestauthentications"),
    "telemetry": ("telemetries",),
}
_HUB: Final = r'"hub":\s*"([^"]+)"'
_RANGE: Final = r"^[0-9a-f.:]+/[0-9]{1,3}$"


class Nothing(BaseModel):
    """Nothing to say."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Options(BaseModel):
    """Who is asked about each request that a policy sends there."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    authorizer: Annotated[str, Field(pattern=r"^[a-z0-9.-]+:[0-9]{1,5}$")] | None = Field(
        default=None,
        description="host:port of oauth2-proxy's Service: policies with the provider oauth2-proxy ask it by HTTP",
    )


class GatewayOptions(BaseModel):
    """Whether the gateway is reached from outside, and from where."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=lambda name: name.replace("_", "-")
    )

    exposed: bool = Field(default=False, description="true: its Service is a LoadBalancer, which may be public")
    source_ranges: Annotated[list[Annotated[str, Field(pattern=_RANGE)]], Field(max_length=100)] = Field(
        default=[], description="addresses that its load balancer admits, such as 192.0.2.0/24; none: all"
    )
    annotations: Annotated[dict[str, str], Field(max_length=50)] = Field(
        default={}, description="annotations of its Service, by which a cloud knows an internal load balancer"
    )


def control_plane(inputs: AddonInputs) -> Mapping[str, Any]:
    """Two at least, sidecars that ask for little, and a CNI plugin in the place of init containers."""
    options: Options = inputs.options
    mesh: dict[str, Any] = {"defaultConfig": {"holdApplicationUntilProxyStarts": True}}
    if options.authorizer:
        mesh["extensionProviders"] = [_authorizer(options.authorizer)]
    return {
        "cni": {"enabled": True},
        "autoscaleMin": 2,
        "affinity": staying_affinity(),
        "tolerations": system_tolerations(),
        "topologySpreadConstraints": apart(PODS),
        "seccompProfile": dict(_SECCOMP),
        "resources": {"requests": {"cpu": "200m", "memory": "512Mi"}, "limits": {"memory": "4Gi"}},
        "meshConfig": mesh,
        # To ask the identity provider for its keys.
        "jwksResolverExtraRootCA": inputs.issuer.ca if inputs.issuer else "",
        "global": {
            "proxy": {
                "resources": {"requests": {"cpu": "25m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}},
                "seccompProfile": dict(_SECCOMP),
            }
        },
    }


def _authorizer(address: str) -> dict[str, Any]:
    host, _, port = address.rpartition(":")
    told = ["authorization", "path", "x-auth-request-email", "x-auth-request-groups", "x-auth-request-user"]
    asked = {
        "service": host,
        "port": int(port),
        "includeRequestHeadersInCheck": ["authorization", "cookie"],
        "headersToUpstreamOnAllow": told,
        "headersToDownstreamOnDeny": ["content-type", "set-cookie"],
    }
    return {"name": "oauth2-proxy", "envoyExtAuthzHttp": asked}


def failing_closed(inputs: AddonInputs, manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """Webhooks that judge Istio's own kinds, as istiod itself would write them."""
    del inputs
    if manifest["kind"] != "ValidatingWebhookConfiguration":
        return manifest
    return {**manifest, "webhooks": [{**hook, "failurePolicy": "Fail"} for hook in manifest["webhooks"]]}


def with_whole_images(inputs: AddonInputs, manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is injected is named whole, so that a mirror's rules find it."""
    manifest = failing_closed(inputs, manifest)
    if manifest["kind"] != "ConfigMap" or manifest["metadata"]["name"] != "istio-sidecar-injector":
        return manifest
    changed = copy.deepcopy(dict(manifest))
    told = json.loads(changed["data"]["values"])
    for part in ("proxy", "proxy_init"):
        told["global"][part]["image"] = PROXY
    changed["data"]["values"] = json.dumps(told, indent=2, sort_keys=True)
    return changed


def plugin(inputs: AddonInputs) -> Mapping[str, Any]:
    """GKE has another folder for plugins, and lets pods with such a priority only into namespaces with a quota."""
    platform = {"global": {"platform": "gke"}} if inputs.facts.kind == "gke" else {}
    return {"seccompProfile": dict(_SECCOMP), **platform}


def gateway(inputs: AddonInputs) -> Mapping[str, Any]:
    """Two at least, within the cluster alone unless it is to be exposed."""
    options: GatewayOptions = inputs.options
    return {
        "name": GATEWAY,
        "serviceAccount": {"name": ACCOUNT},
        "autoscaling": {"minReplicas": 2},
        "podDisruptionBudget": one_at_a_time(),
        "affinity": staying_affinity(),
        "tolerations": system_tolerations(),
        "topologySpreadConstraints": apart(GATEWAY_PODS),
        "securityContext": {
            "sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}],
            "seccompProfile": dict(_SECCOMP),
        },
        "service": {
            "type": "LoadBalancer" if options.exposed else "ClusterIP",
            "annotations": dict(sorted(options.annotations.items())),
            "loadBalancerSourceRanges": sorted(options.source_ranges),
        },
    }


def with_proxy(inputs: AddonInputs, manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """The image that the injector would put there: it leaves one that is named."""
    del inputs
    if manifest["kind"] != "Deployment":
        return manifest
    changed = copy.deepcopy(dict(manifest))
    for container in changed["spec"]["template"]["spec"]["containers"]:
        container["image"] = PROXY
    return changed


def around_the_gateway(inputs: AddonInputs) -> Sequence[Planned]:
    """Reached by everybody at its ports; it reaches all pods of the cluster, and no address outside."""
    del inputs
    made = wall(NAMESPACE, (80, 443, 15020, 15021, 15090), pods=GATEWAY_PODS)
    spec = {**made.manifest["spec"], "egress": [{"to": [{"namespaceSelector": {}}]}]}
    metadata = {**made.manifest["metadata"], "name": GATEWAY}
    return (Planned(made.suffix, {**made.manifest, "metadata": metadata, "spec": spec}),)


def _record(id: str, content: Content, **more: Any) -> AddonRecord:
    return AddonRecord(
        id=id,
        version=VERSION,
        category="networks",
        tier="core",
        licence="Apache-2.0",
        source=_SOURCE,
        content=content,
        kubernetes=Window("1.32", "1.36", _SUPPORT),
        **more,
    )


BASE: Final = _record(
    "istio-base",
    Content(
        source=ChartSource("base", VERSION, _REPO),
        namespace=NAMESPACE,
        namespace_labels=_RESTRICTED,
        edit=failing_closed,
        facts=ContentFacts(
            crds=tuple(sorted(f"{kind}.{group}.istio.io" for group, kinds in _GROUPS.items() for kind in kinds))
        ),
    ),
    options=Nothing,
    may_exist=True,
    seen=(
        ("networking.istio.io", ("destinationrules", "virtualservices")),
        ("security.istio.io", ("authorizationpolicies",)),
    ),
)
PLUGIN: Final = _record(
    "istio-cni",
    Content(
        source=ChartSource("cni", VERSION, _REPO),
        namespace=PLUGIN_NAMESPACE,
        namespace_labels={"pod-security.kubernetes.io/enforce": "privileged"},
        values=plugin,
        facts=ContentFacts(images=(f"registry.istio.io/release/install-cni:{VERSION}",)),
    ),
    options=Nothing,
    needs=frozenset({"istio-base"}),
    versions={"istio-base": Window("1.30", "1.30", _SUPPORT)},
    privileged_namespaces=frozenset({PLUGIN_NAMESPACE}),
    everywhere=True,
    may_exist=True,
)
ISTIOD: Final = _record(
    "istiod",
    Content(
        source=ChartSource("istiod", VERSION, _REPO),
        namespace=NAMESPACE,
        create_namespace=False,
        values=control_plane,
        edit=with_whole_images,
        images=(
            ImagePath("ConfigMap", "data.values", "istio-sidecar-injector", r'"image":\s*"([^"]+/[^"]+)"'),
            ImagePath("ConfigMap", "data.values", "istio-sidecar-injector", _HUB, front=True),
            ImagePath("ConfigMap", "data.config", "istio-sidecar-injector", r"image: (busybox:\S+)", optional=True),
            ImagePath("ConfigMap", "data[*]", "values", _HUB, front=True, optional=True),
        ),
        facts=ContentFacts(images=("busybox:1.28", f"registry.istio.io/release/pilot:{VERSION}", PROXY)),
    ),
    options=Options,
    objects=lambda _: (wall(NAMESPACE, (15012, 15014, 15017), pods=PODS),),
    needs=frozenset({"istio-base", "istio-cni"}),
    after=frozenset({"gateway-api"}),
    versions={"istio-base": Window("1.30", "1.30", _SUPPORT), "istio-cni": Window("1.29", "1.31", _SUPPORT)},
    provides=frozenset({"gatewayclass/istio", "webhook/istio-sidecar-injector"}),
    may_exist=True,
    traffic=Traffic(servers=(Peer(NAMESPACE, PODS, (15012,)),)),
)
INGRESS: Final = _record(
    "istio-gateway",
    Content(
        source=ChartSource("gateway", VERSION, _REPO),
        namespace=NAMESPACE,
        create_namespace=False,
        release=GATEWAY,
        values=gateway,
        edit=with_proxy,
        facts=ContentFacts(images=(PROXY,)),
    ),
    options=GatewayOptions,
    objects=around_the_gateway,
    needs=frozenset({"istiod"}),
    may_exist=True,
)
RECORDS: Final = (BASE, PLUGIN, ISTIOD, INGRESS)
"""In the order of their needs."""
