"""cluster-autoscaler on EKS: starts nodes for pods that find none, and takes away those that nobody uses.

Facts: kubernetes/autoscaler, tags cluster-autoscaler-1.31.5 to 1.36.1: README.md (a release a Kubernetes minor),
config/flags/flags.go, expander/priority, cloudprovider/aws; its chart 9.59.0 for the rights it needs, here without
those for what is switched off. Its identity in AWS is EKS Pod Identity's, for kube-system/cluster-autoscaler.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field

from espalier.types import AddonInputs, AddonRecord, Facts, Mistake, Planned, PoolFacts

NAME: Final = "cluster-autoscaler"
NAMESPACE: Final = "kube-system"
RELEASES: Final = {
    "1.31": "1.31.5",
    "1.32": "1.32.7",
    "1.33": "1.33.6",
    "1.34": "1.34.5",
    "1.35": "1.35.2",
    "1.36": "1.36.1",
}
"""Kubernetes minor -> the autoscaler's newest release for it (tags of kubernetes/autoscaler, 2026-08-22)."""
_NEWEST: Final = "1.36.1"
_PRIORITIES: Final = "cluster-autoscaler-priority-expander"
"""The name that the priority expander asks for (expander/priority/priority.go)."""
_UUID: Final = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_DURATION: Final = r"^[1-9][0-9]{0,3}[sm]$"

Duration = Annotated[str, Field(pattern=_DURATION)]


