"""kubectl against the very cluster of a stack: for commands in pods, which Espalier's own client does not run."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from espalier.commands.project import Project
from espalier.commands.target import client_of, exported_kubeconfig, kubeconfig_of
from espalier.failures import Missing

_TICK: Final = 0.5
"""Seconds between two looks at how far it is."""
_SAID: Final = 500
"""Characters of an error that are told."""


class KubectlError(Exception):
    """It ended with an error: what it said last."""


@dataclass(frozen=True, slots=True)
class Kubectl:
    """`command` is how it begins: the program, and options that name the cluster."""

    command: tuple[str, ...]

    def ask(self, *arguments: str) -> str:
        """What it answers. Raises KubectlError."""
        done = subprocess.run([*self.command, *arguments], check=False, capture_output=True, text=True)
        if done.returncode:
            raise KubectlError(_last(done.stderr) or f"kubectl ended with {done.returncode}")
        return done.stdout.strip()

    def run(
        self,
        arguments: Sequence[str],
        tell: Callable[[], None],
        *,
        source: Path | None = None,
        target: Path | None = None,
    ) -> None:
        """Runs with a file as its input, and a new one, that only its owner reads, as its output.

        Calls `tell` now and then while it runs. Raises KubectlError, and OSError where a file cannot be had.
        """
        with (
            open(source or os.devnull, "rb") as coming,
            open(target or os.devnull, "wb", opener=_private if target else None) as going,
            tempfile.TemporaryFile() as errors,
            subprocess.Popen([*self.command, *arguments], stdin=coming, stdout=going, stderr=errors) as process,
        ):
            try:
                _wait(process, tell)
            finally:
                process.kill()
            errors.seek(0)
            if process.returncode:
                said = _last(errors.read().decode("utf-8", "replace"))
                raise KubectlError(said or f"kubectl ended with {process.returncode}")


@contextmanager
def kubectl_of(project: Project) -> Generator[Kubectl]:
    """A kubectl for the stack's cluster, by its own kubeconfig and context.

    Raises Missing where there is none on this machine, and what `client_of` raises.
    """
    program = shutil.which("kubectl")
    if program is None:
        do = "Install it (https://kubernetes.io/docs/tasks/tools/) and have it on PATH."
        raise Missing("no kubectl on this machine, which runs commands in pods", do)
    exported = exported_kubeconfig(project)
    if exported is None:
        client_of(project).close()
        path, context = kubeconfig_of(project)
        yield Kubectl((program, "--kubeconfig", str(path), *(("--context", context) if context else ())))
        return
    with tempfile.TemporaryDirectory(prefix="espalier-") as folder:
        path = Path(folder) / "kubeconfig"
        with open(path, "w", encoding="utf-8", opener=_private) as file:
            file.write(exported)
        yield Kubectl((program, "--kubeconfig", str(path)))


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_EXCL, 0o600)


def _wait(process: subprocess.Popen[bytes], tell: Callable[[], None]) -> None:
    while True:
        try:
            process.wait(timeout=_TICK)
            return
        except subprocess.TimeoutExpired:
            tell()


def _last(said: str) -> str:
    """What it says at the end: a shell or a program in the pod speaks first, kubectl only of the exit code."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return "; ".join(lines[-2:])[-_SAID:]
