"""Our queues on a real API server with upstream's definitions: each object is taken as it is, rules (CEL) included."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from espalier.types import Manifest
from tests.upstream.test_queues import KEYS, UPSTREAM, made

APPLY = "application/apply-patch+yaml"
PLURALS = {
    "AdmissionCheck": "admissionchecks",
    "ClusterQueue": "clusterqueues",
    "Cohort": "cohorts",
    "LocalQueue": "localqueues",
    "ProvisioningRequestConfig": "provisioningrequestconfigs",
    "Queue": "queues",
    "ResourceFlavor": "resourceflavors",
    "Topology": "topologies",
    "WorkloadPriorityClass": "workloadpriorityclasses",
}


def path_of(manifest: Manifest) -> str:
    metadata = manifest["metadata"]
    where = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    return f"/apis/{manifest['apiVersion']}{where}/{PLURALS[manifest['kind']]}/{metadata['name']}"


def put(api: Any, path: str, body: Any) -> tuple[int, Any]:
    """Server-side apply, by which a key that the definition lacks is an error."""
    query = "?fieldManager=espalier&force=true&fieldValidation=Strict"
    return api.ask("PATCH", f"{path}{query}", body, APPLY)


@pytest.fixture(params=sorted(KEYS))
def system(request: pytest.FixtureRequest, api: Any) -> str:
    """A queueing system whose definitions the cluster has."""
    file = UPSTREAM / str(request.param) / "crds.yaml"
    if not file.is_file():
        pytest.skip("upstream's facts are not beside the checkout, in ../shared/upstream")
    definitions = [one for one in yaml.safe_load_all(file.read_text("utf-8")) if one]
    for definition in definitions:
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{definition['metadata']['name']}"
        status, answer = put(api, path, definition)
        assert status in (200, 201), answer
    return str(request.param)


def offered(api: Any, eventually: Any, manifest: Manifest) -> tuple[int, Any]:
    """What the server says of an object, once it serves its kind."""
    answers: list[tuple[int, Any]] = []

    def served() -> bool:
        answers.append(put(api, path_of(manifest), dict(manifest)))
        return answers[-1][0] != 404

    eventually(served)
    return answers[-1]


def test_the_api_server_takes_every_object(api: Any, eventually: Any, system: str) -> None:
    objects = [planned.manifest for planned in made(system)]
    for namespace in sorted({m["metadata"]["namespace"] for m in objects if "namespace" in m["metadata"]}):
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        assert put(api, f"/api/v1/namespaces/{namespace}", body)[0] in (200, 201)
    for manifest in [*objects, *objects]:  # a second time changes nothing, and no rule of changes refuses it
        status, answer = offered(api, eventually, manifest)
        assert status in (200, 201), json.dumps(answer)


def test_what_a_rule_forbids_is_refused(api: Any, eventually: Any, system: str) -> None:
    """The server does judge: a bound on borrowing without a cohort is not taken."""
    if system != "kueue":
        pytest.skip("the other systems' definitions have no rules between keys of a queue")
    (queue,) = [
        p.manifest
        for p in made(system)
        if (p.manifest["kind"], p.manifest["metadata"]["name"]) == ("ClusterQueue", "a")
    ]
    spec = {key: value for key, value in queue["spec"].items() if key != "cohortName"}
    status, answer = offered(api, eventually, {**queue, "metadata": {"name": "lone"}, "spec": spec})
    assert status == 422, answer
    assert "borrowingLimit must be nil when cohort is empty" in answer["message"]
