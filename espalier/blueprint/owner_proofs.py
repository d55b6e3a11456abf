"""Proofs that every part of a device's stack has one owner: somebody's where it is needed, and never two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from espalier.blueprint.ownership import OPERANDS
from espalier.blueprint.pools import PoolPlan
from espalier.blueprint.reach import daemonset_reaches
from espalier.types import AddonPlan, AddonRecord, NodeShape, Owner, Proof

_TOKENS: Final = {"sharing": "mig"}
"""What an add-on provides for a part, where it is called otherwise."""


def owner_proofs(
    pools: Sequence[PoolPlan], addons: Sequence[AddonPlan], records: Mapping[str, AddonRecord]
) -> Iterator[Proof]:
    """For each pool with devices: who owns what, and one driver where an operator installs them."""
    for pool in pools:
        if pool.owners is not None:
            yield _parts(pool, records)
    drivers = {addon.id: _drivers(addon, records[addon.id]) for addon in addons if not addon.held}
    for pool in pools:
        if pool.owners is not None and any(drivers.values()):
            yield _one_driver(pool, drivers)


def _parts(pool: PoolPlan, records: Mapping[str, AddonRecord]) -> Proof:
    """What nobody owns is missing: a driver, the runtime's toolkit, and the cutting of devices that are to be cut."""
    assert pool.owners is not None  # noqa: S101 - asked of pools that have owners
    resource = pool.accelerator.resource if pool.accelerator else ""
    # The device plugin is proved by device, over all pools: owner/<device>.
    needed = {"driver", "toolkit", *({"sharing"} if "mig" in pool.sharing else ())}
    parts = pool.owners.parts()
    missing = [(part, owner) for part, owner in parts if part in needed and owner.who == "nobody"]
    if not missing:
        return Proof(f"owners/{pool.name}", True, "; ".join(f"{part}: {_named(owner)}" for part, owner in parts))
    said = [f"{part}: {owner.why}; {_what_to_do(part, resource, records)}" for part, owner in missing]
    return Proof(f"owners/{pool.name}", False, "; ".join(said))


def _named(owner: Owner) -> str:
    return owner.addon or owner.who


def _what_to_do(part: str, resource: str, records: Mapping[str, AddonRecord]) -> str:
    token = f"{_TOKENS.get(part, part)}/{resource}"
    known = sorted(id for id, record in records.items() if token in record.provides)
    here = f"add {' or '.join(known)} to espalier:addons" if known else f"add an add-on whose record provides {token}"
    return f"{here}, or say that it is the hosts' (driver: {{owner: host}}) where they have it"


def _drivers(addon: AddonPlan, record: AddonRecord) -> list[tuple[str, Mapping[str, Any]]]:
    """The DaemonSets by which the add-on's operator installs drivers."""
    made = (one for manifest in addon.manifests for one in record.operands(manifest))
    return [(name, template) for name, template in made if name.split(" ")[0] == "driver"]


def _one_driver(pool: PoolPlan, drivers: Mapping[str, Sequence[tuple[str, Mapping[str, Any]]]]) -> Proof:
    """One driver on a node: the operator's where it is to install it, none of its where another has."""
    assert pool.owners is not None  # noqa: S101 - as above
    wanted = pool.owners.driver.addon
    faults: list[str] = []
    for shape in pool.shapes:
        found = [f"{id}'s {name}" for id, made in sorted(drivers.items()) for name in _reaching(made, shape)]
        if len(found) != bool(wanted) and not (found and _kept_off(shape)):
            says = f"its driver is {_named(pool.owners.driver)}'s"
            faults.append(f"{shape.capacity_kind}: {', '.join(found) or 'no driver'} where {says}")
    evidence = "; ".join(faults) or f"one driver: {_named(pool.owners.driver)}'s"
    return Proof(f"driver/{pool.name}", not faults, evidence)


def _reaching(made: Sequence[tuple[str, Mapping[str, Any]]], shape: NodeShape) -> list[str]:
    return [name for name, template in made if daemonset_reaches(template, shape) is None]


def _kept_off(shape: NodeShape) -> bool:
    """Nodes without NVIDIA's devices, or whose label keeps the operator off, get no operand."""
    return shape.labels.get(OPERANDS) == "false" or shape.labels.get("nvidia.com/gpu.present") != "true"
