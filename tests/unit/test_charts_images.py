"""Images: one walk that lists and rewrites, in containers and where records say."""

from __future__ import annotations

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
