"""A stack on a cluster that is there, with a kubectl that runs here what it is to run in pods."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import sys
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

from tests.unit.chart_project import Project

_KUBECTL = """\
#!{python} -IS
import json, os, subprocess, sys
pod = {pod!r}
said = sys.argv[1:]
open(pod + "/calls", "a").write(json.dumps(said) + "\\n")
begin = said.index("-n")
rule = json.load(open(pod + "/rules"))
verb = said[begin + 2]
workload = next(word for word in said if word.startswith("deploy/")).removeprefix("deploy/")
wrong = rule["fails"].get(verb + " " + workload)
if wrong:
    sys.exit("Error from server: " + wrong)
if verb == "get":
    print(rule["images"].get(workload, "example.com/" + workload + ":1"))
elif verb == "exec":
    given = [word.replace("/data", pod + "/" + workload) for word in said[said.index("--") + 1 :]]
    code = subprocess.call(given, env={{**os.environ, "MYSQL_ROOT_PASSWORD": "a word; of $two"}})
    if code:
        sys.exit("command terminated with exit code " + str(code))
"""
_MYSQLDUMP = '#!/bin/sh\ntest "$MYSQL_PWD" = "a word; of \\$two" || exit 2\ncat {pod}/katib-mysql/rows\n'
_MYSQL = '#!/bin/sh\ntest "$MYSQL_PWD" = "a word; of \\$two" || exit 2\ncat > {pod}/katib-mysql/rows\n'
DUMP = "insert into observations values (1);\n-- Dump completed on 2026-11-01\n"
CLUSTER = "5c0f3b6a-5d5c-4f43-9f0b-0d3d7d5c8a11"
ADDONS: dict[str, Any] = {
    "cert-manager": {},
    "evidently": {},
    "istio-base": {},
    "istio-cni": {},
    "istio-gateway": {},
    "istiod": {},
    "katib": {},
    "kube-prometheus-stack": {},
    "kubeflow-base": {},
    "mlflow": {},
}


class Saved:
    """The stack `t`, and its pods' volumes: a folder for each Deployment under `pods`."""

    def __init__(self, project: Project, folder: Path) -> None:
        self.project, self.pods = project, folder
        self.fails: dict[str, str] = {}
        self.images: dict[str, str] = {}
        for name in ("evidently/reports", "mlflow/artifacts", "katib-mysql"):
            (folder / name).mkdir(parents=True)
        self.file("evidently/reports/one", "drift")
        self.file("mlflow/artifacts/model", "weights")
        self.file("katib-mysql/rows", DUMP)
        with self.runs() as database:
            database.execute("create table runs (name)")
            database.execute("insert into runs values ('first')")
            database.commit()

    def run(self, command: str, *options: str) -> tuple[int, Any]:
        (self.pods / "rules").write_text(json.dumps({"fails": self.fails, "images": self.images}))
        return self.project.run(command, *options)

    def good(self, command: str, *options: str) -> Any:
        code, document = self.run(command, *options)
        assert code == 0, document["errors"]
        return document

    def wrong(self, command: str, *options: str) -> tuple[int, list[str]]:
        """The exit code, and each error in a line: what was got, then what to do."""
        code, document = self.run(command, *options)
        parts = ((one["path"], one["got"], one["accepted"], one["do"]) for one in document["errors"])
        return code, [" | ".join(part for part in one if part) for one in parts]

    def file(self, name: str, text: str) -> None:
        (self.pods / name).write_text(text)

    @contextmanager
    def runs(self) -> Generator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.pods / "mlflow" / "mlflow.db")) as database:
            yield database

    def rows(self) -> list[Any]:
        with self.runs() as database:
            return database.execute("select name from runs order by name").fetchall()

    def change(self) -> None:
        """All that was there is another."""
        with self.runs() as database:
            database.execute("update runs set name = 'second'")
            database.commit()
        self.file("evidently/reports/one", "none")
        self.file("mlflow/artifacts/model", "other weights")
        self.file("katib-mysql/rows", "")

    def calls(self) -> list[Sequence[str]]:
        path = self.pods / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


class _Cluster(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """What it serves, at /api/v1; else any object, whose UID is the same."""
        served = {"resources": [{"name": "namespaces", "kind": "Namespace", "namespaced": False}]}
        body = json.dumps(served if self.path == "/api/v1" else {"metadata": {"uid": CLUSTER}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@contextmanager
def saved_stack(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Saved]:
    """A stack whose add-ons keep data of each kind."""
    pods, bin = tmp_path / "pods", tmp_path / "bin"
    bin.mkdir()
    texts = {"kubectl": _KUBECTL, "mysqldump": _MYSQLDUMP, "mysql": _MYSQL}
    for name, text in texts.items():
        (bin / name).write_text(text.format(python=sys.executable, pod=str(pods)))
        (bin / name).chmod(stat.S_IRWXU)
    (bin / "python3").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", f"{bin}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Cluster)
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    parts = {"clusters": "cluster", "users": "user", "contexts": "context"}
    inner = {
        "cluster": {"server": f"http://127.0.0.1:{server.server_port}"},
        "user": {"token": "t"},
        "context": {"cluster": "lab", "user": "lab"},
    }
    config = {key: [{"name": "lab", part: inner[part]}] for key, part in parts.items()}
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))
    cluster = {"kind": "existing", "version": "1.36", "kubeconfig": str(kubeconfig), "context": "lab"}
    project.settings |= {"cluster": cluster, "addons": dict(ADDONS)}
    yield Saved(project, pods)
    server.shutdown()
    server.server_close()
