"""Which add-ons, in which order: needs first, conflicts refused, each with what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from graphlib import CycleError, TopologicalSorter
from typing import Any

from pydantic import ValidationError

from espalier.settings.tree import path_text
from espalier.types import AddonInputs, AddonPlan, AddonRecord, Facts, Mistake, PoolFacts


def plan_addons(
    wanted: Mapping[str, Mapping[str, Any]],
    records: Mapping[str, AddonRecord],
    facts: Facts,
    pools: Sequence[PoolFacts],
) -> tuple[tuple[AddonPlan, ...], tuple[Mistake, ...]]:
    """The add-ons of a stack file in waves, their objects computed; or everything that is wrong with the set."""
    mistakes = [m for id in sorted(wanted) for m in _mistakes_of(id, wanted, records)]
    if mistakes:
        return (), tuple(mistakes)
    graph = {id: sorted(records[id].needs) for id in sorted(wanted)}
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        cycle = " -> ".join(error.args[1])
        return (), (Mistake("espalier:addons", cycle, "add-ons whose needs form no cycle", "Remove one of them."),)
    waves: dict[str, int] = {}
    for id in order:
        waves[id] = 1 + max((waves[need] for need in graph[id]), default=-1)
    plans = tuple(
        _plan(records[id], wanted[id], waves[id], facts, tuple(pools))
        for id in sorted(order, key=lambda i: (waves[i], i))
    )
    return plans, ()


def _plan(
    record: AddonRecord, options: Mapping[str, Any], wave: int, facts: Facts, pools: tuple[PoolFacts, ...]
) -> AddonPlan:
    inputs = AddonInputs(facts, pools, record.options.model_validate(options))
    return AddonPlan(record.id, record.version, wave, tuple(record.objects(inputs)), tuple(sorted(record.needs)))


def _mistakes_of(id: str, wanted: Mapping[str, Mapping[str, Any]], records: Mapping[str, AddonRecord]) -> list[Mistake]:
    path = path_text((id,), "espalier:addons")
    record = records.get(id)
    if record is None:
        near = get_close_matches(id, records, n=1)
        do = f"Did you mean {near[0]!r}?" if near else "Remove it."
        return [Mistake(path, repr(id), ", ".join(sorted(records)), do)]
    found: list[Mistake] = []
    try:
        record.options.model_validate(wanted[id])
    except ValidationError as error:
        for fault in error.errors():
            where = path_text(fault["loc"], path)
            known = ", ".join(record.options.model_fields) or "no options"
            found.append(Mistake(where, repr(fault["input"])[:60], known, "Correct or remove the option."))
    found += [
        Mistake(path, f"no {need}", f"{need} beside it", f"Add `{need}: {{}}` to espalier:addons.")
        for need in sorted(record.needs - set(wanted))
    ]
    found += [
        Mistake(path, f"beside {other}", "one of the two", f"Remove {id} or {other}.")
        for other in sorted(record.conflicts & set(wanted))
    ]
    return found
