"""A plan as one HTML file for people who decide on a change: no script, nothing fetched, the same bytes every time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from espalier.report.documents import ImageEntry, PlanDocument, PolicyEntry, PoolEntry, TenantEntry
from espalier.report.terminal import money
from espalier.report.tree import ALL_MANIFESTS, tree

HOURS_A_MONTH = 730
"""365 days of 24 hours in twelve months."""
SHOWN = 200
"""Findings of one policy, doubts of one policy, or places of one image that the page lists before it only counts."""

_CELLS = 40
"""Up to so many nodes a pool's range is drawn node by node."""
_CELL_WIDTH = 0.86
"""Of a node's place, so that neighbours stand apart."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a bar: where it starts and how wide it is, in per cent of the bar, and what it stands for."""

    start: str
    width: str
    what: str


@dataclass(frozen=True, slots=True)
class PoolView:
    """A pool with its bars. `nodes_bar` and `money_bar` share their scales with the other pools.

    `stale` says that one of its prices is.
    """

    entry: PoolEntry
    devices: list[str]
    capacity: list[tuple[str, str]]
    low: str
    high: str
    month: str
    stale: bool
    nodes_bar: list[Segment]
    money_bar: list[Segment]


@dataclass(frozen=True, slots=True)
class Share:
    """An amount of a device against what the pools hold at their maxima. `over` says that it is more than that."""

    device: str
    amount: int
    backing: int
    bar: list[Segment]
    over: bool


@dataclass(frozen=True, slots=True)
class NamespaceView:
    """A namespace's quota: devices with their share, other amounts as they are written, and what is refused."""

    name: str
    devices: list[Share]
    others: list[tuple[str, str]]
    nothing_of: list[str]


@dataclass(frozen=True, slots=True)
class Failure:
    """What does not hold, and where on the page it stands."""

    anchor: str
    name: str
    why: str


