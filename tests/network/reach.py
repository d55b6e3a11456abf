"""What network-config-analyzer answers, asked for one pair at a time."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

ALL: Final = "all"
NONE: Final = "none"
_LINE: Final = re.compile(r"^(?P<src>\S+) => (?P<dst>\S+) : (?P<how>.+)$")
_CUBE: Final = re.compile(r"\{protocols:(?P<protocols>[A-Z, ]+?)(,dst_ports:(?P<ports>[0-9,-]+))?\}")
_Address = IPv4Address | IPv6Address


@dataclass(frozen=True)
class Reach:
    """Each pair as the tool tells it: pods are <namespace>/<name>, addresses ranges of these."""

    pods: dict[tuple[str, str], str]
    out: dict[str, list[tuple[_Address, _Address, str]]]
    into: dict[str, list[tuple[_Address, _Address, str]]]

    def between(self, source: str, target: str) -> str:
        """The ports by which the source, a pod or an address, reaches the target; at most one is an address."""
        if "/" in source and "/" in target:
            return self.pods.get((source, target), NONE)
        ranges, asked = (self.out.get(source), target) if "/" in source else (self.into.get(target), source)
        address = ip_address(asked)
        same = [one for one in ranges or () if one[0].version == address.version]
        return written(how for low, high, how in same if int(low) <= int(address) <= int(high))


def reach_of(text: str) -> Reach:
    """Raises ValueError on what it does not know: a line that is passed over would be a hole."""
    reach = Reach({}, {}, {})
    for line in filter(None, text.splitlines()):
        found = _LINE.match(line)
        if not found:
            raise ValueError(f"an answer of another form: {line}")
        source, target = (found[side].removesuffix("[Pod]") for side in ("src", "dst"))
        how = _ports(found["how"])
        if found["src"].endswith("[Pod]") and found["dst"].endswith("[Pod]"):
            # What differs by protocol stands on lines of its own.
            reach.pods[source, target] = written((reach.pods.get((source, target), NONE), how))
        elif found["src"].endswith("[Pod]"):
            reach.out.setdefault(source, []).append((*_range(target), how))
        else:
            reach.into.setdefault(target, []).append((*_range(source), how))
    return reach


def _range(text: str) -> tuple[_Address, _Address]:
    low, dash, high = text.partition("-")
    if dash:
        return ip_address(low), ip_address(high)
    network: IPv4Network | IPv6Network = ip_network(low)
    return network[0], network[-1]


def _ports(how: str) -> str:
    if how == "All connections":
        return ALL
    if _CUBE.sub("", how).strip(", "):
        raise ValueError(f"connections of another form: {how}")
    cubes = [(found["protocols"], found["ports"]) for found in _CUBE.finditer(how)]
    return written(
        f"{protocol} {port}" if port else protocol
        for protocols, ports in cubes
        for protocol in protocols.split(", ")
        for port in (ports or "").split(",")
    )


def written(ports: Iterable[str]) -> str:
    """A set of "<protocol> <port>" as one text."""
    found = {one.strip() for port in ports for one in port.split(",")} - {NONE, ""}
    return ALL if ALL in found else ", ".join(sorted(found, key=_place)) or NONE


def _place(port: str) -> tuple[str, int]:
    protocol, _, number = port.partition(" ")
    return protocol, int(number.partition("-")[0] or 0)
