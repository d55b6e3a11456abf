"""What is said of an Azure subscription: judging by facts made by hand, asking by stand-ins with the SDK's models."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.mgmt.authorization.v2022_04_01.models import Permission
from azure.mgmt.compute import models as compute
from azure.mgmt.containerservice import models as containers
from azure.mgmt.network import models as network

from espalier.blueprint.clouds.aks.parts import blob_account, parts_of
from espalier.preflight import Finding, NotAsked, NotPossibleError
from espalier.preflight.azure import ask
from espalier.preflight.azure.facts import Allowed, Facts, Reserved, Running, Size, Usage
from espalier.preflight.azure.judge import findings
from espalier.preflight.azure.permissions import actions_of, is_allowed
from espalier.settings.aks import Aks
from tests.unit.preflight_needs import group, needs, told

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
BASE = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/nets/providers"
SUBNET = f"{BASE}/Microsoft.Network/virtualNetworks/hub/subnets/nodes"
HELD = f"{BASE}/Microsoft.Compute/capacityReservationGroups/h100"
TAGS = {"espalier-stack": "prod"}
H100, T4 = "Standard_ND96isr_H100_v5", "Standard_NC4as_T4_v3"
MADE = (
    ("azure-native:containerservice:ManagedCluster", {"resourceName": "prod", "tags": TAGS}),
    ("azure-native:network:VirtualNetwork", {"virtualNetworkName": "prod"}),
)
BIG = group(machines=(H100,), vcpu=96, maximum=2, zones=("1",), group="h100")
SPOT = group(machines=(T4,), vcpu=4, maximum=4, zones=("1", "2"), group="t4", kind="spot", accelerator="T4")
ND, LOW, ALL = "standardndsh100v5family", "lowprioritycores", "cores"
USAGES = {
    ND: Usage("Standard NDSH100v5 Family vCPUs", 192, 0),
    LOW: Usage("Total Regional Low-priority vCPUs", 16, 0),
    ALL: Usage("Total Regional vCPUs", 200, 0),
}
SIZES = {H100: Size("standardNDSH100v5Family", frozenset("1"), ""), T4: Size("standardNCASFamily", frozenset("12"), "")}
GOOD = Facts(
    subscription=SUBSCRIPTION,
    usages=USAGES,
    sizes=SIZES,
    reservations={},
    group=True,
    allowed=(Allowed(("*",), ()),),
    cluster=None,
    subnets={},
    encryption_sets={},
    versions={"1.35": False, "1.36": True},
)


def cluster(**given: Any) -> Aks:
    block: dict[str, Any] = {
        "kind": "aks",
        "name": "prod",
        "version": "1.35",
        "region": "eastus2",
        "subscription": SUBSCRIPTION,
        "access": {"via": "network"},
    }
    return Aks.model_validate_json(json.dumps(block | given))


def judged(facts: Facts = GOOD, *groups: Any, **given: Any) -> list[Finding]:
    return findings(needs(cluster(**given), *(groups or (BIG, SPOT)), resources=MADE), facts)


def test_a_good_subscription_is_fine() -> None:
    found = judged()
    assert {each.level for each in found} == {"ok"}
    assert "192 vCPUs at most (h100 2 x 96)" in told(found, "ok")["quota Total Regional vCPUs in eastus2"].got


@pytest.mark.parametrize(
    ("level", "what", "says", "facts"),
    [
        (
            "error",
            "permission Microsoft.Network/virtualNetworks/write",
            "no role",
            replace(GOOD, allowed=(Allowed(("*",), ("microsoft.network/virtualnetworks/WRITE",)),)),
        ),
        ("warning", "permissions", "not judged", replace(GOOD, allowed=NotAsked("403"))),
        ("error", "cluster prod", "without the tags", replace(GOOD, cluster=Running("1.35.1", {}, {}))),
        ("error", "cluster prod", "runs 1.33.2", replace(GOOD, cluster=Running("1.33.2", TAGS, {}))),
        ("error", "nodes of old", "1.31", replace(GOOD, cluster=Running("1.34.2", TAGS, {"old": "1.31.4"}))),
        ("error", "Kubernetes 1.35", "the region has 1.34", replace(GOOD, versions={"1.34": False})),
        ("warning", "Kubernetes 1.35", "a preview", replace(GOOD, versions={"1.35": True})),
        ("error", "subnet x", "5 addresses free; 6 nodes", replace(GOOD, subnets={"x": 5})),
        ("error", "subnet x", "there is none", replace(GOOD, subnets={"x": None})),
        ("error", "disk encryption set x", "there is none", replace(GOOD, encryption_sets={"x": False})),
        (
            "error",
            "quota Standard NDSH100v5 Family vCPUs in eastus2",
            "quota 96",
            replace(GOOD, usages=USAGES | {ND: Usage("Standard NDSH100v5 Family vCPUs", 96, 0)}),
        ),
        (
            "error",
            "quota Total Regional Low-priority vCPUs in eastus2",
            "16 vCPUs at most (t4 4 x 4); quota 16, 4 in use",
            replace(GOOD, usages=USAGES | {LOW: Usage("Total Regional Low-priority vCPUs", 16, 4)}),
        ),
        ("warning", "vCPU quotas", "not judged", replace(GOOD, usages=NotAsked("403"))),
        (
            "error",
            f"{H100} for h100",
            "NotAvailableForSubscription",
            replace(GOOD, sizes=SIZES | {H100: replace(SIZES[H100], refused="NotAvailableForSubscription")}),
        ),
        (
            "error",
            f"{T4} for t4",
            "not in zone 2",
            replace(GOOD, sizes=SIZES | {T4: replace(SIZES[T4], zones=frozenset("1"))}),
        ),
    ],
)
def test_each_lack_is_one_finding_that_says_what_to_do(level: str, what: str, says: str, facts: Facts) -> None:
    found = judged(facts)
    assert {each.what for each in found if each.level != "ok"} == {what}
    assert says in told(found, level)[what].got
    assert told(found, level)[what].do


def test_a_size_that_the_region_lacks_names_what_is_close() -> None:
    there = {"Standard_ND96asr_v4": SIZES[H100], T4: SIZES[T4]}
    found = told(judged(replace(GOOD, sizes=there)), "error")[f"{H100} for h100"]
    assert (found.got, "Standard_N" in found.do) == ("eastus2 has none", True)


@pytest.mark.parametrize(
    ("members", "level"),
    [
        ((Reserved(H100, 2, ("1",)),), "ok"),
        ((Reserved(H100, 1, ("1",)),), "error"),
        ((Reserved(T4, 9, ("1",)),), "error"),
        ((), "error"),
        (None, "error"),
        (NotAsked("403"), "warning"),
    ],
)
def test_a_capacity_reservation_group_must_hold_the_pool(members: Any, level: str) -> None:
    reserved = replace(BIG, kind="reserved", reservation=group(reservation={"id": HELD, "type": "group"}).reservation)
    found = judged(replace(GOOD, reservations={HELD: members}), reserved)
    assert f"reservation {HELD} for h100" in told(found, level)
    assert not [each for each in found if each.what.startswith("quota")]


def test_pools_on_one_group_of_reservations_share_its_number() -> None:
    one = replace(BIG, kind="reserved", reservation=group(reservation={"id": HELD, "type": "group"}).reservation)
    other = replace(one, group="more", maximum=1)
    found = told(judged(replace(GOOD, reservations={HELD: (Reserved(H100, 2, ("1",)),)}), one, other), "error")
    assert "those on it want 3 together (h100 2 and more 1)" in found[f"reservation {HELD} for h100"].got


def test_nodes_of_a_cluster_of_ours_that_are_counted_twice_are_a_warning() -> None:
    what = "quota Total Regional Low-priority vCPUs in eastus2"
    full = replace(
        GOOD,
        usages=USAGES | {LOW: Usage("Total Regional Low-priority vCPUs", 16, 8)},
        subnets={"x": 5},
        cluster=Running("1.35.1", TAGS, {"t4": "1.35.1"}),
    )
    assert told(judged(full), "error") == {}
    doubts = told(judged(full), "warning")
    assert doubts.keys() == {what, "subnet x"}
    assert all("this stack is up, and its own nodes are in both numbers" in each.got for each in doubts.values())
    assert doubts[what].do.startswith("See that no more than 0 is used by others")
    theirs = replace(full, cluster=Running("1.35.1", {}, {"t4": "1.35.1"}))
    assert {what, "subnet x"} <= told(judged(theirs), "error").keys()
    small = replace(full, usages=USAGES | {LOW: Usage("Total Regional Low-priority vCPUs", 15, 8)})
    assert what in told(judged(small), "error")  # not enough for its own nodes alone


def test_of_a_given_cluster_only_pools_that_are_there_are_counted_twice() -> None:
    what = "quota Total Regional Low-priority vCPUs in eastus2"
    usages = USAGES | {LOW: Usage("Total Regional Low-priority vCPUs", 16, 8)}
    added = replace(needs(cluster(), BIG, SPOT), given=True)
    first = replace(GOOD, usages=usages, cluster=Running("1.35.1", {}, {"old": "1.35.1"}))
    assert what in told(findings(added, first), "error")
    again = replace(first, cluster=Running("1.35.1", {}, {"t4": "1.35.1"}))
    assert what in told(findings(added, again), "warning")


def test_roles_grant_by_patterns() -> None:
    assert actions_of(["azure-native:network:Subnet"]) == [
        f"Microsoft.Network/virtualNetworks/subnets/{verb}" for verb in ("delete", "read", "write")
    ]
    reader = Allowed(("*/read",), ())
    assert is_allowed("Microsoft.Network/virtualNetworks/read", [reader])
    assert not is_allowed("Microsoft.Network/virtualNetworks/write", [reader])
    found = told(findings(needs(cluster(), resources=(*MADE, ("azure-native:new:Thing", {}))), GOOD), "warning")
    assert "azure-native:new:Thing" in found["permissions"].got


# The asking ---------------------------------------------------------------------------------------------------------

READING = ("list", "get")


class Operations:
    """A group of operations that answers what it is given, and notes what is asked of it."""

    def __init__(self, asked: list[str], **answers: Any) -> None:
        self._asked, self._answers = asked, answers

    def __getattr__(self, name: str) -> Callable[..., Any]:
        self._asked.append(name)
        answer = self._answers[name]

        def operation(*arguments: Any, **named: Any) -> Any:
            found = answer(*arguments, **named) if callable(answer) else answer
            if isinstance(found, Exception):
                raise found
            return found

        return operation


def clients(asked: list[str], **changed: Any) -> ask.Clients:
    def skus(filter: str) -> Any:
        assert filter == "location eq 'eastus2'"
        zones = compute.ResourceSkuLocationInfo()
        zones.location, zones.zones = "eastus2", ["1", "2", "3"]
        sku = compute.ResourceSku()
        sku.name, sku.resource_type, sku.family, sku.location_info = (
            T4,
            "virtualMachines",
            "standardNCASFamily",
            [zones],
        )
        info = compute.ResourceSkuRestrictionInfo()
        info.zones = ["3"]
        barred = compute.ResourceSkuRestrictions()
        barred.type, barred.restriction_info = compute.ResourceSkuRestrictionsType.ZONE, info
        whole = compute.ResourceSkuRestrictions()
        whole.type, whole.reason_code = compute.ResourceSkuRestrictionsType.LOCATION, "NotAvailableForSubscription"
        sku.restrictions = [barred]
        refused = compute.ResourceSku()
        refused.name, refused.resource_type, refused.family = H100, "virtualMachines", "standardNDSH100v5Family"
        refused.restrictions = [whole]
        disk = compute.ResourceSku()
        disk.name, disk.resource_type = "Premium_LRS", "disks"
        return [sku, refused, disk]

    usage = SimpleNamespace(
        name=SimpleNamespace(value="lowPriorityCores", localized_value="Low"), limit=16, current_value=4
    )
    member = SimpleNamespace(sku=compute.Sku(name=H100, capacity=2), zones=["1"])
    pools = [SimpleNamespace(name="system", current_orchestrator_version="1.33.5", orchestrator_version="1.33")]
    live = SimpleNamespace(
        current_kubernetes_version="1.34.2", kubernetes_version="1.34", tags=TAGS, agent_pool_profiles=pools
    )
    versions = containers.KubernetesVersionListResult()
    versions.values_property = [containers.KubernetesVersion(version="1.35", is_preview=None)]
    subnet = network.Subnet(address_prefix="10.0.0.0/24", ip_configurations=[network.IPConfiguration()] * 3)
    answers: dict[str, Any] = {
        "managed_clusters": {
            "get": live,
            "list_by_resource_group": [SimpleNamespace(name="prod")],
            "list_kubernetes_versions": versions,
        },
        "permissions": {"list_for_resource_group": [Permission(actions=["*/read"], not_actions=["a/b"])]},
    }
    for name, more in changed.items():
        answers[name] = answers[name] | more

    def operations(name: str) -> Operations:
        return Operations(asked, **answers[name])

    return ask.Clients(
        compute=SimpleNamespace(
            usage=Operations(asked, list=[usage]),
            resource_skus=Operations(asked, list=skus),
            capacity_reservations=Operations(asked, list_by_capacity_reservation_group=[member]),
            disk_encryption_sets=Operations(asked, get=ResourceNotFoundError("no")),
        ),
        containers=SimpleNamespace(managed_clusters=operations("managed_clusters")),
        network=SimpleNamespace(subnets=Operations(asked, get=subnet)),
        authorization=SimpleNamespace(permissions=operations("permissions")),
        arm=Arm(asked),
        graph=Graph(),
    )


class Graph:
    """Microsoft Graph: the groups that it has, or why it answers nothing."""

    def __init__(self, there: Mapping[str, Any] | None = None, refusal: Exception | None = None) -> None:
        self._there, self._refusal = there or {}, refusal

    def get(self, path: str) -> Mapping[str, Any]:
        if self._refusal:
            raise self._refusal
        if path not in self._there:
            raise ResourceNotFoundError("no")
        return self._there[path]


class Arm:
    """Azure's resource manager: what is there by its id, and names that somebody has."""

    def __init__(
        self,
        asked: list[str],
        there: Mapping[str, Any] | None = None,
        taken: tuple[str, ...] = (),
        *,
        refuses: bool = False,
    ) -> None:
        self._asked, self._there, self._taken, self._refuses = asked, there or {}, taken, refuses

    def get(self, path: str, version: str) -> Mapping[str, Any]:
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", version)
        self._asked.append("get")
        if self._refuses:
            refusal = HttpResponseError("not allowed")
            refusal.status_code = 403
            raise refusal
        if path not in self._there:
            raise ResourceNotFoundError("no")
        return self._there[path]

    def check(self, path: str, version: str, body: Mapping[str, str]) -> Mapping[str, Any]:
        assert path.endswith("/checkNameAvailability")
        assert version
        self._asked.append("get")
        return {"nameAvailable": body["name"] not in self._taken}


