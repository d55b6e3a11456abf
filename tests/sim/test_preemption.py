"""Work whose node is taken back, and notebooks that stay off such nodes: by a real API server and scheduler."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from espalier.blueprint.admission import SPOT_KEYS, Tolerated, admission_policies
from espalier.blueprint.nodes import node_manifest
from espalier.types import CapacityKind, NodeShape

REGISTRATION = "/apis/admissionregistration.k8s.io/v1"
PATHS = {
    "MutatingAdmissionPolicy": "mutatingadmissionpolicies",
    "MutatingAdmissionPolicyBinding": "mutatingadmissionpolicybindings",
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
}
POOL = "preemption"
CONTAINERS = [{"name": "main", "image": "example.com/x:1"}]


def shape(kind: CapacityKind) -> NodeShape:
    labels = {"espalier.dev/pool": POOL, "espalier.dev/capacity": kind}
    return NodeShape(POOL, "m", kind, labels, (), {"cpu": "4", "memory": "8Gi", "pods": "20"}, {}, None)


WITH_A_GPU = [*CONTAINERS, {**CONTAINERS[0], "name": "gpu", "resources": {"limits": {"nvidia.com/gpu": "1"}}}]


def affine(*terms: tuple[str, str, list[str]]) -> dict[str, Any]:
    """A notebook with a GPU by its affinity's terms, of one expression each: key, operator, values."""
    found = [
        {"matchExpressions": [{"key": f"espalier.dev/{key}", "operator": operator, "values": values}]}
        for key, operator, values in terms
    ]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": found}}
    return {"containers": WITH_A_GPU, "affinity": {"nodeAffinity": required}}


SAYS_NOTHING: list[dict[str, Any]] = [
    {"containers": WITH_A_GPU},
    {"containers": WITH_A_GPU, "nodeSelector": {"espalier.dev/pool": "l4"}},
    {"containers": WITH_A_GPU, "nodeSelector": {"espalier.dev/capacity": "spot"}},
    affine(("pool", "In", ["l4"])),
    affine(("pool", "In", ["steady", "l4"])),
    affine(("capacity", "In", ["spot", "on-demand"])),
    affine(("capacity", "NotIn", ["reserved"])),
    affine(("capacity", "NotIn", ["spot"]), ("pool", "In", ["l4"])),
]
SAYS_WHERE: list[dict[str, Any]] = [
    {},
    {"containers": WITH_A_GPU, "nodeSelector": {"espalier.dev/capacity": "on-demand"}},
    {"containers": WITH_A_GPU, "nodeSelector": {"espalier.dev/pool": "steady"}},
    affine(("capacity", "NotIn", ["spot"])),
    affine(("capacity", "In", ["reserved", "on-demand"])),
    affine(("pool", "In", ["steady"]), ("capacity", "NotIn", ["spot", "flex"])),
]


@pytest.fixture(scope="module")
def nodes(api: Any) -> Iterator[None]:
    """A spot node and one that stays, both empty."""
    kinds: tuple[CapacityKind, ...] = ("spot", "on-demand")
    for kind in kinds:
        api.create("/api/v1/nodes", node_manifest(shape(kind), f"{POOL}-{kind}"))
    yield
    for kind in kinds:
        api.delete(f"/api/v1/nodes/{POOL}-{kind}")


