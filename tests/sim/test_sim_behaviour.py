"""What a person who rehearses on a simulated cluster relies on: it decides as a real one would."""

import json
import stat
import subprocess

import pytest

from espalier import sim
from tests.sim.audit import lines_of

GPU = "nvidia.com/gpu"
TAINT = {"key": GPU, "value": "present", "effect": "NoSchedule"}
NODES = 50


def _node(name: str, **status: dict[str, str]) -> dict:
    return {
        "metadata": {"name": name, "annotations": {"kwok.x-k8s.io/node": "fake"}},
        "status": status,
    }


def _pod(name: str, **spec: object) -> dict:
    container = {"name": "main", "image": "registry.example/app:1", **spec.pop("container", {})}
    return {"metadata": {"name": name}, "spec": {"containers": [container], **spec}}


def _gpu_pod(name: str, count: int, **spec: object) -> dict:
    return _pod(name, container={"resources": {"limits": {GPU: str(count)}}}, **spec)


def _workload(labels: dict, **pod_spec: object) -> dict:
    return {
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": _pod("", **pod_spec)["spec"]},
    }


def _ready_nodes(api) -> list[dict]:
    return [
        node
        for node in api.items("/api/v1/nodes")
        if any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"].get("conditions", []))
    ]


@pytest.fixture(scope="module")
def nodes(api):
    """Fifty tainted nodes with eight GPUs each, and one plain node."""
    shape = {"cpu": "96", "memory": "1Ti", "pods": "110", GPU: "8"}
    api.create("/api/v1/nodes", _node("plain", capacity={"cpu": "16", "memory": "64Gi", "pods": "110"}))
    for number in range(NODES):
        node = _node(f"gpu-{number}", capacity=shape, allocatable={**shape, "cpu": "95"})
        api.create("/api/v1/nodes", {**node, "spec": {"taints": [TAINT]}})
    names = [node["metadata"]["name"] for node in api.items("/api/v1/nodes")]
    yield names
    for name in names:
        api.delete(f"/api/v1/nodes/{name}")


@pytest.fixture
def pods(namespace):
    return f"/api/v1/namespaces/{namespace}/pods"


def test_it_reports_the_kubernetes_release_that_it_was_built_from(api):
    assert api.get("/version")["gitVersion"] == "v1.36.3"


def test_anyone_can_tell_that_it_is_simulated(api):
    data = api.get("/api/v1/namespaces/kube-public/configmaps/espalier-simulated")["data"]
    assert (data["simulated"], data["runs-containers"]) == ("true", "false")


def test_status_is_ready_and_its_json_has_the_promised_keys(sim_cluster):
    (found,) = sim.status(sim_cluster.name)
    document = json.loads(json.dumps(found.to_json()))
    assert document["ready"] is True
    assert document["kubeconfig"] == str(sim.kubeconfig_path(sim_cluster.name))
    assert [part["name"] for part in document["components"]] == [
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kwok",
    ]


def test_secrets_on_disk_are_the_users_alone(sim_cluster, kubeconfig):
    sim.issue_client(sim_cluster.name, "on-disk")
    state = kubeconfig.parent
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    secret = [kubeconfig, *state.rglob("*.key"), *state.rglob("*.kubeconfig"), *(state / "kubeconfigs").iterdir()]
    assert len(secret) > 10
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in secret} == {path.name: 0o600 for path in secret}


