"""The pods that checks ask for: small, of the strictest Pod Security level, and never in anyone's way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from espalier.blueprint import Blueprint
from espalier.blueprint.probe import PAUSE
from espalier.kube import Client, Kind
from espalier.types import Taint
from espalier.verify.model import Json

POD = Kind("v1", "Pod")


def probe_pod(
    name: str,
    namespace: str,
    devices: Mapping[str, int],
    *,
    tolerate: Iterable[Taint] = (),
    select: Mapping[str, str] | None = None,
    priority: str = "",
    image: str = PAUSE,
) -> Json:
    """A pod that asks for `devices` and does nothing; compliant with the restricted Pod Security level."""
    asks = {"cpu": "1m", "memory": "4Mi"} | {device: str(count) for device, count in sorted(devices.items())}
    spec: Json = {
        "containers": [
            {
                "name": "probe",
                "image": image,
                "resources": {"requests": asks, "limits": asks},
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            }
        ],
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65535, "seccompProfile": {"type": "RuntimeDefault"}},
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "nodeSelector": dict(select or {}),
        "tolerations": [
            {"key": taint.key, "operator": "Equal", "value": taint.value, "effect": taint.effect} for taint in tolerate
        ],
    }
    if priority:
        spec["priorityClassName"] = priority
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def meek_priority(blueprint: Blueprint) -> str:
    """A PriorityClass of the platform that never preempts: a probe must not push anyone's work away."""
    classes = [planned.manifest for planned in blueprint.objects if planned.manifest["kind"] == "PriorityClass"]
    meek = [entry for entry in classes if entry.get("preemptionPolicy") == "Never"]
    return str(meek[0]["metadata"]["name"]) if meek else ""


def verdict(client: Client, name: str, namespace: str) -> str:
    """The scheduler's own words of a pod that it could not place, or "" while it has said nothing."""
    for condition in client.get(POD, name, namespace)["status"].get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return str(condition.get("message", ""))
    return ""
