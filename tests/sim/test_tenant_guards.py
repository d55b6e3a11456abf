"""Break-out attempts by people of a tenant to whom some tool gave broad roles, and each guard taken away once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from espalier import sim
from espalier.blueprint.guards import (
    FINALIZERS,
    HOSTS,
    IMAGES,
    MANAGED,
    MONITORS,
    NAMESPACES,
    PLACEMENT,
    PODS,
    QUEUES,
    SERVICES,
    WALLS,
    guards,
)
from espalier.blueprint.names import DOMAINS, FORBIDDEN_POOLS, MANAGED_BY, TENANT
from espalier.kube import ApiError, Client, Kind
from espalier.types import Manifest
from espalier.verify.contention import contention_tasks
from espalier.verify.isolation import isolation_tasks
from espalier.verify.model import Context, Outcome
from espalier.verify.quota import quota_tasks
from espalier.verify.stage import Stage
from tests.sim.tenancy import RBAC, Attempt, add, bound, objects, person, planned, remove, role

NAMESPACE = Kind("v1", "Namespace")
QUOTA = Kind("v1", "ResourceQuota")
POLICY = Kind("networking.k8s.io/v1", "NetworkPolicy")
ROLE = Kind(f"{RBAC}/v1", "Role")
CONFIG_MAP = Kind("v1", "ConfigMap")
CLAIM = Kind("v1", "PersistentVolumeClaim")
PRIORITY = Kind("scheduling.k8s.io/v1", "PriorityClass")
BINDING = Kind("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding")
POD = Kind("v1", "Pod")
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


def binds(client: Client) -> Any:
    body = made("v1", "Binding", "runs", "small-ana", target={"kind": "Node", "name": "any"})
    return client.request("POST", "/api/v1/namespaces/small-ana/pods/runs/binding", query={"dryRun": "All"}, body=body)


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


@pytest.fixture(scope="module")
def admin(sim_cluster: sim.SimStatus) -> Iterator[Client]:
    """The administrator of a cluster with two tenants, and with broad roles that another tool brings."""
    client = Client.connect(sim_cluster.kubeconfig)
    everything = [*objects(planned()), *EXTRA]
    add(client, everything)
    yield client
    remove(client, everything)


DISK = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
EVERYTHING = ("*", "*", "*")


def defined(group: str, kind: str, plural: str, version: str) -> Manifest:
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
            "scope": "Namespaced",
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
    defined("external-secrets.io", "ExternalSecret", "externalsecrets", "v1"),
    role("test-broad", [EVERYTHING]),
    role("test-shared", [("scheduling.k8s.io", "priorityclasses", "*"), ("", "namespaces", "*")]),
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


@pytest.fixture(scope="module")
def mallory(
    admin: Client, sim_cluster: sim.SimStatus, tmp_path_factory: pytest.TempPathFactory, eventually_: Callable[..., Any]
) -> Client:
    """Of tenant vision, with every right in its namespace and many beyond; all guards are at work."""
    who = person(sim_cluster, tmp_path_factory.mktemp("people"), "mallory", "vision-engineers")
    eventually_(lambda: all(attempt.refusal(who) for attempt in ATTEMPTS))
    return who


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.name)
def test_an_attempt_fails_by_its_guard(attempt: Attempt, mallory: Client) -> None:
    assert any(f"'{guard}'" in attempt.refusal(mallory) for guard in attempt.kept_by)


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.name)
def test_who_brings_the_stack_up_is_not_stopped(attempt: Attempt, admin: Client) -> None:
    if attempt.kept_by[0] not in (PODS, SERVICES, IMAGES):
        assert attempt.refusal(admin) == ""


@pytest.mark.parametrize("guard", sorted(BY))
def test_without_its_guard_each_attempt_succeeds(
    guard: str, mallory: Client, admin: Client, eventually: Callable[..., Any]
) -> None:
    """Those of two guards once both are gone."""
    kept = [attempt for attempt in ATTEMPTS if guard in attempt.kept_by]
    gone = {name for attempt in kept for name in attempt.kept_by}
    assert kept
    try:
        for name in sorted(gone):
            admin.delete(BINDING, name)
        for attempt in kept:
            eventually(lambda attempt=attempt: attempt.refusal(mallory) == "")
    finally:
        for name in sorted(gone):
            admin.apply(BY[name])
        eventually(lambda: all(attempt.refusal(mallory) for attempt in ATTEMPTS))


def test_a_notebooks_service_account_is_the_tenants_and_an_add_ons_is_not(mallory: Client, admin: Client) -> None:
    rights = bound("test-accounts", "test-broad", "unused", "vision")
    accounts = [{"kind": "ServiceAccount", "name": "default", "namespace": ns} for ns in ("vision", "kube-public")]
    binding = {**rights, "subjects": accounts}
    admin.create(binding)
    try:
        as_account = [
            admin.as_user(f"system:serviceaccount:{ns}:default", ["system:serviceaccounts", "system:authenticated"])
            for ns in ("vision", "kube-public")
        ]
        theirs = [
            one for one in ATTEMPTS if one.name in ("raise its quota", "open its network", "a finalizer of its own")
        ]
        theirs.append(creates("as KServe does", SERVICES, ELSEWHERE))
        assert [bool(one.refusal(who)) for who in as_account for one in theirs] == [True] * 4 + [False] * 4
    finally:
        admin.delete(Kind(f"{RBAC}/v1", "RoleBinding"), "test-accounts", "vision")


def test_what_kubeflow_gives_notebooks_gets_no_further_with_every_right(mallory: Client, admin: Client) -> None:
    """As default-editor, by which the pods of a notebook ask the API server."""
    spaces = ("vision", "small-ana")
    grants = [
        {**bound("test-editor", "test-broad", "", ns), "subjects": [{"kind": "ServiceAccount", "name": "default-editor",
         "namespace": ns}]} for ns in spaces
    ]  # fmt: skip
    add(admin, grants)
    try:
        editors = [
            admin.as_user(
                f"system:serviceaccount:{ns}:default-editor", ["system:serviceaccounts", "system:authenticated"]
            )
            for ns in spaces
        ]
        within = [one for one in ATTEMPTS if one.kept_by[-1] != NAMESPACES and "PriorityClass" not in one.name[-21:]]
        got = {
            one.name
            for one in within
            if not any(f"'{guard}'" in one.refusal(editor) for editor in editors for guard in one.kept_by)
        }
        assert got == set()
    finally:
        remove(admin, grants)


def test_a_job_is_let_into_the_queue_by_no_class_that_its_owner_may_not_have(
    mallory: Client, admin: Client, eventually: Callable[..., Any]
) -> None:
    """Kueue makes Workloads in its own name, and puts others' out for them before there are pods."""
    above = Attempt("", (), lambda who: who.create(workload("espalier-interactive", 900_000), dry_run=True))
    assert "priority class espalier-interactive is not for this tenant" in above.refusal(admin)
    admin.create(workload("espalier-batch", 1000), dry_run=True)
    admin.delete(BINDING, PODS)
    try:
        eventually(lambda: above.refusal(admin) == "")
    finally:
        admin.apply(BY[PODS])
        eventually(lambda: above.refusal(admin))