def test_its_own_kubectl_works_with_the_kubeconfig(kubeconfig):
    run = subprocess.run(
        [sim.build() / "kubectl", "--kubeconfig", kubeconfig, "get", "namespaces", "-o", "name"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "namespace/kube-system" in run.stdout.split()


def test_nodes_become_ready_and_keep_their_shape(api, nodes, eventually):
    eventually(lambda: len(_ready_nodes(api)) == NODES + 1)
    status = api.get("/api/v1/nodes/gpu-7")["status"]
    assert status["allocatable"] == {"cpu": "95", "memory": "1Ti", "pods": "110", GPU: "8"}
    assert status["nodeInfo"]["kubeletVersion"] == "v1.36.3"
    # What a node does not say is allocatable is all that it has.
    plain = api.get("/api/v1/nodes/plain")["status"]
    assert plain["allocatable"] == plain["capacity"] == {"cpu": "16", "memory": "64Gi", "pods": "110"}


def test_eight_gpu_pods_run_one_a_node_on_tolerated_nodes_only(api, nodes, pods, eventually):
    tolerated = {"tolerations": [{"key": GPU, "operator": "Exists"}]}
    for number in range(20):
        api.create(pods, _gpu_pod(f"train-{number}", 8, **tolerated))
    api.create(pods, _gpu_pod("untolerated", 1))

    def running() -> list[dict]:
        return [pod for pod in api.items(pods) if pod["status"]["phase"] == "Running"]

    found = eventually(lambda: len(running()) == 20 and running())
    assert len({pod["spec"]["nodeName"] for pod in found}) == 20
    assert len({pod["status"]["podIP"] for pod in found}) == 20
    assert all(status["ready"] for pod in found for status in pod["status"]["containerStatuses"])

    conditions = eventually(lambda: api.get(f"{pods}/untolerated")["status"].get("conditions"))
    assert "untolerated taint" in conditions[0]["message"]


def test_a_pod_without_a_device_request_is_not_let_onto_gpu_nodes_by_admission(api, nodes, pods, eventually):
    # ExtendedResourceToleration would add the toleration, and hide a missing one from a rehearsal.
    created = api.create(pods, _gpu_pod("asks", 1))
    assert GPU not in {toleration.get("key") for toleration in created["spec"]["tolerations"]}


def test_workloads_roll_out(api, nodes, namespace, eventually):
    apps = f"/apis/apps/v1/namespaces/{namespace}"
    web = _workload(
        {"app": "web"},
        initContainers=[
            {"name": "prepare", "image": "registry.example/prepare:1"},
            {"name": "proxy", "image": "registry.example/proxy:1", "restartPolicy": "Always"},
        ],
    )
    api.create(f"{apps}/deployments", {"metadata": {"name": "web"}, "spec": {"replicas": 2, **web}})
    agent = _workload({"app": "agent"}, hostNetwork=True, tolerations=[{"operator": "Exists"}])
    api.create(f"{apps}/daemonsets", {"metadata": {"name": "agent"}, "spec": agent})
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}}
    store = {**_workload({"app": "store"}), "volumeClaimTemplates": [{"metadata": {"name": "d"}, "spec": claim}]}
    store["template"]["spec"]["containers"][0]["volumeMounts"] = [{"name": "d", "mountPath": "/d"}]
    store |= {"replicas": 2, "serviceName": "store"}
    api.create(f"{apps}/statefulsets", {"metadata": {"name": "store"}, "spec": store})

    def status(kind: str, name: str) -> dict:
        return api.get(f"{apps}/{kind}/{name}")["status"]

    eventually(lambda: status("deployments", "web").get("availableReplicas") == 2)
    eventually(lambda: status("daemonsets", "agent").get("numberAvailable") == NODES + 1)
    eventually(lambda: status("statefulsets", "store").get("availableReplicas") == 2)
    (pod, _) = api.items(f"/api/v1/namespaces/{namespace}/pods?labelSelector=app=web")
    states = {each["name"]: list(each["state"]) for each in pod["status"]["initContainerStatuses"]}
    assert states == {"prepare": ["terminated"], "proxy": ["running"]}


