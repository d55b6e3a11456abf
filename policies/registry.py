"""All rules, in the order in which they are judged and shown."""

from __future__ import annotations

from espalier.policies.rules import accelerators, access, cost, disruption, pods, stores, tenants
from espalier.types import Rule

RULES: tuple[Rule, ...] = (
    *tenants.RULES,
    *accelerators.RULES,
    *pods.RULES,
    *access.RULES,
    *disruption.RULES,
    *stores.RULES,
    *cost.RULES,
)
"""Names are unique and stable: waivers and CrossGuard's configuration refer to them."""