def test_a_controller_makes_no_pod_that_its_owner_could_not(
    mallory: Client, admin: Client, eventually: Callable[..., Any]
) -> None:
    template = {"spec": {"restartPolicy": "Never", "priorityClassName": "theirs", "containers": [CONTAINER]}}
    mallory.create(made("batch/v1", "Job", "first", spec={"template": template}))
    try:
        events = partial(admin.list, Kind("v1", "Event"), "vision")
        told = eventually(lambda: [e["message"] for e in events() if e["reason"] == "FailedCreate"])
        assert "priority class theirs is not for this tenant" in told[0]
    finally:
        mallory.delete(Kind("batch/v1", "Job"), "first", "vision")


def test_what_tenants_do_all_day_is_let_through(mallory: Client, admin: Client) -> None:
    for manifest in (
        pod(),
        small_pod(priorityClassName="espalier-batch"),
        pod(priorityClassName="espalier-interactive"),
        made("v1", "Service", "s", spec={"ports": [{"port": 80}]}),
        made("v1", "ConfigMap", "c", data={"a": "b"}),
        finalized("ConfigMap", "c"),
        certificate("s.vision.svc", kind="Issuer"),
        monitor(port="http", relabelings=[{"targetLabel": "team", "replacement": "vision"}]),
        monitor({"matchNames": ["vision"]}, port="http", tlsConfig={"ca": {"secret": {"name": "s", "key": "ca"}}}),
        {**EXTRA[-2], "metadata": {"name": "more", "namespace": "vision"}},
    ):
        mallory.create(manifest, dry_run=True)
    mallory.patch(CLAIM, "data", {"metadata": {"labels": {"a": "b"}}}, namespace="vision", dry_run=True)
    mallory.patch(CONFIG_MAP, "own", {"data": {"a": "b"}}, namespace="vision", dry_run=True)
    mallory.create(made("v1", "Namespace", "free", ""), dry_run=True)


