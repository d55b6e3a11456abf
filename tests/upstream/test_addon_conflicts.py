"""Every definition that two of upstream's add-ons bring is refused, and Espalier's own records bring none twice."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from itertools import combinations
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from espalier.addons import RECORDS
from espalier.blueprint.order import plan_addons
from espalier.content import Content, ContentFacts, ManifestSource
from espalier.types import AddonRecord, Facts

UPSTREAM = Path(__file__).parents[2].parent / "shared" / "upstream"
FACTS = Facts("existing", "1.36", True)
FOLDERS = {"nvidia-gpu-operator": "gpu-operator"}
"""Where upstream's facts of a record have another name."""

pytestmark = pytest.mark.skipif(not UPSTREAM.is_dir(), reason="upstream's facts are not beside the checkout")


class Options(BaseModel):
    pass


@cache
def brought() -> dict[str, tuple[str, ...]]:
    """Definitions by add-on, as their projects publish them by default."""
    sources = [yaml.safe_load(path.read_text("utf-8")) for path in sorted(UPSTREAM.glob("*/source.yaml"))]
    return {source["name"]: tuple(source.get("crds") or ()) for source in sources}


def pairs() -> list[tuple[str, str]]:
    """The add-ons of CONFLICTS.tsv that share a definition; variants of one add-on aside."""
    if not UPSTREAM.is_dir():
        return []
    by_name: dict[str, set[str]] = defaultdict(set)
    for line in (UPSTREAM / "CONFLICTS.tsv").read_text("utf-8").splitlines()[1:]:
        name, _, file, *_ = line.split("\t")
        by_name[name].add(file.partition("/")[0])
    return sorted({pair for owners in by_name.values() for pair in combinations(sorted(owners), 2)})


def as_published(id: str) -> AddonRecord:
    source = ManifestSource("https://example.com/all.yaml", "1")
    content = Content(source=source, namespace=id, facts=ContentFacts(crds=brought()[id]))
    return AddonRecord(id, "1", "test", "optional", "Apache-2.0", "here", Options, content=content)


@pytest.mark.parametrize(("one", "other"), pairs(), ids=[" and ".join(pair) for pair in pairs()])
def test_two_that_bring_the_same_definition_are_refused(one: str, other: str) -> None:
    records = {id: as_published(id) for id in (one, other)}
    shared = sorted(set(brought()[one]) & set(brought()[other]))
    _, (mistake,) = plan_addons({one: {}, other: {}}, records, FACTS, ())
    more = f" and {len(shared) - 1} more" if len(shared) > 1 else ""
    assert mistake.got == f"{shared[0]}{more}, which add-on {one} brings already"


def test_there_are_such_pairs() -> None:
    assert {("envoy-gateway", "gateway-api"), ("mpi-operator", "training-operator-v1")} <= set(pairs())


def test_no_two_records_bring_the_same_definition_unless_they_say_so() -> None:
    owners: dict[str, list[str]] = defaultdict(list)
    for id, record in RECORDS.items():
        if record.content and record.content.facts:
            for name in record.content.facts.crds:
                owners[name].append(id)
    for ids in owners.values():
        for one, other in combinations(ids, 2):
            assert other in RECORDS[one].conflicts or one in RECORDS[other].conflicts


def test_a_records_definitions_are_upstreams() -> None:
    """As far as upstream's are there: a record may leave some out, and adds none."""
    for id, record in RECORDS.items():
        theirs = brought().get(FOLDERS.get(id, id))
        if theirs and record.content and record.content.facts:
            assert set(record.content.facts.crds) <= set(theirs), id
