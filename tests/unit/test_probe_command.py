"""What `verify --probe` says and asks before it wakes anything."""

import io
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from espalier.blueprint.probe import ProbePlan, plan_probes
from espalier.commands.probe import ask, entries, planned, told
from espalier.engine.errors import RefusedError
from espalier.failures import Missing
from espalier.report.console import Output
from espalier.types import Mistakes
from tests.unit.test_probe_plan import blueprint, stack


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_it_says_of_each_pool_what_it_asks_for_and_costs_at_most() -> None:
    lines = list(told(plan_probes(stack("aws-prod"), ["h100", "l4"])))
    assert lines == [
        "probe/h100 asks 2 nodes of p5.48xlarge for 8 of nvidia.com/gpu on each; at most USD 41.95.",
        "probe/l4 asks 1 node of g6.xlarge for 1 of nvidia.com/gpu; at most USD 0.54.",
        "At most USD 42.48: where all these nodes have to start, each for 40 minutes, 10 of them idle until an "
        "autoscaler takes it away. Nodes that are there cost nothing more.",
    ]


def test_a_price_that_is_not_known_is_never_zero() -> None:
    lines = list(told(plan_probes(blueprint({"accelerator": "T4"}))))
    assert lines[0].endswith("its price is unknown.")
    assert lines[1].startswith("At most USD 0.00, and what has no price: ")


def test_the_same_is_told_as_data() -> None:
    (h100,) = entries(plan_probes(stack("aws-prod"), ["h100"]))
    assert (h100["pool"], h100["machine"], h100["nodes"], h100["devices"]) == ("h100", "p5.48xlarge", 2, 8)
    assert h100["checks"] == ["probe/h100", "bandwidth/h100", "bandwidth/h100/nodes"]
    assert h100["cost"] == pytest.approx(41.9467)
    (t4,) = entries(plan_probes(blueprint({"accelerator": "T4"})))
    assert t4["cost"] == {"$unknown": True}


def test_without_the_flag_nothing_is_planned() -> None:
    assert planned(stack("aws-prod"), probe=False, pools=[]) == ProbePlan()


def test_pools_that_cannot_be_probed_are_mistakes() -> None:
    with pytest.raises(Mistakes) as refused:
        planned(stack("aws-prod"), probe=False, pools=["h100"])
    assert str(refused.value) == "--pool: got h100; accepted: pools together with --probe. Say --probe, too."
    with pytest.raises(Mistakes) as refused:
        planned(stack("aws-prod"), probe=True, pools=["system", "h1000"])
    assert str(refused.value).splitlines() == [
        f"--pool: got {pool}; accepted: h100, l4, trainium. "
        "Name pools that have an accelerator, or none for all of them."
        for pool in ("'system'", "'h1000'")
    ]


def test_nobody_is_asked_where_nothing_runs_or_it_is_said_beforehand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    out = Output(as_json=True)
    ask(plan_probes(stack("local")), out, yes=False)
    ask(plan_probes(stack("aws-prod")), out, yes=True)
    with pytest.raises(Missing, match="nobody to ask"):
        ask(plan_probes(stack("aws-prod")), out, yes=False)


def test_a_no_runs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal())
    asked: list[str] = []

    def confirm(question: str, **_: Any) -> bool:
        asked.append(question)
        return False

    monkeypatch.setattr(typer, "confirm", confirm)
    with pytest.raises(RefusedError, match="nothing was run"):
        ask(plan_probes(stack("aws-prod")), Output(as_json=True), yes=False)
    assert asked == ["Run these?"]


def test_the_page_on_verify_names_the_same_minutes() -> None:
    text = (Path(__file__).parents[2] / "docs" / "verify.md").read_text("utf-8")
    assert "for 40 minutes (20 to start, 10 to run, 10 until an autoscaler" in text
    assert "the Job ends itself after 31 minutes" in text
