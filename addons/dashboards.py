"""Grafana's dashboards of devices by pool, queues, tenants and model servers, as ConfigMaps that its sidecar loads.

Metrics: DCGM exporter 4.8 (DCGM_FI_*), kueue v0.19 (kueue_*), kube-state-metrics 2.20 (kube_*), vLLM and Triton as
their servers name them. Panels: a title, a query, a unit of Grafana's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from espalier.types import AddonInputs, Planned

Panel = tuple[str, str, str]

_QUEUES: Final[tuple[Panel, ...]] = (
    ("Work that waits", "sum by (cluster_queue) (kueue_pending_workloads)", "short"),
    ("Work that runs", "sum by (cluster_queue) (kueue_admitted_active_workloads)", "short"),
    (
        "Time to start, 95 of 100",
        "histogram_quantile(0.95, sum by (le, cluster_queue) (rate(kueue_admission_wait_time_seconds_bucket[15m])))",
        "s",
    ),
    ("Evicted an hour", "sum by (cluster_queue, reason) (increase(kueue_evicted_workloads_total[1h]))", "short"),
    ("Quota in use", "sum by (cluster_queue, resource) (kueue_cluster_queue_resource_usage)", "short"),
)
_TENANTS: Final[tuple[Panel, ...]] = (
    (
        "Quota in use",
        'kube_resourcequota{type="used"} / ignoring(type) (kube_resourcequota{type="hard"} > 0)',
        "percentunit",
    ),
    ("Pods", "sum by (namespace, phase) (kube_pod_status_phase)", "short"),
    ("Pods that wait for a node", 'sum by (namespace) (kube_pod_status_phase{phase="Pending"})', "short"),
    ("Processors", "sum by (namespace) (rate(container_cpu_usage_seconds_total{container!=''}[5m]))", "short"),
    ("Memory", "sum by (namespace) (container_memory_working_set_bytes{container!=''})", "bytes"),
    ("Volumes", "sum by (namespace) (kube_persistentvolumeclaim_resource_requests_storage_bytes)", "bytes"),
)
_SERVING: Final[tuple[Panel, ...]] = (
    ("Requests a second, vLLM", "sum by (namespace, model_name) (rate(vllm:request_success_total[5m]))", "reqps"),
    (
        "First token, 95 of 100",
        "histogram_quantile(0.95, sum by (le, model_name) (rate(vllm:time_to_first_token_seconds_bucket[5m])))",
        "s",
    ),
    ("Requests that wait, vLLM", "sum by (namespace, model_name) (vllm:num_requests_waiting)", "short"),
    ("Cache in use, vLLM", "max by (namespace, model_name) (vllm:kv_cache_usage_perc)", "percentunit"),
    ("Requests a second, Triton", "sum by (namespace, model) (rate(nv_inference_request_success[5m]))", "reqps"),
    ("Failures, Triton", "sum by (namespace, model) (rate(nv_inference_request_failure[5m]))", "reqps"),
)


def dashboards(inputs: AddonInputs, namespace: str) -> Iterator[Planned]:
    """Those of what the stack has: devices where a pool has any, queues where Kueue is."""
    devices = tuple(_devices(inputs))
    if devices:
        yield _config("devices", "Devices by pool", devices, namespace)
    if "kueue" in inputs.beside:
        yield _config("queues", "Queues", _QUEUES, namespace)
    yield _config("tenants", "Tenants", _TENANTS, namespace)
    if "kserve" in inputs.beside:
        yield _config("serving", "Model servers", _SERVING, namespace)


def _devices(inputs: AddonInputs) -> Iterator[Panel]:
    """How many devices of each pool are asked for, and how busy those are that DCGM measures."""
    for pool in inputs.pools:
        for device in sorted(pool.shape.devices):
            resource = "".join(letter if letter.isalnum() else "_" for letter in device)
            nodes = f'kube_node_labels{{label_espalier_dev_pool="{pool.name}"}}'
            asked = f'sum(kube_pod_container_resource_requests{{resource="{resource}"}} * on (node) group_left {nodes})'
            there = f'sum(kube_node_status_allocatable{{resource="{resource}"}} * on (node) group_left {nodes})'
            yield f"{pool.name}: {device} asked for, of all", f"{asked} / {there}", "percentunit"
    if any(pool.vendor == "nvidia" for pool in inputs.pools):
        yield "Busy", "avg by (Hostname, gpu) (DCGM_FI_DEV_GPU_UTIL)", "percent"
        yield "Tensor cores busy", "avg by (Hostname, gpu) (DCGM_FI_PROF_PIPE_TENSOR_ACTIVE)", "percentunit"
        yield "Memory in use", "sum by (Hostname, gpu) (DCGM_FI_DEV_FB_USED) * 1048576", "bytes"
        yield "Temperature", "max by (Hostname, gpu) (DCGM_FI_DEV_GPU_TEMP)", "celsius"
        yield "Power", "sum by (Hostname) (DCGM_FI_DEV_POWER_USAGE)", "watt"
        yield "XID errors", "max by (Hostname, gpu) (DCGM_FI_DEV_XID_ERRORS)", "short"


def _config(name: str, title: str, panels: Sequence[Panel], namespace: str) -> Planned:
    document = {
        "uid": f"espalier-{name}",
        "title": title,
        "tags": ["espalier"],
        "schemaVersion": 39,
        "refresh": "1m",
        "time": {"from": "now-6h", "to": "now"},
        "panels": [_panel(number, *panel) for number, panel in enumerate(panels)],
    }
    metadata = {
        "name": f"dashboard-{name}",
        "namespace": namespace,
        "labels": {"app.kubernetes.io/managed-by": "espalier", "grafana_dashboard": "1"},
    }
    data = {f"{name}.json": json.dumps(document, indent=1, sort_keys=True)}
    return Planned(f"dashboard-{name}", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})


def _panel(number: int, title: str, query: str, unit: str) -> dict[str, Any]:
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": title,
        "datasource": {"type": "prometheus", "uid": "prometheus"},
        "gridPos": {"x": 12 * (number % 2), "y": 8 * (number // 2), "w": 12, "h": 8},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "targets": [{"refId": "A", "expr": query}],
    }
