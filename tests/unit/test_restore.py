"""`restore`: what `backup` saved comes back as it was, and nothing is overwritten with what is not it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest

from espalier.addons import RECORDS
from espalier.types import UpgradeStep
from tests.unit.saved_stack import DUMP, Saved


@pytest.fixture
def there(saved: Saved) -> Saved:
    """A whole backup in `out`, and a stack that has other data since."""
    saved.good("backup", "-o", "out")
    saved.change()
    (saved.pods / "calls").unlink()
    return saved


def relist(there: Saved, addon: str = "", **change: Any) -> None:
    path = there.project.folder / "out" / "backup.json"
    listed = json.loads(path.read_text())
    if addon:
        change = {"entries": [row | change if row["addon"] == addon else row for row in listed["entries"]]}
    path.write_text(json.dumps(listed | change))


def unchanged(there: Saved) -> bool:
    return there.rows() == [("second",)] and (there.pods / "evidently" / "reports" / "one").read_text() == "none"


def restarts(there: Saved) -> list[str]:
    return [call[call.index("restart") + 1] for call in there.calls() if "restart" in call]


def test_all_comes_back_as_it_was_and_servers_start_anew_when_their_data_are_there(there: Saved) -> None:
    document = there.good("restore", "out", "--yes")
    assert there.rows() == [("first",)]
    assert (there.pods / "mlflow" / "artifacts" / "model").read_text() == "weights"
    assert (there.pods / "evidently" / "reports" / "one").read_text() == "drift"
    assert (there.pods / "katib-mysql" / "rows").read_text() == DUMP
    assert {row["addon"]: row["state"] for row in document["entries"]} == {
        "evidently": "restored",
        "katib": "restored",
        "kube-prometheus-stack": "by-hand",
        "mlflow": "restored",
    }
    assert restarts(there) == ["deploy/katib-db-manager", "deploy/mlflow"]
    verbs = [call[6] for call in there.calls()]
    assert verbs.index("rollout") > max(place for place, verb in enumerate(verbs) if verb == "exec")


def test_one_add_on_comes_back_alone(there: Saved) -> None:
    document = there.good("restore", "out", "evidently", "--yes")
    assert [row["addon"] for row in document["entries"]] == ["evidently"]
    assert there.rows() == [("second",)]
    assert (there.pods / "evidently" / "reports" / "one").read_text() == "drift"


def test_nobody_to_ask_changes_nothing(there: Saved) -> None:
    code, told = there.wrong("restore", "out")
    assert (code, told) == (
        3,
        ["needs | nobody to ask: standard input is not a terminal | Say --yes to go on without being asked."],
    )
    assert unchanged(there)


def test_an_entry_that_fails_leaves_the_others(there: Saved) -> None:
    there.fails["exec katib-mysql"] = "pod is not running"
    code, told = there.wrong("restore", "out", "--yes")
    do = "See to it; then the same command brings it back once more."
    assert (code, told) == (1, [f"katib: observations of trials | Error from server: pod is not running | {do}"])
    assert there.rows() == [("first",)]
    assert restarts(there) == ["deploy/mlflow"]


def test_a_server_that_does_not_start_anew_is_told(there: Saved) -> None:
    there.fails["rollout mlflow"] = "forbidden"
    code, told = there.wrong("restore", "out", "mlflow", "--yes")
    assert code == 1
    assert "it is back, but mlflow did not start anew: Error from server: forbidden" in told[0]
    assert there.rows() == [("first",)]


def test_a_file_that_changed_or_is_gone_stops_all_of_it(there: Saved) -> None:
    folder = there.project.folder / "out"
    (folder / "evidently" / "evidently-files.tar").write_text("other")
    (folder / "katib" / "katib-mysql.sql").unlink()
    code, told = there.wrong("restore", "out", "--yes")
    assert (code, told) == (
        1,
        [
            "program | nothing was changed",
            "evidently, projects and reports | out/evidently/evidently-files.tar is not what was saved: its SHA-256 "
            "differs | take another copy of the backup",
            "katib, observations of trials | out/katib/katib-mysql.sql: No such file or directory | take another copy "
            "of the backup",
        ],
    )
    assert unchanged(there)
    assert there.calls() == []


def test_a_list_that_names_files_elsewhere_is_not_followed(there: Saved) -> None:
    folder = there.project.folder / "out"
    (folder / "evidently" / "evidently-files.tar").unlink()
    (folder / "evidently" / "evidently-files.tar").symlink_to("/etc/passwd")
    code, told = there.wrong("restore", "out", "evidently", "--yes")
    assert code == 1
    assert "evidently/evidently-files.tar is no file of this folder" in told[1]


def test_data_of_a_newer_add_on_are_refused_and_of_an_older_one_told(there: Saved) -> None:
    new = RECORDS["evidently"].version
    relist(there, "evidently", version="99.0")
    code, told = there.wrong("restore", "out", "evidently", "--yes")
    why = f"was saved from 99.0, and {new} does not read what is newer than it"
    do = "bring the stack to evidently 99.0 or later first"
    assert (code, told[1]) == (1, f"evidently, projects and reports | {why} | {do}")
    assert unchanged(there)
    relist(there, "evidently", version="0.1")
    [row] = there.good("restore", "out", "evidently", "--yes")["entries"]
    assert row["note"] == f"of 0.1, which {new} is to take over when it starts"


def test_data_that_an_upgrade_moves_away_are_refused(there: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    step = UpgradeStep(
        "0.5", "0.6", "reports are kept in another form", "Export them first.", "https://example.com/v06"
    )
    monkeypatch.setitem(RECORDS, "evidently", replace(RECORDS["evidently"], upgrades=(step,)))
    relist(there, "evidently", version="0.4")
    code, told = there.wrong("restore", "out", "--yes")
    new = RECORDS["evidently"].version
    assert (code, told[1:]) == (
        1,
        [
            f"evidently, projects and reports | was saved from 0.4, and {new} runs: reports are kept in another form "
            "(https://example.com/v06) | bring it back to evidently 0.4 and upgrade from there. Export them first."
        ],
    )
    assert unchanged(there)


def test_an_unknown_version_and_another_image_are_told(there: Saved) -> None:
    there.images["katib-mysql"] = "mysql:9"
    rows = there.good("restore", "out", "evidently", "katib", "--yes")["entries"]
    assert [row["note"] for row in rows] == [
        "of an unknown version, by example.com/evidently:1; example.com/evidently:1 runs",
        "by example.com/katib-mysql:1; mysql:9 runs",
    ]


def test_what_is_named_and_was_not_saved_stops_it_and_what_is_not_named_is_listed(there: Saved) -> None:
    relist(there, entries=[])
    code, told = there.wrong("restore", "out", "katib", "--yes")
    do = "name the add-ons to bring back, without it"
    assert (code, told[1]) == (1, f"katib, observations of trials | is not in this backup | {do}")
    rows = there.good("restore", "out", "--yes")["entries"]
    assert {row["state"] for row in rows} == {"not-saved", "by-hand"}
    assert unchanged(there)


def test_what_failed_when_it_was_saved_is_not_passed_over(saved: Saved) -> None:
    saved.fails["exec katib-mysql"] = "no"
    saved.run("backup", "-o", "out")
    saved.fails.clear()
    saved.change()
    code, told = saved.wrong("restore", "out", "--yes")
    do = "name the add-ons to bring back, without it"
    assert (code, told[1]) == (1, f"katib, observations of trials | failed when it was saved | {do}")
    assert unchanged(saved)
    saved.good("restore", "out", "mlflow", "--yes")
    assert saved.rows() == [("first",)]


def test_what_the_stack_has_not_any_more_is_listed(there: Saved) -> None:
    del there.project.settings["addons"]["evidently"]
    rows = there.good("restore", "out", "--yes")["entries"]
    [row] = [row for row in rows if row["addon"] == "evidently"]
    assert (row["state"], row["file"]) == ("not-here", "evidently/evidently-files.tar")


def test_a_backup_of_another_stack_comes_in_where_that_is_said(there: Saved) -> None:
    relist(there, stack="prod")
    assert there.wrong("restore", "out", "--yes") == (
        2,
        ["DIR | a backup of prod | a backup of t | Name another folder; where it is meant, say --from prod."],
    )
    assert unchanged(there)
    there.good("restore", "out", "--yes", "--from", "prod")
    assert there.rows() == [("first",)]


def test_a_folder_without_a_backup_is_refused(there: Saved) -> None:
    code, told = there.wrong("restore", "nowhere", "--yes")
    do = "Name the folder that `espalier backup` wrote."
    assert (code, told) == (2, [f"DIR | nowhere/backup.json: No such file or directory | a backup | {do}"])


def test_a_stack_that_is_not_up_is_told(there: Saved) -> None:
    there.fails["get evidently"] = 'deployments.apps "evidently" not found'
    code, told = there.wrong("restore", "out", "--yes")
    why = 'Error from server: deployments.apps "evidently" not found'
    assert (code, told[1]) == (1, f"evidently, projects and reports | {why} | bring the stack up first")
    assert unchanged(there)


def test_sqlite_that_arrives_damaged_overwrites_nothing(there: Saved) -> None:
    path = there.project.folder / "out" / "mlflow" / "mlflow.sqlite"
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * 100 + content[4196:])
    listed = json.loads((there.project.folder / "out" / "backup.json").read_text())
    for row in listed["entries"]:
        if row["file"] == "mlflow/mlflow.sqlite":
            row["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    relist(there, entries=listed["entries"])
    code, told = there.wrong("restore", "out", "mlflow", "--yes")
    assert code == 1
    assert "malformed" in told[0] or "damaged on its way" in told[0]
    assert there.rows() == [("second",)]
    there.good("backup", "-o", "again", "mlflow")
    assert not list(there.pods.rglob("*.saved"))
