"""Objects that the program wants and that someone else made: told with who and what to do, or taken over.

An object is ours when the stack's inventory has it. Any other that lives already belongs to someone: to another tool
that marks what is its own, to a person's kubectl, to another stack. Server-side apply would take it over in silence
wherever the values agree, and `destroy` would delete it later. What a stack let go of and `destroy` leaves again
(definitions, volumes, their namespaces) is taken back.

Marks: Helm 3 `meta.helm.sh/release-name`; Argo CD `argocd.argoproj.io/tracking-id` (docs, "Resource Tracking"); Flux
`kustomize.toolkit.fluxcd.io/name` and `helm.toolkit.fluxcd.io/name`; Pulumi's Kubernetes provider calls its field
managers `pulumi-kubernetes...`; controllers set `metadata.ownerReferences`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from espalier.engine.changes import Change
from espalier.engine.cluster import Cluster
from espalier.engine.errors import Problem, RefusedError
from espalier.engine.inventory import Entry, Key, other_stacks
from espalier.engine.ownership import may_be_ours
from espalier.engine.target import Target
from espalier.kube import FIELD_MANAGER, Manifest, Reference

_RELEASE = "meta.helm.sh/release-name"
_RELEASE_NAMESPACE = "meta.helm.sh/release-namespace"
_TRACKING = "argocd.argoproj.io/tracking-id"
_INSTANCE = "argocd.argoproj.io/instance"
_FLUX = ("kustomize.toolkit.fluxcd.io", "helm.toolkit.fluxcd.io")
_MANAGED_BY = "app.kubernetes.io/managed-by"
_CLUSTERS_OWN = frozenset({"clusterrole-aggregation-controller", "kube-apiserver", "kube-controller-manager"})
"""Field managers of the control plane: what they alone made needs no adopting."""
_TENANT = "espalier.dev/tenant"


@dataclass(frozen=True)
class Owner:
    """Who has an object."""

    who: str
    """For people."""
    marked: bool
    """Whether the object carries a tool's own mark; otherwise only its field managers tell."""


def owner_of(live: Manifest) -> Owner | None:
    """Tells who made an object; None for what the cluster itself made."""
    tool = _tool(live)
    if tool:
        return Owner(tool, marked=True)
    managers = _managers(live)
    if not managers and live["kind"] == "ServiceAccount":
        # Those that the control plane makes have no fields at all, so nobody manages any.
        return None
    others = sorted(managers - _CLUSTERS_OWN)
    if managers and not others:
        return None
    if others == [FIELD_MANAGER]:
        return Owner("Espalier, but no stack has it in its inventory", marked=False)
    return Owner(f"field manager {', '.join(others)}" if others else "someone (it does not tell who)", marked=False)


def _tool(live: Manifest) -> str:
    metadata = live["metadata"]
    notes, labels = metadata.get("annotations") or {}, metadata.get("labels") or {}
    if _RELEASE in notes:
        return f"Helm release {notes.get(_RELEASE_NAMESPACE, '?')}/{notes[_RELEASE]}"
    if _TRACKING in notes or _INSTANCE in labels:
        return f"Argo CD application {notes.get(_TRACKING, '').partition(':')[0] or labels.get(_INSTANCE)}"
    for prefix in _FLUX:
        if f"{prefix}/name" in labels:
            return (
                f"Flux {prefix.partition('.')[0]} {labels.get(f'{prefix}/namespace', '?')}/{labels[f'{prefix}/name']}"
            )
    pulumi = sorted(manager for manager in _managers(live) if manager.startswith("pulumi-"))
    if pulumi or labels.get(_MANAGED_BY) == "pulumi":
        return f"Pulumi's own engine{f' (field manager {pulumi[0]})' if pulumi else ''}"
    controllers = [owner for owner in metadata.get("ownerReferences") or () if owner.get("controller")]
    return f"the controller of {controllers[0]['kind']} {controllers[0]['name']}" if controllers else ""


