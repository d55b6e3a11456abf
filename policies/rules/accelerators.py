"""Accelerators: nobody gets one unasked, no idle one is paid for, no pod lands beside one by chance."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from espalier.blueprint.names import SIMULATED_CAPACITY
from espalier.policies.devices import AcceleratorPool, accelerator_pools, device_names, is_accelerator
from espalier.policies.resources import describe, index_of
from espalier.policies.values import at, is_hidden, listing, mapping, number
from espalier.types import Finding, Registered, Rule

_NO_PLATFORM = "pools: no facts of a Platform are known, so its pools are not known"
_LIMITS = ("default", "defaultRequest", "max", "min", "maxLimitRequestRatio")
# Kubernetes' own taints come and go with a node's condition; they reserve nothing.
_PASSING = "node.kubernetes.io/"


def limit_ranges(resources: Sequence[Registered], facts: Mapping[str, Any] | None) -> Iterator[Finding | str]:
    """No LimitRange names an accelerator: a default would make every container, sidecars too, ask for one."""
    known = device_names(facts)
    for limit_range in index_of(resources).of("core", "LimitRange"):
        limits = at(limit_range.props, "spec", "limits")
        parts = [limits, *listing(limits)]
        parts += [mapping(limit).get(key) for limit in listing(limits) for key in _LIMITS]
        if any(is_hidden(part) for part in parts):
            yield f"{describe(limit_range)}: its limits are not known"
        named = {name for part in parts for name in mapping(part) if is_accelerator(name, known)}
        if named:
            yield Finding(
                limit_range.urn,
                f"{describe(limit_range)}: names {', '.join(sorted(named))}; take it out of spec.limits, "
                "a ResourceQuota is the place for it",
            )


def elastic_pools(resources: Sequence[Registered], facts: Mapping[str, Any] | None) -> Iterator[Finding | str]:
    """An accelerator pool that may change its size has a maximum and can go down to no node at all."""
    if facts is None:
        yield _NO_PLATFORM
        return
    urn = index_of(resources).platform_urn
    for pool in accelerator_pools(facts):
        if isinstance(pool, str):
            yield pool
            continue
        least, most = at(pool.nodes, "min"), at(pool.nodes, "max")
        if is_hidden(least) or is_hidden(most):
            yield f"pool {pool.name}: its numbers of nodes are not known"
        elif wrong := _size_mistake(number(least), number(most)):
            yield Finding(urn, f"pool {pool.name}: {wrong}")


def _size_mistake(least: float | None, most: float | None) -> str:
    if most is None:
        return "has no maximum; set nodes.max"
    if least is None:
        return "has no minimum; set nodes.min to 0"
    if least == most > 0:
        return ""  # a fixed pool
    if least > 0:
        return f"never has fewer than {least:g} nodes, paid for when idle; set nodes.min to 0, or to nodes.max"
    return ""


def tainted_pools(resources: Sequence[Registered], facts: Mapping[str, Any] | None) -> Iterator[Finding | str]:
    """Every accelerator pool, and every registered Node with accelerators, keeps other pods off by a taint."""
    index = index_of(resources)
    if facts is None:
        yield _NO_PLATFORM
    else:
        for pool in accelerator_pools(facts):
            yield from [pool] if isinstance(pool, str) else _untainted_pool(index.platform_urn, pool)
    for node in index.of("core", "Node"):
        yield from _untainted_node(node, device_names(facts))


def _untainted_pool(urn: str, pool: AcceleratorPool) -> Iterator[Finding | str]:
    reserved = _reserves(pool.taints)
    if reserved is None:
        yield f"pool {pool.name}: its taints are not known"
    elif not reserved:
        yield Finding(urn, f"pool {pool.name}: has devices but no NoSchedule taint; any pod may fill its nodes")


def _untainted_node(node: Registered, known: frozenset[str]) -> Iterator[Finding | str]:
    sizes = [*(at(node.props, "status", key) for key in ("capacity", "allocatable")), _simulated_capacity(node)]
    devices = sorted({name for size in sizes for name in mapping(size) if is_accelerator(name, known)})
    reserved = _reserves(at(node.props, "spec", "taints"))
    if reserved:
        return
    if reserved is None or any(is_hidden(size) for size in sizes):
        yield f"{describe(node)}: its taints or its capacity are not known"
    elif devices:
        yield Finding(node.urn, f"{describe(node)}: has {', '.join(devices)} but no NoSchedule taint; add one")


def _simulated_capacity(node: Registered) -> Any:
    """What a simulated node's kubelet will report: JSON in an annotation, since no status is ever sent."""
    text = at(node.props, "metadata", "annotations", SIMULATED_CAPACITY)
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _reserves(taints: Any) -> bool | None:
    """Whether a taint keeps pods off; None where that is hidden. NoExecute keeps them off, too."""
    entries = [mapping(taint) for taint in listing(taints)]
    if any(_keeps_off(entry) for entry in entries):
        return True
    parts = [taints, *listing(taints), *(value for entry in entries for value in entry.values())]
    return None if any(is_hidden(part) for part in parts) else False


def _keeps_off(taint: Mapping[str, Any]) -> bool:
    key = taint.get("key")
    passing = isinstance(key, str) and key.startswith(_PASSING)
    return taint.get("effect") in ("NoSchedule", "NoExecute") and not passing


RULES = (
    Rule(
        "no-accelerator-in-limitrange",
        "mandatory",
        "No LimitRange names an accelerator.",
        limit_ranges,
        fix="Take the accelerator out of the LimitRange and cap it in the namespace's ResourceQuota.",
        scope="resource",
    ),
    Rule(
        "elastic-pools-bounded",
        "mandatory",
        "Every accelerator pool that may grow has a maximum and can shrink to no node.",
        elastic_pools,
        fix="Set nodes.max, and nodes.min to 0; or make the pool fixed with nodes.min equal to nodes.max.",
    ),
    Rule(
        "tainted-accelerator-pools",
        "mandatory",
        "Every accelerator pool and node carries a taint, so that only pods that ask for devices land there.",
        tainted_pools,
        fix="Give the pool or the node a NoSchedule taint, such as nvidia.com/gpu=present:NoSchedule.",
    ),
)