@pytest.fixture
def team(api: Any, namespace: str) -> str:
    """A tenant's namespace."""
    api.patch(f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": {"espalier.dev/tenant": "team"}}})
    return namespace


def applied(api: Any, version: str, tolerated: Tolerated | None = None) -> Iterator[None]:
    made = admission_policies(version, [shape("spot")], tenants=True, tolerated=tolerated)
    planned = [one.manifest for one in made]
    for manifest in planned:
        api.create(f"{REGISTRATION}/{PATHS[manifest['kind']]}", manifest)
    yield
    for manifest in reversed(planned):
        api.delete(f"{REGISTRATION}/{PATHS[manifest['kind']]}/{manifest['metadata']['name']}")


@pytest.fixture
def policies(api: Any, team: str, eventually: Callable[..., Any]) -> Iterator[None]:
    """As on 1.36, and at work."""
    made = applied(api, "1.36")
    next(made)
    jobs = f"/apis/batch/v1/namespaces/{team}/jobs?dryRun=All"
    eventually(lambda: "podFailurePolicy" in api.create(jobs, job("waits"))["spec"])
    eventually(lambda: "affinity" in api.create(f"{pods(team)}?dryRun=All", notebook("waits"))["spec"])
    yield
    next(made, None)


def pods(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/pods"


def job(name: str, **keys: Any) -> dict[str, Any]:
    """Training that bears no failure at all, and runs until it is told to end."""
    spec = {"restartPolicy": "Never", "nodeSelector": {"espalier.dev/pool": POOL}, "containers": CONTAINERS}
    template = {"metadata": {"annotations": {"espalier.dev/sim-run-seconds": "3600"}}, "spec": spec}
    body = {"backoffLimit": 0, "template": template, **keys}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": body}


def notebook(name: str, annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "labels": {"notebook-name": name}, "annotations": annotations or {}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": CONTAINERS, **spec}}


def running(api: Any, namespace: str) -> list[Any]:
    return [
        pod
        for pod in api.items(pods(namespace))
        if pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]
    ]


def evict(api: Any, pod: Any) -> None:
    """As whoever drains a node that is taken back does."""
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": namespace}}
    api.create(f"{pods(namespace)}/{name}/eviction", body)


@pytest.mark.usefixtures("nodes", "policies")
def test_training_survives_more_reclaimed_nodes_than_its_backoff_limit(
    api: Any, team: str, eventually: Callable[..., Any]
) -> None:
    path = f"/apis/batch/v1/namespaces/{team}/jobs"
    api.create(path, job("train"))
    seen: set[str] = set()
    for _ in range(3):
        (pod,) = eventually(lambda: [p for p in running(api, team) if p["metadata"]["uid"] not in seen])
        seen.add(pod["metadata"]["uid"])
        evict(api, pod)
    (pod,) = eventually(lambda: [p for p in running(api, team) if p["metadata"]["uid"] not in seen])
    live = api.get(f"{path}/train")
    assert "Failed" not in {condition["type"] for condition in live["status"].get("conditions", [])}
    assert live["status"].get("failed", 0) == 0
    api.patch(
        f"{pods(team)}/{pod['metadata']['name']}", {"metadata": {"annotations": {"espalier.dev/sim-run-seconds": "0"}}}
    )


@pytest.mark.usefixtures("nodes")
def test_without_the_policy_the_first_reclaimed_node_fails_it(
    api: Any, team: str, eventually: Callable[..., Any]
) -> None:
    path = f"/apis/batch/v1/namespaces/{team}/jobs"
    # The policy of another test may be at work for a moment after it is gone.
    eventually(lambda: "podFailurePolicy" not in api.create(f"{path}?dryRun=All", job("waits"))["spec"])
    assert "podFailurePolicy" not in api.create(path, job("train"))["spec"]
    (pod,) = eventually(lambda: running(api, team))
    evict(api, pod)
    eventually(lambda: "Failed" in {c["type"] for c in api.get(f"{path}/train")["status"].get("conditions", [])})


@pytest.mark.usefixtures("policies")
def test_a_jobs_own_choice_and_other_namespaces_are_left_alone(api: Any, team: str) -> None:
    path = f"/apis/batch/v1/namespaces/{team}/jobs?dryRun=All"
    own = {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}]}
    assert api.create(path, job("own", podFailurePolicy=own))["spec"]["podFailurePolicy"] == own
    restarts = job("restarts")
    restarts["spec"]["template"]["spec"]["restartPolicy"] = "OnFailure"
    assert "podFailurePolicy" not in api.create(path, restarts)["spec"]
    assert "podFailurePolicy" not in api.create("/apis/batch/v1/namespaces/default/jobs?dryRun=All", job("x"))["spec"]
    assert "affinity" not in api.create(f"{pods('default')}?dryRun=All", notebook("x"))["spec"]


