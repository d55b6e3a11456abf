"""Who may talk to whom: NetworkPolicies of real plans, judged by network-config-analyzer, against a reviewed table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from espalier.types import Manifest
from tests.network.conftest import Judge
from tests.network.plans import built, seen, workspaces
from tests.network.reach import NONE, Reach, written

TABLE = yaml.safe_load((Path(__file__).parent / "matrix.yaml").read_text())
ADDRESSES: Mapping[str, Sequence[str]] = TABLE["addresses"]
PLANS: Mapping[str, Any] = TABLE["plans"]
OWN = "own namespace"
Cells = dict[tuple[str, str], str]
"""Names of a source and a target -> the ports between them."""


@cache
def objects(plan: str) -> tuple[tuple[Manifest, ...], tuple[str, ...]]:
    """What a network sees of a plan, and which namespaces are tenants'."""
    blueprint = built(plan)
    return tuple(seen(blueprint)), tuple(workspaces(blueprint))


def pods(plan: str) -> dict[str, Manifest]:
    """By the table's names: two of each namespace of a tenant's, one of whoever else is asked about."""
    tenants = {f"{space}{nth}": {"namespace": space} for space in objects(plan)[1] for nth in ("", " too")}
    named = {name: TABLE["pods"][name] for name in (*TABLE["everywhere"], *PLANS[plan]["pods"])}
    container = {"name": "main", "image": "example.com/x:1"}
    return {
        name: {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name.replace(" ", "-"),
                "namespace": one["namespace"],
                "labels": one.get("labels", {}),
            },
            "spec": {"containers": [container]},
        }
        for name, one in {**tenants, **named}.items()
    }


def whole(plan: str, only: Sequence[str] = ()) -> list[Manifest]:
    """All that is judged; of these namespaces alone, or of all. Every namespace has the label that Kubernetes adds."""
    found, theirs = list(objects(plan)[0]), list(pods(plan).values())
    spaces = {one["metadata"]["name"]: one["metadata"].get("labels", {}) for one in found if one["kind"] == "Namespace"}
    walls = [one for one in found if one["kind"] == "NetworkPolicy"]
    used = {one["metadata"]["namespace"] for one in (*walls, *theirs)}
    made: list[Manifest] = [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": {**spaces.get(name, {}), "kubernetes.io/metadata.name": name}},
        }
        for name in sorted(used | set(spaces))
    ]
    return [
        one
        for one in (*made, *walls, *theirs)
        if not only or one["metadata"].get("namespace", one["metadata"]["name"]) in only
    ]


def members(plan: str, name: str) -> list[str]:
    """Of a group of the table, or of a name."""
    if name == "tenants":
        return [one for one, pod in pods(plan).items() if pod["metadata"]["namespace"] in objects(plan)[1]]
    return list(flat(TABLE["groups"].get(name, [name])))


def flat(entries: Sequence[Any]) -> Iterator[str]:
    for entry in entries:
        yield from flat(entry) if isinstance(entry, list) else [entry]


def expected(plan: str) -> Cells:
    """The cells of the table that are not empty; of several that name one pair, all of them."""
    ports: dict[tuple[str, str], list[str]] = {}
    home = {name: pod["metadata"]["namespace"] for name, pod in pods(plan).items()}
    for rows in (PLANS["all of them"], PLANS[plan]["rows"]):
        for row, columns in rows.items():
            for source, (column, how) in product(members(plan, row), columns.items()):
                siblings = [name for name in home if name != source and home[name] == home.get(source)]
                for target in siblings if column == OWN else members(plan, column):
                    if {source, target} <= {*home, *ADDRESSES} and asked(plan, source, target):
                        ports.setdefault((source, target), []).extend(how.split(","))
    return {pair: written(found) for pair, found in ports.items()}


def cells(plan: str, reach: Reach, names: Sequence[str]) -> Cells:
    """What the tool says of each pair, those left out of which neither end is a tenant's or a wall stands around."""
    known = pods(plan)
    ends: dict[str, Sequence[str]] = {
        name: [f"{known[name]['metadata']['namespace']}/{known[name]['metadata']['name']}"] for name in names
    }
    ends |= ADDRESSES
    found: Cells = {}
    for source, target in product(ends, ends):
        if asked(plan, source, target):
            answers = {reach.between(one, other) for one, other in product(ends[source], ends[target])}
            found[source, target] = " or ".join(sorted(answers))
    return {pair: how for pair, how in found.items() if how != NONE}


