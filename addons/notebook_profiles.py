"""JupyterHub's choices: a profile for each pool, with its devices, its images, and the way to its nodes.

Images: jupyter/docker-stacks by the day of their build; scikit-learn is in each, Keras in TensorFlow's. JAX's project
makes no notebook: name one of your own among `images`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from espalier.blueprint import names
from espalier.types import NodeShape, PoolFacts

_STACKS: Final = "quay.io/jupyter"
PLAIN: Final[Mapping[str, str]] = {
    "scikit-learn": f"{_STACKS}/scipy-notebook:2025-07-07",
    "PyTorch": f"{_STACKS}/pytorch-notebook:2025-07-07",
    "TensorFlow and Keras": f"{_STACKS}/tensorflow-notebook:2025-07-07",
}
CUDA: Final[Mapping[str, str]] = {
    "PyTorch": f"{_STACKS}/pytorch-notebook:cuda12-2025-08-18",
    "TensorFlow and Keras": f"{_STACKS}/tensorflow-notebook:cuda-2025-07-07",
}


def profiles(pools: Sequence[PoolFacts], images: Sequence[str], *, spot: bool) -> list[dict[str, Any]]:
    """KubeSpawner's profile_list, the one without devices first. `images` are the stack's own."""
    return [_plain(images), *(made for pool in pools for made in _of(pool, images, spot=spot))]


def _plain(images: Sequence[str]) -> dict[str, Any]:
    """On nodes without devices, which spot nodes' and accelerators' taints do not say of all."""
    kinds: list[dict[str, Any]] = [{"key": names.ACCELERATOR, "operator": "DoesNotExist"}]
    kinds.append({"key": names.CAPACITY, "operator": "NotIn", "values": ["spot"]})
    override = {"node_affinity_required": [{"matchExpressions": kinds}], "mem_guarantee": "1G", "cpu_guarantee": 0.5}
    return _profile("no-device", "No device", PLAIN, images, override) | {"default": True}


def _of(pool: PoolFacts, images: Sequence[str], *, spot: bool) -> Iterator[dict[str, Any]]:
    """One device of a node of it, and all of them where there are several."""
    shapes = [shape for shape in pool.shapes if spot or shape.capacity_kind != "spot"]
    if not shapes:
        return
    offered = CUDA if pool.vendor == "nvidia" else {}
    if not offered and not images:
        return
    for device, count in sorted(shapes[0].devices.items()):
        for number in sorted({1, count}):
            word = f"{pool.name}: {number} {device}"
            override = {**_way(pool, shapes), "extra_resource_limits": {device: str(number)}}
            slug = f"{pool.name}-{number}-{device.rpartition('/')[2].replace('.', '-')}"
            yield _profile(slug, word, offered, images, override)


def _way(pool: PoolFacts, shapes: Sequence[NodeShape]) -> dict[str, Any]:
    terms: list[dict[str, Any]] = [{"key": names.POOL, "operator": "In", "values": [pool.name]}]
    if len(shapes) < len(pool.shapes):
        terms.append({"key": names.CAPACITY, "operator": "NotIn", "values": ["spot"]})
    taints = dict.fromkeys(taint for shape in shapes for taint in shape.taints)
    return {
        "node_affinity_required": [{"matchExpressions": terms}],
        "tolerations": [
            {"key": one.key, "operator": "Equal", "value": one.value, "effect": one.effect} for one in taints
        ],
    }


def _profile(
    slug: str, title: str, offered: Mapping[str, str], images: Sequence[str], override: Mapping[str, Any]
) -> dict[str, Any]:
    choices = {**offered, **{image: image for image in images}}
    rows = {
        f"image-{number}": {"display_name": word, "kubespawner_override": {"image": image}}
        for number, (word, image) in enumerate(choices.items())
    }
    first = next(iter(choices.values()))
    return {
        "slug": slug,
        "display_name": title,
        "kubespawner_override": {"image": first, **override},
        "profile_options": {"image": {"display_name": "Image", "choices": rows}},
    }