@pytest.mark.usefixtures("nodes", "policies")
def test_a_notebook_lands_on_no_spot_node_unasked(api: Any, team: str, eventually: Callable[..., Any]) -> None:
    here, spot = {"espalier.dev/pool": POOL}, {"espalier.dev/capacity": "spot"}
    for number in range(5):
        api.create(pods(team), notebook(f"plain-{number}", nodeSelector=here))
    api.create(pods(team), notebook("asks", {"espalier.dev/spot": "allowed"}, nodeSelector=here | spot))
    api.create(pods(team), notebook("lured", nodeSelector=here | spot))
    eventually(lambda: len(running(api, team)) == 6)
    placed = {pod["metadata"]["name"]: pod["spec"]["nodeName"] for pod in running(api, team)}
    assert {node for name, node in placed.items() if name.startswith("plain")} == {f"{POOL}-on-demand"}
    assert placed["asks"] == f"{POOL}-spot"

    def refusal() -> str:
        conditions = api.get(f"{pods(team)}/lured")["status"].get("conditions", [])
        return "".join(c.get("message", "") for c in conditions if c["type"] == "PodScheduled")

    assert "didn't match Pod's node affinity/selector" in eventually(refusal)


@pytest.mark.usefixtures("policies")
def test_the_ways_that_a_notebook_may_be_placed_already_are_each_narrowed(api: Any, team: str) -> None:
    away = {"key": "espalier.dev/capacity", "operator": "NotIn", "values": ["spot"]}
    zone = {"key": "zone", "operator": "Exists"}
    field = {"key": "metadata.name", "operator": "In", "values": ["n1"]}
    preferred = [{"weight": 1, "preference": {"matchExpressions": [zone]}}]
    required = {"nodeSelectorTerms": [{"matchExpressions": [zone]}, {"matchFields": [field]}]}
    cases: list[tuple[dict[str, Any], list[dict[str, Any]]]] = [
        ({}, [{"matchExpressions": [away]}]),
        ({"podAntiAffinity": {}}, [{"matchExpressions": [away]}]),
        (
            {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}},
            [{"matchExpressions": [away]}],
        ),
        (
            {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}},
            [{"matchExpressions": [zone, away]}, {"matchExpressions": [away], "matchFields": [field]}],
        ),
    ]
    for affinity, terms in cases:
        spec = {"affinity": affinity} if affinity else {}
        made = api.create(f"{pods(team)}?dryRun=All", notebook("n", **spec))["spec"]["affinity"]
        found = made["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
        assert found == terms
        assert made.get("podAntiAffinity") == affinity.get("podAntiAffinity")
        kept = made["nodeAffinity"].get("preferredDuringSchedulingIgnoredDuringExecution")
        assert kept == affinity.get("nodeAffinity", {}).get("preferredDuringSchedulingIgnoredDuringExecution")


def test_before_1_36_the_same_is_said_or_refused(api: Any, team: str, eventually: Callable[..., Any]) -> None:
    made = applied(api, "1.35", Tolerated(("nvidia.com/gpu",), ("steady",)))
    next(made)
    jobs, dry = f"/apis/batch/v1/namespaces/{team}/jobs", f"{pods(team)}?dryRun=All"
    lured = [{"key": SPOT_KEYS[1], "operator": "Exists", "effect": "NoSchedule"}]
    eventually(lambda: api.ask("POST", dry, notebook("n", tolerations=lured))[0] == 422)
    assert (
        "a notebook stays off spot nodes, which may be taken back with a person before it: remove its toleration of "
        "spot's taint, or annotate its pod with espalier.dev/spot: allowed"
    ) in api.refused(dry, notebook("n", tolerations=lured))["message"]
    assert api.ask("POST", dry, notebook("n", tolerations=[{"operator": "Exists"}]))[0] == 422
    api.create(dry, notebook("n"))
    api.create(dry, notebook("n", {"espalier.dev/spot": "allowed"}, tolerations=lured))
    api.create(dry, notebook("n", tolerations=[{"key": "nvidia.com/gpu", "operator": "Exists"}]))
    for spec in SAYS_NOTHING:
        assert (
            "and its queue would let it there: add nodeSelector: {espalier.dev/capacity: on-demand} or a pool without "
            "spot, or annotate its pod with espalier.dev/spot: allowed"
        ) in api.refused(dry, notebook("n", **spec))["message"], spec
    for spec in SAYS_WHERE:
        api.create(dry, notebook("n", **spec))
    api.create(dry, notebook("n", {"espalier.dev/spot": "allowed"}, containers=WITH_A_GPU))
    assert "a node that is taken back counts against backoffLimit" in eventually(lambda: api.warned(jobs, job("j")))
    own = {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]}
    assert api.warned(jobs, job("j", podFailurePolicy=own, podReplacementPolicy="Failed")) == ""
    next(made, None)
