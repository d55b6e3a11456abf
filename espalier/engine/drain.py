"""What others made inside namespaces and definitions of ours, which goes when those go.

Load balancers, Ingresses and custom resources are deleted first, while the controllers that clean up behind them
live. Claims hold data: without consent nothing is deleted at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from espalier.engine.cluster import Cluster
from espalier.engine.errors import Problem, RefusedError
from espalier.engine.inventory import Entry
from espalier.engine.order import Drain
from espalier.kube import ApiError, Client, Kind, Manifest, Reference, UnknownKindError, reference_of

_AT_ONCE = 8
_CLAIM = Kind("v1", "PersistentVolumeClaim")
_SERVICE = Kind("v1", "Service")
_INGRESS = Kind("networking.k8s.io/v1", "Ingress")
_DEFINITION = Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition")
_NAMESPACE = Kind("v1", "Namespace")


@dataclass(frozen=True)
class Survey:
    """What was found, before anything is deleted."""

    drains: tuple[Drain, ...] = ()
    found: tuple[Reference, ...] = ()
    """What the drains will delete, as far as it is there already."""
    claims: tuple[Problem, ...] = ()
    """Claims of others, and namespaces of ours that go with their owner: the data in them would be lost."""
    custom: frozenset[tuple[str, str]] = frozenset()
    """Group and kind of all custom resources of the cluster."""

    def refuse_claims(self) -> None:
        """Raises RefusedError naming each claim."""
        if self.claims:
            message = "nothing was deleted: volume claims that are not of this stack would lose their data"
            if all(problem.reason.startswith("Namespace ") for problem in self.claims):
                message = "nothing was deleted: namespaces that the stack keeps would go, with the data in them"
            raise RefusedError(message, self.claims)


def survey(cluster: Cluster, entries: Iterable[Entry]) -> Survey:
    """Looks for things of others that go when `entries` go. Raises KubeError."""
    going = [entry for entry in entries if not entry.retain and cluster.live(entry.reference) is not None]
    owned = _owned(cluster, going) if going else {}
    namespaces = {**owned, **{e.reference.name: e for e in going if e.reference.kind == _NAMESPACE}}
    ours = {e.reference.name for e in going if e.reference.key[:2] == (_DEFINITION.group, _DEFINITION.kind)}
    definitions = cluster.client.list(_DEFINITION)
    custom = frozenset((each["spec"]["group"], each["spec"]["names"]["kind"]) for each in definitions)
    inside = frozenset(namespaces)
    drains = [Drain(_kind_of(each), None, each["metadata"]["name"]) for each in definitions if _name(each) in ours]
    if inside:
        scoped = [d for d in definitions if _name(d) not in ours and d["spec"]["scope"] == "Namespaced"]
        drains += [Drain(kind, inside) for kind in (_SERVICE, _INGRESS, *(_kind_of(each) for each in scoped))]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        lists = list(pool.map(lambda drain: list(left_of(drain, cluster)), drains))
    # A definition of ours may come to more instances while its controller lives; of others', only what is there counts.
    kept = [(d, found) for d, found in zip(drains, lists, strict=True) if found or d.definition]
    claims = [*_claims(cluster, namespaces), *_taken_along(cluster, owned, going)] if inside else []
    return Survey(
        drains=tuple(drain for drain, _ in kept),
        found=tuple(sorted(reference_of(obj) for _, found in kept for obj in found)),
        claims=tuple(sorted(claims)),
        custom=custom,
    )


def left_of(drain: Drain, cluster: Cluster) -> Iterator[dict[str, Any]]:
    """The live objects that a drain has to take away."""
    for obj in _list(cluster.client, drain.kind):
        reference = reference_of(obj)
        if drain.namespaces is not None and reference.namespace not in drain.namespaces:
            continue
        if drain.kind == _SERVICE and obj["spec"].get("type") != "LoadBalancer":
            continue
        if reference.key not in cluster.inventory.entries:
            yield obj


def _owned(cluster: Cluster, going: Iterable[Entry]) -> dict[str, Entry]:
    """Namespaces that go with an object that goes: Kubernetes collects what lost its last owner.

    Such as one that Kubeflow's controller made for a Profile, and that the stack took over since (profile-controller,
    profile_controller.go: SetControllerReference).
    """
    owners = {live["metadata"]["uid"]: entry for entry in going if (live := cluster.live(entry.reference)) is not None}
    found: dict[str, Entry] = {}
    for namespace in _list(cluster.client, _NAMESPACE):
        uids = [owner["uid"] for owner in namespace["metadata"].get("ownerReferences") or ()]
        if uids and all(uid in owners for uid in uids):
            found[_name(namespace)] = owners[uids[0]]
    return found


def _taken_along(cluster: Cluster, owned: dict[str, Entry], going: Iterable[Entry]) -> list[Problem]:
    """Namespaces that the stack keeps, and that would go with their owner all the same."""
    kept = {e.reference.name for e in cluster.inventory.entries.values() if e.reference.kind == _NAMESPACE}
    kept -= {entry.reference.name for entry in going if entry.reference.kind == _NAMESPACE}
    patch = """'[{"op": "remove", "path": "/metadata/ownerReferences"}]'"""
    return [
        Problem(
            entry.urn,
            f"Namespace {name} goes with {entry.reference}, which owns it, though the stack keeps it",
            f"take its owner off: kubectl patch namespace {name} --type json -p {patch}; or say --delete-data",
        )
        for name, entry in owned.items()
        if name in kept
    ]


def _claims(cluster: Cluster, namespaces: dict[str, Entry]) -> list[Problem]:
    do = "save its data and delete it, or say --delete-data to lose it"
    return [
        Problem(namespaces[_where(claim)].urn, f"{reference_of(claim)} ({_size(claim)}) goes with its namespace", do)
        for claim in _list(cluster.client, _CLAIM)
        if _where(claim) in namespaces and reference_of(claim).key not in cluster.inventory.entries
    ]


def _list(client: Client, kind: Kind) -> list[dict[str, Any]]:
    try:
        return client.list(kind)
    except UnknownKindError:
        return []
    except ApiError as error:
        if error.status == 404:
            return []
        raise


def _kind_of(definition: Manifest) -> Kind:
    spec = definition["spec"]
    served = [version["name"] for version in spec["versions"] if version.get("served")]
    stored = [version["name"] for version in spec["versions"] if version.get("storage")]
    version = next((name for name in stored if name in served), (served or stored)[0])
    return Kind(f"{spec['group']}/{version}", spec["names"]["kind"])


def _name(obj: Manifest) -> str:
    return obj["metadata"]["name"]


def _where(obj: Manifest) -> str:
    return obj["metadata"].get("namespace", "")


def _size(claim: Manifest) -> str:
    return (claim["spec"].get("resources") or {}).get("requests", {}).get("storage", "no size")
