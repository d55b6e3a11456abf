"""Documents as text: to the byte what Python's own encoder writes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.report.json_text import indented

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


@given(JSON)
def test_the_text_is_that_of_json_dumps(value: Any) -> None:
    assert indented(value) == json.dumps(value, indent=2, allow_nan=False)


@pytest.mark.parametrize("value", [float("nan"), {"a": [float("inf")]}, {"a": object()}])
def test_what_is_no_json_is_refused_as_there(value: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        indented(value)
