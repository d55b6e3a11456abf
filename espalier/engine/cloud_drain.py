"""What controllers made outside of a stack's state, taken away while these controllers still live.

A load balancer, a volume or a machine that a controller made in the cloud is in no state of Pulumi's: once the cluster
is gone nobody deletes it, it is paid for, and it holds up the deletion of the network that it stands in.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from espalier.engine.cluster import Cluster
from espalier.engine.drain import Survey, left_of
from espalier.engine.errors import ApplyFailed, Problem, RefusedError
from espalier.engine.order import Drain
from espalier.engine.removal import Consent, Remover
from espalier.engine.watcher import Watcher
from espalier.kube import ApiError, Client, Kind, Reference, UnknownKindError, reference_of

Progress = Callable[[str], None]
Json = dict[str, Any]

NODE_POOL = Kind("karpenter.sh/v1", "NodePool")
NODE_CLAIM = Kind("karpenter.sh/v1", "NodeClaim")
DEPLOYMENT = Kind("apps/v1", "Deployment")
CLAIM = Kind("v1", "PersistentVolumeClaim")
VOLUME = Kind("v1", "PersistentVolume")
POD = Kind("v1", "Pod")
ADDRESSED = (
    Kind("v1", "Service"),
    Kind("networking.k8s.io/v1", "Ingress"),
    Kind("gateway.networking.k8s.io/v1", "Gateway"),
)
"""Kinds for which controllers make load balancers; of Services those of type LoadBalancer."""
_NAME = "app.kubernetes.io/name"
_AUTOSCALER = "cluster-autoscaler"
_SCALED_SECONDS, _VOLUME_SECONDS, _PAUSE = 60.0, 300.0, 1.0


@dataclass(frozen=True, slots=True)
class Outside:
    """What was found, before anything is deleted."""

    autoscalers: tuple[Reference, ...]
    """Deployments that are scaled to zero, so that no node comes back."""
    machines: tuple[Reference, ...]
    """NodePools and NodeClaims of Karpenter."""
    addressed: tuple[Reference, ...]
    claims: tuple[tuple[Reference, str], ...]
    """Volume claims with their sizes: their data would be lost."""

    def refuse_claims(self) -> None:
        """Raises RefusedError naming each claim."""
        if self.claims:
            do = "save its data and delete it, or say --delete-data to lose it"
            problems = [
                Problem(str(claim), f"{claim} ({size}) goes with its cluster", do) for claim, size in self.claims
            ]
            raise RefusedError("nothing was deleted: volume claims would lose their data", problems)


def look_outside(client: Client, project: str, stack: str) -> Outside:
    """Looks at the whole cluster, which is to go. Raises KubeError."""
    cluster = Cluster(client, project, stack)
    machines = [obj for kind in (NODE_POOL, NODE_CLAIM) for obj in left_of(Drain(kind, None), cluster)]
    addressed = [obj for kind in ADDRESSED for obj in left_of(Drain(kind, None), cluster)]
    return Outside(
        autoscalers=tuple(sorted(map(reference_of, _autoscalers(client)))),
        machines=tuple(sorted(map(reference_of, machines))),
        addressed=tuple(sorted(map(reference_of, addressed))),
        claims=tuple(sorted((reference_of(claim), _size(claim)) for claim in client.list(CLAIM))),
    )


def drain_cloud(client: Client, project: str, stack: str, progress: Progress, *, delete_data: bool = False) -> None:
    """Takes all of it away and waits until it is gone: autoscaling first, then machines, balancers, volumes.

    Raises RefusedError where data would be lost without consent (nothing was changed then), ApplyFailed for what does
    not go, KubeError.
    """
    found = look_outside(client, project, stack)
    if not delete_data:
        found.refuse_claims()
    cluster = Cluster(client, project, stack)
    watcher = Watcher(client, progress)
    try:
        _stop_autoscalers(client, found.autoscalers, progress)
        for kinds in ((NODE_POOL,), (NODE_CLAIM,), ADDRESSED):
            _take_away(cluster, watcher, progress, kinds)
        if found.claims:
            _delete_users(client, progress)
            volumes = _volumes(client)
            _take_away(cluster, watcher, progress, (CLAIM,), Consent(delete_data=True))
            _await_volumes(client, volumes, progress)
    finally:
        watcher.close()


def _take_away(
    cluster: Cluster,
    watcher: Watcher,
    progress: Progress,
    kinds: Iterable[Kind],
    consent: Consent = Consent(),  # noqa: B008 - frozen
) -> None:
    """Deletes all of some kinds and awaits that they are gone, those that controllers made meanwhile, too."""
    remover = Remover(cluster, watcher, progress, consent)
    remover.remove([], Survey(drains=tuple(Drain(kind, None) for kind in kinds)))
    if remover.errors:
        raise ApplyFailed(sorted(remover.errors), sorted(remover.skipped))


def _autoscalers(client: Client) -> list[Json]:
    found = client.list(DEPLOYMENT)
    return [each for each in found if _is_autoscaler(each) and each["spec"].get("replicas", 1)]


def _is_autoscaler(deployment: Json) -> bool:
    """By the label that charts and Espalier give, or by name."""
    metadata = deployment["metadata"]
    return _AUTOSCALER in (metadata.get("labels", {}).get(_NAME), metadata["name"])


def _stop_autoscalers(client: Client, autoscalers: Sequence[Reference], progress: Progress) -> None:
    for each in autoscalers:
        progress(f"scaling {each} to zero")
        client.patch(each.kind, each.name, {"spec": {"replicas": 0}}, namespace=each.namespace)
    for each in autoscalers:
        stopped = _until(lambda each=each: not _replicas(client, each), _SCALED_SECONDS)
        if not stopped:
            raise ApplyFailed(
                [Problem(str(each), f"{each} still runs {_SCALED_SECONDS:.0f} s after it was to stop")], []
            )


def _replicas(client: Client, reference: Reference) -> int:
    live = client.find_object(reference)
    return 0 if live is None else int(live.get("status", {}).get("replicas", 0))


def _delete_users(client: Client, progress: Progress) -> None:
    """Whatever runs on a claim is deleted at its root: a claim in use does not go, and its user would claim anew."""
    roots = {_root(client, pod) for pod in client.list(POD) if _uses_claim(pod)}
    for root in sorted(roots):
        progress(f"delete {root}, which uses a volume")
        try:
            client.delete(root.kind, root.name, root.namespace or None)
        except ApiError as error:
            if error.status != 404:
                raise


def _uses_claim(pod: Json) -> bool:
    return any("persistentVolumeClaim" in volume for volume in pod["spec"].get("volumes", []))


def _root(client: Client, obj: Json) -> Reference:
    """The topmost of the controllers that made an object."""
    reference = reference_of(obj)
    owner = next((each for each in obj["metadata"].get("ownerReferences", []) if each.get("controller")), None)
    if owner is None:
        return reference
    above = Reference(Kind(owner["apiVersion"], owner["kind"]), reference.namespace, owner["name"])
    try:
        live = client.find_object(above)
    except UnknownKindError:
        live = None
    return reference if live is None or live["kind"] == "Node" else _root(client, live)


def _volumes(client: Client) -> list[Reference]:
    """Volumes that go with their claims: their driver deletes the disk, and has to live until then."""
    return [
        reference_of(volume)
        for volume in client.list(VOLUME)
        if volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete" and "claimRef" in volume["spec"]
    ]


def _await_volumes(client: Client, volumes: Sequence[Reference], progress: Progress) -> None:
    if volumes:
        progress(f"waiting until {len(volumes)} volumes are deleted")
    gone = _until(lambda: not _still(client, volumes), _VOLUME_SECONDS)
    if not gone:
        do = "see why its driver does not delete it, or set its reclaim policy to Retain and keep the disk"
        problems = [Problem(str(each), f"{each} is still there", do) for each in _still(client, volumes)]
        raise ApplyFailed(problems, [])


def _still(client: Client, references: Iterable[Reference]) -> list[Reference]:
    return [each for each in references if client.find_object(each) is not None]


def _until(look: Callable[[], bool], seconds: float) -> bool:
    never, deadline = threading.Event(), time.monotonic() + seconds
    while not look():
        if time.monotonic() > deadline:
            return False
        never.wait(_PAUSE)
    return True


def _size(claim: Json) -> str:
    return str((claim["spec"].get("resources") or {}).get("requests", {}).get("storage", "no size"))
