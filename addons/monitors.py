"""What Prometheus scrapes of the add-ons beside it, whose own charts make no monitor that the stack could count on.

Facts: gpu-operator v26.7.0 and dcgm-exporter 4.8.2 (Services, port 9400); kueue v0.19.2, charts/kueue (the metrics
Service serves HTTPS at 8443 to whoever may get /metrics, as Prometheus' own role does).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from espalier.types import AddonInputs, Planned

_MAY_ASK: Final = "/var/run/secrets/kubernetes.io/serviceaccount/token"
_ROWS: Final[tuple[tuple[str, str, Mapping[str, str], Mapping[str, Any]], ...]] = (
    # add-on, its namespace, its Service's labels, where it is asked
    ("nvidia-gpu-operator", "gpu-operator", {"app": "nvidia-dcgm-exporter"}, {"port": "gpu-metrics"}),
    ("dcgm-exporter", "dcgm-exporter", {"app.kubernetes.io/name": "dcgm-exporter"}, {"port": "metrics"}),
    (
        "kueue",
        "kueue-system",
        {"control-plane": "controller-manager"},
        {
            "port": "https",
            "scheme": "https",
            "bearerTokenFile": _MAY_ASK,
            "tlsConfig": {"insecureSkipVerify": True},  # it signs its own certificate
        },
    ),
)


def monitors(inputs: AddonInputs, namespace: str) -> Iterator[Planned]:
    """A ServiceMonitor for each add-on of the stack that has metrics."""
    for addon, where, labels, endpoint in _ROWS:
        if addon in inputs.beside:
            yield _monitor(addon, namespace, where, labels, endpoint)


def _monitor(addon: str, namespace: str, where: str, labels: Mapping[str, str], endpoint: Mapping[str, Any]) -> Planned:
    spec = {
        "namespaceSelector": {"matchNames": [where]},
        "selector": {"matchLabels": dict(labels)},
        "endpoints": [{"interval": "30s", "honorLabels": True, **endpoint}],
    }
    metadata = {"name": addon, "namespace": namespace, "labels": {"app.kubernetes.io/managed-by": "espalier"}}
    body = {"apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor", "metadata": metadata, "spec": spec}
    return Planned(f"monitor-{addon}", body)
