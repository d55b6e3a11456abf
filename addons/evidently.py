"""Evidently: how far today's data are from those that a model was trained on, and a page that shows it.

Facts: evidentlyai/evidently, docker/Dockerfile.service (entry point, port 8000), image evidently-service 0.7.21; there
is no chart, so the objects are Espalier's, and no facts of it are in upstream/. It keeps reports in a folder: one
server, stopped before the next. It knows no tenants: whoever reaches it sees all reports.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from espalier.addons.placement import staying_affinity, system_tolerations
from espalier.addons.saved import files
from espalier.addons.walls import wall
from espalier.types import AddonInputs, AddonRecord, Peer, Planned, Traffic

NAME: Final = "evidently"
VERSION: Final = "0.7.21"
IMAGE: Final = f"docker.io/evidently/evidently-service:{VERSION}"
PORT: Final = 8000
_OURS: Final = {"app.kubernetes.io/managed-by": "espalier"}
_PODS: Final = {"app": NAME}


class Options(BaseModel):
    """Where reports are kept."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    storage: str = Field(default="20Gi", pattern=r"^[1-9][0-9]*[GT]i$", description="the volume of reports")


def objects(inputs: AddonInputs) -> Sequence[Planned]:
    """The volume stays when the add-on goes: with it the reports would."""
    options: Options = inputs.options
    level = {"pod-security.kubernetes.io/enforce": "restricted"}
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAME, "labels": {**_OURS, **level}}}
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": options.storage}}}
    walled = wall(NAME, (PORT,), pods=_PODS)
    ports = [{"name": "http", "port": 80, "targetPort": PORT}]
    return (
        Planned("namespace", space),
        Planned(walled.suffix, walled.manifest, needs=("namespace",)),
        Planned("volume", _object("v1", "PersistentVolumeClaim", claim), needs=("namespace",), retain=True),
        Planned("service", _object("v1", "Service", {"selector": _PODS, "ports": ports}), needs=("namespace",)),
        Planned("server", _object("apps/v1", "Deployment", _server()), needs=("network-policy", "volume")),
    )


def _object(api: str, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": NAME, "namespace": NAME, "labels": _OURS}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec}


def _server() -> dict[str, Any]:
    container = {
        "name": "main",
        "image": IMAGE,
        "args": ["--port", str(PORT), "--workspace", "/data"],
        "env": [{"name": "HOME", "value": "/tmp"}],  # noqa: S108 - in a container of its own
        "ports": [{"name": "http", "containerPort": PORT}],
        "readinessProbe": {"httpGet": {"path": "/", "port": PORT}, "periodSeconds": 10},
        "resources": {"requests": {"cpu": "100m", "memory": "512Mi"}, "limits": {"memory": "2Gi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    seccomp = {"type": "RuntimeDefault"}
    pod = {
        "automountServiceAccountToken": False,
        "affinity": staying_affinity(),
        "tolerations": system_tolerations(),
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "fsGroup": 1000, "seccompProfile": seccomp},
        "containers": [container],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": NAME}}],
    }
    template = {"metadata": {"labels": _PODS}, "spec": pod}
    return {
        "replicas": 1,
        "strategy": {"type": "Recreate"},
        "selector": {"matchLabels": _PODS},
        "template": template,
    }


RECORD = AddonRecord(
    id=NAME,
    version=VERSION,
    category="observability",
    tier="optional",
    licence="Apache-2.0",
    source="https://github.com/evidentlyai/evidently",
    options=Options,
    objects=objects,
    data=(files("projects and reports", NAME, NAME, "main", NAME, "/data"),),
    traffic=Traffic(servers=(Peer(NAME, _PODS, (PORT,)),)),
)
