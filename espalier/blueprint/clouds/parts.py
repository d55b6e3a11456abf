"""Buckets, registries and the private DNS zone of a cluster: what all clouds decide alike, and refuse alike."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from espalier.blueprint.clouds.naming import physical
from espalier.settings.cloud import CloudCluster
from espalier.settings.parts import Bucket as AskedBucket
from espalier.settings.parts import Registry as AskedRegistry
from espalier.types import Mistake

AT: Final = "espalier:cluster"
_DIGEST: Final = 8
_OF_CLUSTERS: Final = ("cluster.local", "svc", "localhost", "in-addr.arpa")
"""Domains that a cluster's own DNS answers, or nobody does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A bucket, made or there."""

    key: str
    """Its name in the stack file: the names of its resources end with it."""
    name: str
    """Its name in the cloud; in Azure the container's."""
    url: str
    """As the cloud's own tools name it."""
    given: str | None
    """The id of one that is there."""
    old_versions: int
    """Days that old versions of objects are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """A registry, made or there."""

    key: str
    name: str
    """Its name in the cloud."""
    url: str
    """What images' names begin with; a host, in AWS and Google Cloud with a path."""
    given: str | None
    untagged: int
    """Days that images without a tag are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """A private DNS zone, made or there."""

    domain: str
    name: str
    """Its name in the cloud."""
    given: str | None
    linked: bool
    """Espalier lets the cluster's network resolve it; else it does already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What stands beside the cluster."""

    buckets: tuple[Bucket, ...] = ()
    registries: tuple[Registry, ...] = ()
    zone: Zone | None = None

    @property
    def makes_buckets(self) -> bool:
        """Whether any bucket is made."""
        return any(bucket.given is None for bucket in self.buckets)

    @property
    def makes_registries(self) -> bool:
        """Whether any registry is made."""
        return any(registry.given is None for registry in self.registries)


def world_wide(stem: str, place: str, limit: int) -> str:
    """A name that no one else has: the stem, cut to fit, and a digest of the place that it is made in."""
    return physical(stem, hashlib.sha256(place.encode()).hexdigest()[:_DIGEST], limit)


def fitting(stem: str, limit: int) -> str:
    """The stem, cut to fit; a cut one is told apart by a digest of it."""
    return physical(stem, "", limit, joint="")


def common_mistakes(cluster: CloudCluster, domains: Sequence[str], *, given: bool) -> Iterator[Mistake]:
    """What no cloud can do. `domains` are the cloud's own, which a zone would hide; `given`: the cluster is there."""
    parts = {"buckets": cluster.buckets, "registries": cluster.registries, "dns": cluster.dns}
    if given:
        for key in (key for key, asked in parts.items() if asked):
            do = "Remove it, or remove `given`, and Espalier makes the cluster."
            yield Mistake(f"{AT}.{key}", "a part of a cluster that is made", "nothing beside `given`", do)
        return
    yield from _unique("buckets", cluster.buckets)
    yield from _unique("registries", cluster.registries)
    yield from _unused("old-versions", "buckets", cluster.buckets)
    for index, bucket in enumerate(cluster.buckets):
        if bucket.id is None and bucket.region is not None:
            accepted = f"no region: a bucket that is made is in {cluster.region}, as the cluster"
            yield Mistake(f"{AT}.buckets[{index}].region", bucket.region, accepted, "Remove it, or name one by its id.")
    yield from _unused("untagged", "registries", cluster.registries)
    if cluster.dns is not None:
        for domain in (*_OF_CLUSTERS, *domains):
            if cluster.dns.zone == domain or cluster.dns.zone.endswith(f".{domain}"):
                accepted = f"a domain that is not under {domain}: the network would lose that"
                yield Mistake(f"{AT}.dns.zone", cluster.dns.zone, accepted, "Name a domain of your own.")


def _unique(key: str, asked: Sequence[AskedBucket | AskedRegistry]) -> Iterator[Mistake]:
    names: dict[str, int] = {}
    ids: dict[str, int] = {}
    for index, one in enumerate(asked):
        for field, text, seen in (("name", one.name, names), ("id", one.id, ids)):
            if text is not None and seen.setdefault(text, index) != index:
                got = f"{text}, which is {key}[{seen[text]}] already"
                yield Mistake(
                    f"{AT}.{key}[{index}].{field}", got, f"each {field} once", "Rename or remove one of them."
                )


def _unused(field: str, key: str, asked: Sequence[AskedBucket | AskedRegistry]) -> Iterator[Mistake]:
    attribute = field.replace("-", "_")
    for index, one in enumerate(asked):
        if one.id is not None and attribute in one.model_fields_set:
            do = "Remove it: what is named by its id stays as it is."
            got = str(getattr(one, attribute))
            yield Mistake(f"{AT}.{key}[{index}].{field}", got, "nothing beside `id`", do)
