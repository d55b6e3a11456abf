"""AKS clusters, recorded as resources: what is private, tagged, ordered, guarded, given, and what a plan loads."""

from __future__ import annotations

import base64
import importlib
import inspect
import json
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from pulumi_azure_native.containerservice import _enums as enums

from espalier.addons import RECORDS
from espalier.blueprint import build, names, wake_aks
from espalier.blueprint.clouds.aks import AksPlan
from espalier.blueprint.wake_node import Recorded
from espalier.catalogue import catalogue
from espalier.components.cluster.aks.kubeconfig import SERVER, authority_in, content
from espalier.components.cluster.aks.pools import FIRST_KEEPS
from espalier.components.cluster.cloud import made_cluster
from espalier.engine.model import Recording, Resource
from espalier.engine.program import Program
from espalier.engine.record import record
from espalier.settings import validate
from espalier.settings.load import load_file
from tests.unit.test_aks_pools import ADMIN, GENERAL, RESERVATION, SYSTEM

ROOT = Path(__file__).parents[2]
STACKS = ("azure-dev", "azure-prod")
SUBSCRIPTION = "00000000-0000-4000-8000-000000000001"
OTHERS = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/shared/providers"
VNET = f"{OTHERS}/Microsoft.Network/virtualNetworks/hub"
KEY = "https://vault1.vault.azure.net/keys/k/0123456789abcdef0123456789abcdef"
GIVEN: dict[str, Any] = {
    "given": {"endpoint": "ml-1234.hcp.eastus.azmk8s.io", "certificate": "QUJD", "issuer": "https://oidc/x/"},
    "resource-group": "platform",
    "network": {"id": VNET, "subnets": [f"{VNET}/subnets/nodes"]},
}
NO_TAGS = {
    # Azure's API takes none of these (azure-native: the resource has no `tags`).
    "azure-native:authorization:ManagementLockByScope",
    "azure-native:authorization:PolicyAssignment",
    "azure-native:authorization:PolicyDefinition",
    "azure-native:authorization:RoleAssignment",
    "azure-native:containerservice:MaintenanceConfiguration",
    "azure-native:monitor:DiagnosticSetting",
    "azure-native:network:PrivateDnsZoneGroup",
    "azure-native:network:Subnet",
    "azure-native:storage:BlobContainer",
    "azure-native:storage:BlobServiceProperties",
    "azure-native:storage:ManagementPolicy",
}


class Graph:
    """The resources of a recording by the end of their names, and what each waits for."""

    def __init__(self, recording: Recording) -> None:
        self.all = {one.urn: one for one in recording.resources}
        self.azure = [one for one in recording.resources if one.type.startswith("azure-native:")]

    def __getitem__(self, ending: str) -> Resource:
        (found,) = [one for one in self.all.values() if one.name.endswith(f"cluster-{ending}")]
        return found

    def inputs(self, ending: str) -> Mapping[str, Any]:
        return json.loads(json.dumps(self[ending].to_json()["inputs"]))

    def has(self, ending: str) -> bool:
        return any(one.name.endswith(f"cluster-{ending}") for one in self.all.values())

    def before(self, ending: str) -> set[str]:
        """Names of all that stand before it, and go after it."""
        found: set[str] = set()
        open_ = [self[ending].urn]
        while open_:
            one = self.all[open_.pop()]
            for urn in (*one.dependencies, *([one.provider] if one.provider in self.all else [])):
                if urn not in found:
                    found.add(urn)
                    open_.append(urn)
        return {self.all[urn].name.rsplit("cluster-", 1)[-1] for urn in found}


@cache
def stack(name: str) -> Graph:
    file = load_file(ROOT / "stacks" / f"Pulumi.{name}.yaml")
    return Graph(record(Program(ROOT, "espalier", name, file.config)))


