"""How work waits for devices: keys of the platform, and those of a tenant."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from espalier.settings.base import Count, DeviceName, Strict, form

_TIME = form(r"^[1-9][0-9]{0,3}(m|h)$", "a time, such as 30m or 24h")


class Queues(Strict):
    """How work waits for devices, where the stack has kueue, volcano or kai-scheduler."""

    borrowing: bool = Field(
        default=True, description="whether a tenant may use what others leave idle; they get it back when they ask"
    )
    preemption: Literal["never", "reclaim", "priority"] = Field(
        default="priority",
        description="what stops running work: nothing; a tenant that takes back what it lent; or, besides, work of a "
        "higher priority of the same tenant",
    )
    ladder: Literal["kinds", "pools"] | None = Field(
        default=None,
        description="who goes down a pool's kinds of capacity. kinds: the queue, as each one's quota is used; pools: "
        "its autoscaler, also when a kind is out of stock. Default: pools where the cluster has an autoscaler (Kueue)",
    )
    enforce: bool = Field(
        default=True, description="whether work in a tenant's namespaces that names no queue waits in its own (Kueue)"
    )
    topology: bool = Field(
        default=False,
        description="whether work may ask for nodes close together, on pools whose nodes all stand; work that does not "
        "ask for a topology runs on other pools then (Kueue)",
    )
    start_within: Annotated[str, Field(pattern=_TIME)] | None = Field(
        default=None,
        description="time after which work whose pods are not all ready gives its devices back and waits again; "
        "default: 30m, 24h where flex capacity may take its time (Kueue)",
    )


class TenantQueue(Strict):
    """A tenant's place among the others."""

    weight: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=1, description="its share of what is idle, against the others' weights"
    )
    borrow: dict[DeviceName, Count] = Field(
        default={}, description="devices beyond its quota that it may use while others leave them idle"
    )
    lend: dict[DeviceName, Count] = Field(
        default={},
        description="devices of its quota, at most, that others may use while it leaves them idle; default: all",
    )
