"""Chooses a cluster's ports, which it then keeps: a kubeconfig stays valid over a restart."""

import json
import os
import socket
import zlib
from pathlib import Path

from espalier.sim.components import PORT_NAMES
from espalier.sim.errors import SimError
from espalier.sim.locks import locked
from espalier.sim.model import Progress
from espalier.sim.paths import clusters, state_dir, state_root

# Below the ports that systems hand out to outgoing connections (32768 and up on Linux), which would take a
# stopped cluster's port now and then.
_FIRST, _LAST = 20_000, 29_999


def ensure_ports(name: str, progress: Progress) -> dict[str, int]:
    """The ports of cluster ``name``, chosen free and written down when they are first needed, and kept from then on."""
    file = _file(name)
    known = read_ports(name) or {}
    missing = [part for part in PORT_NAMES if part not in known]
    if not missing:
        return known
    with locked(state_root() / ".ports.lock", "choosing ports", progress, 30.0):
        taken = {port for other in clusters() for port in (read_ports(other) or {}).values()}
        # A start of its own for each name keeps clusters apart, and the ports the same when one is remade.
        candidate = _FIRST + zlib.crc32(name.encode()) % (_LAST - _FIRST)
        ports = dict(known)
        for _ in range(_FIRST, _LAST):
            if not missing:
                break
            if candidate not in taken and is_free(candidate):
                ports[missing.pop(0)] = candidate
            candidate = candidate + 1 if candidate < _LAST else _FIRST
        if missing:
            raise SimError(f"no free ports between {_FIRST} and {_LAST}", "stop a program that listens there")
        scratch = file.with_suffix(".new")
        scratch.write_text(json.dumps(ports), encoding="utf-8")
        os.replace(scratch, file)
    return ports


def read_ports(name: str) -> dict[str, int] | None:
    """The ports that cluster ``name`` keeps, or None where it has none."""
    try:
        return json.loads(_file(name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def is_free(port: int) -> bool:
    """Whether a process could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _file(name: str) -> Path:
    return state_dir(name) / "ports.json"
