"""The rules on images and on privilege, over every kind of object that carries pods."""

from typing import Any

import pytest

from espalier.addons import RECORDS
from espalier.addons.samples import IMAGE as SAMPLE
from espalier.addons.serving_runtimes import IMAGES as SERVING
from espalier.addons.training_runtimes import IMAGES as TRAINING
from espalier.policies.images import why_not_pinned
from espalier.policies.rules.pods import no_privileged_pods, pinned_images
from espalier.types import Finding, Registered

UNKNOWN = {"$unknown": True}
IMAGE = "nvcr.io/nvidia/k8s-device-plugin:v0.20.0"
DIGEST = "sha256:" + "0123456789abcdef" * 4


def container(image: Any = IMAGE, **fields: Any) -> dict[str, Any]:
    return {"name": "main", "image": image, **fields}


def pod(*containers: Any, **fields: Any) -> dict[str, Any]:
    return {"containers": list(containers or [container()]), **fields}


def wrapped(token: str, spec: Any) -> dict[str, Any]:
    """The pod spec where each kind keeps it."""
    template = {"metadata": {"labels": {"app": "x"}}, "spec": spec}
    kind = token.rsplit(":", 1)[-1]
    bodies: dict[str, dict[str, Any]] = {
        "Pod": {"spec": spec},
        "PodTemplate": {"template": template},
        "CronJob": {"spec": {"jobTemplate": {"spec": {"template": template}}}},
        "JobSet": {"spec": {"replicatedJobs": [{"name": "w", "template": {"spec": {"template": template}}}]}},
        "PyTorchJob": {"spec": {"pytorchReplicaSpecs": {"Worker": {"replicas": 2, "template": template}}}},
        "RayCluster": {"spec": {"headGroupSpec": {"template": template}, "workerGroupSpecs": []}},
        "PodList": {"items": [{"apiVersion": "v1", "kind": "Pod", "spec": spec}]},
    }
    return bodies.get(kind, {"spec": {"template": template}})


def made(token: str, spec: Any, namespace: Any = "vision") -> Registered:
    props = {"metadata": {"name": "x", "namespace": namespace}, **wrapped(token, spec)}
    return Registered(f"urn:pulumi:local::espalier::kubernetes:{token}::x", f"kubernetes:{token}", "x", props)


KINDS = [
    "core/v1:Pod",
    "core/v1:PodList",
    "core/v1:PodTemplate",
    "core/v1:ReplicationController",
    "apps/v1:DaemonSet",
    "apps/v1:Deployment",
    "apps/v1:DeploymentPatch",
    "apps/v1:ReplicaSet",
    "apps/v1:StatefulSet",
    "batch/v1:CronJob",
    "batch/v1:Job",
    "jobset.x-k8s.io/v1alpha2:JobSet",
    "kubeflow.org/v1:Notebook",
    "kubeflow.org/v1:PyTorchJob",
    "ray.io/v1:RayCluster",
]


def messages(results: Any) -> list[str]:
    return [result.message for result in results if isinstance(result, Finding)]


@pytest.mark.parametrize("token", KINDS)
@pytest.mark.parametrize("place", ["containers", "initContainers", "ephemeralContainers"])
def test_images_and_privilege_are_judged_in_every_kind_and_every_list(token: str, place: str):
    good = made(token, {"containers": [container()], place: [container()]})
    assert list(pinned_images([good], None)) == []
    assert list(no_privileged_pods([good], None)) == []
    rooted = container("busybox", securityContext={"privileged": True})
    bad = made(token, {"containers": [container()], place: [rooted]})
    assert "container main: image busybox: it has no tag" in messages(pinned_images([bad], None))[0]
    assert "container main: privileged" in messages(no_privileged_pods([bad], None))[0]


@pytest.mark.parametrize(
    "image",
    [
        f"busybox@{DIGEST}",
        f"registry.local:5000/team/app:latest@{DIGEST}",
        IMAGE,
        "registry.local:5000/team/app:1.2.3",
        "pytorch/pytorch:2.13.0-cuda13.0-cudnn9-runtime",
        "registry.k8s.io/ingress-nginx/kube-webhook-certgen:v20231011-8b53cabe0",
        "docker.io/envoyproxy/ratelimit:17b1956c",
        "nvcr.io/nvidia/mellanox/node-feature-discovery:network-operator-v26.4.1",
        "example.com/tool:main-17b1956c",
        "example.com/tool:nightly-20260513",
        "nvcr.io/nvidia/tritonserver:26.07-py3",
        "registry.example.com/mirror/nvcr.io/nvidia/jax:25.10-py3",
        "ghcr.io/chrislusf/seaweedfs:4.34",
    ],
)
def test_digests_full_versions_days_and_commits_are_pinned(image: str):
    assert why_not_pinned(image) == ""


def test_images_of_espaliers_own_add_ons_and_runtimes_are_pinned():
    ours = {*TRAINING.values(), *SERVING.values(), SAMPLE}
    for record in RECORDS.values():
        facts = record.content.facts if record.content else None
        ours |= set(facts.images if facts else ())
    assert len(ours) > 100
    # The template of Istio's injector names it for core dumps, which its values leave off: no pod runs it.
    ours.remove("busybox:1.28")
    assert {image: why for image in sorted(ours) if (why := why_not_pinned(image))} == {}


