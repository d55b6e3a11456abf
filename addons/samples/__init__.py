"""Work to try a platform with: files beside this one, filled in for a stack's tenants and pools.

In a file `${namespace}`, `${pool}`, `${placement}` (what of a pod's spec takes it to the pool), `${resources}` (a
device of it, or processors), `${image}` (one with Python) and `${domain}` (KServe's) are put in as JSON; `$$` is a $.
Shapes are those of the add-ons' APIs at the versions that their records pin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

IMAGE: Final = "docker.io/library/python:3.12.11-slim-bookworm"


@dataclass(frozen=True, slots=True)
class Sample:
    """What a file is for. `needs` are add-ons, `vendor` whose devices its image is for; "" is any pool, also none."""

    what: str
    needs: tuple[str, ...] = ()
    vendor: str = ""

    def read(self, name: str) -> str:
        return (Path(__file__).parent / f"{name}.yaml").read_text("utf-8")


SAMPLES: Final[Mapping[str, Sample]] = {
    "batch-prediction": Sample("a Job that asks a model for a file of rows", ("kserve",)),
    "canary": Sample("two versions of a model, traffic split between them", ("gateway-api", "kserve")),
    "experiment": Sample("a search over settings", ("katib",)),
    "inferenceservice": Sample("a model, served", ("kserve",)),
    "jaxjob": Sample("a JAXJob of two workers", ("training-operator-v1",), "nvidia"),
    "job": Sample("a Job that lists its devices"),
    "jobset": Sample("workers that know each other by name", ("jobset",)),
    "leaderworkerset": Sample("a group that starts and restarts as one", ("lws",)),
    "mpijob": Sample("a program on two workers over SSH", ("mpi-operator",)),
    "notebook": Sample("a notebook with a home that stays", ("kubeflow-notebooks",)),
    "pytorchjob": Sample("a PyTorchJob, master and worker", ("training-operator-v1",), "nvidia"),
    "tensorboard": Sample("a TensorBoard over a claim", ("kubeflow-notebooks",)),
    "tfjob": Sample("a TFJob, chief and two workers", ("training-operator-v1",), "nvidia"),
    "trainjob": Sample("a TrainJob on the pool's runtime for PyTorch", ("kubeflow-trainer",), "nvidia"),
}
