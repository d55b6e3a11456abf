"""`backup`: what add-ons keep comes out of their pods whole, or is said not to have; nothing is overwritten."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from espalier.addons import RECORDS
from espalier.cli import main
from espalier.commands.backup_folder import flaw
from espalier.commands.kubectl import Kubectl, KubectlError, kubectl_of
from espalier.commands.project import open_project
from tests.unit.saved_stack import DUMP, Saved


def states(document: Any) -> dict[str, str]:
    return {f"{row['addon']}, {row['what']}": row["state"] for row in document["entries"]}


def test_each_kind_of_data_comes_out_whole_into_files_that_only_their_owner_reads(saved: Saved) -> None:
    document = saved.good("backup", "-o", "out")
    assert states(document) == {
        "evidently, projects and reports": "saved",
        "katib, observations of trials": "saved",
        "kube-prometheus-stack, samples and silences": "by-hand",
        "mlflow, files of runs": "saved",
        "mlflow, runs and models": "saved",
    }
    folder = saved.project.folder / "out"
    assert document["complete"] is True
    assert (folder / "katib" / "katib-mysql.sql").read_text() == DUMP
    listed = json.loads((folder / "backup.json").read_text())
    assert listed["entries"] == document["entries"]
    assert (listed["stack"], listed["project"], listed["complete"]) == ("t", "espalier", True)
    assert listed["espalier"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = [row for row in listed["entries"] if row["state"] == "saved"]
    for row in files:
        content = (folder / row["file"]).read_bytes()
        assert (row["bytes"], row["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
        assert stat.S_IMODE((folder / row["file"]).stat().st_mode) == 0o600
        assert row["version"] == RECORDS[row["addon"]].version or row["addon"] == "evidently"
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert there == {"backup.json", *(row["file"] for row in files)}


def test_every_call_names_the_stack_s_own_cluster_and_runs_in_the_container_that_has_the_data(saved: Saved) -> None:
    saved.good("backup", "-o", "out", "katib")
    kubeconfig = saved.project.settings["cluster"]["kubeconfig"]
    assert [call[:6] for call in saved.calls()] == [
        ["--kubeconfig", kubeconfig, "--context", "lab", "-n", "kubeflow"]
    ] * 2
    assert saved.calls()[1][6:11] == ["exec", "deploy/katib-mysql", "-c", "katib-mysql", "--"]


def test_data_that_are_elsewhere_are_said_to_be_the_owner_s(saved: Saved) -> None:
    saved.project.settings["addons"]["mlflow"] = {"database": {"host": "db.example.com", "secret": "db"}}
    document = saved.good("backup", "-o", "out", "mlflow")
    assert states(document) == {"mlflow, files of runs": "saved", "mlflow, runs and models": "yours"}
    assert not (saved.project.folder / "out" / "mlflow" / "mlflow.sqlite").exists()


def test_what_no_command_saves_is_told_with_how_it_is(saved: Saved) -> None:
    [row] = saved.good("backup", "-o", "out", "kube-prometheus-stack")["entries"]
    assert row["note"].startswith("a VolumeSnapshot of each claim")
    assert json.loads((saved.project.folder / "out" / "backup.json").read_text())["entries"] == [row]


def test_an_entry_that_fails_leaves_the_others_and_the_same_command_goes_on_with_it(saved: Saved) -> None:
    saved.fails["exec katib-mysql"] = "pod katib-mysql-0 is not running"
    code, told = saved.wrong("backup", "-o", "out")
    assert (code, told) == (
        1,
        [
            "katib: observations of trials | Error from server: pod katib-mysql-0 is not running | "
            "See to it; then the same command goes on with what failed."
        ],
    )
    folder = saved.project.folder / "out"
    first = json.loads((folder / "backup.json").read_text())
    assert first["complete"] is False
    assert not list(folder.rglob(".*"))
    saved.fails.clear()
    saved.change()
    saved.file("katib-mysql/rows", DUMP)
    document = saved.good("backup", "-o", "out")
    before = [row for row in first["entries"] if row["addon"] != "katib"]
    assert [row for row in document["entries"] if row["addon"] != "katib"] == before
    assert states(document)["katib, observations of trials"] == "saved"
    assert json.loads((folder / "backup.json").read_text())["complete"] is True


def test_going_on_with_some_keeps_what_the_first_try_saved_of_others(saved: Saved) -> None:
    saved.fails["exec katib-mysql"] = "no"
    saved.run("backup", "-o", "out")
    code, document = saved.run("backup", "-o", "out", "mlflow")
    assert code == 1
    assert states(document)["evidently, projects and reports"] == "saved"
    assert states(document)["katib, observations of trials"] == "failed"


def test_a_file_that_the_first_try_saved_and_somebody_changed_is_saved_anew(saved: Saved) -> None:
    saved.fails["exec katib-mysql"] = "no"
    saved.run("backup", "-o", "out")
    saved.fails.clear()
    (saved.project.folder / "out" / "mlflow" / "mlflow-files.tar").write_text("")
    document = saved.good("backup", "-o", "out")
    [row] = [row for row in document["entries"] if row["file"] == "mlflow/mlflow-files.tar"]
    assert row["bytes"] > 0
    assert (saved.project.folder / "out" / row["file"]).stat().st_size == row["bytes"]


def test_what_comes_out_empty_or_cut_off_has_failed(saved: Saved) -> None:
    saved.file("katib-mysql/rows", "")
    code, told = saved.wrong("backup", "-o", "out", "katib")
    assert (code, told[0].split(" | ")[1]) == (1, "nothing came out")
    saved.file("katib-mysql/rows", "insert into observations values (1);\n")
    code, told = saved.wrong("backup", "-o", "out", "katib")
    assert (code, told[0].split(" | ")[1]) == (1, "it is cut off: it lacks the line that mysqldump ends with")
    assert not (saved.project.folder / "out" / "katib" / "katib-mysql.sql").exists()


@pytest.mark.parametrize(("file", "why"), [("mlflow/mlflow.sqlite", "SQLite"), ("mlflow/mlflow-files.tar", "tar")])
def test_files_of_each_kind_are_known_to_be_cut_off(saved: Saved, file: str, why: str) -> None:
    saved.good("backup", "-o", "out", "mlflow")
    path = saved.project.folder / "out" / file
    assert flaw(path, path.suffix) == ""
    path.write_bytes(path.read_bytes()[:2000])
    assert why in flaw(path, path.suffix)


def test_a_pod_that_runs_another_image_than_the_stack_s_has_an_unknown_version(saved: Saved) -> None:
    [row] = saved.good("backup", "-o", "one", "evidently")["entries"]
    assert (row["version"], row["image"]) == ("", "example.com/evidently:1")
    saved.images["evidently"] = f"docker.io/evidently/evidently-service:{RECORDS['evidently'].version}"
    [row] = saved.good("backup", "-o", "two", "evidently")["entries"]
    assert (row["version"], row["image"]) == (RECORDS["evidently"].version, saved.images["evidently"])


def test_a_deployment_that_is_not_there_is_told(saved: Saved) -> None:
    saved.fails["get mlflow"] = 'deployments.apps "mlflow" not found'
    code, told = saved.wrong("backup", "-o", "out", "mlflow")
    assert code == 1
    assert [line.split(" | ")[1] for line in told] == ['Error from server: deployments.apps "mlflow" not found'] * 2


ACCEPTED = "an empty folder, a new one, or a backup of this stack that failed"


def test_a_folder_that_holds_anything_else_is_refused(saved: Saved) -> None:
    folder = saved.project.folder
    (folder / "file").write_text("")
    (folder / "full").mkdir()
    (folder / "full" / "notes").write_text("")
    for name, got, do in (
        ("file", "file is a file", "Name another path."),
        ("full", "full holds other files", "Name another folder."),
    ):
        assert saved.wrong("backup", "-o", name) == (2, [f"-o | {got} | {ACCEPTED} | {do}"])
    whole = saved.good("backup", "-o", "out")
    time = json.loads((folder / "out" / "backup.json").read_text())["time"]
    before = {path: path.read_bytes() for path in (folder / "out").rglob("*") if path.is_file()}
    assert whole["complete"]
    said = f"-o | out holds a whole backup, of {time} | {ACCEPTED} | Name another folder: none is overwritten."
    assert saved.wrong("backup", "-o", "out") == (2, [said])
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize(
    ("change", "got"),
    [
        ({"stack": "other"}, "out holds a backup of other, project espalier"),
        ({"project": "other"}, "out holds a backup of t, project other"),
        ({"entries": "none"}, "out/backup.json: entries: Input should be a valid array"),
    ],
)
def test_a_backup_that_is_not_this_stack_s_or_is_none_is_refused(saved: Saved, change: Any, got: str) -> None:
    saved.fails["exec katib-mysql"] = "no"
    saved.run("backup", "-o", "out")
    path = saved.project.folder / "out" / "backup.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    code, told = saved.wrong("backup", "-o", "out")
    assert (code, told[0].split(" | ")[:2]) == (2, ["-o", got])


def test_names_are_those_of_add_ons_that_keep_something(saved: Saved) -> None:
    able, do = "evidently, katib, kube-prometheus-stack, mlflow", "Leave it out: without names all of them are meant."
    assert saved.wrong("backup", "-o", "out", "mlflwo", "cert-manager", "seaweedfs") == (
        2,
        [
            f"ADD-ON | mlflwo, which the stack has not | {able} | Did you mean mlflow?",
            f"ADD-ON | cert-manager, which keeps no data | {able} | {do}",
            f"ADD-ON | seaweedfs, which the stack has not | {able} | {do}",
        ],
    )
    assert not (saved.project.folder / "out").exists()


def test_without_kubectl_it_says_where_to_get_it(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    do = "Install it (https://kubernetes.io/docs/tasks/tools/) and have it on PATH."
    said = f"needs | no kubectl on this machine, which runs commands in pods | {do}"
    assert saved.wrong("backup", "-o", "out") == (3, [said])
    assert not (saved.project.folder / "out").exists()


def test_a_simulated_cluster_has_no_data(saved: Saved) -> None:
    saved.project.settings["cluster"] = {"kind": "simulated"}
    what = "t is on a simulated cluster, which runs no containers: add-ons keep no data there"
    said = f"needs | {what} | Name a stack that is on a cluster of its own."
    assert saved.wrong("backup", "-o", "out") == (3, [said])


def test_another_cluster_than_the_stack_s_is_left_alone(saved: Saved) -> None:
    saved.project.settings["cluster"]["uid"] = other = "00000000-5d5c-4f43-9f0b-0d3d7d5c8a11"
    code, told = saved.wrong("backup", "-o", "out")
    assert code == 1
    assert f"espalier:cluster.uid is {other}" in " ".join(told)
    assert saved.calls() == []


def test_a_cloud_s_cluster_is_reached_by_the_kubeconfig_that_the_stack_exports(
    saved: Saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("espalier.commands.kubectl.exported_kubeconfig", lambda _: "apiVersion: v1\n")
    saved.run("check")
    with kubectl_of(open_project("t")) as kubectl:
        path = Path(kubectl.command[2])
        assert (kubectl.command[1], path.read_text()) == ("--kubeconfig", "apiVersion: v1\n")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()


def test_what_takes_long_is_told_of_while_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("espalier.commands.kubectl._TICK", 0.02)
    told: list[int] = []
    with pytest.raises(KubectlError, match=r"^first; second$"):
        Kubectl(("/bin/sh", "-c")).run(
            ["sleep 0.3; echo nothing >&2; echo first >&2; echo second >&2; exit 3"], lambda: told.append(1)
        )
    assert told


def test_people_see_what_is_saved_where_and_what_is_theirs_to_do(
    saved: Saved, capsys: pytest.CaptureFixture[str]
) -> None:
    saved.run("check")
    with pytest.raises(SystemExit) as ended:
        main(["backup", "t", "-o", "out"])
    out = capsys.readouterr().out
    assert ended.value.code == 0
    assert re.search(r"^mlflow +runs and models +saved +mlflow/mlflow\.sqlite +8\.0 KiB ", out, re.MULTILINE)
    assert "kube-prometheus-stack, samples and silences: a VolumeSnapshot of each claim; " in out
    assert "out: 4 saved; bring back: espalier restore t out" in out


def test_a_signal_leaves_whole_files_alone_and_the_same_command_goes_on(
    saved: Saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(kubectl: Kubectl, arguments: Sequence[str], tell: Callable[[], None], **files: Path) -> None:
        if "deploy/mlflow" in arguments:
            files["target"].write_text("half of it")
            os.kill(os.getpid(), signal.SIGTERM)
        run(kubectl, arguments, tell, **files)

    run = Kubectl.run
    monkeypatch.setattr(Kubectl, "run", stop)
    assert saved.wrong("backup", "-o", "out") == (143, ["interrupted | ended by SIGTERM | Run it again."])
    folder = saved.project.folder / "out"
    assert {path.name for path in folder.rglob("*") if path.is_file()} == {
        "backup.json",
        "evidently-files.tar",
        "katib-mysql.sql",
    }
    assert json.loads((folder / "backup.json").read_text())["complete"] is False
    monkeypatch.setattr(Kubectl, "run", run)
    assert saved.good("backup", "-o", "out")["complete"] is True
