"""What Kubernetes itself serves: group-versions and kinds, and which kinds live in namespaces.

Source: kubernetes v1.36.3, api/discovery/*.json; versions that are generally available, kinds that can be created.
Charts ask for these by `.Capabilities.APIVersions.Has`, and are told the same on every cluster of a minor version.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

_FILE = Path(__file__).parent / "data" / "apis.json"
_SINCE = {
    ("networking.k8s.io/v1", "IPAddress"): 33,
    ("networking.k8s.io/v1", "ServiceCIDR"): 33,
    ("resource.k8s.io/v1", ""): 34,
    ("storage.k8s.io/v1", "VolumeAttributesClass"): 34,
    ("admissionregistration.k8s.io/v1", "MutatingAdmissionPolicy"): 36,
    ("admissionregistration.k8s.io/v1", "MutatingAdmissionPolicyBinding"): 36,
}
"""The minor version of Kubernetes 1 that first served it so, where that is later than 1.31. Source: the changelogs."""


@cache
def _table() -> Mapping[str, Mapping[str, bool]]:
    return json.loads(_FILE.read_text("utf-8"))


def api_versions(minor_version: str, further: Iterable[str] = ()) -> list[str]:
    """All that a chart may find on a cluster of a minor version such as "1.36", and what its record adds; sorted."""
    minor = int(minor_version.partition(".")[2])
    found = set(further) | {text.rpartition("/")[0] for text in further if text.count("/") == 2}
    for group_version, kinds in _table().items():
        if _SINCE.get((group_version, ""), 0) <= minor:
            served = {kind for kind in kinds if _SINCE.get((group_version, kind), 0) <= minor}
            found |= {group_version} | {f"{group_version}/{kind}" for kind in served}
    return sorted(found)


def namespaced(api_version: str, kind: str) -> bool | None:
    """Whether objects of a kind live in namespaces; None for a kind that is not Kubernetes' own."""
    found = _table().get(api_version, {}).get(kind)
    if found is None and "/" in api_version and "." not in api_version.partition("/")[0]:
        return True  # beta versions of Kubernetes' own groups, such as batch/v1beta1
    return found
