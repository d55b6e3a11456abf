"""What a tenant must not get away with, whatever its roles let it, and what the cluster has for it to try."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from espalier.blueprint.guards import (
    BINDINGS,
    FINALIZERS,
    HOSTS,
    IMAGES,
    MANAGED,
    MONITORS,
    NAMESPACES,
    PODS,
    PROFILES,
    SCALERS,
    SERVICES,
    WALLS,
)
from espalier.blueprint.names import MANAGED_BY, TENANT
from espalier.kube import Client, Kind
from espalier.types import Manifest
from tests.sim.tenancy import RBAC, Attempt, bound, objects, planned, role

NAMESPACE = Kind("v1", "Namespace")
QUOTA = Kind("v1", "ResourceQuota")
POLICY = Kind("networking.k8s.io/v1", "NetworkPolicy")
ROLE = Kind(f"{RBAC}/v1", "Role")
CONFIG_MAP = Kind("v1", "ConfigMap")
CLAIM = Kind("v1", "PersistentVolumeClaim")
PRIORITY = Kind("scheduling.k8s.io/v1", "PriorityClass")
BINDING = Kind("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding")
POD = Kind("v1", "Pod")
PROFILE = Kind("kubeflow.org/v1", "Profile")
BY = {one["metadata"]["name"]: one for one in objects(planned()) if one["kind"] == BINDING.kind}
ENFORCE = "pod-security.kubernetes.io/enforce"
CONTAINER = {"name": "main", "image": "example.com/x:1"}


def made(api_version: str, kind: str, name: str, namespace: str = "vision", **body: Any) -> Manifest:
    labels = body.pop("labels", {})
    where = {"namespace": namespace} if namespace else {}
    metadata = {"name": name, **where, "labels": labels, **body.pop("metadata", {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **body}


def creates(name: str, guard: str, manifest: Manifest) -> Attempt:
    return Attempt(name, (guard,), lambda client: client.create(manifest, dry_run=True))


def patches(
    name: str, kept_by: tuple[str, ...], kind: Kind, target: str, body: Any, namespace: str | None, **how: Any
) -> Attempt:
    def send(client: Client) -> Any:
        return client.patch(kind, target, body, namespace=namespace, dry_run=True, **how)

    return Attempt(name, kept_by, send)


def deletes(name: str, kept_by: tuple[str, ...], kind: Kind, target: str, namespace: str | None) -> Attempt:
    return Attempt(name, kept_by, lambda client: client.delete(kind, target, namespace, dry_run=True))


def labelled(labels: dict[str, Any]) -> Any:
    return {"metadata": {"labels": labels}}


def pod(**spec: Any) -> Manifest:
    return made("v1", "Pod", "p", spec={"containers": [CONTAINER], **spec})


def small_pod(name: str = "p", **spec: Any) -> Manifest:
    """Of a tenant that is held closer; by itself it is let through."""
    image = {"name": "main", "image": "registry.example.com/small/x:1"}
    return made("v1", "Pod", name, "small-ana", spec={"containers": [image], **spec})


def finalized(kind: str, name: str, *finalizers: str) -> Manifest:
    return made("v1", kind, name, metadata={"finalizers": list(finalizers)})


def ingress(host: str = "", **spec: Any) -> Manifest:
    backend = {"service": {"name": "s", "port": {"number": 80}}}
    path = {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}
    rule = {"http": path, **({"host": host} if host else {})}
    return made("networking.k8s.io/v1", "Ingress", "i", spec={"rules": [rule], **spec})


def route(*hosts: str) -> Manifest:
    return made("gateway.networking.k8s.io/v1", "HTTPRoute", "r", spec={"hostnames": list(hosts)})


def monitor(namespaces: Any = None, **endpoint: Any) -> Manifest:
    chosen = {"namespaceSelector": namespaces} if namespaces else {}
    return made("monitoring.coreos.com/v1", "ServiceMonitor", "m", spec={"endpoints": [endpoint], **chosen})


def relabelled(**how: Any) -> Manifest:
    return monitor(port="http", relabelings=[how])


def mapping(host: str, **spec: Any) -> Manifest:
    body = {"hostname": host, "prefix": "/", "service": "s:80", **spec}
    return made("getambassador.io/v3alpha1", "Mapping", "m", spec=body)


def certificate(*hosts: str, kind: str = "ClusterIssuer") -> Manifest:
    spec = {"dnsNames": list(hosts), "issuerRef": {"name": "i", "kind": kind}, "secretName": "s"}
    return made("cert-manager.io/v1", "Certificate", "c", spec=spec)


def virtual(destination: str, **more: Any) -> Manifest:
    to = {"destination": {"host": destination}}
    return made(
        "networking.istio.io/v1", "VirtualService", "v", spec={"hosts": ["a.w.org"], "http": [{"route": [to], **more}]}
    )


def backed(**backend: Any) -> Manifest:
    return {**route("w.org"), "spec": {"hostnames": ["w.org"], "rules": [{"backendRefs": [backend]}]}}


def workload(name: str, value: int) -> Manifest:
    ref = {"group": "scheduling.k8s.io", "kind": "PriorityClass", "name": name}
    return made(
        "kueue.x-k8s.io/v1beta2", "Workload", "w", "small-ana", spec={"priorityClassRef": ref, "priority": value}
    )


def scaler(kind: str = "ScaledObject", type: str = "prometheus", **more: Any) -> Manifest:
    """Of a tenant's own requests that wait; `more` is of its trigger's metadata, but for `authenticationRef`."""
    asked = {"serverAddress": "http://prometheus-operated.monitoring.svc:9090", "query": MINE, "threshold": "1"}
    auth = {"authenticationRef": more.pop("authenticationRef")} if "authenticationRef" in more else {}
    return made(
        "keda.sh/v1alpha1",
        kind,
        "s",
        spec={
            "scaleTargetRef": {"name": "llm"},
            "triggers": [{"type": type, "metadata": {**asked, **more}, **auth}],
        },
    )


def credentials(**spec: Any) -> Manifest:
    return made("keda.sh/v1alpha1", "TriggerAuthentication", "t", spec=spec)


def binding(kind: str, name: str, namespace: str = "") -> Manifest:
    subject = {"kind": kind, "name": name, **({"namespace": namespace} if namespace else {"apiGroup": RBAC})}
    return made(f"{RBAC}/v1", "RoleBinding", "in", roleRef={**CLUSTER_ADMIN, "name": "view"}, subjects=[subject])


def lets_in(*subject: str) -> Callable[[Client], Any]:
    return lambda client: client.create(binding(*subject), dry_run=True)


def binds(client: Client) -> Any:
    body = made("v1", "Binding", "runs", "small-ana", target={"kind": "Node", "name": "any"})
    return client.request("POST", "/api/v1/namespaces/small-ana/pods/runs/binding", query={"dryRun": "All"}, body=body)


MINE = 'sum by (pod) (rate(vllm:num_requests_waiting{namespace="vision",pod=~"llm-[a-z]{5}"}[1m])) or vector(0)'
NAME = "external-dns.alpha.kubernetes.io/hostname"
NAMED = {NAME: "language.example.com"}
CLUSTER_ADMIN = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "cluster-admin"}
STRANGER = [{"kind": "User", "name": "eve", "apiGroup": RBAC}]
GPU_FOR_ALL = {"limits": [{"type": "Container", "default": {"nvidia.com/gpu": 1}}]}
ANY = {"podSelector": {}, "ingress": [{}], "egress": [{}], "policyTypes": ["Ingress", "Egress"]}
BOTH = (MANAGED, WALLS)
PORT = {"ports": [{"port": 80}]}
ELSEWHERE = made("v1", "Service", "e", spec={"type": "ExternalName", "externalName": "s.language.svc.cluster.local"})

ATTEMPTS = [
    patches("raise its quota", BOTH, QUOTA, "tenant", {"spec": {"hard": {"requests.nvidia.com/gpu": "99"}}}, "vision"),
    deletes("delete its quota", BOTH, QUOTA, "tenant", "vision"),
    deletes("delete the NetworkPolicy", BOTH, POLICY, "default-deny", "vision"),
    patches("widen its role", BOTH, ROLE, "tenant-edit", {"rules": []}, "vision"),
    patches("take the label off", BOTH, QUOTA, "tenant", {"metadata": {"labels": None}}, "vision"),
    creates("open its network", WALLS, made("networking.k8s.io/v1", "NetworkPolicy", "open", spec=ANY)),
    creates(
        "let a stranger in",
        WALLS,
        made(f"{RBAC}/v1", "RoleBinding", "in", roleRef={**CLUSTER_ADMIN, "name": "view"}, subjects=STRANGER),
    ),
    creates(
        "bind cluster-admin in its namespace",
        WALLS,
        made(f"{RBAC}/v1", "RoleBinding", "in", roleRef=CLUSTER_ADMIN, subjects=STRANGER),
    ),
    creates("give each container a device", WALLS, made("v1", "LimitRange", "gpus", spec=GPU_FOR_ALL)),
    creates(
        "a foreign ClusterQueue",
        WALLS,
        made("kueue.x-k8s.io/v1beta2", "LocalQueue", "theirs", spec={"clusterQueue": "language"}),
    ),
    creates(
        "read what a store keeps of others",
        WALLS,
        made("external-secrets.io/v1", "ExternalSecret", "theirs", spec={"dataFrom": []}),
    ),
    creates("answer for another's host", HOSTS, ingress("language.example.com")),
    creates("answer for all hosts", HOSTS, ingress()),
    creates("route another's host", HOSTS, route("language.example.com")),
    creates(
        "take a host of the mesh", HOSTS, made("networking.istio.io/v1", "VirtualService", "v", spec={"hosts": ["*"]})
    ),
    patches("change what is managed", (MANAGED,), CONFIG_MAP, "kept", {"data": {"a": "b"}}, "vision"),
    patches(
        "own what is managed",
        (MANAGED,),
        CONFIG_MAP,
        "kept",
        {"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "1"}]}},
        "vision",
    ),
    deletes("delete what is managed", (MANAGED,), CONFIG_MAP, "kept", "vision"),
    creates("pass for managed", MANAGED, made("v1", "ConfigMap", "fake", labels=MANAGED_BY)),
    patches("change a shared PriorityClass", (MANAGED,), PRIORITY, "espalier-serving", {"description": "mine"}, None),
    deletes("delete a shared PriorityClass", (MANAGED,), PRIORITY, "espalier-batch", None),
    patches(
        "lower its Pod Security",
        (MANAGED, NAMESPACES),
        NAMESPACE,
        "vision",
        labelled({ENFORCE: "privileged"}),
        None,
    ),
    patches(
        "take its namespace's label off",
        (NAMESPACES,),
        NAMESPACE,
        "vision",
        labelled({TENANT: None}),
        None,
    ),
    patches(
        "become another tenant",
        (NAMESPACES,),
        NAMESPACE,
        "vision",
        labelled({TENANT: "language"}),
        None,
    ),
    deletes("delete its namespace", (NAMESPACES,), NAMESPACE, "vision", None),
    creates("a namespace of a tenant", NAMESPACES, made("v1", "Namespace", "more", "", labels={TENANT: "vision"})),
    patches(
        "make a namespace a tenant's",
        (NAMESPACES,),
        NAMESPACE,
        "default",
        labelled({TENANT: "vision"}),
        None,
    ),
    creates("a finalizer of its own", FINALIZERS, finalized("ConfigMap", "stuck", "example.com/never")),
    creates("another's finalizer", FINALIZERS, finalized("ConfigMap", "stuck", "kubernetes.io/pv-protection")),
    patches("put a finalizer on", (FINALIZERS,), CONFIG_MAP, "own", {"metadata": {"finalizers": ["a.b/c"]}}, "vision"),
    patches("take a finalizer off", (FINALIZERS,), CLAIM, "data", {"metadata": {"finalizers": None}}, "vision"),
    creates("the system's PriorityClass", PODS, pod(priorityClassName="system-node-critical")),
    creates("another's PriorityClass", PODS, pod(priorityClassName="theirs")),
    creates("a PriorityClass above its own", PODS, small_pod(priorityClassName="espalier-interactive")),
    creates("another's image", IMAGES, small_pod(containers=[CONTAINER])),
    creates("another's image to begin with", IMAGES, small_pod(initContainers=[{**CONTAINER, "name": "init"}])),
    creates("another's image as a volume", IMAGES, small_pod(volumes=[{"name": "v", "image": {"reference": "a/b:1"}}])),
    patches(
        "another's image while it runs",
        (IMAGES,),
        POD,
        "runs",
        [{"op": "replace", "path": "/spec/containers/0/image", "value": "example.com/x:2"}],
        "small-ana",
        how="json",
    ),
    patches(
        "an ephemeral container of another's image",
        (IMAGES,),
        POD,
        "runs",
        {"spec": {"ephemeralContainers": [{**CONTAINER, "name": "debug"}]}},
        "small-ana",
        how="strategic",
        subresource="ephemeralcontainers",
    ),
    creates("go round the scheduler", PODS, pod(nodeName="any")),
    creates(
        "take another's address",
        SERVICES,
        made("v1", "Service", "s", spec={"ports": [{"port": 80}], "externalIPs": ["192.0.2.1"]}),
    ),
    creates(
        "a Workload in a foreign ClusterQueue",
        WALLS,
        made("kueue.x-k8s.io/v1beta2", "Workload", "theirs", spec={"admission": {"clusterQueue": "language"}}),
    ),
    patches(
        "move its queue to a foreign ClusterQueue",
        BOTH,
        Kind("kueue.x-k8s.io/v1beta2", "LocalQueue"),
        "queue",
        {"spec": {"clusterQueue": "language"}},
        "vision",
    ),
    Attempt("place a pod by hand", (WALLS,), binds),
    patches(
        "answer by another's address",
        (WALLS,),
        POD,
        "runs",
        {"status": {"podIP": "10.0.0.9", "podIPs": [{"ip": "10.0.0.9"}]}},
        "small-ana",
        subresource="status",
    ),
    creates(
        "lead the mesh to another's pod",
        WALLS,
        made("networking.istio.io/v1", "WorkloadEntry", "e", spec={"address": "10.0.0.9"}),
    ),
    creates("probe others", WALLS, made("monitoring.coreos.com/v1", "Probe", "p", spec={})),
    creates("a name of another's", HOSTS, made("v1", "Service", "s", spec=PORT, metadata={"annotations": NAMED})),
    creates("a certificate for another's host", HOSTS, certificate("language.example.com")),
    creates("scrape all", MONITORS, monitor({"any": True}, port="http")),
    creates("scrape another's pods", MONITORS, monitor({"matchNames": ["language"]}, port="http")),
    creates("scrape by a proxy", MONITORS, monitor(port="http", proxyUrl="http://169.254.169.254")),
    creates("have Prometheus ask for a token", MONITORS, monitor(port="http", oauth2={"tokenUrl": "http://10.0.0.9"})),
    creates("be told Prometheus' token", MONITORS, monitor(port="http", bearerTokenFile="/var/run/secrets/token")),
    creates("show Prometheus' files", MONITORS, monitor(port="http", tlsConfig={"certFile": "/etc/passwd"})),
    creates("scrape another's address", MONITORS, relabelled(targetLabel="__address__", replacement="10.0.0.9:80")),
    creates("scrape it by a found label", MONITORS, relabelled(targetLabel="${1}address__", replacement="10.0.0.9:80")),
    creates("scrape it by a label's name", MONITORS, relabelled(action="LabelMap", regex="(.*)")),
    creates("pass for another's metrics", MONITORS, monitor(port="http", honorLabels=True)),
    creates(
        "pass for another's metrics by a label",
        MONITORS,
        monitor(port="http", metricRelabelings=[{"targetLabel": "namespace", "replacement": "language"}]),
    ),
    creates(
        "judge all tenants' metrics, and write what others scale by",
        WALLS,
        made("monitoring.coreos.com/v1", "PrometheusRule", "r", spec={"groups": []}),
    ),
    creates(
        "have Alertmanager call any address",
        WALLS,
        made("monitoring.coreos.com/v1alpha1", "AlertmanagerConfig", "a", spec={}),
    ),
    creates("have KEDA tell any address", WALLS, made("eventing.keda.sh/v1alpha1", "CloudEventSource", "c", spec={})),
    creates(
        "let routes of others in", WALLS, made("gateway.networking.k8s.io/v1beta1", "ReferenceGrant", "g", spec={})
    ),
    creates("scale by another's metrics", SCALERS, scaler(query='sum(up{namespace="language"})')),
    creates("scale by all tenants' metrics", SCALERS, scaler(query="sum(up)")),
    creates("scale by its own and another's", SCALERS, scaler(query=f"{MINE} or up")),
    creates("have KEDA ask any address", SCALERS, scaler(serverAddress="http://10.0.0.9:443")),
    creates(
        "have KEDA ask by a name that looks alike", SCALERS, scaler(serverAddress="http://p.monitoring.example.com")
    ),
    creates("have KEDA ask something else besides", SCALERS, scaler(queryParameters="query=up")),
    creates("have KEDA ask a metrics API", SCALERS, scaler(type="metrics-api", url="https://10.0.0.9/x")),
    creates("have KEDA ask a cloud", SCALERS, scaler("ScaledJob", type="aws-sqs-queue", identityOwner="operator")),
    creates(
        "scale by credentials of the cluster",
        SCALERS,
        scaler(authenticationRef={"name": "theirs", "kind": "ClusterTriggerAuthentication"}),
    ),
    creates("use KEDA's identity", SCALERS, credentials(podIdentity={"provider": "aws"})),
    creates(
        "be told KEDA's token",
        SCALERS,
        credentials(hashiCorpVault={"address": "https://example.com", "authentication": "kubernetes"}),
    ),
    Attempt("let another tenant's service account in", (WALLS, BINDINGS), lets_in("ServiceAccount", "x", "language")),
    Attempt("let it in by its user's name", (WALLS, BINDINGS), lets_in("User", "system:serviceaccount:language:x")),
    Attempt("let all service accounts in", (WALLS, BINDINGS), lets_in("Group", "system:serviceaccounts")),
    Attempt("let everybody in", (WALLS, BINDINGS), lets_in("Group", "system:authenticated")),
    creates("make a namespace without walls", PROFILES, made("kubeflow.org/v1", "Profile", "free", "", spec={})),
    deletes("delete its Profile", (PROFILES,), PROFILE, "vision", None),
    patches(
        "give its Profile away",
        (PROFILES,),
        PROFILE,
        "vision",
        {"spec": {"owner": {"kind": "User", "name": "eve"}}},
        None,
    ),
    creates("lead a gateway to another's Service", SERVICES, ELSEWHERE),
    creates(
        "lead a gateway to another's pod",
        WALLS,
        made("v1", "Endpoints", "s", subsets=[{"addresses": [{"ip": "10.0.0.9"}], "ports": [{"port": 80}]}]),
    ),
    creates(
        "lead a gateway to another's pod by a slice",
        WALLS,
        made("discovery.k8s.io/v1", "EndpointSlice", "s", addressType="IPv4", endpoints=[{"addresses": ["10.0.0.9"]}]),
    ),
]


DISK = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
EVERYTHING = ("*", "*", "*")


def defined(group: str, kind: str, plural: str, version: str, scope: str = "Namespaced") -> Manifest:
    """The definition of an add-on's kind, that takes anything."""
    anything = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{group}",
            "annotations": {"api-approved.kubernetes.io": "unapproved, a test's"},
        },
        "spec": {
            "group": group,
            "names": {"kind": kind, "plural": plural},
            "scope": scope,
            "versions": [{"name": version, "served": True, "storage": True, "schema": anything}],
        },
    }


