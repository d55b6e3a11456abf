"""Of each volume in upstream's manifests a record says what is in it, how it is saved and how it comes back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

import pytest

from espalier.addons import RECORDS
from espalier.types import AddonInputs, Data, Facts, InPod, Manifest
from tests.upstream.staged import UPSTREAM, folders_of, options_of, read

NOT_KEPT = {
    "dragonfly": "copies of images, which are fetched again",
}
CLAIM, MAP = "persistentVolumeClaim", "configMapRef"
KINDS = ("PersistentVolumeClaim", "StatefulSet")
IDS = sorted(id for id, record in RECORDS.items() if record.state != "retired" and id != "vllm-stack")
"""The one that is left out has nothing without models, which are the stack's to name."""

pytestmark = pytest.mark.skipif(not UPSTREAM.is_dir(), reason="upstream's facts are not beside the checkout")


def objects(id: str, kinds: Sequence[str] = KINDS) -> Iterator[Manifest]:
    record = RECORDS[id]
    beside = {one: {} for one in RECORDS}
    inputs = AddonInputs(Facts("onprem", "1.36", True), (), record.options.model_validate(options_of(id)), beside)
    yield from (planned.manifest for planned in record.objects(inputs))
    if record.content is None:
        return
    for folder in folders_of(id):
        made = (record.content.edit(inputs, one) for one in read(folder, "manifests.yaml") if one["kind"] in kinds)
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


POSSIBLE = [(id, data) for id in IDS for data in RECORDS[id].data if isinstance(data.by, InPod)]


@pytest.mark.parametrize(("id", "data"), POSSIBLE, ids=lambda each: each if isinstance(each, str) else each.what)
def test_the_pod_that_saves_data_has_the_volume_and_what_its_commands_name(id: str, data: Data) -> None:
    assert isinstance(data.by, InPod)
    there = {(one["kind"], one["metadata"]["name"]): one for one in objects(id, (*KINDS, "ConfigMap", "Deployment"))}
    pod = there["Deployment", data.by.workload]["spec"]["template"]["spec"]
    assert {("Deployment", name) for name in data.by.restarts} <= there.keys()
    if id == "mlflow":
        return  # its volume comes with values that upstream's render has not
    volumes = {one["name"]: one["persistentVolumeClaim"]["claimName"] for one in pod["volumes"] if CLAIM in one}
    (container,) = (one for one in pod["containers"] if one["name"] == data.by.container)
    mounted = [one["mountPath"] for one in container["volumeMounts"] if one["name"] in volumes]
    assert set(volumes.values()) <= set(data.claims)
    assert mounted
    command = " ".join(data.by.save)
    if "mysqldump" in command:
        maps = (
            there["ConfigMap", one["configMapRef"]["name"]]["data"]
            for one in container.get("envFrom", ())
            if MAP in one
        )
        values = {key: value for each in maps for key, value in each.items()}
        values |= {one["name"]: one.get("value") for one in container.get("env", ())}
        assert "MYSQL_ALLOW_EMPTY_PASSWORD" not in values
        secrets = [one["secretRef"]["name"] for one in container.get("envFrom", ()) if "secretRef" in one]
        assert "MYSQL_ROOT_PASSWORD" in values or secrets
        assert values.get("MYSQL_DATABASE", "mlpipeline") in command.split()
    else:
        assert any(path in command for path in mounted)


@pytest.mark.parametrize("id", IDS)
def test_each_volume_is_said_to_hold_something(id: str) -> None:
    patterns = [pattern for data in RECORDS[id].data for pattern in data.claims]
    found = sorted(set(claims(id)))
    if id not in NOT_KEPT:
        assert [name for name in found if not any(fnmatchcase(name, pattern) for pattern in patterns)] == []
    if id in ("katib", "kubeflow-hub", "kubeflow-pipelines", "mlflow", "jupyterhub", "evidently"):
        assert found, "a volume is in upstream's manifests or the record's own objects"
