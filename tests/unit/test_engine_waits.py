"""The table of waits, and what annotations say instead, over objects as an API server gives them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from espalier.engine.jsonpath import parse
from espalier.engine.waits import WAITS as TABLE
from espalier.engine.waits import wait_for
from espalier.kube import Kind, Manifest, Reference


def obj(api: str, kind: str, spec: Any = None, status: Any = None, **metadata: Any) -> dict[str, Any]:
    body = {"apiVersion": api, "kind": kind, "metadata": {"name": "x", "namespace": "n", **metadata}}
    return body | {"spec": spec or {}} | ({} if status is None else {"status": status})


def conditions(**statuses: str) -> dict[str, Any]:
    """`Progressing="True/NewReplicaSetAvailable"` is a status with a reason."""
    rows = [(type_, *text.partition("/")[::2]) for type_, text in statuses.items()]
    return {"conditions": [{"type": t, "status": s, "reason": r, "message": f"said {r}"} for t, s, r in rows]}


def deployment(
    status: Any, *, revision: str = "1", generation: int = 1, volumes: tuple[str, ...] = ()
) -> dict[str, Any]:
    pod = {"volumes": [{"persistentVolumeClaim": {"claimName": name}} for name in volumes]}
    notes = {"deployment.kubernetes.io/revision": revision} if revision else {}
    spec = {"replicas": 2, "template": {"spec": pod}}
    return obj("apps/v1", "Deployment", spec, status, generation=generation, annotations=notes)


ROLLED_OUT = {
    "observedGeneration": 1,
    "replicas": 2,
    "updatedReplicas": 2,
    "readyReplicas": 2,
    "availableReplicas": 2,
    **conditions(Available="True", Progressing="True/NewReplicaSetAvailable"),
}
EARLY = ROLLED_OUT | conditions(Available="True", Progressing="True/ReplicaSetUpdated")
SET = {
    "observedGeneration": 1,
    "replicas": 2,
    "readyReplicas": 2,
    "currentReplicas": 2,
    "currentRevision": "a",
    "updateRevision": "a",
}
DAEMONS = {
    "observedGeneration": 1,
    "desiredNumberScheduled": 1,
    "currentNumberScheduled": 1,
    "updatedNumberScheduled": 1,
    "numberAvailable": 1,
    "numberReady": 1,
}
ADDRESS = {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}
KWOK = {"annotations": {"kwok.x-k8s.io/node": "fake"}}
TOKEN = "kubernetes.io/service-account-token"


def stateful(status: Any, spec: Any = None, generation: int = 1) -> dict[str, Any]:
    return obj("apps/v1", "StatefulSet", {"replicas": 2, **(spec or {})}, status, generation=generation)


def daemons(status: Any, spec: Any = None) -> dict[str, Any]:
    return obj("apps/v1", "DaemonSet", spec, status, generation=1)


def phase(kind: str, text: str) -> dict[str, Any]:
    return obj("v1", kind, status={"phase": text})


READY = [
    phase("Namespace", "Active"),
    deployment(ROLLED_OUT),
    deployment(ROLLED_OUT, revision="2"),
    deployment(EARLY),  # as in Pulumi, a first revision need not be said to have rolled out
    stateful(SET),
    stateful(SET | {"observedGeneration": 2, "updateRevision": "b"}, {"updateStrategy": {"type": "OnDelete"}}, 2),
    daemons(DAEMONS),
    daemons(dict.fromkeys(DAEMONS, 0) | {"observedGeneration": 1}),
    obj("batch/v1", "Job", status=conditions(Complete="True")),
    obj("v1", "Pod", status={"phase": "Running", **conditions(PodScheduled="True", Ready="True")}),
    phase("Pod", "Succeeded"),
    phase("PersistentVolume", "Available"),
    phase("PersistentVolume", "Bound"),
    phase("PersistentVolumeClaim", "Bound"),
    obj("v1", "ReplicationController", {"replicas": 0}, {}),
    obj("v1", "ResourceQuota", {"hard": {"pods": "3"}}, {"hard": {"pods": "3"}}),
    obj("v1", "Secret") | {"type": "Opaque"},
    obj("v1", "Secret") | {"type": TOKEN, "data": {"token": "eA=="}},
    obj("v1", "Service", {"type": "LoadBalancer"}, ADDRESS),
    obj("v1", "Service", {"type": "ClusterIP"}),
    obj("v1", "Service", {"selector": {"a": "b"}, "clusterIP": "None"}),
    obj("v1", "Service", {"selector": {"a": "b"}, "type": "ExternalName"}),
    obj("networking.k8s.io/v1", "Ingress", {"defaultBackend": {}}, ADDRESS),
    obj("apiextensions.k8s.io/v1", "CustomResourceDefinition", status=conditions(Established="True")),
    obj("apiregistration.k8s.io/v1", "APIService", status=conditions(Available="True")),
    obj("v1", "Node", status=conditions(Ready="False")),  # a node that no simulation drives is not ours to wait for
    obj("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration")
    | {"webhooks": [{"clientConfig": {"url": "https://x"}}]},
]
WAITS = [
    deployment(ROLLED_OUT, generation=2),
    deployment(ROLLED_OUT, revision=""),
    deployment(EARLY, revision="2"),
    deployment(ROLLED_OUT | {"updatedReplicas": 1}),
    deployment(ROLLED_OUT | {"readyReplicas": 1}),
    deployment(ROLLED_OUT | conditions(Available="False")),
    # It may yet come round: Pulumi goes on until its own timeout.
    deployment(ROLLED_OUT | {"readyReplicas": 1} | conditions(Progressing="False/ProgressDeadlineExceeded")),
    stateful(SET | {"readyReplicas": 1}),
    stateful(SET | {"replicas": 3}),
    stateful(SET | {"updateRevision": "b"}),
    stateful(SET | {"updateRevision": "b"}, {"updateStrategy": {"rollingUpdate": {"partition": 2}}}),
    stateful(SET, generation=2),
    daemons({}),
    daemons({k: v for k, v in DAEMONS.items() if k != "observedGeneration"}),
    daemons(DAEMONS | {"updatedNumberScheduled": 0}, {"updateStrategy": {"type": "OnDelete"}}),
    daemons(DAEMONS | {"numberAvailable": 0}),
    obj("batch/v1", "Job", status={}),
    obj("batch/v1", "Job", {"suspend": True}, {}),
    phase("Pod", "Pending"),
    phase("PersistentVolume", "Pending"),
    phase("PersistentVolumeClaim", "Pending"),
    obj("v1", "ReplicationController", {"replicas": 2}, {"availableReplicas": 1}),
    obj("v1", "ResourceQuota", {"hard": {"pods": "3"}}, {"hard": {"pods": "2"}}),
    obj("v1", "Secret") | {"type": TOKEN},
    obj("v1", "Service", {"type": "LoadBalancer"}),
    obj("v1", "Service", {"selector": {"a": "b"}}),
    obj("networking.k8s.io/v1", "Ingress", {"defaultBackend": {}}),
    obj("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    obj("apiregistration.k8s.io/v1", "APIService", status=conditions(Available="False")),
    obj("v1", "Node", status=conditions(Ready="False"), **KWOK),
    obj("v1", "Node", {"taints": [{"key": "node.kubernetes.io/not-ready"}]}, conditions(Ready="True"), **KWOK),
]
FAILED = [
    phase("Namespace", "Terminating"),
    phase("Pod", "Failed"),
    phase("PersistentVolumeClaim", "Lost"),
    obj("batch/v1", "Job", status=conditions(Failed="True/BackoffLimitExceeded")),
]


@pytest.mark.parametrize(
    ("thing", "expected"),
    [
        *((thing, (True, False)) for thing in READY),
        *((thing, (False, False)) for thing in WAITS),
        *((thing, (False, True)) for thing in FAILED),
    ],
)
def test_the_waits_table(thing: dict[str, Any], expected: tuple[bool, bool]) -> None:
    wait = wait_for(thing)
    assert wait is not None
    state = wait.check(thing)
    assert (state.ready, state.failed) == expected


def test_the_page_has_each_kind_that_is_awaited_with_its_timeout_and_what_is_simulated() -> None:
    page = (Path(__file__).parents[2] / "docs" / "engine.md").read_text()
    table = page.partition("| Kind | Ready when | Timeout | Simulated |")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()[2:]]
    limits: dict[str, float] = {}
    for kind, ready, timeout, simulated in rows[:-1]:
        assert ready
        assert simulated
        count, unit = timeout.split()
        # "Mutating and ValidatingWebhookConfiguration" are two; the rest of a cell says which objects of a kind.
        both = re.sub(r"^Mutating and", "MutatingWebhookConfiguration", kind)
        names = re.findall(r"\b[A-Z][A-Za-z]+\b", both.partition(" of type")[0].partition(" with ")[0])
        limits |= dict.fromkeys(names, float(count) * {"s": 1, "min": 60}[unit])
    assert limits == {kind: row.seconds for (_, kind), row in TABLE.items()}


def seen(objects: Mapping[tuple[str, str], list[Manifest]]) -> Any:
    def others(reference: Reference) -> list[Manifest]:
        return objects.get((reference.kind.kind, reference.name), [])

    return others


def endpoints(*ready: bool, terminating: bool = False) -> Manifest:
    return {"endpoints": [{"conditions": {"ready": each, "terminating": terminating}} for each in ready]}


@pytest.mark.parametrize(
    ("slices", "ready", "settles"),
    [
        ([], False, False),
        ([endpoints(True)], True, False),
        ([endpoints(True, False)], False, False),
        ([endpoints(True), endpoints(False)], False, False),
        ([endpoints(True), endpoints(False, terminating=True)], True, False),
        ([endpoints()], False, True),  # no pod at all: taken for what is meant when it stays so
    ],
)
def test_a_service_waits_for_the_pods_that_it_selects(slices: list[Manifest], ready: bool, settles: bool) -> None:
    service = obj("v1", "Service", {"selector": {"a": "b"}})
    wait = wait_for(service)
    assert wait is not None
    assert wait.needs(service) == (Reference(Kind("discovery.k8s.io/v1", "EndpointSlice"), "n", "x"),)
    state = wait.check(service, seen({("EndpointSlice", "x"): slices}))
    assert (state.ready, state.settles > 0) == (ready, settles)


@pytest.mark.parametrize(
    ("objects", "ready"),
    [
        ({("EndpointSlice", "web"): [endpoints()]}, True),
        ({("Service", "web"): [{"spec": {"type": "ExternalName"}}]}, True),
        ({("Service", "web"): [{"spec": {}}]}, False),
    ],
)
def test_an_ingress_waits_for_its_backends(objects: dict[tuple[str, str], list[Manifest]], ready: bool) -> None:
    rules = [{"http": {"paths": [{"backend": {"service": {"name": "web"}}}, {"backend": {"resource": {}}}]}}]
    ingress = obj("networking.k8s.io/v1", "Ingress", {"rules": rules}, ADDRESS)
    wait = wait_for(ingress)
    assert wait is not None
    state = wait.check(ingress, seen(objects))
    assert state.ready is ready
    assert (state.settles > 0) is not ready


def test_a_deployment_waits_for_the_claims_that_it_uses() -> None:
    thing = deployment(ROLLED_OUT, volumes=("data",))
    wait = wait_for(thing)
    assert wait is not None
    assert [need.name for need in wait.needs(thing)] == ["data"]
    state = wait.check(thing, seen({("PersistentVolumeClaim", "data"): [phase("PersistentVolumeClaim", "Pending")]}))
    assert state.text == "its claim data is Pending"
    bound = seen({("PersistentVolumeClaim", "data"): [phase("PersistentVolumeClaim", "Bound")]})
    assert wait.check(thing, bound).ready


@pytest.mark.parametrize(("mode", "ready"), [("WaitForFirstConsumer", True), ("Immediate", False)])
def test_a_claim_is_not_awaited_where_its_class_waits_for_a_consumer(mode: str, ready: bool) -> None:
    claim = obj("v1", "PersistentVolumeClaim", {"storageClassName": "fast"}, {"phase": "Pending"})
    wait = wait_for(claim)
    assert wait is not None
    assert wait.check(claim, seen({("StorageClass", "fast"): [{"volumeBindingMode": mode}]})).ready is ready
    assert not wait.check(claim).ready


def test_a_webhook_waits_for_a_ready_pod_behind_its_service() -> None:
    hook = {"clientConfig": {"service": {"namespace": "ops", "name": "judge"}}}
    thing = obj("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration") | {"webhooks": [hook]}
    wait = wait_for(thing)
    assert wait is not None
    assert "Service ops/judge" in wait.check(thing, seen({("EndpointSlice", "judge"): [endpoints(False)]})).text
    assert wait.check(thing, seen({("EndpointSlice", "judge"): [endpoints(True)]})).ready


STATUS = {
    "url": "http://x",
    "n": 3,
    "on": True,
    "list": [{"a": "b", "n": 1}, {"a": "c", "n": 2}],
    "odd/key": "y",
    **conditions(Ready="False"),
}


def noted(status: Any = None, generation: int = 1, **notes: str) -> dict[str, Any]:
    annotations = {f"pulumi.com/{key}": value for key, value in notes.items()}
    return obj("example.com/v1", "Thing", status=status or STATUS, annotations=annotations, generation=generation)


@pytest.mark.parametrize(
    ("text", "ready"),
    [
        ("condition=Ready", False),
        ("condition=Ready=False", True),
        ("condition=ready=false", True),
        ("condition=Gone", False),
        ("jsonpath={.status.url}", True),
        ("jsonpath={ $.status.url }", True),
        ("jsonpath={.status.gone}", False),
        ("jsonpath={.status.n}=3", True),
        ("jsonpath={.status.on}=true", True),
        ("jsonpath={.status.on}=True", False),
        ("jsonpath={.status.list[0].a}=b", True),
        ("jsonpath={.status.list[-1].a}=c", True),
        ("jsonpath={.status.list[1].a}=b", False),
        ("jsonpath={.status.list[*].a}=b", True),
        ("jsonpath={.status['odd/key']}=y", True),
        ("jsonpath={.status.list[?(@.a=='c')].n}=2", True),
        ("jsonpath={.status.list[?(@.a=='c' && @.n==1)].n}", False),
        ('jsonpath={.status.conditions[?(@.type=="Ready"||@.type=="Complete")].status}=False', True),
        ("jsonpath={.status.list[?(!@.gone)].n}=1", True),
        ('["jsonpath={.status.url}", "condition=Ready"]', False),
        ('["jsonpath={.status.url}", "jsonpath={.status.n}=3"]', True),
    ],
)
def test_pulumis_annotations_say_what_to_wait_for(text: str, ready: bool) -> None:
    wait = wait_for(noted(waitFor=text, timeoutSeconds="7"))
    assert wait is not None
    assert wait.check(noted()).ready is ready
    assert wait.seconds == 7


@pytest.mark.parametrize("text", ["condition=Ready=False", "jsonpath={.status.n}=3"])
def test_what_is_said_of_an_older_generation_does_not_count(text: str) -> None:
    wait = wait_for(noted(waitFor=text))
    assert wait is not None
    assert not wait.check(noted(STATUS | {"observedGeneration": 1}, generation=2)).ready
    assert wait.check(noted(STATUS | {"observedGeneration": 2}, generation=2)).ready


def test_a_whole_object_never_has_a_value() -> None:
    wait = wait_for(noted(waitFor="jsonpath={.status.list}=b"))
    assert wait is not None
    assert wait.check(noted()).failed


def test_what_is_not_awaited() -> None:
    assert wait_for(obj("v1", "ConfigMap")) is None
    assert wait_for(obj("example.com/v1", "Deployment")) is None
    assert wait_for(obj("v1", "ServiceAccount")) is None
    assert wait_for(obj("v1", "Pod", annotations={"pulumi.com/skipAwait": "true"})) is None


@pytest.mark.parametrize(
    "notes",
    [
        {"waitFor": "later"},
        {"waitFor": "[]"},
        {"waitFor": '["later"]'},
        {"waitFor": "condition="},
        {"waitFor": "jsonpath=.status.n"},
        {"waitFor": "jsonpath='{.status.n}'=3"},
        {"waitFor": "jsonpath={.status.n}="},
        {"waitFor": "jsonpath={.a}=b=c"},
        {"waitFor": "jsonpath={.status.list[}"},
        {"waitFor": "jsonpath={..n}"},
        {"timeoutSeconds": "0", "waitFor": "condition=Ready"},
        {"timeoutSeconds": "soon", "waitFor": "condition=Ready"},
    ],
)
def test_annotations_that_cannot_be_read_say_what_is_accepted(notes: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="accepted"):
        wait_for(noted(**notes))


@pytest.mark.parametrize("text", [".a[?(@.b==)]", ".a[?(@.b=='c']", ".a b", ".a[0:1]", ".a[?length(@.b)==1]"])
def test_a_path_that_cannot_be_read_says_where(text: str) -> None:
    with pytest.raises(ValueError, match=r"cannot be read from|misses"):
        parse(text)