def test_a_tenant_serves_by_hosts_of_its_own_domains_alone(
    mallory: Client, admin: Client, eventually: Callable[..., Any]
) -> None:
    def refused(manifest: Manifest) -> bool:
        return bool(Attempt("", (), lambda who: who.create(manifest, dry_run=True)).refusal(mallory))

    admin.patch(NAMESPACE, "vision", {"metadata": {"annotations": {DOMAINS: "v.example.com,w.org"}}})
    backend = {"service": {"name": "s", "port": {"number": 80}}}
    mesh = made("networking.istio.io/v1", "VirtualService", "v", spec={"hosts": ["a.w.org"]})
    try:
        eventually(lambda: not refused(ingress("v.example.com")))
        its = [ingress("a.v.example.com"), ingress("*.w.org"), route("w.org", "b.w.org"), mesh]
        its += [virtual("s"), virtual("s.vision.svc.cluster.local"), backed(name="s", port=80), certificate("b.w.org")]
        its += [mapping("a.w.org"), mapping("w.org", service="http://s.vision:80")]
        its += [made("serving.knative.dev/v1beta1", "DomainMapping", "k.w.org", spec={"ref": {"name": "s"}})]
        its += [made("v1", "Service", "s", spec=PORT, metadata={"annotations": {NAME: "a.w.org"}})]
        assert [refused(one) for one in its] == [False] * len(its)
        others = [
            ingress("av.example.com"),
            ingress("example.com"),
            ingress(),
            ingress("w.org", defaultBackend=backend),
            ingress("w.org", tls=[{"hosts": ["example.com"], "secretName": "s"}]),
            route(),
            route("w.org", "example.com"),
            {**mesh, "spec": {"hosts": ["*"]}},
            virtual("s.language.svc.cluster.local"),
            virtual("s.language"),
            virtual("s", mirror={"host": "s.language"}),
            virtual("s", mirrors=[{"destination": {"host": "s.language"}}]),
            virtual("s", delegate={"name": "v", "namespace": "language"}),
            backed(group="networking.istio.io", kind="Hostname", name="s.language.svc.cluster.local"),
            certificate("b.w.org", "example.com"),
            mapping("example.com"),
            mapping(""),
            mapping("a.w.org", service="s.language"),
            mapping("a.w.org", service="https://s.language.svc.cluster.local:443/x"),
            mapping("a.w.org", host_regex=True),
            made("serving.knative.dev/v1beta1", "DomainMapping", "example.com", spec={"ref": {"name": "s"}}),
        ]
        assert [refused(one) for one in others] == [True] * len(others)
    finally:
        admin.patch(NAMESPACE, "vision", {"metadata": {"annotations": {DOMAINS: None}}})
        eventually(lambda: refused(ingress("v.example.com")))


AWAY = [
    {"key": "espalier.dev/pool", "operator": "NotIn", "values": ["h100"]},
    {"key": "espalier.dev/capacity", "operator": "NotIn", "values": ["spot"]},
]


def terms(pod: Manifest) -> list[Any]:
    affinity = pod["spec"].get("affinity", {}).get("nodeAffinity", {})
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution", {})
    return [term["matchExpressions"] for term in required.get("nodeSelectorTerms", [])]