HOME = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/prod/providers"
CONTAINER = f"{BASE}/Microsoft.Storage/storageAccounts/raw1/blobServices/default/containers/raw"
DNS = f"{BASE}/Microsoft.Network/privateDnsZones/ml.example.com"
PARTS: dict[str, Any] = {
    "buckets": [{"name": "models"}, {"name": "raw", "id": CONTAINER}],
    "registries": [{"name": "images"}],
    "dns": {"zone": "ml.example.com", "id": DNS},
    "tags": TAGS,
}


def looked_up(there: Mapping[str, Any], taken: tuple[str, ...] = (), *, refuses: bool = False) -> list[Finding]:
    settings = cluster(**PARTS)
    wanted = needs(settings, BIG, resources=MADE, parts=parts_of(settings))
    given = replace(clients([]), arm=Arm([], there, taken, refuses=refuses))
    found = ask.facts_of(wanted, lambda _: None, given)
    return findings(wanted, replace(GOOD, parts=found.parts))


def test_buckets_registries_and_zones_are_looked_up() -> None:
    account, registry = blob_account(cluster(**PARTS)), parts_of(cluster(**PARTS)).registries[0].name
    here = {CONTAINER: {"properties": {}}, DNS: {"location": "global"}}
    good = told(looked_up(here), "ok")
    assert good["container raw"].got == "is there"
    assert good["zone ml.example.com"].got == "in global"
    assert good[f"storage account {account}"].got == "the name is free"
    assert good[f"registry {registry}"].got == "the name is free"
    again = told(looked_up({**here, f"{HOME}/Microsoft.Storage/storageAccounts/{account}": {"tags": TAGS}}), "ok")
    assert again[f"storage account {account}"].got == "there already, with this stack's tags"


