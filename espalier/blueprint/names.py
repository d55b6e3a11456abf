"""The labels, taints and namespaces that Espalier itself gives; nothing else spells them out."""

from __future__ import annotations

from espalier.catalogue import Accelerator
from espalier.settings.pool import Pool
from espalier.types import NodeShape, Taint

POOL = "espalier.dev/pool"
ACCELERATOR = "espalier.dev/accelerator"
CAPACITY = "espalier.dev/capacity"
SIMULATED = "espalier.dev/simulated"
SPOT = "espalier.dev/spot"
TENANT = "espalier.dev/tenant"
WORKSPACE = "espalier.dev/workspace"
FORBIDDEN_POOLS = "espalier.dev/forbidden-pools"
FORBIDDEN_CAPACITY = "espalier.dev/forbidden-capacity"
REGISTRIES = "espalier.dev/image-registries"
PRIORITIES = "espalier.dev/priority-classes"
DOMAINS = "espalier.dev/domains"
SPOT_BY_CLASS = "espalier.dev/spot-by-class"
"""Annotations of a tenant's namespace, values with commas between: admission policies hold what is in it by them."""
MANAGED_BY = {"app.kubernetes.io/managed-by": "espalier"}
COMPUTE_CLASS = "cloud.google.com/compute-class"
"""Label and taint of nodes that GKE's autoscaler starts in the order of a ComputeClass."""
TPU_TOPOLOGY = "cloud.google.com/gke-tpu-topology"
SIMULATED_CAPACITY = "espalier.dev/simulated-capacity"
KWOK_NODE = "kwok.x-k8s.io/node"


SPOT_TAINT = Taint(SPOT, "true")
"""Of nodes that their cloud may take back, where the cloud itself taints none of them: nothing that cannot bear it
lands there by chance."""

STARTUP_PREFIX = "startup-taint.cluster-autoscaler.kubernetes.io/"
"""cluster-autoscaler 1.29 and newer leaves taints of this prefix out of a group's node-to-be, and counts a node that
still has one as coming up (cluster-autoscaler/utils/taints/taints.go; FAQ, "startup taints")."""
STARTUP_TAINT = Taint(f"{STARTUP_PREFIX}espalier-device", "waiting")
"""Of a new node whose devices are not there yet; `warden` takes it off. EKS allows 63 characters of a key."""
FAILED_TAINT = Taint("status-taint.cluster-autoscaler.kubernetes.io/espalier-device", "failed")
"""Of a node whose devices fail; `warden` puts it on and takes it off (espalier/warden/rules.py, which has it for itself
since it runs without the rest of Espalier)."""


def accelerator_taint(resource: str) -> Taint:
    """The taint of every node that holds `resource`: GKE's own, used alike in every other place.

    Source: GKE adds `nvidia.com/gpu=present:NoSchedule` and `google.com/tpu=present:NoSchedule` by itself; elsewhere
    the pool must. A value other than "present" breaks charts that tolerate it by Equal (nvidia-device-plugin's NFD).
    """
    return Taint(resource, "present")


def selector_of(shape: NodeShape) -> dict[str, str]:
    """What a pod selects to run on a pool with such nodes.

    The pool's label, and the ComputeClass where GKE keeps the pool's order by one: it does so only for pods that select
    it, and lets no others in.
    """
    return {key: shape.labels[key] for key in (POOL, COMPUTE_CLASS) if key in shape.labels}


def vendor_labels(pool: Pool, accelerator: Accelerator, count: int) -> dict[str, str]:
    """Labels that plugins and their DaemonSets select by, without a feature discovery to set them."""
    labels = dict(accelerator.labels)
    if accelerator.vendor == "nvidia":
        labels |= {"nvidia.com/gpu.present": "true", "nvidia.com/gpu.count": str(count)}
        if pool.sharing and pool.sharing.mig:
            labels["nvidia.com/mig.config"] = pool.sharing.mig.replace("+", ".")
        if pool.sharing and pool.sharing.mps:
            labels["nvidia.com/mps.capable"] = "true"
        if pool.sharing and (copies := pool.sharing.time_slices or pool.sharing.mps):
            # Read by the GPU operator's plugin; the plain one has a DaemonSet for each configuration.
            labels["nvidia.com/device-plugin.config"] = f"{'mps' if pool.sharing.mps else 'time-slices'}-{copies}"
    elif pool.topology:
        labels[TPU_TOPOLOGY] = pool.topology
    return labels
