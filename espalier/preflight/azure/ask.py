"""Asks Azure, by reading calls alone. Everything that is decided is decided in `judge`."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

from azure.core import PipelineClient
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
    map_error,
)
from azure.core.pipeline.policies import BearerTokenCredentialPolicy, RetryPolicy
from azure.core.rest import HttpRequest

from espalier.preflight.azure.facts import Allowed, Facts, Reserved, Running, Size, Usage
from espalier.preflight.azure.parts import Arm, parts_of
from espalier.preflight.azure.people import Graph, people_of
from espalier.preflight.model import NotAsked, NotPossibleError
from espalier.preflight.needs import Needs
from espalier.settings.aks import Aks

Answer = TypeVar("Answer")
Progress = Callable[[str], None]
_LOGIN = "Log in: az login; or set AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET."
_SUBSCRIPTION = ("ARM_SUBSCRIPTION_ID", "AZURE_SUBSCRIPTION_ID")
_ARM, _GRAPH = "https://management.azure.com", "https://graph.microsoft.com"
_KEPT = 5
"""Addresses of each subnet that Azure keeps (Virtual network FAQ)."""


@dataclass(frozen=True, slots=True)
class Clients:
    """The management clients of one subscription."""

    compute: Any
    containers: Any
    network: Any
    authorization: Any
    arm: Arm
    graph: Graph


def clients(subscription: str) -> Clients:
    """Clients with the credentials that Azure's own tools take."""
    from azure.identity import DefaultAzureCredential
    from azure.mgmt.authorization import AuthorizationManagementClient
    from azure.mgmt.compute import ComputeManagementClient
    from azure.mgmt.containerservice import ContainerServiceClient
    from azure.mgmt.network import NetworkManagementClient

    credential = DefaultAzureCredential()
    return Clients(
        ComputeManagementClient(credential, subscription),
        ContainerServiceClient(credential, subscription),
        NetworkManagementClient(credential, subscription),
        AuthorizationManagementClient(credential, subscription),
        _Arm(credential, _ARM),
        _Graph(credential, _GRAPH),
    )


class _Rest:
    """A service of Microsoft's that speaks JSON, at `base`."""

    def __init__(self, credential: Any, base: str) -> None:
        sign = BearerTokenCredentialPolicy(credential, f"{base}/.default")
        self._base, self._client = base, PipelineClient[Any, Any](base, policies=[RetryPolicy(), sign])

    def send(self, method: str, path: str, **more: Any) -> Mapping[str, Any]:
        response: Any = self._client.send_request(HttpRequest(method, f"{self._base}{path}", **more))
        map_error(response.status_code, response, {401: ClientAuthenticationError, 404: ResourceNotFoundError})
        response.raise_for_status()
        return response.json()


class _Arm(_Rest):
    """Azure's resource manager, asked by resource ids."""

    def get(self, path: str, version: str) -> Mapping[str, Any]:
        return self.send("GET", path, params={"api-version": version})

    def check(self, path: str, version: str, body: Mapping[str, str]) -> Mapping[str, Any]:
        return self.send("POST", path, params={"api-version": version}, json=dict(body))


class _Graph(_Rest):
    """Microsoft Graph, asked for groups of Entra."""

    def get(self, path: str) -> Mapping[str, Any]:
        return self.send("GET", f"/v1.0{path}")


def asked(question: Callable[[], Answer]) -> Answer | NotAsked:
    """The answer; NotAsked where it is refused or cannot be had. Raises NotPossibleError without credentials."""
    try:
        return question()
    except ClientAuthenticationError as error:
        raise NotPossibleError(f"Azure does not take these credentials: {_line(error)}", _LOGIN) from None
    except HttpResponseError as error:
        return NotAsked(f"{error.status_code} {_line(error)}")
    except AzureError as error:
        return NotAsked(_line(error))


def _line(error: AzureError) -> str:
    return str(error.message).strip().partition("\n")[0]


def there(question: Callable[[], Answer]) -> Answer | NotAsked | None:
    """As `asked`; None for what is not found."""

    def look() -> Answer | None:
        try:
            return question()
        except ResourceNotFoundError:
            return None

    return asked(look)