class Options(BaseModel):
    """Times, in Go's spelling: 90s, 10m."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=lambda name: name.replace("_", "-")
    )

    max_node_provision_time: Duration = Field(
        default="10m",
        description="after it, a node that was asked for and did not come counts as not to be had, and the pool's next "
        "kind of capacity is tried; a refusal of EC2's, such as a spot stock-out, counts at once",
    )
    scale_down_unneeded_time: Duration = Field(
        default="10m", description="how long nobody must use a node before it goes"
    )


def objects(inputs: AddonInputs) -> Sequence[Planned]:
    """Identity, rights, order of preference, and the autoscaler itself."""
    priorities = _object("v1", "ConfigMap", _PRIORITIES, {"data": {"priorities": _priorities(inputs.pools)}})
    return (
        Planned("account", _object("v1", "ServiceAccount", NAME, {})),
        *_rights(),
        Planned("priorities", priorities),
        Planned("budget", _budget()),
        Planned("deployment", _deployment(inputs), ("account", "cluster-role-binding", "role-binding", "priorities")),
    )


def pattern_of(pool: str, kind: str) -> str:
    """Which Auto Scaling groups are a pool's of one kind of capacity, of any generation, and no other's.

    EKS names them eks-<node group>-<UUID>, and a node group is <pool>-<kind>-<generation>.
    """
    return f"^eks-{pool}-{kind}-[0-9a-f]{{5}}-{_UUID}$"


def refuses(facts: Facts) -> Iterator[Mistake]:
    """Clusters that it cannot scale, or that something else scales."""
    path = f"espalier:addons.{NAME}"
    if facts.kind != "eks":
        do = "Remove it; GKE and AKS scale their pools themselves, other clusters have nothing to ask for nodes."
        yield Mistake(path, f"on a cluster of kind {facts.kind}", "a cluster of kind eks", do)
    elif facts.autoscaler not in ("cluster-autoscaler", ""):
        accepted = "one autoscaler"
        do = "Remove it, or set espalier:cluster.autoscaler: cluster-autoscaler."
        yield Mistake(path, f"beside autoscaler: {facts.autoscaler}", accepted, do)
    elif facts.kubernetes_version not in RELEASES:
        do = "Take one of these versions, or an Espalier that knows a release for this one."
        accepted = f"a version that it has a release for: {', '.join(RELEASES)}"
        yield Mistake(path, f"Kubernetes {facts.kubernetes_version}", accepted, do)


def _release(facts: Facts) -> str:
    return RELEASES.get(facts.kubernetes_version, _NEWEST)


def _priorities(pools: Sequence[PoolFacts]) -> str:
    """The higher number is tried first. Each group matches exactly one pattern: one that matches none is never used."""
    most = max((len(pool.shapes) for pool in pools), default=1)
    found: dict[int, list[str]] = {}
    for pool in pools:
        for rung, shape in enumerate(pool.shapes):
            found.setdefault(10 * (most - rung), []).append(pattern_of(pool.name, shape.capacity_kind))
    return yaml.safe_dump({priority: sorted(patterns) for priority, patterns in sorted(found.items())}, width=200)


def _object(api: str, kind: str, name: str, body: Mapping[str, Any], *, cluster: bool = False) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "labels": _labels()}
    if not cluster:
        metadata["namespace"] = NAMESPACE
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **body}


def _labels() -> dict[str, str]:
    return {"app.kubernetes.io/name": NAME, "app.kubernetes.io/managed-by": "espalier"}


def _rule(groups: Sequence[str], resources: Sequence[str], verbs: Sequence[str], *names: str) -> dict[str, Any]:
    rule: dict[str, Any] = {"apiGroups": list(groups), "resources": list(resources), "verbs": list(verbs)}
    return rule | ({"resourceNames": list(names)} if names else {})


def _rights() -> Iterator[Planned]:
    """It reads what the scheduler reads, evicts pods and marks nodes; all else is in its own namespace."""
    reads = ("get", "list", "watch")
    core = ("namespaces", "pods", "services", "replicationcontrollers", "persistentvolumeclaims", "persistentvolumes")
    storage = ("storageclasses", "csinodes", "csidrivers", "csistoragecapacities", "volumeattachments")
    everywhere = [
        _rule([""], core, reads),
        _rule([""], ["nodes"], [*reads, "update"]),
        _rule([""], ["pods/eviction"], ["create"]),
        _rule([""], ["pods/status"], ["update"]),
        _rule([""], ["events"], ["create", "patch"]),
        _rule(["apps"], ["daemonsets", "deployments", "replicasets", "statefulsets"], reads),
        _rule(["batch"], ["cronjobs", "jobs"], reads),
        _rule(["policy"], ["poddisruptionbudgets"], reads),
        _rule(["storage.k8s.io"], storage, reads),
        _rule(["resource.k8s.io"], ["deviceclasses", "resourceclaims", "resourceslices"], reads),
    ]
    here = [
        _rule([""], ["configmaps"], ["create", "list", "watch"]),
        _rule([""], ["configmaps"], ["get", "update", "delete"], "cluster-autoscaler-status", _PRIORITIES),
        _rule(["coordination.k8s.io"], ["leases"], ["create"]),
        _rule(["coordination.k8s.io"], ["leases"], ["get", "update"], NAME),
    ]
    api, subject = "rbac.authorization.k8s.io", {"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}
    for suffix, kind, rules in (("cluster-role", "ClusterRole", everywhere), ("role", "Role", here)):
        cluster = kind == "ClusterRole"
        yield Planned(suffix, _object(f"{api}/v1", kind, NAME, {"rules": rules}, cluster=cluster))
        body = {"roleRef": {"apiGroup": api, "kind": kind, "name": NAME}, "subjects": [subject]}
        yield Planned(
            f"{suffix}-binding", _object(f"{api}/v1", f"{kind}Binding", NAME, body, cluster=cluster), (suffix,)
        )


def _budget() -> dict[str, Any]:
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": {"app.kubernetes.io/name": NAME}}}
    return _object("policy/v1", "PodDisruptionBudget", NAME, {"spec": spec})


def _command(inputs: AddonInputs) -> list[str]:
    tags = f"k8s.io/cluster-autoscaler/enabled,k8s.io/cluster-autoscaler/{inputs.facts.cluster}"
    options: Options = inputs.options
    return [
        "./cluster-autoscaler",
        "--cloud-provider=aws",
        f"--namespace={NAMESPACE}",
        f"--node-group-auto-discovery=asg:tag={tags}",
        # In order of the pool's kinds of capacity; among groups of one rung, the one that leaves least unused.
        "--expander=priority,least-waste",
        "--balance-similar-node-groups=true",
        # Else CoreDNS or a metrics server keeps an accelerator's node alive that nothing else uses.
        "--skip-nodes-with-system-pods=false",
        f"--max-node-provision-time={options.max_node_provision_time}",
        # How long a kind that was refused is left alone: short, so that a spot pool comes back when its market does.
        "--initial-node-group-backoff-duration=5m",
        "--max-node-group-backoff-duration=15m",
        f"--scale-down-unneeded-time={options.scale_down_unneeded_time}",
        "--scale-down-gpu-utilization-threshold=0.5",
        "--max-graceful-termination-sec=600",
        # Pods of a lower priority start no node: placeholders that hold room for others.
        "--expendable-pods-priority-cutoff=-10",
        "--logtostderr=true",
        "--v=2",
    ]


def _deployment(inputs: AddonInputs) -> dict[str, Any]:
    selector = {"app.kubernetes.io/name": NAME}
    away = [
        {"key": "espalier.dev/accelerator", "operator": "DoesNotExist"},
        {"key": "espalier.dev/capacity", "operator": "NotIn", "values": ["spot"]},
    ]
    container = {
        "name": NAME,
        "image": f"registry.k8s.io/autoscaling/cluster-autoscaler:v{_release(inputs.facts)}",
        "imagePullPolicy": "IfNotPresent",
        "command": _command(inputs),
        "env": [{"name": "AWS_REGION", "value": inputs.facts.region}],
        "ports": [{"name": "http", "containerPort": 8085}],
        "livenessProbe": {"httpGet": {"path": "/health-check", "port": "http"}, "initialDelaySeconds": 30},
        # A core of its own: a scan of thousands of pods that is throttled takes longer than its interval.
        "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }
    pod = {
        "serviceAccountName": NAME,
        "priorityClassName": "system-cluster-critical",
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": away}]}
            }
        },
        "tolerations": [{"key": "CriticalAddonsOnly", "operator": "Exists"}],
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": selector},
            }
        ],
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65534,
            "fsGroup": 65534,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
    }
    # Two, of which one leads and the other takes over at once; the budget lets one go at a time.
    spec = {
        "replicas": 2,
        "selector": {"matchLabels": selector},
        "template": {"metadata": {"labels": _labels()}, "spec": pod},
    }
    return _object("apps/v1", "Deployment", NAME, {"spec": spec})


RECORD = AddonRecord(
    id=NAME,
    version=_NEWEST,
    version_on=_release,
    category="autoscaling",
    tier="core",
    licence="Apache-2.0",
    source="https://github.com/kubernetes/autoscaler",
    options=Options,
    objects=objects,
    refuses=refuses,
    implied=lambda facts: facts.kind == "eks" and facts.autoscaler == "cluster-autoscaler",
    provides=frozenset({"autoscaler"}),
)
