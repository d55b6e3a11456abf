"""Add-ons come after what they need, whatever the order in which they are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from espalier.blueprint.order import plan_addons
from espalier.types import AddonInputs, AddonPlan, AddonRecord, Facts, Planned

FACTS = Facts("simulated", "1.36", runs_containers=False)


class Options(BaseModel):
    pass


def nothing(_inputs: AddonInputs) -> Sequence[Planned]:
    return ()


def planned(needs: Mapping[str, set[str]], order: Sequence[str]) -> tuple[AddonPlan, ...]:
    records = {
        id: AddonRecord(id, "1", "c", "core", "MIT", "here", Options, nothing, needs=frozenset(needs[id]))
        for id in order
    }
    plans, mistakes = plan_addons({id: {} for id in order}, records, FACTS, ())
    assert mistakes == ()
    return plans


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, set[str]]:
    """Add-ons that need only such as were drawn before them."""
    ids = [f"a{number}" for number in range(draw(st.integers(1, 8)))]
    return {id: draw(st.sets(st.sampled_from(ids[:at]))) if at else set() for at, id in enumerate(ids)}


@given(graphs(), st.randoms())
def test_needs_come_first_and_the_writing_order_does_not_matter(needs: dict[str, set[str]], random: Random) -> None:
    order = list(needs)
    plans = planned(needs, order)
    random.shuffle(order)
    assert planned(needs, order) == plans
    waves = {plan.id: plan.wave for plan in plans}
    place = {plan.id: at for at, plan in enumerate(plans)}
    for id, needed in needs.items():
        # As early as can be: just after the last of what it needs.
        assert waves[id] == max((waves[need] + 1 for need in needed), default=0)
        assert all(place[need] < place[id] for need in needed)
