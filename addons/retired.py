"""Systems that have ended: a stack that names one is told since when, by whose word, and what does its work.

Sources: the projects' own archives and issues, as each row says; kubeflow/community, subprojects/PROJECTS.md.
"""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict

from espalier.types import AddonRecord, Ended

_ORG: Final = "https://github.com/kubeflow"
_TRAIN: Final = "kubeflow-trainer"
_JOBS: Final = "training-operator-v1"
_OWN_IMAGE: Final = (
    "Run it as a TrainJob on a TrainingRuntime with an image of your own: `espalier sample STACK custom-runtime`."
)

_ROWS: Final[tuple[tuple[str, str, Ended], ...]] = (
    # id, category, its end
    ("caffe2-operator", "training", Ended("2021-12-01", f"{_ORG}/caffe2-operator", _OWN_IMAGE, (_TRAIN,))),
    ("chainer-operator", "training", Ended("2024-08-09", f"{_ORG}/chainer-operator/issues/33", _OWN_IMAGE, (_TRAIN,))),
    (
        "kfserving",
        "serving",
        Ended(
            "2024-08-09",
            f"{_ORG}/community/tree/master/proposals/525-kfserving-transition",
            "It goes on as KServe, whose InferenceServices are of another group: serving.kserve.io.",
            ("kserve",),
        ),
    ),
    (
        "kubeflow-fairing",
        "notebooks",
        Ended("2023-08-17", f"{_ORG}/fairing/issues/573", "Start TrainJobs by Kubeflow's SDK for Python.", (_TRAIN,)),
    ),
    (
        "kubeflow-metadata",
        "tracking",
        Ended(
            "2021",
            f"{_ORG}/community/issues/479",
            "Keep runs in MLflow, and models in Kubeflow's registry.",
            ("mlflow", "kubeflow-hub"),
        ),
    ),
    (
        "kubernetes-dashboard",
        "interface",
        Ended(
            "2026-01-05",
            "https://github.com/kubernetes/org/issues/6046",
            "Its SIG goes on with Headlamp.",
            ("headlamp",),
        ),
    ),
    (
        "minio",
        "storage",
        Ended(
            "2026-02-12",
            "https://github.com/minio/minio",
            "Use a cloud's bucket, and where there is none SeaweedFS or Ceph.",
            ("seaweedfs",),
        ),
    ),
    ("mxnet-operator", "training", Ended("2022-02-01", f"{_ORG}/trainer/issues/1996", _OWN_IMAGE, (_TRAIN,))),
    (
        "pytorch-operator",
        "training",
        Ended(
            "2022-09-19",
            f"{_ORG}/pytorch-operator",
            "Rewrite PyTorchJobs as TrainJobs, or keep them with the last operator that takes them.",
            (_TRAIN, _JOBS),
        ),
    ),
    (
        "tf-batch-predict",
        "serving",
        Ended(
            "2021",
            f"{_ORG}/community/issues/479",
            "Predict in a JobSet whose Jobs read the model from its bucket.",
            ("jobset",),
        ),
    ),
    (
        "tf-operator",
        "training",
        Ended(
            "2022-02-01",
            f"{_ORG}/tf-operator",
            "Keep TFJobs with the operator that it was merged into, or rewrite them as TrainJobs.",
            (_JOBS, _TRAIN),
        ),
    ),
    (
        "xgboost-operator",
        "training",
        Ended(
            "2022-02-01",
            f"{_ORG}/xgboost-operator",
            "Keep XGBoostJobs with the operator that it was merged into, or rewrite them as TrainJobs.",
            (_JOBS, _TRAIN),
        ),
    ),
)


class Options(BaseModel):
    """None: nothing of it is installed."""

    model_config = ConfigDict(extra="allow")


RETIRED: Final = tuple(
    AddonRecord(
        id=id,
        version="",
        category=category,
        tier="optional",
        licence="",
        source=ended.source,
        options=Options,
        state="retired",
        ended=ended,
    )
    for id, category, ended in _ROWS
)
"""One record for each, as all others are."""
