"""Of each volume in upstream's manifests a record says what is in it, how it is saved and how it comes back."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

import pytest

from espalier.addons import RECORDS
from espalier.types import AddonInputs, Facts, Manifest
from tests.upstream.staged import UPSTREAM, folders_of, options_of, read

NOT_KEPT = {
    "dragonfly": "copies of images, which are fetched again",
}
KINDS = ("PersistentVolumeClaim", "StatefulSet")
IDS = sorted(id for id, record in RECORDS.items() if record.state != "retired" and id != "vllm-stack")
"""The one that is left out has nothing without models, which are the stack's to name."""

pytestmark = pytest.mark.skipif(not UPSTREAM.is_dir(), reason="upstream's facts are not beside the checkout")


def objects(id: str) -> Iterator[Manifest]:
    record = RECORDS[id]
    beside = {one: {} for one in RECORDS}
    inputs = AddonInputs(Facts("onprem", "1.36", True), (), record.options.model_validate(options_of(id)), beside)
    yield from (planned.manifest for planned in record.objects(inputs))
    if record.content is None:
        return
    for folder in folders_of(id):
        made = (record.content.edit(inputs, one) for one in read(folder, "manifests.yaml") if one["kind"] in KINDS)
        yield from (one for one in made if one is not None)


def claims(id: str) -> Iterator[str]:
    for one in objects(id):
        if one["kind"] == "PersistentVolumeClaim":
            yield one["metadata"]["name"]
        if one["kind"] == "StatefulSet":
            name = one["metadata"]["name"]
            yield from (
                f"{made['metadata']['name']}-{name}-0" for made in one["spec"].get("volumeClaimTemplates") or ()
            )


@pytest.mark.parametrize("id", IDS)
def test_each_volume_is_said_to_hold_something(id: str) -> None:
    patterns = [pattern for data in RECORDS[id].data for pattern in data.claims]
    found = sorted(set(claims(id)))
    if id not in NOT_KEPT:
        assert [name for name in found if not any(fnmatchcase(name, pattern) for pattern in patterns)] == []
    if id in ("katib", "kubeflow-hub", "kubeflow-pipelines", "mlflow", "jupyterhub", "evidently"):
        assert found, "a volume is in upstream's manifests or the record's own objects"
