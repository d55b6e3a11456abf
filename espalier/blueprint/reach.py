"""Whether the scheduler would put a pod on a node of a shape: taints, selectors, affinity, as Kubernetes judges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from espalier.types import NodeShape


def daemonset_reaches(template: Mapping[str, Any], shape: NodeShape) -> str | None:
    """None where the pod template's pods can be scheduled on such nodes, else why not."""
    return not_tolerated(template, shape) or not_selected(template, shape)


def not_tolerated(template: Mapping[str, Any], shape: NodeShape) -> str | None:
    """The first of the nodes' taints that such pods do not tolerate; None where they tolerate all."""
    for taint in (*shape.taints, *shape.startup_taints):
        tolerations = template.get("spec", {}).get("tolerations", [])
        if taint.effect != "PreferNoSchedule" and not any(map(taint.tolerated_by, tolerations)):
            return f"does not tolerate {taint}"
    return None


def not_selected(template: Mapping[str, Any], shape: NodeShape) -> str | None:
    """What such pods select that the nodes are not; None where they select them, or all."""
    spec = template.get("spec", {})
    for key, value in sorted(spec.get("nodeSelector", {}).items()):
        if shape.labels.get(key) != value:
            return f"selects {key}={value}"
    required = spec.get("affinity", {}).get("nodeAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    if required and not any(_term_matches(term, shape.labels) for term in required["nodeSelectorTerms"]):
        return "its node affinity matches none of the labels"
    return None


def _term_matches(term: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    return all(_expression_matches(e, labels) for e in term.get("matchExpressions", [])) and bool(
        term.get("matchExpressions")
    )


def _expression_matches(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, operator, values = expression["key"], expression["operator"], expression.get("values", [])
    match operator:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case "Gt" | "Lt":
            number = labels.get(key, "")
            return number.isdigit() and (
                int(number) > int(values[0]) if operator == "Gt" else int(number) < int(values[0])
            )
        case _:
            return False
