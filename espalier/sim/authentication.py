"""Whom the API server of a simulated cluster trusts to say who people are: its authentication configuration.

The API server reads the file again whenever it changes (Kubernetes, structured authentication configuration).
"""

import json
import os
from typing import Any

import yaml

from espalier.sim.components import Layout
from espalier.sim.paths import DATA, state_dir

_FILE = "authentication.yaml"


def differs(name: str, issuers: str | None) -> bool:
    """Whether cluster ``name`` is to trust others than it does; None keeps those that it has."""
    found = state_dir(name) / _FILE
    return not found.is_file() or (issuers is not None and _text(issuers) != found.read_text(encoding="utf-8"))


def write(layout: Layout, issuers: str | None) -> bool:
    """Write the configuration, all or nothing; whether an API server that runs does not look at the file yet."""
    is_new = not layout.authentication.is_file()
    scratch = layout.authentication.with_suffix(".new")
    scratch.write_text(_text(issuers or "[]"), encoding="utf-8")
    os.replace(scratch, layout.authentication)
    return is_new


def _text(issuers: str) -> str:
    """`issuers` is JSON, `jwt` of an AuthenticationConfiguration; the rest says who may ask without a name."""
    configuration: dict[str, Any] = yaml.safe_load((DATA / _FILE).read_text(encoding="utf-8"))
    return yaml.safe_dump({**configuration, "jwt": json.loads(issuers)}, sort_keys=False)
