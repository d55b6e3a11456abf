"""A disk that is full for our own files: a clear error, nothing half written, the cluster as it was.

The limit is the process's own on the size of a file (RLIMIT_FSIZE), which the system refuses as it does a full disk.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from espalier.kube import Client, Kubeconfig
from tests.sim.faults.proxy import HttpProxy
from tests.sim.faults.stack import items, live, wrongs

ROOT = Path(__file__).parents[2]
LIMITED = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0})); "
COMMAND = "from espalier.cli import main; main(sys.argv[1:])"
STACK = "full-disk"
WORDS = {"--html": ["plan", "local", "--html", "{out}/page.html"], "-o": ["render", "local", "-o", "{out}"]}


def run(limit: int, folder: Path, state: Path, *arguments: str) -> tuple[int, str]:
    """A command whose files may have `limit` bytes; 0 for no limit."""
    done = subprocess.run(
        [sys.executable, "-c", (LIMITED.format(limit) if limit else "import sys; ") + COMMAND, *arguments],
        cwd=folder,
        env={**os.environ, "XDG_STATE_HOME": str(state)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
    )
    assert "Traceback" not in done.stdout, done.stdout
    return done.returncode, done.stdout


def files(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("option", WORDS)
def test_what_was_written_before_stays(tmp_path: Path, option: str) -> None:
    out = tmp_path / "out"
    if option == "--html":
        out.mkdir()
    words = [word.format(out=out) for word in WORDS[option]]
    code, text = run(0, ROOT, tmp_path / "state", *words)
    assert code == 0, text
    before = files(out)
    assert before
    code, text = run(600, ROOT, tmp_path / "state", *words)
    assert code == 2, text
    assert option in text
    assert "File too large" in text
    assert files(out) == before


@pytest.mark.parametrize(
    "arguments", [["plan", "local", "--html", "{out}/page.html"], ["render", "local", "-o", "{out}"]]
)
def test_nothing_is_left_of_what_could_not_be_written(tmp_path: Path, arguments: list[str]) -> None:
    out = tmp_path / "out"
    code, _ = run(600, ROOT, tmp_path / "state", *[word.format(out=out) for word in arguments])
    assert code == 2
    assert not out.exists() or not any(out.iterdir())


def test_a_stack_file_that_a_tenant_does_not_fit_into_stays(tmp_path: Path) -> None:
    for name in ("Pulumi.yaml", "__main__.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "stacks", tmp_path / "stacks")
    before = files(tmp_path / "stacks")
    code, text = run(600, tmp_path, tmp_path / "state", "tenant", "add", "local", "speech")
    assert code == 2, text
    assert "Pulumi.local.yaml: File too large" in text
    assert files(tmp_path / "stacks") == before


@pytest.mark.parametrize(("length", "code", "says"), [(200, 3, "cannot be written"), (1, 2, "lock: File too large")])
def test_what_cannot_be_fetched_is_told_and_nothing_is_half_written(
    tmp_path: Path, length: int, code: int, says: str
) -> None:
    """First the file for the cache does not fit, then the lock, which is longer."""
    stacks, url = tmp_path / "stacks", "https://files.example.com"
    mirrored = stacks / "mirror" / "files.example.com"
    for folder in (stacks / "addons", mirrored):
        folder.mkdir(parents=True)
    (tmp_path / "Pulumi.yaml").write_text("name: faults\nruntime: python\nstackConfigDir: stacks\n")

    def hosted(name: str) -> None:
        data = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name}, "data": {"word": "x" * length}}
        (mirrored / f"{name}.yaml").write_text(json.dumps(data))
        record = {"source": {"manifests": {"url": f"{url}/{name}.yaml", "version": "1"}}, "namespace": name}
        (stacks / "addons" / f"{name}.yaml").write_text(yaml.safe_dump(record))
        config["addons"][name] = {}
        stack = {"config": {f"espalier:{key}": value for key, value in config.items()}}
        (stacks / "Pulumi.free.yaml").write_text(yaml.safe_dump(stack))

    sources = {"cache": "../cache", "mirror": "mirror"}
    config: dict[str, Any] = {"cluster": {"kind": "simulated"}, "sources": sources, "addons": {}}
    config["pools"] = [{"name": "system", "machine": {"cpu": 4, "memory": "16Gi"}, "nodes": {"min": 1, "max": 1}}]
    hosted("free")
    assert run(0, tmp_path, tmp_path / "state", "fetch", "free")[0] == 0
    lock, cache = (stacks / "free.lock").read_text(), files(tmp_path / "cache")
    hosted("more")
    found, text = run(280, tmp_path, tmp_path / "state", "fetch", "free")
    assert (found, says in text) == (code, True), text
    assert "File too large" in text
    assert cache.items() <= files(tmp_path / "cache").items()
    assert not list(tmp_path.rglob(".*"))
    # A source that cannot be had is not in the lock; a lock that cannot be written is what it was.
    assert (stacks / "free.lock").read_text() == lock or code == 3
    assert run(0, tmp_path, tmp_path / "state", "fetch", "free")[0] == 0


@pytest.mark.parametrize("limit", [40, 900, 1600])
def test_a_simulated_cluster_that_cannot_keep_its_files_is_not_started(tmp_path: Path, limit: int) -> None:
    """The ports, a certificate, a kubeconfig: whichever file it is that does not fit."""
    code, text = run(limit, tmp_path, tmp_path, "sim", "up", "--name", "full")
    assert code == 1, text
    assert "File too large" in text
    assert "XDG_STATE_HOME" in text
    state = tmp_path / "espalier" / "sim" / "full"
    assert not list(state.glob("run/*.pid"))
    code, text = run(0, tmp_path, tmp_path, "sim", "down", "--name", "full")
    assert code == 0, text
    assert not state.exists()


@pytest.fixture
def stack_on(tmp_path: Path) -> Callable[[Path, str], None]:
    """Writes a small stack on the cluster of a kubeconfig's context."""
    (tmp_path / "stacks").mkdir()
    main = f'from tests.sim.faults.stack import register\n\nregister("{STACK}", "a", 1)\n'
    (tmp_path / "__main__.py").write_text(main)
    project = {"name": "faults", "runtime": "python", "stackConfigDir": "stacks"}
    (tmp_path / "Pulumi.yaml").write_text(yaml.safe_dump(project))

    def write(kubeconfig: Path, context: str) -> None:
        cluster = {"kind": "existing", "version": "1.36", "kubeconfig": str(kubeconfig), "context": context}
        text = yaml.safe_dump({"config": {"espalier:cluster": cluster}})
        (tmp_path / "stacks" / f"Pulumi.{STACK}.yaml").write_text(text)

    return write


