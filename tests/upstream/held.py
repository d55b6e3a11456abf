"""Upstream's rendered objects as a record's content: what the record makes of them, without a renderer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from espalier.addons import RECORDS
from espalier.charts.objects import objects_of, scopes_of
from espalier.charts.tool import Item
from espalier.content import Content
from espalier.types import AddonInputs, Facts, Manifest, PoolFacts

UPSTREAM = Path(__file__).parents[2].parent / "shared" / "upstream"
FACTS = Facts("onprem", "1.36", True)
FOLDERS: Mapping[str, str] = {"kserve": "kserve-resources"}
"""Where upstream's facts of a record have another name."""
FILES: Mapping[str, tuple[str, ...]] = {
    "argo-workflows": ("crds-minimal.yaml", "manifests.yaml"),
    "katib": ("crds.yaml", "manifests-with-kubeflow.yaml"),
    "kubeflow-pipelines": ("crds.yaml", "manifests-multi-user.yaml"),
}
"""What stands in for a record's source; default: its definitions and manifests."""

OTHERS: Mapping[str, tuple[str, ...]] = {
    "argo-workflows": ("argo-workflows-server",),
    "kubeflow-pipelines": ("argo", "workflow-controller", "applications.app."),
}
"""How names begin of objects that upstream's render has and the record's folders or values leave out."""


def folder(id: str) -> Path:
    return UPSTREAM / FOLDERS.get(id, id)


@cache
def read(id: str, file: str) -> list[Any]:
    path = folder(id) / file
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # some definitions are megabytes
    return [one for one in yaml.load_all(path.read_text("utf-8"), loader) if one] if path.is_file() else []


def content_of(id: str) -> Content:
    content = RECORDS[id].content
    assert content is not None
    return content


def inputs(id: str, *pools: PoolFacts, **options: Any) -> AddonInputs:
    meshed = ("istio-gateway", "istiod")
    needed = {need: dict[str, Any]() for need in (*RECORDS[id].needs, *meshed, id)}
    return AddonInputs(FACTS, pools, RECORDS[id].options.model_validate(options), needed)


def published(id: str) -> list[Item]:
    """Upstream's objects and definitions."""
    files = FILES.get(id, ("crds.yaml", "manifests.yaml"))
    found = [one for file in files for one in read(id, file)]
    others = OTHERS.get(id, ())
    kept = [one for one in found if not one["metadata"]["name"].startswith(others) and not _of_argo(id, one)]
    return [Item("upstream", False, one) for one in kept]


def _of_argo(id: str, one: Manifest) -> bool:
    return id == "kubeflow-pipelines" and one["metadata"]["name"].endswith(".argoproj.io")


def edited(id: str, *pools: PoolFacts, **options: Any) -> list[Manifest]:
    """What the record makes of these, without objects of its own."""
    items = published(id)
    scopes = scopes_of(item for one in ("istio-base", "cert-manager") for item in published(one)) | scopes_of(items)
    objects, mistakes = objects_of(id, content_of(id), items, scopes)
    assert mistakes == []
    made = (content_of(id).edit(inputs(id, *pools, **options), obj.manifest) for obj in objects)
    return [one for one in made if one is not None]


def own(id: str, *pools: PoolFacts, **options: Any) -> list[Manifest]:
    return [planned.manifest for planned in RECORDS[id].objects(inputs(id, *pools, **options))]


def pods(objects: Sequence[Manifest]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Pod templates by the kind and name of what has them."""
    for one in objects:
        if one["kind"] in ("DaemonSet", "Deployment", "StatefulSet", "Job"):
            yield f"{one['kind']}/{one['metadata']['name']}", one["spec"]["template"]
