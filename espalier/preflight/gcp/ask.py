"""Asks Google Cloud, by reading calls alone. Everything that is decided is decided in `judge`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from espalier.preflight.gcp.facts import Facts, Quota, Reserved, Running
from espalier.preflight.gcp.named import named_of, owned
from espalier.preflight.gcp.parts import parts_of
from espalier.preflight.gcp.people import people_of
from espalier.preflight.gcp.permissions import apis_of, permissions_of
from espalier.preflight.model import NotAsked, NotPossibleError
from espalier.preflight.needs import Needs
from espalier.settings.gke import Gke

with warnings.catch_warnings():
    # Google's libraries announce years ahead, on every run, when they will leave a version of Python.
    warnings.simplefilter("ignore", FutureWarning)
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
    from googleapiclient.discovery import build
    from googleapiclient.errors import HttpError

Answer = TypeVar("Answer")
Progress = Callable[[str], None]
Service = Callable[[str, str], Any]
"""Name and version of an API -> its client."""

_LOGIN = "Log in: gcloud auth application-default login; or set GOOGLE_APPLICATION_CREDENTIALS."
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
"""IAM's and Cloud KMS's reading calls take no narrower one (their discovery documents)."""
_PERMISSIONS_AT_ONCE = 100
"""testIamPermissions takes no more (Resource Manager reference)."""


def services() -> tuple[Service, str]:
    """What makes clients, and who asks. Raises NotPossibleError without credentials."""
    try:
        credentials, _ = google.auth.default(scopes=[_SCOPE])
    except DefaultCredentialsError as error:
        raise NotPossibleError(f"no credentials for Google Cloud: {str(error).splitlines()[0]}", _LOGIN) from None
    made: dict[str, Any] = {}

    def service(name: str, version: str) -> Any:
        if name not in made:
            made[name] = build(name, version, credentials=credentials, cache_discovery=False)
        return made[name]

    caller = getattr(credentials, "service_account_email", "") or "the application-default credentials"
    return service, str(caller)


def asked(question: Callable[[], Answer]) -> Answer | NotAsked:
    """The answer; NotAsked where it is refused or cannot be had. Raises NotPossibleError for dead credentials."""
    try:
        return question()
    except HttpError as error:
        return NotAsked(f"{error.status_code} {error.reason}")
    except GoogleAuthError as error:
        raise NotPossibleError(f"Google Cloud does not take these credentials: {error}", _LOGIN) from None
    except OSError as error:
        raise NotPossibleError(f"Google Cloud cannot be reached: {error}", "Check the network and its proxy.") from None


def there(question: Callable[[], Answer]) -> Answer | NotAsked | None:
    """As `asked`; None for what is not found."""

    def look() -> Answer | None:
        try:
            return question()
        except HttpError as error:
            if error.status_code == 404:
                return None
            raise

    return asked(look)


def facts_of(needs: Needs, progress: Progress, given: tuple[Service, str] | None = None) -> Facts:
    """Everything that the judge wants to know; `given` are clients to ask by. Raises NotPossibleError."""
    cluster = needs.cluster
    assert isinstance(cluster, Gke)  # noqa: S101 - of its own kind
    service, caller = given or services()
    project, region = cluster.project, cluster.region
    compute, container = service("compute", "v1"), service("container", "v1")
    progress(f"asking for project {project}")
    state = asked(lambda: _project(service, project))
    apis = asked(lambda: _apis(service, project, apis_of(needs.types())))
    lacking = asked(lambda: _lacking(service, project, permissions_of(needs.types())))
    progress(f"asking for quotas and machines of {region}")
    quotas = asked(lambda: _quotas(compute, project, region))
    zones = sorted({zone for group in needs.groups for zone in group.zones})
    machines = asked(lambda: _by_zone(compute.machineTypes(), project, zones))
    accelerators = asked(lambda: _by_zone(compute.acceleratorTypes(), project, zones))
    progress("asking for the cluster, its names and its network")
    return Facts(
        caller=caller,
        project=state,
        apis=apis,
        lacking=lacking,
        quotas=quotas,
        machines=machines,
        accelerators=accelerators,
        reservations=asked(lambda: _reservations(compute, project, needs)),
        cluster=there(lambda: _cluster(container, project, _location(cluster), needs.plan.name)),
        taken=_taken(service, project, needs, apis),
        network=_network(compute, project, region, cluster),
        keys={key: there(lambda key=key: _key(service, key)) for key in _keys(cluster)},
        versions=asked(lambda: _versions(container, project, region)),
        parts=(
            *parts_of(service, there, needs, cluster, apis),
            *named_of(service, there, needs, cluster),
            *people_of(service, there, cluster),
        ),
    )


def _pages(collection: Any, request: Any, key: str) -> Iterable[Any]:
    while request is not None:
        answer = request.execute()
        yield from answer.get(key, ())
        request = collection.list_next(request, answer)


def _project(service: Service, project: str) -> str:
    found = service("cloudresourcemanager", "v1").projects().get(projectId=project).execute()
    return str(found["lifecycleState"])


def _apis(service: Service, project: str, wanted: Iterable[str]) -> frozenset[str]:
    names = [f"projects/{project}/services/{api}" for api in wanted]
    found = service("serviceusage", "v1").services().batchGet(parent=f"projects/{project}", names=names).execute()
    return frozenset(each["config"]["name"] for each in found.get("services", ()) if each["state"] == "ENABLED")


def _lacking(service: Service, project: str, wanted: list[str]) -> tuple[str, ...]:
    """By testIamPermissions, which is a POST that changes nothing."""
    held: set[str] = set()
    projects = service("cloudresourcemanager", "v1").projects()
    for start in range(0, len(wanted), _PERMISSIONS_AT_ONCE):
        body = {"permissions": wanted[start : start + _PERMISSIONS_AT_ONCE]}
        held |= set(projects.testIamPermissions(resource=project, body=body).execute().get("permissions", ()))
    return tuple(each for each in wanted if each not in held)


def _quotas(compute: Any, project: str, region: str) -> Mapping[str, Quota]:
    found = compute.regions().get(project=project, region=region).execute()
    return {each["metric"]: Quota(each["limit"], each["usage"]) for each in found["quotas"]}


def _by_zone(collection: Any, project: str, zones: Iterable[str]) -> Mapping[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for zone in zones:
        for each in _pages(collection, collection.list(project=project, zone=zone), "items"):
            found.setdefault(each["name"], set()).add(zone)
    return {name: frozenset(where) for name, where in found.items()}


def _reservations(compute: Any, project: str, needs: Needs) -> Mapping[str, Reserved | None]:
    found: dict[str, Reserved | None] = {}
    for group in needs.groups:
        if group.reservation is None:
            continue
        for zone in group.reservation.zones or group.zones:
            name = group.reservation.id
            row = found.get(name) or _reservation(compute, project, zone, name)
            found[name] = row
    return found


def _reservation(compute: Any, project: str, zone: str, name: str) -> Reserved | None:
    """By name, or by a path that may name another project's, which shares it."""
    parts = name.split("/")
    owner = parts[1] if parts[0] == "projects" else project
    short = parts[parts.index("reservations") + 1] if "reservations" in parts else name
    try:
        row = compute.reservations().get(project=owner, zone=zone, reservation=short).execute()
    except HttpError as error:
        if error.status_code == 404:
            return None
        raise
    sku = row.get("specificReservation", {})
    return Reserved(
        sku.get("instanceProperties", {}).get("machineType", ""),
        row["zone"].rpartition("/")[2],
        int(sku.get("count", 0)),
        int(sku.get("inUseCount", 0)),
        row["status"],
        bool(row.get("specificReservationRequired")),
    )


