"""Records of the stack's core on a real API server: every object made of upstream's, and the pods of runtimes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from espalier.addons.training_runtimes import IMAGES, runtimes
from espalier.types import Manifest, Taint
from tests.sim.test_queues_live import put
from tests.unit.test_training_runtimes import pods
from tests.unit.test_training_runtimes import pool as a_pool
from tests.upstream.test_core_addons import IDS, UPSTREAM, edited, own

FIRST = ("Namespace", "CustomResourceDefinition")
BLOCKING = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
"""No pod answers here; Espalier withholds them as well."""
POOL = a_pool(taints=(Taint("nvidia.com/gpu", "present"),))

pytestmark = pytest.mark.skipif(not UPSTREAM.is_dir(), reason="upstream's facts are not beside the checkout")


def path_of(api: Any, manifest: Manifest) -> str:
    """By the API's own discovery."""
    version = manifest["apiVersion"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    served = [one for one in api.get(root)["resources"] if "/" not in one["name"]]
    plural, within = next((one["name"], one["namespaced"]) for one in served if one["kind"] == manifest["kind"])
    metadata = manifest["metadata"]
    where = f"/namespaces/{metadata['namespace']}" if within else ""
    return f"{root}{where}/{plural}/{metadata['name']}"


def ready(api: Any, manifest: Manifest) -> bool:
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{manifest['metadata']['name']}"
    conditions = api.get(path).get("status", {}).get("conditions") or ()
    return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)


@pytest.fixture(scope="module")
def installed(api: Any, eventually_: Callable[..., Any]) -> Iterator[Any]:
    """All of them in one cluster: what Kueue queues for, the two operators with MPIJobs and without."""
    objects: list[Manifest] = [manifest for id in IDS for manifest in (*edited(id), *own(id))]
    brought = {one["metadata"]["name"] for one in objects if one["kind"] == "Namespace"}
    spaces = {one["metadata"].get("namespace", "") for one in objects} - {"", "kube-system"} - brought
    objects += [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in sorted(spaces)]
    order = sorted(objects, key=lambda one: FIRST.index(one["kind"]) if one["kind"] in FIRST else len(FIRST))
    for manifest in order:
        if manifest["kind"] in BLOCKING:
            continue
        status, answer = put(api, path_of(api, manifest), dict(manifest))
        assert status in (200, 201), (manifest["kind"], manifest["metadata"]["name"], answer)
        if manifest["kind"] == "CustomResourceDefinition":
            eventually_(lambda one=manifest: ready(api, one))
    yield api
    paths = [path_of(api, manifest) for manifest in order if manifest["kind"] not in BLOCKING]
    for path in reversed(paths):
        assert api.ask("DELETE", path)[0] in (200, 202, 404)


def test_the_api_server_takes_all_of_them_in_one_cluster_and_every_runtime(installed: Any) -> None:
    for planned in runtimes([POOL], IMAGES):
        status, answer = put(installed, path_of(installed, planned.manifest), dict(planned.manifest))
        assert status in (200, 201), answer


def test_a_restricted_namespace_takes_the_pods_of_every_runtime(installed: Any, namespace: str) -> None:
    label = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    installed.patch(f"/api/v1/namespaces/{namespace}", label)
    path = f"/api/v1/namespaces/{namespace}/pods?dryRun=All"
    for planned in runtimes([POOL], IMAGES):
        for job, spec in pods(planned.manifest):
            name = f"{planned.manifest['metadata']['name']}-{job}"
            body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
            assert installed.ask("POST", path, body)[0] == 201, installed.ask("POST", path, body)
            bare = {**spec, "securityContext": {}}
            assert "violates PodSecurity" in str(installed.refused(path, {**body, "spec": bare}))
