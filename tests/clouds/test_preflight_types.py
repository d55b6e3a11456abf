"""That preflight knows what permissions each resource of the stacks here needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from espalier.preflight.aws import permissions as aws
from espalier.preflight.azure import permissions as azure
from espalier.preflight.gcp import permissions as gcp
from tests.clouds.stacks import ALL, graph_of

UNJUDGED: tuple[Callable[[Iterable[str]], list[str]], ...] = (aws.unjudged, azure.unjudged, gcp.unjudged)


@pytest.mark.parametrize("stack", ALL)
def test_preflight_judges_every_type_that_a_stack_registers(stack: str) -> None:
    types = {resource.type for resource in graph_of(stack).resources.values()}
    assert [type_ for unjudged in UNJUDGED for type_ in unjudged(types)] == []