def test_devices_of_a_kind_of_capacity_are_counted_and_are_of_that_kind(
    mallory: Client, admin: Client, eventually: Callable[..., Any]
) -> None:
    """Whoever makes the pods: quotas and the policy know no people."""

    def asks(count: int, priority: str = "") -> str | list[Any]:
        """Where a pod with so many devices would be let to, or which quota refuses it."""
        limits = {"resources": {"limits": {"nvidia.com/gpu": count, "cpu": 1, "memory": "1Gi"}}}
        spec = {"containers": [{**CONTAINER, **limits}], **({"priorityClassName": priority} if priority else {})}
        try:
            return terms(admin.create(made("v1", "Pod", "p", "split", spec=spec), dry_run=True))
        except ApiError as error:
            return error.message.partition("exceeded quota: ")[2].partition(",")[0]

    def landing(operator: str) -> list[Any]:
        return [[{"key": "espalier.dev/capacity", "operator": operator, "values": ["spot"]}]]

    eventually(lambda: asks(2, "espalier-batch-spot") == landing("In"))
    assert asks(3, "espalier-serving-spot") == "tenant-spot"
    eventually(lambda: asks(1) == landing("NotIn"))
    assert asks(1, "espalier-serving") == landing("NotIn")
    assert asks(2) == asks(2, "espalier-batch") == "tenant-on-demand"
    others = pod(priorityClassName="espalier-batch-spot")
    assert "is not for this tenant" in Attempt("", (), lambda who: who.create(others, dry_run=True)).refusal(mallory)


def test_pods_are_kept_off_anothers_pool_and_off_capacity_that_is_not_theirs(
    mallory: Client, admin: Client, eventually: Callable[..., Any]
) -> None:
    lured = small_pod(nodeSelector={"espalier.dev/pool": "h100"}, tolerations=[{"operator": "Exists"}])
    eventually(lambda: terms(mallory.create(lured, dry_run=True)) == [AWAY])
    assert terms(mallory.create(pod(), dry_run=True)) == []
    kind = Kind("admissionregistration.k8s.io/v1", "MutatingAdmissionPolicyBinding")
    (binding,) = [
        one for one in objects(planned()) if one["kind"] == kind.kind and one["metadata"]["name"] == PLACEMENT
    ]
    admin.delete(kind, PLACEMENT)
    try:
        eventually(lambda: terms(mallory.create(lured, dry_run=True)) == [])
    finally:
        admin.apply(binding)
        eventually(lambda: terms(mallory.create(lured, dry_run=True)) == [AWAY])


def test_the_quotas_of_a_tenant_that_is_held_closer_are_asked_all_the_same(
    mallory: Client, admin: Client, eventually: Callable[..., Any]
) -> None:
    """By pods that its guards let through, the one of before Kubernetes 1.36 too: else a guard would answer."""
    older = [g.manifest for g in guards("1.35", [FORBIDDEN_POOLS]) if g.manifest["metadata"]["name"] == PLACEMENT]
    anywhere = Attempt("", (), lambda who: who.create(small_pod(tolerations=[{"operator": "Exists"}]), dry_run=True))
    context = Context(planned(), admin, simulated=True, probe=True)
    stage = Stage(context)
    add(admin, older)
    try:
        eventually(lambda: anywhere.refusal(mallory))
        asked = [*quota_tasks(context), *contention_tasks(context, stage)]
        found = {task.name: task.run() for task in asked if task.name.endswith(("/small", "/split"))}
        assert set(found) == {f"{check}/{name}" for check in ("quota", "contention") for name in ("small", "split")}
        assert [one for one in found.values() if not (isinstance(one, Outcome) and one.ok)] == []
    finally:
        remove(admin, older)


def test_a_role_that_a_person_of_a_tenant_has_elsewhere_is_found(
    mallory: Client, admin: Client, eventually: Callable[..., Any]
) -> None:
    def verdict() -> Outcome:
        context = Context(planned(), admin, simulated=True, probe=True)
        (task,) = [task for task in isolation_tasks(context) if task.name == "isolation/small"]
        found = task.run()
        assert isinstance(found, Outcome)
        return found

    well = verdict()
    assert well.ok, well.evidence
    assert "Asked for the rules of olga in " in well.evidence
    admin.create(bound("test-stray", "view", "olga", "vision"))
    try:
        assert eventually(lambda: "olga may, by its rules in namespace vision: " in verdict().evidence)
        assert not verdict().ok
    finally:
        admin.delete(Kind(f"{RBAC}/v1", "RoleBinding"), "test-stray", "vision")


