"""Databases, an object store, shared files; what the platform costs; images from neighbours; fast networks.

Facts: each project's chart at the version that its row names. SeaweedFS keeps all on the node by default: here in
claims, in three copies of what says where things are.
"""

from __future__ import annotations

from typing import Any, Final

from espalier.addons.charted import chart, in_env
from espalier.addons.walls import wall
from espalier.types import ByHand, Data

_CLAIM: Final[dict[str, Any]] = {"type": "persistentVolumeClaim", "size": "10Gi"}
_LOGS: Final[dict[str, Any]] = {"type": "emptyDir"}
_NOBODY: Final[dict[str, Any]] = {"enabled": True, "runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 1000}

CLOUDNATIVE_PG: Final = chart(
    "cloudnative-pg",
    "0.29.0",
    "https://cloudnative-pg.github.io/charts",
    "cnpg-system",
    category="data",
    licence="Apache-2.0",
    source="https://github.com/cloudnative-pg/charts",
    values={"replicaCount": 2},
    crds={
        "postgresql.cnpg.io": "backups clusterimagecatalogs clusters databaseroles databases failoverquorums "
        "imagecatalogs poolers publications scheduledbackups subscriptions"
    },
    images=("ghcr.io/cloudnative-pg/cloudnative-pg:1.30.0",),
    hidden=(in_env(r"^(ghcr\.io/cloudnative-pg/\S+)$"),),
    # Each instance tells of itself at 8000.
    walls=(wall("cnpg-system", (8080, 9443), out=(8000,)),),
    budgets={"cloudnative-pg": {"app.kubernetes.io/name": "cloudnative-pg"}},
    may_exist=True,
    work=(("postgresql.cnpg.io", ("backups", "clusters", "databases", "poolers", "scheduledbackups")),),
)

MYSQL: Final = chart(
    "mysql-operator",
    "2.2.1",
    "https://mysql.github.io/mysql-operator/",
    "mysql-operator",
    category="data",
    licence="UPL-1.0",
    source="https://github.com/mysql/mysql-operator",
    # One operator: a second one waits by a peering that its chart does not set up. No render asks a cluster.
    values={"disableLookups": True, "envs": {"k8sClusterDomain": "cluster.local"}},
    crds={"mysql.oracle.com": "innodbclusters mysqlbackups", "zalando.org": "clusterkopfpeerings kopfpeerings"},
    images=("container-registry.oracle.com/mysql/community-operator:9.0.1-2.2.1",),
    walls=(wall("mysql-operator", (), out=(3306, 33060, 33061)),),
    user=2,
)

SEAWEEDFS: Final = chart(
    "seaweedfs",
    "4.44.0",
    "https://seaweedfs.github.io/seaweedfs/helm",
    "seaweedfs",
    category="storage",
    licence="Apache-2.0",
    source="https://github.com/seaweedfs/seaweedfs",
    values={
        "master": {
            "replicas": 3,
            "defaultReplication": "001",
            "data": _CLAIM,
            "logs": _LOGS,
            "podSecurityContext": _NOBODY,
        },
        "volume": {
            "replicas": 3,
            "dataDirs": [{"name": "data1", "type": "persistentVolumeClaim", "size": "100Gi", "maxVolumes": 0}],
            "podSecurityContext": _NOBODY,
        },
        "filer": {"data": _CLAIM, "logs": _LOGS, "podSecurityContext": _NOBODY},
        "s3": {
            "enabled": True,
            "replicas": 2,
            "enableAuth": True,
            "logs": _LOGS,
            "podSecurityContext": _NOBODY,
        },
    },
    images=("chrislusf/seaweedfs:4.44",),
    budgets={
        f"seaweedfs-{part}": {"app.kubernetes.io/name": "seaweedfs", "app.kubernetes.io/component": part}
        for part in ("master", "volume")
    },
    user=1000,
    data=(
        Data(
            "objects, and the filer's list of them",
            "volumes that its StatefulSets make; objects twice, the filer once",
            ByHand(
                save="with a user's keys run `aws s3 sync` against Service seaweedfs-s3, bucket by bucket",
                restore="the same the other way, into buckets that are made anew",
            ),
            namespace="seaweedfs",
            claims=("*",),
        ),
    ),
    asks={"s3.existingConfigSecret": "the Secret of namespace seaweedfs that holds who may do what"},
)

NFS: Final = chart(
    "nfs-csi",
    "4.13.4",
    "https://raw.githubusercontent.com/kubernetes-csi/csi-driver-nfs/master/charts",
    "kube-system",
    name="csi-driver-nfs",
    level="privileged",
    category="storage",
    licence="Apache-2.0",
    source="https://github.com/kubernetes-csi/csi-driver-nfs",
    values={"controller": {"replicas": 2}, "node": {"tolerations": [{"operator": "Exists"}]}},
    images=(
        "registry.k8s.io/sig-storage/csi-node-driver-registrar:v2.17.0",
        "registry.k8s.io/sig-storage/csi-provisioner:v6.3.0",
        "registry.k8s.io/sig-storage/csi-resizer:v2.2.0",
        "registry.k8s.io/sig-storage/csi-snapshotter:v8.6.0",
        "registry.k8s.io/sig-storage/livenessprobe:v2.19.0",
        "registry.k8s.io/sig-storage/nfsplugin:v4.13.4",
    ),
    budgets={"csi-nfs-controller": {"app": "csi-nfs-controller"}},
    everywhere=True,
)

OPENCOST: Final = chart(
    "opencost",
    "2.5.17",
    "https://opencost.github.io/opencost-helm-chart",
    "opencost",
    category="observability",
    licence="Apache-2.0",
    source="https://github.com/opencost/opencost-helm-chart",
    # The names of Prometheus are those of kube-prometheus-stack; the chart's own lead nowhere.
    values={
        "opencost": {
            "mcp": {"enabled": False},
            "prometheus": {
                "internal": {
                    "serviceName": "kube-prometheus-stack-prometheus",
                    "namespaceName": "monitoring",
                    "port": 9090,
                }
            },
        }
    },
    images=(
        "ghcr.io/opencost/opencost-ui:1.120.1@sha256:7c08640291228fd13854c9aa0538a6fdbcc2410bfbb66177a7a40d2634983c52",
        "ghcr.io/opencost/opencost:1.120.1@sha256:b0701f9b54e43c9abee98f5784792a5b469ca8951e87da32b161c1fa539ab0e1",
    ),
    user=1001,
    walls=(wall("opencost", (9003, 9090), out=(9090,)),),
    after=frozenset({"kube-prometheus-stack"}),
)

SPEGEL: Final = chart(
    "spegel",
    "0.7.4",
    "oci://ghcr.io/spegel-org/helm-charts",
    "spegel",
    level="privileged",
    category="images",
    licence="MIT",
    source="https://github.com/spegel-org/spegel",
    # Its hook takes away at removal what it wrote to containerd's configuration: by Helm, which runs it then.
    hooks="release",
    images=("ghcr.io/spegel-org/spegel:v0.7.4",),
    conflicts={"dragonfly": "both write containerd's list of mirrors"},
    everywhere=True,
)

DRAGONFLY: Final = chart(
    "dragonfly",
    "1.7.4",
    "https://dragonflyoss.github.io/helm-charts/",
    "dragonfly-system",
    level="privileged",
    category="images",
    licence="Apache-2.0",
    source="https://github.com/dragonflyoss/helm-charts",
    # Its database and Redis are Bitnami's, which are given no more updates: those of the stack instead.
    values={
        "mysql": {"enable": False},
        "redis": {"enable": False},
        "client": {
            "tolerations": [{"operator": "Exists"}],
            "initContainer": {"image": {"tag": "1.38.0"}},
            "dfinit": {"enable": False},
        },
        "scheduler": {"initContainer": {"image": {"tag": "1.38.0"}}},
        "seedClient": {"initContainer": {"image": {"tag": "1.38.0"}}},
    },
    images=(
        "docker.io/busybox:1.38.0",
        "docker.io/dragonflyoss/client:v1.4.0",
        "docker.io/dragonflyoss/manager:v2.5.0",
        "docker.io/dragonflyoss/scheduler:v2.5.0",
    ),
    conflicts={"spegel": "both write containerd's list of mirrors"},
    budgets={
        f"dragonfly-{part}": {"app": "dragonfly", "component": part} for part in ("manager", "scheduler", "seed-client")
    },
    everywhere=True,
    asks={"externalMysql.host": "a MySQL for its manager", "externalRedis.addrs": "a Redis for its manager"},
)

NETWORK: Final = chart(
    "network-operator",
    "26.4.1",
    "https://helm.ngc.nvidia.com/nvidia",
    "nvidia-network-operator",
    level="privileged",
    category="networking",
    licence="Apache-2.0",
    source="https://github.com/Mellanox/network-operator",
    # Discovery is an add-on of its own: a cluster has one.
    values={"nfd": {"enabled": False, "deployNodeFeatureRules": False}, "upgradeCRDs": False},
    hooks={"*/network-operator-*": "drop"},
    crds={
        "k8s.cni.cncf.io": "network-attachment-definitions",
        "mellanox.com": "hostdevicenetworks ipoibnetworks macvlannetworks nicclusterpolicies nicnodepolicies",
    },
    images=("nvcr.io/nvidia/cloud-native/network-operator:v26.4.1",),
    hidden=(in_env(r"^(nvcr\.io/\S+)$"),),
    needs=frozenset({"node-feature-discovery"}),
)

RECORDS: Final = (CLOUDNATIVE_PG, MYSQL, SEAWEEDFS, NFS, OPENCOST, SPEGEL, DRAGONFLY, NETWORK)
