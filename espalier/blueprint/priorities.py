"""PriorityClasses that every tenant may use: who goes first when devices are scarce."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from espalier.blueprint import names
from espalier.types import Planned

_CLASSES = (
    ("serving", 3000, "PreemptLowerPriority", "Answers users now; preempts the others."),
    ("interactive", 2000, "PreemptLowerPriority", "A notebook with a person before it; preempts batch work."),
)
_BATCH = ("batch", 1000, "Never", "Training and pipelines; waits its turn.")
_BATCH_OF: Mapping[str, tuple[str, int, str, str]] = {
    "kai-scheduler": ("batch", 90, "Never", "Training and pipelines; waits its turn, and may borrow."),
    "volcano": ("batch", 1000, "PreemptLowerPriority", "Training and pipelines; takes back what its queue has lent."),
}
"""By queueing system, where the plain class would not do.

KAI v0.17.0 keeps work of 100 and more within its queue's own, and never stops it (docs/priority): none could borrow.
Volcano v1.15.1 takes nothing back for a pod that preempts never (actions/reclaim/reclaim.go; seen with its scheduler).
"""


SPOT_CLASSES: Final = ("espalier-batch-spot", "espalier-interactive-spot", "espalier-serving-spot")
"""The same for pods on spot nodes alone; for tenants whose quota tells kinds of capacity apart."""


def priorities(system: str = "") -> tuple[tuple[str, int, str], ...]:
    """Name, value and purpose of each class; their order is the same with each queueing system."""
    return tuple((f"espalier-{name}", value, description) for name, value, _, description in _classes(system))


def _classes(system: str, *, spot: bool = False) -> tuple[tuple[str, int, str, str], ...]:
    found = (*_CLASSES, _BATCH_OF.get(system, _BATCH))
    twins = ((f"{name}-spot", value, how, f"{said} On spot nodes alone.") for name, value, how, said in found)
    return (*found, *(twins if spot else ()))


def priority_classes(system: str = "", *, spot: bool = False) -> tuple[Planned, ...]:
    """None is the global default, so that a cluster's own default stays what it is. `spot`: those for spot, too."""
    return tuple(
        Planned(
            f"priority-{name}",
            {
                "apiVersion": "scheduling.k8s.io/v1",
                "kind": "PriorityClass",
                "metadata": {"name": f"espalier-{name}", "labels": dict(names.MANAGED_BY)},
                "value": value,
                "preemptionPolicy": preemption,
                "description": description,
            },
        )
        for name, value, preemption, description in _classes(system, spot=spot)
    )