@pytest.mark.parametrize("system", ["volcano", "kai-scheduler"])
def test_work_names_the_queue_of_its_tenant_whoever_makes_it(
    system: str, admin: Client, eventually: Callable[..., Any]
) -> None:
    pair = [g.manifest for g in guards("1.36", system=system) if g.manifest["metadata"]["name"] == QUEUES]
    assert not [g for g in guards("1.36", system="kueue") if g.manifest["metadata"]["name"] == QUEUES]

    def naming(queue: str) -> list[Manifest]:
        kai, volcano = {"kai.scheduler/queue": queue}, {"scheduling.volcano.sh/queue-name": queue}
        return [
            {**pod(), "metadata": {"name": "p", "namespace": "vision", "labels": kai}},
            {**pod(), "metadata": {"name": "p", "namespace": "vision", "annotations": volcano}},
            made("batch.volcano.sh/v1alpha1", "Job", "j", spec={"queue": queue}),
            made("scheduling.run.ai/v2alpha2", "PodGroup", "g", spec={"queue": queue}),
        ]

    def refused(manifest: Manifest) -> bool:
        said = Attempt("", (), lambda who: who.create(manifest, dry_run=True)).refusal(admin)
        assert not said or "is not this tenant's; name vision, or none" in said, said
        return bool(said)

    assert [refused(one) for one in naming("language")] == [False] * 4
    add(admin, pair)
    try:
        eventually(lambda: all(refused(one) for one in naming("language")))
        assert [refused(one) for one in [*naming("vision"), *naming("default"), pod()]] == [False] * 9
    finally:
        remove(admin, pair)
        eventually(lambda: not any(refused(one) for one in naming("language")))


def test_before_1_36_such_pods_say_where_they_go(
    mallory: Client, admin: Client, eventually: Callable[..., Any]
) -> None:
    older = [g.manifest for g in guards("1.35", [FORBIDDEN_POOLS]) if g.manifest["metadata"]["name"] == PLACEMENT]
    add(admin, older)
    on = {"espalier.dev/pool": "l4", "espalier.dev/capacity": "on-demand"}
    anywhere = Attempt("", (), lambda who: who.create(small_pod(tolerations=[{"operator": "Exists"}]), dry_run=True))
    try:
        said = eventually(lambda: anywhere.refusal(mallory))
        assert "select by spec.nodeSelector a espalier.dev/pool that is none of h100" in said
        for selector, allowed in (
            (on, True),
            ({**on, "espalier.dev/pool": "h100"}, False),
            ({**on, "espalier.dev/capacity": "spot"}, False),
        ):
            body = small_pod(nodeSelector=selector, tolerations=[{"key": "nvidia.com/gpu", "operator": "Exists"}])
            one = Attempt("", (), lambda who, body=body: who.create(body, dry_run=True))
            assert (one.refusal(mallory) == "") is allowed
        mallory.create(small_pod(), dry_run=True)
        mallory.create(pod(tolerations=[{"operator": "Exists"}]), dry_run=True)
        for kind, priority, allowed in (
            ("spot", "espalier-batch-spot", True),
            ("on-demand", "espalier-batch-spot", False),
            ("on-demand", "espalier-batch", True),
            ("spot", "espalier-batch", False),
            ("spot", "", False),
            ("", "", False),
        ):
            selector = {"espalier.dev/capacity": kind} if kind else {}
            named = {"priorityClassName": priority} if priority else {}
            spec = {"containers": [CONTAINER], "tolerations": [{"operator": "Exists"}], "nodeSelector": selector}
            body = made("v1", "Pod", "p", "split", spec={**spec, **named})
            one = Attempt("", (), lambda who, body=body: who.create(body, dry_run=True))
            assert (one.refusal(admin) == "") is allowed, (kind, priority)
    finally:
        remove(admin, older)
