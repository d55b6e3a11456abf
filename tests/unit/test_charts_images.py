"""Images: one walk that lists and rewrites, in containers and where records say."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest

from espalier.charts.images import ImageRule, full_name, images_of, rewrite_images, steps, unused_paths
from espalier.content import ImagePath

DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "operator"},
    "spec": {
        "template": {
            "spec": {
                "initContainers": [{"name": "i", "image": "busybox"}],
                "containers": [
                    {
                        "name": "c",
                        "image": "quay.io/x/operator:1",
                        "args": ["--port=1", "--reloader=quay.io/x/reloader:2", "--mode=quick"],
                        "env": [{"name": "RELATED_IMAGE", "value": "quay.io/x/agent:3"}, {"name": "OTHER"}],
                    }
                ],
                "ephemeralContainers": [{"name": "e", "image": "ghcr.io/x/debug:4"}],
            }
        }
    },
}
CONFIG = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "runtimes"},
    "data": {"runtimes.yaml": "a:\n  image: quay.io/x/triton:5\nb:\n  image: quay.io/x/vllm:6\n"},
}
RUNTIME = {
    "apiVersion": "serving.example.com/v1",
    "kind": "Runtime",
    "metadata": {"name": "vllm"},
    "spec": {"containers": [{"name": "k", "image": "quay.io/x/server:7"}], "sidecar": {"picture": "quay.io/x/side:8"}},
}
PATHS = (
    ImagePath("Deployment", "spec.template.spec.containers[*].args[*]", pattern=r"^--reloader=(\S+)"),
    ImagePath("Deployment", "spec.template.spec.containers[0].env[*].value"),
    ImagePath("ConfigMap", 'data["runtimes.yaml"]', name="run*", pattern=r"image: (\S+)"),
    ImagePath("Runtime", "spec.sidecar.picture"),
)
OBJECTS = (DEPLOYMENT, CONFIG, RUNTIME)


def test_all_are_found_hidden_ones_by_their_paths() -> None:
    shown = ["busybox", "ghcr.io/x/debug:4", "quay.io/x/operator:1", "quay.io/x/server:7"]
    assert images_of(OBJECTS) == shown
    hidden = ["reloader:2", "agent:3", "triton:5", "vllm:6", "side:8"]
    assert images_of(OBJECTS, PATHS) == sorted([*shown, *(f"quay.io/x/{name}" for name in hidden)])


def test_all_are_rewritten_and_nothing_else_is() -> None:
    rule = ImageRule("registry.example.com:5000/mirror")
    changed = [rewrite_images(obj, PATHS, rule) for obj in OBJECTS]
    assert all(image.startswith("registry.example.com:5000/mirror/") for image in images_of(changed, PATHS))
    assert len(images_of(changed, PATHS)) == len(images_of(OBJECTS, PATHS))
    containers = changed[0]["spec"]["template"]["spec"]["containers"]
    assert containers[0]["args"] == [
        "--port=1",
        "--reloader=registry.example.com:5000/mirror/quay.io/x/reloader:2",
        "--mode=quick",
    ]
    assert containers[0]["env"][1] == {"name": "OTHER"}
    assert changed[1]["data"]["runtimes.yaml"] == (
        "a:\n  image: registry.example.com:5000/mirror/quay.io/x/triton:5\n"
        "b:\n  image: registry.example.com:5000/mirror/quay.io/x/vllm:6\n"
    )
    assert images_of(OBJECTS)[0] == "busybox"  # what was rendered is untouched
    again = [rewrite_images(obj, PATHS, rule) for obj in changed]
    assert again == changed


POLICY = {
    "apiVersion": "nvidia.com/v1",
    "kind": "ClusterPolicy",
    "metadata": {"name": "cluster-policy"},
    "spec": {
        "driver": {
            "repository": "nvcr.io/nvidia",
            "image": "driver",
            "version": "595.1",
            "manager": {"repository": "nvcr.io/nvidia/cloud-native", "image": "manager", "version": "v1"},
        },
        "gds": {"enabled": False, "deeper": {"repository": "rocm", "image": "fs", "version": f"sha256:{'a' * 64}"}},
        "vgpu": {"image": "vgpu-manager"},
    },
}
IN_THREE = ImagePath("ClusterPolicy", "spec", parts=("repository", "image", "version"))


def test_images_named_by_three_keys_are_found_and_rewritten_those_turned_off_only_rewritten() -> None:
    assert images_of([POLICY], [IN_THREE]) == ["nvcr.io/nvidia/cloud-native/manager:v1", "nvcr.io/nvidia/driver:595.1"]
    changed = rewrite_images(POLICY, [IN_THREE], ImageRule("r.example.com/m"))["spec"]
    driver, off = changed["driver"], changed["gds"]["deeper"]
    assert (driver["repository"], driver["image"], driver["version"]) == (
        "r.example.com/m/nvcr.io/nvidia",
        "driver",
        "595.1",
    )
    assert driver["manager"]["repository"] == "r.example.com/m/nvcr.io/nvidia/cloud-native"
    assert (off["repository"], off["version"]) == ("r.example.com/m/docker.io/rocm", f"sha256:{'a' * 64}")
    assert changed["vgpu"] == {"image": "vgpu-manager"}
    pinned = ImageRule(digests={"nvcr.io/nvidia/driver:595.1": f"sha256:{'b' * 64}"})
    assert rewrite_images(POLICY, [IN_THREE], pinned)["spec"]["driver"]["version"] == f"sha256:{'b' * 64}"
    assert unused_paths([POLICY], [IN_THREE]) == []


def test_a_front_is_rewritten_and_is_no_image() -> None:
    config = {
        "kind": "ConfigMap",
        "metadata": {"name": "i"},
        "data": {"values": '{"hub": "registry.istio.io/release"}'},
    }
    path = ImagePath("ConfigMap", "data.values", pattern=r'"hub": "([^"]+)"', front=True)
    assert images_of([config], [path]) == []
    changed = rewrite_images(config, [path], ImageRule("r.example.com/m"))
    assert changed["data"]["values"] == '{"hub": "r.example.com/m/registry.istio.io/release"}'


def test_what_a_secret_holds_is_decoded_and_encoded_again() -> None:
    def secret(text: str) -> dict[str, Any]:
        data = {"v.yaml": base64.b64encode(text.encode()).decode(), "key": "/w=="}
        return {"kind": "Secret", "metadata": {"name": "s"}, "data": data}

    paths = [ImagePath("Secret", "data[*]", pattern=r"image: (\S+)")]
    assert images_of([secret("image: quay.io/x/y:1")], paths) == ["quay.io/x/y:1"]
    changed = rewrite_images(secret("image: quay.io/x/y:1"), paths, ImageRule("r.example.com/m"))
    assert changed == secret("image: r.example.com/m/quay.io/x/y:1")


def test_a_path_that_some_renders_lack_is_no_mistake() -> None:
    path = ImagePath("ConfigMap", "data.nothing")
    assert unused_paths([CONFIG], [path]) == [path]
    assert unused_paths([CONFIG], [replace(path, optional=True)]) == []


@pytest.mark.parametrize(
    ("image", "whole"),
    [
        ("busybox", "docker.io/library/busybox"),
        ("x/y:1", "docker.io/x/y:1"),
        ("localhost/y", "localhost/y"),
        ("host:5000/y@sha256:ab", "host:5000/y@sha256:ab"),
    ],
)
def test_short_names_are_completed_as_runtimes_do(image: str, whole: str) -> None:
    assert full_name(image) == whole


def test_digests_pin_what_was_rendered() -> None:
    digest = "sha256:" + "a" * 64
    rule = ImageRule(digests={"quay.io/x/operator:1": digest})
    pinned = images_of([rewrite_images(DEPLOYMENT, (), rule)])
    assert f"quay.io/x/operator:1@{digest}" in pinned
    assert "busybox" in pinned


def test_a_path_that_leads_nowhere_is_told() -> None:
    stale = ImagePath("ConfigMap", "data.gone")
    assert unused_paths(OBJECTS, [*PATHS, stale]) == [stale]


@pytest.mark.parametrize("path", ["a..b", "a[x]", 'a["b]', "a b"])
def test_text_that_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="no path from"):
        steps(path)
    assert steps('a.b-c["d.e"][*][2]') == ["a", "b-c", "d.e", "*", 2]
