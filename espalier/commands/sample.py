"""`sample`: work to try a platform with, fitted to a stack's tenants and pools, ready for kubectl."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from string import Template
from typing import Any, Final

import yaml

from espalier.addons.placement import on_pool
from espalier.addons.samples import IMAGE, SAMPLES, Sample
from espalier.addons.samples.pods import pods_of, runtimes_of
from espalier.blueprint import Blueprint, names
from espalier.blueprint.pools import PoolPlan
from espalier.blueprint.tenant_bounds import shapes_of
from espalier.blueprint.tenants import TenantPlan, WorkspacePlan
from espalier.charts.images import ImageRule, rewrite_images
from espalier.commands.project import open_project
from espalier.report.console import Output
from espalier.report.documents import SampleEntry, header
from espalier.settings.tenants import Tenant
from espalier.types import Mistake, Mistakes

_CPU = {"requests": {"cpu": "500m", "memory": "512Mi"}, "limits": {"memory": "1Gi"}}


@dataclass(frozen=True, slots=True)
class Wish:
    """Where a sample is to go; "" is the first that fits."""

    tenant: str = ""
    workspace: str = ""
    pool: str = ""


ANYWHERE: Final = Wish()


def sample(stack: str, name: str | None, wish: Wish, out: Output) -> int:
    """Lists the samples of a stack, or writes one to stdout. Raises Mistakes for one that is not, or does not fit."""
    blueprint = open_project(stack).blueprint
    rows = [_row(blueprint, each, SAMPLES[each]) for each in sorted(SAMPLES)]
    manifests: list[dict[str, Any]] = []
    if name is None:
        for row in rows:
            out.people.print(f"{row['name']:17} {row['missing'] or row['what']}", markup=False)
    else:
        text, manifests = filled(blueprint, name, wish)
        if not out.as_json:
            out.people.file.write(text)
    out.document({**header("sample"), "stack": stack, "samples": rows, "manifests": manifests})
    return 0


def filled(blueprint: Blueprint, name: str, wish: Wish = ANYWHERE) -> tuple[str, list[dict[str, Any]]]:
    """A sample for a stack: as text with its comment, and as manifests. Raises Mistakes."""
    chosen = SAMPLES.get(name)
    if chosen is None:
        near = get_close_matches(name, SAMPLES, n=1)
        do = f"Did you mean {near[0]}?" if near else "See `espalier sample STACK`."
        raise Mistakes([Mistake("NAME", name, ", ".join(sorted(SAMPLES)), do)])
    if missing := _missing(blueprint, chosen):
        raise Mistakes([Mistake("NAME", name, "a sample of the stack's add-ons", missing)])
    tenant, workspace = _home(blueprint, wish)
    pool = _pool(blueprint, chosen, tenant, wish)
    text = chosen.read(name)
    if pool is None and (chosen.vendor or "${pool}" in text):
        whose = f"{chosen.vendor.upper()}'s " if chosen.vendor else ""
        accepted = f"a pool with {whose}devices that tenant {tenant.name} has a quota of"
        raise Mistakes([Mistake("NAME", name, accepted, "Name another tenant, or give it such devices.")])
    if "${host}" in text and not _settings_of(blueprint, tenant).exposure:
        do = f"Give it one by `exposure: {{domains: [{tenant.name}.example.com]}}`."
        raise Mistakes([Mistake("NAME", name, f"a host name that tenant {tenant.name} serves by", do)])
    filled_in = Template(text).substitute(_values(blueprint, tenant, workspace, pool))
    comment = "".join(line for line in filled_in.splitlines(keepends=True) if line.startswith("#"))
    rule = ImageRule(blueprint.settings.sources.registry or "")
    manifests = [rewrite_images(one, (), rule) for one in yaml.safe_load_all(filled_in)]
    wrong = [*_unowned(manifests, _settings_of(blueprint, tenant)), *_too_many(manifests, blueprint, workspace, pool)]
    if wrong:
        raise Mistakes(wrong)
    return comment + yaml.dump_all(manifests, Dumper=_Plain, sort_keys=False), manifests


def _unowned(manifests: Sequence[Mapping[str, Any]], tenant: Tenant) -> Iterator[Mistake]:
    """Host names that the API server would not let the tenant serve by."""
    own = tenant.exposure.domains if tenant.exposure else ()
    for host in (host for one in manifests if one["kind"] == "HTTPRoute" for host in one["spec"]["hostnames"]):
        if not any(host == domain or host.endswith(f".{domain}") for domain in own):
            accepted = f"a host name of tenant {tenant.name}'s own"
            yield Mistake("NAME", host, accepted, f"Add {host} to exposure.domains of tenant {tenant.name}.")


def _too_many(
    manifests: Sequence[Mapping[str, Any]], blueprint: Blueprint, workspace: WorkspacePlan, pool: PoolPlan | None
) -> Iterator[Mistake]:
    """Devices beyond the workspace's quota, for which pods would wait without end."""
    known = runtimes_of((each.facts() for each in blueprint.pools), manifests)
    made = [pods for one in manifests for pods in pods_of(one, known)]
    for device in sorted(pool.shape.devices if pool else ()):
        asked, most = sum(pods.asks(device) for pods in made), _bound(workspace, device)
        if most is not None and asked > most:
            accepted = f"at most {most}, which is the quota of {workspace.namespace}"
            yield Mistake("NAME", f"{asked} of {device}", accepted, "Name another workspace, or raise its quota.")