def plan_of(*pools: dict[str, Any], **cluster: Any) -> AksPlan:
    block = {
        "kind": "aks",
        "name": "ml",
        "version": "1.35",
        "region": "eastus",
        "access": {"via": "network", "admins": [ADMIN]},
    } | {key.replace("_", "-"): value for key, value in cluster.items()}
    tree = {"cluster": block, "pools": [SYSTEM, GENERAL, *pools]}
    found = build(validate(tree, where="espalier"), RECORDS).cloud
    assert isinstance(found, AksPlan)
    return found


def recorded(*pools: dict[str, Any], **cluster: Any) -> Graph:
    plan = plan_of(*pools, **cluster)

    def run() -> None:
        import pulumi

        made_cluster("cluster", plan, pulumi.ResourceOptions())

    return Graph(record(Program(run, "demo", "test")))


def test_pools_whose_nodes_wait_for_devices_wake_as_their_autoscaler_sees_them() -> None:
    """The taint is the policy's: an agent pool that named it would have it put back for ever, and one without the
    autoscaler's prefix would keep the pool asleep."""
    graph = stack("azure-prod")
    resources = tuple(one.to_json() for one in graph.all.values())
    found = wake_aks.templates(Recorded(resources, (), catalogue(), "eastus"))
    waiting = [node for node in found.values() if "nvidia.com/gpu" in {taint.key for taint in node.taints}]
    assert len(waiting) == 6
    assert not any(taint.key.startswith(names.STARTUP_PREFIX) for node in found.values() for taint in node.taints)
    asked = json.dumps([one["inputs"] for one in resources if one["type"].startswith("azure-native:")])
    assert names.STARTUP_PREFIX not in asked
    (policy,) = [
        one for one in resources if one["type"].endswith(":MutatingAdmissionPolicy") and "gates" in one["name"]
    ]
    assert (
        json.dumps(["a100-mig", "h100", "h100-mig", "t4"])
        in policy["inputs"]["spec"]["matchConditions"][0]["expression"]
    )


@pytest.mark.parametrize("name", STACKS)
def test_the_api_is_private_and_takes_entra_identities_alone(name: str) -> None:
    cluster = stack(name).inputs("control-plane")
    api = cluster["apiServerAccessProfile"]
    assert api == {
        "enablePrivateCluster": True,
        "enablePrivateClusterPublicFQDN": False,
        "privateDNSZone": "system",
        "disableRunCommand": True,
    }
    assert cluster["disableLocalAccounts"] is True
    assert cluster["aadProfile"]["managed"] is True
    assert cluster["aadProfile"]["enableAzureRBAC"] is True
    assert cluster["aadProfile"]["adminGroupObjectIDs"] == [ADMIN]
    assert cluster["oidcIssuerProfile"] == {"enabled": True}
    assert cluster["securityProfile"]["workloadIdentity"] == {"enabled": True}
    network = cluster["networkProfile"]
    assert (network["networkPlugin"], network["networkPluginMode"]) == ("azure", "overlay")
    assert (network["networkDataplane"], network["networkPolicy"]) == ("cilium", "cilium")


AGENT_POOL = {
    "gpuInstanceProfile": enums.GPUInstanceProfile,
    "mode": enums.AgentPoolMode,
    "osDiskType": enums.OSDiskType,
    "osSKU": enums.OSSKU,
    "osType": enums.OSType,
    "scaleDownMode": enums.ScaleDownMode,
    "scaleSetEvictionPolicy": enums.ScaleSetEvictionPolicy,
    "scaleSetPriority": enums.ScaleSetPriority,
    "type": enums.AgentPoolType,
}
"""What the provider's SDK enumerates of an agent pool. Sizes of machines it does not; its driver is checked below."""


def test_agent_pools_say_what_the_providers_sdk_enumerates() -> None:
    mig = {"accelerator": "A100-80", "count": 4, "sharing": {"mig": "all-3g.40gb"}}
    graph = recorded({"name": "cut", "nodes": {"max": 2}, **mig, "capacity": ["spot", "on-demand"]})
    pools = [one.to_json()["inputs"] for one in graph.azure if one.type.endswith(":AgentPool")]
    pools += graph.inputs("control-plane")["agentPoolProfiles"]
    assert {field for pool in pools for field in AGENT_POOL if pool.get(field)} == set(AGENT_POOL)
    for pool in pools:
        for field, enum in AGENT_POOL.items():
            assert pool.get(field) in {None, *(one.value for one in enum)}, field
    drivers = {pool["gpuProfile"]["driver"] for pool in pools if pool.get("gpuProfile")}
    assert drivers
    assert drivers <= {one.value for one in enums.GPUDriver}


