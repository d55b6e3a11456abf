"""Kubernetes minors: one at a time upwards, and nodes not too far behind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from espalier.preflight.model import Finding, ok, wrong

SKEW = 3
"""Minors that a kubelet may be older than the API server (Kubernetes, Version Skew Policy, since 1.28)."""


def minor(version: str) -> int:
    """`1.35`, `v1.35.2` or `1.35.2-gke.100` -> 35."""
    return int(version.lstrip("v").split(".")[1].split("-")[0])


def step(what: str, running: str, wanted: str) -> Finding:
    """Whether a running cluster can go to the wanted minor."""
    distance = minor(wanted) - minor(running)
    got = f"runs {running}; the stack wants {wanted}"
    if distance < 0:
        return wrong(what, got, f'Set espalier:cluster.version to "1.{minor(running)}": no cloud goes back.')
    if distance > 1:
        do = f'One minor at a time: set espalier:cluster.version to "1.{minor(running) + 1}" and run `up` first.'
        return wrong(what, got, do)
    return ok(what, f"{got}: the control plane goes first, then add-ons, then pools" if distance else got)


def older_nodes(groups: Mapping[str, str], wanted: str) -> Iterator[Finding]:
    """Node groups that would be too old for the wanted control plane."""
    for name, version in sorted(groups.items()):
        if minor(wanted) - minor(version) > SKEW:
            got = f"nodes of {version} under a control plane of {wanted}; at most {SKEW} minors may lie between"
            yield wrong(f"nodes of {name}", got, "Upgrade these nodes first.")
