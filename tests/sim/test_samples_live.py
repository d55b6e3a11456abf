"""Every sample on a real API server: taken as a tenant's engineer writes it, its pods placed, within the quota.

Definitions are upstream's. Of kinds whose controllers are Kubernetes' own the pods are made by these; of others they
are made here of the templates, as the add-on's controller would. The scheduler places both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from espalier import sim
from espalier.addons import RECORDS
from espalier.addons.samples import SAMPLES
from espalier.addons.samples.pods import Pods, pods_of, runtimes_of
from espalier.blueprint import Blueprint, build
from espalier.blueprint.nodes import node_manifest
from espalier.commands.sample import Wish, filled
from espalier.kube import ApiError, Client, Kind
from espalier.settings import validate
from espalier.types import Manifest
from tests.sim.tenancy import add, objects, remove
from tests.unit.test_samples import CLUSTER, GPU, POOLS, READY, with_needs
from tests.upstream.samples import definitions
from tests.upstream.staged import UPSTREAM

DEFINITION = Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition")
POD = Kind("v1", "Pod")
QUOTAS = Kind("v1", "ResourceQuota")
SPACE = "vision"
POOL = "h100"
QUOTA = 4
"""Devices."""
OTHERS = ("envoy-gateway-system", "nuclio", "velero")
"""Namespaces of add-ons that samples for the platform are in."""
THEIRS = (("apps/v1", "Deployment"), ("batch/v1", "Job"))
"""Kinds whose controllers run here, and make the pods."""

pytestmark = pytest.mark.skipif(not UPSTREAM.is_dir(), reason="upstream's facts are not beside the checkout")


def stack(*addons: str) -> Blueprint:
    """Those add-ons alone that a sample needs: some exclude others."""
    quota = {"devices": {GPU: QUOTA}, "cpu": 32, "memory": "128Gi", "storage": "100Gi"}
    spaces = [{"name": "main", "quota": quota, "owners": ["o@x.org"]}]
    exposure = {"domains": ["iris-vision.models.example.com"]}
    tenant: dict[str, Any] = {"name": "vision", "groups": {"edit": ["engineers"]}, "workspaces": spaces, "quota": quota}
    tenant["exposure"] = exposure
    keys: dict[str, Any] = {"cluster": CLUSTER, "pools": POOLS, "tenants": [tenant], "addons": with_needs(*addons)}
    keys["licences"] = ["BUSL-1.1"]
    return build(validate(keys, where="espalier"), RECORDS)


@pytest.fixture(scope="module")
def admin(sim_cluster: sim.SimStatus, eventually_: Callable[..., Any]) -> Iterator[Client]:
    """The administrator of a cluster with upstream's definitions and two nodes of each pool."""
    client = Client.connect(sim_cluster.kubeconfig)
    spaces: list[Manifest] = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in OTHERS]
    nodes = [node_manifest(pool.shape, f"{pool.name}-{at}") for pool in stack().pools for at in range(2)]
    brought: list[Manifest] = [*spaces, *nodes, *definitions()]
    add(client, brought)
    kinds = {one["metadata"]["name"] for one in brought if one["kind"] == DEFINITION.kind}
    eventually_(lambda: kinds <= {one["metadata"]["name"] for one in client.list(DEFINITION) if is_served(one)})
    yield client
    for one in reversed(brought):
        client.delete(Kind(one["apiVersion"], one["kind"]), one["metadata"]["name"])
    # Another module may bring definitions of the same names.
    eventually_(lambda: not kinds & {one["metadata"]["name"] for one in client.list(DEFINITION)})


