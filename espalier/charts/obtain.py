"""Brings one remote source here: from its own hosts, or from a mirror that stands for all of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import yaml

from espalier.charts.cache import PREFIX, digest_of
from espalier.charts.download import Downloader
from espalier.charts.errors import DigestError, SourceError
from espalier.charts.registry import api_of
from espalier.content import ChartSource, Source

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CHART_LAYER = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
_SHOWN = 5
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Mirror:
    """Stands for all hosts: `<mirror>/<host>/<path>` instead of `https://<host>/<path>`, also for registries.

    `place` is a URL or a folder. A folder may also be a carried cache: `<mirror>/sha256/<hex>`.
    """

    place: str
    base: Path
    """What a relative folder is relative to."""

    @property
    def folder(self) -> Path | None:
        return None if "://" in self.place else self.base / Path(self.place).expanduser()

    def address(self, address: str) -> str:
        """The mirror's address of an https:// or oci:// one."""
        return f"{self.place.rstrip('/')}/{address.partition('://')[2]}"


def obtain(source: Source, pinned: str, downloader: Downloader, mirror: Mirror | None) -> bytes:
    """The archive or file that a source names.

    `pinned` is the digest it must have, "" where none is known yet. Raises SourceError; DigestError names both digests.
    """
    folder = mirror.folder if mirror else None
    data = _from_folder(source, pinned, folder) if folder else _from_network(source, downloader, mirror)
    got = digest_of(data)
    if pinned and got != pinned:
        do = "Find out why it changed. If the change is right, remove the add-on's entry from the lock and fetch again."
        raise DigestError(source.address, got, pinned, do)
    return data


def _from_folder(source: Source, pinned: str, folder: Path) -> bytes:
    carried = folder / "sha256" / pinned.removeprefix(PREFIX)
    try:
        if pinned and carried.is_file():
            return carried.read_bytes()
        if not isinstance(source, ChartSource):
            return _copy(source.address, folder).read_bytes()
        if source.repo.startswith("oci://"):
            do = "Carry the cache of a machine that has fetched it: its sha256/ folder, and the lock."
            raise SourceError(f"{folder} holds no file of {source.address} {source.version}", do)
        url, _ = _of_index(source, _copy(_index_of(source.repo), folder).read_bytes())
        return _copy(url, folder).read_bytes()
    except OSError as error:
        do = "Copy it there, or carry the cache of a machine that has fetched it: its sha256/ folder."
        raise SourceError(f"{error.filename} cannot be read: {error.strerror}", do) from None


def _copy(url: str, folder: Path) -> Path:
    return folder / url.partition("://")[2]


def _from_network(source: Source, downloader: Downloader, mirror: Mirror | None) -> bytes:
    def at(address: str) -> str:
        return mirror.address(address) if mirror else address

    if not isinstance(source, ChartSource):
        return downloader.get(at(source.address))
    if source.repo.startswith("oci://"):
        return _from_registry(at(source.address), source.version, downloader)
    index = downloader.get(at(_index_of(source.repo)), repository=at(source.repo))
    url, digest = _of_index(source, index)
    data = downloader.get(at(url), repository=at(source.repo))
    if digest and digest_of(data) != digest:
        raise SourceError(f"{url} has the digest {digest_of(data)}, its index.yaml says {digest}", "Fetch again later.")
    return data


def _index_of(repo: str) -> str:
    return f"{repo.rstrip('/')}/index.yaml"


def _of_index(source: ChartSource, index: bytes) -> tuple[str, str]:
    """The URL of a chart's archive, and its digest where the index has one."""
    try:
        content = yaml.load(index, _Loader)  # noqa: S506 - a safe loader
    except yaml.YAMLError:
        content = None
    if not isinstance(content, dict):
        raise SourceError(f"{_index_of(source.repo)} is no index of charts", "Correct the repository's URL.")
    entries = _mapping(content.get("entries"))
    versions = [_mapping(row) for row in entries.get(source.name) or []]
    if not versions:
        do = f"Correct the name; the repository has {', '.join(sorted(entries)[:_SHOWN]) or 'no charts'}."
        raise SourceError(f"{source.repo} has no chart {source.name}", do)
    for row in versions:
        if str(row.get("version")) == source.version and row.get("urls"):
            digest = str(row.get("digest") or "").removeprefix(PREFIX)
            return urljoin(f"{source.repo.rstrip('/')}/", str(row["urls"][0])), PREFIX + digest if digest else ""
    known = ", ".join(str(row.get("version")) for row in versions[:_SHOWN])
    raise SourceError(f"{source.address} has no version {source.version}", f"Name one that it has, such as {known}.")


def _from_registry(address: str, version: str, downloader: Downloader) -> bytes:
    """A chart from an OCI registry: its manifest by tag, then the one layer that is the chart."""
    parts = urlsplit(address)
    base = api_of(parts.netloc, parts.path.removeprefix("/"))
    tag = version.replace("+", "_")  # as Helm writes it: a tag takes no +
    try:
        manifest = _mapping(json.loads(downloader.get(f"{base}/manifests/{tag}", accept=_MANIFEST)))
    except ValueError:
        manifest = {}
    layers = [_mapping(layer) for layer in manifest.get("layers") or []]
    digests = [str(layer.get("digest")) for layer in layers if layer.get("mediaType") == _CHART_LAYER]
    if not digests:
        raise SourceError(f"{address}:{version} is not a Helm chart", "Correct the address.")
    data = downloader.get(f"{base}/blobs/{digests[0]}")
    if digest_of(data) != digests[0]:
        raise SourceError(f"{address} has the digest {digest_of(data)}, its manifest says {digests[0]}", "Fetch again.")
    return data


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
