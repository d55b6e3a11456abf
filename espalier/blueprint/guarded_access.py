"""Who is let into a tenant's namespace, and who makes Kubeflow's Profiles: the platform, whoever asks in whose name.

Facts: kubeflow/dashboard v2.0.0, access-management/kfam (bindings.go, api_default.go) and centraldashboard
(api_workgroup.ts). KFAM binds whatever subject an owner sends it, a service account too, in its own name; it makes a
Profile for anybody, of any name and for any owner, and deletes one for its owner. A Profile makes a namespace without
walls or quota, and one that made its namespace takes it along, with its volumes.
"""

from __future__ import annotations

from typing import Any, Final

from espalier.blueprint.guard_terms import NO_DEPLOYER, TENANTS, rule

_ACCOUNT: Final = "system:serviceaccount:"
_OF_HERE: Final = f'"{_ACCOUNT}" + request.namespace + ":"'
_OF_WHO_BINDS: Final = f'request.userInfo.username.startsWith("{_ACCOUNT}" + {{}} + ":")'
_KNOWN: Final = (
    's.kind == "ServiceAccount" ? (s.?namespace.orValue("") == request.namespace '
    f"|| {_OF_WHO_BINDS.format('s.namespace')}) "
    f': s.kind == "User" ? (!s.name.startsWith("system:") || s.name.startsWith({_OF_HERE})) '
    ': (!s.name.startsWith("system:") || s.name == "system:serviceaccounts:" + request.namespace)'
)
"""A service account of the namespace itself, or one of whoever binds, which gives away what it has; RBAC knows service
accounts by the names of users and groups, too."""


def bindings() -> dict[str, Any]:
    """Service accounts of elsewhere, and the cluster's own users and groups, are let in by who runs the platform alone.

    Other guards hold the service accounts of the namespace itself: one of another tenant's, once it was let in, would
    take the walls down for both.
    """
    subjects = "{}.?subjects.orValue([])"
    return {
        "matchConstraints": {
            "resourceRules": [
                rule("rbac.authorization.k8s.io", ["rolebindings"], ["CREATE", "UPDATE"], "Namespaced"),
            ],
            "namespaceSelector": TENANTS,
        },
        "matchConditions": [
            {
                "name": "lets-somebody-in",
                "expression": f"oldObject == null || {subjects.format('object')} != {subjects.format('oldObject')}",
            },
            NO_DEPLOYER,
        ],
        "variables": [
            {
                "name": "strangers",
                "expression": f"{subjects.format('object')}.filter(s, !({_KNOWN})).map(s, s.name)",
            }
        ],
        "validations": [
            {
                "expression": "variables.strangers.size() == 0",
                "messageExpression": 'variables.strangers.join(", ") + " is of elsewhere or of the cluster itself: '
                'bind people, their groups, and service accounts of namespace " + request.namespace + " alone"',
                "message": "a service account of elsewhere, or a part of the cluster",
                "reason": "Forbidden",
            }
        ],
    }


def profiles() -> dict[str, Any]:
    """Profiles are the stack file's tenants; their controller writes what it did, and finalizers."""
    return {
        "matchConstraints": {
            "resourceRules": [rule("kubeflow.org", ["profiles"], ["CREATE", "UPDATE", "DELETE"], "Cluster")]
        },
        "matchConditions": [
            {
                "name": "changes-whose-it-is",
                "expression": "object == null || oldObject == null || object.?spec != oldObject.?spec",
            },
            NO_DEPLOYER,
        ],
        "validations": [
            {
                "expression": "false",
                "messageExpression": '"Profile " + request.name + " is for the platform to make, change and delete: '
                'ask who runs it, tenants are in the stack file"',
                "message": "Profiles are the platform's",
                "reason": "Forbidden",
            }
        ],
    }