def test_a_public_api_is_for_named_ranges_alone() -> None:
    access = {"via": "public", "cidrs": ["203.0.113.0/24"], "admins": [ADMIN]}
    found = recorded(access=access)
    api = found.inputs("control-plane")["apiServerAccessProfile"]
    assert (api["enablePrivateCluster"], api["authorizedIPRanges"]) == (False, ["203.0.113.0/24"])
    # Without a DNS zone to link, the identity needs the nodes' subnet only.
    assert "subnet-nodes" in {
        found.all[urn].name.removeprefix("cluster-") for urn in found["role-network"].dependencies
    }


@pytest.mark.parametrize("name", STACKS)
def test_whatever_takes_tags_has_them(name: str) -> None:
    environment = name.removeprefix("azure-")
    wanted = {"team": "platform", "environment": environment, "managed-by": "espalier"}
    for one in stack(name).azure:
        takes = "tags" in inspect.signature(_class_of(one.type)._internal_init).parameters
        assert takes is (one.type not in NO_TAGS), one.type
        if takes:
            tags = one.inputs["tags"]
            assert isinstance(tags, Mapping)
            assert wanted.items() <= tags.items(), one.name
    (first,) = stack(name).inputs("control-plane")["agentPoolProfiles"]
    assert wanted.items() <= first["tags"].items()


def _class_of(type_: str) -> Any:
    _, module, name = type_.split(":")
    return getattr(importlib.import_module(f"pulumi_azure_native.{module}"), name)


@pytest.mark.parametrize("name", STACKS)
def test_what_lives_in_the_cluster_comes_after_access_and_system_nodes(name: str) -> None:
    graph = stack(name)
    needed = {"control-plane", f"role-admin-{ADMIN}", f"role-user-{ADMIN}", "group-system-on-demand", "role-network"}
    objects = [one for one in graph.all.values() if one.type.startswith("kubernetes:")]
    assert objects
    assert {one.provider for one in objects} == {graph["provider"].urn}
    assert needed <= graph.before("provider")
    if graph.has("files"):
        assert "files" in graph.before("files-class")


@pytest.mark.parametrize("name", STACKS)
def test_the_cluster_comes_after_its_rights_and_pools_after_their_windows(name: str) -> None:
    graph = stack(name)
    assert {"role-network", "subnet-nodes", "nat", "identity", "network", "group"} <= graph.before("control-plane")
    for one in graph.azure:
        if one.type.endswith(":AgentPool"):
            before = graph.before(one.name.rsplit("cluster-", 1)[-1])
            assert {"control-plane", "maintenance-kubernetes", "maintenance-nodes"} <= before
            assert one.options["ignoreChanges"] == ["count"]
    if graph.has("disks"):
        assert {"role-disk-key", "role-disks", "disks", "disk-key", "vault"} <= graph.before("control-plane")


def test_production_is_guarded_and_development_is_not() -> None:
    prod, dev = stack("azure-prod"), stack("azure-dev")
    for ending in ("control-plane", "network", "vault", "disk-key", "disks", "files", "secrets-vault", "secrets-key"):
        assert prod[ending].options["protect"] is True, ending
    locks = [one for one in prod.azure if one.type.endswith(":ManagementLockByScope")]
    assert {one.name.removeprefix("platform-cluster-lock-") for one in locks} == {"network", "vault", "secrets-vault"}
    assert {one.inputs["level"] for one in locks} == {"CanNotDelete"}
    # A lock of the cluster would hold its agent pools, too: the policy denies the cluster's deletion alone.
    rule = prod.inputs("deny-deletion")["policyRule"]
    assert {"field": "type", "equals": "Microsoft.ContainerService/managedClusters"} in rule["if"]["allOf"]
    assert rule["then"]["effect"] == "denyAction"
    assert not any("protect" in one.options for one in dev.azure)
    assert not any(one.type.endswith((":ManagementLockByScope", ":PolicyAssignment")) for one in dev.azure)


