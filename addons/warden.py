"""espalier-warden: opens gated nodes once their devices are there, and takes out nodes whose devices fail.

The program is `espalier/warden`: standard library alone, so an unmodified Python image runs it from a ConfigMap. What
it is told, in another ConfigMap that it reads every few seconds, follows from the pools' shapes. kubernetes-sigs'
node-readiness-controller is no substitute: it takes off taints of its own prefix alone, which managed autoscalers do
not know (node-readiness-controller#279), and it knows conditions, not counts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from espalier.addons.placement import apart, one_at_a_time, staying_affinity, system_tolerations
from espalier.blueprint.gate_policy import gate_policy, given_by_api_server
from espalier.blueprint.gates import CONFIG, by_claims
from espalier.blueprint.gates import WARDEN as ID
from espalier.types import AddonInputs, AddonRecord, Facts, Planned, PoolFacts

NAME: Final = "espalier-warden"
"""Its namespace, identity and workload; the program asks for the ConfigMap and the Lease of this name."""
VERSION: Final = "0.1.0"
IMAGE: Final = "docker.io/library/python:3.13.9-slim-bookworm"
CONDITIONS: Final = {
    "AcceleratedHardwareReady": "False",
    "GPUMissing": "True",
    "NVLinkStatusInactive": "True",
    "UnhealthyNvidiaDevicePlugin": "True",
    "XIDErrors": "True",
    "nvidia.com/GPUReady": "False",
}
"""Node conditions that mean a failed device. EKS's node monitoring agent sets the first (EKS user guide,
node-health); AKS's node-problem-detector those in one word (azure-aks-docs, node-problem-detector.md); the last is the
one of NVIDIA's recipe for node-problem-detector (gpu-operator#2573)."""
_OF_EKS: Final = "AcceleratedHardwareReady"
_STOPPED: Final = f"{NAME}-stopped"
"""The ConfigMap in which it remembers how many replicas a stopped server had."""
_EXTENDED: Final = "/"
"""Names of extended resources have it, those of the kubelet's own have not."""

XIDS: Final = (46, 48, 54, 62, 64, 74, 79, 95, 110, 119, 120, 136, 140, 142, 143, 151, 155, 156, 158)
"""Errors of hardware, firmware and links: those by which EKS's node monitoring agent (aws/eks-node-monitoring-agent,
WellKnownXidCodes) fails a node, but for 63, a page that was retired well, and 109, which NVIDIA's own device plugin
leaves to the application (k8s-device-plugin, internal/rm/health.go)."""

Address = Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9][-A-Za-z0-9.]*(:[0-9]{1,5})?(/[-A-Za-z0-9._~/]*)?$")]
Duration = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,3}[smh]$")]
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600}


class _Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=lambda name: name.replace("_", "-")
    )


class Health(_Strict):
    """What becomes of a node whose device fails."""

    action: Literal["act", "report", "off"] = Field(
        default="act", description="taint, drain and replace it; or tell of it; or neither"
    )
    after: Duration = Field(default="10m", description="how long a device must have failed")
    start: Duration = Field(default="30m", description="how old a node may grow before its devices come")
    at_once: Annotated[int, Field(ge=1, le=1000)] = Field(default=1, description="nodes of a pool out at a time")
    conditions: dict[str, Literal["True", "False"]] = Field(
        default={}, description="further node conditions that mean a failed device, with the status that does"
    )
    prometheus: Address | None = Field(
        default=None,
        description="URL of the Prometheus that has the DCGM exporter's metrics, without credentials; default: that of "
        "`idle`, else none is asked",
    )
    xids: Annotated[list[Annotated[int, Field(ge=1, le=9999)]], Field(max_length=200)] = Field(
        default=list(XIDS), description="NVIDIA's XID errors that mean a failed device"
    )


class Idle(_Strict):
    """What becomes of notebooks and servers that leave their devices idle."""

    prometheus: Address = Field(
        description="URL of the Prometheus that has the DCGM exporter's metrics, without credentials"
    )
    action: Literal["report", "stop"] = Field(
        default="report", description="the most that is done to anything; what tenants get that say nothing"
    )
    after: Duration | None = Field(
        default=None,
        description="how long a device must be idle, for tenants that say nothing; default: they are left alone",
    )
    below: Annotated[int, Field(ge=1, le=50)] = Field(default=1, description="percent of use under which it is idle")


