"""What stands beside a cluster in its cloud: buckets, registries and a private DNS zone, in one shape of outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi

from espalier.blueprint.clouds.parts import Parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What stands beside a cluster, made or given. Each is known once it can be used."""

    buckets: Mapping[str, pulumi.Input[str]] = field(default_factory=dict[str, pulumi.Input[str]])
    """URL by the name in the stack file."""
    registries: Mapping[str, pulumi.Input[str]] = field(default_factory=dict[str, pulumi.Input[str]])
    """What images' names begin with, by the name in the stack file."""
    zone: pulumi.Input[str] | None = None
    """Id of the private DNS zone."""

    def outputs(self, parts: Parts) -> dict[str, pulumi.Output[Any]]:
        """What the stack exports of them, one shape in all clouds; what it has none of is left out."""
        dns = {"domain": parts.zone.domain, "id": self.zone} if parts.zone and self.zone else {}
        found = {"buckets": self.buckets, "registries": self.registries, "dns": dns}
        return {key: pulumi.Output.from_input(dict(value)) for key, value in found.items() if value}
