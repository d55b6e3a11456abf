"""What GKE cannot do: wrong pools and clusters, each with the text that a user sees."""

from __future__ import annotations

from typing import Any

import pytest

from espalier.blueprint import build
from espalier.settings import validate
from espalier.types import Mistake, Mistakes

SYSTEM = {"name": "system", "machine": "e2-standard-4", "nodes": {"min": 1, "max": 3}}
CLUSTER = {
    "kind": "gke",
    "name": "ml",
    "project": "example-ml",
    "version": "1.35",
    "region": "us-central1",
    "access": {"via": "dns-endpoint"},
}
POOL = "espalier:pools[1]"
HERE = "espalier:cluster"


def mistakes_of(cluster: dict[str, Any], pools: list[dict[str, Any]]) -> list[Mistake]:
    try:
        build(validate({"cluster": cluster, "pools": pools}, where="espalier"), {})
    except Mistakes as error:
        return list(error.mistakes)
    return []


def pool(**keys: Any) -> dict[str, Any]:
    return {"name": "p", "nodes": {"max": 4}} | {key.replace("_", "-"): value for key, value in keys.items()}


def gpu(**keys: Any) -> dict[str, Any]:
    return pool(**({"accelerator": "L4", "count": 1} | keys))


def h100(**keys: Any) -> dict[str, Any]:
    return pool(**({"accelerator": "H100-80", "count": 8, "machine": "a3-highgpu-8g"} | keys))


def v6e(**keys: Any) -> dict[str, Any]:
    return pool(**({"accelerator": "TPU-v6e", "topology": "4x4", "nodes": {"max": 8}} | keys))