def page(document: PlanDocument, all_manifests: int = ALL_MANIFESTS) -> str:
    """The whole page. It shows manifests until they come to `all_manifests` characters, and says what it left out."""
    nodes = tree(document["resources"], all_manifests)
    backing = _backing(document["pools"])
    return (
        _environment()
        .get_template("plan.html.j2")
        .render(
            plan=document,
            currency=document["cost"]["currency"],
            low=money(document["cost"]["min"]),
            high=money(document["cost"]["max"]),
            month=_month(document["cost"]["max"]),
            hours=HOURS_A_MONTH,
            failures=failures(document),
            headline=headline(document),
            mood=_mood(document),
            remarks=remarks(document),
            nodes_in_all={
                key: sum(pool["nodes"][key] for pool in document["pools"]) for key in ("min", "start", "max")
            },
            by_node=_largest(document["pools"]) <= _CELLS,
            backing=backing,
            pools=_pools(document),
            promised=_promised(document["tenants"], backing),
            tenants=[(tenant, _namespaces(tenant, backing)) for tenant in document["tenants"]],
            images=_images(document["images"]),
            nodes=nodes,
            left_out=sum(node.manifest is None for node in nodes),
            shown=SHOWN,
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("espalier.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    filters: dict[str, Any] = {"between": between, "many": many, "name_of": _name_of, "verdict": verdict}
    environment.filters.update(filters)
    return environment


def many(count: int, one: str, several: str = "") -> str:
    """A count with its noun."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"


def between(low: Any, high: Any) -> str:
    """A range in words, or its one value."""
    return str(low) if low == high else f"{low} to {high}"


def verdict(policy: PolicyEntry) -> str:
    """How a policy stands: it holds, holds in part where something could not be judged, fails, or only advises."""
    if policy["ok"]:
        return "in part" if policy["not_judged"] else "holds"
    return "fails" if policy["level"] == "mandatory" else "advises"


def failures(document: PlanDocument) -> list[Failure]:
    """Everything for which the plan fails: proofs, mandatory policies, and errors of the plan itself."""
    proofs = [
        Failure(f"proof-{number}", f"proof {proof['name']}", proof["evidence"])
        for number, proof in enumerate(document["proofs"], 1)
        if not proof["ok"]
    ]
    policies = [
        Failure(f"policy-{number}", f"policy {policy['name']}", many(len(_open(policy)), "finding"))
        for number, policy in enumerate(document["policies"], 1)
        if verdict(policy) == "fails"
    ]
    errors = [Failure("verdict", error["path"], f"{error['got']} {error['do']}") for error in document["errors"]]
    return errors + proofs + policies


def headline(document: PlanDocument) -> str:
    """The verdict in one line, which claims no more than was judged."""
    broken = failures(document)
    verdicts = {verdict(policy) for policy in document["policies"]}
    if broken:
        return f"Does not hold: {many(len(broken), 'failure')}"
    if not document["proofs"] and not verdicts:
        return "Nothing was judged"
    which = "mandatory policies" if "advises" in verdicts else "policies"
    return f"All proofs and {which} hold{', so far as judged' if _doubts(document) else ''}"


def _mood(document: PlanDocument) -> str:
    """How the verdict looks: bad, good, or part where something was not judged."""
    if failures(document):
        return "bad"
    judged = document["proofs"] or document["policies"]
    return "good" if judged and not _doubts(document) else "part"


def _doubts(document: PlanDocument) -> int:
    return sum(len(policy["not_judged"]) for policy in document["policies"])


def remarks(document: PlanDocument) -> list[str]:
    """What the verdict rests on, and what it leaves open."""
    policies = document["policies"]
    waived = sum(len(policy["findings"]) - len(_open(policy)) for policy in policies)
    doubts = _doubts(document)
    advice = sum(verdict(policy) == "advises" for policy in policies)
    recorded = sum(addon["content"] == "recorded" for addon in document["addons"])
    unpriced, stale = document["cost"]["unknown"], document["cost"]["stale"]
    return [
        f"{many(len(document['proofs']), 'proof')} and {many(len(policies), 'policy', 'policies')} judged",
        *([f"{many(advice, 'advisory policy', 'advisory policies')} not met"] if advice else []),
        *([f"{many(waived, 'finding')} waived"] if waived else []),
        *([f"{many(doubts, 'thing')} not judged"] if doubts else []),
        *([f"{many(recorded, 'add-on')} from the lock, not rendered"] if recorded else []),
        *([f"no price for {', '.join(unpriced)}"] if unpriced else []),
        *([many(len(stale), "stale price")] if stale else []),
    ]


def _open(policy: PolicyEntry) -> list[Any]:
    return [finding for finding in policy["findings"] if not finding["waived"]]


def _pools(document: PlanDocument) -> list[PoolView]:
    costs = {row["pool"]: row for row in document["cost"]["pools"]}
    stale = {entry["price"] for entry in document["cost"]["stale"]}
    most_nodes = _largest(document["pools"])
    most_money = max((row["max"] for row in costs.values() if _known(row["max"])), default=0)
    return [
        PoolView(
            entry=pool,
            devices=[_device(pool, device) for device in sorted(pool["devices"])],
            capacity=[
                (kind, _price(pool["price"].get(kind)) + (", stale" if f"{pool['name']}/{kind}" in stale else ""))
                for kind in pool["capacity"]
            ],
            low=money(costs[pool["name"]]["min"]),
            high=money(costs[pool["name"]]["max"]),
            month=_month(costs[pool["name"]]["max"]),
            stale=any(f"{pool['name']}/{kind}" in stale for kind in pool["capacity"]),
            nodes_bar=_nodes_bar(pool["nodes"], most_nodes),
            money_bar=_money_bar(costs[pool["name"]], most_money),
        )
        for pool in document["pools"]
    ]


def _device(pool: PoolEntry, device: str) -> str:
    """How many a node has, and what one costs where that is known."""
    prices = next(iter(pool["device_prices"].values()), {})
    price = prices.get(device)
    return f"{pool['devices'][device]:,} {device}" + (f" at {money(price)}/h" if _known(price) else "")


def _largest(pools: Sequence[PoolEntry]) -> int:
    return max((pool["nodes"]["max"] for pool in pools), default=0)


def _known(amount: Any) -> bool:
    return isinstance(amount, int | float)


def _month(amount: Any) -> str:
    return money(amount * HOURS_A_MONTH if _known(amount) else amount)


def _price(price: Any) -> str:
    return money(price.get("per_hour")) if isinstance(price, dict) else "unknown"


def _nodes_bar(nodes: Mapping[str, int], scale: int) -> list[Segment]:
    """A square a node where they are few, else a stretch a kind: always there, there at the start, may be added."""
    ends = (("always", nodes["min"]), ("start", nodes["start"]), ("more", nodes["max"]))
    if scale > _CELLS:
        return _stretches(ends, scale)
    kinds = [next(kind for kind, end in ends if number < end) for number in range(nodes["max"])]
    return [_segment(number, number + _CELL_WIDTH, scale, kind) for number, kind in enumerate(kinds)]


def _money_bar(cost: Mapping[str, Any], scale: float) -> list[Segment]:
    """Nothing where an end of the range is unknown."""
    if not (_known(cost["min"]) and _known(cost["max"])):
        return []
    return _stretches((("always", cost["min"]), ("more", cost["max"])), scale)


def _stretches(ends: Sequence[tuple[str, float]], scale: float) -> list[Segment]:
    starts = [0.0, *(end for _, end in ends)]
    return [_segment(start, end, scale, what) for start, (what, end) in zip(starts, ends, strict=False) if end > start]


def _segment(start: float, end: float, scale: float, what: str) -> Segment:
    return Segment(f"{100 * start / scale:.2f}%", f"{100 * (end - start) / scale:.2f}%", what)


def _backing(pools: Sequence[PoolEntry]) -> dict[str, int]:
    """Device -> how many there are with every pool at its maximum of nodes."""
    totals: dict[str, int] = {}
    for pool in pools:
        for device, count in pool["devices"].items():
            totals[device] = totals.get(device, 0) + count * pool["nodes"]["max"]
    return dict(sorted(totals.items()))


def _share(device: str, amount: int, backing: Mapping[str, int]) -> Share:
    """The bar is as long as what the pools hold, or as the amount where that is more."""
    there = backing.get(device, 0)
    ends = [("always", min(amount, there)), ("over" if amount > there else "more", max(amount, there))]
    return Share(device, amount, there, _stretches(ends, max(amount, there, 1)), amount > there)


def _promised(tenants: Sequence[TenantEntry], backing: Mapping[str, int]) -> list[Share]:
    """Each device with the sum of all tenants' quotas."""
    sums = dict.fromkeys(backing, 0)
    for tenant in tenants:
        for hard in tenant["quota"].values():
            for device, amount in _devices(hard, backing).items():
                sums[device] = sums.get(device, 0) + amount
    return [_share(device, amount, backing) for device, amount in sorted(sums.items())]


def _devices(hard: Mapping[str, str], backing: Mapping[str, int]) -> dict[str, int]:
    """The devices of a quota: an extended resource has a domain in its name, and comes in whole numbers."""
    asked = {key.removeprefix("requests."): amount for key, amount in hard.items() if key.startswith("requests.")}
    return {
        name: int(amount) for name, amount in asked.items() if amount.isdecimal() and ("/" in name or name in backing)
    }


def _namespaces(tenant: TenantEntry, backing: Mapping[str, int]) -> list[NamespaceView]:
    views: list[NamespaceView] = []
    for namespace, hard in tenant["quota"].items():
        devices = _devices(hard, backing)
        plain = {key.removeprefix("requests."): amount for key, amount in hard.items()}
        views.append(
            NamespaceView(
                name=namespace,
                devices=[_share(device, amount, backing) for device, amount in sorted(devices.items()) if amount],
                others=[
                    *((key, amount) for key, amount in plain.items() if key not in devices and amount != "0"),
                    *(
                        (device, f"at most {count} {'on' if side == 'spot' else 'not on'} spot")
                        for side, most in tenant["kinds"].get(namespace, {}).items()
                        for device, count in sorted(most.items())
                    ),
                ],
                nothing_of=[key for key, amount in plain.items() if amount == "0"],
            )
        )
    return views


def _images(images: Sequence[ImageEntry]) -> list[tuple[str, str, list[str]]]:
    """Each image of an add-on once, with its places."""
    places: dict[tuple[str, str], list[str]] = {}
    for image in images:
        places.setdefault((image["image"], image["addon"]), []).append(image["where"])
    return [(image, addon, where) for (image, addon), where in places.items()]


def _name_of(urn: str) -> str:
    return urn.split("::", 3)[-1]
