"""Quantities against Kubernetes' own (apimachinery pkg/api/resource/quantity.go and its tests)."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.quantity import parse_quantity


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("100m", Fraction(1, 10)),
        ("0.5", Fraction(1, 2)),
        ("1000m", 1),
        ("1Ki", 1024),
        ("8Ki", 8 * 1024),
        ("7Mi", 7 * 1024**2),
        ("6Gi", 6 * 1024**3),
        ("5Ti", 5 * 1024**4),
        ("4Pi", 4 * 1024**5),
        ("10k", 10_000),
        ("9M", 9 * 10**6),
        ("8G", 8 * 10**9),
        ("7T", 7 * 10**12),
        ("6P", 6 * 10**15),
        ("1.5Gi", 3 * 2**29),
        ("12.3k", 12_300),
        ("0.001Ki", Fraction(1024, 1000)),
        ("9223372036854775807", None),
        ("8191Pi", 8191 * 2**50),
    ],
)
def test_values_are_kubernetes_own(text: str, value: Fraction | int | None) -> None:
    if value is None:  # nineteen digits: more than a settings file has use for, refused rather than rounded
        with pytest.raises(ValueError, match="not a quantity"):
            parse_quantity(text)
    else:
        assert parse_quantity(text) == value


@pytest.mark.parametrize("text", ["", " 1", "1 ", "-1", "1K", "1ki", "1gi", "1mi", "1b", "1GiB", "1.2.3", "1,5", "٣"])
def test_what_kubernetes_refuses_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a quantity"):
        parse_quantity(text)


@pytest.mark.parametrize("text", ["8192Pi", "9224P", "999999999999999999k"])
def test_what_kubernetes_would_cut_off_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"2\^63 - 1"):
        parse_quantity(text)


SUFFIXES = st.sampled_from(["", "m", "k", "M", "G", "Ki", "Mi", "Gi", "Ti"])


@given(st.integers(0, 10**5), st.integers(0, 10**5), SUFFIXES)
def test_quantities_of_one_suffix_add_up(one: int, other: int, suffix: str) -> None:
    both = parse_quantity(f"{one}{suffix}") + parse_quantity(f"{other}{suffix}")
    assert parse_quantity(f"{one + other}{suffix}") == both


@given(st.integers(0, 10**6))
def test_a_larger_suffix_is_1024_or_1000_of_the_smaller(n: int) -> None:
    for small, large in (("Ki", "Mi"), ("Mi", "Gi"), ("Gi", "Ti")):
        assert parse_quantity(f"{n}{large}") == 1024 * parse_quantity(f"{n}{small}")
    for small, large in (("m", ""), ("", "k"), ("k", "M"), ("M", "G")):
        assert parse_quantity(f"{n}{large}") == 1000 * parse_quantity(f"{n}{small}")
