"""Asks for what an AWS stack names by its id besides roles, keys, its network and what stands beside the cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from espalier.preflight.aws.parts import Clients
from espalier.preflight.aws.settings import users_of
from espalier.preflight.model import NotAsked
from espalier.preflight.needs import Needs, named_by_pools
from espalier.preflight.parts import Part
from espalier.settings.eks import Eks

There = Callable[[Callable[[], Any]], Any]
"""A question -> its answer, None for what is not there, NotAsked where it was refused."""


def named_of(clients: Clients, there: There, needs: Needs) -> Iterator[Part]:
    """Each by itself: one that is not there would have all refused."""
    cluster = needs.cluster
    assert isinstance(cluster, Eks)  # noqa: S101 - of its own kind
    ec2, iam = clients.client("ec2"), clients.client("iam")

    def part(key: str, what: str, question: Callable[[], Any], pool: str = "") -> Part:
        found = there(question)
        state: Any = found if isinstance(found, NotAsked) else "absent" if found in (None, [], {}) else "there"
        return Part(key=key, what=what, made=False, state=state, pool=pool)

    for subnet in cluster.pod_subnets:
        yield part("pod-subnets", f"subnet {subnet}", lambda subnet=subnet: ec2.describe_subnets(SubnetIds=[subnet]))
    if cluster.given is not None:
        group = cluster.given.security_group
        wanted = {"GroupIds": [group]}
        yield part("given.security-group", f"security group {group}", lambda: ec2.describe_security_groups(**wanted))
    for key, user in users_of(cluster):
        name = user.rpartition("/")[2]
        yield part(key, f"user {user}", lambda name=name: iam.get_user(UserName=name))
    yield from _of_pools(clients, needs, part)


def _of_pools(clients: Clients, needs: Needs, part: Callable[..., Part]) -> Iterator[Part]:
    ec2 = clients.client("ec2")
    for name, pool in named_by_pools(needs.groups, lambda group: group.preload):
        yield part(
            "preload.snapshot",
            f"snapshot {name}",
            lambda name=name: ec2.describe_snapshots(SnapshotIds=[name])["Snapshots"],
            pool,
        )
    for name, pool in named_by_pools(needs.groups, lambda group: group.release):
        if name.startswith("ami-"):
            yield part(
                "image.release",
                f"image {name}",
                lambda name=name: ec2.describe_images(ImageIds=[name])["Images"],
                pool,
            )