def _managers(live: Manifest) -> set[str]:
    entries = live["metadata"].get("managedFields") or ()
    return {entry["manager"] for entry in entries if entry.get("manager") and not entry.get("subresource")}


_LEFT = Owner("a stack of Espalier that had left it here", marked=False)


@dataclass
class Adoption:
    """Looks at what lives before it is applied for the first time. `admit` may be called from many threads."""

    allowed: bool
    """Whether what others made is taken over (`--adopt`)."""
    progress: Callable[[str], None] = lambda _: None
    adopted: dict[str, Owner] = field(default_factory=dict[str, Owner])
    """URN -> from whom, of all that is taken over."""
    _stacks: dict[Key, str] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def survey(self, cluster: Cluster, targets: Iterable[Target]) -> None:
        """Raises RefusedError with all objects of others among the targets; nothing is written."""
        targets = list(targets)
        named = [target for target in targets if target.reference is not None]
        cluster.load({target.kind for target in targets})
        found = [self._problem(target) for target in sorted(named, key=lambda target: target.resource.urn)]
        problems = [problem for problem in found if problem is not None]
        if problems:
            raise RefusedError("nothing was changed: objects that the program wants belong to others", problems)

    def admit(self, target: Target) -> None:
        """Lets an object through to be applied, with its identity in the inventory before.

        Raises RefusedError where it belongs to someone else: its name was not known before.
        """
        inventory, reference = target.cluster.inventory, target.known
        if reference.key in inventory.entries:
            return
        problem = self._problem(target)
        if problem is not None:
            raise RefusedError(problem.reason, [problem])
        inventory.expect([target.entry()])

    def noted(self, changes: Iterable[Change]) -> list[Change]:
        """The changes, those of what is taken over with from whom."""
        return [
            replace(change, notes=(*change.notes, f"taken over from {self.adopted[change.urn].who}"))
            if change.urn in self.adopted
            else change
            for change in changes
        ]

    def _problem(self, target: Target) -> Problem | None:
        urn, live = target.resource.urn, target.live()
        if live is None or urn in self.adopted:
            return None
        reference = target.known
        entry = target.cluster.inventory.entries.get(reference.key)
        if entry is not None and _is_ours(entry, live):
            return None
        stack = self._other_stacks(target.cluster).get(reference.key)
        if stack is not None:
            do = f"give it another name, or have {stack} let go of it (retainOnDelete, or its destroy)"
            return Problem(urn, f"{reference} belongs to the stack {stack}", do)
        owner = owner_of(live)
        if owner is None or (entry is not None and entry.uid and not owner.marked):
            # The cluster's own; or ours, which someone deleted and made anew by hand.
            return None
        if not owner.marked and _was_left(target, live):
            self.adopted[urn] = _LEFT
            return None
        return self._adopt(urn, reference, owner)

    def _adopt(self, urn: str, reference: Reference, owner: Owner) -> Problem | None:
        if not self.allowed:
            do = "give it another name, or take it over: `espalier up --adopt`"
            return Problem(urn, f"{reference} lives already and belongs to {owner.who}", do)
        self.adopted[urn] = owner
        self.progress(f"taking over {reference} from {owner.who}")
        return None

    def _other_stacks(self, cluster: Cluster) -> dict[Key, str]:
        with self._lock:
            if self._stacks is None:
                self._stacks = other_stacks(cluster.client, cluster.inventory.stack_id)
            return self._stacks


def _was_left(target: Target, live: Manifest) -> bool:
    """Tells whether a stack made an object, let go of it (`retainOnDelete`) and comes back to it.

    What a tenant left behind is not for whoever comes next under its name: that takes `--adopt`.
    """
    labels = live["metadata"].get("labels") or {}
    return target.entry().retain and may_be_ours(live) and _TENANT not in labels


def _is_ours(entry: Entry, live: dict[str, Any]) -> bool:
    """An entry without a UID was about to be applied when a run died: only the object itself tells whether it was."""
    return live["metadata"]["uid"] == entry.uid if entry.uid else may_be_ours(live)
