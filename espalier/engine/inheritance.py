"""The options that a resource takes from its parent without the SDK's help.

Pulumi's engine does this (pulumi, pkg/resource/deploy/source_eval.go: inheritFromParent), so a registration that comes
from the SDK does not hold them yet.
"""

from __future__ import annotations

from pulumi.runtime.proto.resource_pb2 import RegisterResourceRequest

from espalier.engine.model import Resource


def inherit(request: RegisterResourceRequest, parent: Resource | None) -> None:
    """Sets in `request` what it leaves open and its parent has: deletedWith, protect, retainOnDelete."""
    if parent is None:
        return
    if not request.deletedWith:
        request.deletedWith = str(parent.options.get("deletedWith", ""))
    if not request.HasField("protect") and "protect" in parent.options:
        request.protect = bool(parent.options["protect"])
    if not request.HasField("retainOnDelete") and "retainOnDelete" in parent.options:
        request.retainOnDelete = bool(parent.options["retainOnDelete"])
