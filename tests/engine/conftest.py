"""The real Pulumi CLI for tests, where there is one on PATH, with nothing of it outside the tests' folders.

Providers are `fake_provider.py`. `project` is a copy of the project that no stack was made of, `brought_up` one whose
stacks `local` and `existing` are up; each test has its own, so that it may change anything.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROVIDER = Path(__file__).parent / "fake_provider.py"
PROVIDERS = {
    "kubernetes": ("4.34.2", "apiVersion,kind,metadata.name,metadata.namespace,spec.selector,provisioner"),
    "aws": ("7.51.1", "cidrBlock"),
    "gcp": ("10.2.0", "initialNodeCount"),
    "azure-native": ("3.29.0", "vmSize"),
}
"""Packages that the fake stands in for: the version, and the properties whose change replaces."""
STACKS = sorted(path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in ROOT.glob("stacks/Pulumi.*.yaml"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if shutil.which("pulumi") is None:
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="no pulumi on PATH"))


@dataclass(frozen=True)
class Cli:
    """The Pulumi CLI in a project, with a state backend and the objects of the fake providers beside it."""

    base: Path
    home: Path

    @property
    def folder(self) -> Path:
        return self.base / "project"

    @property
    def env(self) -> dict[str, str]:
        """What both the CLI and Espalier's command run with: nothing of the person who runs the tests."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PULUMI_", "KUBECONFIG"))}
        return kept | {
            "PULUMI_HOME": str(self.home),
            "PULUMI_BACKEND_URL": f"file://{self.base / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "rehearsal",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            # Or a real provider on PATH would be taken instead of the fake one.
            "PULUMI_IGNORE_AMBIENT_PLUGINS": "true",
            "FAKE_OBJECTS": str(self.base / "objects"),
        }

    def run(
        self, *command: str, fails: bool = False, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command in the project; its exit code is held to `fails`."""
        done = subprocess.run(
            command, cwd=self.folder, env=env or self.env, capture_output=True, text=True, check=False, timeout=300
        )
        assert (done.returncode != 0) == fails, f"{' '.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done

    def pulumi(self, *command: str, fails: bool = False) -> str:
        """What `pulumi` says, both streams."""
        done = self.run("pulumi", *command, "--non-interactive", "--color=never", fails=fails)
        return done.stdout + done.stderr

    def steps(self, stack: str, *more: str, env: Mapping[str, str] | None = None) -> dict[str, Any]:
        """What `pulumi preview` would do: its steps by URN."""
        command = ("pulumi", "preview", "--stack", stack, "--json", "--show-sames", "--non-interactive", *more)
        return {step["urn"]: step for step in json.loads(self.run(*command, env=env).stdout)["steps"]}

    def changes(self, stack: str, *more: str) -> dict[str, str]:
        """What `pulumi preview` would do, without what stays the same: operations by the resources' names."""
        found = {urn.rpartition("::")[2]: step["op"] for urn, step in self.steps(stack, *more).items()}
        return {name: op for name, op in found.items() if op != "same"}

    def state(self, stack: str) -> dict[str, Any]:
        """The resources of a stack's state by URN."""
        exported = json.loads(self.run("pulumi", "stack", "export", "--stack", stack).stdout)
        return {resource["urn"]: resource for resource in exported["deployment"].get("resources", [])}

    def objects(self) -> dict[tuple[str, str], Path]:
        """The files of what the fake providers made, by type and id."""
        files = (self.base / "objects").glob("*.json")
        return {(unquote(type_), unquote(id_)): file for file in files for type_, id_ in [file.stem.split(" ")]}

    def configure(self, stack: str, change: Callable[[dict[str, Any]], None]) -> None:
        """Changes a stack file; `change` gets the mapping under `config`."""
        file = self.folder / "stacks" / f"Pulumi.{stack}.yaml"
        content = yaml.safe_load(file.read_text())
        change(content["config"])
        file.write_text(yaml.safe_dump(content))

    def copy(self, base: Path) -> Cli:
        """The same project, state and objects in another folder."""
        shutil.copytree(self.base, base, symlinks=True)
        return Cli(base, self.home)


def _install(home: Path, package: str, version: str, immutable: str) -> None:
    """Makes an engine whose PULUMI_HOME is `home` take the fake for the plugin of `package`."""
    folder = home / "plugins" / f"resource-{package}-v{version}"
    folder.mkdir(parents=True)
    script = folder / f"pulumi-resource-{package}"
    told = f"FAKE_PACKAGE='{package}' FAKE_VERSION='{version}' FAKE_IMMUTABLE='{immutable}'"
    script.write_text(f"#!/bin/sh\nexec env {told} '{sys.executable}' '{PROVIDER}' \"$@\"\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PULUMI_HOME with the fake providers as its plugins."""
    folder = tmp_path_factory.mktemp("pulumi-home")
    for package, (version, immutable) in PROVIDERS.items():
        _install(folder, package, version, immutable)
    return folder


@pytest.fixture(scope="session")
def pristine(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """The project with its stacks made, but nothing in them; not to be changed."""
    base = tmp_path_factory.mktemp("pulumi")
    for name in ("project", "state", "objects"):
        (base / name).mkdir()
    cli = Cli(base, home)
    for name in ("Pulumi.yaml", "__main__.py"):
        shutil.copy(ROOT / name, cli.folder / name)
    for name in ("stacks", "policies"):
        shutil.copytree(ROOT / name, cli.folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (cli.folder / ".venv").symlink_to(Path(sys.prefix))
    for stack in STACKS:
        cli.pulumi("stack", "init", stack)
    return cli


@pytest.fixture
def project(pristine: Cli, tmp_path: Path) -> Cli:
    """The project with its stacks made, but nothing in them."""
    return pristine.copy(tmp_path / "pulumi")


@pytest.fixture(scope="session")
def _up(pristine: Cli, tmp_path_factory: pytest.TempPathFactory) -> Cli:
    cli = pristine.copy(tmp_path_factory.mktemp("up") / "pulumi")
    cli.pulumi("up", "--stack", "local", "--yes", "--skip-preview")
    return cli


@pytest.fixture
def brought_up(_up: Cli, tmp_path: Path) -> Cli:
    """The project with its stack `local` up."""
    return _up.copy(tmp_path / "pulumi")


@pytest.fixture(scope="session")
def program(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Cli]:
    """Makes a project, with an empty stack `trial`, of a program's text."""

    def make(text: str) -> Cli:
        base = tmp_path_factory.mktemp("trial")
        for name in ("project", "state", "objects"):
            (base / name).mkdir(parents=True)
        cli = Cli(base, home)
        (cli.folder / "__main__.py").write_text(text)
        runtime = {"name": "python", "options": {"toolchain": "pip", "virtualenv": ".venv"}}
        (cli.folder / "Pulumi.yaml").write_text(yaml.safe_dump({"name": "trial", "runtime": runtime}))
        (cli.folder / ".venv").symlink_to(Path(sys.prefix))
        cli.pulumi("stack", "init", "trial")
        return cli

    return make
