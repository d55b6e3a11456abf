"""When GKE may maintain the cluster, as its API spells it."""

from __future__ import annotations

import datetime
from typing import Final

from espalier.blueprint.clouds.gke.model import Pause, Window
from espalier.settings.gke import Gke

LEAST_HOURS: Final = 12
"""GKE demands 48 hours in any 32 days, which hold four weekly windows. Source: GKE, "Configure maintenance windows"."""
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MONDAY: Final = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
"""The week of the window's first occurrence; any will do, and it must not change."""


def window_of(cluster: Gke) -> Window:
    """The weekly window, lengthened to what GKE demands."""
    day, time = cluster.maintenance.start.split(" ")
    hours, minutes = (int(part) for part in time.split(":"))
    start = _MONDAY + datetime.timedelta(days=_DAYS.index(day), hours=hours, minutes=minutes)
    end = start + datetime.timedelta(hours=max(cluster.maintenance.hours, LEAST_HOURS))
    return Window(start=_text(start), end=_text(end), recurrence=f"FREQ=WEEKLY;BYDAY={day[:2].upper()}")


def pauses_of(cluster: Gke) -> tuple[Pause, ...]:
    """The exclusions, in the file's order."""
    return tuple(
        Pause(
            name=one.name,
            start=f"{one.start}T00:00:00Z",
            end=f"{one.end}T00:00:00Z" if one.end else None,
            scope=one.scope.replace("-", "_").upper(),
        )
        for one in cluster.exclusions
    )


def nodes_follow(cluster: Gke) -> bool:
    """Whether a lasting exclusion keeps GKE from upgrading nodes: somebody must, and it is who changes the version.

    Without one GKE upgrades nodes after their control plane; a version that is said besides would fight it.
    """
    lasting = {one.scope for one in cluster.exclusions if one.end is None}
    return bool(lasting & {"no-minor-upgrades", "no-minor-or-node-upgrades"}) and cluster.given is None


def _text(moment: datetime.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
