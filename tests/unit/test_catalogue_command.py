"""`espalier catalogue`: the table for people, the document for scripts, and names that are not there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from espalier.catalogue import accelerators, catalogue
from espalier.cli import main
from espalier.report.documents import schema_of

OWN = """
sources: {bill: {text: "our bill", date: "2026-10-01"}}
machines:
  onprem:
    rack-1:
      {accelerator: H100-80, devices: 8, vcpu: 96, memory_gib: 900, architecture: amd64, source: bill, capacity: [spot]}
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["catalogue", *arguments])
    assert isinstance(ended.value.code, int)
    captured = capsys.readouterr()
    return ended.value.code, captured.out, captured.err


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    code, out, _ = run(capsys, *arguments, "--json")
    assert code == 0
    found = json.loads(out)
    jsonschema.validate(found, schema_of("catalogue"))
    return found


def test_the_document_has_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    found = document(capsys)
    assert [row["name"] for row in found["accelerators"]] == list(accelerators())
    rows = catalogue()
    wanted = [(cloud, name) for cloud in ("aws", "gcp", "azure") for name in rows.machines(cloud)]
    assert [(row["cloud"], row["name"]) for row in found["machines"]] == wanted


def test_two_runs_are_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--json") == run(capsys, "--json")
    assert run(capsys, "--cloud", "gcp") == run(capsys, "--cloud", "gcp")


def test_one_accelerator_of_one_cloud(capsys: pytest.CaptureFixture[str]) -> None:
    found = document(capsys, "--accelerator", "H100-80", "--cloud", "aws")
    assert [row["name"] for row in found["accelerators"]] == ["H100-80"]
    assert [row["name"] for row in found["machines"]] == ["p5.4xlarge", "p5.48xlarge"]
    busbw = found["machines"][1]["busbw"]
    assert (busbw["node"], busbw["nodes"]) == (480, {"$unknown": True})
    assert "nccl-tests issue 212" in busbw["origin"]["source"]
    assert found["machines"][0]["busbw"] == {"$unknown": True}
    (offer,) = found["machines"][1]["offers"]
    assert (offer["accelerator"], offer["devices"]) == ("H100-80", 8)
    prices = {price["kind"]: price for price in offer["prices"]}
    assert prices["on-demand"]["per_hour"] == 55.04
    assert prices["on-demand"]["region"] == "us-east-1"
    assert prices["on-demand"]["origin"]["date"] == "2026-07-20"
    # Unknown is unknown, never zero and never left out.
    assert prices["spot"]["per_hour"] == prices["reserved"]["per_hour"] == {"$unknown": True}
    assert {"profile": "1g.10gb", "slices": 1, "memory_slices": 1, "memory_gib": 10, "count": 7} in found[
        "accelerators"
    ][0]["mig"]


def test_unknown_columns_and_doubts_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    found = document(capsys, "--accelerator", "GB200", "--cloud", "aws")
    (row,) = found["machines"]
    assert row["network_gbps"] == row["local_disk_gb"] == {"$unknown": True}
    (row,) = document(capsys, "--accelerator", "TPU-v4")["machines"]
    assert row["origin"]["verified"] is False
    assert {"vcpu", "memory_gib"} <= set(row["origin"]["unverified"])


def test_an_attachment_is_an_offer_for_each_number(capsys: pytest.CaptureFixture[str]) -> None:
    found = document(capsys, "--accelerator", "T4", "--cloud", "gcp")
    offers = {row["name"]: [offer["devices"] for offer in row["offers"]] for row in found["machines"]}
    assert offers["n1-standard-8"] == [1, 2, 4]
    one, two, _ = (offer["prices"][0]["per_hour"] for offer in found["machines"][1]["offers"])
    assert two - one == pytest.approx(0.35)


def test_a_region_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    found = document(capsys, "--accelerator", "L4", "--cloud", "gcp", "--region", "europe-west4")
    price = found["machines"][0]["offers"][0]["prices"][0]
    assert (price["region"], price["per_hour"]) == ("europe-west4", 0.742916)


def test_people_see_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys)
    assert (code, err) == (0, "")
    for name in accelerators():
        assert f"\n{name} " in out
    assert "2026-07-20" in out
    assert "not confirmed" in out
    assert "m7i.large" not in out
    assert "m7i.large" in run(capsys, "--cloud", "aws")[1]


def test_people_see_profiles_slices_and_doubts_of_one(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "--accelerator", "H200")
    assert "3g.71gb" in out
    assert "unknown" in out
    assert "0.00" not in out
    _, out, _ = run(capsys, "--accelerator", "TPU-v5e")
    assert "2x4 (2 hosts)" in out
    assert "Slices of ct5lp-hightpu-8t: 2x4 (1 host)" in out
    assert "no longer offered since 2025-09-30" in run(capsys, "--accelerator", "V100-16")[1]


@pytest.mark.parametrize(
    ("option", "got", "near"),
    [
        ("--accelerator", "h100", "H100-80"),
        ("--accelerator", "v5p", "TPU-v5p"),
        ("--accelerator", "A100", "A100-40"),
        ("--cloud", "azur", "azure"),
        ("--region", "us-east-2", "us-east-1"),
    ],
)
def test_a_name_that_is_not_there_is_told_the_nearest(
    option: str, got: str, near: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, option, got, "--json")
    assert code == 2
    (error,) = json.loads(out)["errors"]
    assert (error["path"], error["got"]) == (option, repr(got))
    assert near in error["do"]
    jsonschema.validate(json.loads(out), schema_of("catalogue"))


def test_all_wrong_names_are_told_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--accelerator", "H1000", "--cloud", "moon", "--json")
    assert code == 2
    assert [error["path"] for error in json.loads(out)["errors"]] == ["--accelerator", "--cloud"]


def test_a_teams_rows_are_shown_and_its_mistakes_told(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = project / "stacks" / "catalogue"
    folder.mkdir(parents=True)
    (folder / "ours.yaml").write_text(OWN)
    found = document(capsys, "--accelerator", "H100-80", "--cloud", "onprem")
    assert [row["name"] for row in found["machines"]] == ["rack-1"]
    assert "rack-1" in run(capsys, "--accelerator", "H100-80")[1]
    (folder / "ours.yaml").write_text(OWN.replace("vcpu: 96", "vcpu: lots"))
    code, _, err = run(capsys)
    assert code == 2
    assert "machines.onprem.rack-1.vcpu" in err


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--help")
    assert code == 0
    assert "Example: espalier catalogue" in out
