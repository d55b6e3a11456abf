"""Wrong pools and clusters, and the whole of what a user reads of each: wrong.yaml is the table.

A case changes keys of one stack of its cloud: of `cluster`, of `system`, the pool for cluster components, or of `gpu`,
the pool with an accelerator; null takes a key away. `without: system` takes the pool away.
"""

from __future__ import annotations

import copy
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from espalier.addons import RECORDS
from espalier.blueprint import build
from espalier.settings.load import load_file
from espalier.types import Mistakes

TABLE: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("wrong.yaml").read_text("utf-8"))
CASES: list[dict[str, Any]] = TABLE["cases"]
_LINE = re.compile(r" \(line \d+\)")


def stack_of(case: dict[str, Any]) -> dict[str, Any]:
    stack = copy.deepcopy(TABLE["stacks"][case["cloud"]])
    system, gpu = stack["pools"]
    for part, target in (("cluster", stack["cluster"]), ("system", system), ("gpu", gpu)):
        for key, value in case.get(part, {}).items():
            target[key] = value
            if value is None:
                del target[key]
    if case.get("without") == "system":
        stack["pools"] = [gpu]
    return stack


def said_of(stack: dict[str, Any], folder: Path) -> list[str]:
    """What the command says of a stack file: each mistake in its words, without the line."""
    path = folder / "Pulumi.wrong.yaml"
    path.write_text(yaml.safe_dump({"config": {f"espalier:{key}": value for key, value in stack.items()}}), "utf-8")
    try:
        build(load_file(path).settings, RECORDS)
    except Mistakes as error:
        return [_LINE.sub("", mistake.text()) for mistake in error.mistakes]
    return []


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['cloud']}: {case['name']}")
def test_a_user_reads_what_is_wrong_and_what_to_do(case: dict[str, Any], tmp_path: Path) -> None:
    assert said_of(stack_of(case), tmp_path) == case["says"]


@pytest.mark.parametrize("cloud", TABLE["stacks"])
def test_the_stacks_that_cases_change_are_right(cloud: str, tmp_path: Path) -> None:
    assert said_of(TABLE["stacks"][cloud], tmp_path) == []


def test_the_table_is_wide_enough() -> None:
    """At least sixty in all, and whatever one cloud is asked under a name that several have, each of them is."""
    assert len(CASES) >= 60
    names = Counter(case["name"] for case in CASES)
    assert len({(case["cloud"], case["name"]) for case in CASES}) == len(CASES)
    assert sum(count == len(TABLE["stacks"]) for count in names.values()) >= 25
    assert all(case["says"] for case in CASES)
