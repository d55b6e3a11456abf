"""What a rule asks of the registered resources, built once: by kind, by namespace, which namespaces are tenants'."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, overload

from espalier.policies.values import UNKNOWN, at, is_hidden, listing, mapping, texts
from espalier.types import Registered

PLATFORM_TYPE = "espalier:index:Platform"
ADDON_TYPE = "espalier:index:Addon"
RENDERED = "rendered"
"""The property of an Addon that holds what Helm installs for it: lists of objects by the Release's resource name."""
TENANT_LABEL = "espalier.dev/tenant"


def api_group(resource: Registered) -> str:
    """The API group of a Kubernetes object ("core" for the legacy group), "" for anything else."""
    parts = resource.type.split(":")
    return parts[1].split("/")[0] if len(parts) == 3 and parts[0] == "kubernetes" else ""


def kind_of(resource: Registered) -> str:
    """The kind, also of the resource that patches an object of another owner (`DeploymentPatch`)."""
    return resource.kind.removesuffix("Patch")


def describe(resource: Registered) -> str:
    """How a message names a resource: "Deployment vision/trainer"."""
    metadata = mapping(resource.props.get("metadata"))
    name, namespace = metadata.get("name"), metadata.get("namespace")
    shown = name if isinstance(name, str) else resource.name
    where = f"{namespace}/" if isinstance(namespace, str) else ""
    return f"{kind_of(resource) or resource.type} {where}{shown}"


@dataclass(frozen=True, slots=True)
class Placed:
    """Objects of one kind by namespace; `unplaced` are those whose namespace is not known yet."""

    by_namespace: Mapping[str, Sequence[Registered]]
    unplaced: Sequence[Registered]

    def within(self, namespace: str) -> Sequence[Registered]:
        return self.by_namespace.get(namespace, ())


@dataclass(slots=True)
class Tenancy:
    """Namespaces of tenants, each with the URN to report it under, and what could not be told."""

    namespaces: dict[str, str] = field(default_factory=dict[str, str])
    unclear: list[str] = field(default_factory=list[str])


class Index(Sequence[Registered]):
    """The registered resources with look-ups, so that no rule scans them all for each namespace."""

    def __init__(self, resources: Iterable[Registered]) -> None:
        registered = tuple(resources)
        known = {name for resource in registered for name in _rendered(resource)}
        self._all = tuple(
            single
            for resource in registered
            if not (resource.type.startswith(_RELEASE) and resource.name in known)
            for single in _singles(resource)
        )
        self._kinds: dict[tuple[str, str], list[Registered]] = {}
        for resource in self._all:
            self._kinds.setdefault((api_group(resource), kind_of(resource)), []).append(resource)
        self._placed: dict[tuple[str, str], Placed] = {}

    @overload
    def __getitem__(self, index: int) -> Registered: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Registered, ...]: ...
    def __getitem__(self, index: int | slice) -> Registered | tuple[Registered, ...]:
        return self._all[index]

    def __len__(self) -> int:
        return len(self._all)

    def of(self, group: str, *kinds: str) -> list[Registered]:
        """The objects of these kinds of one API group ("core" for the legacy one)."""
        return [resource for kind in kinds for resource in self._kinds.get((group, kind), ())]

    def placed(self, group: str, kind: str) -> Placed:
        """The objects of a kind by namespace; one that names none is in "default"."""
        if (group, kind) not in self._placed:
            self._placed[group, kind] = _place(self.of(group, kind))
        return self._placed[group, kind]

    @cached_property
    def platforms(self) -> tuple[Registered, ...]:
        """The Platform components, by URN; more than one is unusual."""
        return tuple(sorted((r for r in self._all if r.type == PLATFORM_TYPE), key=lambda r: r.urn))

    @property
    def platform_urn(self) -> str:
        """The URN that findings about the platform's facts carry; "" where no Platform is registered."""
        return self.platforms[0].urn if self.platforms else ""

    def tenancy(self, facts: Mapping[str, Any] | None) -> Tenancy:
        """The namespaces that carry the tenant label, and those that the facts give to a tenant."""
        found = Tenancy()
        for namespace in sorted(self.of("core", "Namespace"), key=lambda n: n.urn):
            labels = at(namespace.props, "metadata", "labels")
            if is_hidden(labels):
                found.unclear.append(f"{describe(namespace)}: its labels are not known")
            elif mapping(labels).get(TENANT_LABEL) is not None:
                _add_namespace(found, namespace)
        for tenant in listing(mapping(facts).get("tenants")):
            for name in texts(mapping(tenant).get("namespaces")):
                found.namespaces.setdefault(name, self.platform_urn)
        return found


def index_of(resources: Sequence[Registered]) -> Index:
    """The resources with look-ups; an Index is given back as it is."""
    return resources if isinstance(resources, Index) else Index(resources)


def _add_namespace(found: Tenancy, namespace: Registered) -> None:
    name = at(namespace.props, "metadata", "name")
    if isinstance(name, str):
        found.namespaces.setdefault(name, namespace.urn)
    else:
        found.unclear.append(f"{describe(namespace)}: its name is not known, so nothing can be related to it")


def _place(resources: Sequence[Registered]) -> Placed:
    placed: dict[str, list[Registered]] = {}
    unplaced: list[Registered] = []
    for resource in resources:
        namespace = at(resource.props, "metadata", "namespace")
        if is_hidden(namespace):
            unplaced.append(resource)
        else:
            placed.setdefault(namespace if isinstance(namespace, str) else "default", []).append(resource)
    return Placed(placed, unplaced)


def _singles(resource: Registered) -> Iterator[Registered]:
    """The resource itself or, of a list object (`PodList`), each of its items; what Helm installs for it as well."""
    for objects in _rendered(resource).values():
        for obj in listing(objects):
            api = str(mapping(obj).get("apiVersion"))
            token = f"kubernetes:{api if '/' in api else f'core/{api}'}:{mapping(obj).get('kind')}"
            yield Registered(resource.urn, token, resource.name, mapping(obj))
    if not resource.kind.endswith("List") or "items" not in resource.props:
        yield resource
        return
    version = resource.type.split(":")[1]
    items = resource.props["items"]
    for item in [items] if is_hidden(items) else listing(items):
        api, kind = mapping(item).get("apiVersion"), mapping(item).get("kind")
        group = version if not isinstance(api, str) else api if "/" in api else f"core/{api}"
        single = kind if isinstance(kind, str) else resource.kind.removesuffix("List")
        props = _HIDDEN_OBJECT if is_hidden(item) else mapping(item)
        yield Registered(resource.urn, f"kubernetes:{group}:{single}", resource.name, props)


def _rendered(resource: Registered) -> Mapping[str, Any]:
    return mapping(resource.props.get(RENDERED)) if resource.type == ADDON_TYPE else {}


_RELEASE = "kubernetes:helm.sh/"
_HIDDEN_OBJECT: Mapping[str, Any] = {"metadata": UNKNOWN, "spec": UNKNOWN}
