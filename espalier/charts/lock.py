"""`stacks/<env>.lock`: which content each add-on of an environment has, to the byte, and what a render of it held.

Written by `espalier fetch`, read by all else, committed with the stack file. Sorted YAML, so that it differs only
where content does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from espalier.content import ContentFacts, Source, is_remote
from espalier.types import Mistake, Mistakes
from espalier.whole import write_whole

HEADER = "# Written by `espalier fetch`; commit it. Each source is pinned by its digest.\n"
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
DIGEST = r"^sha256:[0-9a-f]{64}$"


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    objects: list[str] = []
    crds: list[str] = []
    images: list[str] = []


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    source: str
    version: str
    digest: str = Field(default="", pattern=f"{DIGEST}|^$")
    facts: _Facts = _Facts()


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    version: int = Field(ge=1, le=1)
    sources: dict[str, _Entry] = {}


@dataclass(frozen=True, slots=True)
class Entry:
    """One add-on's pin. `digest` is "" for a source beside the stack files."""

    source: str
    version: str
    digest: str
    facts: ContentFacts = field(default_factory=ContentFacts)

    def fits(self, source: Source) -> bool:
        """Whether this pins what the record names now."""
        return self.source == source.address and self.version == source.version

    def is_left_by(self, source: Source) -> bool:
        """Whether the record names another fetched source now: an upgrade, which people see before it is pinned."""
        return bool(self.digest) and is_remote(source) and not self.fits(source)


def read_lock(path: Path) -> dict[str, Entry]:
    """The pins by add-on; none where there is no file. Raises Mistakes for a file that is not a lock."""
    try:
        content = yaml.load(path.read_text("utf-8"), _Loader)  # noqa: S506 - a safe loader
    except FileNotFoundError:
        return {}
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise Mistakes([_broken(path, str(error).splitlines()[0], "")]) from None
    try:
        file = _File.model_validate(content)
    except ValidationError as error:
        faults = [(".".join(map(str, fault["loc"])), fault["msg"]) for fault in error.errors()]
        raise Mistakes([_broken(path, message, key) for key, message in faults]) from None
    return {
        id: Entry(entry.source, entry.version, entry.digest, ContentFacts(*_tuples(entry.facts)))
        for id, entry in file.sources.items()
    }


def _tuples(facts: _Facts) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    return tuple(facts.objects), tuple(facts.crds), tuple(facts.images)


def _broken(path: Path, got: str, key: str) -> Mistake:
    where = f"{path.name}: {key}" if key else path.name
    return Mistake(where, got, "a lock as `espalier fetch` writes it", "Restore it, or remove it and fetch again.")


def write_lock(path: Path, entries: Mapping[str, Entry]) -> bool:
    """Writes the lock unless it says the same already; tells whether it was written."""
    rows: dict[str, Any] = {
        id: {
            "source": entry.source,
            "version": entry.version,
            **({"digest": entry.digest} if entry.digest else {}),
            "facts": {
                "objects": list(entry.facts.objects),
                "crds": list(entry.facts.crds),
                "images": list(entry.facts.images),
            },
        }
        for id, entry in sorted(entries.items())
    }
    text = HEADER + yaml.safe_dump({"version": 1, "sources": rows}, sort_keys=False, allow_unicode=True, width=1000)
    try:
        if path.is_file() and path.read_text("utf-8") == text:
            return False
        write_whole(path, text)
    except OSError as error:
        got = f"{path}: {error.strerror}"
        do = "Make room, or mend its permissions."
        raise Mistakes([Mistake("lock", got, "a file that can be written", do)]) from None
    return True


def is_digest(text: str) -> bool:
    """Whether the text is a digest as locks write it."""
    return re.fullmatch(DIGEST, text) is not None
