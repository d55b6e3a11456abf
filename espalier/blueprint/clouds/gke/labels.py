"""Labels of Google Cloud's resources, made of the stack's portable tags.

Keys and values hold lower-case letters, digits, - and _, at most 63 characters, a key a letter first. Source: Google
Cloud, "Requirements for labels".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from espalier.settings.gke import Gke
from espalier.settings.tree import path_text
from espalier.types import Mistake

_OURS = ("espalier-cluster", "managed-by")


def labels_of(cluster: Gke) -> dict[str, str]:
    """Labels of everything that is made for the cluster, sorted."""
    own = {_key(key): _value(value) for key, value in cluster.tags.items()}
    return dict(sorted({**own, "espalier-cluster": cluster.name, "managed-by": "espalier"}.items()))


def changed(cluster: Gke) -> Mapping[str, str]:
    """Tags that Google Cloud does not take as they are -> what they become."""
    return {
        f"{key}={value}": f"{_key(key)}={_value(value)}"
        for key, value in sorted(cluster.tags.items())
        if (_key(key), _value(value)) != (key, value)
    }


def label_mistakes(cluster: Gke) -> Iterator[Mistake]:
    """Tags that become one label, or one of Espalier's own."""
    seen: dict[str, str] = {}
    for key in sorted(cluster.tags):
        path, label = path_text((key,), "espalier:cluster.tags"), _key(key)
        if label in _OURS:
            yield Mistake(path, key, f"nothing: Espalier sets the label {label} itself", "Remove it, or rename it.")
        elif seen.setdefault(label, key) != key:
            got = f"{key}, the label {label} of Google Cloud, as {seen[label]} is"
            yield Mistake(path, got, "tags that differ in lower-case letters, digits, - and _", "Rename one of them.")


def _key(text: str) -> str:
    found = _value(text)
    return found if found[:1].isalpha() else f"t-{found}"[:63]


def _value(text: str) -> str:
    return re.sub(r"[^a-z0-9_-]", "-", text.lower())[:63]
