"""Asks for what a GKE stack names besides its network, its keys and what stands beside the cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from espalier.preflight.model import NotAsked
from espalier.preflight.needs import Needs, named_by_pools
from espalier.preflight.parts import Part
from espalier.settings.gke import Gke

Service = Callable[[str, str], Any]
There = Callable[[Callable[[], Any]], Any]
"""A question -> its answer, None for what is not there, NotAsked where it was refused."""


def named_of(service: Service, there: There, needs: Needs, cluster: Gke) -> Iterator[Part]:
    """The nodes' service account, ranges, a share, and what pools name."""

    def part(key: str, what: str, question: Callable[[], Any], pool: str = "") -> Part:
        found = there(question)
        state: Any = found if isinstance(found, NotAsked) else "there" if found else "absent"
        got = str(found.get("state", "")).lower() if isinstance(found, Mapping) else ""
        fault = "disabled" if isinstance(found, Mapping) and found.get("disabled") else ""
        return Part(key=key, what=what, made=False, state=state, got=got, fault=fault, pool=pool)

    if email := cluster.service_account:
        accounts = service("iam", "v1").projects().serviceAccounts()
        path = f"projects/-/serviceAccounts/{email}"
        yield part("service-account", f"service account {email}", lambda: accounts.get(name=path).execute())
    for key, name in (("pods-range", cluster.pods_range), ("services-range", cluster.services_range)):
        if name and cluster.network.subnets:
            yield part(key, f"secondary range {name}", lambda name=name: _range(service, cluster, name))
    if cluster.storage is not None and (share := cluster.storage.id):
        yield part("storage.id", f"share {share}", lambda: _share(service, cluster, share))
    for image, pool in named_by_pools(needs.groups, lambda group: group.preload):
        yield part("preload.snapshot", f"disk image {image}", lambda image=image: _image(service, cluster, image), pool)
    for release, pool in named_by_pools(needs.groups, lambda group: group.release):
        yield part(
            "image.release", f"node version {release}", lambda release=release: _has(service, cluster, release), pool
        )


def _range(service: Service, cluster: Gke, name: str) -> bool:
    owner, subnet = owned(cluster.network.subnets[0], cluster.project)
    found = (
        service("compute", "v1").subnetworks().get(project=owner, region=cluster.region, subnetwork=subnet).execute()
    )
    return any(each["rangeName"] == name for each in found.get("secondaryIpRanges", ()))


def _share(service: Service, cluster: Gke, share: str) -> Any:
    """Of the instances of this project, and of the one that a given network is of: a share of a third may serve it."""
    address, _, path = share.partition(":")
    network = cluster.network.id
    projects = dict.fromkeys((cluster.project, *((owned(network, cluster.project)[0],) if network else ())))
    instances = service("file", "v1").projects().locations().instances()
    for project in projects:
        for row in _rows(instances, f"projects/{project}/locations/-"):
            addresses = [each for one in row.get("networks", ()) for each in one.get("ipAddresses", ())]
            shares = [f"/{each['name']}" for each in row.get("fileShares", ())]
            if address in addresses and path in shares:
                return row
    return NotAsked(f"no Filestore instance of {' or '.join(projects)} has it: see that another project's does")


def _rows(instances: Any, parent: str) -> Iterator[Mapping[str, Any]]:
    request = instances.list(parent=parent)
    while request is not None:
        answer = request.execute()
        yield from answer.get("instances", ())
        request = instances.list_next(request, answer)


def _image(service: Service, cluster: Gke, image: str) -> Any:
    owner, name = owned(image, cluster.project)
    return service("compute", "v1").images().get(project=owner, image=name).execute()


def _has(service: Service, cluster: Gke, release: str) -> bool:
    name = f"projects/{cluster.project}/locations/{cluster.region}"
    found = service("container", "v1").projects().locations().getServerConfig(name=name).execute()
    versions = {*found.get("validNodeVersions", ())}
    return release in versions | {v for each in found.get("channels", ()) for v in each.get("validVersions", ())}


def owned(link: str, project: str) -> tuple[str, str]:
    """Project and name of a self link, a path or a mere name."""
    parts = link.split("/")
    owner = parts[parts.index("projects") + 1] if "projects" in parts else project
    return owner, parts[-1]
