"""Building the simulator's binaries: the key of a build, the toolchain, the cache. A script plays Go."""

import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from espalier.sim import MissingToolError, SimError, build
from espalier.sim.binaries import BINARIES, build_key, link_flags, pinned_version, required_go
from espalier.sim.paths import DATA, GO_MODULE
from espalier.sim.toolchain import find_go, go_environment

_GO = """#!/bin/sh
echo "$@" >> "$FAKE_GO_LOG"
case "$1" in
  version) echo "go version go$FAKE_GO_VERSION linux/amd64" ;;
  list) echo "go: downloading example.com/module v1.0.0" >&2 ;;
  build)
    echo example.com/package
    while [ "$1" != -o ]; do shift; done
    sleep "${FAKE_GO_SECONDS:-0}"
    [ -z "$FAKE_GO_FAILS" ] || { echo "no space left on device" >&2; exit 1; }
    echo binary > "$2" ;;
esac
"""


@pytest.fixture
def fake_go(tmp_path, monkeypatch):
    """A ``go`` on PATH that builds at once; the fixture's value is the log of what it was asked."""
    folder = tmp_path / "path"
    folder.mkdir()
    (folder / "go").write_text(_GO)
    (folder / "go").chmod(0o755)
    log = tmp_path / "asked"
    log.touch()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("FAKE_GO_LOG", str(log))
    monkeypatch.setenv("FAKE_GO_VERSION", "1.99.0")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return log


def _builds(log: Path) -> int:
    return sum(line.startswith("build") for line in log.read_text().splitlines())


def test_the_key_changes_with_any_file_of_the_module_and_with_the_table(tmp_path):
    copy = tmp_path / "gomod"
    shutil.copytree(GO_MODULE, copy)
    key = build_key(go_module=copy)
    assert key == build_key()
    assert build_key(BINARIES[:1], copy) != key
    for path in sorted(copy.rglob("*")):
        if path.is_file():
            before = path.read_bytes()
            path.write_bytes(before + b"\n")
            assert build_key(go_module=copy) != key, path
            path.write_bytes(before)
    assert build_key(go_module=copy) == key


def test_versions_come_from_go_mod():
    assert pinned_version("k8s.io/kubernetes") == "v1.36.3"
    assert required_go() >= (1, 26)
    flags = link_flags(BINARIES[0]).split()
    assert "k8s.io/component-base/version.gitVersion=v1.36.3" in flags
    assert "k8s.io/component-base/version.gitMinor=36" in flags


def test_simulated_nodes_claim_the_kubelet_of_the_same_release():
    stages = yaml.safe_load_all((DATA / "stages.yaml").read_text())
    ready = next(stage for stage in stages if stage["metadata"]["name"] == "node-becomes-ready")
    assert pinned_version("k8s.io/kubernetes") in ready["spec"]["steps"][0]["patch"]["template"]


def test_a_build_is_made_once_and_then_found(fake_go):
    told: list[str] = []
    directory = build(told.append)
    assert {path.name for path in directory.iterdir()} == {"controlplane", "kubectl", "kwok"}
    assert _builds(fake_go) == len(BINARIES)
    assert any("building" in line for line in told)
    assert build() == directory
    assert _builds(fake_go) == len(BINARIES)


def test_two_builds_at_once_are_one_build(fake_go, monkeypatch):
    monkeypatch.setenv("FAKE_GO_SECONDS", "0.3")
    told: list[str] = []
    with ThreadPoolExecutor(3) as pool:
        directories = set(pool.map(lambda _: build(told.append), range(3)))
    assert len(directories) == 1
    assert _builds(fake_go) == len(BINARIES)
    assert "waiting: another command is building the binaries" in told


def test_a_failed_build_says_why_and_leaves_nothing_that_looks_built(fake_go, monkeypatch):
    monkeypatch.setenv("FAKE_GO_FAILS", "1")
    with pytest.raises(SimError, match="no space left on device"):
        build()
    monkeypatch.delenv("FAKE_GO_FAILS")
    assert (build() / "kwok").read_text() == "binary\n"


def test_what_a_person_set_for_their_own_go_work_does_not_reach_the_build(monkeypatch):
    monkeypatch.setenv("GOFLAGS", "-mod=mod")
    monkeypatch.setenv("GOOS", "plan9")
    monkeypatch.setenv("GOPROXY", "https://mirror.example")
    environment = go_environment()
    assert environment["GOFLAGS"] == ""
    assert "GOOS" not in environment
    assert environment["GOPROXY"] == "https://mirror.example"


def test_a_go_that_is_too_old_gives_way_to_the_one_from_the_package_index(fake_go, monkeypatch):
    monkeypatch.setenv("FAKE_GO_VERSION", "1.21.0")
    assert find_go(required_go()).parts[-3:] == ("go", "bin", "go")


def test_without_any_go_the_error_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setitem(sys.modules, "go", None)
    with pytest.raises(MissingToolError) as raised:
        find_go(required_go())
    assert "found none" in raised.value.message
    assert "pip install 'espalier[sim]'" in raised.value.do
