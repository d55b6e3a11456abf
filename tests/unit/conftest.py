"""For tests of charts: archives made on the spot, and servers on loopback that play repository and registry."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import os
import shutil
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from espalier.sim.binaries import CHARTS
from espalier.sim.builder import build
from tests.unit.chart_project import ROOT, Project
from tests.unit.saved_stack import Saved, saved_stack

LAYER = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"


def archive(files: Mapping[str, str]) -> bytes:
    """A .tar.gz of these files, the same bytes each time."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, text in sorted(files.items()):
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return gzip.compress(raw.getvalue(), mtime=0)


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


@dataclass
class Web:
    """A server: `pages` by path; with `login` it wants a user and a password, with `tokens` a token for them, or for
    anybody. It answers so often that it is `busy`."""

    pages: dict[str, bytes] = field(default_factory=dict[str, bytes])
    login: tuple[str, str] | None = None
    tokens: bool = False
    busy: int = 0
    redirects: dict[str, str] = field(default_factory=dict[str, str])
    asked: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Path and Authorization of each request."""
    port: int = 0

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]

    def repository(self, name: str, versions: Mapping[str, bytes], prefix: str = "/charts") -> None:
        """Plays an HTTP chart repository."""
        rows: list[dict[str, Any]] = []
        for version, data in versions.items():
            file = f"{name}-{version}.tgz"
            self.pages[f"{prefix}/{file}"] = data
            rows.append({"name": name, "version": version, "urls": [file], "digest": digest(data)[7:]})
        self.pages[f"{prefix}/index.yaml"] = yaml.safe_dump({"apiVersion": "v1", "entries": {name: rows}}).encode()

    def push(self, repository: str, tag: str, data: bytes) -> None:
        """Plays an OCI registry."""
        manifest = {"schemaVersion": 2, "layers": [{"mediaType": LAYER, "digest": digest(data), "size": len(data)}]}
        self.pages[f"/v2/{repository}/manifests/{tag}"] = json.dumps(manifest).encode()
        self.pages[f"/v2/{repository}/blobs/{digest(data)}"] = data

    def answer(self, path: str, authorization: str) -> tuple[int, dict[str, str], bytes]:
        self.asked.append((path, authorization))
        plain = path.partition("?")[0]
        if self.busy:
            self.busy -= 1
            return 429, {}, b""
        if plain == "/token":
            return (200, {}, b'{"token": "t-1"}') if authorization == self._basic() else (401, {}, b"")
        if self.tokens and authorization != "Bearer t-1":
            challenge = f'Bearer realm="{self.url}/token",service="s",scope="repository:x:pull"'
            return 401, {"WWW-Authenticate": challenge}, b""
        if self.login and not self.tokens and authorization != self._basic():
            return 401, {"WWW-Authenticate": 'Basic realm="charts"'}, b""
        if plain in self.redirects:
            return 302, {"Location": self.redirects[plain]}, b""
        return (200, {}, self.pages[plain]) if plain in self.pages else (404, {}, b"")

    def _basic(self) -> str:
        return "Basic " + base64.b64encode(":".join(self.login).encode()).decode() if self.login else ""


@pytest.fixture
def web() -> Iterator[Callable[..., Web]]:
    """Starts servers; all are stopped after the test."""
    servers: list[ThreadingHTTPServer] = []

    def start(**options: Any) -> Web:
        site = Web(**options)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, headers, body = site.answer(self.path, self.headers.get("Authorization", ""))
                self.send_response(status)
                for key, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None: ...

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        servers.append(server)
        site.port = server.server_address[1]
        return site

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own, with no login in it; built binaries stay where they are."""
    monkeypatch.setenv("XDG_CACHE_HOME", os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache"))
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    for name in ("DOCKER_CONFIG", "HELM_REGISTRY_CONFIG", "HELM_REPOSITORY_CONFIG", "XDG_CONFIG_HOME", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture(scope="session")
def renderer() -> Path:
    """The renderer of charts, built once for all tests."""
    return build(print, CHARTS) / "render"


@pytest.fixture
def made_archive() -> Callable[[Mapping[str, str]], bytes]:
    return archive


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Project:
    """A project of its own, and the folder that commands start in."""
    folder = tmp_path / "project"
    (folder / "stacks").mkdir(parents=True)
    for name in ("Pulumi.yaml", "__main__.py"):
        shutil.copy(ROOT / name, folder / name)
    monkeypatch.chdir(folder)
    return Project(folder, capsys)


@pytest.fixture
def saved(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Saved]:
    """A stack whose add-ons keep data of each kind, on a cluster whose pods run here."""
    with saved_stack(project, tmp_path, monkeypatch) as made:
        yield made
