"""What EKS cannot do of how its API is reached, and of the names of AWS that a cluster block holds."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from typing import Final

from espalier.blueprint.clouds.eks.zones import partition
from espalier.blueprint.clouds.route import TUNNEL
from espalier.settings.cloud import Access
from espalier.settings.eks import Eks
from espalier.settings.tree import path_text
from espalier.types import Mistake

AT: Final = "espalier:cluster.access"
_PRINCIPAL: Final = re.compile(r"arn:(aws|aws-us-gov):iam::[0-9]{12}:(role|user)/[\w+=,.@/-]+")
_KEY: Final = re.compile(r"arn:(aws|aws-us-gov):kms:([a-z0-9-]+):([0-9]{12}):key/[0-9a-f-]{36}|"
                         r"arn:(?:aws|aws-us-gov):kms:[a-z0-9-]+:[0-9]{12}:key/mrk-[0-9a-f]{32}")  # fmt: skip
_PUBLIC_CIDRS: Final = 40
"""Ranges of a public endpoint (EKS service quotas)."""


def access_mistakes(cluster: Eks) -> Iterator[Mistake]:
    """How the deployer reaches the API, and who administers it."""
    access = cluster.access
    if access is None:
        do = (
            "Add access.via: network where the deployer stands inside or is routed there, tunnel with `proxy` for a "
            "bastion or SSM, or public with `cidrs`; and access.admins."
        )
        yield Mistake(AT, "nothing", "how the deployer reaches a private API", do)
        return
    yield from _way(cluster, access)
    yield from _public(access) if cluster.given is None else ()
    yield from _reached(cluster, access)
    yield from _admins(cluster, access)


def _way(cluster: Eks, access: Access) -> Iterator[Mistake]:
    if access.via == "dns-endpoint":
        do = "Choose one; dns-endpoint is GKE's."
        yield Mistake(f"{AT}.via", "dns-endpoint", "network, tunnel or public on EKS", do)
    if access.via == "tunnel" and access.proxy is None:
        yield Mistake(f"{AT}.proxy", "nothing", "the tunnel's local end", TUNNEL)
    if access.via != "tunnel" and access.proxy is not None:
        yield Mistake(
            f"{AT}.proxy", access.proxy, f"nothing beside via: {access.via}", "Set via: tunnel, or remove it."
        )


def _public(access: Access) -> Iterator[Mistake]:
    if access.via != "public":
        return
    if not access.cidrs:
        do = "Add the ranges that the deployer and its people come from."
        yield Mistake(f"{AT}.cidrs", "nothing", "ranges that may reach a public endpoint", do)
    if len(access.cidrs) > _PUBLIC_CIDRS:
        yield Mistake(f"{AT}.cidrs", f"{len(access.cidrs)} ranges", f"at most {_PUBLIC_CIDRS}", "Join ranges.")
    for index, cidr in enumerate(access.cidrs):
        network = ipaddress.IPv4Network(cidr)
        if network.prefixlen == 0:
            do = "Name the ranges of those who may; or choose via: network or tunnel."
            yield Mistake(f"{AT}.cidrs[{index}]", cidr, "a range that is not the whole world", do)
        elif not network.is_global:
            do = "Name the address that the deployer leaves its network by; for a private one, set via: network."
            yield Mistake(f"{AT}.cidrs[{index}]", cidr, "a public range: EKS takes no reserved one", do)


def _reached(cluster: Eks, access: Access) -> Iterator[Mistake]:
    """A given network's range is not known here, and the cluster's security group lets in only whom it names."""
    if access.via in ("network", "tunnel") and cluster.network.id and not access.cidrs and cluster.given is None:
        do = (
            "Add the range that the deployer, or the tunnel's far end, stands in: the cluster's group lets in no other."
        )
        yield Mistake(f"{AT}.cidrs", "nothing", "ranges that reach the private API of a given network", do)


def _admins(cluster: Eks, access: Access) -> Iterator[Mistake]:
    """None is needed of a cluster that is there: it has let people in already."""
    if not access.admins and cluster.given is None:
        do = "Add the ARN of the role that deploys, at least: who creates a cluster is not let in by that."
        yield Mistake(f"{AT}.admins", "nothing", "at least one IAM role or user", do)
    for index, principal in enumerate(access.admins):
        path = f"{AT}.admins[{index}]"
        if not _PRINCIPAL.fullmatch(principal):
            yield Mistake(path, repr(principal), "the ARN of an IAM role or user", _principal_help(principal))
        elif (found := _other_partition(principal, cluster.region)) is not None:
            yield Mistake(path, principal, *found)
        elif principal in access.admins[:index]:
            yield Mistake(path, f"{principal} a second time", "each principal once", "Remove one of them.")


def _principal_help(principal: str) -> str:
    if ":assumed-role/" in principal:
        return "Name the role itself: arn:aws:iam::<account>:role/<name>, with its path."
    if principal.endswith(":root"):
        return "Name a role: an account as a whole cannot be let in."
    return "Write arn:aws:iam::<account>:role/<name>."


def _other_partition(arn: str, region: str) -> tuple[str, str] | None:
    """What is accepted, and what to do, of an ARN of another partition than the region's."""
    own = partition(region)
    if arn.split(":")[1] == own:
        return None
    return f"an ARN of the partition {own}, which {region} is in", "Correct the ARN, or the region."