def test_jobs_end_and_fail_as_told(api, nodes, namespace, eventually):
    jobs = f"/apis/batch/v1/namespaces/{namespace}/jobs"
    spec = {**_pod("")["spec"], "restartPolicy": "Never"}
    told = {"metadata": {"annotations": {"espalier.dev/sim-exit-code": "3"}}}
    slow = {"metadata": {"annotations": {"espalier.dev/sim-run-seconds": "600"}}}
    for name, template in {"good": {}, "bad": told, "slow": slow}.items():
        body = {"backoffLimit": 0, "template": {**template, "spec": spec}}
        api.create(jobs, {"metadata": {"name": name}, "spec": body})

    def ended(name: str) -> set[str]:
        return {c["type"] for c in api.get(f"{jobs}/{name}")["status"].get("conditions", [])}

    eventually(lambda: "Complete" in ended("good"))
    eventually(lambda: "Failed" in ended("bad"))
    assert api.get(f"{jobs}/slow")["status"]["active"] == 1


def test_a_deleted_pod_goes_once_its_finalizers_do(api, nodes, pods, eventually):
    held = _pod("held")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    api.create(pods, held)
    api.create(pods, _pod("free"))
    eventually(lambda: {pod["status"]["phase"] for pod in api.items(pods)} == {"Running"})
    api.delete(f"{pods}/held")
    api.delete(f"{pods}/free")
    eventually(lambda: api.missing(f"{pods}/free"))
    eventually(lambda: api.get(f"{pods}/held")["status"]["phase"] == "Failed")
    api.patch(f"{pods}/held", {"metadata": {"finalizers": None}})
    eventually(lambda: api.missing(f"{pods}/held"))


@pytest.mark.parametrize("binding", ["Immediate", "WaitForFirstConsumer"])
def test_claims_bind_and_volumes_go_with_them(api, nodes, namespace, pods, eventually, binding):
    claims = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims"
    spec = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "5Ti"}}}
    if binding == "WaitForFirstConsumer":
        storage_class = {"provisioner": "ebs.csi.aws.com", "volumeBindingMode": binding}
        api.create("/apis/storage.k8s.io/v1/storageclasses", {"metadata": {"name": "waits"}, **storage_class})
        spec["storageClassName"] = "waits"
    api.create(claims, {"metadata": {"name": "data"}, "spec": spec})
    if binding == "WaitForFirstConsumer":
        volume = {"name": "d", "persistentVolumeClaim": {"claimName": "data"}}
        api.create(pods, _pod("consumer", volumes=[volume]))
        eventually(lambda: api.get(f"{pods}/consumer")["status"]["phase"] == "Running")
        api.delete(f"{pods}/consumer")
    eventually(lambda: api.get(f"{claims}/data")["status"]["phase"] == "Bound")
    volume = f"/api/v1/persistentvolumes/{api.get(f'{claims}/data')['spec']['volumeName']}"
    assert api.get(volume)["spec"]["capacity"] == {"storage": "5Ti"}
    api.delete(f"{claims}/data")
    eventually(lambda: api.missing(volume))


def test_load_balancers_get_an_address_of_their_own(api, namespace, eventually):
    services = f"/api/v1/namespaces/{namespace}/services"
    for name in ("one", "two"):
        spec = {"type": "LoadBalancer", "ports": [{"port": 80}]}
        api.create(services, {"metadata": {"name": name}, "spec": spec})

    def addresses() -> set[str]:
        status = [service["status"]["loadBalancer"] for service in api.items(services)]
        return {ingress["ip"] for each in status for ingress in each.get("ingress", [])}

    found = eventually(lambda: len(addresses()) == 2 and addresses())
    assert all(address.startswith("198.18.") for address in found)


def test_quota_refuses_the_gpu_too_many(api, namespace, pods, eventually):
    quotas = f"/api/v1/namespaces/{namespace}/resourcequotas"
    api.create(quotas, {"metadata": {"name": "devices"}, "spec": {"hard": {f"requests.{GPU}": "8"}}})
    eventually(lambda: api.get(f"{quotas}/devices")["status"].get("used"))
    api.create(pods, _gpu_pod("fits", 8))
    refusal = api.refused(pods, _gpu_pod("one-more", 1))
    assert refusal["code"] == 403
    assert f"exceeded quota: devices, requested: requests.{GPU}=1" in refusal["message"]


