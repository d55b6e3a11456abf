"""What an OCI registry says of an image, by the distribution API: its digest, and the processors it is built for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from espalier.charts.cache import digest_of
from espalier.charts.download import Downloader
from espalier.charts.errors import DigestError, SourceError
from espalier.charts.images import full_name

_LOOPBACK: Final = ("127.0.0.1", "localhost")
_INDEXES: Final = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_MANIFESTS: Final = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
ACCEPT: Final = ", ".join((*_INDEXES, *_MANIFESTS))


def api_of(host: str, repository: str) -> str:
    """The URL that a repository's manifests and blobs lie under; of Docker Hub, where its API is."""
    host = "registry-1.docker.io" if host == "docker.io" else host
    scheme = "http" if urlsplit(f"//{host}").hostname in _LOOPBACK else "https"
    return f"{scheme}://{host}/v2/{repository}"


@dataclass(frozen=True, slots=True)
class Reference:
    """An image's name in its parts, as container runtimes complete it. `digest` is "" where none is pinned."""

    host: str
    repository: str
    tag: str
    digest: str

    @classmethod
    def of(cls, image: str) -> Reference:
        named, _, digest = full_name(image).partition("@")
        host, _, path = named.partition("/")
        folder, slash, last = path.rpartition("/")
        name, _, tag = last.partition(":")
        return cls(host, f"{folder}{slash}{name}", tag or ("" if digest else "latest"), digest)

    @property
    def name(self) -> str:
        """Without tag and digest."""
        return f"{self.host}/{self.repository}"


@dataclass(frozen=True, slots=True)
class Found:
    """An image as its registry has it. `platforms` are like linux/amd64, sorted; empty where nothing says them."""

    digest: str
    platforms: tuple[str, ...]


def look_up(reference: Reference, downloader: Downloader) -> Found:
    """Asks the image's registry. Raises SourceError where it does not say; DigestError where it serves other bytes."""
    base = api_of(reference.host, reference.repository)
    url = f"{base}/manifests/{reference.digest or reference.tag}"
    data = downloader.get(url, accept=ACCEPT)
    digest = digest_of(data)
    if reference.digest and digest != reference.digest:
        raise DigestError(url, digest, reference.digest, "Find out why the registry serves other bytes; trust none.")
    content = _mapping(data)
    if isinstance(content.get("manifests"), list):
        return Found(digest, tuple(sorted({*map(_platform, content["manifests"])} - {""})))
    config = _inner(content.get("config")).get("digest")
    if content.get("schemaVersion") != 2 or not config:
        raise SourceError(f"{url} is no image that can be read", "Check the name, or ask who runs the registry.")
    blob = downloader.get(f"{base}/blobs/{config}")
    if digest_of(blob) != config:
        raise SourceError(
            f"{url}: its configuration has the digest {digest_of(blob)}, not {config}", "Ask again later."
        )
    return Found(digest, tuple(filter(None, (_platform({"platform": _mapping(blob)}),))))


def _platform(row: Any) -> str:
    """As runtimes write it; "" for what is no image: attestations say unknown/unknown."""
    platform = _inner(_inner(row).get("platform"))
    parts = [str(platform.get(key) or "") for key in ("os", "architecture", "variant")]
    return "" if "unknown" in parts or not all(parts[:2]) else "/".join(filter(None, parts))


def _mapping(data: bytes) -> Mapping[str, Any]:
    try:
        return _inner(json.loads(data))
    except ValueError:
        return {}


def _inner(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