POOLS: list[tuple[str, dict[str, Any], str, str]] = [
    (
        "half a slice",
        v6e(nodes={"max": 6}),
        f"{POOL}.nodes.max",
        "got 6; accepted: a multiple of 4: a 4x4 slice of ct6e-standard-4t has so many machines. Count whole slices.",
    ),
    (
        "half a slice that stays",
        v6e(nodes={"min": 2, "max": 8}),
        f"{POOL}.nodes.min",
        "got 2; accepted: a multiple of 4: a 4x4 slice of ct6e-standard-4t has so many machines. Count whole slices.",
    ),
    (
        "a topology of another machine",
        v6e(machine="ct6e-standard-8t", count=8),
        f"{POOL}.topology",
        "got '4x4'; accepted: slices of ct6e-standard-8t: 2x4. "
        "Change it, or remove `machine` and `count`: the topology chooses them.",
    ),
    (
        "a zone of another region",
        gpu(zones=["europe-west4-a"]),
        f"{POOL}.zones[0]",
        "got 'europe-west4-a'; accepted: zones of us-central1: us-central1-a, us-central1-b, us-central1-c, "
        "us-central1-f, us-central1-ai1a. Correct it.",
    ),
    (
        "a zone letter that the region lacks",
        gpu(zones=["us-central1-d"]),
        f"{POOL}.zones[0]",
        "got 'us-central1-d'; accepted: zones of us-central1: us-central1-a, us-central1-b, us-central1-c, "
        "us-central1-f, us-central1-ai1a. Correct it.",
    ),
    (
        "several machine types",
        pool(machine="n2-standard-4", machines=["n2d-standard-4"], capacity=["spot"]),
        f"{POOL}.machines",
        "got 1 further machine types; accepted: nothing: a GKE node pool has one machine type. "
        "Make a second pool, with the same labels, for the other machine.",
    ),
    (
        "reserved capacity without a reservation",
        h100(capacity=["reserved"]),
        f"{POOL}.reservation",
        "got nothing; accepted: the reservation that reserved capacity is taken from. "
        "Add reservation: {id: <name>, zones: [<zone>]}.",
    ),
    (
        "a reservation that nothing takes from",
        h100(capacity=["spot"], reservation={"id": "h100", "zones": ["us-central1-a"]}),
        f"{POOL}.reservation",
        "got a reservation that no kind of capacity takes from; accepted: capacity: [reserved, ...]. "
        "Add reserved to `capacity`, or remove `reservation`.",
    ),
    (
        "AWS's capacity block",
        h100(capacity=["reserved"], reservation={"id": "h100", "type": "capacity-block", "zones": ["us-central1-a"]}),
        f"{POOL}.reservation.type",
        "got capacity-block; accepted: reservation or future: Google Cloud has no other. "
        "Write reservation or future; blocks of a reservation are named in its id.",
    ),
    (
        "AWS's reservation id",
        h100(capacity=["reserved"], reservation={"id": "CR_0123", "zones": ["us-central1-a"]}),
        f"{POOL}.reservation.id",
        "got 'CR_0123'; accepted: a reservation's name, or "
        "projects/<project>/reservations/<name>[/reservationBlocks/<block>]. Correct it.",
    ),
    (
        "a reservation nowhere",
        h100(capacity=["reserved"], reservation={"id": "h100"}),
        f"{POOL}.reservation.zones",
        "got nothing; accepted: the zones that the reservation is in. "
        "Add reservation.zones: a specific reservation is in one zone.",
    ),
    (
        "a reservation elsewhere",
        h100(capacity=["reserved"], zones=["us-central1-c"], reservation={"id": "h100", "zones": ["us-central1-a"]}),
        f"{POOL}.zones",
        "got us-central1-c; accepted: the reservation's zones, us-central1-a. Remove `zones`.",
    ),
    (
        "nodes before a reservation begins",
        h100(
            capacity=["reserved"],
            nodes={"min": 1, "max": 2},
            reservation={"id": "h100", "type": "future", "zones": ["us-central1-a"]},
        ),
        f"{POOL}.nodes",
        "got nodes at once; accepted: no nodes before a future reservation begins. "
        "Set min and start to 0 until it begins.",
    ),
    (
        "flex-start that stays",
        h100(capacity=["flex"], nodes={"min": 1, "max": 2}),
        f"{POOL}.nodes.min",
        "got 1; accepted: 0: flex-start nodes come when they are asked for. "
        "Set it to 0, or prefer another kind of capacity.",
    ),
    (
        "flex-start for plain machines",
        pool(machine="n2-standard-4", capacity=["flex"]),
        f"{POOL}.capacity[0]",
        "got flex; accepted: flex-start for machines with GPUs or TPUs. Use spot or on-demand.",
    ),
    (
        "flex-start for a fortnight",
        h100(capacity=["flex"], flex={"max-run": "14d"}),
        f"{POOL}.flex.max-run",
        "got 14d; accepted: at most 7d. Shorten it.",
    ),
    (
        "flex that nothing uses",
        h100(capacity=["spot"], flex={"max-run": "1d"}),
        f"{POOL}.flex",
        "got flex that no kind of capacity uses; accepted: capacity: [flex, ...]. "
        "Add flex to `capacity`, or remove `flex`.",
    ),
    (
        "queued and compact",
        h100(capacity=["flex"], flex={"queued": True}, placement="compact"),
        f"{POOL}.placement",
        "got compact, with queued provisioning; accepted: compact only for TPUs there. Remove `placement`.",
    ),
    (
        "flex-start and compact",
        h100(capacity=["flex"], placement="compact"),
        f"{POOL}.placement",
        "got compact a3-highgpu-8g from flex-start; accepted: flex-start that is compact on A3 Ultra, A4 and H4D "
        "alone. Remove `placement`, or flex.",
    ),
    (
        "compact over two zones",
        h100(placement="compact", zones=["us-central1-a", "us-central1-c"]),
        f"{POOL}.zones",
        "got us-central1-a, us-central1-c; accepted: one zone: compact nodes share it. "
        "Name one zone, or remove `placement`.",
    ),
    (
        "compact machines that cannot be",
        pool(machine="e2-standard-4", placement="compact"),
        f"{POOL}.placement",
        "got compact e2-standard-4; accepted: machines other than E2, N1 and N4. "
        "Choose N2, C3, A2 or another that Google places close together, or remove `placement`.",
    ),
    (
        "a fast network that is not there",
        gpu(fabric=True),
        f"{POOL}.fabric",
        "got true, for g2-standard-4; accepted: machines with networks for their accelerators. "
        "Remove it, or choose A3 with 8 GPUs, A4 or A4X.",
    ),
    (
        "more nodes than an NVLink domain",
        pool(
            accelerator="GB200",
            nodes={"max": 36},
            capacity=["reserved"],
            reservation={"id": "gb200", "zones": ["us-central1-a"]},
        ),
        f"{POOL}.nodes.max",
        "got 36; accepted: at most 18: a node pool is one NVLink domain. "
        "Lower it, and make a further pool for a further domain.",
    ),
    (
        "bare metal",
        pool(accelerator="GB300", capacity=["reserved"], reservation={"id": "gb300", "zones": ["us-central1-b"]}),
        f"{POOL}.accelerator",
        "got a4x-maxgpu-4g-metal; accepted: machines that are no bare metal: Espalier makes neither its networks nor "
        "its huge pages. Choose GB200 (a4x-highgpu-4g), or make its pool beside the stack.",
    ),
    (
        "a fast network in two zones",
        h100(fabric=True, zones=["us-central1-a", "us-central1-c"]),
        f"{POOL}.fabric",
        "got true, in several zones; accepted: one zone: such a network is of one. Name one zone, or remove `fabric`.",
    ),
    (
        "a disk that the machine cannot boot from",
        pool(machine="n4-standard-4", disk={"type": "pd-ssd"}),
        f"{POOL}.disk.type",
        "got 'pd-ssd'; accepted: boot disks of n4-standard-4: hyperdisk-balanced. Change it, or remove it.",
    ),
    (
        "a disk of AWS",
        gpu(disk={"type": "gp3"}),
        f"{POOL}.disk.type",
        "got 'gp3'; accepted: boot disks of g2-standard-4: pd-balanced, pd-ssd, pd-standard. Change it, or remove it.",
    ),
    (
        "operations of a disk that has none to give",
        gpu(disk={"iops": 3000}),
        f"{POOL}.disk.iops",
        "got 3000; accepted: nothing: pd-balanced has what its size gives. "
        "Remove it, or choose a machine and a disk of Hyperdisk.",
    ),
    (
        "a disk too small",
        gpu(disk={"size": "5Gi"}),
        f"{POOL}.disk.size",
        "got 5Gi; accepted: at least 10Gi. Raise it; images need about 50Gi.",
    ),
    (
        "an EBS snapshot",
        gpu(preload={"snapshot": "snap-0123456789abcdef0"}),
        f"{POOL}.preload.snapshot",
        "got 'snap-0123456789abcdef0'; accepted: a disk image: global/images/<name> or "
        "projects/<project>/global/images/<name>. Correct it.",
    ),
    (
        "an image of AWS",
        pool(machine="n2-standard-4", image={"os": "bottlerocket"}),
        f"{POOL}.image.os",
        "got bottlerocket; accepted: cos or ubuntu: the node images of GKE. Change or remove it.",
    ),
    (
        "Ubuntu with TPUs",
        v6e(image={"os": "ubuntu"}),
        f"{POOL}.image.os",
        "got ubuntu, with TPUs; accepted: cos: TPU nodes have no other image. Remove it.",
    ),
    (
        "a release that is no version",
        pool(machine="n2-standard-4", image={"release": "cos-117"}),
        f"{POOL}.image.release",
        "got 'cos-117'; accepted: a whole GKE version, such as 1.35.1-gke.1396002. "
        "Write one of `gcloud container get-server-config`, or remove it.",
    ),
    (
        "nodes before their control plane",
        pool(machine="n2-standard-4", image={"release": "1.36.0-gke.100"}),
        f"{POOL}.image.release",
        "got 1.36.0-gke.100; accepted: 1.33 to 1.35: nodes follow their control plane, at most 2 behind. "
        "Upgrade the one that is behind, a minor at a time.",
    ),
    (
        "a partition that GKE's plugin lacks",
        h100(sharing={"mig": "all-4g.40gb"}),
        f"{POOL}.sharing.mig",
        "got all-4g.40gb; accepted: GKE's partitions of H100-80: all-1g.10gb, all-1g.20gb, all-2g.20gb, "
        "all-3g.40gb, all-7g.80gb. Choose one of these.",
    ),
    (
        "too many pods on a device",
        gpu(sharing={"time-slices": 64}),
        f"{POOL}.sharing.time-slices",
        "got 64; accepted: at most 48 on GKE. Lower it.",
    ),
    (
        "a label of Google's",
        gpu(labels={"cloud.google.com/gke-spot": "true"}),
        f'{POOL}.labels["cloud.google.com/gke-spot"]',
        "got cloud.google.com/gke-spot; accepted: labels of your own: GKE sets those of Kubernetes and of Google "
        "Cloud. Remove it, or choose another key.",
    ),
    (
        "too many nodes at once",
        gpu(surge=50),
        f"{POOL}.surge",
        "got 50; accepted: at most 20: GKE upgrades so many nodes at once. Lower it.",
    ),
    (
        "an accelerator that Google has not",
        pool(accelerator="MI300X"),
        f"{POOL}.accelerator",
        "got MI300X; accepted: what gcp has: A100-40, A100-80, B200, GB200, GB300, H100-80, H200, L4, RTX-PRO-6000, "
        "T4, TPU-v4, TPU-v5e, TPU-v5p, TPU-v6e, TPU-v7x, V100-16. "
        "Choose another accelerator or another cloud; see `espalier catalogue`.",
    ),
    (
        "spot of what is sold reserved alone",
        pool(accelerator="GB200", capacity=["spot"]),
        f"{POOL}.capacity[0]",
        "got spot; accepted: how a4x-highgpu-4g is sold: reserved. Choose among these, or another machine.",
    ),
]


