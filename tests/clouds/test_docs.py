"""docs/clouds.md says of one pool what it becomes: each value of its table is in what is recorded."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.clouds.recorded import ROOT, Graph, recorded
from tests.clouds.test_wrong import TABLE
from tests.clouds.upgrades import POOLS

TEXT = (ROOT / "docs" / "clouds.md").read_text("utf-8")
COLUMNS = {"aws": 2, "gcp": 3, "azure": 4}
_EXAMPLE = re.search(r"```yaml\n(.*?)```", TEXT, re.DOTALL)


def pool_of_docs() -> dict[str, Any]:
    assert _EXAMPLE
    found: dict[str, Any] = yaml.safe_load(_EXAMPLE[1])
    return found["espalier:pools"][1]


def graph_of(cloud: str) -> Graph:
    stack = TABLE["stacks"][cloud] | {"pools": [TABLE["stacks"][cloud]["pools"][0], pool_of_docs()]}
    return recorded(yaml.safe_dump({"config": {f"espalier:{key}": value for key, value in stack.items()}}))


def said(cloud: str) -> list[str]:
    """The code in a cloud's column of the first table."""
    rows = TEXT.split("| | EKS: node group")[1].split("\n\n")[0].splitlines()[2:]
    cells = [row.split("|")[COLUMNS[cloud]] for row in rows]
    words = [word for cell in cells for word in re.findall(r"`([^`]+)`", cell)]
    return [word for word in words if word not in {"count", "updateConfig"}]


def leaves(value: Any, key: str = "") -> set[str]:
    """Each value of the inputs, alone and with its key, as the table writes it."""
    if isinstance(value, dict):
        taint = {"key", "value", "effect"} <= value.keys()
        effect = {"NO_SCHEDULE": "NoSchedule"}.get(str(value.get("effect")))
        own = {f"{value['key']}={value['value']}:{effect}"} if taint else set[str]()
        return own.union(*(leaves(item, name) for name, item in value.items()))
    if isinstance(value, list):
        return set[str]().union(*(leaves(item, key) for item in value))
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return {text, f"{key}: {text}"}


@pytest.mark.parametrize("cloud", COLUMNS)
def test_the_table_says_what_is_recorded(cloud: str) -> None:
    graph = graph_of(cloud)
    (name,) = [name for name in graph.of(*POOLS) if name.endswith("-t4-spot")]
    recorded_values = leaves(graph.inputs(name))
    words = [part for word in said(cloud) for part in parts(word)]
    assert len(words) >= 8
    assert [word for word in words if word not in recorded_values] == []


def parts(word: str) -> list[str]:
    """`a: [{b: c, d: e}]` says b: c and d: e; `a: [b]` says a: b."""
    inner = re.fullmatch(r"\w+: \[?\{(.*)\}\]?", word)
    return inner[1].split(", ") if inner else [re.sub(r"\[([^\]]*)\]", r"\1", word)]