def test_a_name_that_somebody_has_and_a_thing_that_is_not_there_are_errors() -> None:
    account, registry = blob_account(cluster(**PARTS)), parts_of(cluster(**PARTS)).registries[0].name
    bad = told(looked_up({}, (account,)), "error")
    assert bad["container raw"].got == "there is none"
    assert bad["zone ml.example.com"].do.startswith("Correct its id under espalier:cluster.dns")
    assert bad[f"storage account {account}"].got == "somebody else has this name"
    other = told(looked_up({f"{HOME}/Microsoft.ContainerRegistry/registries/{registry}": {"tags": {}}}), "error")
    assert other[f"registry {registry}"].got == "there already, without the tags that this stack gives"


VAULT, FILES = "kvprod0123456789", "stprod0123456789"
NAMED = (
    ("azure-native:keyvault:Vault", {"vaultName": VAULT}),
    ("azure-native:storage:StorageAccount", {"accountName": FILES}),
)


def beside(arm: Arm, **named: Any) -> list[Finding]:
    wanted = needs(cluster(tags=TAGS, **named), BIG, resources=(*MADE, *NAMED))
    found = ask.facts_of(wanted, lambda _: None, replace(clients([]), arm=arm))
    return findings(wanted, replace(GOOD, parts=found.parts))


