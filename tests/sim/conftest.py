"""Real clusters for tests: one a session (``sim_cluster``), others by ``new_cluster``.

``kubeconfig`` is the administrator's of the session's cluster, ``api`` asks its API, ``namespace`` is a fresh
namespace in it, ``eventually`` waits. A cluster's name ends with the worker and the process of the test run;
clusters of runs that were killed are removed by the next run.
"""

import json
import os
import re
import ssl
import time
from base64 import b64decode
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
import yaml
from _pytest._code.code import ExceptionRepr

from espalier import sim

_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
_SUFFIX = f"{_WORKER}-{os.getpid()}"


class Api:
    """A cluster's API as the user of a kubeconfig; answers are JSON, refusals are AssertionErrors."""

    def __init__(self, kubeconfig: Path, scratch: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self.server = cluster["server"]
        context = ssl.create_default_context(cadata=b64decode(cluster["certificate-authority-data"]).decode())
        pair = scratch / f"{kubeconfig.name}.pem"
        pair.write_bytes(b64decode(user["client-certificate-data"]) + b64decode(user["client-key-data"]))
        context.load_cert_chain(pair)
        self._pool = urllib3.PoolManager(ssl_context=context, retries=False, timeout=60, maxsize=8)

    def ask(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Any:
        """The status and the JSON of any answer, or its text where it has none."""
        response = self._pool.request(
            method,
            f"{self.server}{path}",
            body=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": content_type},
        )
        if not response.headers.get("Content-Type", "").startswith("application/json"):
            return response.status, response.data.decode()  # of an API that is not there (yet): 404 page not found
        return response.status, json.loads(response.data)

    def warned(self, path: str, body: Any) -> str:
        """What the API warns of when it is asked, by a dry run, to create ``body``; "" where it warns of nothing."""
        response = self._pool.request("POST", f"{self.server}{path}?dryRun=All", json=body)
        assert response.status == 201, response.data
        return " ".join(response.headers.getlist("Warning"))

    def get(self, path: str) -> Any:
        status, answer = self.ask("GET", path)
        assert status == 200, answer
        return answer

    def items(self, path: str) -> list[Any]:
        return self.get(path)["items"]

    def create(self, path: str, body: Any) -> Any:
        status, answer = self.ask("POST", path, body)
        assert status == 201, answer
        return answer

    def refused(self, path: str, body: Any) -> Any:
        """The Status with which the API refuses to create ``body``."""
        status, answer = self.ask("POST", path, body)
        assert status >= 400, f"was not refused: {answer}"
        return answer

    def patch(self, path: str, body: Any) -> Any:
        status, answer = self.ask("PATCH", path, body, "application/merge-patch+json")
        assert status == 200, answer
        return answer

    def delete(self, path: str) -> None:
        status, answer = self.ask("DELETE", path)
        assert status in (200, 202), answer

    def missing(self, path: str) -> bool:
        return self.ask("GET", path)[0] == 404


def _eventually(check: Callable[[], Any], seconds: float = 180.0) -> Any:
    """The first true value of ``check``; an AssertionError where there is none within ``seconds``."""
    deadline = time.monotonic() + seconds
    while not (value := check()):
        assert time.monotonic() < deadline, f"not true after {seconds} s: {value!r}"
        time.sleep(0.1)
    return value


def _remove_leftovers() -> None:
    for name in sim.clusters():
        found = re.fullmatch(r"test-.*-(\d+)", name)
        if found and not Path(f"/proc/{found.group(1)}").exists():
            sim.down(name)


@pytest.fixture(scope="session")
def sim_cluster() -> Iterator[sim.SimStatus]:
    """A running cluster that the tests of a session share."""
    _remove_leftovers()
    name = f"test-{_SUFFIX}"
    try:
        yield sim.up(name, progress=print)
    finally:
        sim.down(name)


@pytest.fixture
def new_cluster() -> Iterator[Callable[[str], str]]:
    """Gives names for clusters of a test's own, which it may do anything to; all are removed after it."""
    names: list[str] = []

    def name(word: str) -> str:
        names.append(f"test-{word}-{_SUFFIX}")
        return names[-1]

    try:
        yield name
    finally:
        for each in names:
            sim.down(each)


@pytest.fixture(scope="session")
def kubeconfig(sim_cluster: sim.SimStatus) -> Path:
    return sim_cluster.kubeconfig


@pytest.fixture(scope="session")
def connect(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Api]:
    """Makes an ``Api`` of any kubeconfig."""
    return lambda kubeconfig: Api(kubeconfig, tmp_path_factory.mktemp("identity"))


@pytest.fixture(scope="session")
def api(kubeconfig: Path, connect: Callable[[Path], Api]) -> Api:
    return connect(kubeconfig)


@pytest.fixture
def eventually() -> Callable[..., Any]:
    return _eventually


@pytest.fixture(scope="session")
def eventually_() -> Callable[..., Any]:
    """The same, for fixtures that outlive a test."""
    return _eventually


@pytest.fixture
def namespace(api: Api, request: pytest.FixtureRequest) -> Iterator[str]:
    """A fresh namespace, with its default service account."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:50]
    # A second try of the same test may come before the first one's namespace has gone.
    _eventually(lambda: api.ask("POST", "/api/v1/namespaces", {"metadata": {"name": name}})[0] == 201)
    _eventually(lambda: not api.missing(f"/api/v1/namespaces/{name}/serviceaccounts/default"))
    yield name
    api.delete(f"/api/v1/namespaces/{name}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A second try for what runs on a real control plane, each told of as RERUN: CONTRIBUTING.md says what follows."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With a failure comes what the test's own namespace looked like, for what a loaded machine shows once only."""
    report = yield
    found: dict[str, Any] = getattr(item, "funcargs", {})
    told = report.longrepr
    if report.when == "call" and isinstance(told, ExceptionRepr) and {"api", "namespace"} <= set(found):
        told.addsection("the namespace", _state(found["api"], found["namespace"]))
    return report


def _state(api: Api, namespace: str) -> str:
    """Pods, Jobs and events of a namespace, a line each."""
    lines: list[str] = []
    for path in ("/api/v1/namespaces/{}/pods", "/apis/batch/v1/namespaces/{}/jobs", "/api/v1/namespaces/{}/events"):
        _, answer = api.ask("GET", path.format(namespace))
        for found in answer.get("items", []) if isinstance(answer, dict) else []:
            found["metadata"].pop("managedFields", None)
            lines.append(json.dumps(found)[:3000])
    return "\n".join(lines)
