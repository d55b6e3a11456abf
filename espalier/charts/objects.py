"""What a renderer gave becomes objects that an API server takes: each once, complete, and told what it is for."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from espalier.charts.apis import namespaced
from espalier.charts.tool import Item
from espalier.content import HOOK, Content, HookRule, hook_events, is_hook, reference
from espalier.types import Mistake

CRD = "CustomResourceDefinition"
_HOOK_KEYS = (HOOK, "helm.sh/hook-weight", "helm.sh/hook-delete-policy", "helm.sh/hook-output-log-policy")
_POLICY = "helm.sh/resource-policy"
_BEFORE = {"pre-install", "pre-upgrade"}
_AFTER = {"post-install", "post-upgrade"}


@dataclass(frozen=True, slots=True)
class Object:
    """One object. `hook` is "before" or "after" for a hook that is kept, with its `weight`."""

    source: str
    manifest: dict[str, Any]
    hook: str = ""
    weight: int = 0
    retain: bool = False

    @property
    def kind(self) -> str:
        return str(self.manifest["kind"])


def objects_of(
    id: str, content: Content, items: Sequence[Item], scopes: Mapping[str, bool]
) -> tuple[list[Object], list[Mistake]]:
    """The objects of one add-on, in the order of the render, and all that is wrong with them.

    `scopes` tells by kind whether custom resources of the stack live in namespaces.
    """
    found: dict[str, Object] = {}
    mistakes: list[Mistake] = []
    by_helm = content.hooks == "release"
    for item in flat(items):
        if by_helm and is_hook(item.object):
            continue
        fault = fault_of(item.object)
        if fault:
            mistakes.append(_mistake(id, f"{item.source}: {fault}", "a Kubernetes object", "Correct the source."))
            continue
        made = _object(id, content, item, scopes)
        if isinstance(made, Mistake):
            mistakes.append(made)
        elif made is not None:
            name = reference(made.manifest)
            twin = found.setdefault(name, made)
            if twin.manifest != made.manifest:
                got = f"{name} from {twin.source}, and otherwise from {made.source}"
                mistakes.append(_mistake(id, got, "each object once", "Turn one of them off by the chart's values."))
    mistakes += _unused_rules(id, content, items)
    return list(found.values()), mistakes


def scopes_of(items: Iterable[Item]) -> dict[str, bool]:
    """Whether custom resources live in namespaces, by `group/Kind`, as the definitions among the objects say."""
    return {
        f"{item.object['spec']['group']}/{item.object['spec']['names']['kind']}": (
            item.object["spec"].get("scope") == "Namespaced"
        )
        for item in flat(items)
        if not fault_of(item.object) and item.object["kind"] == CRD and "names" in item.object.get("spec", {})
    }


def flat(items: Iterable[Item]) -> Iterator[Item]:
    """Lists taken apart, as kubectl does."""
    for item in items:
        obj = item.object
        if isinstance(obj, dict) and str(obj.get("kind", "")).endswith("List") and isinstance(obj.get("items"), list):
            yield from flat(Item(item.source, item.crd, each) for each in obj["items"])
        else:
            yield item


def fault_of(obj: Any) -> str:
    """Why it is no object that a server takes; "" where it is one."""
    if not isinstance(obj, dict):
        return "not a mapping"
    metadata = obj.get("metadata")
    missing = [key for key in ("apiVersion", "kind") if not isinstance(obj.get(key), str) or not obj[key]]
    if missing:
        return f"no {' and no '.join(missing)}"
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str) or not metadata["name"]:
        made_up = isinstance(metadata, dict) and metadata.get("generateName")
        return (
            f"a {obj['kind']} with generateName, so another one each time"
            if made_up
            else f"a {obj['kind']} without a name"
        )
    return ""


def _object(id: str, content: Content, item: Item, scopes: Mapping[str, bool]) -> Object | Mistake | None:
    manifest = complete(item.object, content, scopes)
    annotations: dict[str, Any] = manifest["metadata"].get("annotations") or {}
    if manifest["kind"] == CRD and content.crds == "skip":
        return None
    events = hook_events(manifest)
    hook = ""
    if events and manifest["kind"] != CRD:
        rule = _rule_for(content, manifest, events)
        if rule is None:
            return _undeclared(id, manifest, events, item.source)
        if rule == "drop":
            return None
        hook = "before" if events & _BEFORE else "after"
        if not events & (_BEFORE | _AFTER):
            got = f"keep for {_named(manifest)}, a hook of {', '.join(sorted(events))}"
            return _mistake(id, got, "keep for hooks of install and upgrade", "Say drop, or keep it by other means.")
    weight = _whole(annotations.get("helm.sh/hook-weight"))
    retain = manifest["kind"] == CRD or str(annotations.get(_POLICY, "")).strip().lower() == "keep"
    if hook and manifest["kind"] == "Job":
        manifest.get("spec", {}).pop("ttlSecondsAfterFinished", None)  # one that goes is made again by each `up`
    if events:
        manifest["metadata"]["annotations"] = {k: v for k, v in annotations.items() if k not in _HOOK_KEYS}
    return Object(item.source, manifest, hook, weight, retain)


def complete(obj: Mapping[str, Any], content: Content, scopes: Mapping[str, bool]) -> dict[str, Any]:
    """A copy with its namespace, and without what only a server writes; of a definition, which may be megabytes, only
    what is changed here is copied.
    """
    whole = obj["kind"] != CRD
    manifest: dict[str, Any] = (
        _without_nulls(copy.deepcopy(dict(obj))) if whole else {**obj, "metadata": dict(obj["metadata"])}
    )
    manifest.pop("status", None)
    if manifest["kind"] == "ClusterRole" and manifest.get("aggregationRule"):
        manifest.pop("rules", None)  # a controller writes them, and would undo what is written here each time
    metadata = manifest["metadata"]
    metadata.pop("creationTimestamp", None)
    group = manifest["apiVersion"].rpartition("/")[0]
    lives = namespaced(manifest["apiVersion"], manifest["kind"])
    if lives is None:
        lives = scopes.get(f"{group}/{manifest['kind']}", manifest["kind"] not in content.cluster_scoped)
    if lives:
        metadata.setdefault("namespace", content.namespace)
    else:
        metadata.pop("namespace", None)
    return manifest


def _without_nulls(value: Any) -> Any:
    """A null in a manifest means what its absence means; server-side apply would own the field."""
    if isinstance(value, dict):
        return {key: _without_nulls(child) for key, child in value.items() if child is not None}
    return [_without_nulls(child) for child in value] if isinstance(value, list) else value


def _rule_for(content: Content, manifest: Mapping[str, Any], events: set[str]) -> str | None:
    if all(event.startswith("test") for event in events):
        return "drop"
    named = _named(manifest)
    return next((rule for pattern, rule in rules_of(content).items() if fnmatchcase(named, pattern)), None)


def rules_of(content: Content) -> Mapping[str, HookRule]:
    """The rules for hooks one by one; none where Helm runs them."""
    return {} if content.hooks == "release" else content.hooks


def _named(manifest: Mapping[str, Any]) -> str:
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


def _undeclared(id: str, manifest: Mapping[str, Any], events: set[str], source: str) -> Mistake:
    named = _named(manifest)
    return Mistake(
        f"espalier:addons.{id}: hooks",
        f"{named}, a hook of {', '.join(sorted(events))} ({source})",
        "a rule for each hook, keep or drop, or `hooks: release` for all",
        f"Declare it in the add-on's record: `hooks: {{{named}: keep}}`, or turn it off by the chart's values.",
    )


def _unused_rules(id: str, content: Content, items: Sequence[Item]) -> list[Mistake]:
    """A rule that fits no hook is misspelt, or says that the chart has changed."""
    hooks = [
        _named(item.object)
        for item in flat(items)
        if not fault_of(item.object) and HOOK in (item.object["metadata"].get("annotations") or {})
    ]
    return [
        Mistake(
            f"espalier:addons.{id}: hooks",
            repr(pattern),
            ", ".join(sorted(hooks)) or "no rule: the content has no hooks",
            "Correct or remove the rule.",
        )
        for pattern in sorted(rules_of(content))
        if not any(fnmatchcase(hook, pattern) for hook in hooks)
    ]


def _whole(value: Any) -> int:
    text = str(value or "0").strip()
    return int(text) if text.lstrip("-").isdigit() else 0


def _mistake(id: str, got: str, accepted: str, do: str) -> Mistake:
    return Mistake(f"espalier:addons.{id}", got, accepted, do)
