"""network-config-analyzer, which judges NetworkPolicies, in an environment of its own: it pins other PyYAML than we."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
import venv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
import yaml

from espalier.sim.paths import cache_root
from espalier.types import Manifest
from tests.network.reach import Reach, reach_of

TOOL = "network-config-analyzer==2.1.0"
Judge = Callable[[Mapping[str, Sequence[Manifest]]], dict[str, Reach]]


@pytest.fixture(scope="session")
def nca() -> Path:
    """The tool's program; it is installed once a machine, in some seconds."""
    if sys.version_info >= (3, 14):
        pytest.skip(f"{TOOL} needs an lxml that Python 3.14 has no build of")
    home = cache_root() / "espalier" / "tests" / f"{TOOL}-py{sys.version_info.major}.{sys.version_info.minor}"
    home.parent.mkdir(parents=True, exist_ok=True)
    done, program = home / "installed", home / "bin" / "nca"
    with (home.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            venv.create(home, clear=True, with_pip=True)
            pip = [home / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", TOOL]
            said = subprocess.run(pip, capture_output=True, text=True, timeout=600)
            if said.returncode:
                pytest.skip(f"{TOOL} cannot be installed here: {said.stderr[-500:]}")
            done.touch()
    return program


@pytest.fixture(scope="module")
def judged(nca: Path, tmp_path_factory: pytest.TempPathFactory) -> Judge:
    """By name, who may talk to whom of Namespaces, Pods and NetworkPolicies: one run for all."""

    def judge(cases: Mapping[str, Sequence[Manifest]]) -> dict[str, Reach]:
        home = tmp_path_factory.mktemp("network")
        named = {f"case{at}": name for at, name in enumerate(cases)}
        for case, name in named.items():
            # By way of JSON: what is the same object in Python would be an alias in YAML.
            (home / f"{case}.yaml").write_text(yaml.safe_dump_all(json.loads(json.dumps(list(cases[name])))))
        scheme = {
            "networkConfigList": [{"name": case, "resourceList": [str(home / f"{case}.yaml")]} for case in named],
            "queries": [
                {
                    "name": case,
                    "connectivityMap": [case],
                    "outputConfiguration": {
                        "outputFormat": "txt_no_fw_rules",
                        "outputPath": str(home / f"{case}.txt"),
                        "excludeIPv6Range": False,
                    },
                }
                for case in named
            ],
        }
        (home / "scheme.yaml").write_text(yaml.safe_dump(scheme))
        done = subprocess.run([nca, "-s", home / "scheme.yaml"], capture_output=True, text=True, timeout=300)
        answers = {case: home / f"{case}.txt" for case in named}
        missing = [named[case] for case, answer in answers.items() if not answer.exists()]
        assert not missing, f"no answer for {missing}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return {named[case]: reach_of(answer.read_text()) for case, answer in answers.items()}

    return judge