def test_a_cluster_that_cannot_be_remembered_is_left_as_it_was(
    tmp_path: Path, kubeconfig: Path, stack_on: Callable[[Path, str], None]
) -> None:
    client, state = Client.connect(kubeconfig), tmp_path / "state"
    words = ["--yes", "--engine", "embedded"]
    stack_on(kubeconfig, Kubeconfig.load(kubeconfig).context)
    code, text = run(40, tmp_path, state, "up", STACK, *words)
    assert code == 3, text
    assert "the client certificate cannot be written" in text
    with HttpProxy(kubeconfig, tmp_path) as proxy:
        # No client certificate there, so that the first file is the one that keeps which cluster this is.
        stack_on(proxy.kubeconfig, "proxy")
        code, text = run(40, tmp_path, state, "up", STACK, *words)
        assert code == 3, text
        assert "which cluster this is cannot be kept" in text
        assert [asked for asked in proxy.asked if asked.writes] == []
    assert files(state) == {}
    stack_on(kubeconfig, Kubeconfig.load(kubeconfig).context)
    assert live(client, STACK) == []
    code, text = run(0, tmp_path, state, "up", STACK, *words)
    assert code == 0, text
    assert wrongs(client, STACK, items(STACK, "a", 1)) == []
    code, text = run(0, tmp_path, state, "destroy", STACK, *words)
    assert code == 0, text
    assert live(client, STACK) == []
