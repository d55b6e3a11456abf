"""What stacks ask of their clouds, held against the clouds' own descriptions of their APIs."""

from __future__ import annotations

import pytest

from tests.clouds.judge import NO_API, RESOURCES, wrong_of
from tests.clouds.recorded import CLOUDS
from tests.clouds.stacks import ALL, GIVEN, graph_of


@pytest.mark.parametrize("stack", [*ALL, *GIVEN])
def test_every_request_is_one_that_the_cloud_describes(stack: str) -> None:
    graph = graph_of(stack)
    asked = graph.of(*CLOUDS.values())
    assert asked
    found: list[str] = []
    for name, resource in asked.items():
        if resource.type in RESOURCES:
            found += [f"{name} ({resource.type}): {wrong}" for wrong in wrong_of(resource.type, graph.inputs(name))]
        elif resource.type not in NO_API:
            found.append(f"{name}: nothing judges {resource.type}: add a row to the cloud's table beside this file")
    assert not found, "\n".join(dict.fromkeys(found))