class Options(_Strict):
    """What the warden does besides opening gated nodes."""

    health: Health = Field(default=Health(), description="what becomes of a node whose device fails")
    idle: Idle | None = Field(default=None, description="what becomes of idle notebooks and servers; default: nothing")


def objects(inputs: AddonInputs) -> Sequence[Planned]:
    """Namespace, identity, rights, program, configuration, and two replicas of it."""
    files = program()
    digest = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:16]
    return (
        Planned("namespace", _namespace()),
        Planned("account", _object("v1", "ServiceAccount", NAME, {}), ("namespace",)),
        *_rights(inputs),
        Planned("program", _object("v1", "ConfigMap", f"{NAME}-program", {"data": files}), ("namespace",)),
        Planned("config", _object("v1", "ConfigMap", NAME, {"data": {CONFIG: config(inputs)}}), ("namespace",)),
        Planned("network", _network(inputs.options), ("namespace",)),
        Planned("budget", _budget(), ("namespace",)),
        *_gates(inputs),
        Planned(
            "deployment",
            _deployment(digest),
            ("account", "cluster-role-binding", "role-binding", "events-binding", "program", "config"),
        ),
    )


def _gates(inputs: AddonInputs) -> Sequence[Planned]:
    """What gives nodes their startup taint where their cloud cannot."""
    gated = [pool.name for pool in inputs.pools if any(shape.startup_taints for shape in pool.shapes)]
    return gate_policy(gated) if given_by_api_server(inputs.facts) else ()


def program() -> dict[str, str]:
    """The program's files by name."""
    folder = resources.files("espalier.warden")
    return {
        entry.name: entry.read_text(encoding="utf-8")
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".py")
    }


def config(inputs: AddonInputs) -> str:
    """What the program is told: of each pool with devices what a node has, as JSON."""
    options: Options = inputs.options
    health = options.health
    told: dict[str, Any] = {
        "pools": {pool.name: _pool(pool, inputs) for pool in inputs.pools if pool.shape.devices},
        "health": None,
        "idle": _watch(options.idle) if options.idle else None,
    }
    if health.action != "off":
        told["health"] = {
            "after": seconds(health.after),
            "start": seconds(health.start),
            "at_once": health.at_once,
            "act": health.action == "act",
            "conditions": {**CONDITIONS, **health.conditions},
            "prometheus": _asked_of_health(options),
            "xids": sorted(health.xids),
        }
    return json.dumps(told, indent=1, sort_keys=True) + "\n"


def _asked_of_health(options: Options) -> str:
    """The Prometheus that is asked about devices' health; "" for none."""
    if options.health.action == "off":
        return ""
    return options.health.prometheus or (options.idle.prometheus if options.idle else "")


def _watch(idle: Idle) -> dict[str, Any]:
    after = {"after": seconds(idle.after)} if idle.after else {}
    return {"prometheus": idle.prometheus, "action": idle.action, "below": idle.below, **after}


def seconds(duration: str) -> int:
    """90s, 10m or 2h in seconds."""
    return int(duration[:-1]) * _SECONDS[duration[-1]]


def _pool(pool: PoolFacts, inputs: AddonInputs) -> dict[str, Any]:
    """Each extended resource in the count that every kind of capacity of the pool has.

    Not those that are handed out by claims: what node agents say of their node is all that is known of them.
    """
    facts = inputs.facts
    claimed = frozenset(pool.shape.devices) if by_claims(pool.vendor, inputs.beside) else frozenset[str]()
    names = sorted({name for shape in pool.shapes for name in shape.capacity if _EXTENDED in name} - claimed)
    counts = {name: min(int(shape.capacity.get(name, "0")) for shape in pool.shapes) for name in names}
    # EKS repairs managed nodes on its agent's word: no second owner. Karpenter's nodes are none of its.
    theirs = facts.kind == "eks" and facts.autoscaler != "karpenter" and pool.repaired
    return {
        "devices": {name: count for name, count in counts.items() if count},
        "gate": next((taint.key for shape in pool.shapes for taint in shape.startup_taints), ""),
        "repair": "replace" if _claims(facts) else "drain",
        "leaves": [_OF_EKS] if theirs else [],
    }


