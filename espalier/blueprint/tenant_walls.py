"""The two NetworkPolicies of a tenant's namespace: nothing goes in or out, but for what is let through."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from espalier.types import Peer, Traffic

_OWN = {"podSelector": {}}
_DNS = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
    "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
}


def walls(traffic: Iterable[Traffic] = (), egress: Iterable[Mapping[str, Any]] = ()) -> dict[str, dict[str, Any]]:
    """`spec` by name. What is let through: the namespace itself, the cluster's DNS, and what add-ons ask for.

    `egress` are further rules: of what is told by addresses alone.
    """
    asked = tuple(traffic)
    callers = [peer for one in asked for peer in one.callers]
    servers = [peer for one in asked for peer in one.servers]
    dns_ports = [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]
    types = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    return {
        "default-deny": types,
        "allow-own-namespace": {
            **types,
            "ingress": [{"from": [_OWN]}, *_rules("from", callers)],
            "egress": [{"to": [_OWN]}, {"to": [_DNS], "ports": dns_ports}, *_rules("to", servers), *map(dict, egress)],
        },
    }


def _rules(side: str, peers: Sequence[Peer]) -> list[dict[str, Any]]:
    """One for each set of ports, in the order of these; each peer once in it. One of every address has no peer."""
    by_ports: dict[tuple[bool, tuple[int, ...]], dict[str, dict[str, Any]]] = {}
    for peer in peers:
        key = bool(peer.namespace), tuple(sorted(set(peer.ports)))
        by_ports.setdefault(key, {})[f"{peer.namespace}/{sorted(peer.pods.items())}"] = _peer(peer)
    return [
        {
            **({side: [found for _, found in sorted(members.items())]} if placed else {}),
            **({"ports": [{"protocol": "TCP", "port": port} for port in ports]} if ports else {}),
        }
        for (placed, ports), members in sorted(by_ports.items())
        if placed or ports
    ]


def _peer(peer: Peer) -> dict[str, Any]:
    """Both selectors are one peer: pods with these labels in this namespace."""
    namespace = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": peer.namespace}}}
    return {**namespace, "podSelector": {"matchLabels": dict(sorted(peer.pods.items()))}} if peer.pods else namespace
