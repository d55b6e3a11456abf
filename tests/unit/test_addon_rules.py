"""Sets of add-ons that cannot be: each refusal's text, all of them at once; and what a cluster has already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from espalier.addons import RECORDS
from espalier.blueprint.addon_rules import EXISTING
from espalier.blueprint.order import plan_addons
from espalier.content import Content, ContentFacts, ManifestSource
from espalier.types import AddonRecord, Ended, Facts, NodeShape, PoolFacts, Taint, Window

FACTS = Facts("existing", "1.36", True)


class Options(BaseModel):
    model_config = ConfigDict(extra="forbid")

    level: int = 1


def addon(id: str, *crds: str, **fields: Any) -> AddonRecord:
    """An add-on with such definitions."""
    source = ManifestSource("https://example.com/x.yaml", "1.2.3")
    content = Content(source=source, namespace=id, facts=ContentFacts(crds=crds)) if crds else None
    base = AddonRecord(id, "1.2.3", "test", "optional", "Apache-2.0", "here", Options, content=content)
    return replace(base, **fields)


def pool(name: str, arch: str, *taints: Taint, **devices: int) -> PoolFacts:
    shape = NodeShape(name, "m", "on-demand", {"kubernetes.io/arch": arch}, taints, {}, devices, None)
    return PoolFacts(name, (shape,))


RETIRED = addon(
    "mxnet",
    state="retired",
    ended=Ended("2022-02-01", "https://example.com/end", "Take trainer with an image of your own.", ("trainer",)),
)
CERTS = addon("certs", may_exist=True)
KNOWN = [
    RETIRED,
    CERTS,
    addon("plain"),
    addon("trainer", needs=frozenset({"sets"})),
    addon("sets", needs=frozenset({"certs"})),
    addon("one", conflicts={"other": "both hand out each device, https://example.com/1"}),
    addon("other"),
    addon("windowed", kubernetes=Window("1.28", "1.35", "https://example.com/k")),
    addon("picky", versions={"certs": Window("1.15", "1.19", "https://example.com/v")}),
    addon("amd", architectures=frozenset({"amd64"})),
    addon("agent", architectures=frozenset({"amd64"}), reaches=frozenset({"gpu"})),
    addon("bought", licence="MIT AND BUSL-1.1"),
    addon("flows", "workflows.argoproj.io", "cronworkflows.argoproj.io"),
    addon("pipes", "workflows.argoproj.io", "cronworkflows.argoproj.io", "pipes.example.com"),
    addon("mpi-1", "mpijobs.kubeflow.org"),
    addon("mpi-2", "mpijobs.kubeflow.org"),
    addon("gate-a", provides=frozenset({"gatewayclass/public", "webhook/pods"})),
    addon("gate-b", provides=frozenset({"gatewayclass/public", "webhook/pods"})),
    addon("in-a", provides=frozenset({"ingressclass/nginx"})),
    addon("in-b", provides_by=lambda _: frozenset({"ingressclass/nginx"})),
]
ARM = pool("arm", "arm64")
TAINTED = pool("gb200", "arm64", Taint("gpu", "present"), gpu=4)
CASES: list[tuple[dict[str, Any], Sequence[PoolFacts], list[str]]] = [
    ({"plan": {}}, (), ["plan: got 'plan'; accepted: agent, amd, bought, certs, flows, gate-a, gate-b, in-a, in-b, "
     "mpi-1, mpi-2, one, other, picky, pipes, plain, sets, trainer, windowed. Did you mean 'plain'?"]),
    ({"mxnet": {}}, (), ["mxnet: got mxnet, retired since 2022-02-01 (https://example.com/end); accepted: trainer. "
     "Take trainer with an image of your own."]),
    ({"trainer": {}}, (), [
        "trainer: got no sets; accepted: sets beside it. Add `sets: {}` to espalier:addons.",
        "trainer: got no certs, which sets needs; accepted: certs beside it. Add `certs: {}` to espalier:addons, or "
        "`certs: {existing: \"1.2.3\"}` where the cluster has it already.",
     ]),
    ({"one": {}, "other": {}}, (), ["one: got beside other; accepted: one of the two: both hand out each device, "
     "https://example.com/1. Remove one or other."]),
    ({"windowed": {}}, (), ["windowed: got Kubernetes 1.36; accepted: 1.28 to 1.35, for which 1.2.3 is made "
     "(https://example.com/k). Take one of these versions, or another add-on."]),
    ({"picky": {}, "certs": {"existing": "1.20.1"}}, (), ["picky: got certs 1.20.1; accepted: certs 1.15 to 1.19 "
     "beside picky 1.2.3 (https://example.com/v). Upgrade certs first, or remove picky."]),
    ({"amd": {}}, (ARM, TAINTED), ["amd: got amd on pool arm, whose nodes are arm64; accepted: nodes of amd64: its "
     "images are built for no other. Remove amd, or make the pool of amd64, or taint it."]),
    ({"agent": {}}, (TAINTED,), ["agent: got agent on pool gb200, whose nodes are arm64; accepted: nodes of amd64: its "
     "images are built for no other. Remove agent, or make the pool of amd64."]),
    ({"bought": {}}, (), ["bought: got bought under BUSL-1.1, which is not open source; accepted: licences that are "
     "open source, or that the stack file says are agreed to. Read it (https://spdx.org/licenses/BUSL-1.1.html), and "
     "if you may use it, add `licences: [BUSL-1.1]` under espalier:, or remove bought."]),
    ({"flows": {}, "pipes": {}}, (), ["pipes: got cronworkflows.argoproj.io and 1 more, which add-on flows brings "
     "already; accepted: one owner of each definition; two controllers work on each Workflow, "
     "https://github.com/argoproj/argo-workflows/issues/6390. Remove flows or pipes, or leave the definition out of "
     "one of the two."]),
    ({"mpi-1": {}, "mpi-2": {}}, (), ["mpi-2: got mpijobs.kubeflow.org, which add-on mpi-1 brings already; accepted: "
     "one owner of each definition; v1 and v2beta1 exclude one another, "
     "https://github.com/kubeflow/trainer/issues/1930. Remove mpi-1 or mpi-2, or leave the definition out of one of "
     "the two."]),
    ({"gate-a": {}, "gate-b": {}}, (), [
        "gate-b: got public, which add-on gate-a serves already; accepted: one controller of each GatewayClass. Remove "
        "gate-a or gate-b, or rename the class in one of the two.",
        "gate-b: got pods, which add-on gate-a brings already; accepted: one owner of each webhook. Remove gate-a or "
        "gate-b, or turn the webhook off in one of the two.",
     ]),
    ({"in-a": {}, "in-b": {}}, (), ["in-b: got nginx, which add-on in-a serves already; accepted: one controller of "
     "each IngressClass. Remove in-a or in-b, or rename the class in one of the two."]),
    ({"plain": {"existing": "1.0"}}, (), ["plain.existing: got '1.0'; accepted: an add-on that Espalier installs: what "
     "else it makes counts on how this one is set up. Remove `existing`."]),
    ({"certs": {"existing": True}}, (), ["certs.existing: got True; accepted: the version that the cluster has, in "
     "quotes, such as \"1.2.3\". Say which version is there."]),
    ({"certs": {"existing": "latest"}}, (), ["certs.existing: got 'latest'; accepted: the version that the cluster "
     "has, in quotes, such as \"1.2.3\". Say which version is there."]),
    ({"certs": {"existing": "1.17", "level": 2}}, (), ["certs.existing: got existing beside level; accepted: existing "
     "alone: nothing of it is installed. Remove the other options."]),
]  # fmt: skip


def solved(wanted: Mapping[str, Any], pools: Sequence[PoolFacts] = (), licences: Sequence[str] = ()) -> list[str]:
    records = {record.id: record for record in KNOWN}
    _, mistakes = plan_addons(wanted, records, FACTS, pools, licences=licences)
    return [mistake.text().removeprefix("espalier:addons.") for mistake in mistakes]


@pytest.mark.parametrize(("wanted", "pools", "texts"), CASES, ids=[" ".join(case[0]) for case in CASES])
def test_a_refusal_says_where_why_and_what_to_do(
    wanted: dict[str, Any], pools: Sequence[PoolFacts], texts: list[str]
) -> None:
    assert solved(wanted, pools) == texts


def test_all_mistakes_come_at_once() -> None:
    together = {id: options for wanted, _, _ in CASES for id, options in wanted.items() if id != EXISTING}
    together |= {"certs": {"existing": "1.20.1"}}
    found = solved(together, (ARM, TAINTED))
    # But for what another case's add-ons make up for, or say otherwise.
    mended = {"trainer", "plain.existing", "certs.existing"}
    for _, _, texts in CASES:
        for text in texts:
            if text.partition(": ")[0] not in mended and "Did you mean" not in text:
                assert text in found


@pytest.mark.parametrize(
    ("wanted", "pools", "licences"),
    [
        ({"amd": {}}, (TAINTED, pool("x86", "amd64")), ()),
        ({"agent": {}}, (pool("cpu", "amd64"),), ()),
        ({"bought": {}}, (), ("BUSL-1.1",)),
        ({"picky": {}, "certs": {"existing": "1.19.4"}}, (), ()),
        ({"flows": {}, "mpi-1": {}}, (), ()),
        ({"gate-a": {}, "in-b": {}}, (), ()),
        ({"sets": {}, "trainer": {}, "certs": {}}, (), ()),
    ],
)
def test_what_can_be_is_not_refused(
    wanted: dict[str, Any], pools: Sequence[PoolFacts], licences: Sequence[str]
) -> None:
    assert solved(wanted, pools, licences) == []


def test_what_the_cluster_has_serves_as_well_and_nothing_is_made_of_it() -> None:
    needy = addon("certs", "certificates.cert-manager.io", may_exist=True, needs=frozenset({"gone"}))
    records = {record.id: record for record in [*KNOWN, needy]}
    plans, mistakes = plan_addons({"sets": {}, "certs": {"existing": "v1.17.2"}}, records, FACTS, ())
    assert mistakes == ()
    there, sets = plans
    assert (there.id, there.version, there.content, there.objects, there.held) == (
        "certs",
        "v1.17.2",
        "existing",
        (),
        None,
    )
    assert (sets.id, sets.needs, sets.wave) == ("sets", ("certs",), 1)


def test_what_the_cluster_has_owns_its_definitions_still() -> None:
    theirs = addon("certs", "certificates.cert-manager.io", may_exist=True)
    second = addon("second", "certificates.cert-manager.io")
    records = {record.id: record for record in (theirs, second)}
    _, (mistake,) = plan_addons({"certs": {"existing": "1.17.2"}, "second": {}}, records, FACTS, ())
    assert "which add-on certs brings already" in mistake.got


def test_a_need_of_two_needs_is_told_once() -> None:
    """Not once a way: who is missing is added once."""
    ways = addon("top", needs=frozenset({"left", "right"}))
    sides = [addon(id, needs=frozenset({"bottom"})) for id in ("left", "right")]
    records = {record.id: record for record in (ways, *sides, addon("bottom", needs=frozenset({"top"})))}
    _, mistakes = plan_addons({"top": {}}, records, FACTS, ())
    assert [mistake.got for mistake in mistakes] == ["no left", "no right", "no bottom, which left needs"]


def test_a_conflict_that_is_declared_is_told_once() -> None:
    one = addon("one", "things.example.com", conflicts={"other": "each makes all things"})
    records = {record.id: record for record in (one, addon("other", "things.example.com"))}
    for _ in range(2):
        _, (mistake,) = plan_addons({"one": {}, "other": {}}, records, FACTS, ())
        assert mistake.accepted == "one of the two: each makes all things"
        records = {"other": replace(one, id="other", conflicts={"one": one.conflicts["other"]}), "one": records["one"]}
        records["one"] = replace(one, conflicts={})


def test_no_add_on_has_an_option_of_the_same_name() -> None:
    assert [id for id, record in RECORDS.items() if EXISTING in record.options.model_fields] == []


@given(st.lists(st.integers(0, 40), min_size=2, max_size=3), st.lists(st.integers(0, 40), min_size=2, max_size=3))
def test_versions_are_compared_by_their_numbers(one: list[int], other: list[int]) -> None:
    first, version = (".".join(map(str, numbers)) for numbers in (one, other))
    size = len(one)
    shortened = other[:size]
    assert Window(first=first).holds(f"v{version}") == (shortened >= one)
    assert Window(last=first).holds(version) == (shortened <= one)
    assert Window(first, first).holds(first)


def test_a_window_ends_with_all_of_its_last_version() -> None:
    window = Window("1.28", "1.36")
    assert [version for version in ("1.27.9", "1.28.0", "1.36.3", "1.37") if window.holds(version)] == [
        "1.28.0",
        "1.36.3",
    ]


@pytest.mark.parametrize(
    ("id", "version", "told"),
    [
        ("istiod", "1.31", "1.32 to 1.36, for which 1.30.3 is made (https://istio.io/latest/docs/releases/supported-"),
        ("knative-operator", "1.33", "1.34 or later, for which v1.23.0 is made (https://github.com/knative/pkg/blob/"),
        ("knative-serving", "1.33", "1.34 or later, for which 1.23.0 is made (https://github.com/knative/pkg/blob/"),
        ("kserve", "1.31", "1.32 or later, for which v0.20.0 is made (https://kserve.github.io/website/docs/"),
        ("nvidia-gpu-operator", "1.32", "1.33 to 1.36, for which v26.7.0 is made"),
    ],
)
def test_a_kubernetes_that_an_add_on_does_not_run_on_is_refused(id: str, version: str, told: str) -> None:
    _, mistakes = plan_addons({id: {}}, RECORDS, Facts("onprem", version, True), ())
    accepted = {mistake.got: mistake.accepted for mistake in mistakes if mistake.path == f"espalier:addons.{id}"}
    assert accepted[f"Kubernetes {version}"].startswith(told)
