"""Regions of AWS and their availability zones.

Source: moto/ec2/models/availability_zones_and_regions.py (moto 5.2.5), which records DescribeAvailabilityZones, without
local zones; regions that EKS is in: botocore 1.44.5, endpoints.json. Two of AWS's partitions are here, its own and
us-gov; in China other service principals and endpoints hold, which nothing here is made for.
A zone's letter is the account's own: which of the data centres us-east-1e names differs by account, so whether EKS can
place its control plane there (not in use1-az3, usw1-az2 and cac1-az3; EKS user guide, network requirements) is a
question to the account, and preflight's.
"""

from __future__ import annotations

from typing import Final

_LETTERS: Final = {
    "af-south-1": "abc",
    "ap-east-1": "abc",
    "ap-east-2": "abc",
    "ap-northeast-1": "acd",
    "ap-northeast-2": "abcd",
    "ap-northeast-3": "abc",
    "ap-south-1": "abc",
    "ap-south-2": "abc",
    "ap-southeast-1": "abc",
    "ap-southeast-2": "abc",
    "ap-southeast-3": "abc",
    "ap-southeast-4": "abc",
    "ap-southeast-5": "abc",
    "ap-southeast-6": "abc",
    "ap-southeast-7": "abc",
    "ca-central-1": "abd",
    "ca-west-1": "abc",
    "eu-central-1": "abc",
    "eu-central-2": "abc",
    "eu-north-1": "abc",
    "eu-south-1": "abc",
    "eu-south-2": "abc",
    "eu-west-1": "abc",
    "eu-west-2": "abc",
    "eu-west-3": "abc",
    "il-central-1": "abc",
    "me-central-1": "abc",
    "me-south-1": "abc",
    "mx-central-1": "abc",
    "sa-east-1": "abc",
    "us-east-1": "abcdef",
    "us-east-2": "abc",
    "us-gov-east-1": "abc",
    "us-gov-west-1": "abc",
    "us-west-1": "abc",
    "us-west-2": "abcd",
}
"""Region -> the letters of its zones. An account sees two of us-west-1's three: a cluster there names its zones."""
CHOSEN: Final = 3
"""Zones that a cluster stands in where its stack file names none."""


def zones(region: str) -> tuple[str, ...] | None:
    """Zones of a region; None for a region that this table lacks."""
    letters = _LETTERS.get(region)
    return None if letters is None else tuple(f"{region}{letter}" for letter in letters)


def regions() -> tuple[str, ...]:
    """All regions that are known."""
    return tuple(sorted(_LETTERS))


def chosen(region: str, named: tuple[str, ...] | None) -> tuple[str, ...]:
    """The zones that a cluster stands in: those that its stack file names, else the first three of its region."""
    return named or (zones(region) or ())[:CHOSEN]


def partition(region: str) -> str:
    """AWS's partition that a region belongs to, as ARNs spell it."""
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"