@pytest.mark.parametrize(
    ("image", "why"),
    [
        ("busybox", "no tag"),
        ("registry.local:5000/team/app", "no tag"),
        ("docker.io/busybox:latest", "moves (latest)"),
        ("pytorch/pytorch:2.4.0-nightly", "moves (nightly)"),
        ("example.com/tool:main", "moves (main)"),
        ("postgres:17", "no full version"),
        ("python:3.11-slim", "no full version"),
        ("example.com/nvidia/tritonserver:26.07-py3", "no full version"),
        ("nvcr.io/nvidia/tritonserver:26", "no full version"),
        ("example.com/tool:stable", "no full version"),
        ("busybox@sha256:short", "digest is malformed"),
        (":", "no valid image reference"),
        (":1.2.3", "no valid image reference"),
        ("app:-1.2.3", "no valid image reference"),
        ("", "no tag"),
    ],
)
def test_what_may_move_says_why(image: str, why: str):
    assert why in why_not_pinned(image)


@pytest.mark.parametrize("image", [UNKNOWN, None, "{{inputs.parameters.image}}", "$(params.image)"])
def test_an_image_that_is_filled_in_later_is_not_judged(image: Any):
    (text,) = pinned_images([made("core/v1:Pod", pod(container(image)))], None)
    assert text == "Pod vision/x: container main: its image is not known"


def test_one_finding_names_every_bad_image_of_a_resource():
    bad = made("core/v1:Pod", pod(container("a:latest"), container("b")))
    (message,) = messages(pinned_images([bad], None))
    assert "image a:latest" in message
    assert "image b" in message


@pytest.mark.parametrize("place", ["spec", "template", "containers"])
def test_a_workload_hidden_at_any_depth_is_not_judged(place: str):
    hidden: dict[str, Any] = {
        "spec": {"spec": UNKNOWN},
        "template": {"spec": {"template": UNKNOWN}},
        "containers": {"spec": {"template": {"spec": {"containers": UNKNOWN}}}},
    }
    resource = Registered("u", "kubernetes:apps/v1:Deployment", "x", hidden[place])
    for rule in (pinned_images, no_privileged_pods):
        (text,) = rule([resource], None)
        assert isinstance(text, str)
        assert "is not known" in text


def test_a_helm_release_is_told_as_not_judged():
    release = Registered("u", "kubernetes:helm.sh/v3:Release", "x", {"chart": "x"})
    for rule in (pinned_images, no_privileged_pods):
        (text,) = rule([release], None)
        assert isinstance(text, str)
        assert "Helm release" in text


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (pod(hostNetwork=True), "hostNetwork"),
        (pod(hostPID=True), "hostPID"),
        (pod(hostIPC=True), "hostIPC"),
        (pod(volumes=[{"name": "root", "hostPath": {"path": "/"}}]), "hostPath /"),
        (pod(container(securityContext={"privileged": True})), "container main: privileged"),
        (pod(container(securityContext={"capabilities": {"add": ["SYS_ADMIN"]}})), "adds SYS_ADMIN"),
        (pod(container(securityContext={"capabilities": {"add": ["ALL", "CHOWN"]}})), "adds ALL;"),
        (pod(container(securityContext={"capabilities": {"add": ["CAP_NET_RAW"]}})), "adds NET_RAW"),
        ({"hostNetwork": True}, "hostNetwork"),
    ],
)
def test_each_way_to_the_host_is_a_finding_outside_the_privileged_namespaces(spec: Any, said: str):
    facts = {"privileged_namespaces": ["nvidia-device-plugin"]}
    daemonset = "apps/v1:DaemonSet"
    for known in (facts, None):
        assert said in messages(no_privileged_pods([made(daemonset, spec)], known))[0]
    assert list(no_privileged_pods([made(daemonset, spec, "nvidia-device-plugin")], facts)) == []


def test_an_ordinary_pod_passes():
    context = {"privileged": False, "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}}
    spec = pod(container(securityContext=context), hostNetwork=False, volumes=[{"name": "s", "emptyDir": {}}])
    assert list(no_privileged_pods([made("core/v1:Pod", spec)], None)) == []


@pytest.mark.parametrize(
    "spec",
    [
        pod(hostNetwork=UNKNOWN),
        pod(volumes=UNKNOWN),
        pod(volumes=[UNKNOWN]),
        pod(container(securityContext=UNKNOWN)),
        pod(container(securityContext={"capabilities": {"add": [UNKNOWN]}})),
        pod(UNKNOWN),
    ],
)
def test_what_cannot_be_read_of_a_pod_is_not_judged(spec: Any):
    (text,) = no_privileged_pods([made("core/v1:Pod", spec)], None)
    assert isinstance(text, str)
    assert "not known" in text


def test_a_privileged_pod_whose_namespace_is_not_known_is_not_judged_where_some_are_allowed():
    resource = made("core/v1:Pod", pod(hostPID=True), UNKNOWN)
    (text,) = no_privileged_pods([resource], {"privileged_namespaces": ["nvidia-device-plugin"]})
    assert isinstance(text, str)
    assert len(messages(no_privileged_pods([resource], None))) == 1


def test_objects_without_pods_are_left_alone():
    volume = Registered("u", "kubernetes:core/v1:PersistentVolume", "x", {"spec": {"hostPath": {"path": "/d"}}})
    config = Registered("u", "kubernetes:core/v1:ConfigMap", "x", {"data": {"image": "busybox"}})
    foreign = Registered("u", "aws:ec2:Instance", "x", {"spec": pod(container("busybox"), hostPID=True)})
    for rule in (pinned_images, no_privileged_pods):
        assert list(rule([volume, config, foreign], None)) == []
