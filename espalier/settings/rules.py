"""Rules between several keys that need nothing but the settings.

They run on the plain tree, so that one broken pool does not hide a mistake in another; what a model has refused
already is taken for absent or, where presence matters, for present.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, Final

from espalier.quantity import parse_quantity
from espalier.settings.base import Strict, hyphenated
from espalier.settings.model import PriceOverride
from espalier.settings.pool import Pool
from espalier.settings.tenants import Workspace
from espalier.settings.tree import BROKEN, Fault, Node, Path, find

Tree = dict[str, Any]
RESERVED: Final = ("default", "espalier-system", "kubeflow", "istio-system")
"""Namespaces of the platform; those that start with kube- are Kubernetes' own."""

_UNIQUE = "Rename or remove one of them."


def check_rules(root: Node, refused: frozenset[Path]) -> list[Fault]:
    """Faults between keys, paths relative to `root`; `refused` are the paths that a model refused."""
    tree = _masked(root, (), refused)
    found = [
        *_each(tree, "pools", _pool),
        *_each(tree, "tenants", _tenant),
        *_same_names(tree, "pools"),
        *_same_names(tree, "tenants"),
        *_namespaces(tree),
        *_prices(tree),
    ]
    return [_with_line(fault, root) for fault in found]


def _with_line(fault: Fault, root: Node) -> Fault:
    node, _ = find(root, fault.path)
    return Fault(fault.path, fault.got, fault.accepted, fault.do, node.line, node.file, whole=False)