@pytest.mark.parametrize(("keys", "path", "text"), [case[1:] for case in POOLS], ids=[case[0] for case in POOLS])
def test_a_wrong_pool_is_told_with_what_would_do(keys: dict[str, Any], path: str, text: str) -> None:
    (mistake,) = mistakes_of(CLUSTER, [SYSTEM, keys])
    assert mistake.text() == f"{path}: {text}"


def test_a_fast_network_needs_a_version_that_attaches_it() -> None:
    (mistake,) = mistakes_of(CLUSTER | {"version": "1.34"}, [SYSTEM, h100(fabric=True)])
    assert mistake.text() == (
        f'{POOL}.fabric: got true, in 1.34; accepted: "1.35" or later: GKE attaches them by itself (DRANET, '
        "1.34.1-gke.1829001, Dataplane V2). Raise the version; below it these networks need VPCs that Espalier does "
        "not make."
    )


@pytest.mark.parametrize(
    ("release", "wrong"),
    [
        ("1.34.1-gke.1829000", True),
        ("1.34.0-gke.9999999", True),
        ("1.33.9-gke.1829001", True),
        ("1.34.1-gke.1829001", False),
        ("1.34.10-gke.1", False),
        ("1.35.0-gke.1", False),
    ],
)
def test_nodes_that_are_too_old_for_the_fast_network_are_told_from_which_on(release: str, wrong: bool) -> None:
    """DRANET, which cluster-toolkit gates so, attaches the networks: of the nodes' version, not of the cluster's."""
    mistakes = mistakes_of(CLUSTER, [SYSTEM, h100(image={"release": release})])
    assert [mistake.text() for mistake in mistakes] == (
        [
            f"{POOL}.image.release: got {release}; accepted: 1.34.1-gke.1829001 or later: DRANET attaches "
            "a3-highgpu-8g's networks from there on. Raise it, or set fabric: false."
        ]
        if wrong
        else []
    )
    assert mistakes_of(CLUSTER, [SYSTEM, h100(image={"release": release}, fabric=False)]) == []