def asked(plan: str, source: str, target: str) -> bool:
    """Addresses are asked of walls from outside and from inside; add-ons among themselves are their own business."""
    tenants, outside = members(plan, "tenants"), (*ADDRESSES, *TABLE["everywhere"])
    if source in tenants or target in tenants:
        return source != target
    return (source in outside) != (target in outside)


@pytest.fixture(scope="module")
def answers(judged: Judge) -> dict[str, Reach]:
    return judged({plan: whole(plan) for plan in PLANS if plan != "all of them"})


@pytest.mark.parametrize("plan", [plan for plan in PLANS if plan != "all of them"])
def test_a_plans_walls_let_through_what_the_table_says_and_nothing_else(plan: str, answers: dict[str, Reach]) -> None:
    said, wanted = cells(plan, answers[plan], list(pods(plan))), expected(plan)
    differ = sorted(pair for pair in {*said, *wanted} if said.get(pair) != wanted.get(pair))
    assert [(*pair, said.get(pair, NONE), "the table says", wanted.get(pair, NONE)) for pair in differ] == []


# Each policy taken away, and opened, once ----------------------------------------------------------------------------

SAID_TWICE = "default-deny"
"""That nothing goes in or out but what is let through, what lets through says as well: one of the two may go."""
POLICIES = [
    (plan, one["metadata"]["namespace"], one["metadata"]["name"])
    for plan, of in (("full", None), ("aws-prod", "espalier-warden"))
    for one in objects(plan)[0]
    if one["kind"] == "NetworkPolicy" and of in (None, one["metadata"]["namespace"])
]


def around(plan: str, namespace: str) -> tuple[str, ...]:
    """Enough to see by: the wall's own namespace, two tenants, and who has no wall."""
    return tuple(sorted({namespace, *objects(plan)[1][:2], "kube-system", "default"}))


def without(plan: str, namespace: str, name: str) -> list[Manifest]:
    return [one for one in whole(plan, around(plan, namespace)) if not _is(one, namespace, name)]


def opened(plan: str, namespace: str, name: str) -> list[Manifest]:
    """With the policy letting everything through."""

    def wide(spec: Mapping[str, Any]) -> dict[str, Any]:
        return {**spec, **{way.lower(): [{}] for way in spec["policyTypes"]}}

    found = whole(plan, around(plan, namespace))
    return [{**one, "spec": wide(one["spec"])} if _is(one, namespace, name) else one for one in found]


def _is(one: Manifest, namespace: str, name: str) -> bool:
    return (
        one["kind"] == "NetworkPolicy" and one["metadata"]["namespace"] == namespace and one["metadata"]["name"] == name
    )


@pytest.fixture(scope="module")
def sabotaged(judged: Judge) -> dict[str, Reach]:
    ways = {"without": without, "opened": opened}
    return judged({f"{way} {policy}": make(*policy) for way, make in ways.items() for policy in POLICIES})


@pytest.mark.parametrize("way", ["without", "opened"])
@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: "/".join(policy))
def test_without_a_policy_and_with_it_open_the_table_does_not_hold(
    way: str, policy: tuple[str, str, str], sabotaged: dict[str, Reach]
) -> None:
    plan, namespace, name = policy
    near = around(plan, namespace)
    names = [one for one, pod in pods(plan).items() if pod["metadata"]["namespace"] in near]
    far = set(pods(plan)) - set(names)
    wanted = {pair: how for pair, how in expected(plan).items() if not far & set(pair)}
    said = cells(plan, sabotaged[f"{way} {policy}"], names)
    differ = [pair for pair in {*said, *wanted} if said.get(pair) != wanted.get(pair)]
    assert (not differ) is (way == "without" and name == SAID_TWICE)
    own = {one for one in names if pods(plan)[one]["metadata"]["namespace"] == namespace}
    assert all(own & set(pair) for pair in differ)
