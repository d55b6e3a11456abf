"""Quotas by kind of capacity in Kueue: its flavours hold them, which know the kind before there is a pod."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from espalier.blueprint.capacity import bounds_of, side_of
from espalier.blueprint.queues.model import Flavour
from espalier.blueprint.queues.shares import shares
from espalier.settings.model import Settings
from espalier.settings.tenants import Quota
from espalier.types import Mistake


def caps(quota: Quota, device: str, flavours: Sequence[Flavour]) -> dict[str, int]:
    """Flavour -> devices at most, for those of a side that is bounded: its bound is parted among them, since a queue
    knows no sum over some flavours."""
    found: dict[str, int] = {}
    for side, devices in bounds_of(quota).items():
        mine = [one for one in flavours if one.kinds and side_of(one.kinds[0]) == side]
        if device in devices and mine:
            unit = max(one.unit for one in mine)
            found |= shares(devices[device], {one.name: one.devices[device] for one in mine}, unit)
    return found


def kueue_mistakes(settings: Settings, flavours: Sequence[Flavour]) -> Iterator[Mistake]:
    """Where Kueue's flavours cannot hold the bounds."""
    for index, tenant in enumerate(settings.tenants):
        bounds = bounds_of(tenant.quota)
        if not bounds:
            continue
        path = f"espalier:tenants[{index}].quota.capacity"
        if not settings.queues.enforce:
            got = "a bound, with work that is not queued"
            do = "Set espalier:queues.enforce: true, or remove it."
            yield Mistake(path, got, "a bound where Kueue queues all work", do)
        devices = {device for bound in bounds.values() for device in bound}
        mixed = [
            flavour.name
            for flavour in flavours
            if devices & set(flavour.devices) and len({side_of(kind) for kind in flavour.kinds}) > 1
        ]
        if mixed:
            got = f"{', '.join(mixed)}, of spot and other capacity, among which an autoscaler chooses"
            do = "Set espalier:queues.ladder: kinds, or make pools of one kind."
            yield Mistake(path, got, "flavours of one kind of capacity each", do)
