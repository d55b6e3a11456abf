"""What GKE cannot do of a cluster block, each with what it can."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Sequence
from typing import Final

from espalier.blueprint.clouds.gke import machines
from espalier.blueprint.clouds.gke.labels import label_mistakes
from espalier.blueprint.clouds.gke.network import network_mistakes, room_mistakes
from espalier.blueprint.clouds.gke.objects import SHARE
from espalier.blueprint.clouds.gke.parts import part_mistakes
from espalier.blueprint.clouds.model import Wanted
from espalier.blueprint.clouds.route import TUNNEL
from espalier.quantity import parse_quantity
from espalier.settings.gke import Gke
from espalier.settings.tree import path_text
from espalier.types import Mistake

_MEMBER: Final = re.compile(r"^((user|group|serviceAccount):\S+@\S+|(principal|principalSet)://\S+)$")
_KEY: Final = re.compile(r"^projects/[^/]+/locations/([^/]+)/keyRings/[^/]+/cryptoKeys/[^/]+$")
_NO_UPGRADES: Final = 30
"""Days that an exclusion of all upgrades lasts at most. Source: GKE, "Maintenance windows and exclusions"."""


def cluster_mistakes(cluster: Gke) -> Iterator[Mistake]:
    """All that GKE cannot do of the cluster block."""
    yield from _access(cluster)
    yield from _autoscaler(cluster)
    yield from _storage(cluster)
    yield from part_mistakes(cluster)
    yield from _keys(cluster)
    yield from _exclusions(cluster)
    yield from _of_given(cluster)
    yield from network_mistakes(cluster)
    yield from label_mistakes(cluster)


def _access(cluster: Gke) -> Iterator[Mistake]:
    path, access = "espalier:cluster.access", cluster.access
    if access is None:
        do = "Add access: {via: dns-endpoint} (a Google identity is asked for), or network, tunnel or public."
        yield Mistake(path, "nothing", "how the deployer reaches a private API", do)
        return
    if access.via == "tunnel" and access.proxy is None:
        yield Mistake(f"{path}.proxy", "nothing", "the tunnel's local end", TUNNEL)
    if access.via != "tunnel" and access.proxy is not None:
        yield Mistake(f"{path}.proxy", access.proxy, "a proxy of via: tunnel", "Remove it, or write via: tunnel.")
    if access.via == "public" and not access.cidrs:
        do = "Name the ranges, or use via: dns-endpoint, which needs none."
        yield Mistake(f"{path}.cidrs", "nothing", "who may reach the public endpoint", do)
    if access.via in ("network", "tunnel") and cluster.network.id is not None and not access.cidrs:
        do = "Name the ranges that the deployer, or the tunnel's far end, stands in."
        yield Mistake(f"{path}.cidrs", "nothing", "who may reach the private endpoint from a given network", do)
    for index, cidr in enumerate(access.cidrs):
        if cidr.endswith("/0"):
            do = "Name the ranges, or use via: dns-endpoint, which asks for a Google identity."
            yield Mistake(f"{path}.cidrs[{index}]", cidr, "ranges that are not the whole world", do)
    for index, member in enumerate(access.admins):
        if not _MEMBER.match(member):
            accepted = "a Google identity: user:, group: or serviceAccount: and an email, or principal://..."
            yield Mistake(f"{path}.admins[{index}]", repr(member), accepted, "Write it with its prefix.")


def _autoscaler(cluster: Gke) -> Iterator[Mistake]:
    path, limits = "espalier:cluster", cluster.auto_provisioning
    if cluster.autoscaler in ("cluster-autoscaler", "karpenter"):
        do = "Remove it; `auto-provisioning` lets GKE make pools by itself."
        yield Mistake(f"{path}.autoscaler", cluster.autoscaler, "managed or none: GKE runs its own autoscaler", do)
    if limits is None:
        return
    if cluster.autoscaler == "none":
        accepted = "autoscaler: managed, of which it is a part"
        yield Mistake(f"{path}.auto-provisioning", "auto-provisioning", accepted, "Remove one of the two.")
    for name in sorted(limits.devices.keys() - machines.TYPES.keys()):
        where = path_text((name,), f"{path}.auto-provisioning.devices")
        yield Mistake(where, repr(name), f"accelerators: {', '.join(machines.TYPES)}", "Write one of these.")


def _storage(cluster: Gke) -> Iterator[Mistake]:
    if cluster.storage is not None and cluster.storage.type != "filestore":
        do = "Write filestore, or remove `storage`."
        yield Mistake("espalier:cluster.storage.type", cluster.storage.type, "filestore: Google Cloud's", do)
    elif cluster.storage is not None and cluster.storage.id is not None and not SHARE.match(cluster.storage.id):
        accepted = "a share as clients mount it, such as 10.0.0.2:/models"
        do = "Write the instance's address and its share's name."
        yield Mistake("espalier:cluster.storage.id", repr(cluster.storage.id), accepted, do)


def _keys(cluster: Gke) -> Iterator[Mistake]:
    for name, key in (("secrets", cluster.keys.secrets), ("disks", cluster.keys.disks)):
        if key is None:
            continue
        found, path = _KEY.match(key), f"espalier:cluster.keys.{name}"
        if found is None:
            accepted = "projects/<project>/locations/<region>/keyRings/<ring>/cryptoKeys/<key>"
            yield Mistake(path, repr(key), accepted, "Write the key's whole path.")
        elif found[1] != cluster.region:
            accepted = f"a key in {cluster.region}: GKE takes none from elsewhere"
            yield Mistake(path, f"a key in {found[1]}", accepted, "Name another key, or remove it: one is made.")


def _exclusions(cluster: Gke) -> Iterator[Mistake]:
    seen: set[str] = set()
    for index, one in enumerate(cluster.exclusions):
        path = f"espalier:cluster.exclusions[{index}]"
        if one.name in seen:
            yield Mistake(f"{path}.name", one.name, "each name once", "Rename it.")
        seen.add(one.name)
        start = datetime.date.fromisoformat(one.start)
        end = datetime.date.fromisoformat(one.end) if one.end else None
        if end is not None and end <= start:
            yield Mistake(f"{path}.end", str(one.end), f"a day after {one.start}", "Correct it.")
        elif one.scope == "no-upgrades" and (end is None or (end - start).days > _NO_UPGRADES):
            accepted = f"at most {_NO_UPGRADES} days for no-upgrades"
            do = "Shorten it, or choose no-minor-or-node-upgrades."
            yield Mistake(f"{path}.end", one.end or "nothing", accepted, do)


def _of_given(cluster: Gke) -> Iterator[Mistake]:
    """A given cluster keeps what it has: Espalier adds pools alone."""
    given = cluster.given
    if given is None:
        return
    parts = {
        "network": cluster.network.model_fields_set,
        "storage": cluster.storage,
        "auto-provisioning": cluster.auto_provisioning,
        "exclusions": cluster.exclusions,
        "master-cidr": cluster.master_cidr,
        "security-group": cluster.security_group,
    }
    for key in sorted(key for key, value in parts.items() if value):
        do = "Remove it, or remove `given`."
        yield Mistake(f"espalier:cluster.{key}", "a part of a given cluster", "nothing: it has its own", do)
    place = given.location or cluster.region
    if place != cluster.region and not place.startswith(f"{cluster.region}-"):
        accepted = f"{cluster.region}, or a zone of it"
        yield Mistake("espalier:cluster.given.location", place, accepted, "Correct it, or the region.")


def stack_mistakes(cluster: Gke, wanted: Sequence[Wanted]) -> Iterator[Mistake]:
    """What the pools together lack, or do not fit into."""
    if wanted and not any(one.system for one in wanted) and cluster.given is None:
        do = "Add {name: system, machine: {cpu: 4, memory: 16Gi}, nodes: {min: 1, max: 3}}."
        yield Mistake("espalier:pools", "pools with accelerators alone", "a pool that cluster components run on", do)
    yield from room_mistakes(cluster, wanted)
    yield from _limits(cluster, wanted)


def _limits(cluster: Gke, wanted: Sequence[Wanted]) -> Iterator[Mistake]:
    """Limits of auto-provisioning hold for the stack's own pools, too. Source: container v1 ResourceLimit."""
    limits = cluster.auto_provisioning
    if limits is None:
        return
    path = "espalier:cluster.auto-provisioning"
    cpu = sum(one.machine.vcpu * one.pool.nodes.max for one in wanted)
    memory = sum(one.machine.memory_gib * one.pool.nodes.max for one in wanted)
    do = "Raise it, or lower pools' nodes.max: it limits them, too."
    if cpu > limits.cpu:
        yield Mistake(f"{path}.cpu", str(limits.cpu), f"at least {cpu}, the pools at their maxima", do)
    if memory > parse_quantity(limits.memory) / machines.GIB:
        yield Mistake(f"{path}.memory", limits.memory, f"at least {memory:g}Gi, the pools at their maxima", do)
    for name, most in sorted(limits.devices.items()):
        own = sum(one.count * one.pool.nodes.max for one in wanted if one.pool.accelerator == name)
        if own > most:
            where = path_text((name,), f"{path}.devices")
            yield Mistake(where, str(most), f"at least {own}, the pools at their maxima", do)
