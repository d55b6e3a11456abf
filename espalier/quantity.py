"""Kubernetes quantities ("500m", "32Gi") as exact numbers.

Source: apimachinery pkg/api/resource/quantity.go (suffixes; sign and exponent forms are not used by Espalier).
"""

from __future__ import annotations

import re
from fractions import Fraction

_SUFFIX = {
    "": Fraction(1),
    "m": Fraction(1, 1000),
    "k": Fraction(10**3),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
    "P": Fraction(10**15),
    "Ki": Fraction(2**10),
    "Mi": Fraction(2**20),
    "Gi": Fraction(2**30),
    "Ti": Fraction(2**40),
    "Pi": Fraction(2**50),
}
_QUANTITY = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?)(m|k|[MGTP]|[KMGTP]i)?", re.ASCII)
_LARGEST = 2**63 - 1


def parse_quantity(text: str) -> Fraction:
    """The quantity's value in its base unit (bytes, cores, devices).

    Raises ValueError, in words for people, on what Kubernetes would not take or would cut off at 2^63 - 1.
    """
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError("not a quantity such as 4, 500m or 32Gi")
    value = Fraction(match[1]) * _SUFFIX[match[2] or ""]
    if value > _LARGEST:
        raise ValueError("larger than Kubernetes can hold (2^63 - 1)")
    return value
