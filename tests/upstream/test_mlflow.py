"""MLflow against upstream's chart: keys, the image, no key of sessions, and where runs and files are kept."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
import yaml

from espalier.addons import RECORDS
from espalier.charts.images import images_of
from espalier.charts.values import merged
from espalier.types import AddonInputs, Facts
from tests.upstream.staged import UPSTREAM, read
from tests.upstream.values import strangers

RECORD = RECORDS["mlflow"]
GIVEN: dict[str, Any] = {
    "database": {"host": "db.example.com", "port": 5433, "secret": "mlflow-db"},
    "bucket": {"kind": "s3", "name": "acme-mlflow", "secret": "mlflow-bucket"},
    "hosts": ["mlflow.example.com"],
}

pytestmark = pytest.mark.skipif(not UPSTREAM.is_dir(), reason="upstream's facts are not beside the checkout")


def inputs(**options: Any) -> AddonInputs:
    return AddonInputs(Facts("onprem", "1.36", True), (), RECORD.options(**options))


def told(**options: Any) -> dict[str, Any]:
    assert RECORD.content is not None
    return dict(RECORD.content.values(inputs(**options)))


@pytest.mark.parametrize("options", [{}, GIVEN], ids=["own", "given"])
def test_every_value_is_one_that_the_chart_reads(options: dict[str, Any]) -> None:
    known = read("mlflow", "values.yaml")[0]
    assert list(strangers(told(**options), known)) == []
    schema = yaml.safe_load((UPSTREAM / "mlflow" / "values.schema.json").read_text("utf-8"))
    jsonschema.validate(merged(known, told(**options)), schema)


def test_the_server_needs_no_key_of_sessions_and_is_taken_by_a_restricted_namespace() -> None:
    assert RECORD.content is not None
    (theirs,) = [one for one in read("mlflow", "manifests.yaml") if one["kind"] == "Deployment"]
    made = RECORD.content.edit(inputs(), theirs)
    assert made is not None
    pod = made["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert [one for one in container["envFrom"] if "flask" in str(one)] == []
    assert len(container["envFrom"]) == len(theirs["spec"]["template"]["spec"]["containers"][0]["envFrom"]) - 1
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"]["runAsNonRoot"] is True
    assert RECORD.content.facts is not None
    assert set(images_of([made], ())) == set(RECORD.content.facts.images)


def test_without_a_database_one_server_keeps_all_on_a_volume_that_one_at_a_time_has() -> None:
    own = told()
    assert (own["replicaCount"], own["strategy"]["type"]) == (1, "Recreate")
    assert own["backendStore"]["defaultSqlitePath"] == "/data/mlflow.db"
    assert own["artifactRoot"]["defaultArtifactsDestination"] == "/data/artifacts"
    assert own["extraVolumes"] == [{"name": "data", "persistentVolumeClaim": {"claimName": "mlflow"}}]
    kinds = [planned.manifest["kind"] for planned in RECORD.objects(inputs())]
    assert kinds == ["NetworkPolicy", "PersistentVolumeClaim"]


def test_with_a_database_and_a_bucket_two_run_and_nothing_is_on_a_volume() -> None:
    given = told(**GIVEN)
    assert given["replicaCount"] == 2
    assert given["backendStore"]["existingDatabaseSecret"] == {"name": "mlflow-db"}
    assert given["artifactRoot"]["s3"]["existingSecret"] == {"name": "mlflow-bucket"}
    assert "extraVolumes" not in given
    assert "mlflow.example.com" in given["serverAllowedHosts"]
    wall, budget = (planned.manifest for planned in RECORD.objects(inputs(**GIVEN)))
    assert budget["kind"] == "PodDisruptionBudget"
    anywhere = [port["port"] for rule in wall["spec"]["egress"] if "to" not in rule for port in rule["ports"]]
    assert anywhere == [443, 6443, 5433]


def test_tenants_reach_it() -> None:
    (peer,) = RECORD.traffic.servers
    assert (peer.namespace, peer.ports) == ("mlflow", (5000,))
