"""The objects of one probe: a namespace of its own, shut off but for its own pods, and an indexed Job."""

from __future__ import annotations

from importlib import resources

from espalier.blueprint.probe import EFA, RUN_MINUTES, START_MINUTES, Probe
from espalier.verify.model import Json

LABEL = "espalier.dev/probe"
"""Of the namespace: a later run removes what a killed one left."""
JOB = "probe"
CONTAINER = "probe"
START_SECONDS = START_MINUTES * 60
RUN_SECONDS = RUN_MINUTES * 60
JOB_SECONDS = START_SECONDS + RUN_SECONDS + 60
"""Should nobody be there to end it: the Job ends itself, and its nodes are free again."""
_ACCOUNT = "probe"
_NOBODY = 65532


def objects(probe: Probe, namespace: str, run: str, priority: str) -> list[Json]:
    """All of them, in the order in which they are made."""
    level = {f"pod-security.kubernetes.io/{mode}": probe.level for mode in ("enforce", "warn")}
    metadata: Json = {"name": namespace, "labels": {LABEL: run, **level}}
    program = (resources.files("espalier.verify.programs") / f"{probe.program}.py").read_text("utf-8")
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata},
        _in(namespace, "v1", "ServiceAccount", _ACCOUNT, {"automountServiceAccountToken": False}),
        _in(namespace, "networking.k8s.io/v1", "NetworkPolicy", JOB, {"spec": _network()}),
        _in(namespace, "v1", "ConfigMap", JOB, {"data": {"probe.py": program}}),
        _in(namespace, "v1", "Service", JOB, {"spec": _service()}),
        _in(namespace, "batch/v1", "Job", JOB, {"spec": _job(probe, namespace, priority)}),
    ]


def _in(namespace: str, api_version: str, kind: str, name: str, more: Json) -> Json:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": namespace}, **more}


def _network() -> Json:
    """Its pods reach one another and the names' server, and nobody else reaches them."""
    peers: Json = {"podSelector": {}}
    names = [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]
    return {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [peers]}],
        "egress": [{"to": [peers]}, {"ports": names}],
    }


def _service() -> Json:
    """Gives each pod a name: `probe-0.probe`. Of pods that are not ready, too: they wait for one another."""
    return {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": {"batch.kubernetes.io/job-name": JOB}}


def _job(probe: Probe, namespace: str, priority: str) -> Json:
    ignored = [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
    return {
        "completions": probe.nodes,
        "parallelism": probe.nodes,
        "completionMode": "Indexed",
        "backoffLimit": 0,
        "activeDeadlineSeconds": JOB_SECONDS,
        "podFailurePolicy": {"rules": ignored},  # its spot node may go: then it runs again
        "template": {
            "metadata": {
                "labels": {"sidecar.istio.io/inject": "false"},  # a sidecar would keep the Job from its end
                "annotations": {
                    "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
                    "karpenter.sh/do-not-disrupt": "true",
                },
            },
            "spec": _pod(probe, namespace, priority),
        },
    }


def _pod(probe: Probe, namespace: str, priority: str) -> Json:
    mounts = [{"name": "program", "mountPath": "/probe", "readOnly": True}, {"name": "scratch", "mountPath": "/tmp"}]  # noqa: S108
    volumes: list[Json] = [{"name": "program", "configMap": {"name": JOB}}, {"name": "scratch", "emptyDir": {}}]
    if not probe.sharing:  # of MPS, /dev/shm is the plugin's
        mounts.append({"name": "shared-memory", "mountPath": "/dev/shm"})  # noqa: S108
        memory = {"medium": "Memory", "sizeLimit": "2Gi"}
        volumes.append({"name": "shared-memory", "emptyDir": memory})
    asks = dict(probe.asks)
    spec: Json = {
        "restartPolicy": "Never",
        "serviceAccountName": _ACCOUNT,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "subdomain": JOB,
        "terminationGracePeriodSeconds": 1,
        "nodeSelector": dict(probe.selector),
        "tolerations": [dict(each) for each in probe.tolerations],
        "securityContext": _user(probe),
        "containers": [
            {
                "name": CONTAINER,
                "image": probe.image,
                "command": ["python3", "/probe/probe.py"],
                "workingDir": "/tmp",  # noqa: S108
                "env": [{"name": key, "value": value} for key, value in _environment(probe, namespace).items()],
                "resources": {"requests": asks, "limits": asks},
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                    "readOnlyRootFilesystem": probe.level == "restricted",
                },
                "volumeMounts": mounts,
            }
        ],
        "volumes": volumes,
    }
    if probe.nodes > 1:
        spec["affinity"] = _affinity(probe)
    if priority:
        spec["priorityClassName"] = priority
    return spec


def _user(probe: Probe) -> Json:
    profile: Json = {"seccompProfile": {"type": "RuntimeDefault"}}
    if probe.level != "restricted":
        return profile
    return {"runAsNonRoot": True, "runAsUser": _NOBODY, "runAsGroup": _NOBODY, "fsGroup": _NOBODY, **profile}


def _affinity(probe: Probe) -> Json:
    """Each on a node of its own; where they must be together, all of one slice."""
    selector = {"matchLabels": {"batch.kubernetes.io/job-name": JOB}}
    apart = [{"labelSelector": selector, "topologyKey": "kubernetes.io/hostname"}]
    found: Json = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": apart}}
    if probe.together:
        near = [{"labelSelector": selector, "topologyKey": probe.together}]
        found["podAffinity"] = {"requiredDuringSchedulingIgnoredDuringExecution": near}
    return found


def _environment(probe: Probe, namespace: str) -> dict[str, str]:
    found = {
        "HOME": "/tmp",  # noqa: S108
        "USER": "probe",  # PyTorch asks who it is, and the image knows no such user
        "PROBE_NODES": str(probe.nodes),
        "PROBE_SHARING": probe.sharing,
        "PROBE_MEASURES": ",".join(measure.scope for measure in probe.measures),
        "PROBE_PEER": f"{JOB}-0.{JOB}.{namespace}.svc",
        "PROBE_PATIENCE": str(START_SECONDS),
        "PYTHONUNBUFFERED": "1",
    }
    return found | ({"FI_PROVIDER": "efa"} if EFA in probe.asks else {})
