"""What the API server itself gives to tenants' work: retries that a reclaimed node does not use up, notebooks off spot.

Policies in CEL, which need no webhook. A MutatingAdmissionPolicy is served from Kubernetes 1.36 on (KEP-3962: v1, on by
default); before it, a ValidatingAdmissionPolicy (v1 since 1.30) warns or refuses instead.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from espalier.blueprint import names
from espalier.types import NodeShape, Planned

NOTEBOOK_LABELS: Final = ("notebook-name", "notebooks.kubeflow.org/workspace-name", "hub.jupyter.org/username")
"""Labels of a notebook's pod: Kubeflow Notebooks 1 (notebook-controller), 2 (workspaces), JupyterHub's KubeSpawner."""
SPOT_KEYS: Final = (names.SPOT, "cloud.google.com/gke-spot", "kubernetes.azure.com/scalesetpriority")
"""Keys of the taints of spot nodes: Espalier's own on EKS, and those on GKE and AKS."""
ALLOWED: Final = "allowed"
"""Value of the annotation espalier.dev/spot by which a notebook asks for spot, too."""
RETRIES: Final = "espalier-retry-after-disruption"
NOTEBOOKS: Final = "espalier-notebooks-off-spot"
_API: Final = "admissionregistration.k8s.io/v1"
_MUTATES_SINCE: Final = (1, 36)
_TERMS: Final = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution"


@dataclass(frozen=True, slots=True)
class Tolerated:
    """What a queue lets onto spot nodes by tolerations of its own, which it adds to a pod after it was judged."""

    devices: tuple[str, ...]
    """Those that work asks for there."""
    steady: tuple[str, ...]
    """The pools with such devices that have no spot."""


def admission_policies(
    version: str, shapes: Sequence[NodeShape], *, tenants: bool, tolerated: Tolerated | None = None
) -> tuple[Planned, ...]:
    """The policies of a cluster at a Kubernetes minor, with their bindings; they touch tenants' namespaces alone.

    Notebooks need one only where some node of `shapes` is spot.
    """
    if not tenants:
        return ()
    mutates = may_mutate(version)
    made = _pair("retries", RETRIES, _retries() if mutates else _retries_said(), mutates)
    if not any(shape.capacity_kind == "spot" for shape in shapes):
        return made
    return (*made, *_pair("notebooks", NOTEBOOKS, _off_spot() if mutates else _off_spot_refused(tolerated), mutates))


def may_mutate(version: str) -> bool:
    """Whether a Kubernetes minor serves MutatingAdmissionPolicies."""
    return tuple(int(part) for part in version.split(".")) >= _MUTATES_SINCE


def _pair(suffix: str, name: str, spec: Mapping[str, Any], mutates: bool) -> tuple[Planned, Planned]:
    kind = "MutatingAdmissionPolicy" if mutates else "ValidatingAdmissionPolicy"
    metadata = {"name": name, "labels": dict(names.MANAGED_BY)}
    policy = {"apiVersion": _API, "kind": kind, "metadata": metadata, "spec": dict(spec)}
    binding: dict[str, Any] = {"policyName": name}
    if not mutates:
        binding["validationActions"] = ["Warn"] if name == RETRIES else ["Deny"]
    bound = {"apiVersion": _API, "kind": f"{kind}Binding", "metadata": dict(metadata), "spec": binding}
    return Planned(f"{suffix}-policy", policy), Planned(f"{suffix}-policy-binding", bound, (f"{suffix}-policy",))


def _matching(group: str, resource: str) -> dict[str, Any]:
    rule = {"apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": [resource]}
    return {
        "namespaceSelector": {"matchExpressions": [{"key": names.TENANT, "operator": "Exists"}]},
        "resourceRules": [rule],
    }


def _retries() -> dict[str, Any]:
    """A Job gets a policy by which a lost node is no failure; one that has a policy keeps it.

    Such a policy is for pods that do not restart in place, and replaces a pod only once it has ended
    (batch/v1, podFailurePolicy and podReplacementPolicy). A default alone: it must never keep a Job out.
    """
    rules = (
        'Object.spec.podFailurePolicy{rules: [Object.spec.podFailurePolicy.rules{action: "Ignore", onPodConditions: ['
        'Object.spec.podFailurePolicy.rules.onPodConditions{type: "DisruptionTarget", status: "True"}]}]}'
    )
    patch = (
        f'[JSONPatch{{op: "add", path: "/spec/podFailurePolicy", value: {rules}}}, '
        'JSONPatch{op: "add", path: "/spec/podReplacementPolicy", value: "Failed"}]'
    )
    conditions = [
        {"name": "ends-on-failure", "expression": 'object.spec.template.spec.restartPolicy == "Never"'},
        {"name": "has-none-of-its-own", "expression": "!has(object.spec.podFailurePolicy)"},
    ]
    return _mutating(_matching("batch", "jobs"), conditions, patch, failure="Ignore")


def _retries_said() -> dict[str, Any]:
    message = (
        "a node that is taken back counts against backoffLimit: add to spec "
        "podFailurePolicy: {rules: [{action: Ignore, onPodConditions: [{type: DisruptionTarget}]}]}"
    )
    expression = 'object.spec.template.spec.restartPolicy != "Never" || has(object.spec.podFailurePolicy)'
    return {
        "failurePolicy": "Ignore",
        "matchConstraints": _matching("batch", "jobs"),
        "validations": [{"expression": expression, "message": message}],
    }


