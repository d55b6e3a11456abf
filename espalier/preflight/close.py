"""What a region has instead of a machine that it lacks."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from espalier.catalogue import catalogue
from espalier.catalogue.model import Cloud
from espalier.preflight.model import shortened
from espalier.preflight.needs import GroupNeed


def close_to(cloud: Cloud, group: GroupNeed, machine: str, offered: Collection[str]) -> str:
    """Machines with the same accelerator or as many vCPUs, else those of the family; "nothing" for none."""
    rows = catalogue().machines(cloud).values()
    if group.accelerator:
        near = [row.name for row in rows if row.name in offered and row.counts(group.accelerator)]
    else:
        near = [row.name for row in rows if row.name in offered and not row.accelerator and row.vcpu == group.vcpu]
    alike = difflib.get_close_matches(machine, sorted(name for name in offered if name[:2] == machine[:2]), n=4)
    return shortened(sorted(near) or alike) or "nothing"