SYSTEMS: list[tuple[str, list[dict[str, Any]], str, str]] = [
    (
        "no plain pool",
        [gpu()],
        "espalier:pools",
        "got pools with accelerators alone; accepted: a pool that cluster components run on. "
        "Add {name: system, machine: {cpu: 4, memory: 16Gi}, nodes: {min: 1, max: 3}}.",
    ),
    (
        "spot for cluster components",
        [SYSTEM | {"capacity": ["spot"]}],
        "espalier:pools[0].capacity[0]",
        "got spot; accepted: on-demand or reserved: cluster components run on this pool. "
        "Put on-demand first, or make a pool of its own: {name: system, machine: ..., nodes: {min: 1, max: 3}}.",
    ),
    (
        "a taint that GKE's pods do not tolerate",
        [SYSTEM | {"taints": [{"key": "dedicated"}]}],
        "espalier:pools[0].taints",
        "got dedicated; accepted: none on the pool that cluster components run on: GKE's own pods tolerate none. "
        "Remove them, or make a pool of its own for cluster components.",
    ),
    (
        "no node for cluster components",
        [SYSTEM | {"nodes": {"max": 3}}],
        "espalier:pools[0].nodes.min",
        "got 0; accepted: at least 1 on the pool that cluster components run on. Raise it.",
    ),
    (
        "more pods than addresses",
        [SYSTEM | {"nodes": {"min": 1, "max": 2000}}],
        "espalier:cluster.network.pods",
        "got 100.64.0.0/14; accepted: at least a /13: all pools at their maxima take 512000 addresses, 100.64.0.0/14 "
        "has 262144. Widen it, or lower pools' nodes.max or max-pods.",
    ),
]


