"""What is refused of tenants' parts: secrets that nobody fetches, volumes that no class holds, folders of others."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

from espalier.blueprint.clouds import cloud_of, compiler_of
from espalier.blueprint.tenant_parts import FETCHER, prefix_of, storage_of
from espalier.blueprint.tenants import DEFAULT_QUOTA
from espalier.quantity import parse_quantity
from espalier.settings.clusters import AnyCloud
from espalier.settings.model import Settings
from espalier.settings.tenant_parts import SharedVolume
from espalier.settings.tenants import Tenant, Workspace
from espalier.types import Mistake

_OF_ONE = "Rename or remove one of them."


def part_mistakes(settings: Settings, addons: Container[str]) -> Iterator[Mistake]:
    """All of them."""
    cluster = cloud_of(settings.cluster)
    for index, tenant in enumerate(settings.tenants):
        path = f"espalier:tenants[{index}]"
        yield from _secrets(tenant, addons, path)
        if tenant.shared_volume is not None:
            yield from _volume(tenant, tenant.shared_volume, cluster, path)
        yield from _bucket(tenant, cluster, path)
    yield from _folders(settings.tenants)
    yield from _domains(settings.tenants)


def _secrets(tenant: Tenant, addons: Container[str], path: str) -> Iterator[Mistake]:
    seen: dict[str, str] = {}
    for key, secrets in (("secrets", tenant.secrets), ("pull-secrets", tenant.pull_secrets)):
        if secrets and FETCHER not in addons:
            got = f"{', '.join(secret.name for secret in secrets)}, with nobody to fetch them"
            do = f"Add `{FETCHER}: {{}}` to espalier:addons, or remove `{key}`."
            yield Mistake(f"{path}.{key}", got, f"secrets where the add-on {FETCHER} is", do)
        for at, secret in enumerate(secrets):
            here = f"{key}[{at}]"
            if seen.setdefault(secret.name, here) != here:
                got = f"{secret.name}, which is {seen[secret.name]} already"
                yield Mistake(f"{path}.{here}.name", got, "each name once", _OF_ONE)


def _volume(tenant: Tenant, volume: SharedVolume, cluster: AnyCloud | None, path: str) -> Iterator[Mistake]:
    known = compiler_of(cluster.kind).tenancy.shared_class(cluster) if cluster else ""
    if volume.storage_class is None and not known:
        got = "no storage-class, and a cluster without one that is known"
        accepted = "a StorageClass of volumes for many writers"
        do = "Add espalier:cluster.storage, which makes one; or name one by storage-class."
        if cluster is None:
            do = "Name one by storage-class."
        elif cluster.storage is not None:
            do = "Name one by storage-class: of a share that is there, cluster.storage makes a single volume."
        yield Mistake(f"{path}.shared-volume", got, accepted, do)
    for at, work in enumerate(tenant.workspaces):
        most = storage_of(tenant, work) or str(DEFAULT_QUOTA["storage"])
        if parse_quantity(volume.size) > parse_quantity(most):
            own = isinstance(work, Workspace) and work.quota is not None
            accepted = f"at most {most}, the quota of storage" + (f" of workspaces[{at}]" if own else "")
            yield Mistake(f"{path}.shared-volume.size", volume.size, accepted, "Lower it, or raise the quota.")
            return


def _bucket(tenant: Tenant, cluster: AnyCloud | None, path: str) -> Iterator[Mistake]:
    if tenant.bucket is None:
        return
    asked = {bucket.name: bucket for bucket in cluster.buckets} if cluster else {}
    bucket = asked.get(tenant.bucket.name)
    if bucket is None:
        accepted = ", ".join(sorted(asked)) or "none: espalier:cluster.buckets has none"
        do = "Name one of espalier:cluster.buckets, or add it there."
        if cluster is None:
            accepted, do = "none: only a cluster in a cloud has buckets", "Remove it."
        yield Mistake(f"{path}.bucket.name", repr(tenant.bucket.name), accepted, do)
    elif bucket.id is not None and tenant.placement and tenant.placement.regions:
        regions = tenant.placement.regions
        if bucket.region not in regions:
            got = f"{bucket.name}, a bucket {f'in {bucket.region}' if bucket.region else 'whose region is not known'}"
            do = "Say its region beside its id, or name a bucket that is there."
            yield Mistake(f"{path}.bucket.name", got, f"a bucket in {', '.join(regions)}", do)


def _folders(tenants: Sequence[Tenant]) -> Iterator[Mistake]:
    """No tenant's objects are among another's."""
    seen: list[tuple[str, str, str]] = []
    for index, tenant in enumerate(tenants):
        if tenant.bucket is None:
            continue
        prefix = prefix_of(tenant)
        for name, theirs, owner in seen:
            if name == tenant.bucket.name and (prefix.startswith(theirs) or theirs.startswith(prefix)):
                got = f"{prefix} in {name}, where tenant {owner} has {theirs}"
                accepted = "a prefix that is in no other's, and no other's in it"
                yield Mistake(f"espalier:tenants[{index}].bucket.prefix", got, accepted, "Write another prefix.")
        seen.append((tenant.bucket.name, prefix, tenant.name))


def _domains(tenants: Sequence[Tenant]) -> Iterator[Mistake]:
    """No tenant's host names are among another's."""
    seen: list[tuple[str, str]] = []
    for index, tenant in enumerate(tenants):
        own = tenant.exposure.domains if tenant.exposure else ()
        for at, domain in enumerate(own):
            for theirs, owner in seen:
                if f".{domain}".endswith(f".{theirs}") or f".{theirs}".endswith(f".{domain}"):
                    got = f"{domain}, where tenant {owner} has {theirs}"
                    accepted = "a domain that is under no other's, and no other's under it"
                    path = f"espalier:tenants[{index}].exposure.domains[{at}]"
                    yield Mistake(path, got, accepted, "Write another domain.")
        seen += [(domain, tenant.name) for domain in own]