def _claims(facts: Facts) -> bool:
    """Whether Karpenter may be there, whose claims are how one of its nodes is replaced."""
    return facts.scaler in ("karpenter", "")


def _object(api: str, kind: str, name: str, body: Mapping[str, Any], namespace: str | None = NAME) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "labels": _labels()}
    if namespace is not None:
        metadata["namespace"] = namespace
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **body}


def _labels() -> dict[str, str]:
    return {
        "app.kubernetes.io/name": NAME,
        "app.kubernetes.io/version": VERSION,
        "app.kubernetes.io/managed-by": "espalier",
    }


def _namespace() -> dict[str, Any]:
    made = _object("v1", "Namespace", NAME, {}, None)
    made["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] = "restricted"
    return made


def _rule(group: str, resource: str, verbs: Sequence[str], *names: str) -> dict[str, Any]:
    rule: dict[str, Any] = {"apiGroups": [group], "resources": [resource], "verbs": list(verbs)}
    return rule | ({"resourceNames": list(names)} if names else {})


def _rights(inputs: AddonInputs) -> Iterator[Planned]:
    """It reads and marks nodes; where it takes failed ones out, it evicts pods, and ends Karpenter's claims."""
    options: Options = inputs.options
    everywhere = [_rule("", "nodes", ["get", "list", "watch", "patch"])]
    if options.health.action == "act":
        everywhere += [_rule("", "pods", ["list"]), _rule("", "pods/eviction", ["create"])]
        if _claims(inputs.facts):
            everywhere.append(_rule("karpenter.sh", "nodeclaims", ["delete"]))
    everywhere += _idle_rights(options.idle) if options.idle else []
    here = [
        _rule("", "configmaps", ["get"], NAME),
        _rule("coordination.k8s.io", "leases", ["create"]),
        _rule("coordination.k8s.io", "leases", ["get", "update"], NAME),
    ]
    if options.idle and options.idle.action == "stop":
        yield from _bounds()
        here.append(_rule("", "configmaps", ["patch"], _STOPPED))
        yield Planned("stopped", _object("v1", "ConfigMap", _STOPPED, {}), ("namespace",))
    yield from _bound("cluster-role", "ClusterRole", NAME, everywhere, None)
    yield from _bound("role", "Role", NAME, here, NAME)
    # Events of nodes, which are in no namespace, lie in this one.
    yield from _bound("events", "Role", f"{NAME}-events", [_rule("", "events", ["create"])], "default")


def _idle_rights(idle: Idle) -> list[dict[str, Any]]:
    """It reads pods and tenants' namespaces; to stop servers it may scale them, which changes nothing else of them.

    By HorizontalPodAutoscalers it sees whom KEDA scales, and lets these be.
    """
    found = [_rule("", "namespaces", ["list"]), _rule("", "pods", ["list"]), _rule("", "events", ["create"])]
    if idle.action == "stop":
        found += [_rule("apps", kind, ["get", "patch"]) for kind in ("deployments/scale", "statefulsets/scale")]
        found.append(_rule("kubeflow.org", "notebooks", ["patch"]))
        found.append(_rule("autoscaling", "horizontalpodautoscalers", ["list"]))
    return found


def _bounds() -> tuple[Planned, Planned]:
    """What no role can say of its right to stop: where, and how far; of notebooks it changes annotations alone."""
    api, name = "admissionregistration.k8s.io/v1", f"{NAME}-stops-tenants-alone"
    rules = [
        {"apiGroups": [group], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": resources}
        for group, resources in (
            ("apps", ["deployments/scale", "statefulsets/scale"]),
            ("kubeflow.org", ["notebooks"]),
        )
    ]
    tenants = "has(namespaceObject.metadata.labels) && 'espalier.dev/tenant' in namespaceObject.metadata.labels"
    zero = "request.resource.resource == 'notebooks' || !has(object.spec.replicas) || object.spec.replicas == 0"
    same = "request.resource.resource != 'notebooks' || object.?spec == oldObject.?spec"
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": rules},
        "matchConditions": [
            {"name": "warden", "expression": f"request.userInfo.username == 'system:serviceaccount:{NAME}:{NAME}'"}
        ],
        "validations": [
            {"expression": tenants, "message": "the warden stops what is idle in tenants' namespaces alone"},
            {"expression": zero, "message": "the warden scales to zero alone"},
            {"expression": same, "message": "the warden changes annotations of notebooks alone"},
        ],
    }
    binding = {"policyName": name, "validationActions": ["Deny"]}
    return (
        Planned("stops", _object(api, "ValidatingAdmissionPolicy", name, {"spec": spec}, None)),
        Planned(
            "stops-binding", _object(api, "ValidatingAdmissionPolicyBinding", name, {"spec": binding}, None), ("stops",)
        ),
    )


def _bound(
    suffix: str, kind: str, name: str, rules: Sequence[Mapping[str, Any]], namespace: str | None
) -> Iterator[Planned]:
    api = "rbac.authorization.k8s.io"
    needs = ("namespace",) if namespace == NAME else ()
    yield Planned(suffix, _object(f"{api}/v1", kind, name, {"rules": list(rules)}, namespace), needs)
    body = {
        "roleRef": {"apiGroup": api, "kind": kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": NAME}],
    }
    yield Planned(
        f"{suffix}-binding", _object(f"{api}/v1", f"{kind}Binding", name, body, namespace), (suffix, "account")
    )


def _network(options: Options) -> dict[str, Any]:
    """Nobody calls it but the kubelet, and it calls the API server alone, whose address no policy can name.

    Where it asks metrics, Prometheus' port as well, and the cluster's DNS to find it.
    """
    numbers = [443, 6443]
    asked = [options.idle.prometheus if options.idle else "", _asked_of_health(options)]
    for address in map(urlsplit, filter(None, asked)):
        port = address.port or (443 if address.scheme == "https" else 80)
        numbers += [port] if port not in numbers else []
    ports = [{"protocol": "TCP", "port": port} for port in numbers]
    if any(asked):
        ports += [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]
    spec = {
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": NAME}},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [],
        "egress": [{"ports": ports}],
    }
    return _object("networking.k8s.io/v1", "NetworkPolicy", NAME, {"spec": spec})


def _budget() -> dict[str, Any]:
    spec = {**one_at_a_time(), "selector": {"matchLabels": {"app.kubernetes.io/name": NAME}}}
    return _object("policy/v1", "PodDisruptionBudget", NAME, {"spec": spec})


def _deployment(digest: str) -> dict[str, Any]:
    """Two, of which one leads; a changed program rolls them, a changed configuration does not."""
    selector = {"app.kubernetes.io/name": NAME}
    template = {
        "metadata": {"labels": _labels(), "annotations": {"espalier.dev/program": digest}},
        "spec": _pod(selector),
    }
    spec = {"replicas": 2, "selector": {"matchLabels": selector}, "template": template}
    return _object("apps/v1", "Deployment", NAME, {"spec": spec})


def _pod(selector: Mapping[str, str]) -> dict[str, Any]:
    return {
        "serviceAccountName": NAME,
        # While it waits for room, no gated node opens.
        "priorityClassName": "system-cluster-critical",
        "affinity": staying_affinity(),
        "tolerations": system_tolerations(),
        "topologySpreadConstraints": apart(selector),
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65534,
            "runAsGroup": 65534,
            "fsGroup": 65534,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container()],
        "volumes": [{"name": "program", "configMap": {"name": f"{NAME}-program"}}],
    }


def _container() -> dict[str, Any]:
    return {
        "name": "warden",
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-B", "-m", "espalier.warden", f"--namespace={NAME}", "--listen=:8080"],
        "env": [{"name": "PYTHONPATH", "value": "/program"}],
        "ports": [{"name": "health", "containerPort": 8080}],
        "livenessProbe": {"httpGet": {"path": "/", "port": "health"}, "periodSeconds": 20, "timeoutSeconds": 5},
        "readinessProbe": {"httpGet": {"path": "/", "port": "health"}, "periodSeconds": 10, "timeoutSeconds": 5},
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        "volumeMounts": [{"name": "program", "mountPath": "/program/espalier/warden", "readOnly": True}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }


RECORD = AddonRecord(
    id=ID,
    version=VERSION,
    category="accelerators",
    tier="core",
    licence="Apache-2.0",
    source="espalier/warden, run by docker.io/library/python",
    options=Options,
    objects=objects,
)