@pytest.mark.parametrize(("pools", "path", "text"), [case[1:] for case in SYSTEMS], ids=[case[0] for case in SYSTEMS])
def test_pools_that_lack_something_together(pools: list[dict[str, Any]], path: str, text: str) -> None:
    (mistake,) = mistakes_of(CLUSTER, pools)
    assert mistake.text() == f"{path}: {text}"


KEY = "projects/example-ml/locations/europe-west4/keyRings/ml/cryptoKeys/secrets"
GIVEN = {"endpoint": "10.0.0.2", "certificate": "QQ=="}
CLUSTERS: list[tuple[str, dict[str, Any], str, str]] = [
    (
        "no way in",
        {"access": None},
        f"{HERE}.access",
        "got nothing; accepted: how the deployer reaches a private API. "
        "Add access: {via: dns-endpoint} (a Google identity is asked for), or network, tunnel or public.",
    ),
    (
        "a tunnel to nowhere",
        {"access": {"via": "tunnel"}},
        f"{HERE}.access.proxy",
        "got nothing; accepted: the tunnel's local end. "
        "Add proxy: https://127.0.0.1:<port> for a port that is forwarded to the API, or socks5:// or http:// for a "
        "proxy.",
    ),
    (
        "a proxy without a tunnel",
        {"access": {"via": "network", "proxy": "http://127.0.0.1:8888"}},
        f"{HERE}.access.proxy",
        "got http://127.0.0.1:8888; accepted: a proxy of via: tunnel. Remove it, or write via: tunnel.",
    ),
    (
        "public for nobody",
        {"access": {"via": "public"}},
        f"{HERE}.access.cidrs",
        "got nothing; accepted: who may reach the public endpoint. "
        "Name the ranges, or use via: dns-endpoint, which needs none.",
    ),
    (
        "a private endpoint for nobody",
        {
            "access": {"via": "tunnel", "proxy": "http://127.0.0.1:8888"},
            "network": {"id": "shared", "subnets": ["nodes"]},
            "pods-range": "pods",
            "services-range": "services",
        },
        f"{HERE}.access.cidrs",
        "got nothing; accepted: who may reach the private endpoint from a given network. "
        "Name the ranges that the deployer, or the tunnel's far end, stands in.",
    ),
    (
        "public for the world",
        {"access": {"via": "public", "cidrs": ["0.0.0.0/0"]}},
        f"{HERE}.access.cidrs[0]",
        "got 0.0.0.0/0; accepted: ranges that are not the whole world. "
        "Name the ranges, or use via: dns-endpoint, which asks for a Google identity.",
    ),
    (
        "an administrator of AWS",
        {"access": {"via": "dns-endpoint", "admins": ["arn:aws:iam::123456789012:role/platform"]}},
        f"{HERE}.access.admins[0]",
        "got 'arn:aws:iam::123456789012:role/platform'; accepted: a Google identity: user:, group: or serviceAccount: "
        "and an email, or principal://.... Write it with its prefix.",
    ),
    (
        "Karpenter",
        {"autoscaler": "karpenter"},
        f"{HERE}.autoscaler",
        "got karpenter; accepted: managed or none: GKE runs its own autoscaler. "
        "Remove it; `auto-provisioning` lets GKE make pools by itself.",
    ),
    (
        "auto-provisioning without its autoscaler",
        {"autoscaler": "none", "auto-provisioning": {"cpu": 100, "memory": "400Gi"}},
        f"{HERE}.auto-provisioning",
        "got auto-provisioning; accepted: autoscaler: managed, of which it is a part. Remove one of the two.",
    ),
    (
        "limits below the pools",
        {"auto-provisioning": {"cpu": 8, "memory": "400Gi"}},
        f"{HERE}.auto-provisioning.cpu",
        "got 8; accepted: at least 12, the pools at their maxima. "
        "Raise it, or lower pools' nodes.max: it limits them, too.",
    ),
    (
        "a file system of AWS",
        {"storage": {"type": "efs"}},
        f"{HERE}.storage.type",
        "got efs; accepted: filestore: Google Cloud's. Write filestore, or remove `storage`.",
    ),
    (
        "a share without its address",
        {"storage": {"type": "filestore", "id": "models"}},
        f"{HERE}.storage.id",
        "got 'models'; accepted: a share as clients mount it, such as 10.0.0.2:/models. "
        "Write the instance's address and its share's name.",
    ),
    (
        "a key elsewhere",
        {"keys": {"secrets": KEY}},
        f"{HERE}.keys.secrets",
        "got a key in europe-west4; accepted: a key in us-central1: GKE takes none from elsewhere. "
        "Name another key, or remove it: one is made.",
    ),
    (
        "a key of AWS",
        {"keys": {"disks": "arn:aws:kms:us-east-1:123456789012:key/1"}},
        f"{HERE}.keys.disks",
        "got 'arn:aws:kms:us-east-1:123456789012:key/1'; accepted: "
        "projects/<project>/locations/<region>/keyRings/<ring>/cryptoKeys/<key>. Write the key's whole path.",
    ),
    (
        "a pause too long",
        {"exclusions": [{"name": "freeze", "start": "2026-11-01", "end": "2027-01-31", "scope": "no-upgrades"}]},
        f"{HERE}.exclusions[0].end",
        "got 2027-01-31; accepted: at most 30 days for no-upgrades. Shorten it, or choose no-minor-or-node-upgrades.",
    ),
    (
        "a pause that ends before it begins",
        {"exclusions": [{"name": "freeze", "start": "2026-11-01", "end": "2026-10-01"}]},
        f"{HERE}.exclusions[0].end",
        "got 2026-10-01; accepted: a day after 2026-11-01. Correct it.",
    ),
    (
        "ranges that collide",
        {"network": {"cidr": "10.0.0.0/8", "pods": "10.4.0.0/14"}},
        f"{HERE}.network.pods",
        "got 10.4.0.0/14; accepted: a range beside network.cidr, which is 10.0.0.0/8. Change one of the two.",
    ),
    (
        "a range for a given network",
        {
            "network": {"id": "shared", "subnets": ["nodes"], "cidr": "10.0.0.0/16"},
            "pods-range": "pods",
            "services-range": "services",
        },
        f"{HERE}.network.cidr",
        "got 10.0.0.0/16; accepted: nothing: the given subnetwork has its ranges already. Remove it, or remove `id`.",
    ),
    (
        "a given network without its pods' range",
        {"network": {"id": "shared", "subnets": ["nodes"]}, "services-range": "services"},
        f"{HERE}.pods-range",
        "got nothing; accepted: the name of the given subnetwork's secondary range. Add pods-range: <name>.",
    ),
    (
        "a control plane's range of another size",
        {"master-cidr": "172.16.0.0/24"},
        f"{HERE}.master-cidr",
        "got 172.16.0.0/24; accepted: a /28. Write one of 16 addresses.",
    ),
    (
        "one label for two tags",
        {"tags": {"Team": "a", "team": "b"}},
        f"{HERE}.tags.team",
        "got team, the label team of Google Cloud, as Team is; accepted: tags that differ in lower-case letters, "
        "digits, - and _. Rename one of them.",
    ),
    (
        "a label of Espalier's",
        {"tags": {"managed-by": "us"}},
        f"{HERE}.tags.managed-by",
        "got managed-by; accepted: nothing: Espalier sets the label managed-by itself. Remove it, or rename it.",
    ),
    (
        "a zone of another region",
        {"zones": ["us-east1-b"]},
        f"{HERE}.zones[0]",
        "got 'us-east1-b'; accepted: zones of us-central1: us-central1-a, us-central1-b, us-central1-c, "
        "us-central1-f, us-central1-ai1a. Correct it.",
    ),
    (
        "a region that nobody knows",
        {"region": "us-centrall1"},
        f"{HERE}.region",
        "got 'us-centrall1'; accepted: a region of gcp: us-central1, me-central1, me-central2, europe-central2. "
        "Correct the region; where it is newer than this table, give its `zones`.",
    ),
    (
        "a given network without its subnetwork",
        {"network": {"id": "projects/p/global/networks/n"}, "pods-range": "pods", "services-range": "services"},
        f"{HERE}.network.subnets",
        "got 0; accepted: the one subnetwork of the region that nodes stand in. Name it.",
    ),
    (
        "a subnetwork of no network",
        {"network": {"subnets": ["nodes"]}},
        f"{HERE}.network.subnets",
        "got nodes; accepted: subnets of a given network. Add network.id, or remove `subnets`.",
    ),
    (
        "a range of no subnetwork",
        {"pods-range": "pods"},
        f"{HERE}.pods-range",
        "got pods; accepted: a range of a given subnetwork. Remove it, or name a given network by network.id.",
    ),
    (
        "limits of devices that nobody has",
        {"auto-provisioning": {"cpu": 1000, "memory": "4000Gi", "devices": {"H-100": 8}}},
        f"{HERE}.auto-provisioning.devices.H-100",
        "got 'H-100'; accepted: accelerators: T4, V100-16, L4, A100-40, A100-80, H100-80, H200, B200, RTX-PRO-6000, "
        "TPU-v5e, TPU-v5p, TPU-v6e. Write one of these.",
    ),
    (
        "limits below the pools' own memory",
        {"auto-provisioning": {"cpu": 1000, "memory": "40Gi"}},
        f"{HERE}.auto-provisioning.memory",
        "got 40Gi; accepted: at least 48Gi, the pools at their maxima. "
        "Raise it, or lower pools' nodes.max: it limits them, too.",
    ),
    (
        "fewer addresses than nodes",
        {"network": {"cidr": "10.0.0.0/30"}},
        f"{HERE}.network.cidr",
        "got 10.0.0.0/30; accepted: at least 3 addresses: 10.0.0.0/30 has 0 for nodes. "
        "Widen it, or lower pools' nodes.max.",
    ),
    (
        "storage for a cluster that is there",
        {"given": GIVEN, "storage": {"type": "filestore"}},
        f"{HERE}.storage",
        "got a part of a given cluster; accepted: nothing: it has its own. Remove it, or remove `given`.",
    ),
    (
        "a cluster that is there, elsewhere",
        {"given": GIVEN | {"location": "europe-west4-a"}},
        f"{HERE}.given.location",
        "got europe-west4-a; accepted: us-central1, or a zone of it. Correct it, or the region.",
    ),
]


@pytest.mark.parametrize(("keys", "path", "text"), [case[1:] for case in CLUSTERS], ids=[case[0] for case in CLUSTERS])
def test_a_wrong_cluster_is_told_with_what_would_do(keys: dict[str, Any], path: str, text: str) -> None:
    found = mistakes_of({key: value for key, value in (CLUSTER | keys).items() if value is not None}, [SYSTEM])
    assert [mistake.text() for mistake in found] == [f"{path}: {text}"]


def test_all_mistakes_are_told_at_once() -> None:
    cluster = CLUSTER | {"storage": {"type": "efs"}, "access": {"via": "tunnel"}}
    found = mistakes_of(cluster, [SYSTEM, gpu(surge=50), v6e(name="q", nodes={"max": 6})])
    assert {mistake.path for mistake in found} == {
        f"{HERE}.storage.type",
        f"{HERE}.access.proxy",
        f"{POOL}.surge",
        "espalier:pools[2].nodes.max",
    }


def test_what_is_right_has_no_mistakes() -> None:
    assert mistakes_of(CLUSTER, [SYSTEM, gpu(), h100(name="h"), v6e(name="v")]) == []
