"""What selectors select, told of JSON that others wrote: labels of pods, and nodes that a pod may land on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from espalier.policies.values import at, is_hidden, listing, mapping, texts
from espalier.types import Taint


def selects(selector: Any, labels: Any) -> bool:
    """Whether a LabelSelector matches labels; an empty one matches all, none at all matches nothing."""
    if not isinstance(selector, Mapping) or is_hidden(selector) or is_hidden(labels):
        return False
    wanted = mapping(at(selector, "matchLabels"))
    have = mapping(labels)
    exact = all(have.get(key) == value for key, value in wanted.items())
    return exact and all(_matches(mapping(one), have) for one in listing(at(selector, "matchExpressions")))


def may_land(spec: Mapping[str, Any], labels: Mapping[str, Any], taints: Sequence[Any]) -> bool | None:
    """Whether the scheduler may put the pod on such a node, resources apart; None where the pod does not say yet."""
    affinity = at(spec, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    terms = at(affinity, "nodeSelectorTerms")
    tolerations, selector = spec.get("tolerations"), spec.get("nodeSelector")
    parts = [
        affinity,
        terms,
        *listing(terms),
        tolerations,
        *listing(tolerations),
        selector,
        *mapping(selector).values(),
    ]
    if any(is_hidden(part) for part in parts):
        return None
    tolerated = all(
        at(taint, "effect") == "PreferNoSchedule"
        or any(map(_taint(mapping(taint)).tolerated_by, map(mapping, listing(tolerations))))
        for taint in taints
    )
    chosen = all(labels.get(key) == value for key, value in mapping(selector).items())
    placed = not listing(terms) or any(
        all(_matches(mapping(one), labels) for one in listing(at(term, "matchExpressions"))) for term in listing(terms)
    )
    return tolerated and chosen and placed


def _taint(taint: Mapping[str, Any]) -> Taint:
    return Taint(str(taint.get("key") or ""), str(taint.get("value") or ""), taint.get("effect") or "NoSchedule")


def _matches(expression: Mapping[str, Any], labels: Mapping[str, Any]) -> bool:
    """One requirement; an operator that is not known here (Gt, Lt) is taken to match."""
    key, operator, values = expression.get("key"), expression.get("operator"), texts(expression.get("values"))
    value = labels.get(key) if isinstance(key, str) else None
    if operator == "In":
        return value in values
    if operator == "NotIn":
        return value not in values
    if operator == "Exists":
        return value is not None
    return value is None if operator == "DoesNotExist" else True