def test_guards_go_when_protection_is_taken_off() -> None:
    found = recorded(deletion_protection=False, deletion_guard="policy")
    assert not any("protect" in one.options or "lock" in one.name or "deny" in one.name for one in found.azure)


def test_the_vault_is_reached_by_azures_services_alone_and_its_key_rotates() -> None:
    prod = stack("azure-prod")
    vault = prod.inputs("vault")["properties"]
    assert vault["publicNetworkAccess"] == "Disabled"
    assert vault["networkAcls"] == {"bypass": "AzureServices", "defaultAction": "Deny"}
    assert vault["enablePurgeProtection"] is True
    assert vault["enableRbacAuthorization"] is True
    assert prod.inputs("disk-key")["properties"]["rotationPolicy"]["lifetimeActions"]
    assert prod.inputs("disks")["rotationToLatestKeyVersionEnabled"] is True
    assert prod.inputs("disk-class")["metadata"]["annotations"] == {
        "storageclass.kubernetes.io/is-default-class": "true"
    }


def test_shared_files_are_private_and_encrypted_on_the_way() -> None:
    prod = stack("azure-prod")
    account = prod.inputs("files")
    assert account["publicNetworkAccess"] == "Disabled"
    assert account["allowSharedKeyAccess"] is False
    assert prod.inputs("files-class")["parameters"]["encryptInTransit"] == "true"
    assert prod.inputs("files-class")["parameters"]["storageAccount"] == account["accountName"]


def test_identities_get_least_roles() -> None:
    """Each role by its resource: Contributor on nothing but the capacity reservation, which AKS asks it for."""
    contributor = "b24988ac-6180-42a0-ab88-20f7382dd24c"
    roles = {one.name: one.inputs for one in stack("azure-prod").azure if one.type.endswith(":RoleAssignment")}
    assert len(roles) == 11
    for name, inputs in roles.items():
        assert (contributor in str(inputs["roleDefinitionId"])) is ("reservation" in name), name
        assert not str(inputs["scope"]).endswith(("resourceGroups/shared", SUBSCRIPTION)), name


def test_a_kms_key_of_ones_own_encrypts_secrets() -> None:
    vault = f"{OTHERS}/Microsoft.KeyVault/vaults/vault1"
    found = recorded(keys={"secrets": KEY}, key_vault=vault)
    kms = found.inputs("control-plane")["securityProfile"]["azureKeyVaultKms"]
    assert kms == {"enabled": True, "keyId": KEY, "keyVaultNetworkAccess": "Public"}
    assert found.inputs("role-secrets-key")["scope"] == vault
    assert "role-secrets-key" in found.before("control-plane")
    assert "azureKeyVaultKms" not in stack("azure-dev").inputs("control-plane")["securityProfile"]


def test_a_key_for_secrets_is_made_before_the_cluster_that_may_use_it() -> None:
    """In a vault of its own: AKS reaches none behind a firewall, and holds on to one version of the key."""
    found = recorded(secrets_encryption="customer", subscription=SUBSCRIPTION)
    assert {"secrets-vault", "secrets-key", "role-secrets-key"} <= found.before("control-plane")
    kms = found.inputs("control-plane")["securityProfile"]["azureKeyVaultKms"]
    assert (kms["enabled"], kms["keyVaultNetworkAccess"]) == (True, "Public")
    assert "keyVaultResourceId" not in kms
    vault, role = found.inputs("secrets-vault"), found.inputs("role-secrets-key")
    assert vault["vaultName"] == found.inputs("secrets-key")["vaultName"] != found.inputs("vault")["vaultName"]
    assert vault["properties"]["enableRbacAuthorization"]
    assert vault["properties"]["enablePurgeProtection"]
    assert vault["properties"]["publicNetworkAccess"] == "Enabled"  # the KMS plugin is no service that Azure trusts
    assert found.inputs("vault")["properties"]["publicNetworkAccess"] == "Disabled"
    assert "rotationPolicy" not in found.inputs("secrets-key")["properties"]
    assert str(role["roleDefinitionId"]).endswith("12338af0-0e69-4776-bea7-57ae8d297424")
    assert found.has("lock-secrets-vault")
    assert not recorded().has("secrets-vault")


