"""Which Python package a cloud's program needs: each cloud's is an extra of its own."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

_SDKS: Final = {
    "eks": ("pulumi_aws", "aws"),
    "gke": ("pulumi_gcp", "gcp"),
    "aks": ("pulumi_azure_native", "azure"),
}
"""Kind of cluster -> the module of Pulumi's SDK for its cloud, and Espalier's extra that installs it."""


def missing_sdk(kind: str) -> tuple[str, str] | None:
    """The module that is not installed, and what to do; None where it is, or none is needed."""
    module, extra = _SDKS.get(kind, ("", ""))
    if not module or find_spec(module) is not None:
        return None
    return module, f"Install it: pip install 'espalier[{extra}]' (in a checkout: pip install -e '.[{extra}]')."
