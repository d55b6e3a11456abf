"""Every key by which a stack file names what is there already has a look-up of `preflight`, or a reason for none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from azure.core.exceptions import ResourceNotFoundError
from pydantic import BaseModel

from espalier.blueprint.clouds.aks.parts import parts_of as parts_of_aks
from espalier.blueprint.clouds.eks.parts import parts_of as parts_of_eks
from espalier.blueprint.clouds.gke.parts import parts_of as parts_of_gke
from espalier.preflight import Finding
from espalier.preflight.aws import ask as ask_aws
from espalier.preflight.aws import judge as judge_aws
from espalier.preflight.azure import ask as ask_azure
from espalier.preflight.azure import judge as judge_azure
from espalier.preflight.gcp import ask as ask_gcp
from espalier.preflight.gcp import judge as judge_gcp
from espalier.settings.aks import Aks
from espalier.settings.base import hyphenated
from espalier.settings.cloud import CloudCluster
from espalier.settings.eks import Eks
from espalier.settings.gke import Gke
from espalier.settings.pool import Pool
from tests.unit import test_preflight_aws as aws
from tests.unit import test_preflight_azure as azure
from tests.unit import test_preflight_gcp as gcp
from tests.unit.preflight_needs import group, needs

calls = aws.calls
CLUSTERS: dict[str, type[CloudCluster]] = {"eks": Eks, "gke": Gke, "aks": Aks}

# What is named, by cloud: what it is called when it is not there. Keys of pools begin with `pools.`.
_ROLE, _USER = "arn:aws:iam::123456789012:role/gone", "arn:aws:iam::123456789012:user/gone"
_POLICY = "arn:aws:iam::123456789012:policy/gone"
_KMS = "arn:aws:kms:us-east-1:123456789012:key/99999999-2222-3333-4444-555555555555"
_GROUP = "arn:aws:resource-groups:us-east-1:123456789012:group/held"
_ECR = "arn:aws:ecr:us-east-1:123456789012:repository/gone"
_NET, _SUB = "projects/host/global/networks/gone", "projects/host/regions/us-central1/subnetworks/gone"
_CMEK, _MAIL = "projects/p/locations/us-central1/keyRings/r/cryptoKeys/gone", "gone@my-project.iam.gserviceaccount.com"
_VAULT = f"{azure.BASE}/Microsoft.KeyVault/vaults/safe"
_VNET = f"{azure.BASE}/Microsoft.Network/virtualNetworks/hub"
_WORK = f"{azure.BASE}/Microsoft.OperationalInsights/workspaces/logs"
_ZONES = f"{azure.BASE}/Microsoft.Network/privateDnsZones"
_KEY_URL = "https://safe.vault.azure.net/keys/k/0123456789abcdef0123456789abcdef"
_GIVEN_EKS = {
    "endpoint": "https://X.eks.amazonaws.com",
    "certificate": "QUJD",
    "security-group": "sg-0123456789abcdef0",
}
_SAID = {"endpoint": "10.0.0.2", "certificate": "QUJD"}

LOOKED_UP: dict[str, dict[str, tuple[Any, str]]] = {
    "eks": {
        "name": ({"given": _GIVEN_EKS}, "cluster prod"),
        "account-id": ({"account-id": "999999999999"}, "identity"),
        "network.id": ({"network": {"id": "vpc-0123456789abcdef0"}}, "network vpc-0123456789abcdef0"),
        "network.subnets[]": ({"network": {"subnets": ["subnet-01234567"]}}, "subnet subnet-01234567"),
        "pod-subnets[]": ({"pod-subnets": ["subnet-76543210"]}, "subnet subnet-76543210"),
        "keys.secrets": ({"keys": {"secrets": _KMS}}, f"key {_KMS}"),
        "keys.disks": ({"keys": {"disks": _KMS}}, f"key {_KMS}"),
        "storage.id": ({"storage": {"type": "efs", "id": "fs-01234567"}}, "file system fs-01234567"),
        "buckets[].id": ({"buckets": [{"name": "b", "id": "gone-data"}]}, "bucket gone-data"),
        "registries[].id": (
            {"registries": [{"name": "r", "id": _ECR}]},
            "repository 123456789012.dkr.ecr.us-east-1.amazonaws.com/gone",
        ),
        "dns.id": ({"dns": {"zone": "ml.example.com", "id": "Z0123456789ABCDEFGHIJ"}}, "zone Z0123456789ABCDEFGHIJ"),
        "access.admins[]": ({"access": {"via": "network", "admins": [_ROLE, _USER]}}, f"user {_USER}"),
        "groups.*[]": ({"groups": {"ml": [_USER]}}, f"user {_USER}"),
        "given.security-group": ({"given": _GIVEN_EKS}, "security group sg-0123456789abcdef0"),
        "roles.boundary": ({"roles": {"boundary": _POLICY}}, f"policy {_POLICY}"),
        **{
            f"roles.{each}": ({"roles": {each: _ROLE}}, f"role {_ROLE}")
            for each in ("cluster", "nodes", "network", "volumes", "files", "autoscaler", "load-balancer")
        },
        "pools.reservation.id": ({"reservation": {"id": "cr-0123456789abcdef0"}}, "reservation cr-0123456789abcdef0"),
        "pools.reservation.id (group)": ({"reservation": {"id": _GROUP, "type": "group"}}, f"reservations {_GROUP}"),
        "pools.image.release": ({"release": "ami-0123456789abcdef0"}, "image ami-0123456789abcdef0"),
        "pools.preload.snapshot": ({"preload": "snap-0123456789abcdef0"}, "snapshot snap-0123456789abcdef0"),
    },
    "gke": {
        "name": ({"given": _SAID}, "cluster prod"),
        "project": ({}, "project my-project"),
        "network.id": ({"network": {"id": _NET}}, f"network {_NET}"),
        "network.subnets[]": ({"network": {"id": _NET, "subnets": [_SUB]}}, f"subnetwork {_SUB}"),
        "pods-range": ({"network": {"subnets": [_SUB]}, "pods-range": "pods"}, "secondary range pods"),
        "services-range": ({"network": {"subnets": [_SUB]}, "services-range": "svc"}, "secondary range svc"),
        "keys.secrets": ({"keys": {"secrets": _CMEK}}, f"key {_CMEK}"),
        "keys.disks": ({"keys": {"disks": _CMEK}}, f"key {_CMEK}"),
        "service-account": ({"service-account": _MAIL}, f"service account {_MAIL}"),
        "access.admins[]": (
            {"access": {"via": "dns-endpoint", "admins": [f"serviceAccount:{_MAIL}"]}},
            f"administrator serviceAccount:{_MAIL}",
        ),
        "security-group": (
            {"security-group": "gke-security-groups@example.com"},
            "group gke-security-groups@example.com",
        ),
        "storage.id": ({"storage": {"type": "filestore", "id": "10.0.0.9:/gone"}}, "share 10.0.0.9:/gone"),
        "buckets[].id": ({"buckets": [{"name": "b", "id": "gone-data"}]}, "bucket gone-data"),
        "registries[].id": (
            {"registries": [{"name": "r", "id": "projects/host/locations/us-central1/repositories/gone"}]},
            "repository us-central1-docker.pkg.dev/host/gone",
        ),
        "dns.id": (
            {"dns": {"zone": "ml.example.com", "id": "projects/host/managedZones/gone"}, "network": {"id": _NET}},
            "zone gone",
        ),
        "given.location": ({"given": {**_SAID, "location": "us-central1-a"}}, "cluster prod"),
        "pools.reservation.id": ({"reservation": {"id": "held"}}, "reservation held"),
        "pools.image.release": ({"release": "1.35.1-gke.1396002"}, "node version 1.35.1-gke.1396002"),
        "pools.preload.snapshot": ({"preload": "projects/p/global/images/gone"}, "disk image projects/p/global/images"),
    },
    "aks": {
        "name": ({"given": {**_SAID}, "resource-group": "ml"}, "cluster prod"),
        "resource-group": ({"resource-group": "ml"}, "resource group ml"),
        "access.admins[]": ({"access": {"via": "network", "admins": [azure.ADMINS]}}, "group of Entra"),
        "network.id": ({"network": {"id": _VNET, "subnets": [f"{_VNET}/subnets/n"]}}, f"subnet {_VNET}"),
        "network.subnets[]": (
            {"network": {"id": _VNET, "subnets": [f"{_VNET}/subnets/n"]}},
            f"subnet {_VNET}/subnets/n",
        ),
        "endpoints.subnet": ({"endpoints": {"subnet": f"{_VNET}/subnets/links"}}, "subnet links"),
        "endpoints.zones.*": (
            {"endpoints": {"zones": {"files": f"{_ZONES}/privatelink.file.core.windows.net"}}},
            "zone privatelink.file.core.windows.net",
        ),
        "keys.secrets": ({"keys": {"secrets": _KEY_URL}, "key-vault": _VAULT}, "key k of safe"),
        "key-vault": ({"keys": {"secrets": _KEY_URL}, "key-vault": _VAULT}, "key vault safe"),
        "keys.disks": (
            {"keys": {"disks": f"{azure.BASE}/Microsoft.Compute/diskEncryptionSets/des"}},
            "disk encryption set",
        ),
        "identity": (
            {"identity": f"{azure.BASE}/Microsoft.ManagedIdentity/userAssignedIdentities/plane"},
            "identity plane",
        ),
        "storage.id": (
            {"storage": {"type": "azure-files", "id": f"{azure.BASE}/Microsoft.Storage/storageAccounts/gone1"}},
            "storage account gone1",
        ),
        "private-dns-zone": (
            {"private-dns-zone": f"{_ZONES}/privatelink.eastus2.azmk8s.io"},
            "zone privatelink.eastus2",
        ),
        "monitoring.workspace": ({"monitoring": {"workspace": _WORK}}, "workspace logs"),
        "buckets[].id": ({"buckets": [{"name": "raw", "id": azure.CONTAINER}]}, "container raw"),
        "registries[].id": (
            {"registries": [{"name": "r", "id": f"{azure.BASE}/Microsoft.ContainerRegistry/registries/gone"}]},
            "registry gone",
        ),
        "dns.id": ({"dns": {"zone": "ml.example.com", "id": azure.DNS}}, "zone ml.example.com"),
        "pools.reservation.id": ({"reservation": {"id": azure.HELD, "type": "group"}}, f"reservation {azure.HELD}"),
        "pools.image.release": (
            {"release": f"{azure.BASE}/Microsoft.ContainerService/snapshots/gone"},
            "node pool snapshot gone",
        ),
    },
}
"""Cloud -> key -> what is changed for it, and the finding of what is not there. A change of pools is one of a need."""

NO_THING = {
    "a name or a number of one's own": {
        "tags.*", "buckets[].name", "registries[].name", "roles.path", "pools.name", "pools.labels.*",
        "exclusions[].name",
        "pools.taints[].key", "pools.taints[].value", "pools.tenants[]",
        "maintenance.start", "exclusions[].start", "exclusions[].end",
        "dns.zone", "pools.disk.size", "pools.machine.memory", "pools.flex.max-run", "auto-provisioning.memory",
    },
    "where a given bucket is, by the user's word: held to tenants' placement alone": {"buckets[].region"},
    "ranges": {"network.cidr", "network.pods", "network.services", "access.cidrs[]", "master-cidr"},
    "where a given cluster answers: the deployer finds out at once": {
        "given.endpoint", "given.certificate", "given.issuer", "access.proxy",
    },
    "judged by the region's own list": {
        "version", "nodes-version", "region", "zones[]", "pools.zones[]", "pools.reservation.zones[]",
    },
    "of the catalogue, and looked up by zone": {
        "pools.accelerator", "pools.machine", "pools.machines[]", "pools.topology", "pools.sharing.mig",
    },
    "of a fixed form": {"addon-versions.*", "pools.driver.version", "pools.disk.type"},
}  # fmt: skip
"""Keys of free text that name nothing that could be there."""
NOT_READ = {
    "gke": {},
    "aks": {
        "subscription": "whatever else is asked is asked of it",
        "tenant": "the credentials' own: Azure refuses those of another",
        "pools.preload.snapshot": "AKS has none: the stack file is refused",
    },
    "eks": {},
}
"""Keys that name a thing which is not looked up, and why."""


def leaves(model: type[BaseModel], path: str = "") -> Iterator[str]:
    """Keys of a model that take free text, as the stack file spells them; lists end with [], mappings with .*."""
    for name, field in model.model_fields.items():
        yield from _leaves(field.annotation, f"{path}{hyphenated(name)}")


def _leaves(kind: Any, path: str) -> Iterator[str]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield from leaves(kind, f"{path}.")
    elif kind is str:
        yield path
    elif get_origin(kind) is Annotated:
        yield from _leaves(get_args(kind)[0], path)
    elif get_origin(kind) in (Union, UnionType):
        for each in get_args(kind):
            yield from _leaves(each, path)
    elif get_origin(kind) is tuple:
        yield from _leaves(get_args(kind)[0], f"{path}[]")
    elif get_origin(kind) is dict:
        yield from _leaves(get_args(kind)[1], f"{path}.*")
    else:
        assert get_origin(kind) is Literal or kind in (bool, int, float, type(None)), f"{path}: {kind}"


@pytest.mark.parametrize("cloud", CLUSTERS)
def test_each_key_of_free_text_is_looked_up_or_says_why_not(cloud: str) -> None:
    there = {*leaves(CLUSTERS[cloud]), *leaves(Pool, "pools.")}
    known = {key.partition(" ")[0] for key in LOOKED_UP[cloud]} | NOT_READ[cloud].keys()
    known |= {key for keys in NO_THING.values() for key in keys}
    assert sorted(there - known) == []


@pytest.mark.parametrize(("cloud", "key"), [(cloud, key) for cloud, keys in LOOKED_UP.items() for key in keys])
def test_what_is_named_and_not_there_is_told(cloud: str, key: str, request: pytest.FixtureRequest) -> None:
    change, what = LOOKED_UP[cloud][key]
    block, need = ({}, change) if key.startswith("pools.") else (change, {})
    if need.get("reservation"):
        need = need | {"kind": "reserved"}
    ways = {"eks": _of_aws, "gke": _of_gcp, "aks": _of_azure}
    if cloud == "eks":
        request.getfixturevalue("calls")
    found = [each for each in ways[cloud](block, need) if each.what.startswith(what)]
    # Of a share alone nobody but its own project tells.
    level = "warning" if (cloud, key) == ("gke", "storage.id") else "error"
    assert [each.level for each in found] == [level], [each.what for each in ways[cloud](block, need)]


def _of_aws(block: dict[str, Any], need: dict[str, Any]) -> list[Finding]:
    settings = aws.cluster(**({"account-id": "123456789012"} | block))
    wanted = needs(settings, group(**need), resources=(), parts=parts_of_eks(settings))
    wanted = replace(wanted, given=settings.given is not None)
    return judge_aws.findings(wanted, ask_aws.facts_of(wanted, lambda _: None))


def _of_gcp(block: dict[str, Any], need: dict[str, Any]) -> list[Finding]:
    settings = gcp.cluster(**block)
    wanted = needs(settings, replace(group(**need), zones=gcp.ZONES), resources=(), parts=parts_of_gke(settings))
    wanted = replace(wanted, given=settings.given is not None)
    empty = gcp.Nothing()

    def service(name: str, version: str) -> Any:
        return ask_gcp.build(name, version, http=empty, cache_discovery=False, static_discovery=True)

    return judge_gcp.findings(wanted, ask_gcp.facts_of(wanted, lambda _: None, (service, "kim")))


def _of_azure(block: dict[str, Any], need: dict[str, Any]) -> list[Finding]:
    settings = azure.cluster(**block)
    wanted = needs(settings, group(**({"zones": ("1",)} | need)), resources=(), parts=parts_of_aks(settings))
    wanted = replace(wanted, given=settings.given is not None)
    gone = ResourceNotFoundError("no")
    clients = azure.clients([], managed_clusters={"get": gone, "list_by_resource_group": gone})
    clients.network.subnets = azure.Operations([], get=gone)
    clients.compute.capacity_reservations = azure.Operations([], list_by_capacity_reservation_group=gone)
    return judge_azure.findings(wanted, ask_azure.facts_of(wanted, lambda _: None, clients))
