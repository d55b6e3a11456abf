"""What add-ons keep: it stays when they leave, is saved and brought back by commands that work, and is told of."""

from __future__ import annotations

import os
import shlex
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from espalier.addons import RECORDS
from espalier.addons.saved import files, lines, mysql, sqlite
from espalier.blueprint.keeping import keeping
from espalier.commands import kept as told
from espalier.kube import Kind, Reference
from espalier.types import AddonPlan, AddonRecord, ByHand, Data, InPod, Planned


def planned(kind: str, name: str, namespace: str = "") -> Planned:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return Planned(f"{kind.lower()}-{name}", {"apiVersion": "v1", "kind": kind, "metadata": metadata})


def addon(id: str, *objects: Planned, **more: Any) -> AddonPlan:
    return replace(AddonPlan(id, "1", 0, objects, ()), **more)


def record(id: str, *data: Data) -> AddonRecord:
    return replace(RECORDS["metrics-server"], id=id, data=data)


def kept(*addons: AddonPlan, **records: AddonRecord) -> dict[str, set[str]]:
    known = {one.id: records.get(one.id, record(one.id)) for one in addons}
    return {one.id: {each.suffix for each in one.objects if each.retain} for one in keeping(addons, known)}


def test_a_claim_stays_with_its_namespace_whoever_made_that() -> None:
    base = addon("base", planned("Namespace", "team"), planned("Namespace", "other"))
    data = addon("data", planned("PersistentVolumeClaim", "disk", "team"), planned("ConfigMap", "c", "team"))
    assert kept(base, data) == {"base": {"namespace-team"}, "data": {"persistentvolumeclaim-disk"}}
    assert kept(base) == {"base": set()}


def test_a_namespace_stays_for_claims_that_are_made_later() -> None:
    one = addon("db", planned("Namespace", "db"))
    said = Data("rows", "a volume", ByHand("save", "restore"), namespace="db", claims=("data-*",))
    assert kept(one, db=record("db", said)) == {"db": {"namespace-db"}}
    elsewhere = Data("rows", "a service", ByHand("save", "restore"))
    assert kept(one, db=record("db", elsewhere)) == {"db": set()}
    assert kept(replace(one, content="existing"), db=record("db", said)) == {"db": set()}


def test_data_name_volumes_with_their_namespace() -> None:
    with pytest.raises(ValueError, match="a pod is named with its namespace"):
        Data("rows", "a pod", InPod("db", "db", "db.sql", ("true",), ("true",)))
    with pytest.raises(ValueError, match="volumes are named with their namespace"):
        Data("rows", "a volume", ByHand("save", "restore"), claims=("data-*",))


@pytest.fixture
def pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kubectl that runs here what it is to run in a pod, in a folder that stands for the shell's."""
    tool = tmp_path / "bin" / "kubectl"
    tool.parent.mkdir()
    tool.write_text('#!/bin/sh\ncase "$*" in *" exec "*) ;; *) exit 0;; esac\nwhile [ "$1" != -- ]; do shift; done\n')
    tool.write_text(tool.read_text() + 'shift\nexec "$@"\n')
    tool.chmod(0o755)
    python = tmp_path / "bin" / "python3"
    python.symlink_to(sys.executable)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(command: str) -> None:
    subprocess.run(["/bin/sh", "-ec", command], check=True, timeout=60)


def shell(data: Data) -> tuple[str, str]:
    """The lines for people that save and bring back."""
    assert isinstance(data.by, InPod)
    return lines(data, data.by)


def rows(path: Path) -> list[Any]:
    with sqlite3.connect(path) as database:
        return database.execute("select word from t order by word").fetchall()


def test_a_file_of_sqlite_comes_back_as_it_was_while_others_have_it_open(pod: Path) -> None:
    path = pod / "hub.db"
    data = sqlite("words", "hub", "hub", "hub", "hub-db", str(path))
    server = sqlite3.connect(path)
    server.execute("create table t (word)")
    server.execute("insert into t values ('kept')")
    server.commit()
    Path(f"{path}.saved").write_text("left by a command that was cut off" * 100)
    run(shell(data)[0])
    server.execute("delete from t")
    server.execute("insert into t values ('later')")
    server.commit()
    run(shell(data)[1])
    assert rows(path) == [("kept",)]
    assert server.execute("select word from t").fetchall() == [("kept",)]
    assert not list(pod.glob("*.saved"))


def test_files_come_back(pod: Path) -> None:
    folder = pod / "data"
    (folder / "run").mkdir(parents=True)
    (folder / "run" / "model").write_text("weights")
    data = files("files", "ml", "ml", "ml", "ml", str(folder))
    run(shell(data)[0])
    (folder / "run" / "model").unlink()
    run(shell(data)[1])
    assert (folder / "run" / "model").read_text() == "weights"


def test_databases_are_dumped_as_root_whose_password_no_shell_shows(pod: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No MySQL is at hand: what its programs are called with, and that what comes out goes in again."""
    for name in ("mysqldump", "mysql"):
        tool = pod / "bin" / name
        tool.write_text(f'#!/bin/sh\necho "{name} $MYSQL_PWD $*" >> {pod}/calls\n')
        tool.write_text(tool.read_text() + ("echo rows\n" if name == "mysqldump" else f"cat > {pod}/back\n"))
        tool.chmod(0o755)
    monkeypatch.setenv("MYSQL_ROOT_PASSWORD", "a word; of $two")
    data = mysql("runs", "ml", "db", "db", "db", ["runs", "cache"])
    assert "password" not in shell(data)[0].lower().replace("$mysql_root_password", "")
    run(shell(data)[0])
    run(shell(data)[1])
    dump, back = (pod / "calls").read_text().splitlines()
    assert dump == "mysqldump a word; of $two -uroot --single-transaction --routines --databases runs cache"
    assert back == "mysql a word; of $two -uroot"
    assert (pod / "back").read_text() == "rows\n"


IN_PODS = [data for one in RECORDS.values() for data in one.data if isinstance(data.by, InPod)]


@pytest.mark.parametrize("data", IN_PODS, ids=lambda data: f"{data.namespace}-{data.what}")
def test_every_command_of_a_record_is_one_that_a_shell_takes(data: Data) -> None:
    for text in shell(data):
        subprocess.run(["/bin/sh", "-nc", text], check=True, timeout=60)
        assert shlex.split(text)[:3] == ["kubectl", "-n", data.namespace]


def test_files_of_an_add_on_have_names_of_their_own() -> None:
    for one in RECORDS.values():
        names = [data.by.file for data in one.data if isinstance(data.by, InPod)]
        assert len(set(names)) == len(names), one.id


def test_an_option_that_puts_data_elsewhere_is_one_of_the_add_ons() -> None:
    for one in RECORDS.values():
        for data in one.data:
            assert not data.given or data.given in one.options.model_fields, one.id


def test_what_stays_is_told_with_how_to_delete_it() -> None:
    crd = Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition")
    said = list(
        told.lines(
            [
                Reference(Kind("v1", "Namespace"), "", "ml"),
                Reference(Kind("v1", "PersistentVolumeClaim"), "ml", "disk"),
                Reference(crd, "", "b.example.com"),
                Reference(crd, "", "a.example.com"),
            ]
        )
    )
    assert [line.partition("; ")[2] for line in said] == [
        "to delete it: kubectl delete persistentvolumeclaim disk -n ml",
        "to delete it (and all that is in it): kubectl delete namespace ml",
        "to delete with all that was made of them: kubectl delete crd a.example.com b.example.com",
    ]
    assert list(told.lines([])) == []
