"""The autoscaler of a simulated cluster: Karpenter, real, over machines that it makes as simulated nodes."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from espalier.sim.api import Admin
from espalier.sim.components import Layout
from espalier.sim.errors import SimError
from espalier.sim.paths import DATA, state_dir

_ESTABLISHED_SECONDS = 20.0
_SERVED = ("/apis/karpenter.sh/v1/nodepools", "/apis/karpenter.kwok.sh/v1alpha1/kwoknodeclasses")
_USER = "espalier:karpenter"
_CLAIMS = "/apis/karpenter.sh/v1/nodeclaims"
CAPACITY_TYPE = "karpenter.sh/capacity-type"
_TERMINATION = "karpenter.sh/nodeclaim-termination-timestamp"
"""When a claim that is going is cut off; source: karpenter v1.15.0, pkg/apis/v1/labels.go."""
_POOL = "espalier.dev/pool"


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
    offer(layout, None)


def offer(layout: Layout, sold_out_kind: str | None) -> None:
    """Say what is in stock, for the autoscaler's next start: all but one kind of capacity, or all."""
    machines = layout.machines.read_text(encoding="utf-8")
    in_stock = machines if sold_out_kind is None else sold_out(machines, sold_out_kind)
    layout.in_stock.write_text(in_stock, encoding="utf-8")


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


def sold_out(machines: str, capacity_type: str) -> str:
    """The machine types without the offerings of one kind of capacity, spot or on-demand."""
    types: list[dict[str, Any]] = json.loads(machines)
    for one in types:
        one["offerings"] = [offer for offer in one["offerings"] if capacity_type not in _capacity_types(offer)]
    return json.dumps(types, indent=1, sort_keys=True) + "\n"


def _capacity_types(offering: dict[str, Any]) -> list[str]:
    return [value for each in offering["Requirements"] if each["key"] == CAPACITY_TYPE for value in each["values"]]


def reclaim(admin: Admin, *, count: int, pool: str | None, node: str | None, notice: int) -> tuple[str, ...]:
    """Take spot nodes back, as a cloud does: pods are evicted, and the nodes go; their names.

    Karpenter's claims are what is deleted: it drains a node with the pods' own grace periods, and after ``notice``
    seconds whatever is still on it goes as well, as when a cloud switches the machine off. Raises SimError where there
    are fewer such nodes.
    """
    claims = [claim for claim in admin.list(_CLAIMS) if _is_spot(claim) and _node(claim) and _fits(claim, pool, node)]
    if len(claims) < count:
        where = f" in pool {pool}" if pool else ""
        named = f"node {node} is no spot node that the autoscaler made" if node else ""
        raise SimError(
            named or f"{count} spot nodes are to be taken back, and{where} {len(claims)} are there now",
            "let pods wait for such nodes first, or ask for fewer",
        )
    chosen = sorted(claims, key=lambda claim: (claim["metadata"]["creationTimestamp"], claim["metadata"]["name"]))
    ends = (datetime.now(UTC) + timedelta(seconds=notice)).strftime("%Y-%m-%dT%H:%M:%SZ")
    for claim in chosen[:count]:
        path = f"{_CLAIMS}/{claim['metadata']['name']}"
        admin.patch(path, {"metadata": {"annotations": {_TERMINATION: ends}}})
        admin.delete_all(path)
    return tuple(str(_node(claim)) for claim in chosen[:count])


def _fits(claim: dict[str, Any], pool: str | None, node: str | None) -> bool:
    """Whether a claim is of that pool, and of that node, and is not going already."""
    there = "deletionTimestamp" not in claim["metadata"]
    return there and pool in (None, claim["metadata"]["labels"].get(_POOL)) and node in (None, _node(claim))


def _is_spot(claim: dict[str, Any]) -> bool:
    return bool(claim["metadata"].get("labels", {}).get(CAPACITY_TYPE) == "spot")


def _node(claim: dict[str, Any]) -> str | None:
    """The node that a claim became; a claim that was made just now has none, and no status."""
    return claim.get("status", {}).get("nodeName")


def _file(name: str) -> Path:
    return state_dir(name) / "autoscaler" / "machines.json"