def test_in_a_given_network_private_endpoints_are_made_where_they_are_asked_for() -> None:
    links, zones = f"{VNET}/subnets/links", f"{OTHERS}/Microsoft.Network/privateDnsZones"
    found = recorded(
        network={"id": VNET, "subnets": [f"{VNET}/subnets/nodes"]},
        endpoints={"subnet": links, "zones": {"registries": f"{zones}/privatelink.azurecr.io"}},
        storage={"type": "azure-files"},
        buckets=[{"name": "models"}],
        registries=[{"name": "images"}],
    )
    for what in ("files", "blobs", "registry-images"):
        assert found.inputs(f"{what}-endpoint")["subnet"] == {"id": links}, what
    (config,) = found.inputs("registry-images-names")["privateDnsZoneConfigs"]
    assert config["privateDnsZoneId"] == f"{zones}/privatelink.azurecr.io"
    assert not found.has("registries-zone")
    for what, domain in (("files", "file"), ("blobs", "blob")):
        assert found.inputs(f"{what}-zone")["privateZoneName"] == f"privatelink.{domain}.core.windows.net"
        link = found.inputs(f"{what}-zone-link")
        assert link["virtualNetwork"] == {"id": VNET}
        assert link["resolutionPolicy"] == "NxDomainRedirect"
    assert not found.has("network")
    assert not found.has("subnet-nodes")
    plain = recorded(
        network={"id": VNET, "subnets": [f"{VNET}/subnets/nodes"]}, endpoints={}, buckets=[{"name": "models"}]
    )
    assert plain.inputs("blobs-endpoint")["subnet"] == {"id": f"{VNET}/subnets/nodes"}


def test_an_isolated_cluster_has_no_way_out() -> None:
    found = recorded(network={"egress": "none"})
    cluster = found.inputs("control-plane")
    assert cluster["networkProfile"]["outboundType"] == "none"
    assert cluster["bootstrapProfile"] == {"artifactSource": "Cache"}
    assert not found.has("nat")
    assert found.inputs("subnet-nodes")["defaultOutboundAccess"] is False


def test_what_is_given_is_not_made() -> None:
    found = recorded(
        resource_group="platform",
        identity=f"{OTHERS}/Microsoft.ManagedIdentity/userAssignedIdentities/aks",
        keys={"disks": f"{OTHERS}/Microsoft.Compute/diskEncryptionSets/disks"},
        network={"id": VNET, "subnets": [f"{VNET}/subnets/nodes"]},
        private_dns_zone=f"{OTHERS}/Microsoft.Network/privateDnsZones/privatelink.eastus.azmk8s.io",
        storage={"type": "azure-files", "id": f"{OTHERS}/Microsoft.Storage/storageAccounts/mlfiles"},
        subscription=SUBSCRIPTION,
    )
    made = {one.type.split(":", 1)[1] for one in found.azure}
    assert made == {
        "containerservice:ManagedCluster",
        "containerservice:AgentPool",
        "containerservice:MaintenanceConfiguration",
        "authorization:RoleAssignment",
    }
    assert not found.has("role-network")
    assert {one.name for one in found.azure if "role" in one.name} == {
        f"cluster-role-admin-{ADMIN}",
        f"cluster-role-user-{ADMIN}",
    }
    cluster = found.inputs("control-plane")
    assert cluster["diskEncryptionSetID"].endswith("/diskEncryptionSets/disks")
    assert cluster["agentPoolProfiles"][0]["vnetSubnetID"] == f"{VNET}/subnets/nodes"
    assert cluster["resourceGroupName"] == "platform"
    assert found.inputs("azure")["subscriptionId"] == SUBSCRIPTION


