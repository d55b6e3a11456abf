"""What all tests share: property tests that draw the same examples every time, golden files, and the support matrix."""

from __future__ import annotations

import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

# No deadline: a busy machine is not a bug. Derandomised: a test that passed passes again.
settings.register_profile("espalier", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("espalier")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-goldens", action="store_true", help="write the golden files instead of comparing")


# Files go to workers whole (`--dist loadfile`): the long ones first, or the last of them leaves all other cores idle.

LIVE = Path(__file__).parent / "sim"
LONGEST = ("verify_sabotage", "rehearse", "faults_api", "faults_kill", "warden", "verify_live", "engine_bad_input")
"""The live test files that take longest."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rank = {f"test_{name}": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)) + (not item.path.is_relative_to(LIVE)))


# The support matrix: what README.md claims is what tests with `@pytest.mark.supports(row, grade)` have shown.

GRADES = ("planned", "rehearsed", "run on hardware")
README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- support matrix: written by tests -->", "<!-- end of support matrix -->"
_outcomes: dict[tuple[str, str], set[str]] = {}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "supports(row, grade): what this test shows to work, and how far")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    report.user_properties += [("supports", list(mark.args)) for mark in item.iter_markers("supports")]
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.outcome in ("skipped", "rerun"):
        return  # shows nothing, and takes nothing back: a machine without some tool, or what is tried once more
    for key, claim in report.user_properties:
        if key == "supports" and isinstance(claim, list) and (report.when == "call" or report.outcome != "passed"):
            _outcomes.setdefault((claim[0], claim[1]), set()).add(report.outcome)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Compares what was shown now with what README.md says; a run of some tests judges only their rows."""
    if hasattr(session.config, "workerinput"):
        return  # one of several workers: the one that gathers their reports judges
    shown = {claim for claim, outcomes in _outcomes.items() if outcomes == {"passed"}}
    text = README.read_text("utf-8")
    if BEGIN not in text or not _outcomes:
        return
    head, rest = text.split(BEGIN)
    body, tail = rest.split(END)
    said = _claims(body)
    true = (said - set(_outcomes)) | shown
    if session.config.getoption("--update-goldens"):
        README.write_text(head + BEGIN + _matrix(true) + END + tail, "utf-8")
    elif said != true:
        wrong = ", ".join(f"{row}: {grade}" for row, grade in sorted(said ^ true))
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        sys.stderr.write(f"\nREADME.md's support matrix is not what tests show ({wrong}): pytest --update-goldens\n")


def _claims(body: str) -> set[tuple[str, str]]:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in body.splitlines() if line.startswith("|")]
    return {(row[0], grade) for row in rows[2:] for grade, cell in zip(GRADES, row[1:], strict=True) if cell == "yes"}


def _matrix(claims: set[tuple[str, str]]) -> str:
    lines = [
        f"| {row} | {' | '.join('yes' if (row, grade) in claims else 'no' for grade in GRADES)} |"
        for row in sorted({row for row, _ in claims})
    ]
    return "\n".join(["", "", f"| | {' | '.join(GRADES)} |", "|---|" + "---|" * len(GRADES), *lines, "", ""])
