"""PriorityClasses that every tenant may use: who goes first when devices are scarce."""

from __future__ import annotations

from espalier.blueprint import names
from espalier.types import Planned

_CLASSES = (
    ("serving", 3000, "PreemptLowerPriority", "Answers users now; preempts the others."),
    ("interactive", 2000, "PreemptLowerPriority", "A notebook with a person before it; preempts batch work."),
    ("batch", 1000, "Never", "Training and pipelines; waits its turn."),
)


def priorities() -> tuple[tuple[str, int, str], ...]:
    """Name, value and purpose of each class."""
    return tuple((f"espalier-{name}", value, description) for name, value, _, description in _CLASSES)


def priority_classes() -> tuple[Planned, ...]:
    """None is the global default, so that a cluster's own default stays what it is."""
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
        for name, value, preemption, description in _CLASSES
    )