def test_a_given_cluster_gets_pools_and_nothing_else() -> None:
    held = {"id": RESERVATION}
    h100 = {"name": "h100", "accelerator": "H100-80", "count": 8, "nodes": {"max": 2}}
    found = recorded(h100 | {"capacity": ["reserved", "on-demand"], "reservation": held}, **GIVEN)
    assert {one.type for one in found.azure} == {"azure-native:containerservice:AgentPool"}
    assert not found.has("priorities")  # the order of preference is the given cluster's own
    pools = [one.inputs for one in found.azure]
    assert {pool["resourceName"] for pool in pools} == {"ml"}
    assert {pool["resourceGroupName"] for pool in pools} == {"platform"}
    assert {pool["vnetSubnetID"] for pool in pools} == {f"{VNET}/subnets/nodes"}
    (component,) = [one for one in found.all.values() if one.type == "espalier:index:AksCluster"]
    assert component.outputs is not None
    assert component.outputs["endpoint"] == "https://ml-1234.hcp.eastus.azmk8s.io:443"


def test_the_autoscaler_reads_the_ladder() -> None:
    config = stack("azure-prod").inputs("priorities")
    assert config["metadata"]["name"] == "cluster-autoscaler-priority-expander"
    assert config["metadata"]["namespace"] == "kube-system"
    ladder = yaml.safe_load(config["data"]["priorities"])
    names = {
        one.name: str(one.inputs["agentPoolName"]) for one in stack("azure-prod").azure if "agentPoolName" in one.inputs
    }
    assert any(names["platform-cluster-group-t4-spot"] in pattern for pattern in ladder[100])
    assert any(names["platform-cluster-group-t4-on-demand"] in pattern for pattern in ladder[90])
    profile = stack("azure-prod").inputs("control-plane")["autoScalerProfile"]
    assert (profile["expander"], profile["maxNodeProvisionTime"]) == ("priority", "10m")


def test_what_the_first_pool_keeps_is_spelt_as_the_provider_spells_it() -> None:
    """An ignored path that the request does not have would be ignored itself."""
    cluster = stack("azure-prod")["control-plane"]
    assert cluster.options["ignoreChanges"] == list(FIRST_KEEPS)
    (first,) = stack("azure-prod").inputs("control-plane")["agentPoolProfiles"]
    fields = {path.rpartition(".")[2] for path in FIRST_KEEPS}
    assert fields - first.keys() == {"creationData", "capacityReservationGroupID"}  # not asked for by this stack
    from pulumi_azure_native import containerservice

    known = {
        str(getattr(value.fget, "_pulumi_name", ""))
        for value in vars(containerservice.ManagedClusterAgentPoolProfileArgs).values()
        if isinstance(value, property)
    }
    assert fields <= known


def test_a_forwarded_port_stands_for_the_api_whose_name_is_still_checked() -> None:
    access = {"via": "tunnel", "proxy": "https://127.0.0.1:8443", "admins": [ADMIN]}
    file = content(plan_of(access=access), "https://ml.example:443", "QUJD")
    assert file["clusters"][0]["cluster"] == {
        "server": "https://127.0.0.1:8443",
        "certificate-authority-data": "QUJD",
        "tls-server-name": "ml.example",
    }


def test_the_kubeconfig_asks_kubelogin_and_holds_no_credential() -> None:
    access = {"via": "tunnel", "proxy": "socks5://127.0.0.1:1080", "admins": [ADMIN]}
    file = content(plan_of(access=access, login="workloadidentity"), "https://ml.example:443", "QUJD")
    assert file["clusters"][0]["cluster"] == {
        "server": "https://ml.example:443",
        "certificate-authority-data": "QUJD",
        "proxy-url": "socks5://127.0.0.1:1080",
    }
    (user,) = file["users"]
    assert user["user"].keys() == {"exec"}
    assert user["user"]["exec"]["args"] == ["get-token", "--login", "workloadidentity", "--server-id", SERVER]
    assert file["contexts"][0]["name"] == file["current-context"] == "ml"
    text = yaml.safe_dump({"clusters": [{"cluster": {"certificate-authority-data": "QUJD"}}]})
    assert authority_in(base64.b64decode(base64.b64encode(text.encode())).decode()) == "QUJD"


