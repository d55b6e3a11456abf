"""Upstream's manifests as the content of add-ons: what a render gives, where no chart can be fetched.

They were rendered with upstream's own values, not with a record's: what these turn off is there, but for hooks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from espalier.addons import RECORDS
from espalier.blueprint.addon_rules import needs_of
from espalier.blueprint.order import plan_addons
from espalier.charts.objects import CRD, rules_of
from espalier.charts.tool import Item
from espalier.content import is_hook
from espalier.types import AddonInputs, AddonRecord, Facts, PoolFacts

UPSTREAM: Final = Path(__file__).parents[2].parent / "shared" / "upstream"
FOLDERS: Final[Mapping[str, tuple[str, ...]]] = {
    "emissary-crds": ("emissary-ingress",),
    "kserve": ("kserve-resources",),
    "nvidia-gpu-operator": ("gpu-operator",),
    "seldon-core-v2-crds": ("seldon-core-v2",),
}
"""Where upstream's facts of a record have another name, or come in parts."""
ABSENT: Final[Mapping[str, str]] = {"istio-cni": "upstream/ has the other charts of Istio"}
"""What others need and upstream/ lacks: it is in a stack with the record's own objects alone."""
SUBCHARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "amd-gpu-operator": ("node-feature-discovery", "nfd", "kmm", "remediation", "argo"),
    "kubeflow-pipelines": ("workflow-controller",),
    "kubeflow-trainer": ("runtimes-installer",),
    "network-operator": ("node-feature-discovery",),
    "nvidia-gpu-operator": ("node-feature-discovery", "nfd"),
}
"""Parts that a record's values turn off or its folders lack, by the names of their objects or definitions' groups."""
ON_THE_HOST: Final = frozenset({"nuclio", "seaweedfs"})
"""Whose pods upstream's own values give paths of the host, which the record's take away."""
EXAMPLES: Final[Mapping[str, Any]] = {
    "dragonfly": {
        "externalMysql": {"host": "mysql.example.com"},
        "externalRedis": {"addrs": ["redis.example.com:6379"]},
    },
    "external-dns": {"provider": {"name": "aws"}, "txtOwnerId": "test", "domainFilters": ["example.com"]},
    "feast-feature-server": {"feature_store_yaml_base64": "cHJvamVjdDogZXhhbXBsZQo="},
    "nuclio": {"registry": {"pushPullUrl": "registry.example.com/functions"}},
    "seaweedfs": {"s3": {"existingConfigSecret": "s3-users"}},
    "velero": {
        "configuration": {"backupStorageLocation": [{"name": "default", "provider": "aws", "bucket": "backups"}]},
        "initContainers": [{"name": "aws", "image": "docker.io/velero/velero-plugin-for-aws:v1.14.1"}],
    },
}
"""Values that a stack must give."""
OPTIONS: Final[Mapping[str, dict[str, Any]]] = {
    "dex": {
        "gateway": "own",
        "connectors": [
            {
                "type": "oidc",
                "id": "corp",
                "issuer": "https://login.example.com",
                "client-id": "dex",
                "client-secret": {"name": "directory", "key": "secret"},
            }
        ],
    },
    "jupyterhub": {
        "login": {
            "authorize-url": "https://login.example.com/auth",
            "token-url": "https://login.example.com/token",
            "userdata-url": "https://login.example.com/userinfo",
            "callback-url": "https://hub.example.com/hub/oauth_callback",
            "client-id": "jupyterhub",
            "groups": ["ml-users"],
        }
    },
    "oauth2-proxy": {
        "url": "https://ml.example.com",
        "gateway": "own",
        "secret": "oauth2-proxy",
        "email-domains": ["example.com"],
    },
}
"""Options without which there is no such add-on."""
FILES: Final = ("crds.yaml", "manifests.yaml", "hooks.yaml")


def folders_of(id: str) -> tuple[str, ...]:
    """The folders that hold a record's content; none where upstream/ lacks it."""
    named = FOLDERS.get(id, (id,))
    return named if all((UPSTREAM / name / "source.yaml").is_file() for name in named) else ()


