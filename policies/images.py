"""Tells an image reference that always means the same image from one that moves."""

from __future__ import annotations

import re

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
# A release of three numbers (v1.2.3, 2.4.0-cuda12.4), a day (20240513), or a commit (17b1956c, sha-17b1956).
_RELEASE = re.compile(r"(?<![0-9])[0-9]+[.-][0-9]+[.-][0-9]+", re.ASCII)
_DAY = re.compile(r"(?<![0-9])20[0-9]{6}(?![0-9])", re.ASCII)
_COMMIT = re.compile(r"(?:^|[.-])(?=[a-f]*[0-9])[0-9a-f]{7,40}(?:$|[.-])", re.ASCII)
# Projects whose releases have two numbers, and are not made again: NVIDIA's monthly containers, and SeaweedFS.
_TWO = re.compile(r"(^|/)(nvcr\.io/nvidia|chrislusf)/[^:]+:[0-9]+\.[0-9]+(-[a-z0-9]+)*$", re.ASCII)
_MOVES = frozenset(("latest", "nightly", "snapshot", "edge", "dev", "head", "main", "master", "canary"))


def why_not_pinned(reference: str) -> str:
    """Why the reference may mean another image tomorrow, or "" if it is pinned by digest or by a full version."""
    rest, has_digest, digest = reference.partition("@")
    if has_digest:
        return "" if _DIGEST.fullmatch(digest) else "its digest is malformed"
    name, colon, tag = rest.rpartition(":")
    if not colon or "/" in tag:  # the colon of a registry's port
        return "it has no tag, which means latest"
    if not name or not _TAG.fullmatch(tag):
        return "it is no valid image reference"
    if _DAY.search(tag) or _COMMIT.search(tag):
        return ""
    if moving := _MOVES.intersection(re.split(r"[._-]", tag.lower())):
        return f"tag {tag} moves ({min(moving)})"
    if _RELEASE.search(tag) or _TWO.search(rest):
        return ""
    return f"tag {tag} is no full version (as 1.2.3), so it may move"


def is_placeholder(reference: str) -> bool:
    """Whether something else fills in the reference later, as workflow engines do."""
    return "{{" in reference or "$(" in reference