@pytest.mark.parametrize("name", STACKS)
def test_the_kubeconfig_is_a_secret_and_the_provider_has_an_identifier_that_stays(name: str) -> None:
    provider = stack(name)["provider"].to_json()["inputs"]
    assert provider["kubeconfig"] == {"$secret": True}
    assert provider["clusterIdentifier"].startswith("aks/")
    (component,) = [one for one in stack(name).all.values() if one.type == "espalier:index:AksCluster"]
    assert component.to_json()["outputs"]["kubeconfig"] == {"$secret": True}


def test_an_sdks_module_is_loaded_only_when_it_is_used() -> None:
    """azure-native imports its modules lazily: half a second of each that only a plan that needs it pays."""
    code = (
        "import sys, espalier.components.cluster.aks\n"
        "print([m for m in sys.modules if m.startswith('pulumi_azure_native.') and m.count('.') > 1])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nothing_is_sent_as_null() -> None:
    """Azure reads null as a value of its own; the SDK drops None at the top of a resource's inputs only."""
    for name in STACKS:
        for one in stack(name).azure:
            assert "null" not in json.dumps(one.to_json()["inputs"]), one.name


MADE = '''
import base64, json, pulumi
from espalier.components.cluster.cloud import made_cluster
from tests.unit.test_aks_recorded import plan_of

ID = "/subscriptions/s/resourceGroups/{}/providers/Microsoft.ContainerService/managedClusters/{}"
asked = []

class Cloud(pulumi.runtime.Mocks):
    """Answers as Azure would, once all stands."""

    def new_resource(self, args):
        made = dict(args.inputs)
        if args.typ == "azure-native:containerservice:ManagedCluster":
            made |= {
                "identity": {"type": "UserAssigned", "userAssignedIdentities": {}},
                "privateFQDN": "ml-1.privatelink.example",
                "fqdn": "ml-1.public.example",
                "oidcIssuerProfile": {"enabled": True, "issuerURL": "https://oidc/ml/"},
                "identityProfile": {"kubeletidentity": {"objectId": "kubelet"}},
            }
            return ID.format(made["resourceGroupName"], made["resourceName"]), made
        return ID.format("g", args.name), made | {"principalId": "p", "tenantId": "t"}

    def call(self, args):
        asked.append((args.token, dict(args.args)))
        file = json.dumps({"clusters": [{"cluster": {"certificate-authority-data": "Q0E="}}]})
        return {"kubeconfigs": [{"name": "clusterUser", "value": base64.b64encode(file.encode()).decode()}]}

pulumi.runtime.set_mocks(Cloud(), preview=False)

@pulumi.runtime.test
async def run():
    made = made_cluster("cluster", plan_of(disk_encryption="platform"), pulumi.ResourceOptions())
    found = [await getattr(made, name).future() for name in ("kubeconfig", "endpoint", "oidc_issuer")]
    print(json.dumps({"asked": asked, "found": found, "secret": await made.kubeconfig.is_secret()}))

run()
'''


def test_once_the_cluster_stands_its_authority_is_asked_of_it() -> None:
    """The only thing that is read: a plan asks for nothing, since the cluster's id is not known then."""
    done = subprocess.run([sys.executable, "-c", MADE], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    ((token, args),) = answer["asked"]
    assert token == "azure-native:containerservice:listManagedClusterUserCredentials"
    assert args == {"format": "exec", "resourceGroupName": "ml", "resourceName": "ml"}
    text, endpoint, issuer = answer["found"]
    assert (endpoint, issuer) == ("https://ml-1.privatelink.example:443", "https://oidc/ml/")
    (cluster,) = json.loads(text)["clusters"]
    assert cluster["cluster"] == {"server": endpoint, "certificate-authority-data": "Q0E="}
    assert answer["secret"] is True
