"""With a registry of one's own no upstream registry is named any more, hidden ones too, of upstream's own manifests.

Every text of every object of a plan is looked through: containers, arguments, environment, ConfigMaps, custom resources
and annotations, for the hosts of registries, for upstream's own lists of images, and for whatever a key calls an image.
"""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from espalier.addons import RECORDS
from espalier.blueprint.bundles import BUNDLES
from espalier.charts.images import ImageRule, full_name, images_of, rewrite_images, unused_paths
from espalier.charts.objects import CRD, objects_of, scopes_of
from espalier.charts.stage import Stage
from espalier.commands.plan import plan
from espalier.commands.project import Project, open_project
from espalier.types import Facts
from tests.upstream import held
from tests.upstream.staged import UPSTREAM, items_of, listed, options_of, staged, together

ROOT = Path(__file__).parents[2]
REGISTRY: Final = "registry.example.com/mirror"
CONFIG: Final[dict[str, Any]] = {
    "cluster": {"kind": "simulated"},
    "pools": [
        {"name": "system", "machine": {"cpu": 64, "memory": "512Gi"}, "nodes": {"min": 3, "max": 3}},
        {"name": "h100", "accelerator": "H100-80", "count": 8, "nodes": {"max": 4}},
    ],
    "tenants": [
        {
            "name": "vision",
            "owners": ["olga@example.com"],
            "quota": {"devices": {"nvidia.com/gpu": 8}, "cpu": 64, "memory": "512Gi"},
        }
    ],
    "licences": ["BUSL-1.1"],
    "sources": {"registry": REGISTRY},
}
FACTS: Final = Facts("simulated", "1.36", False)
LISTED: Final = sorted({image for id in RECORDS for image in listed(id)}, reverse=True)
HELMS: Final = ("kai-scheduler",)
"""Which Helm installs by itself: with a registry of one's own these are refused, with what to do."""
_HOSTS: Final = re.compile(
    r"(?<![\w.-])(?:(?:docker|quay|ghcr|gcr|nvcr|k8s\.gcr|registry\.k8s|registry\.istio|reg\.kyverno)\.io|public\.ecr\.aws"
    r"|mcr\.microsoft\.com|container-registry\.oracle\.com|[\w-]+\.(?:gcr\.io|pkg\.dev|azurecr\.io))/[\w./:@-]*"
)
_OWN: Final = re.compile(re.escape(REGISTRY) + r"/[\w./:@-]*")
_KEYED: Final = re.compile(
    r"""["']?\b\w*[iI]mage["']?\s*[:=]\s*["']?([a-z0-9][\w.-]*(?:/[\w.-]+)*:[\w.-]+)["']?,?\s*$""", re.MULTILINE
)

pytestmark = pytest.mark.skipif(not UPSTREAM.is_dir(), reason="upstream's facts are not beside the checkout")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Project]]:
    """Opens stacks whose add-ons' content is upstream's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stage, "_rendered", staged)

        def opened(**more: Any) -> Project:
            folder = tmp_path_factory.mktemp("stack")
            (folder / "stacks").mkdir()
            for name in ("Pulumi.yaml", "__main__.py"):
                shutil.copy(ROOT / name, folder / name)
            config = {f"espalier:{key}": value for key, value in {**CONFIG, **more}.items()}
            (folder / "stacks" / "Pulumi.one.yaml").write_text(yaml.safe_dump({"config": config}))
            return open_project(str(folder / "stacks" / "Pulumi.one.yaml"))

        yield opened


@pytest.fixture(scope="module")
def full(stack: Callable[..., Project]) -> tuple[Project, Mapping[str, Any]]:
    """The profile with everything, and its plan."""
    project = stack(profile="full")
    return project, plan(project).document


def manifests(project: Project) -> list[Mapping[str, Any]]:
    return [manifest for addon in project.blueprint.addons for manifest in addon.manifests]


def texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text of an object with where it stands; what a Secret holds is decoded."""
    if isinstance(value, Mapping):
        for key, child in value.items():
            yield from texts(child, f"{path}.{key}")
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from texts(child, f"{path}[{index}]")
    elif isinstance(value, str):
        yield path, value
        if path.startswith(".data.") and re.fullmatch(r"[A-Za-z0-9+/]{40,}={0,2}", value):
            yield path, base64.b64decode(value).decode("utf-8", "replace")


