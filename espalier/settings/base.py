"""What all models of a stack file are made of: strict, closed, frozen; and the texts that several of them take.

JSON semantics (strict): a number is never read as a string, nor a string as a number.
"""

from __future__ import annotations

import datetime
import ipaddress
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from espalier.quantity import parse_quantity

FORMS: dict[str, str] = {}
"""What text of each pattern looks like, in words."""


def form(pattern: str, words: str) -> str:
    """A pattern, and what its text looks like in words: errors and the docs say these."""
    FORMS[pattern] = words
    return pattern


NAME_PATTERN = form(
    r"^[a-z]([-a-z0-9]{0,28}[a-z0-9])?$",
    "a name of lower-case letters, digits and -, a letter first, at most 30 characters",
)
LABEL_KEY_PATTERN = form(
    r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$",
    "a label's key, such as team or example.com/team",
)
LABEL_VALUE_PATTERN = form(
    r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$",
    "a label's value: letters, digits, -, _ and ., at most 63 characters",
)
CIDR_PATTERN = form(r"^[0-9]{1,3}(\.[0-9]{1,3}){3}/[0-9]{1,2}$", "an IPv4 range, such as 10.0.0.0/16")
REGION_PATTERN = form(r"^[a-z][-a-z0-9]{1,38}[a-z0-9]$", "a region's name as its cloud spells it, such as us-east-1")
ZONE_PATTERN = form(r"^[a-z0-9][-a-z0-9]{0,39}$", "a zone's name as its cloud spells it, such as us-east-1a")
URL_PATTERN = form(r"^(https?|socks5)://[^\s/@]+(/\S*)?$", "a URL without credentials, such as https://127.0.0.1:8443")
DEVICE_PATTERN = form(
    r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$",
    "a device's resource name, such as nvidia.com/gpu",
)
BYTES_PATTERN = form(
    r"^[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)$", "a quantity of bytes with its unit, such as 32Gi"
)
GROUP_PATTERN = form(r"^\S(.*\S)?$", "a group's name, without spaces around it")
VERSION_PATTERN = form(r"^1\.(3[1-9]|[4-9][0-9])$", 'a Kubernetes minor version in quotes, "1.31" or later')
UID_PATTERN = form(
    r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", "the UID of a namespace: five groups of hexadecimal digits"
)
MACHINE_PATTERN = form(r"^[A-Za-z0-9][-A-Za-z0-9_.]{0,62}$", "a machine type's name, such as p5.48xlarge")
MIG_PATTERN = form(r"^all-[a-z0-9.+-]{1,30}$", "a MIG profile for all devices, such as all-1g.10gb")
TOPOLOGY_PATTERN = form(r"^[1-9][0-9]{0,2}(x[1-9][0-9]{0,2}){1,2}$", "a TPU topology, such as 4x4 or 2x2x4")
REGISTRY_PATTERN = form(
    r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$",
    "a registry with its path, such as registry.example.com/mirror",
)
DATE_PATTERN = form(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", 'a day in quotes, such as "2026-07-20"')

Name = Annotated[str, Field(pattern=NAME_PATTERN)]
LabelKey = Annotated[str, Field(pattern=LABEL_KEY_PATTERN)]
LabelValue = Annotated[str, Field(pattern=LABEL_VALUE_PATTERN)]
DeviceName = Annotated[str, Field(pattern=DEVICE_PATTERN)]
Count = Annotated[int, Field(ge=0, le=100_000)]
Money = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1, max_length=256)]
"""A name or an id that only its cloud can judge."""


def _not_of_kubernetes(name: str) -> str:
    if name.startswith("system:"):
        raise PydanticCustomError(
            "group", "a group of the identity provider; names that start with system: are Kubernetes' own"
        )
    return name


GroupName = Annotated[
    str, Field(min_length=1, max_length=256, pattern=GROUP_PATTERN), AfterValidator(_not_of_kubernetes)
]


def _quantity(text: str) -> str:
    try:
        parse_quantity(text)
    except ValueError as error:
        raise PydanticCustomError("quantity", "{why}", {"why": f"a quantity; this is {error}"}) from None
    return text


Bytes = Annotated[str, Field(pattern=BYTES_PATTERN, max_length=24), AfterValidator(_quantity)]


def _range(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        raise PydanticCustomError("cidr", "a range whose host bits are zero, such as 10.0.0.0/16") from None


Cidr = Annotated[str, Field(pattern=CIDR_PATTERN), AfterValidator(_range)]
Region = Annotated[str, Field(pattern=REGION_PATTERN)]
Zone = Annotated[str, Field(pattern=ZONE_PATTERN)]


def _day(text: str) -> str:
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        raise PydanticCustomError("date", "a day of the calendar, such as 2026-07-20") from None
    return text


Day = Annotated[str, Field(pattern=DATE_PATTERN), AfterValidator(_day)]


def hyphenated(name: str) -> str:
    """A field's name as its key in the stack file: time_slices is `time-slices` there."""
    return name.replace("_", "-")


class Strict(BaseModel):
    """Frozen, strict, closed; keys are written with hyphens in the file."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        defer_build=True,  # built when a stack file is read: the command's help does not wait for it
        alias_generator=hyphenated,
    )
