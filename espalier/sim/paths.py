"""Where a simulated cluster keeps its files. Nothing here touches the disk but ``clusters``."""

import os
import re
from pathlib import Path

from espalier.sim.errors import SimError

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")

PACKAGE = Path(__file__).parent
GO_MODULE = PACKAGE / "gomod"
DATA = PACKAGE / "data"


def check_name(name: str) -> str:
    """Return ``name`` if it can name a cluster, else raise SimError."""
    if not _NAME.fullmatch(name):
        raise SimError(
            f"{name!r} cannot name a simulated cluster",
            "use 1 to 40 of the characters a-z, 0-9 and '-', with a letter or digit first and last",
        )
    return name


def _base(variable: str, default: str) -> Path:
    # The XDG base directory specification has relative paths ignored.
    value = os.environ.get(variable, "")
    root = Path(value) if os.path.isabs(value) else Path.home() / default
    return root / "espalier" / "sim"


def cache_root() -> Path:
    """The directory of built binaries, shared by every cluster of a user."""
    return _base("XDG_CACHE_HOME", ".cache")


def state_root() -> Path:
    """The directory that holds one directory a cluster."""
    return _base("XDG_STATE_HOME", ".local/state")


def state_dir(name: str) -> Path:
    """The directory of everything that belongs to cluster ``name``."""
    return state_root() / check_name(name)


def kubeconfig_path(name: str) -> Path:
    """The administrator's kubeconfig of cluster ``name``, whether or not the cluster exists."""
    return state_dir(name) / "kubeconfig"


def audit_log_path(name: str) -> Path:
    """The audit log of cluster ``name``: a JSON event a line for each write that the API server answered."""
    return state_dir(name) / "audit.log"


def clusters() -> tuple[str, ...]:
    """The names of the clusters that have state on this machine, sorted; running or not."""
    root = state_root()
    if not root.is_dir():
        return ()
    return tuple(sorted(entry.name for entry in root.iterdir() if entry.is_dir() and _NAME.fullmatch(entry.name)))
