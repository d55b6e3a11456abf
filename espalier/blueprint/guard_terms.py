"""What the guards of tenants are written of: whom they hold, and what a namespace says of its tenant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from espalier.blueprint import names

TENANTS: Final = {"matchExpressions": [{"key": names.TENANT, "operator": "Exists"}]}
A_TENANTS: Final = {
    "name": "is-not-a-part-of-the-cluster",
    "expression": (
        'request.userInfo.username.startsWith("system:serviceaccount:") '
        '? request.userInfo.username.startsWith("system:serviceaccount:" '
        '+ (request.namespace != "" ? request.namespace : request.name) + ":") '
        ': !request.userInfo.username.startsWith("eks:") && (request.userInfo.username == "system:anonymous" '
        '|| !request.userInfo.username.startsWith("system:"))'
    ),
}
"""People, and the service accounts of the namespace itself: what another namespace's may do here, the platform said.
Names that start with system: are Kubernetes' own, those with eks: Amazon's (EKS refuses both in access entries)."""
NO_DEPLOYER: Final = {
    "name": "may-not-take-guards-away",
    "expression": (
        '!authorizer.group("admissionregistration.k8s.io").resource("validatingadmissionpolicies")'
        '.check("delete").allowed()'
    ),
}
"""Who may take a guard away may do what it guards against: the administrators, and whoever brings the stack up."""


def rule(group: str, resources: Sequence[str], operations: Sequence[str], scope: str = "*") -> dict[str, Any]:
    """A rule by which a policy takes requests."""
    return {
        "apiGroups": [group],
        "apiVersions": ["*"],
        "operations": list(operations),
        "resources": list(resources),
        "scope": scope,
    }


def note_of(key: str) -> str:
    """CEL: what a namespace's annotation says; "" where there is none."""
    return f'namespaceObject.metadata.?annotations[?"{key}"].orValue("")'
