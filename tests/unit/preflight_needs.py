"""Needs made by hand, so that what is judged does not hang on how stacks are compiled."""

from __future__ import annotations

import json
from typing import Any

from espalier.blueprint.clouds import CloudPlan
from espalier.blueprint.clouds.parts import Parts
from espalier.preflight import Finding, GroupNeed, Needs
from espalier.settings.cloud import CloudCluster
from espalier.settings.pool import Reservation


def group(**given: Any) -> GroupNeed:
    reservation = given.pop("reservation", None)
    values: dict[str, Any] = {
        "pool": "gpu",
        "group": "gpu-on-demand",
        "kind": "on-demand",
        "machines": ("p5.48xlarge",),
        "zones": ("us-east-1a",),
        "maximum": 2,
        "vcpu": 192,
        "devices": 8,
        "accelerator": "H100-80",
        "pods": 110,
        "release": "",
    }
    made = Reservation.model_validate_json(json.dumps(reservation)) if reservation else None
    return GroupNeed(**(values | given), reservation=made)


def needs(cluster: CloudCluster, *groups: GroupNeed, resources: Any = (), parts: Parts | None = None) -> Needs:
    plan = CloudPlan(
        kind=str(getattr(cluster, "kind")),  # noqa: B009 - of each cloud's own class
        name=cluster.name,
        region=cluster.region,
        zones=cluster.zones or (),
        tags=cluster.tags,
        groups=(),
        notes=(),
        parts=parts or Parts(),
    )
    return Needs(cluster=cluster, plan=plan, groups=groups, resources=tuple(resources))


def told(found: list[Finding], level: str) -> dict[str, Finding]:
    return {each.what: each for each in found if each.level == level}