def _notebook_conditions() -> list[dict[str, str]]:
    labelled = " || ".join(f'"{label}" in object.metadata.labels' for label in NOTEBOOK_LABELS)
    asked = f'object.metadata.?annotations["{names.SPOT}"].orValue("") == "{ALLOWED}"'
    return [
        {"name": "is-a-notebook", "expression": f"has(object.metadata.labels) && ({labelled})"},
        {"name": "does-not-ask-for-spot", "expression": f"!({asked})"},
    ]


def _off_spot() -> dict[str, Any]:
    away = f'[{{"key": dyn("{names.CAPACITY}"), "operator": dyn("NotIn"), "values": dyn(["spot"])}}]'
    return narrowing(_matching("", "pods"), _notebook_conditions(), [{"name": "away", "expression": away}])


def narrowing(
    matching: Mapping[str, Any], conditions: Sequence[Mapping[str, str]], variables: Sequence[Mapping[str, str]]
) -> dict[str, Any]:
    """Pods are kept away from nodes in each of the ways that they may be placed already: terms are alternatives.

    The variable `away` holds the expressions of a node selector that say so; none leaves the pod as it is.
    """
    terms = (
        "object.spec.?affinity.?nodeAffinity.?requiredDuringSchedulingIgnoredDuringExecution"
        ".?nodeSelectorTerms.orValue([])"
    )
    add = 'JSONPatch{op: "add", path: '
    patch = (
        "size(variables.away) == 0 ? [] : size(variables.terms) > 0 ? variables.terms.transformList(i, term, "
        f'{add}"{_TERMS}/nodeSelectorTerms/" + string(i) + "/matchExpressions", '
        "value: (has(term.matchExpressions) ? dyn(term.matchExpressions) : dyn([])) + dyn(variables.away)}) : "
        f'(has(object.spec.affinity) ? [] : [{add}"/spec/affinity", value: {{}}}}]) + '
        "(has(object.spec.affinity) && has(object.spec.affinity.nodeAffinity) ? [] : "
        f'[{add}"/spec/affinity/nodeAffinity", value: {{}}}}]) + '
        f'[{add}"{_TERMS}", value: {{"nodeSelectorTerms": [{{"matchExpressions": variables.away}}]}}}}]'
    )
    mutating = _mutating(matching, conditions, patch, failure="Fail")
    return {**mutating, "variables": [*variables, {"name": "terms", "expression": terms}]}


def _off_spot_refused(tolerated: Tolerated | None) -> dict[str, Any]:
    """Spot nodes are tainted in every cloud: what tolerates none of these taints stays off them.

    Judged when a pod is made alone. Kueue adds a flavour's tolerations by the update that lets the pod go (v0.19.2,
    pkg/controller/jobs/pod): to refuse that would hold the pod back for ever. So where a queue does, a notebook with
    devices has to say at once that it stays off.
    """
    keys = ", ".join(f'"{key}"' for key in SPOT_KEYS)
    # A toleration without a key is of every taint.
    tolerates = f'toleration.?key.orValue("") in ["", {keys}]'
    expression = f"!object.spec.?tolerations.orValue([]).exists(toleration, {tolerates})"
    message = (
        "a notebook stays off spot nodes, which may be taken back with a person before it: remove its toleration of "
        f"spot's taint, or annotate its pod with {names.SPOT}: {ALLOWED}"
    )
    return {
        "failurePolicy": "Fail",
        "matchConstraints": _matching("", "pods"),
        "matchConditions": _notebook_conditions(),
        "validations": [
            {"expression": expression, "message": message},
            *([_says_where(tolerated)] if tolerated is not None else []),
        ],
    }


def _says_where(tolerated: Tolerated) -> dict[str, str]:
    """Its selector or each of its affinity's terms names a kind of capacity that is not spot, or a pool without any."""
    devices, steady = json.dumps(list(tolerated.devices)), json.dumps(list(tolerated.steady))
    asks = f"container.?resources.?limits.orValue({{}}).exists(name, name in {devices})"
    selector = "object.spec.?nodeSelector"
    capacity, pool = f'"{names.CAPACITY}"', f'"{names.POOL}"'
    selected = f'{selector}[{capacity}].orValue("spot") != "spot" || {selector}[{pool}].orValue("") in {steady}'
    values = "one.?values.orValue([])"
    says = (
        f'one.key == {capacity} && (one.operator == "NotIn" ? "spot" in {values} : '
        f'one.operator == "In" && !("spot" in {values})) || one.key == {pool} && one.operator == "In" && '
        f"{values}.all(value, value in {steady})"
    )
    terms = (
        "object.spec.?affinity.?nodeAffinity.?requiredDuringSchedulingIgnoredDuringExecution"
        ".?nodeSelectorTerms.orValue([])"
    )
    every = f"size({terms}) > 0 && {terms}.all(term, term.?matchExpressions.orValue([]).exists(one, {says}))"
    return {
        "expression": f"!object.spec.containers.exists(container, {asks}) || {selected} || ({every})",
        "message": (
            "a notebook stays off spot nodes, which may be taken back with a person before it, and its queue would let "
            f"it there: add nodeSelector: {{{names.CAPACITY}: on-demand}} or a pool without spot, or annotate its pod "
            f"with {names.SPOT}: {ALLOWED}"
        ),
    }


def _mutating(
    matching: Mapping[str, Any], conditions: Sequence[Mapping[str, str]], patch: str, *, failure: str
) -> dict[str, Any]:
    """Run once for each object: a second run would add what the first one added."""
    return {
        "failurePolicy": failure,
        "reinvocationPolicy": "Never",
        "matchConstraints": dict(matching),
        **({"matchConditions": list(conditions)} if conditions else {}),
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": patch}}],
    }