@cache
def listed(id: str) -> Sequence[str]:
    """The images of upstream's own list for a record; none where there is no list."""
    files = (UPSTREAM / folder / "images.txt" for folder in folders_of(id))
    return sorted({line for file in files if file.is_file() for line in file.read_text("utf-8").split()})


@cache
def items_of(id: str) -> Sequence[Item]:
    """What its render gives, if it is rendered; each namespace that upstream rendered for is the record's."""
    content = RECORDS[id].content
    if content is None:
        return ()
    found: list[Item] = []
    for folder in folders_of(id):
        theirs = str(read(folder, "source.yaml")[0].get("namespace") or content.namespace)
        for file in FILES[:1] if id.endswith("-crds") else FILES:
            for one in read(folder, file):
                moved = _moved(one, theirs, content.namespace)
                if _is_wanted(RECORDS[id], moved):
                    found.append(Item(f"{folder}/{file}", file == "crds.yaml", moved))
    return found


@cache
def read(folder: str, file: str) -> Sequence[Any]:
    """All documents of a file; none where it is not there."""
    path = UPSTREAM / folder / file
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # some definitions are megabytes
    return [one for one in yaml.load_all(path.read_text("utf-8"), loader) if one] if path.is_file() else []


def staged(
    self: Any, id: str, record: AddonRecord, inputs: AddonInputs, progress: Any
) -> tuple[Sequence[Item], Path, str]:
    """In place of a render from the cache, as `espalier.charts.stage.Stage` asks for it."""
    del self, inputs, progress
    assert record.content is not None
    return items_of(id), UPSTREAM / id, f"sha256:{'0' * 64}"


def can_be_staged(id: str) -> bool:
    """Whether what it consists of is known here."""
    record = RECORDS[id]
    return record.state != "retired" and (record.content is None or bool(folders_of(id)) or id in ABSENT)


def together(
    facts: Facts, pools: Sequence[PoolFacts], first: Sequence[str] = ()
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """As many add-ons as exclude nobody, `first` before the others by name; and why each of the others is not among
    them."""
    chosen: dict[str, dict[str, Any]] = {}
    left: dict[str, str] = {}
    for id in dict.fromkeys([*first, *sorted(RECORDS)]):
        if RECORDS[id].state == "retired":
            continue
        tried = {**chosen, **{one: options_of(one) for one in _closure(id, facts)}}
        absent = [one for one in tried if not can_be_staged(one)]
        _, mistakes = plan_addons(tried, RECORDS, facts, pools, licences=("BUSL-1.1",))
        if absent:
            left[id] = f"upstream/ has no folder of {', '.join(absent)}"
        elif mistakes:
            left[id] = mistakes[0].text()
        else:
            chosen = tried
    return chosen, left


def options_of(id: str) -> dict[str, Any]:
    """The least that a stack says of it."""
    return OPTIONS.get(id) or ({"values": EXAMPLES[id]} if id in EXAMPLES else {})


def _closure(id: str, facts: Facts) -> list[str]:
    found, asked = [id], [id]
    while asked:
        more = sorted((needs_of(RECORDS[asked.pop()], facts) - set(found)) & set(RECORDS))
        found += more
        asked += more
    return found


def _is_wanted(record: AddonRecord, one: Mapping[str, Any]) -> bool:
    """Not so what a record's values turn off: hooks without a rule, definitions that it does not name, subcharts."""
    content, name = record.content, str(one["metadata"]["name"])
    assert content is not None
    if one["kind"] == CRD and content.facts is not None and content.facts.crds:
        return name in content.facts.crds
    if any(part in name for part in SUBCHARTS.get(record.id, ())):
        return False
    named = f"{one['kind']}/{name}"
    has_rule = content.hooks == "release" or any(fnmatchcase(named, rule) for rule in rules_of(content))
    return has_rule or not is_hook(one)


def _moved(value: Any, theirs: str, ours: str) -> Any:
    if isinstance(value, dict):
        return {
            key: ours if key == "namespace" and child == theirs else _moved(child, theirs, ours)
            for key, child in value.items()
        }
    return [_moved(child, theirs, ours) for child in value] if isinstance(value, list) else value
