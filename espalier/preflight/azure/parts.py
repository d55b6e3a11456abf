"""Asks for what stands beside a cluster: by resource ids, and whether names of all Azure are free.

Azure has a package for each of these services; two calls of its resource manager do without them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from espalier.blueprint.clouds.aks import ids
from espalier.blueprint.clouds.aks.parts import blob_account
from espalier.blueprint.clouds.parts import Parts
from espalier.preflight.model import NotAsked
from espalier.preflight.needs import Needs, named_by_pools
from espalier.preflight.parts import Part
from espalier.settings.aks import Aks

STORAGE, REGISTRY, ZONE = "2023-05-01", "2023-07-01", "2020-06-01"
"""Versions of the APIs of Microsoft.Storage, Microsoft.ContainerRegistry and private DNS zones."""
VAULT, IDENTITY = "2023-07-01", "2023-01-31"
"""Those of Microsoft.KeyVault and Microsoft.ManagedIdentity."""
SUBNET, WORKSPACE, SNAPSHOT = "2024-05-01", "2023-09-01", "2024-05-01"
"""Those of Microsoft.Network, Microsoft.OperationalInsights and Microsoft.ContainerService."""
Answer = Mapping[str, Any] | NotAsked | None
Ask = Callable[[Callable[[], Mapping[str, Any]]], Answer]


class Arm(Protocol):
    """Azure's resource manager."""

    def get(self, path: str, version: str) -> Mapping[str, Any]:
        """A resource by its id. Raises ResourceNotFoundError."""
        ...

    def check(self, path: str, version: str, body: Mapping[str, str]) -> Mapping[str, Any]:
        """The answer of a checkNameAvailability, which is a POST that changes nothing."""
        ...


def parts_of(arm: Arm, ask: Ask, needs: Needs, cluster: Aks, subscription: str) -> Iterator[Part]:
    """All that the stack makes or names. Buckets that are made are one account's."""
    parts, account = needs.plan.parts, blob_account(cluster)
    home = f"/subscriptions/{subscription}/resourceGroups/{cluster.resource_group or cluster.name}/providers"
    look = _Look(arm, ask, subscription)
    for vault in needs.names("azure-native:keyvault:Vault", "vaultName"):
        check = ("Microsoft.KeyVault", {"name": vault, "type": ids.VAULTS}, VAULT)
        holds = "a deleted vault of this name, which holds it for 90 days"
        yield look.made("keys", f"key vault {vault}", f"{home}/{ids.VAULTS}/{vault}", check, holds)
    files = needs.names("azure-native:storage:StorageAccount", "accountName")
    for name in sorted({*files, account} - {""}):
        check = ("Microsoft.Storage", {"name": name, "type": ids.ACCOUNTS}, STORAGE)
        key = "buckets" if name == account else "storage"
        yield look.made(key, f"storage account {name}", f"{home}/{ids.ACCOUNTS}/{name}", check)
    for key, what, path, version in _named(cluster):
        yield look.given(key, f"{what} {ids.name_of(path)}", path, version)
    if cluster.keys.secrets and cluster.key_vault:
        yield _key(look, cluster.keys.secrets, cluster.key_vault)
    for name, pool in named_by_pools(needs.groups, lambda group: group.release):
        yield look.given("image.release", f"node pool snapshot {ids.name_of(name)}", name, SNAPSHOT, pool=pool)
    yield from _asked(look, parts, home)
    for name in needs.names("azure-native:privatedns:PrivateZone", "privateZoneName") if cluster.network.id else ():
        if name.startswith("privatelink."):
            yield look.unlinked(name, cluster.network.id or "", home)


def _asked(look: _Look, parts: Parts, home: str) -> Iterator[Part]:
    """Buckets, registries and the zone, but for the account that buckets are made in."""
    for bucket in (bucket for bucket in parts.buckets if bucket.given):
        yield look.given("buckets", f"container {bucket.name}", bucket.given or "", STORAGE)
    for registry in parts.registries:
        what = f"registry {registry.name}"
        if registry.given:
            yield look.given("registries", what, registry.given, REGISTRY)
        else:
            check = ("Microsoft.ContainerRegistry", {"name": registry.name, "type": ids.REGISTRIES}, REGISTRY)
            yield look.made("registries", what, f"{home}/{ids.REGISTRIES}/{registry.name}", check)
    zone = parts.zone
    if zone is not None and zone.given is not None:
        yield look.given("dns", f"zone {zone.domain}", zone.given, ZONE)
    elif zone is not None:
        yield look.made("dns", f"zone {zone.domain}", f"{home}/{ids.DNS_ZONES}/{zone.name}", None)


