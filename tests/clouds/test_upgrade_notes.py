"""What a plan says of upgrades: what it has checked itself, and what is left to `preflight` or to its reader."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from espalier.addons import RECORDS
from espalier.blueprint import build
from espalier.settings import validate
from tests.clouds.test_wrong import TABLE

SNAPSHOT = (
    "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/shared/providers/"
    "Microsoft.ContainerService/snapshots/nodes"
)


def notes_of(cloud: str, image: dict[str, Any] | None = None) -> list[str]:
    stack = copy.deepcopy(TABLE["stacks"][cloud])
    if image is not None:
        stack["pools"][1]["image"] = image
    plan = build(validate(stack, where="espalier"), RECORDS).cloud
    assert plan is not None
    return [note for note in plan.notes if note.startswith("upgrades: ")]


@pytest.mark.parametrize("cloud", TABLE["stacks"])
def test_a_plan_says_who_checks_the_steps_of_an_upgrade(cloud: str) -> None:
    (note,) = notes_of(cloud)
    assert "one minor at a time" in note
    assert "`preflight` asks the running cluster" in note


@pytest.mark.parametrize(
    ("cloud", "image"),
    [
        ("aws", {"os": "bottlerocket", "release": "1.26.1-943d9a41"}),
        ("azure", {"release": SNAPSHOT}),
    ],
)
def test_an_image_that_does_not_tell_its_version_is_named(cloud: str, image: dict[str, Any]) -> None:
    _, note = notes_of(cloud, image)
    assert "nothing here tells" in note
    assert "gpu" in note


@pytest.mark.parametrize(
    ("cloud", "image"), [("aws", {"release": "1.35.2-20261101"}), ("gcp", {"release": "1.34.1-gke.1396002"})]
)
def test_a_release_that_tells_its_version_is_not(cloud: str, image: dict[str, Any]) -> None:
    assert len(notes_of(cloud, image)) == 1
