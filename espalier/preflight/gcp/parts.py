"""Asks for buckets, repositories and managed zones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from espalier.blueprint.clouds.parts import Bucket, Registry, Zone
from espalier.preflight.model import NotAsked
from espalier.preflight.needs import Needs
from espalier.preflight.parts import Part
from espalier.settings.gke import Gke

Ask = Callable[[Callable[[], Mapping[str, Any]]], Mapping[str, Any] | NotAsked | None]
"""A question -> its answer, None for what is not there."""
Service = Callable[[str, str], Any]


Apis = frozenset[str] | NotAsked
"""APIs that are on."""


def parts_of(service: Service, ask: Ask, needs: Needs, cluster: Gke, apis: Apis) -> Iterator[Part]:
    """All that the stack makes or names."""
    asked = needs.plan.parts
    for bucket in asked.buckets:
        yield _bucket(service, ask, bucket)
    for registry in asked.registries:
        yield _registry(service, ask, cluster, registry, apis)
    if asked.zone is not None:
        yield _zone(service, ask, cluster, asked.zone, apis)


def _state(found: Mapping[str, Any] | NotAsked | None) -> Any:
    if isinstance(found, NotAsked):
        return found
    return "absent" if found is None else "there"


def _refused(found: Any) -> bool:
    return isinstance(found, NotAsked) and found.why.startswith("403")


def _off(api: str, apis: Apis) -> bool:
    """A project where the API is off has none of it, and refuses to say so; `up` switches it on."""
    return not isinstance(apis, NotAsked) and api not in apis


def _of(found: Mapping[str, Any] | NotAsked | None) -> Mapping[str, Any]:
    return {} if found is None or isinstance(found, NotAsked) else found


def _bucket(service: Service, ask: Ask, wanted: Bucket) -> Part:
    found = ask(lambda: service("storage", "v1").buckets().get(bucket=wanted.name).execute())
    return Part(
        key="buckets",
        what=f"bucket {wanted.name}",
        made=wanted.given is None,
        state="hidden" if _refused(found) else _state(found),
        got=str(_of(found).get("location", "")).lower(),
        tags=_of(found).get("labels", {}),
    )


def _registry(service: Service, ask: Ask, cluster: Gke, wanted: Registry, apis: Apis) -> Part:
    path = wanted.given or f"projects/{cluster.project}/locations/{cluster.region}/repositories/{wanted.name}"
    repositories = service("artifactregistry", "v1").projects().locations().repositories()
    found = ask(lambda: repositories.get(name=path).execute())
    form = _of(found).get("format", "DOCKER")
    none = wanted.given is None and _refused(found) and _off("artifactregistry.googleapis.com", apis)
    return Part(
        key="registries",
        what=f"repository {wanted.url}",
        made=wanted.given is None,
        state="absent" if none else _state(found),
        got=form.lower(),
        fault="" if form == "DOCKER" else f"of the format {form.lower()}: nodes pull docker images",
        tags=_of(found).get("labels", {}),
    )


def _zone(service: Service, ask: Ask, cluster: Gke, wanted: Zone, apis: Apis) -> Part:
    project, name = cluster.project, wanted.name
    if wanted.given is not None:
        _, project, _, name = wanted.given.split("/")
    found = ask(lambda: service("dns", "v1").managedZones().get(project=project, managedZone=name).execute())
    none = wanted.given is None and _refused(found) and _off("dns.googleapis.com", apis)
    return Part(
        key="dns",
        what=f"zone {name}",
        made=wanted.given is None,
        state="absent" if none else _state(found),
        got=f"{_of(found).get('visibility', '')}, {_of(found).get('dnsName', '')}",
        fault=_fault(_of(found), wanted, cluster) if wanted.given and _of(found) else "",
        tags=_of(found).get("labels", {}),
    )


def _fault(found: Mapping[str, Any], wanted: Zone, cluster: Gke) -> str:
    if found.get("visibility") != "private":
        return "a public zone"
    if found.get("dnsName") != f"{wanted.domain}.":
        return f"the zone of {str(found.get('dnsName')).removesuffix('.')}, not of {wanted.domain}"
    named = [each["networkUrl"] for each in found.get("privateVisibilityConfig", {}).get("networks", ())]
    network = (cluster.network.id or "").rpartition("/")[2]
    if not any(url.rpartition("/")[2] == network for url in named):
        return f"network {network} is not one of those that see it"
    return ""
