"""Velero saves what the stack's add-ons keep without being told where, and never more than that."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from espalier.addons import RECORDS
from espalier.blueprint.build import inputs_of
from espalier.blueprint.keeping import kept_spaces
from espalier.settings.load import validate
from espalier.types import AddonInputs, Facts

RECORD = RECORDS["velero"]
FACTS = Facts("onprem", "1.36", True)
DATABASE = {"host": "db.example.com", "secret": "db"}
BUCKET = {"kind": "gcs", "name": "acme-mlflow"}


def values(*kept: str, **options: Any) -> Any:
    made = RECORD.options.model_validate(options)
    assert RECORD.content is not None
    return RECORD.content.values(AddonInputs(FACTS, (), made, kept=kept, workspaces=("vision", "language-dev")))


def test_namespaces_are_those_whose_volumes_hold_what_add_ons_keep() -> None:
    wanted: dict[str, Any] = {"katib": {}, "kubeflow-pipelines": {}, "mlflow": {}, "evidently": {}, "kueue": {}}
    assert kept_spaces(wanted, RECORDS) == ("evidently", "kubeflow", "mlflow")


@pytest.mark.parametrize(
    ("options", "there"),
    [
        ({}, True),
        ({"database": DATABASE}, True),
        ({"bucket": BUCKET}, True),
        ({"database": DATABASE, "bucket": BUCKET}, False),
        ({"existing": "1.2.3"}, False),
    ],
)
def test_a_namespace_counts_while_something_in_it_is_not_elsewhere(options: dict[str, Any], there: bool) -> None:
    assert ("mlflow" in kept_spaces({"mlflow": options}, RECORDS)) is there


def test_they_are_saved_each_day() -> None:
    assert values("mlflow", "kubeflow")["schedules"] == {
        "stack": {
            "schedule": "0 2 * * *",
            "template": {"includedNamespaces": ["kubeflow", "mlflow"], "snapshotVolumes": True, "ttl": "720h0m0s"},
        }
    }


def test_when_and_how_long_is_the_stack_s_to_say_and_tenants_too() -> None:
    made = values("mlflow", schedule="30 */6 * * 1-5", ttl="48h", tenants=True)["schedules"]["stack"]
    assert (made["schedule"], made["template"]["ttl"]) == ("30 */6 * * 1-5", "48h0m0s")
    assert made["template"]["includedNamespaces"] == ["language-dev", "mlflow", "vision"]


def test_without_a_namespace_there_is_no_schedule_which_would_take_all() -> None:
    assert values()["schedules"] == {}
    assert values("mlflow", schedule="")["schedules"] == {}


def test_values_of_the_stack_s_own_are_laid_on_it() -> None:
    own = {"schedules": {"mine": {"schedule": "@weekly"}, "stack": {"paused": True, "schedule": "@daily"}}}
    made = values("mlflow", values=own)["schedules"]
    assert set(made) == {"mine", "stack"}
    assert (made["stack"]["paused"], made["stack"]["schedule"]) == (True, "@daily")
    assert made["stack"]["template"]["includedNamespaces"] == ["mlflow"]


def test_volumes_go_by_csi_snapshots_unless_a_provider_makes_them() -> None:
    made = values("mlflow", values={"configuration": {"backupStorageLocation": [{"name": "default"}]}})
    assert made["configuration"]["features"] == "EnableCSI"
    assert made["snapshotsEnabled"] is False
    located = {"volumeSnapshotLocation": [{"name": "default", "provider": "aws"}]}
    made = values("mlflow", values={"configuration": located})
    assert (made["configuration"], made["snapshotsEnabled"]) == (located, True)


@pytest.mark.parametrize(
    "options",
    [{"schedule": "daily"}, {"schedule": "0 2 * *"}, {"schedule": "0 2 * * *; x"}, {"ttl": "30d"}, {"ttl": "0h"}],
)
def test_a_time_that_velero_would_not_read_is_refused(options: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="should match pattern"):
        RECORD.options.model_validate(options)


def test_a_stack_s_own_add_ons_and_tenants_come_in() -> None:
    quota = {"cpu": 8, "memory": "8Gi"}
    block = {
        "cluster": {"kind": "existing", "version": "1.36", "kubeconfig": "x", "context": "lab"},
        "tenants": [{"name": "vision", "groups": {"edit": ["v"]}, "quota": quota}],
        "addons": {"velero": {}, "mlflow": {}, "cert-manager": {}, "kube-prometheus-stack": {}},
    }
    inputs = inputs_of(validate(block, where="espalier"), RECORD, RECORDS)
    assert inputs is not None
    assert (inputs.kept, inputs.workspaces) == (("mlflow", "monitoring"), ("vision",))
