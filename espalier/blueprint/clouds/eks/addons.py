"""EKS's own add-ons: which, at which version, in which order, with which settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from espalier.blueprint.clouds.eks.identities import RoleKey
from espalier.settings.eks import AddonName, Eks

_BY_MINOR: Final[Mapping[str, tuple[str, str]]] = {
    "1.32": ("v1.11.4-eksbuild.51", "v1.32.13-eksbuild.24"),
    "1.33": ("v1.12.4-eksbuild.29", "v1.33.10-eksbuild.21"),
    "1.34": ("v1.12.4-eksbuild.29", "v1.34.6-eksbuild.21"),
    "1.35": ("v1.13.2-eksbuild.21", "v1.35.3-eksbuild.21"),
    "1.36": ("v1.14.3-eksbuild.14", "v1.36.0-eksbuild.17"),
}
"""Kubernetes minor -> CoreDNS and kube-proxy, as `aws eks describe-addon-versions` answered in September 2026 (read in
public repositories that record its answer)."""
_COMMON: Final[Mapping[AddonName, str]] = {
    "vpc-cni": "v1.22.4-eksbuild.3",
    "eks-pod-identity-agent": "v1.3.10-eksbuild.3",
    "eks-node-monitoring-agent": "v1.6.4-eksbuild.1",
    "aws-ebs-csi-driver": "v1.63.1-eksbuild.1",
    "aws-efs-csi-driver": "v3.4.0-eksbuild.1",
    "aws-fsx-csi-driver": "v1.9.0-eksbuild.1",
}
"""Add-ons whose version does not follow Kubernetes'; same source, the monitoring agent of spring 2026."""
VERSIONS: Final = tuple(_BY_MINOR)
"""Kubernetes minors that Espalier has EKS's add-ons for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedAddon:
    """An add-on that EKS installs and keeps."""

    name: AddonName
    version: str
    configuration: Mapping[str, Any]
    role: RoleKey | None
    service_account: str | None
    """Whose pods take the role."""
    before_nodes: bool
    """Nodes need it to become ready; the others need nodes."""
    pod_subnets: bool = False
    """The configuration is told the subnets that pods take addresses from."""


def addons_of(cluster: Eks) -> tuple[ManagedAddon, ...]:
    """The add-ons of a cluster that is made, in the order of installation; none for one that is given."""
    if cluster.given is not None:
        return ()
    return (
        _addon(cluster, "eks-pod-identity-agent", before_nodes=True),
        _vpc_cni(cluster),
        _addon(cluster, "kube-proxy", before_nodes=True),
        _addon(
            cluster, "coredns", configuration={"autoScaling": {"enabled": True, "minReplicas": 2, "maxReplicas": 10}}
        ),
        _addon(
            cluster,
            "aws-ebs-csi-driver",
            configuration=_ebs(cluster),
            role="volumes",
            service_account="ebs-csi-controller-sa",
        ),
        _addon(cluster, "eks-node-monitoring-agent"),
        *_files(cluster),
    )


def _vpc_cni(cluster: Eks) -> ManagedAddon:
    """Prefixes of 16 addresses each, so that a node takes few calls and many pods; NetworkPolicies are enforced."""
    apart = bool(cluster.network.pods or cluster.pod_subnets)
    environment = {"ENABLE_PREFIX_DELEGATION": "true", "WARM_PREFIX_TARGET": "1"}
    if apart:
        environment |= {
            "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG": "true",
            "ENI_CONFIG_LABEL_DEF": "topology.kubernetes.io/zone",
        }
    return _addon(
        cluster,
        "vpc-cni",
        configuration={"enableNetworkPolicy": "true", "env": environment},
        role="network",
        service_account="aws-node",
        before_nodes=True,
        pod_subnets=apart,
    )


def _ebs(cluster: Eks) -> dict[str, Any]:
    """Volumes carry the cluster's tags; every tainted node gets the driver."""
    return {"controller": {"extraVolumeTags": tags_of(cluster)}, "node": {"tolerateAllTaints": True}}


def _files(cluster: Eks) -> tuple[ManagedAddon, ...]:
    if cluster.storage is None:
        return ()
    if cluster.storage.type == "efs":
        return (_addon(cluster, "aws-efs-csi-driver", role="files", service_account="efs-csi-controller-sa"),)
    return (_addon(cluster, "aws-fsx-csi-driver", role="files", service_account="fsx-csi-controller-sa"),)


def _addon(
    cluster: Eks,
    name: AddonName,
    *,
    configuration: Mapping[str, Any] | None = None,
    role: RoleKey | None = None,
    service_account: str | None = None,
    before_nodes: bool = False,
    pod_subnets: bool = False,
) -> ManagedAddon:
    return ManagedAddon(
        name=name,
        version=cluster.addon_versions.get(name) or version_of(name, cluster.version),
        configuration=configuration or {},
        role=role,
        service_account=service_account,
        before_nodes=before_nodes,
        pod_subnets=pod_subnets,
    )


def version_of(name: AddonName, kubernetes: str) -> str:
    """The version of an add-on for a Kubernetes minor. Raises KeyError for a minor that VERSIONS lacks."""
    coredns, kube_proxy = _BY_MINOR[kubernetes]
    return {**_COMMON, "coredns": coredns, "kube-proxy": kube_proxy}[name]


def tags_of(cluster: Eks) -> dict[str, str]:
    """The tags of everything that is made for the cluster: the user's, and whose it is."""
    return dict(sorted({**cluster.tags, "espalier.dev/cluster": cluster.name}.items()))