def _location(cluster: Gke) -> str:
    """Of a given cluster that is zonal, its zone."""
    return (cluster.given.location if cluster.given else None) or cluster.region


def _cluster(container: Any, project: str, location: str, name: str) -> Running:
    path = f"projects/{project}/locations/{location}/clusters/{name}"
    found = container.projects().locations().clusters().get(name=path).execute()
    pools = {pool["name"]: pool["version"] for pool in found.get("nodePools", ())}
    return Running(found["currentMasterVersion"], found.get("resourceLabels", {}), pools)


def _taken(
    service: Service, project: str, needs: Needs, apis: frozenset[str] | NotAsked
) -> Mapping[str, NotAsked | None]:
    compute, iam = service("compute", "v1"), service("iam", "v1")
    found: dict[str, Any] = {}
    for name in needs.names("gcp:compute/network:Network"):
        found[f"network {name}"] = there(
            lambda name=name: compute.networks().get(project=project, network=name).execute()
        )
    for name in needs.names("gcp:serviceaccount/account:Account", "accountId"):
        path = f"projects/{project}/serviceAccounts/{name}@{project}.iam.gserviceaccount.com"
        found[f"service account {name}"] = there(
            lambda path=path: iam.projects().serviceAccounts().get(name=path).execute()
        )
    for name in needs.names("gcp:kms/keyRing:KeyRing"):
        path = f"projects/{project}/locations/{needs.plan.region}/keyRings/{name}"
        if isinstance(apis, NotAsked) or "cloudkms.googleapis.com" in apis:  # where it is off there is none
            rings = service("cloudkms", "v1").projects().locations().keyRings()
            found[f"key ring {name}"] = there(lambda path=path, rings=rings: rings.get(name=path).execute())
    return {what: each if isinstance(each, NotAsked) else None for what, each in found.items() if each is not None}


def _network(compute: Any, project: str, region: str, cluster: Gke) -> Mapping[str, str | NotAsked | None]:
    found: dict[str, str | NotAsked | None] = {}
    if cluster.network.id is not None:
        owner, name = owned(cluster.network.id, project)
        found[f"network {cluster.network.id}"] = there(
            lambda: str(compute.networks().get(project=owner, network=name).execute()["name"])
        )
    for subnet in cluster.network.subnets:
        owner, name = owned(subnet, project)
        found[f"subnetwork {subnet}"] = there(
            lambda owner=owner, name=name: _subnetwork(
                compute.subnetworks().get(project=owner, region=region, subnetwork=name).execute()
            )
        )
    return found


def _subnetwork(found: Mapping[str, Any]) -> str:
    ranges = ", ".join(f"{each['rangeName']} {each['ipCidrRange']}" for each in found.get("secondaryIpRanges", ()))
    return f"{found['ipCidrRange']}; secondary ranges: {ranges or 'none'}"


def _keys(cluster: Gke) -> list[str]:
    return sorted({key for key in (cluster.keys.secrets, cluster.keys.disks) if key})


def _key(service: Service, key: str) -> str:
    keys = service("cloudkms", "v1").projects().locations().keyRings().cryptoKeys()
    return str(keys.get(name=key).execute().get("primary", {}).get("state", "without a primary version"))


def _versions(container: Any, project: str, region: str) -> Mapping[str, tuple[str, ...]]:
    found = container.projects().locations().getServerConfig(name=f"projects/{project}/locations/{region}").execute()
    return {each["channel"].lower(): tuple(each.get("validVersions", ())) for each in found.get("channels", ())}