def is_served(one: Mapping[str, Any]) -> bool:
    told = (one.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Established" and each["status"] == "True" for each in told)


@pytest.fixture(scope="module")
def platform(admin: Client, eventually_: Callable[..., Any]) -> Iterator[Blueprint]:
    """The tenant with its rights, quota, walls and guards."""
    blueprint = stack(*sorted({need for name in READY for need in SAMPLES[name].needs}))
    # As the controller of Profiles makes it.
    editor = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default-editor", "namespace": SPACE}}
    made: list[Manifest] = [*objects(blueprint), editor]
    add(admin, made)
    account = f"/api/v1/namespaces/{SPACE}/serviceaccounts/default"
    eventually_(lambda: answers(lambda: admin.request("GET", account)))
    eventually_(lambda: is_guarded(admin))
    yield blueprint
    remove(admin, made)


def is_guarded(admin: Client) -> bool:
    """Whether the guards are at work, which they are a moment after they were made."""
    route = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "spec": {"hostnames": ["a.example.org"]},
    }
    try:
        engineer(admin).create({**route, "metadata": {"name": "wrong", "namespace": SPACE}}, dry_run=True)
    except ApiError as error:
        return "espalier-guard-hosts" in error.message
    return False


def engineer(admin: Client) -> Client:
    return admin.as_user("erin", ["engineers", "system:authenticated"])


@pytest.fixture
def cleared(admin: Client, platform: Blueprint, eventually: Callable[..., Any]) -> Iterator[list[Manifest]]:
    """What a test says that it made, which goes after it, and its pods with it."""
    del platform
    made: list[Manifest] = []
    yield made
    for one in reversed(made):
        admin.delete(Kind(one["apiVersion"], one["kind"]), one["metadata"]["name"], one["metadata"].get("namespace"))

    def gone() -> bool:
        left = admin.list(POD, SPACE)
        for pod in left:
            path = f"/api/v1/namespaces/{SPACE}/pods/{pod['metadata']['name']}?gracePeriodSeconds=0"
            answers(lambda path=path: admin.request("DELETE", path))
        return not left

    eventually(gone)


def answers(ask: Callable[[], Any]) -> Any:
    """What is said, or None where it is not there yet."""
    try:
        return ask()
    except ApiError as error:
        if error.status not in (403, 404) or "ValidatingAdmissionPolicy" in error.message:
            raise
        return None


def as_pods(owner: Manifest, pods: Pods) -> Iterator[Manifest]:
    for at in range(pods.count):
        name = f"{owner['metadata']['name']}-{owner['kind']}-{pods.role}-{at}".lower()
        metadata = {**pods.template.get("metadata", {}), "name": name, "namespace": SPACE}
        yield {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pods.template["spec"]}


@pytest.mark.parametrize("name", READY)
def test_it_is_taken_and_its_pods_are_placed_within_the_quota(
    name: str, platform: Blueprint, admin: Client, cleared: list[Manifest], eventually: Callable[..., Any]
) -> None:
    who = admin if SAMPLES[name].platform else engineer(admin)
    made = filled(stack(*SAMPLES[name].needs), name, Wish(pool=POOL))[1]  # of some add-ons' two modes the one it needs
    known = runtimes_of((pool.facts() for pool in platform.pools), made)
    asked = count = 0
    for one in made:
        eventually(lambda one=one: answers(lambda: who.apply(one)))  # rights come a moment after their role
        cleared.append(one)
        for pods in pods_of(one, known):
            count += pods.count
            if (one["apiVersion"], one["kind"]) in THEIRS:
                continue  # a Job's pods end here by themselves, and are counted no more
            asked += pods.asks(GPU)
            for pod in as_pods(one, pods):
                # What the pods before asked for is given back a moment after they are gone.
                eventually(lambda pod=pod: answers(lambda: admin.create(pod)))

    def placed() -> list[Any]:
        there = admin.list(POD, SPACE)
        return there if len(there) == count and all(pod["spec"].get("nodeName") for pod in there) else []

    for pod in eventually(placed) if count else ():
        asks = any(GPU in (each["resources"].get("limits") or {}) for each in pod["spec"]["containers"])
        assert pod["spec"]["nodeName"].startswith(f"{POOL}-" if asks else "cpu-"), pod
    eventually(lambda: asked <= used(admin) <= QUOTA)


def used(admin: Client) -> int:
    """Devices that the tenant's quota has counted."""
    key = f"requests.{GPU}"
    [found] = [one["status"] for one in admin.list(QUOTAS, SPACE) if key in one["spec"]["hard"]]
    return int(found.get("used", {}).get(key, 0))
