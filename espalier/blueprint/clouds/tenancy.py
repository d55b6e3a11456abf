"""What a cloud does for tenants: who reaches which part of a bucket, and which class has volumes for many writers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from espalier.blueprint.clouds.parts import Bucket, Parts
from espalier.types import Mistake

ACCOUNT: Final = "default"
"""The service account that a namespace's pods have unless they name another: the cloud's identity is its."""
_NOT_PUBLIC: Final = (
    "10.0.0.0/8",
    "100.64.0.0/10",
    "168.63.129.16/32",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
)
"""Private, shared and link-local ranges (RFC 1918, 6598, 3927), Azure's WireServer: clusters, networks, metadata."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A namespace's part of a bucket."""

    namespace: str
    bucket: Bucket
    prefix: str
    """What its objects' names begin with; it ends with /, and has no character that a policy reads as a pattern."""

    @property
    def url(self) -> str:
        """As the cloud's own tools name it."""
        return f"{self.bucket.url}/{self.prefix}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenancy:
    """A cloud's part in tenants: pure functions of its own kind of cluster."""

    parts: Callable[[Any], Parts]
    grant: Callable[[Any, Any, Sequence[Folder]], Any]
    """Its plan, with an identity for each folder; of the plan, the cluster and the folders."""
    egress: Callable[[Any], list[dict[str, Any]]]
    """What pods must reach to get credentials and use a bucket, as egress rules of a NetworkPolicy."""
    shared_class: Callable[[Any], str]
    """The StorageClass of volumes for many writers, made as claims ask; "" for none."""
    annotated: bool = False
    """Whether the service account says who it is by an annotation."""
    mistakes: Callable[[Any, Sequence[Folder]], Iterable[Mistake]] = lambda _, __: ()


def to_addresses(cidr: str, *ports: int, but: Sequence[str] = ()) -> dict[str, Any]:
    """An egress rule to a range, without some of it."""
    block = {"cidr": cidr, **({"except": list(but)} if but else {})}
    return {"to": [{"ipBlock": block}], "ports": [{"protocol": "TCP", "port": port} for port in ports]}


def to_the_cloud() -> dict[str, Any]:
    """To the cloud's public endpoints. Their ranges change, and a NetworkPolicy knows no names: TLS to any public
    address, so that it is the network's own egress that bounds it further."""
    return to_addresses("0.0.0.0/0", 443, but=_NOT_PUBLIC)
