"""Network policies around controllers, and what else of theirs no chart writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from espalier.addons.placement import one_at_a_time
from espalier.blueprint import names
from espalier.types import Planned

_HTTP = 80
_BUT_METADATA: list[dict[str, Any]] = [
    {"namespaceSelector": {}},
    {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["168.63.129.16/32", "169.254.0.0/16"]}},
    {"ipBlock": {"cidr": "::/0", "except": ["fd00:ec2::/32", "fd20:ce::254/128", "fe80::/10"]}},
]
"""All but where clouds give out credentials: link-local addresses, Azure's WireServer (learn.microsoft.com,
what-is-ip-address-168-63-129-16), EC2's and Google's by IPv6 (EC2 and Compute Engine, metadata services)."""
_TENANTS = {"namespaceSelector": {"matchExpressions": [{"key": names.TENANT, "operator": "Exists"}]}}
_OURS = {"app.kubernetes.io/managed-by": "espalier"}


def wall(
    namespace: str,
    ports: Sequence[int],
    *,
    pods: Mapping[str, str] | None = None,
    out: Sequence[int] = (),
    name: str = "controllers",
) -> Planned:
    """Pods of a namespace that are reached at some ports, and reach names and API servers alone, or `out` as well.

    The API server is no pod, and its address not known before: hence 443 and 6443 of every address, and webhooks that
    every address reaches. Port 80, where clouds give out credentials, is not among these; where `out` has it, it is
    that of pods and of all addresses but those. Probes come from the node, which no policy stops.
    """
    dns = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    }
    spec: dict[str, Any] = {
        "podSelector": {"matchLabels": dict(pods)} if pods else {},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"ports": _tcp(ports)}] if ports else [],
        "egress": [
            {"to": [dns], "ports": [*_tcp([53]), {"protocol": "UDP", "port": 53}]},
            {"ports": _tcp([443, 6443, *(port for port in out if port != _HTTP)])},
            *([{"to": _BUT_METADATA, "ports": _tcp([_HTTP])}] if _HTTP in out else []),
        ],
    }
    metadata = {"name": name, "namespace": namespace, "labels": _OURS}
    policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}
    return Planned("network-policy", policy)


def from_tenants(namespace: str, name: str, pods: Mapping[str, str], ports: Sequence[int]) -> Planned:
    """Pods that those of tenants reach at some ports, besides whoever reaches them already."""
    return _with_tenants(namespace, name, pods, "Ingress", {"from": [_TENANTS], "ports": _tcp(ports)})


def to_tenants(namespace: str, name: str, pods: Mapping[str, str], ports: Sequence[int]) -> Planned:
    """Pods that reach those of tenants at some ports, besides whom they reach already; it takes `traffic`, too."""
    return _with_tenants(namespace, name, pods, "Egress", {"to": [_TENANTS], "ports": _tcp(ports)})


def _with_tenants(namespace: str, name: str, pods: Mapping[str, str], way: str, rule: Mapping[str, Any]) -> Planned:
    spec = {"podSelector": {"matchLabels": dict(pods)}, "policyTypes": [way], way.lower(): [dict(rule)]}
    metadata = {"name": name, "namespace": namespace, "labels": _OURS}
    policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}
    return Planned(f"network-policy-{name}", policy)


def budget(name: str, namespace: str, pods: Mapping[str, str], suffix: str = "disruption-budget") -> Planned:
    """A PodDisruptionBudget: of such pods one goes at a time."""
    spec = {**one_at_a_time(), "selector": {"matchLabels": dict(pods)}}
    metadata = {"name": name, "namespace": namespace, "labels": _OURS}
    body = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata, "spec": spec}
    return Planned(suffix, body)


def _tcp(ports: Sequence[int]) -> list[dict[str, Any]]:
    return [{"protocol": "TCP", "port": port} for port in ports]
