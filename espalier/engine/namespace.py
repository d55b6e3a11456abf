"""The namespace in which stacks keep their records: made with the first of them, removed with the last.

One stack may remove it while another begins, and Kubernetes has no lock over both. So who begins first makes its
Lease and then touches the namespace; who ends first reads the namespace's version, then looks for records, and
removes only that version. Whatever the order, either the Lease is seen, or the removal is refused, or the touch
tells that the namespace is going, and who begins does so again.
"""

from __future__ import annotations

import time

from espalier.engine.errors import Problem, RefusedError
from espalier.kube import FIELD_MANAGER, ApiError, Client, Kind, Reference

NAMESPACE = "espalier-system"
NAMESPACE_KIND = Kind("v1", "Namespace")
CONFIG_MAP = Kind("v1", "ConfigMap")
LEASE = Kind("coordination.k8s.io/v1", "Lease")
MANAGED_BY = "app.kubernetes.io/managed-by"
STACK_LABEL = "espalier.dev/stack"
_TOUCHED = "espalier.dev/last-run"
_TERMINATION = 60.0
_PAUSE = 0.2


def ensure(client: Client) -> None:
    """Makes the namespace where there is none; one that is being deleted is awaited and made anew."""
    labels = {MANAGED_BY: FIELD_MANAGER}
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}
    until = time.monotonic() + _TERMINATION
    while True:
        try:
            client.create(manifest)
            return
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
        existing = client.find_object(Reference(NAMESPACE_KIND, "", NAMESPACE))
        # The last destroy may still be taking it away.
        if existing and "deletionTimestamp" not in existing["metadata"]:
            return
        if time.monotonic() > until:
            do = f"see what holds it: kubectl get namespace {NAMESPACE} -o yaml"
            raise RefusedError("nothing was changed", [Problem(NAMESPACE, "is still being deleted", do)])
        time.sleep(_PAUSE)


def is_going(error: ApiError) -> bool:
    """Tells whether something could not be made because the namespace is not there, or not for long."""
    missing = error.status == 404 and error.details.get("kind") == "namespaces"
    return missing or any(cause.get("reason") == "NamespaceTerminating" for cause in error.causes)


def touch(client: Client, mark: str) -> bool:
    """Gives the namespace a new version; False where it is going, with all that is in it."""
    body = {"metadata": {"annotations": {_TOUCHED: mark}}}
    try:
        return "deletionTimestamp" not in client.patch(NAMESPACE_KIND, NAMESPACE, body)["metadata"]
    except ApiError as error:
        if error.status == 404:
            return False
        raise


def remove_if_unused(client: Client) -> None:
    """Deletes the namespace if Espalier made it and no stack has a record in it."""
    while True:
        found = client.find_object(Reference(NAMESPACE_KIND, "", NAMESPACE))
        if found is None or "deletionTimestamp" in found["metadata"]:
            return
        if (found["metadata"].get("labels") or {}).get(MANAGED_BY) != FIELD_MANAGER:
            return
        if any(client.list(kind, NAMESPACE, labelSelector=STACK_LABEL) for kind in (CONFIG_MAP, LEASE)):
            return
        try:
            _remove(client, found["metadata"]["resourceVersion"])
            return
        except ApiError as error:
            if error.status == 404:
                return
            # Touched meanwhile: another stack has begun, or ended.
            if error.reason != "Conflict":
                raise


def _remove(client: Client, version: str) -> None:
    body = {"propagationPolicy": "Background", "preconditions": {"resourceVersion": version}}
    client.request("DELETE", f"/api/v1/namespaces/{NAMESPACE}", body=body)
