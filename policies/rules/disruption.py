"""Disruption: work ends within what its node's cloud gives it, and budgets leave room for a drain."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from espalier.policies.pod_specs import pod_specs
from espalier.policies.resources import Index, describe, index_of
from espalier.policies.selecting import may_land, selects
from espalier.policies.values import at, is_hidden, listing, mapping, number, shown
from espalier.types import Finding, Registered, Rule

_SCALED = (("autoscaling", "HorizontalPodAutoscaler"), ("keda.sh", "ScaledObject"))


def grace_within_notice(resources: Sequence[Registered], facts: Mapping[str, Any] | None) -> Iterator[Finding | str]:
    """No pod asks for more time to end than the spot nodes that it may land on give it."""
    ends = [(pool, mapping(end)) for pool in listing(mapping(facts).get("pools")) for end in listing(at(pool, "ends"))]
    for resource in index_of(resources):
        for spec in pod_specs(resource).specs if ends else ():
            yield from _judge_grace(resource, spec, ends)


def _judge_grace(
    resource: Registered, spec: Mapping[str, Any], ends: Sequence[tuple[Any, Mapping[str, Any]]]
) -> Iterator[Finding | str]:
    asked = number(spec.get("terminationGracePeriodSeconds")) or 0
    short: list[str] = []
    for pool, end in ends:
        given = number(end.get("grace"))
        if given is None or asked <= given:
            continue
        lands = may_land(spec, mapping(end.get("labels")), listing(end.get("taints")))
        where = f"{shown(at(pool, 'name'))} ({shown(end.get('capacity'))}, {given:g} s)"
        if lands is None:
            yield f"{describe(resource)}: whether it may land on {where} is not known"
        elif lands:
            short.append(where)
    if short:
        advice = "save its work sooner, or keep it off these nodes"
        text = f"{describe(resource)}: terminationGracePeriodSeconds {asked:g} is cut short on {', '.join(short)}"
        yield Finding(resource.urn, f"{text}; {advice}")


@dataclass(frozen=True, slots=True)
class _Workload:
    """Replicated pods: how many, None where an autoscaler or a hidden value says it."""

    resource: Registered
    labels: Any
    replicas: int | None


def budgets_let_evict(resources: Sequence[Registered], facts: Mapping[str, Any] | None) -> Iterator[Finding | str]:
    """No PodDisruptionBudget forbids every eviction: nodes under it could be neither upgraded nor drained."""
    del facts
    index = index_of(resources)
    workloads = _workloads(index)
    for budget in index.of("policy", "PodDisruptionBudget"):
        least, most = at(budget.props, "spec", "minAvailable"), at(budget.props, "spec", "maxUnavailable")
        if is_hidden(least) or is_hidden(most):
            yield f"{describe(budget)}: its numbers are not known"
        elif most is not None:
            if _of(most, 100) == 0:
                yield _blocks(budget, f"maxUnavailable {most}")
        elif least is not None:
            yield from _judge_least(budget, least, workloads)


def _judge_least(budget: Registered, least: Any, workloads: Sequence[_Workload]) -> Iterator[Finding | str]:
    if _of(least, 100) == 100 and isinstance(least, str):
        yield _blocks(budget, f"minAvailable {least}")
        return
    covered = [workload for workload in workloads if _covers(budget, workload)]
    total = sum(workload.replicas or 0 for workload in covered)
    if any(workload.replicas is None for workload in covered):
        yield f"{describe(budget)}: how many pods it covers is not known"
    elif covered and (needed := _of(least, total)) is not None and needed >= total:
        names = ", ".join(describe(workload.resource) for workload in covered)
        yield _blocks(budget, f"minAvailable {least} of the {total} of {names}")


def _blocks(budget: Registered, why: str) -> Finding:
    advice = "set maxUnavailable to 1, or run one replica more"
    return Finding(
        budget.urn, f"{describe(budget)}: {why} lets no pod be evicted, so no node under it drains; {advice}"
    )


def replicas_have_a_budget(resources: Sequence[Registered], facts: Mapping[str, Any] | None) -> Iterator[Finding | str]:
    """Each Deployment and StatefulSet of several replicas has a budget, or a drain may take all of them at once."""
    del facts
    index = index_of(resources)
    budgets = index.of("policy", "PodDisruptionBudget")
    for workload in _workloads(index):
        if (workload.replicas or 0) > 1 and not any(_covers(budget, workload) for budget in budgets):
            advice = "add a PodDisruptionBudget with maxUnavailable 1 and the selector of its pods"
            text = f"{describe(workload.resource)}: {workload.replicas} replicas and no PodDisruptionBudget; {advice}"
            yield Finding(workload.resource.urn, text)


def _workloads(index: Index) -> list[_Workload]:
    scaled = {
        (_namespace(one), at(one.props, "spec", "scaleTargetRef", "name"))
        for group, kind in _SCALED
        for one in index.of(group, kind)
        if isinstance(at(one.props, "spec", "scaleTargetRef", "name"), str)
    }
    return [
        _Workload(one, at(one.props, "spec", "template", "metadata", "labels"), _replicas(one, scaled))
        for one in index.of("apps", "Deployment", "StatefulSet")
    ]


def _replicas(resource: Registered, scaled: set[tuple[Any, Any]]) -> int | None:
    if (_namespace(resource), resource.object_name) in scaled:
        return None
    asked = at(resource.props, "spec", "replicas")
    found = number(asked)
    return int(found) if found is not None else None if asked is not None else 1


def _covers(budget: Registered, workload: _Workload) -> bool:
    same = _namespace(budget) == _namespace(workload.resource)
    return same and selects(at(budget.props, "spec", "selector"), workload.labels)


def _namespace(resource: Registered) -> str:
    namespace = at(resource.props, "metadata", "namespace")
    return namespace if isinstance(namespace, str) else "default"


def _of(amount: Any, total: int) -> int | None:
    """A number, or a share of `total` as Kubernetes rounds it for both fields: up."""
    if (found := number(amount)) is not None:
        return int(found)
    if isinstance(amount, str) and amount.endswith("%") and amount[:-1].isdigit():
        return math.ceil(int(amount[:-1]) * total / 100)
    return int(amount) if isinstance(amount, str) and amount.isdigit() else None


RULES = (
    Rule(
        "grace-within-notice",
        "advisory",
        "No pod asks for more time to end than a spot node that it may land on gives it.",
        grace_within_notice,
        fix="Lower terminationGracePeriodSeconds to what the cloud gives, or keep the pod off spot nodes.",
        scope="resource",
    ),
    Rule(
        "budgets-let-evict",
        "mandatory",
        "No PodDisruptionBudget forbids every eviction, so that nodes can be upgraded and drained.",
        budgets_let_evict,
        fix="Set maxUnavailable to 1 or more, or minAvailable below the number of replicas.",
    ),
    Rule(
        "replicas-have-a-budget",
        "advisory",
        "Every Deployment and StatefulSet of several replicas has a PodDisruptionBudget.",
        replicas_have_a_budget,
        fix="Add a PodDisruptionBudget with maxUnavailable 1 and the selector of its pods.",
    ),
)