def test_a_vault_and_an_account_of_files_are_looked_up_by_their_names() -> None:
    free = told(beside(Arm([])), "ok")
    assert free[f"key vault {VAULT}"].got == free[f"storage account {FILES}"].got == "the name is free"
    taken = told(beside(Arm([], taken=(VAULT, FILES))), "error")
    assert taken[f"storage account {FILES}"].got == "somebody else has this name"
    assert "or a deleted vault of this name, which holds it for 90 days" in taken[f"key vault {VAULT}"].got
    ours = told(beside(Arm([], {f"{HOME}/Microsoft.KeyVault/vaults/{VAULT}": {"tags": TAGS}})), "ok")
    assert ours[f"key vault {VAULT}"].got == "there already, with this stack's tags"


def test_an_identity_a_vault_and_an_account_that_are_named_must_be_there() -> None:
    ids = {
        "identity": f"{BASE}/Microsoft.ManagedIdentity/userAssignedIdentities/plane",
        "key-vault": f"{BASE}/Microsoft.KeyVault/vaults/safe",
        "storage": f"{BASE}/Microsoft.Storage/storageAccounts/shared1",
    }
    named = {**ids, "storage": {"type": "azure-files", "id": ids["storage"]}}
    what = {"identity plane", "key vault safe", "storage account shared1"}
    there = {path: {"location": "eastus2"} for path in ids.values()}
    good = told(beside(Arm([], there), **named), "ok")
    assert {good[each].got for each in what} == {"in eastus2"}
    bad = told(beside(Arm([]), **named), "error")
    assert {bad[each].got for each in what} == {"there is none"}
    assert bad["key vault safe"].do == "Correct its id under espalier:cluster.key-vault."


