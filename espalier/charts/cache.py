"""The content-addressed cache: files by the SHA-256 of their content, and renders by the hash of what went in.

Layout: `sha256/<hex>` (what was fetched; an air-gapped site carries this folder) and `renders/<hex>.json`.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from espalier.charts.errors import SourceError

PREFIX = "sha256:"


def digest_of(data: bytes) -> str:
    """The digest as locks write it: sha256:<64 hex digits>."""
    return PREFIX + hashlib.sha256(data).hexdigest()


def default_folder() -> Path:
    """The user's cache; the XDG base directory specification has relative paths ignored."""
    value = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(value) if os.path.isabs(value) else Path.home() / ".cache"
    return root / "espalier" / "charts"


class Cache:
    """One folder. Two commands may use it at once: files appear whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, digest: str) -> Path:
        return self.folder / "sha256" / digest.removeprefix(PREFIX)

    def has(self, digest: str) -> bool:
        return self.path(digest).is_file()

    def checked(self, digest: str) -> Path:
        """The file of this digest. Raises SourceError, with both digests, where its content is another."""
        path = self.path(digest)
        got = digest_of(path.read_bytes())
        if got != digest:
            do = "Remove the file and fetch again: it was changed after it was fetched."
            raise SourceError(f"{path} has the digest {got}, the lock says {digest}", do)
        return path

    def put(self, data: bytes) -> str:
        """Keeps the bytes; gives their digest."""
        digest = digest_of(data)
        self._write(self.path(digest), data)
        return digest

    def render(self, key: str) -> Any:
        """An earlier render; None where there is none that can be read."""
        try:
            return json.loads((self.folder / "renders" / f"{key}.json").read_bytes())
        except (OSError, ValueError):
            return None

    def put_render(self, key: str, value: Any) -> None:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"))
        self._write(self.folder / "renders" / f"{key}.json", text.encode())

    def _write(self, path: Path, data: bytes) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                os.replace(name, path)
            finally:
                Path(name).unlink(missing_ok=True)
        except OSError as error:
            do = "Name a folder that can be written: espalier:sources.cache."
            raise SourceError(f"{path.parent} cannot be written: {error.strerror}", do) from None