def facts_of(needs: Needs, progress: Progress, given: Clients | None = None) -> Facts:
    """Everything that the judge wants to know; `given` are clients to ask by. Raises NotPossibleError."""
    cluster = needs.cluster
    assert isinstance(cluster, Aks)  # noqa: S101 - of its own kind
    subscription = cluster.subscription or next((os.environ[key] for key in _SUBSCRIPTION if key in os.environ), "")
    if not subscription:
        do = "Set espalier:cluster.subscription, or ARM_SUBSCRIPTION_ID."
        raise NotPossibleError("which subscription of Azure is meant is not said", do)
    ask = given or clients(subscription)
    group = cluster.resource_group or cluster.name
    progress(f"asking for quotas and VM sizes of {cluster.region}")
    usages = asked(lambda: _usages(ask, cluster.region))
    sizes = asked(lambda: _sizes(ask, cluster.region))
    progress("asking for the cluster, its network and permissions")
    exists = there(lambda: [each.name for each in ask.containers.managed_clusters.list_by_resource_group(group)])
    return Facts(
        subscription=subscription,
        usages=usages,
        sizes=sizes,
        reservations={name: there(lambda name=name: _reservation(ask, name)) for name in _reservation_ids(needs)},
        group=exists if isinstance(exists, NotAsked) else exists is not None,
        allowed=_allowed(ask, group, made=exists is None),
        cluster=there(lambda: _cluster(ask, group, cluster.name)),
        subnets={name: there(lambda name=name: _free(ask, name)) for name in cluster.network.subnets},
        encryption_sets=_encryption_sets(ask, cluster),
        versions=asked(lambda: _versions(ask, cluster.region)),
        parts=(*parts_of(ask.arm, there, needs, cluster, subscription), *people_of(ask.graph, there, cluster)),
    )


def _usages(ask: Clients, region: str) -> Mapping[str, Usage]:
    rows = ask.compute.usage.list(region)
    return {row.name.value.lower(): Usage(row.name.localized_value, row.limit, row.current_value) for row in rows}


def _sizes(ask: Clients, region: str) -> Mapping[str, Size]:
    rows = ask.compute.resource_skus.list(filter=f"location eq '{region}'")
    return {row.name: _size(row) for row in rows if row.resource_type == "virtualMachines"}


def _size(row: Any) -> Size:
    zones = {zone for info in row.location_info or () for zone in info.zones or ()}
    whole = [each for each in row.restrictions or () if each.type == "Location"]
    for each in row.restrictions or ():
        if each.type == "Zone" and each.restriction_info:
            zones -= set(each.restriction_info.zones or ())
    return Size(row.family, frozenset(zones), _plain(whole[0].reason_code) if whole else "")


def _plain(word: Any) -> str:
    """The text of one of the SDK's enumerations."""
    return str(word.value if isinstance(word, Enum) else word)


def _reservation_ids(needs: Needs) -> list[str]:
    return sorted({group.reservation.id for group in needs.groups if group.reservation})


def _reservation(ask: Clients, name: str) -> tuple[Reserved, ...]:
    group, last = _place(name)
    rows = ask.compute.capacity_reservations.list_by_capacity_reservation_group(group, last)
    return tuple(Reserved(row.sku.name, int(row.sku.capacity), tuple(row.zones or ())) for row in rows)


def _place(identifier: str) -> tuple[str, str]:
    """Resource group and name of a resource id."""
    parts = identifier.strip("/").split("/")
    return parts[3], parts[-1]


def _allowed(ask: Clients, group: str, *, made: bool) -> tuple[Allowed, ...] | NotAsked:
    if made:
        return NotAsked(f"Azure tells permissions of a resource group, and {group} is not made yet")
    rows = asked(lambda: list(ask.authorization.permissions.list_for_resource_group(group)))
    if isinstance(rows, NotAsked):
        return rows
    return tuple(Allowed(tuple(row.actions or ()), tuple(row.not_actions or ())) for row in rows)


def _cluster(ask: Clients, group: str, name: str) -> Running:
    found = ask.containers.managed_clusters.get(group, name)
    pools = {pool.name: _full(pool) for pool in found.agent_pool_profiles or ()}
    version = found.current_kubernetes_version or found.kubernetes_version
    return Running(version, found.tags or {}, {name: each for name, each in pools.items() if each})


def _full(pool: Any) -> str:
    return pool.current_orchestrator_version or pool.orchestrator_version or ""


def _free(ask: Clients, name: str) -> int:
    parts = name.strip("/").split("/")
    found = ask.network.subnets.get(parts[3], parts[7], parts[9])
    prefixes: Iterable[str] = found.address_prefixes or [found.address_prefix]
    size = sum(ipaddress.ip_network(prefix).num_addresses for prefix in prefixes if ":" not in prefix)
    return size - _KEPT - len(found.ip_configurations or ())


def _encryption_sets(ask: Clients, cluster: Aks) -> Mapping[str, bool | NotAsked]:
    name = cluster.keys.disks
    if name is None or "/diskencryptionsets/" not in name.lower():
        return {}
    group, last = _place(name)
    found = there(lambda: ask.compute.disk_encryption_sets.get(group, last))
    return {name: found if isinstance(found, NotAsked) else found is not None}


def _versions(ask: Clients, region: str) -> Mapping[str, bool]:
    rows = ask.containers.managed_clusters.list_kubernetes_versions(region).values_property or ()
    return {row.version: bool(row.is_preview) for row in rows}
