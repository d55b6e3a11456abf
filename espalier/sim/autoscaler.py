"""The autoscaler of a simulated cluster: Karpenter, real, over machines that it makes as simulated nodes."""

import time
from pathlib import Path

from espalier.sim.api import Admin
from espalier.sim.components import Layout
from espalier.sim.errors import SimError
from espalier.sim.paths import DATA, state_dir

_ESTABLISHED_SECONDS = 20.0
_SERVED = ("/apis/karpenter.sh/v1/nodepools", "/apis/karpenter.kwok.sh/v1alpha1/kwoknodeclasses")
_USER = "espalier:karpenter"


def is_wanted(name: str, machines: str | None) -> bool:
    """Whether cluster ``name`` is to have an autoscaler: it is given machine types, or has some already."""
    return machines is not None or _file(name).is_file()


def differs(name: str, machines: str | None) -> bool:
    """Whether ``machines`` are others than those that the cluster's autoscaler has."""
    if machines is None:
        return False
    return not _file(name).is_file() or _file(name).read_text(encoding="utf-8") != machines


def write(layout: Layout, machines: str) -> None:
    """Give the cluster's autoscaler its machine types; it reads them when it starts."""
    layout.machines.parent.mkdir(mode=0o700, exist_ok=True)
    layout.machines.write_text(machines, encoding="utf-8")


def prepare(layout: Layout, admin: Admin) -> None:
    """Apply its definitions and rights, and wait until the API serves what it works with."""
    for definition in sorted(layout.autoscaler.glob("*.yaml")):
        admin.apply(definition)
    deadline = time.monotonic() + _ESTABLISHED_SECONDS
    while not all(admin.exists(path) for path in _SERVED):
        if time.monotonic() > deadline:
            raise SimError("the autoscaler's definitions are not served", "see the API server's log")
        time.sleep(0.05)
    admin.apply(DATA / "autoscaler.yaml")


def identity(layout: Layout) -> Path:
    """Its client certificate, without the suffix of a file."""
    from espalier.sim.pki import issue_client_certificate

    directory = layout.machines.parent
    if not (directory / "karpenter.crt").is_file():
        issue_client_certificate(layout.pki, directory, "karpenter", _USER, ())
    return directory / "karpenter"


def _file(name: str) -> Path:
    return state_dir(name) / "autoscaler" / "machines.json"
