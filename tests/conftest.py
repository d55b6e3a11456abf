"""What all tests share: property tests that draw the same examples every time, and golden files."""

from __future__ import annotations

import pytest
from hypothesis import settings

# No deadline: a busy machine is not a bug. Derandomised: a test that passed passes again.
settings.register_profile("espalier", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("espalier")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-goldens", action="store_true", help="write the golden files instead of comparing")
