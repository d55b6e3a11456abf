"""Queues for devices, of the pools and the tenants: what a tenant has by right, what it may borrow, in which order."""

from espalier.blueprint.queues.model import SYSTEMS, QueuePlan
from espalier.blueprint.queues.plan import plan_queues, queue_facts, tolerated
from espalier.blueprint.queues.rules import default_system, queue_mistakes, system_of, unqueued_notes

__all__ = [
    "SYSTEMS",
    "QueuePlan",
    "default_system",
    "plan_queues",
    "queue_facts",
    "queue_mistakes",
    "system_of",
    "tolerated",
    "unqueued_notes",
]