EXTRA = [
    defined("kueue.x-k8s.io", "LocalQueue", "localqueues", "v1beta2"),
    defined("kueue.x-k8s.io", "Workload", "workloads", "v1beta2"),
    defined("networking.istio.io", "WorkloadEntry", "workloadentries", "v1"),
    defined("monitoring.coreos.com", "ServiceMonitor", "servicemonitors", "v1"),
    defined("monitoring.coreos.com", "Probe", "probes", "v1"),
    defined("cert-manager.io", "Certificate", "certificates", "v1"),
    defined("gateway.networking.k8s.io", "HTTPRoute", "httproutes", "v1"),
    defined("networking.istio.io", "VirtualService", "virtualservices", "v1"),
    defined("getambassador.io", "Mapping", "mappings", "v3alpha1"),
    defined("serving.knative.dev", "DomainMapping", "domainmappings", "v1beta1"),
    defined("batch.volcano.sh", "Job", "jobs", "v1alpha1"),
    defined("scheduling.run.ai", "PodGroup", "podgroups", "v2alpha2"),
    defined("monitoring.coreos.com", "PrometheusRule", "prometheusrules", "v1"),
    defined("monitoring.coreos.com", "AlertmanagerConfig", "alertmanagerconfigs", "v1alpha1"),
    defined("gateway.networking.k8s.io", "ReferenceGrant", "referencegrants", "v1beta1"),
    defined("keda.sh", "ScaledObject", "scaledobjects", "v1alpha1"),
    defined("keda.sh", "ScaledJob", "scaledjobs", "v1alpha1"),
    defined("keda.sh", "TriggerAuthentication", "triggerauthentications", "v1alpha1"),
    defined("eventing.keda.sh", "CloudEventSource", "cloudeventsources", "v1alpha1"),
    defined("kubeflow.org", "Profile", "profiles", "v1", "Cluster"),
    made("kubeflow.org/v1", "Profile", "vision", "", spec={"owner": {"kind": "User", "name": "olga"}}),
    defined("external-secrets.io", "ExternalSecret", "externalsecrets", "v1"),
    role("test-broad", [EVERYTHING]),
    role(
        "test-shared",
        [("scheduling.k8s.io", "priorityclasses", "*"), ("", "namespaces", "*"), ("kubeflow.org", "profiles", "*")],
    ),
    bound("test-broad", "test-broad", "mallory", "vision"),
    bound("test-broad", "test-broad", "mallory", "small-ana"),
    bound("test-shared", "test-shared", "mallory"),
    small_pod("runs"),
    made("kueue.x-k8s.io/v1beta2", "LocalQueue", "queue", labels=MANAGED_BY, spec={"clusterQueue": "vision"}),
    made("v1", "ConfigMap", "kept", labels=MANAGED_BY),
    made("v1", "ConfigMap", "own"),
    made("v1", "PersistentVolumeClaim", "data", spec=DISK),
    made("scheduling.k8s.io/v1", "PriorityClass", "theirs", "", value=500_000),
]