def identity_mistakes(cluster: Eks) -> Iterator[Mistake]:
    """ARNs of another partition, region or account than the cluster's."""
    for path, arn in _own_arns(cluster):
        account = arn.split(":")[4]
        if found := _other_partition(arn, cluster.region):
            yield Mistake(path, arn, *found)
        elif cluster.account_id and account not in (cluster.account_id, "aws"):
            do = "Correct the ARN, or account-id."
            yield Mistake(path, arn, f"of the cluster's account, {cluster.account_id}", do)
    for group, principals in sorted(cluster.groups.items()):
        for index, principal in enumerate(principals):
            if found := _other_partition(principal, cluster.region):
                yield Mistake(path_text((group, index), "espalier:cluster.groups"), principal, *found)
    for name in ("secrets", "disks"):
        key = getattr(cluster.keys, name)
        if key is not None:
            yield from _key(cluster, f"espalier:cluster.keys.{name}", key)


def unused_mistakes(cluster: Eks) -> Iterator[Mistake]:
    """Roles that are named, though nothing takes them."""
    beside = {
        "autoscaler": (cluster.roles.autoscaler, cluster.autoscaler == "none", "autoscaler: none"),
        "files": (cluster.roles.files, cluster.storage is None, "no `storage`"),
        "load-balancer": (cluster.roles.load_balancer, not cluster.load_balancer, "load-balancer: false"),
    }
    for key, (role, unused, why) in beside.items():
        if role is not None and unused:
            yield Mistake(f"espalier:cluster.roles.{key}", role, f"nothing beside {why}", "Remove it, or that.")


def _own_arns(cluster: Eks) -> Iterator[tuple[str, str]]:
    roles = cluster.roles.model_dump(by_alias=True, exclude_none=True, exclude={"path"})
    yield from ((f"espalier:cluster.roles.{name}", arn) for name, arn in roles.items())


def _key(cluster: Eks, path: str, key: str) -> Iterator[Mistake]:
    if not _KEY.fullmatch(key):
        do = "Write arn:aws:kms:<region>:<account>:key/<id>: an alias may come to name another key."
        yield Mistake(path, repr(key), "the ARN of a KMS key", do)
    elif key.split(":")[3] != cluster.region:
        yield Mistake(path, key, f"a key of {cluster.region}", "Name a key of the cluster's region.")
    elif (found := _other_partition(key, cluster.region)) is not None:
        yield Mistake(path, key, *found)


def tag_mistakes(cluster: Eks) -> Iterator[Mistake]:
    """Tags that AWS refuses, that Espalier gives itself, or that its drivers could not hand on."""
    own: Sequence[str] = ("aws:", "espalier.dev/", "kubernetes.io/", "k8s.io/", "eks:", "karpenter.sh/")
    for key, value in sorted(cluster.tags.items()):
        path = path_text((key,), "espalier:cluster.tags")
        if key.startswith(tuple(own)):
            yield Mistake(path, repr(key), f"a key that begins with none of {', '.join(own)}", "Rename the tag.")
        if re.search(r"[^\w .:/=+@-]|[,=]", value):
            accepted = "letters, digits, spaces, and . : / + - @ _: volumes get the tags by a list of key=value"
            yield Mistake(path, repr(value), accepted, "Change the value.")
    if len(cluster.tags) > 40:
        yield Mistake("espalier:cluster.tags", f"{len(cluster.tags)} tags", "at most 40 of AWS's 50", "Remove some.")
