"""Which add-ons, in which order: what they need first. What no order can mend is refused (addon_rules)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final

from espalier.blueprint.addon_rules import (
    Wanted,
    existing_version,
    impossible,
    needs_of,
    own_options,
    provides_of,
    unreadable,
    version_of,
)
from espalier.blueprint.keeping import kept_spaces
from espalier.charts.images import AS_WRITTEN, ImageRule, images_of
from espalier.content import ContentFacts, Contents, Recorded, Rendered, reference
from espalier.settings.tree import path_text
from espalier.types import AddonInputs, AddonPlan, AddonRecord, Facts, Issuer, Mistake, PoolFacts, QueueFacts

_EXCLUDE: Final = (
    (
        "clusterpolicy.nvidia.com",
        "gpucluster.nvidia.com",
        "each is a whole stack of NVIDIA's operator, by device plugin or by claims",
    ),
)
"""Kinds that exclude one another, and why. Source: gpu-operator v26.7.0, templates/validations.yaml."""


def plan_addons(
    wanted: Mapping[str, Mapping[str, Any]],
    records: Mapping[str, AddonRecord],
    facts: Facts,
    pools: Sequence[PoolFacts],
    contents: Contents | None = None,
    images: ImageRule = AS_WRITTEN,
    queues: QueueFacts | None = None,
    licences: Collection[str] = (),
    issuer: Issuer | None = None,
    workspaces: Sequence[str] = (),
) -> tuple[tuple[AddonPlan, ...], tuple[Mistake, ...]]:
    """The add-ons of a stack file in waves, their objects computed; or everything that is wrong with the set.

    One whose content is not in `contents`, or needs such a one, is held up: it keeps its place and has no objects.
    `images` is for the objects that records write; those of `contents` were rewritten with the hidden ones' paths.
    `licences` are those that are agreed to, though they are not open source. `workspaces` are tenants' namespaces.
    """

    def inputs_of(id: str) -> AddonInputs:
        options = records[id].options.model_validate(own_options(wanted[id]))
        kept = kept_spaces(wanted, records)
        return AddonInputs(
            facts, tuple(pools), options, wanted, queues or QueueFacts(), issuer, kept, tuple(workspaces)
        )

    mistakes = unreadable(wanted, records)
    readable = not mistakes
    mistakes += impossible(wanted, records, facts, pools, licences)
    if readable:
        made = [id for id in sorted(wanted) if not existing_version(wanted[id])]
        mistakes += [m for id in made for m in records[id].judges(inputs_of(id))]
    if mistakes:
        return (), tuple(mistakes)
    graph = {id: _before(records[id], wanted, facts) for id in sorted(wanted)}
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        cycle = " -> ".join(error.args[1])
        return (), (Mistake("espalier:addons", cycle, "add-ons whose needs form no cycle", "Remove one of them."),)
    waves: dict[str, int] = {}
    for id in order:
        waves[id] = 1 + max((waves[need] for need in graph[id]), default=-1)
    plans: dict[str, AddonPlan] = {}
    for id in sorted(order, key=lambda i: (waves[i], i)):
        plan = _plan(records[id], inputs_of(id), waves[id], (contents or {}).get(id), images)
        plans[id] = _after(plan, plans)
    return tuple(plans.values()), (*_two_owners(plans.values()), *_apart(plans.values()))


def _before(record: AddonRecord, wanted: Wanted, facts: Facts) -> list[str]:
    """The add-ons of the stack that come before it; what the cluster has already waits for none."""
    if existing_version(wanted[record.id]):
        return []
    return sorted(needs_of(record, facts) | (record.after & set(wanted)))


def with_implied(
    named: Mapping[str, Mapping[str, Any]], records: Mapping[str, AddonRecord], facts: Facts
) -> dict[str, Mapping[str, Any]]:
    """The add-ons that a stack file names, and those that its cluster has in any case, with their defaults."""
    implied: dict[str, Mapping[str, Any]] = {id: {} for id, record in records.items() if record.implied(facts)}
    return implied | dict(named)


def provided_by(
    wanted: Mapping[str, Mapping[str, Any]], records: Mapping[str, AddonRecord]
) -> dict[str, tuple[str, ...]]:
    """What the add-ons of a stack provide, and which of them; those that are not known or have mistakes do not."""
    found: dict[str, list[str]] = {}
    for id in sorted(set(wanted) & set(records)):
        for token in sorted(provides_of(records[id], wanted[id])):
            found.setdefault(token, []).append(id)
    return {token: tuple(ids) for token, ids in sorted(found.items())}


def _plan(
    record: AddonRecord,
    inputs: AddonInputs,
    wave: int,
    content: Rendered | Recorded | None,
    images: ImageRule,
) -> AddonPlan:
    if there := existing_version(inputs.beside[record.id]):
        return AddonPlan(record.id, there, wave, (), (), content="existing", provides=record.provides)
    version = version_of(record, inputs.facts)
    provides = record.provides_by(inputs.options) if record.provides_by else record.provides
    needs, after = needs_of(record, inputs.facts), record.after & set(inputs.beside)
    plan = AddonPlan(record.id, version, wave, (), tuple(sorted(needs)), tuple(sorted(after)), provides=provides)
    if record.content is None:
        objects = images.apply_to(record.objects(inputs))
        manifests = [planned.manifest for planned in objects]
        known = ContentFacts(tuple(map(reference, manifests)), images=tuple(images_of(manifests)))
        return replace(plan, objects=objects, facts=known)
    if isinstance(content, Rendered):
        return replace(
            plan,
            objects=content.objects,
            facts=content.facts,
            withheld=content.withheld,
            release=content.release,
        )
    held = content or Recorded("its content was not asked for", "Render it first.")
    return replace(plan, content="recorded", held=held, facts=held.facts)


def _after(plan: AddonPlan, earlier: Mapping[str, AddonPlan]) -> AddonPlan:
    """What needs an add-on that is held up is held up with it."""
    behind = [need for need in plan.needs if earlier[need].held]
    if plan.held or not behind:
        return plan
    why = f"it needs {' and '.join(behind)}, held up as well"
    return replace(plan, objects=(), release=None, held=Recorded(why, f"Mend {behind[0]} first.", plan.facts))


def _apart(plans: Iterable[AddonPlan]) -> Iterator[Mistake]:
    """Objects that cannot be in one cluster, whoever brings them."""
    found = {kind: plan.id for plan in plans for name in plan.facts.objects for kind in [name.split("/")[0]]}
    for one, other, why in _EXCLUDE:
        if one in found and other in found:
            got = f"a {other} beside add-on {found[one]}'s {one}"
            yield Mistake(path_text((found[other],), "espalier:addons"), got, f"one of the two: {why}", "Remove one.")


def _two_owners(plans: Iterable[AddonPlan]) -> tuple[Mistake, ...]:
    """Objects that two add-ons bring: each would undo the other's."""
    owners: dict[str, str] = {}
    return tuple(
        Mistake(
            path_text((plan.id,), "espalier:addons"),
            f"{name}, which add-on {owners[name]} has already",
            "each object by one add-on",
            "Turn it off in one of the two; for a namespace, say `create-namespace: false` in one record.",
        )
        for plan in plans
        for name in plan.facts.objects
        if owners.setdefault(name, plan.id) != plan.id
    )
