"""The warden of a simulated cluster: the add-on's own program, as a process beside it, with the add-on's own rights.

Its certificate names the service account that the add-on makes, so RBAC holds for it as it does in a pod.
"""

import shutil
from pathlib import Path

from espalier.sim.components import Layout
from espalier.sim.paths import state_dir

_NAMESPACE = "espalier-warden"
_USER = f"system:serviceaccount:{_NAMESPACE}:espalier-warden"
_GROUPS = ("system:serviceaccounts", f"system:serviceaccounts:{_NAMESPACE}")


def differs(name: str, wanted: bool | None) -> bool:
    """Whether cluster ``name`` is to gain or to lose its warden; None keeps what it has."""
    return wanted is not None and wanted != (state_dir(name) / "warden").is_dir()


def write(layout: Layout) -> None:
    """Give the cluster a warden: its certificate, and the CA to know the API server by."""
    from espalier.sim.pki import issue_client_certificate

    scratch = Path(f"{layout.warden}.new")
    if scratch.exists():
        shutil.rmtree(scratch)
    issue_client_certificate(layout.pki, scratch, "warden", _USER, _GROUPS)
    shutil.copyfile(layout.pki / "ca.crt", scratch / "ca.crt")
    scratch.rename(layout.warden)


def remove(layout: Layout) -> None:
    """Take the warden from the cluster."""
    shutil.rmtree(layout.warden)