ADMINS = "11111111-2222-3333-4444-555555555555"


def administered(graph: Graph) -> list[Finding]:
    wanted = needs(cluster(access={"via": "network", "admins": [ADMINS]}), BIG, resources=MADE)
    found = ask.facts_of(wanted, lambda _: None, replace(clients([]), graph=graph))
    return findings(wanted, replace(GOOD, parts=found.parts))


def test_groups_of_administrators_are_looked_up_in_entra() -> None:
    what = f"group of Entra {ADMINS}"
    there = {"displayName": "platform", "securityEnabled": True}
    assert told(administered(Graph({f"/groups/{ADMINS}": there})), "ok")[what].got == "platform"
    gone = told(administered(Graph()), "error")[what]
    assert (gone.got, gone.do) == ("there is none", "Correct its id under espalier:cluster.access.admins.")
    mail = there | {"securityEnabled": False}
    assert told(administered(Graph({f"/groups/{ADMINS}": mail})), "error")[what].got == (
        "no security group, and AKS lets in these alone"
    )


def test_who_may_not_ask_graph_is_told_so_and_the_rest_is_judged() -> None:
    refusal = HttpResponseError("Insufficient privileges")
    refusal.status_code = 403
    for error in (refusal, ClientAuthenticationError("no token for graph")):
        found = administered(Graph(refusal=error))
        doubt = told(found, "warning")[f"group of Entra {ADMINS}"]
        assert doubt.got.startswith("not judged: ")
        assert str(error.message) in doubt.got
        assert told(found, "ok")


BLOBS = "privatelink.blob.core.windows.net"
LINKED = {"value": [{"properties": {"virtualNetwork": {"id": SUBNET.partition("/subnets")[0].upper()}}}]}


