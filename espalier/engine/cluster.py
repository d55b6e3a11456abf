"""The cluster that one run works on: its connection, inventory, and what lives there by kind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from espalier.engine.errors import Problem, RefusedError
from espalier.engine.inventory import Entry, Inventory, Key
from espalier.engine.model import Resource
from espalier.engine.names import Names
from espalier.engine.replaced import Replaced
from espalier.engine.values import Json, has_unknown, reveal
from espalier.kube import Client, Kind, Kubeconfig, KubeError, Reference, UnknownKindError

Connect = Client | Kubeconfig | Path | str | Callable[[], Client]
"""What a connection can be made from: a client, a kubeconfig or its path or text, or a function."""

_LISTS_AT_ONCE = 8
_PROVIDER_INPUTS = frozenset(
    {
        "cluster",
        "clusterIdentifier",
        "context",
        "enableServerSideApply",
        "kubeconfig",
        "namespace",
        "suppressDeprecationWarnings",
        "suppressHelmHookWarnings",
    }
)


def connect(source: Connect) -> Client:
    """Makes a client. Raises KubeconfigError."""
    if isinstance(source, Client):
        return source
    if callable(source):
        return source()
    return Client.connect(source)


class Cluster:
    """One cluster during one run. What lives there is read once, one list a kind."""

    def __init__(self, client: Client, project: str, stack: str) -> None:
        self.client = client
        self.inventory = Inventory.load(client, project, stack)
        self._lock = threading.Lock()
        self._listed: set[Kind] = set()
        self._live: dict[Key, dict[str, Any]] = {}
        self._recorded: dict[str, list[Entry]] = {}
        for entry in self.inventory.entries.values():
            self._recorded.setdefault(entry.urn, []).append(entry)
        self.names = Names()
        """What the run calls objects without a name of their own."""
        self.replaced = Replaced()
        """What the run replaces."""
        self.load({entry.reference.kind for entry in self.inventory.entries.values()})

    def load(self, kinds: Iterable[Kind]) -> None:
        """Lists the kinds that were not listed yet, several at once."""
        with self._lock:
            missing = sorted(set(kinds) - self._listed)
            self._listed.update(missing)
        if not missing:
            return
        with ThreadPoolExecutor(min(len(missing), _LISTS_AT_ONCE)) as pool:
            for items in pool.map(self._list, missing):
                for item in items:
                    self.remember(item)

    def _list(self, kind: Kind) -> list[dict[str, Any]]:
        try:
            return self.client.list(kind)
        except UnknownKindError:
            return []

    def remember(self, live: dict[str, Any]) -> None:
        """Takes a newer state of an object."""
        self._live[_key(live)] = live

    def forget(self, reference: Reference) -> None:
        """Takes an object's deletion."""
        self._live.pop(reference.key, None)

    def live(self, reference: Reference) -> dict[str, Any] | None:
        """The object as it lives, or None; its kind must have been loaded."""
        return self._live.get(reference.key)

    def entries_of(self, urns: Iterable[str], kind: Kind) -> list[Entry]:
        """What the inventory had of a kind under these URNs when the run began, in the order of the URNs."""
        known = (entry for urn in urns for entry in self._recorded.get(urn, ()))
        return [entry for entry in known if entry.reference.key[:2] == (kind.group, kind.kind)]


def _key(live: dict[str, Any]) -> Key:
    """`Reference.key`, without the objects between: every live object of a kind comes here."""
    metadata = live["metadata"]
    return (live["apiVersion"].rpartition("/")[0], live["kind"], metadata.get("namespace") or "", metadata["name"])


class Clusters:
    """Finds the cluster of a resource: the one of its provider, else the default one.

    One run works on one cluster; a second is refused by name.
    """

    def __init__(self, default: Connect | None, project: str, stack: str) -> None:
        self._default = default
        self._project = project
        self._stack = stack
        self._lock = threading.Lock()
        self._providers: dict[str, Mapping[str, Json]] = {}
        self._namespaces: dict[str, str] = {}
        self._clients: dict[str, Client] = {}
        self._failure: KubeError | None = None
        self.cluster: Cluster | None = None

    def declare(self, provider: Resource) -> None:
        """Takes a provider that the program registered."""
        self._providers[provider.urn] = provider.inputs

    def of(self, resource: Resource) -> Cluster:
        """Gives the resource's cluster. Raises RefusedError, KubeError."""
        with self._lock:
            client = self._clients.get(resource.provider)
            if client is None:
                client = self._clients[resource.provider] = self._connect(resource)
            if self.cluster is None:
                self.cluster = self._open(client)
            self._refuse_another(resource, client.kubeconfig, self.cluster.client.kubeconfig)
            return self.cluster

    def _open(self, client: Client) -> Cluster:
        """Looks at the cluster once: one that does not answer would be asked anew, and awaited, for each resource."""
        if self._failure is not None:
            raise self._failure
        try:
            return Cluster(client, self._project, self._stack)
        except KubeError as error:
            self._failure = error
            raise

    def _refuse_another(self, resource: Resource, mine: Kubeconfig, others: Kubeconfig) -> None:
        if mine is others:
            return
        if mine.server != others.server:
            reason = f"is for {mine.server}, others are for {others.server}"
            raise _refusal(resource, reason, "keep one cluster a stack, or use `pulumi up`")
        if replace(mine, context="", namespace="") != replace(others, context="", namespace=""):
            reason = f"reaches {mine.server} as the user of context {mine.context}, others as that of {others.context}"
            raise _refusal(resource, reason, "use one user a stack, or use `pulumi up`")

    def default_cluster(self) -> Cluster | None:
        """The cluster in use, else the default one where there is any."""
        if self.cluster is None and self._default is not None:
            self.cluster = Cluster(connect(self._default), self._project, self._stack)
        return self.cluster

    def namespace(self, resource: Resource) -> str:
        """The namespace of an object that names none."""
        given = self._namespaces.get(resource.provider)
        return given or self._clients[resource.provider].kubeconfig.namespace

    def _connect(self, resource: Resource) -> Client:
        inputs = self._providers.get(resource.provider)
        if inputs is None:
            if self._default is None:
                raise _refusal(
                    resource, "has no provider", "give it `provider=`, since the ambient kubeconfig is never read"
                )
            return connect(self._default)
        unknown = sorted(inputs.keys() - _PROVIDER_INPUTS)
        if unknown:
            raise _refusal(resource, f"its provider sets {', '.join(unknown)}", "leave that out, or use `pulumi up`")
        if not inputs.get("kubeconfig"):
            raise _refusal(resource, "its provider has no kubeconfig", "set it, since the ambient one is never read")
        if has_unknown(inputs["kubeconfig"]):
            raise _refusal(resource, "its provider's kubeconfig is not known before an apply", "use `pulumi up`")
        self._namespaces[resource.provider] = str(reveal(inputs.get("namespace")) or "")
        context = reveal(inputs.get("context"))
        return Client.connect(str(reveal(inputs["kubeconfig"])), context)


def _refusal(resource: Resource, reason: str, do: str) -> RefusedError:
    return RefusedError("the program asks for what this engine does not do", [Problem(resource.urn, reason, do)])
