"""A tenant's user and the kinds that add-ons bring: made in its own namespace and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from espalier.addons import RECORDS
from espalier.blueprint.scaling import Server, scaled_object
from espalier.blueprint.tenants import Given, compile_tenant
from espalier.kube import ApiError, Client, Kind
from espalier.kube.errors import UnknownKindError
from espalier.settings.tenants import Tenant
from espalier.verify.tenants import as_member

UPSTREAM = Path(__file__).parents[2].parent / "shared" / "upstream"
IDS = ("keda", "metrics-server", "vertical-pod-autoscaler")
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
TENANT = "scaling-team"

pytestmark = pytest.mark.skipif(not UPSTREAM.is_dir(), reason="upstream's facts are not beside the checkout")


@pytest.fixture(scope="module")
def definitions(api: Any, eventually_: Callable[..., Any]) -> Iterator[None]:
    """Upstream's own, of KEDA and VPA."""
    found = [
        one
        for id in ("keda", "vertical-pod-autoscaler")
        for one in yaml.safe_load_all((UPSTREAM / id / "crds.yaml").read_text("utf-8"))
        if one
    ]
    for one in found:
        api.create(DEFINITIONS, one)
    for one in found:
        path = f"{DEFINITIONS}/{one['metadata']['name']}"
        eventually_(lambda path=path: "Established" in str(api.get(path)["status"].get("conditions")))
    yield
    for one in found:
        api.delete(f"{DEFINITIONS}/{one['metadata']['name']}")


@pytest.fixture(scope="module")
def client(kubeconfig: Path, definitions: None, eventually_: Callable[..., Any]) -> Client:
    """One that knows the new kinds: discovery is asked once a client, and learns of them a moment late."""
    del definitions

    def knowing() -> Client | None:
        found = Client.connect(kubeconfig)
        try:
            for manifest in (server(TENANT), recommendation(TENANT)):
                found.find(Kind(manifest["apiVersion"], manifest["kind"]))
        except UnknownKindError:
            return None
        return found

    return eventually_(knowing)


@pytest.fixture(scope="module")
def member(client: Client) -> Iterator[Client]:
    """A user who may edit a tenant's one workspace."""
    block = {"name": TENANT, "groups": {"edit": ["scaling-engineers"], "view": ["scaling-readers"]}}
    tenant = Tenant.model_validate(block, strict=False)
    (work,) = compile_tenant(tenant, [], Given.by(RECORDS[id] for id in IDS)).workspaces
    for planned in work.objects:
        client.create(planned.manifest)
    yield as_member(client, ["scaling-engineers"])
    client.request("DELETE", f"/api/v1/namespaces/{TENANT}")


def server(namespace: str) -> Any:
    address = "http://prometheus.monitoring:9090"
    scales = Server(
        name="llm", namespace=namespace, minimum=0, maximum=3, prometheus=address, demand="sum(requests_waiting)"
    )
    return scaled_object(scales)


def recommendation(namespace: str) -> Any:
    """A VPA that only says what the requests should be."""
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    spec = {"targetRef": target, "updatePolicy": {"updateMode": "Off"}}
    metadata = {"name": "web", "namespace": namespace}
    return {"apiVersion": "autoscaling.k8s.io/v1", "kind": "VerticalPodAutoscaler", "metadata": metadata, "spec": spec}


@pytest.mark.parametrize("made", [server, recommendation])
def test_an_editor_scales_its_own_servers_and_no_others(
    client: Client, member: Client, made: Callable[[str], Any], eventually: Callable[..., Any]
) -> None:
    def may() -> bool:  # authorization learns of new roles by a watch
        try:
            member.create(made(TENANT))
        except ApiError as error:
            if error.status != 403:
                raise
            return False
        return True

    eventually(may)
    with pytest.raises(ApiError) as refused:
        member.create(made("default"))
    assert refused.value.status == 403
    with pytest.raises(ApiError) as refused:
        as_member(client, ["scaling-readers"]).create(made(TENANT))
    assert refused.value.status == 403