@pytest.mark.parametrize(
    ("zone", "links", "level", "says"),
    [
        (f"{BASE}/Microsoft.Network/privateDnsZones/{BLOBS}", LINKED, "error", "resolves"),
        (f"{BASE}/Microsoft.Network/privateDnsZones/{BLOBS}", {"value": []}, "ok", "no other"),
        (f"{HOME}/Microsoft.Network/privateDnsZones/{BLOBS}", LINKED, "ok", "no other"),  # the stack's own
        (f"{BASE}/Microsoft.Network/privateDnsZones/privatelink.azurecr.io", LINKED, "ok", "no other"),
    ],
)
def test_a_given_network_resolves_one_zone_of_a_name(zone: str, links: Any, level: str, says: str) -> None:
    rows = {"value": [{"id": zone, "name": zone.rpartition("/")[2]}]}
    there = {
        f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Network/privateDnsZones": rows,
        f"{zone}/virtualNetworkLinks": links,
    }
    made = [("azure-native:privatedns:PrivateZone", {"privateZoneName": BLOBS})]
    settings = cluster(network={"id": SUBNET.partition("/subnets")[0], "subnets": [SUBNET]}, endpoints={})
    found = ask.facts_of(needs(settings, BIG, resources=made), lambda _: None, replace(clients([]), arm=Arm([], there)))
    judged_ = told(findings(needs(settings, BIG, resources=made), found), level)
    finding = judged_[f"zone {BLOBS} in the given network"]
    assert says in finding.got
    assert ("endpoints.zones" in finding.do) == (level == "error")


def test_what_may_not_be_read_is_not_judged_but_by_the_name() -> None:
    account, registry = blob_account(cluster(**PARTS)), parts_of(cluster(**PARTS)).registries[0].name
    found = looked_up({}, (account,), refuses=True)
    assert told(found, "error") == {}
    doubts = told(found, "warning")
    assert "this stack's own, or somebody else's" in doubts[f"storage account {account}"].got
    assert doubts["container raw"].got == "not judged: 403 not allowed"
    assert doubts["zone ml.example.com"].got == "not judged: 403 not allowed"
    assert told(found, "ok")[f"registry {registry}"].got == "the name is free"


def facts(given: ask.Clients, **settings: Any) -> Facts:
    reserved = replace(BIG, kind="reserved", reservation=group(reservation={"id": HELD, "type": "group"}).reservation)
    return ask.facts_of(needs(cluster(**settings), reserved, resources=MADE), lambda _: None, given)


def test_what_is_asked_of_azure_only_reads_and_becomes_facts() -> None:
    asked: list[str] = []
    des = f"{BASE}/Microsoft.Compute/diskEncryptionSets/des"
    given = {"network": {"id": SUBNET.rpartition("/subnets")[0], "subnets": [SUBNET]}, "keys": {"disks": des}}
    found = facts(clients(asked), **given)
    assert [name for name in asked if not name.startswith(READING)] == []
    assert found.usages == {LOW: Usage("Low", 16, 4)}
    assert found.sizes == {
        T4: Size("standardNCASFamily", frozenset({"1", "2"}), ""),
        H100: Size("standardNDSH100v5Family", frozenset(), "NotAvailableForSubscription"),
    }
    assert found.reservations == {HELD: (Reserved(H100, 2, ("1",)),)}
    assert found.group is True
    assert found.allowed == (Allowed(("*/read",), ("a/b",)),)
    assert found.cluster == Running("1.34.2", TAGS, {"system": "1.33.5"})
    assert found.subnets == {SUBNET: 256 - 5 - 3}
    assert found.encryption_sets == {des: False}
    assert found.versions == {"1.35": False}


def test_of_a_resource_group_that_is_made_first_permissions_are_not_judged() -> None:
    missing = {"get": ResourceNotFoundError("no"), "list_by_resource_group": ResourceNotFoundError("no")}
    found = facts(clients([], managed_clusters=missing))
    assert (found.group, found.cluster) == (False, None)
    assert isinstance(found.allowed, NotAsked)


def test_a_refused_question_is_not_judged_and_the_others_are() -> None:
    refusal = HttpResponseError("not allowed")
    refusal.status_code = 403
    found = facts(clients([], managed_clusters={"get": refusal}))
    assert found.cluster == NotAsked("403 not allowed")
    assert found.versions == {"1.35": False}


def test_without_credentials_or_subscription_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    dead = ClientAuthenticationError("no token\nmore")
    with pytest.raises(NotPossibleError, match="does not take these credentials: no token") as caught:
        facts(clients([], managed_clusters={"get": dead}))
    assert "az login" in caught.value.do
    for name in ("ARM_SUBSCRIPTION_ID", "AZURE_SUBSCRIPTION_ID"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(NotPossibleError, match="which subscription"):
        facts(clients([]), subscription=None)
