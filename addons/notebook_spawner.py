"""What Kubeflow's page for new notebooks offers, written from the pools: devices, where they are, and images.

Facts: kubeflow/notebooks v1.11.0, components/crud-web-apps/jupyter, spawner_ui_config.yaml: upstream's offers no node
and no toleration, so that a pool with a taint cannot be reached from the page. Whoever wants a pool takes its affinity
and its tolerations: the page has a list of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import yaml

from espalier.blueprint import names
from espalier.types import NodeShape, PoolFacts

VERSION: Final = "v1.11.0"
_SERVERS: Final = "ghcr.io/kubeflow/kubeflow/notebook-servers"
JUPYTER: Final = tuple(
    f"{_SERVERS}/jupyter-{name}:{VERSION}"
    for name in ("scipy", "pytorch-full", "pytorch-cuda-full", "tensorflow-full", "tensorflow-cuda-full")
)
"""scikit-learn is in each, Keras in TensorFlow's."""
CODE: Final = f"{_SERVERS}/codeserver-python:{VERSION}"
RSTUDIO: Final = f"{_SERVERS}/rstudio-tidyverse:{VERSION}"
HOME: Final = "/home/jovyan"


def configuration(pools: Sequence[PoolFacts], images: Sequence[str], *, spot: bool, size: str) -> str:
    """spawner_ui_config.yaml. `images` come after upstream's; `size` is that of a new notebook's volume."""
    reached = [(pool, shapes) for pool in pools if (shapes := _shapes(pool, spot=spot))]
    devices = sorted({device for _, shapes in reached for shape in shapes for device in shape.devices})
    form: dict[str, Any] = {
        "allowCustomImage": True,
        "hideRegistry": True,
        "hideTag": False,
        "imagePullPolicy": {"value": "IfNotPresent", "readOnly": False},
        "image": {"value": JUPYTER[0], "options": [*JUPYTER, *images]},
        "imageGroupOne": {"value": CODE, "options": [CODE]},
        "imageGroupTwo": {"value": RSTUDIO, "options": [RSTUDIO]},
        "cpu": {"value": "0.5", "limitFactor": "none", "readOnly": False},
        "memory": {"value": "1.0Gi", "limitFactor": "1.2", "readOnly": False},
        "gpus": {
            "readOnly": False,
            "value": {
                "vendor": "",
                "vendors": [{"limitsKey": device, "uiName": device} for device in devices],
                "num": "none",
            },
        },
        "workspaceVolume": {"readOnly": False, "value": {"mount": HOME, "newPvc": _volume(size)}},
        "dataVolumes": {"readOnly": False, "value": []},
        "affinityConfig": {
            "readOnly": False,
            "value": "",
            "options": [_affinity(pool, shapes) for pool, shapes in reached],
        },
        "tolerationGroup": {
            "readOnly": False,
            "value": "",
            "options": [_tolerations(pool, shapes) for pool, shapes in reached if any(one.taints for one in shapes)],
        },
        "shm": {"value": True, "readOnly": False},
        "configurations": {"value": [], "readOnly": False},
        "environment": {"value": {}, "readOnly": False},
    }
    return yaml.safe_dump({"spawnerFormDefaults": form}, sort_keys=True)


def _shapes(pool: PoolFacts, *, spot: bool) -> tuple[NodeShape, ...]:
    """The kinds of capacity that a notebook may be on: one that may be taken back only where the stack says so."""
    return tuple(shape for shape in pool.shapes if spot or shape.capacity_kind != "spot")


def _volume(size: str) -> dict[str, Any]:
    spec = {"resources": {"requests": {"storage": size}}, "accessModes": ["ReadWriteOnce"]}
    return {"metadata": {"name": "{notebook-name}-workspace"}, "spec": spec}


def _affinity(pool: PoolFacts, shapes: Sequence[NodeShape]) -> dict[str, Any]:
    terms = [{"key": names.POOL, "operator": "In", "values": [pool.name]}]
    if len(shapes) < len(pool.shapes):
        terms.append({"key": names.CAPACITY, "operator": "NotIn", "values": ["spot"]})
    required = {"nodeSelectorTerms": [{"matchExpressions": terms}]}
    return {
        "configKey": pool.name,
        "displayName": _title(pool),
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}},
    }


def _tolerations(pool: PoolFacts, shapes: Sequence[NodeShape]) -> dict[str, Any]:
    taints = dict.fromkeys(taint for shape in shapes for taint in shape.taints)
    found = [{"key": one.key, "operator": "Equal", "value": one.value, "effect": one.effect} for one in taints]
    return {"groupKey": pool.name, "displayName": _title(pool), "tolerations": found}


def _title(pool: PoolFacts) -> str:
    held = ", ".join(f"{count} {device}" for device, count in sorted(pool.shape.devices.items()))
    return f"{pool.name}: {held} a node" if held else pool.name