def _masked(node: Node, path: Path, refused: frozenset[Path]) -> Any:
    if path in refused:
        return BROKEN
    if isinstance(node.value, dict):
        return {key: _masked(child, (*path, key), refused) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return [_masked(child, (*path, index), refused) for index, child in enumerate(node.value)]
    return node.value


def _mapping(value: Any) -> Tree:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _each(tree: Any, key: str, rule: Callable[[Tree, Path], Iterator[Fault]]) -> Iterator[Fault]:
    for index, item in enumerate(_list(_mapping(tree).get(key))):
        yield from rule(_mapping(item), (key, index))


def _has_unknown_key(model: type[Strict], tree: Tree) -> bool:
    """Whether a key is not the model's: it may be the misspelt one that a rule would miss."""
    return not tree.keys() <= {hyphenated(name) for name in model.model_fields}


def _pool(pool: Tree, path: Path) -> Iterator[Fault]:
    if pool and not _has_unknown_key(Pool, pool):
        yield from _pool_needs(pool, path)
    yield from _nodes(_mapping(pool.get("nodes")), (*path, "nodes"))
    ways = _mapping(pool.get("sharing"))
    sharing = [way for way in ("mig", "time-slices", "mps") if ways.get(way) is not None]
    if len(sharing) > 1:
        got = " and ".join(sorted(sharing))
        yield Fault((*path, "sharing"), got, "one way of sharing a device", "Keep one of them.")
    for index, kind in enumerate(capacity := _list(pool.get("capacity"))):
        if isinstance(kind, str) and kind in capacity[:index]:
            yield Fault((*path, "capacity", index), f"{kind} a second time", "each kind once", "Remove one of them.")


def _pool_needs(pool: Tree, path: Path) -> Iterator[Fault]:
    if pool.get("accelerator") is not None:
        return
    if pool.get("machine") is None:
        do = "Add accelerator: <name of the catalogue>, or machine: {cpu: 8, memory: 32Gi}."
        yield Fault(path, "neither", "a pool with an accelerator or a machine", do)
    for key in ("count", "topology", "sharing"):
        if pool.get(key) is not None and pool[key] is not BROKEN:
            do = "Add accelerator: <name of the catalogue>, or remove the key."
            yield Fault((*path, key), "no accelerator beside it", "a pool with an accelerator", do)


def _nodes(nodes: Tree, path: Path) -> Iterator[Fault]:
    least, most, start = (_whole(nodes.get(key)) for key in ("min", "max", "start"))
    least = 0 if "min" not in nodes else least
    if least is not None and most is not None and least > most:
        yield Fault((*path, "min"), str(least), f"at most max, which is {most}", "Lower min, or raise max.")
        return
    if start is not None and least is not None and start < least:
        yield Fault((*path, "start"), str(start), f"at least min, which is {least}", "Raise start, or lower min.")
    if start is not None and most is not None and start > most:
        yield Fault((*path, "start"), str(start), f"at most max, which is {most}", "Lower start, or raise max.")


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _same_names(tree: Any, key: str) -> Iterator[Fault]:
    seen: dict[str, int] = {}
    for index, item in enumerate(_list(_mapping(tree).get(key))):
        name = _mapping(item).get("name")
        if isinstance(name, str) and seen.setdefault(name, index) != index:
            got = f"{name}, which is {key}[{seen[name]}] already"
            yield Fault((key, index, "name"), got, "each name once", _UNIQUE)


def _namespaces(tree: Any) -> Iterator[Fault]:
    """Each namespace has one owner. (At most 30 + 1 + 30 characters: no name can be longer than Kubernetes' 63.)"""
    owners: dict[str, str] = {}
    tenants: set[str] = set()
    for index, item in enumerate(_list(_mapping(tree).get("tenants"))):
        tenant = _mapping(item)
        name = tenant.get("name")
        if not isinstance(name, str) or name in tenants:
            continue
        tenants.add(name)
        for path, namespace in _namespaces_of(name, tenant, ("tenants", index)):
            owner = owners.setdefault(namespace, name)
            if namespace in RESERVED or namespace.startswith("kube-"):
                accepted = "a namespace that is not Kubernetes' or the platform's own"
                yield Fault(path, f"namespace {namespace}", accepted, "Rename it.")
            elif owner != name:
                got = f"namespace {namespace}, which tenant {owner} has already"
                yield Fault(path, got, "each namespace once", "Rename the tenant or the workspace.")


def _namespaces_of(name: str, tenant: Tree, path: Path) -> Iterator[tuple[Path, str]]:
    workspaces = tenant.get("workspaces", ["team"])
    if isinstance(workspaces, list) and len(workspaces) == 1:
        yield (*path, "name"), name
        return
    for index, item in enumerate(_list(workspaces)):
        workspace = item.get("name") if isinstance(item, dict) else item
        if isinstance(workspace, str):
            yield _workspace_name(path, index, item), f"{name}-{workspace}"


def _workspace_name(path: Path, index: int, item: Any) -> Path:
    return (*path, "workspaces", index, "name") if isinstance(item, dict) else (*path, "workspaces", index)


def _tenant(tenant: Tree, path: Path) -> Iterator[Fault]:
    yield from _groups(_mapping(tenant.get("groups")), (*path, "groups"))
    workspaces = _list(tenant.get("workspaces"))
    seen: set[str] = set()
    for index, item in enumerate(workspaces):
        name = item.get("name") if isinstance(item, dict) else item
        where = (*path, "workspaces", index)
        if isinstance(name, str) and name in seen:
            yield Fault(_workspace_name(path, index, item), f"{name} a second time", "each name once", _UNIQUE)
        if isinstance(name, str):
            seen.add(name)
        yield from _groups(_mapping(_mapping(item).get("groups")), (*where, "groups"))
        if len(workspaces) > 1 and not _has_unknown_key(Workspace, _mapping(item)):
            yield from _needs_quota(item, where)
    yield from _shares(tenant, path)


def _groups(groups: Tree, path: Path) -> Iterator[Fault]:
    seen: dict[str, str] = {}
    for role in ("view", "edit", "admin"):
        for index, group in enumerate(_list(groups.get(role))):
            if isinstance(group, str) and group in seen:
                got = f"{group}, which is in {seen[group]} already"
                yield Fault((*path, role, index), got, "each group in one role", "Keep it in one of them.")
            elif isinstance(group, str):
                seen[group] = role


def _needs_quota(workspace: Any, path: Path) -> Iterator[Fault]:
    do = "Write {name: ..., quota: {...}}: several workspaces share the tenant's quota by their own."
    if isinstance(workspace, str):
        yield Fault(path, f"{workspace} without a quota", "a workspace with a quota", do)
    elif isinstance(workspace, dict) and workspace.get("quota") is None and workspace:
        yield Fault((*path, "quota"), "nothing", "a workspace's share of the quota", do)


def _shares(tenant: Tree, path: Path) -> Iterator[Fault]:
    """The workspaces' quotas add up to no more than the tenant's, and name only what the tenant's names."""
    quota = _mapping(tenant.get("quota"))
    shares = [_mapping(_mapping(item).get("quota")) for item in _list(tenant.get("workspaces"))]
    for key in ("cpu", "memory", "storage"):
        yield from _sum(quota.get(key), [share.get(key) for share in shares], (*path, "quota", key))
    for key in ("storage-classes", "objects"):
        for name, limit in sorted(_mapping(quota.get(key)).items()):
            parts = [_mapping(share.get(key)).get(name) for share in shares]
            yield from _sum(limit, parts, (*path, "quota", key, name))
    yield from _kinds(quota, shares, path)
    if not isinstance(quota.get("devices"), dict):
        return
    devices: Tree = quota["devices"]
    shared = [_mapping(share.get("devices")) for share in shares]
    for name, limit in sorted(devices.items()):
        yield from _sum(limit, [share.get(name) for share in shared], (*path, "quota", "devices", name))
    for index, share in enumerate(shared):
        for name in sorted(key for key in share if key not in devices and share[key] is not BROKEN):
            where = (*path, "workspaces", index, "quota", "devices", name)
            accepted = "the devices of the tenant's quota: " + (", ".join(sorted(devices)) or "none")
            yield Fault(where, name, accepted, "Add it to the tenant's quota, or remove it here.")


def _kinds(quota: Tree, shares: list[Tree], path: Path) -> Iterator[Fault]:
    """Bounds by kind of capacity: within the devices, and each workspace's own quota with its share of them."""
    devices, capacity = _mapping(quota.get("devices")), _mapping(quota.get("capacity"))
    for kind in ("spot", "on-demand"):
        bounds = _mapping(capacity.get(kind))
        parts = [_mapping(_mapping(share.get("capacity")).get(kind)) for share in shares]
        for name, limit in sorted(bounds.items()):
            where = (*path, "quota", "capacity", kind, name)
            most, count = _whole(devices.get(name, 0)), _whole(limit)
            if count is not None and most is not None and count > most:
                do = "Lower it, or raise the quota of devices."
                yield Fault(where, str(count), f"at most {most}, the quota of devices", do)
            yield from _sum(limit, [part.get(name) for part in parts], where)
        for index, (share, part) in enumerate(zip(shares, parts, strict=True)):
            own = (*path, "workspaces", index, "quota", "capacity", kind)
            for name in sorted(bounds.keys() - part.keys()) if share else ():
                do = "Write it: what a workspace has of its own stands in the place of the tenant's."
                yield Fault((*own, name), "nothing", "a workspace's share of it", do)
            for name in sorted(part.keys() - bounds.keys()):
                accepted = "the devices that the tenant's quota bounds so: " + (", ".join(sorted(bounds)) or "none")
                yield Fault((*own, name), name, accepted, "Add it to the tenant's quota, or remove it here.")


def _sum(limit: Any, shares: list[Any], path: Path) -> Iterator[Fault]:
    most = _amount(limit)
    amounts = [amount for share in shares if (amount := _amount(share)) is not None]
    if most is not None and sum(amounts) > most:
        total = " + ".join(str(share) for share in shares if _amount(share) is not None)
        do = "Raise it, or lower the workspaces' quotas."
        yield Fault(path, f"{limit}, less than its workspaces' {total}", "at least their sum", do)


def _amount(value: Any) -> Fraction | None:
    if isinstance(value, str):
        return parse_quantity(value)  # refused values are BROKEN here, so this one is a quantity
    whole = _whole(value)
    return None if whole is None else Fraction(whole)


def _prices(tree: Any) -> Iterator[Fault]:
    for name, price in sorted(_mapping(_mapping(tree).get("prices")).items()):
        path = ("prices", name)
        kinds = ("on-demand", "spot", "reserved", "flex")
        if not isinstance(price, dict) or _has_unknown_key(PriceOverride, price):
            continue
        if all(price.get(kind) is None for kind in kinds):
            yield Fault(path, "no price", "at least one of " + ", ".join(kinds), "Add on-demand: <USD/h>.")
