"""Writes kubeconfig files with everything inside, so that one can be copied and used as it is."""

import base64
import os
from pathlib import Path

import yaml


def write_kubeconfig(path: Path, *, cluster: str, server: str, ca: Path, certificate: Path, key: Path) -> None:
    """Write ``path`` (mode 0600, all or nothing) for the identity of a client certificate and its key."""

    def embedded(file: Path) -> str:
        return base64.b64encode(file.read_bytes()).decode()

    name = f"espalier-sim-{cluster}"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": name, "cluster": {"server": server, "certificate-authority-data": embedded(ca)}},
        ],
        "users": [
            {
                "name": name,
                "user": {"client-certificate-data": embedded(certificate), "client-key-data": embedded(key)},
            },
        ],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    scratch = path.with_name(f".{path.name}.new")
    scratch.unlink(missing_ok=True)
    scratch.touch(mode=0o600)
    scratch.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    os.replace(scratch, path)
