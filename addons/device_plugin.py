"""Device plugins of the plain kind: one DaemonSet on the pools that have the device, and nothing to configure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from espalier.types import Planned, PoolFacts

_POOL = "espalier.dev/pool"
KUBELET_PLUGINS = "/var/lib/kubelet/device-plugins"


class NoOptions(BaseModel):
    """No options: everything follows from the pools."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def plugin_objects(
    name: str,
    version: str,
    pools: Sequence[PoolFacts],
    container: Mapping[str, Any],
    volumes: Mapping[str, str],
    rules: Sequence[Mapping[str, Any]] = (),
) -> Sequence[Planned]:
    """Namespace, identity and DaemonSet of a plugin; nothing where no pool has its device.

    `volumes` are paths of the node by volume name; `rules` are what the plugin may do with the Kubernetes API, without
    any its account has no token.
    """
    if not pools:
        return ()
    labels = {
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/version": version,
        "app.kubernetes.io/managed-by": "espalier",
    }
    privileged = {"pod-security.kubernetes.io/enforce": "privileged"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels | privileged}}
    token = bool(rules)
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": name, "labels": labels},
        "automountServiceAccountToken": token,
    }
    daemonset = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name, "namespace": name, "labels": labels},
        "spec": {
            "selector": {"matchLabels": {"app.kubernetes.io/name": name}},
            "updateStrategy": {"type": "RollingUpdate"},
            "template": {
                "metadata": {"labels": labels},
                "spec": _pod(name, pools, container, volumes, token=token),
            },
        },
    }
    access = _access(name, labels, rules) if rules else []
    needs = ("namespace", "account", *(planned.suffix for planned in access))
    return (
        Planned("namespace", namespace),
        Planned("account", account, ("namespace",)),
        *access,
        Planned("daemonset", daemonset, needs),
    )


def _pod(
    name: str, pools: Sequence[PoolFacts], container: Mapping[str, Any], volumes: Mapping[str, str], *, token: bool
) -> dict[str, Any]:
    taints = sorted({(t.key, t.value, t.effect) for pool in pools for t in pool.taints})
    term = {"key": _POOL, "operator": "In", "values": sorted(pool.name for pool in pools)}
    return {
        "priorityClassName": "system-node-critical",
        "serviceAccountName": name,
        "automountServiceAccountToken": token,
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [term]}]}
            }
        },
        "tolerations": [{"key": k, "operator": "Equal", "value": v, "effect": e} for k, v, e in taints],
        "containers": [dict(container)],
        "volumes": [{"name": volume, "hostPath": {"path": path}} for volume, path in volumes.items()],
    }


def _access(name: str, labels: Mapping[str, str], rules: Sequence[Mapping[str, Any]]) -> list[Planned]:
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name, "labels": dict(labels)},
        "rules": [dict(rule) for rule in rules],
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name, "labels": dict(labels)},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": name}],
    }
    return [Planned("role", role), Planned("binding", binding, ("role", "account"))]