def test_pod_security_is_enforced(api, namespace, pods):
    label = {"pod-security.kubernetes.io/enforce": "baseline"}
    api.patch(f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": label}})
    refusal = api.refused(pods, _pod("root", container={"securityContext": {"privileged": True}}))
    assert 'violates PodSecurity "baseline' in refusal["message"]


def test_an_issued_user_may_do_what_rbac_lets_its_group(api, sim_cluster, connect, namespace, eventually):
    user = connect(sim.issue_client(sim_cluster.name, "ada", ("readers",)))
    secrets = f"/api/v1/namespaces/{namespace}/secrets"
    maps = f"/api/v1/namespaces/{namespace}/configmaps"
    status, answer = user.ask("GET", secrets)
    assert status == 403
    assert 'User "ada" cannot list resource "secrets"' in answer["message"]
    binding = {
        "metadata": {"name": "readers"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "readers"}],
    }
    api.create(f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings", binding)
    eventually(lambda: user.ask("GET", maps)[0] == 200)
    assert user.ask("GET", secrets)[0] == 403


def test_without_a_certificate_only_health_is_told(api, kubeconfig):
    import urllib3

    ca = kubeconfig.parent / "pki" / "ca.crt"
    with urllib3.PoolManager(ca_certs=str(ca), retries=False, timeout=5) as stranger:
        assert stranger.request("GET", f"{api.server}/readyz").status == 200
        assert stranger.request("GET", f"{api.server}/version").status == 401
        assert stranger.request("GET", f"{api.server}/api/v1/namespaces").status == 401


def test_etcd_is_open_to_the_api_server_only(sim_cluster):
    import ssl

    import urllib3

    pki = sim_cluster.kubeconfig.parent / "pki"
    etcd = next(part for part in sim.status(sim_cluster.name)[0].components if part.name == "etcd")
    url = f"https://{etcd.detail.split()[-1]}/health"
    for client, welcome in {None: False, "admin": False, "etcd-client": True}.items():
        context = ssl.create_default_context(cafile=str(pki / "etcd-ca.crt"))
        if client:
            context.load_cert_chain(pki / f"{client}.crt", pki / f"{client}.key")
        with urllib3.PoolManager(ssl_context=context, retries=False, timeout=5) as pool:
            if welcome:
                assert pool.request("GET", url).status == 200
            else:
                with pytest.raises((urllib3.exceptions.SSLError, urllib3.exceptions.ProtocolError)):
                    pool.request("GET", url)


def test_asking_for_what_runs_nowhere_is_refused_at_once_and_dials_nobody(api, nodes, pods, eventually):
    api.create(pods, _pod("silent"))
    eventually(lambda: api.get(f"{pods}/silent")["status"]["phase"] == "Running")
    status, answer = api.ask("GET", f"{pods}/silent/log")
    assert status == 500
    assert "simulated-cluster-runs-no-containers" in answer["message"]


def test_the_audit_log_has_every_write_and_no_read(api, sim_cluster, connect, namespace, eventually):
    user = connect(sim.issue_client(sim_cluster.name, "scribe", ("system:masters",)))
    user.create(f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": {"name": "written"}})
    user.get(f"/api/v1/namespaces/{namespace}/configmaps/written")
    log = sim.audit_log_path(sim_cluster.name)
    user.create(f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": {"name": "last"}})
    eventually(lambda: any('"last"' in line for line in lines_of(log)))
    lines = lines_of(log)
    events = [event for event in map(json.loads, lines) if event["user"]["username"] == "scribe"]
    made = [(event["verb"], event["objectRef"]["name"]) for event in events]
    assert made == [("create", "written"), ("create", "last")]
    assert {event["verb"] for event in map(json.loads, lines)} <= {
        "create",
        "update",
        "patch",
        "delete",
        "deletecollection",
    }