def _named(cluster: Aks) -> Iterator[tuple[str, str, str, str]]:
    """What the stack file names besides: key, word, resource id and version of the API."""
    if cluster.identity:
        yield "identity", "identity", cluster.identity, IDENTITY
    if cluster.key_vault:
        yield "key-vault", "key vault", cluster.key_vault, VAULT
    if cluster.storage and cluster.storage.id:
        yield "storage", "storage account", cluster.storage.id, STORAGE
    if cluster.private_dns_zone.startswith("/"):
        yield "private-dns-zone", "zone", cluster.private_dns_zone, ZONE
    if cluster.monitoring:
        yield "monitoring.workspace", "workspace", cluster.monitoring.workspace, WORKSPACE
    if cluster.endpoints and cluster.endpoints.subnet:
        yield "endpoints.subnet", "subnet", cluster.endpoints.subnet, SUBNET
    for key, zone in sorted(cluster.endpoints.zones.items() if cluster.endpoints else ()):
        yield f"endpoints.zones.{key}", "zone", zone, ZONE


def _key(look: _Look, url: str, vault: str) -> Part:
    """A version of a key by its address: the vault's own id, then `/keys/<key>/versions/<version>`."""
    *_, name, version = url.split("/")
    return look.given(
        "keys.secrets", f"key {name} of {ids.name_of(vault)}", f"{vault}/keys/{name}/versions/{version}", VAULT
    )


class _Look:
    def __init__(self, arm: Arm, ask: Ask, subscription: str) -> None:
        self._arm, self._ask, self._subscription = arm, ask, subscription

    def given(self, key: str, what: str, path: str, version: str, *, pool: str = "") -> Part:
        found = self._ask(lambda: self._arm.get(path, version))
        enabled = _of(found).get("properties", {}).get("attributes", {}).get("enabled", True)  # of a key alone
        return Part(
            key=key,
            what=what,
            made=False,
            state=_state(found),
            got=_place(found),
            fault="" if enabled else "disabled",
            pool=pool,
        )

    def made(
        self, key: str, what: str, path: str, check: tuple[str, Mapping[str, str], str] | None, holds: str = ""
    ) -> Part:
        """By its own id first; then, or where that is refused, whether all of Azure leaves the name."""
        found = self._ask(lambda: self._arm.get(path, check[2] if check else ZONE))
        state = _state(found)
        if state != "there" and check is not None:
            state = self._free(state, check)
        return Part(key=key, what=what, made=True, state=state, tags=_of(found).get("tags") or {}, holds=holds)

    def unlinked(self, name: str, network: str, home: str) -> Part:
        """Whether a given network resolves another zone of this name, of the subscription's: it takes one alone."""
        found = self._ask(lambda: self._links(name, home))
        links = _of(found).get("links", {})
        there = next((zone for zone, ids_ in links.items() if network.lower() in ids_), "")
        return Part(
            key="endpoints.zones",
            what=f"zone {name} in the given network",
            made=False,
            state=found if isinstance(found, NotAsked) else "there",
            got="the network resolves no other of the subscription",
            fault=f"the network resolves {there} already" if there else "",
            do="Name that one under espalier:cluster.endpoints.zones.",
        )

    def _links(self, name: str, home: str) -> Mapping[str, Any]:
        where = f"/subscriptions/{self._subscription}/providers/{ids.DNS_ZONES}"
        zones = [row["id"] for row in self._arm.get(where, ZONE).get("value", ()) if row["name"].lower() == name]
        return {"links": {zone: self._networks(zone) for zone in zones if not zone.lower().startswith(home.lower())}}

    def _networks(self, zone: str) -> frozenset[str]:
        rows = self._arm.get(f"{zone}/virtualNetworkLinks", ZONE).get("value", ())
        return frozenset(row["properties"]["virtualNetwork"]["id"].lower() for row in rows)

    def _free(self, state: Any, check: tuple[str, Mapping[str, str], str]) -> Any:
        """`state` is what is known by its id: one that may not be read may have the name itself."""
        provider, body, version = check
        where = f"/subscriptions/{self._subscription}/providers/{provider}/checkNameAvailability"
        answer = self._ask(lambda: self._arm.check(where, version, body))
        refused = isinstance(state, NotAsked)
        if isinstance(answer, NotAsked):
            return state if refused else answer
        if answer is None or answer.get("nameAvailable", True):
            return "absent"
        return "hidden" if refused else "taken"


def _of(found: Answer) -> Mapping[str, Any]:
    return {} if found is None or isinstance(found, NotAsked) else found


def _state(found: Answer) -> Any:
    if isinstance(found, NotAsked):
        return found
    return "absent" if found is None else "there"


def _place(found: Answer) -> str:
    return f"in {_of(found)['location']}" if "location" in _of(found) else "is there"
