"""Add-ons that are a chart and few words: what all of them share is here, what is each one's own is a row.

Their options are the chart's values, laid on the row's. Upstream's pods are made to run as controllers do here: on
nodes that stay, spread, bounded, and taken by a namespace of restricted pods, where the row does not say otherwise.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from espalier.addons.placement import apart, staying_affinity, system_tolerations
from espalier.addons.walls import budget
from espalier.charts.values import merged
from espalier.content import ChartSource, Content, ContentFacts, HookRule, ImagePath
from espalier.types import AddonInputs, AddonRecord, Mistake, Planned

CRD: Final = "CustomResourceDefinition"
_WORKLOADS: Final = ("Deployment", "StatefulSet")
_BOUNDS: Final = {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}}
LEVEL: Final = "pod-security.kubernetes.io/enforce"


class Options(BaseModel):
    """The chart's own values."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    values: dict[str, Any] = Field(default={}, description="the chart's values, laid on those that Espalier sets")


def chart(
    id: str,
    version: str,
    repo: str,
    namespace: str,
    *,
    name: str = "",
    space: bool = True,
    level: Literal["restricted", "baseline", "privileged"] = "restricted",
    values: Mapping[str, Any] | None = None,
    hooks: Mapping[str, HookRule] | Literal["release"] | None = None,
    crds: Mapping[str, str] | None = None,
    images: tuple[str, ...] = (),
    hidden: tuple[ImagePath, ...] = (),
    without: tuple[str, ...] = (),
    user: int | None = None,
    asks: Mapping[str, str] | None = None,
    walls: tuple[Planned, ...] = (),
    budgets: Mapping[str, Mapping[str, str]] | None = None,
    api_versions: tuple[str, ...] = (),
    **rest: Any,
) -> AddonRecord:
    """A record of a chart.

    `space` says whether its namespace is made for it. `crds` are plural names by group: definitions beyond them are
    another add-on's, and left out, as are objects by `Kind/name` in `without`. `user` is the one that its pods run as
    where their image says root or a name. `asks` are values that the stack must give, with what each is. `budgets` are
    PodDisruptionBudgets that the chart lacks: name and the pods' labels. `rest` is the record's own.
    """
    given = values or {}
    names = tuple(f"{plural}.{group}" for group, plurals in (crds or {}).items() for plural in plurals.split())
    spare = tuple(budget(one, namespace, pods, f"budget-{one}") for one, pods in sorted((budgets or {}).items()))
    content = Content(
        source=ChartSource(name or id, version, repo),
        namespace=namespace,
        create_namespace=space and namespace != "kube-system",
        namespace_labels={LEVEL: level},
        release=id,
        values=lambda inputs: merged(given, inputs.options.values),
        hooks=hooks or {},
        images=hidden,
        edit=_edit(level, frozenset(names), without, user),
        facts=ContentFacts(crds=tuple(sorted(names)), images=images),
        api_versions=api_versions,
    )
    return AddonRecord(
        id=id,
        version=version,
        tier="optional",
        options=Options,
        objects=lambda _: (*walls, *spare),
        content=content,
        privileged_namespaces=frozenset({namespace} if level == "privileged" else ()),
        judges=_judge(id, asks or {}),
        **rest,
    )


def in_env(pattern: str) -> ImagePath:
    """Images in the environment of Deployments; a stack's own values may take them away."""
    return ImagePath("Deployment", "spec.template.spec.containers[*].env[*].value", pattern=pattern, optional=True)


def _judge(id: str, asks: Mapping[str, str]) -> Callable[[AddonInputs], Iterator[Mistake]]:
    def judge(inputs: AddonInputs) -> Iterator[Mistake]:
        for path, what in asks.items():
            if _at(inputs.options.values, path) in (None, "", [], {}):
                where = f"espalier:addons.{id}.values.{path}"
                yield Mistake(where, "nothing", what, "Give it: the chart installs nothing that works without it.")

    return judge


def _at(values: Any, path: str) -> Any:
    for key in path.split("."):
        values = values.get(key) if isinstance(values, Mapping) else None
    return values


def _edit(
    level: str, crds: frozenset[str], without: tuple[str, ...], user: int | None
) -> Callable[[AddonInputs, Mapping[str, Any]], Mapping[str, Any] | None]:
    def edit(inputs: AddonInputs, manifest: Mapping[str, Any]) -> Mapping[str, Any] | None:
        del inputs
        name = manifest["metadata"]["name"]
        if manifest["kind"] == CRD and name not in crds:
            return None
        if any(fnmatchcase(f"{manifest['kind']}/{name}", pattern) for pattern in without):
            return None
        if manifest["kind"] not in _WORKLOADS:
            return manifest
        changed = copy.deepcopy(dict(manifest))
        pod = changed["spec"]["template"]["spec"]
        _place(pod, changed["spec"]["selector"].get("matchLabels") or {})
        if level == "restricted":
            _restrict(pod, user)
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            _bound(container)
        return changed

    return edit


def _place(pod: dict[str, Any], selector: Mapping[str, str]) -> None:
    pod["affinity"] = {**(pod.get("affinity") or {}), **staying_affinity()}
    pod["tolerations"] = [*(pod.get("tolerations") or ()), *system_tolerations()]
    if not pod.get("topologySpreadConstraints"):
        pod["topologySpreadConstraints"] = apart(selector)


def _restrict(pod: dict[str, Any], user: int | None) -> None:
    """As the Pod Security Standards' `restricted` asks for, upstream's own settings kept where they are as strict."""
    own = {**(pod.get("securityContext") or {}), "runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    pod["securityContext"] = {**own, "runAsUser": user, "fsGroup": user} if user else own
    for container in (*pod.get("initContainers", ()), *pod["containers"]):
        context = {**(container.get("securityContext") or {}), "allowPrivilegeEscalation": False}
        context["capabilities"] = {"drop": ["ALL"]}
        if user:
            context |= {key: user for key in ("runAsUser", "runAsGroup") if key in context}
        container["securityContext"] = context


def _bound(container: dict[str, Any]) -> None:
    if not (container.get("resources") or {}).get("requests"):
        container["resources"] = {**_BOUNDS, **(container.get("resources") or {})}
    if container.get("imagePullPolicy") == "Always":
        container["imagePullPolicy"] = "IfNotPresent"