def left(objects: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Each place where something of upstream's is named still."""
    known = re.compile(r"(?<![\w./-])(?:" + "|".join(map(re.escape, LISTED)) + r")(?![\w./-])")
    for obj in objects:
        if obj["kind"] == CRD:
            continue
        for path, text in texts(obj):
            rest = _OWN.sub("", text)
            found = {match.group(0) for pattern in (_HOSTS, known) for match in pattern.finditer(rest)}
            found |= {match.group(1) for match in _KEYED.finditer(rest)}
            if re.search(r"[iI]mage$", path) and ":" in rest:
                found.add(rest)
            for one in sorted(found):
                yield f"{obj['kind']}/{obj['metadata']['name']} {path}: {one}"


def test_full_names_no_upstream_registry(full: tuple[Project, Mapping[str, Any]]) -> None:
    project, document = full
    assert [*left(manifests(project)), *left(document["kubernetes"])] == []


def test_nor_does_any_other_addon(stack: Callable[..., Project]) -> None:
    addons, _ = together(FACTS, (), ("kueue", "kubeflow-trainer", "nvidia-gpu-operator"))
    project = stack(addons={id: options for id, options in addons.items() if id not in HELMS})
    assert "\n".join(left(manifests(project))) == ""


@pytest.mark.parametrize("id", held.FILES)
def test_nor_do_the_folders_that_a_record_takes(id: str) -> None:
    """Where upstream's facts have another install than the record's, too."""
    content, rule = held.content_of(id), ImageRule(REGISTRY)
    made = held.edited(id, **options_of(id))
    assert "\n".join(left(rewrite_images(one, content.images, rule) for one in made)) == ""
    assert unused_paths(made, content.images) == []


# What upstream lists -----------------------------------------------------------------------------------------------

_TESTS: Final = "a hook that tests or upgrades, which is not run"
_ELSEWHERE: Final = "a part that is an add-on of its own"
_OFF: Final = "turned off: by upstream's own values, or by the record's"
_NEWER: Final = "upstream's tag moves or is old: the record names another"
LACKS: Final[Mapping[str, Mapping[str, str]]] = {
    "amd-gpu-operator": {
        "busybox:1.36": _OFF,
        "docker.io/rocm/*": "upstream's tags move; they lie in fields of DeviceConfigs that the record does not make",
        "rocm/*": "upstream's tags move; they lie in fields of DeviceConfigs that the record does not make",
        "gcr.io/kaniko-project/*": _OFF,
        "quay.io/brancz/*": _OFF,
        "registry.k8s.io/nfd/*": _ELSEWHERE,
    },
    "argo-workflows": {"quay.io/argoproj/argocli:*": _OFF, "registry.k8s.io/kubectl:*": _TESTS},
    "cert-manager": {"*/cert-manager-startupapicheck:*": _TESTS},
    "emissary-crds": {"*/emissary:*": "the list is of both records"},
    "gatekeeper": {"curlimages/curl:*": _TESTS, "openpolicyagent/gatekeeper-crds:*": _TESTS},
    "jupyterhub": {"*/k8s-image-awaiter:*": _OFF, "*/k8s-secret-sync:*": _OFF},
    "kai-scheduler": {"*/numa-placement-exporter:*": "its Config does not turn it on"},
    "katib": {"*/enas-cnn-cifar10-cpu:*": "a template of trials that the record leaves out"},
    "kserve": {"kserve/art-explainer:*": "explainers are taken out: the project has ended"},
    "kube-prometheus-stack": {"*/bats/*": _TESTS, "*/kube-webhook-certgen:*": _OFF},
    "kubeflow-hub": {
        "ghcr.io/kubeflow/model-registry/controller:*": "left out, since its tag floats upstream",
        "ghcr.io/kubeflow/model-registry/storage-initializer:*": "left out, since its tag floats upstream",
        "ghcr.io/kubeflow/model-registry/ui:*": "a page that the record leaves out",
        "mysql:8.3": _NEWER,
        "postgres:*": "another database, in whose place stands MySQL",
    },
    "kubeflow-notebooks": {"tensorflow/tensorflow:2.5.1": _NEWER},
    "kubeflow-pipelines": {
        "docker.io/alpine:3.23": _NEWER,
        "mysql:8.4": _NEWER,
        "ghcr.io/containerd/busybox": _NEWER,
        "*/kfp-cache-deployer:*": "cert-manager does its work",
        "quay.io/argoproj/*": _ELSEWHERE,
    },
    "kubeflow-trainer": {"*": "upstream's runtimes, in whose place stand those of the pools"},
    "kyverno": {"ghcr.io/kyverno/readiness-checker:*": _TESTS, "*/kyverno-cli:*": _TESTS},
    "network-operator": {"*/node-feature-discovery:*": _ELSEWHERE},
    "nvidia-gpu-operator": {
        "*/dcgm:*": _OFF,
        "*/gdrdrv:*": _OFF,
        "*/nvidia-fs:*": _OFF,
        "registry.k8s.io/nfd/*": _ELSEWHERE,
    },
    "seldon-core-v2-crds": {"*": "the list is of both records"},
    "vertical-pod-autoscaler": {"*/kube-webhook-certgen:*": _TESTS},
}
"""Images of upstream's lists that `images` rightly lacks, by add-on, each with why."""


def lacks(id: str, found: Collection[str]) -> list[str]:
    """What upstream lists and nobody finds, but for what is told above."""
    there = {full_name(image) for image in found}
    told = LACKS.get(id, {})
    return [
        image
        for image in listed(id)
        if full_name(image) not in there and not any(fnmatchcase(image, pattern) for pattern in told)
    ]


@pytest.mark.parametrize("id", [id for id in sorted(RECORDS) if listed(id) and RECORDS[id].content])
def test_every_image_of_upstreams_list_is_found(id: str) -> None:
    content, given = held.content_of(id), held.inputs(id, **options_of(id))
    items = held.published(id) if id in held.FILES else items_of(id)
    objects, _ = objects_of(id, content, items, scopes_of(items))
    made = [one for obj in objects if (one := content.edit(given, obj.manifest)) is not None]
    made += [planned.manifest for planned in RECORDS[id].objects(given)]
    found = set(images_of(made, content.images))
    if content.hooks == "release" and content.facts:  # what its hooks write is known by the record alone
        found |= {*images_of([item.object for item in items]), *content.facts.images}
    assert lacks(id, found) == []
    needless = [one for one in LACKS.get(id, {}) if not any(fnmatchcase(image, one) for image in listed(id))]
    assert needless == []


def test_images_of_full_has_them_all(full: tuple[Project, Mapping[str, Any]]) -> None:
    rule = ImageRule(REGISTRY)
    found = {rule.origin(row["image"]) for row in full[1]["images"]}
    others = {id: folder for id, folder in held.FILES.items() if id != "katib"}
    assert {id: missing for id in BUNDLES["full"] if id not in others and (missing := lacks(id, found))} == {}
    assert all(row["image"].startswith(f"{REGISTRY}/") for row in full[1]["images"])
