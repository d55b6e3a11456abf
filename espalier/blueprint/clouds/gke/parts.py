"""Cloud Storage buckets, Artifact Registry repositories and a private zone of Cloud DNS, beside a GKE cluster."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from espalier.blueprint.clouds.parts import AT, Bucket, Parts, Registry, Zone, common_mistakes, fitting, world_wide
from espalier.settings.gke import Gke
from espalier.settings.parts import Bucket as AskedBucket
from espalier.settings.parts import Registry as AskedRegistry
from espalier.types import Mistake

_NAME: Final = 63
"""Characters of a bucket's name and of a repository's, at most (Cloud Storage, bucket naming; Artifact Registry)."""
_BUCKET: Final = re.compile(r"^[a-z0-9][-a-z0-9_.]{1,220}[a-z0-9]$")
_REPOSITORY: Final = re.compile(
    r"^projects/([^/\s]+)/locations/([a-z][-a-z0-9]*)/repositories/([a-z]([-a-z0-9]{0,61}[a-z0-9])?)$"
)
_ZONE: Final = re.compile(r"^projects/([^/\s]+)/managedZones/([a-z]([-a-z0-9]{0,61}[a-z0-9])?)$")
_DOMAINS: Final = ("google.internal", "googleapis.com", "gcr.io", "pkg.dev", "gke.goog")
"""What nodes and pods reach Google by."""


def parts_of(cluster: Gke) -> Parts:
    """What stands beside a cluster without mistakes."""
    dns = cluster.dns
    return Parts(
        buckets=tuple(_bucket(cluster, asked) for asked in cluster.buckets),
        registries=tuple(_registry(cluster, asked) for asked in cluster.registries),
        zone=Zone(domain=dns.zone, name=f"{cluster.name}-private", given=dns.id, linked=dns.id is None)
        if dns
        else None,
    )


def _bucket(cluster: Gke, asked: AskedBucket) -> Bucket:
    place = f"{cluster.project}/{cluster.region}/{cluster.name}"
    name = asked.id or world_wide(f"{cluster.name}-{asked.name}", place, _NAME)
    return Bucket(key=asked.name, name=name, url=f"gs://{name}", given=asked.id, old_versions=asked.old_versions)


def _registry(cluster: Gke, asked: AskedRegistry) -> Registry:
    made = f"projects/{cluster.project}/locations/{cluster.region}/repositories/{fitting_name(cluster, asked)}"
    project, location, name = place_of(asked.id or made)
    url = f"{location}-docker.pkg.dev/{project.replace(':', '/')}/{name}"
    return Registry(key=asked.name, name=name, url=url, given=asked.id, untagged=asked.untagged)


def fitting_name(cluster: Gke, asked: AskedRegistry) -> str:
    """The name of a repository that is made: unique in its project and location."""
    return fitting(f"{cluster.name}-{asked.name}", _NAME)


def place_of(repository: str) -> tuple[str, str, str]:
    """Project, location and name of a repository's path."""
    parts = repository.split("/")
    return parts[1], parts[3], parts[5]


def email_of(account_id: str, project: str) -> str:
    """Email of a service account that is made; a project of a domain's, example.com:ml, is ml.example.com there."""
    owner = ".".join(reversed(project.split(":")))
    return f"{account_id}@{owner}.iam.gserviceaccount.com"


def part_mistakes(cluster: Gke) -> Iterator[Mistake]:
    """What Google Cloud cannot do of buckets, repositories and a zone."""
    yield from common_mistakes(cluster, _DOMAINS, given=cluster.given is not None)
    if cluster.given is not None:
        return
    for index, asked in enumerate(cluster.buckets):
        yield from _bucket_mistakes(cluster, asked, f"{AT}.buckets[{index}]")
    for index, registry in enumerate(cluster.registries):
        if registry.id is not None and not _REPOSITORY.match(registry.id):
            accepted = "projects/<project>/locations/<region>/repositories/<name>"
            do = "Write the repository's whole path."
            yield Mistake(f"{AT}.registries[{index}].id", repr(registry.id), accepted, do)
    yield from _zone_mistakes(cluster)


def _bucket_mistakes(cluster: Gke, asked: AskedBucket, path: str) -> Iterator[Mistake]:
    if asked.id is not None:
        if not _BUCKET.match(asked.id):
            accepted = "a bucket's name: 3 to 222 lower-case letters, digits, ., _ and -"
            yield Mistake(f"{path}.id", repr(asked.id), accepted, "Write its name alone, without gs://.")
        return
    name = parts_of(cluster).buckets[cluster.buckets.index(asked)].name
    if name.startswith("goog") or "google" in name:
        accepted = "a name that does not begin with goog and has no google in it: Cloud Storage refuses these"
        yield Mistake(f"{path}.name", f"bucket {name}", accepted, "Rename the cluster or the bucket.")


def _zone_mistakes(cluster: Gke) -> Iterator[Mistake]:
    dns = cluster.dns
    if dns is None or dns.id is None:
        return
    if not _ZONE.match(dns.id):
        yield Mistake(f"{AT}.dns.id", repr(dns.id), "projects/<project>/managedZones/<name>", "Write its whole path.")
    if cluster.network.id is None:
        accepted = "a zone of a given network: a zone names its networks itself, and stays as it is"
        do = "Name the network by network.id, too; or remove `id`, and the zone is made."
        yield Mistake(f"{AT}.dns.id", f"{dns.id}, with a network that is made", accepted, do)
