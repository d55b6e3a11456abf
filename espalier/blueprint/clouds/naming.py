"""Physical names of node groups: readable, unique, within a cloud's limits, with the generation at the end."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

GENERATION = 5


def generation_of(fixed: Mapping[str, Any]) -> str:
    """Five hexadecimal digits that change with what cannot change in place. `fixed` holds plain JSON values."""
    return hashlib.sha256(json.dumps(fixed, sort_keys=True, default=str).encode()).hexdigest()[:GENERATION]


def physical(stem: str, generation: str, limit: int, *, joint: str = "-") -> str:
    """`<stem>-<generation>`, the stem cut to fit `limit` characters; a cut stem is told apart by a digest of it."""
    room = limit - len(joint) - len(generation)
    if len(stem) > room:
        digest = hashlib.sha256(stem.encode()).hexdigest()[:4]
        stem = stem[: room - len(digest)].rstrip("-") + digest
    return f"{stem}{joint}{generation}"
