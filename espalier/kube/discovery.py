"""Which kinds an API server serves, at which path, with a namespace or without."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from espalier.kube.errors import ApiError, UnknownKindError
from espalier.kube.kinds import Kind


@dataclass(frozen=True)
class ApiResource:
    """How one kind is served."""

    plural: str
    namespaced: bool


class Discovery:
    """Asks once for each group and version, and once more when a kind is not found (a CRD came since)."""

    def __init__(self, get: Callable[[str], Any]) -> None:
        self._get = get
        self._lock = threading.Lock()
        self._known: dict[str, dict[str, ApiResource]] = {}

    def find(self, kind: Kind) -> ApiResource:
        """Gives the kind's resource. Raises UnknownKindError."""
        with self._lock:
            known = self._known.get(kind.api_version)
            if known is None or kind.kind not in known:
                known = self._known[kind.api_version] = self._fetch(kind)
        if kind.kind not in known:
            raise UnknownKindError(kind)
        return known[kind.kind]

    def path(self, kind: Kind, namespace: str | None = None, name: str | None = None) -> str:
        """Gives the path of one object, or without a name of the collection."""
        resource = self.find(kind)
        parts = [group_path(kind.api_version)]
        if resource.namespaced and namespace:
            parts.append(f"namespaces/{namespace}")
        parts.append(resource.plural)
        if name:
            parts.append(name)
        return "/".join(parts)

    def _fetch(self, kind: Kind) -> dict[str, ApiResource]:
        try:
            answer = self._get(group_path(kind.api_version))
        except ApiError as error:
            if error.status == 404:
                return {}
            raise
        return {
            item["kind"]: ApiResource(item["name"], item["namespaced"])
            for item in answer["resources"]
            if "/" not in item["name"]
        }


def group_path(api_version: str) -> str:
    """Gives the path under which a group and version are served."""
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