def _bound(workspace: WorkspacePlan, device: str) -> int | None:
    hard = (one.manifest["spec"]["hard"] for one in workspace.objects if one.manifest["kind"] == "ResourceQuota")
    return next((int(each[f"requests.{device}"]) for each in hard if f"requests.{device}" in each), None)


class _Plain(yaml.SafeDumper):
    """Without anchors: what is written twice is read more easily."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _row(blueprint: Blueprint, name: str, sample: Sample) -> SampleEntry:
    return {"name": name, "what": sample.what, "missing": _missing(blueprint, sample)}


def _missing(blueprint: Blueprint, sample: Sample) -> str:
    """What a stack lacks for a sample; "" where it has all."""
    there = {addon.id for addon in blueprint.addons}
    if lacking := [id for id in sample.needs if id not in there]:
        return f"Needs {' and '.join(lacking)}."
    if "gateway-api" in sample.needs and not _domain(blueprint):
        return "Needs a domain: `kserve: {domain: ...}`."
    if {"knative-serving", "kserve"} <= set(sample.needs) and _serving(blueprint).get("mode") != "Knative":
        return "Needs KServe's other mode: `kserve: {mode: Knative}`."
    return "" if blueprint.tenants else "Needs a tenant."


def _domain(blueprint: Blueprint) -> str:
    return str(_serving(blueprint).get("domain") or "")


def _serving(blueprint: Blueprint) -> Mapping[str, Any]:
    return blueprint.settings.addons.get("kserve") or {}


def _home(blueprint: Blueprint, wish: Wish) -> tuple[TenantPlan, WorkspacePlan]:
    tenant = _named(blueprint.tenants, wish.tenant, "--tenant")
    return tenant, _named(tenant.workspaces, wish.workspace, "--workspace")


def _settings_of(blueprint: Blueprint, plan: TenantPlan) -> Tenant:
    return next(each for each in blueprint.settings.tenants if each.name == plan.name)


def _named(choices: Sequence[Any], name: str, option: str) -> Any:
    for choice in choices:
        if not name or choice.name == name:
            return choice
    known = ", ".join(choice.name for choice in choices)
    raise Mistakes([Mistake(option, name, known, "Name one of these.")])


def _pool(blueprint: Blueprint, sample: Sample, plan: TenantPlan, wish: Wish) -> PoolPlan | None:
    """The first pool of the tenant's with devices that fit and that it has a quota of, or that which is named."""
    tenant = _settings_of(blueprint, plan)
    fitting = [pool for pool in blueprint.pools if _fits(pool, sample, tenant)]
    if wish.pool:
        return _named(fitting, wish.pool, "--pool")
    return next(iter(fitting), None)


def _fits(pool: PoolPlan, sample: Sample, tenant: Tenant) -> bool:
    vendor = pool.accelerator.vendor if pool.accelerator else ""
    owned = any(tenant.quota.devices.get(device) for device in pool.shape.devices)
    return bool(owned and shapes_of(tenant, pool) and sample.vendor in ("", vendor))


def _values(
    blueprint: Blueprint, plan: TenantPlan, workspace: WorkspacePlan, pool: PoolPlan | None
) -> Mapping[str, str]:
    tenant = _settings_of(blueprint, plan)
    return {
        "namespace": workspace.namespace,
        "pool": pool.name if pool else "",
        "placement": json.dumps(_placement(tenant, pool)),
        "resources": json.dumps(_resources(tenant, pool)),
        "image": IMAGE,
        "domain": _domain(blueprint),
        "host": tenant.exposure.domains[0] if tenant.exposure else "",
    }


def _placement(tenant: Tenant, pool: PoolPlan | None) -> Mapping[str, Any]:
    """To the pool; a tenant that is held to kinds of capacity says one, as guards of older clusters want it."""
    if pool is None:
        return {"nodeSelector": {}}
    placed = on_pool(pool.facts())
    if tenant.capacity is not None:
        kinds = [shape.capacity_kind for shape in shapes_of(tenant, pool)]
        placed["nodeSelector"] = {**placed["nodeSelector"], names.CAPACITY: kinds[0]}
    return placed


def _resources(tenant: Tenant, pool: PoolPlan | None) -> Mapping[str, Any]:
    if pool is None:
        return _CPU
    device = next(_owned(tenant, pool))
    return {"requests": _CPU["requests"], "limits": {**_CPU["limits"], device: 1}}


def _owned(tenant: Tenant, pool: PoolPlan) -> Iterator[str]:
    return (device for device in sorted(pool.shape.devices) if tenant.quota.devices.get(device))
