"""What is said of a Google Cloud project: judging by facts made by hand, asking by Google's own discovery."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlparse

import httplib2
import pytest

from espalier.blueprint.clouds.gke.parts import parts_of
from espalier.preflight import Finding, NotAsked, NotPossibleError
from espalier.preflight.gcp import ask
from espalier.preflight.gcp.facts import Facts, Quota, Reserved, Running
from espalier.preflight.gcp.judge import findings
from espalier.preflight.gcp.quotas import cpus_of, devices_of
from espalier.settings.gke import Gke
from tests.unit.preflight_needs import group, needs, told

LABELS = {"espalier-stack": "prod"}
MADE = (
    ("gcp:compute/network:Network", {"name": "prod"}),
    ("gcp:container/cluster:Cluster", {"name": "prod", "resourceLabels": LABELS}),
    ("gcp:serviceaccount/account:Account", {"accountId": "prod-nodes"}),
)
ZONES = ("us-central1-a", "us-central1-b")
L4 = group(machines=("g2-standard-4",), accelerator="L4", devices=1, vcpu=4, maximum=8, zones=ZONES)
SYSTEM = group(machines=("e2-standard-4",), accelerator="", devices=0, vcpu=4, maximum=6, zones=ZONES, group="system")
EVERYWHERE = frozenset(ZONES)
GOOD = Facts(
    caller="kim",
    project="ACTIVE",
    apis=frozenset({"compute.googleapis.com", "container.googleapis.com", "iam.googleapis.com"}),
    lacking=(),
    quotas={"CPUS": Quota(72, 0), "NVIDIA_L4_GPUS": Quota(8, 0), "PREEMPTIBLE_NVIDIA_L4_GPUS": Quota(0, 0)},
    machines={"g2-standard-4": EVERYWHERE, "e2-standard-4": EVERYWHERE},
    accelerators={"nvidia-l4": EVERYWHERE},
    reservations={},
    cluster=None,
    taken={},
    network={},
    keys={},
    versions={"regular": ("1.35.2-gke.100",), "rapid": ("1.36.0-gke.5", "1.35.3-gke.1")},
)


def cluster(**given: Any) -> Gke:
    block: dict[str, Any] = {
        "kind": "gke",
        "name": "prod",
        "version": "1.35",
        "region": "us-central1",
        "project": "my-project",
        "access": {"via": "dns-endpoint"},
    }
    return Gke.model_validate_json(json.dumps(block | given))


def judged(facts: Facts = GOOD, *groups: Any, **given: Any) -> list[Finding]:
    return findings(needs(cluster(**given), *(groups or (L4, SYSTEM)), resources=MADE), facts)


def test_a_good_project_is_fine() -> None:
    assert {each.level for each in judged()} == {"ok"}


@pytest.mark.parametrize(
    ("level", "what", "says", "facts"),
    [
        ("error", "project my-project", "cannot see it", replace(GOOD, project=NotAsked("403 Forbidden"))),
        ("error", "project my-project", "DELETE_REQUESTED", replace(GOOD, project="DELETE_REQUESTED")),
        ("error", "permission container.clusters.create", "kim", replace(GOOD, lacking=("container.clusters.create",))),
        ("warning", "permissions", "not judged", replace(GOOD, lacking=NotAsked("403"))),
        ("error", "cluster prod", "without the labels", replace(GOOD, cluster=Running("1.35.1-gke.1", {}, {}))),
        ("error", "cluster prod", "runs 1.33", replace(GOOD, cluster=Running("1.33.1-gke.1", LABELS, {}))),
        (
            "error",
            "nodes of old",
            "1.31.9",
            replace(GOOD, cluster=Running("1.34.1-gke.1", LABELS, {"old": "1.31.9-gke.1"})),
        ),
        (
            "error",
            "Kubernetes 1.35 in channel regular",
            "the channel has 1.34",
            replace(GOOD, versions={"regular": ("1.34.1",)}),
        ),
        ("error", "network prod", "there already", replace(GOOD, taken={"network prod": None})),
        ("error", "subnetwork x", "there is none", replace(GOOD, network={"subnetwork x": None})),
        ("error", "key k", "DISABLED", replace(GOOD, keys={"k": "DISABLED"})),
        (
            "error",
            "quota CPUS in us-central1",
            "24 at most (system 6 x 4); quota 24, 1",
            replace(GOOD, quotas={**GOOD.quotas, "CPUS": Quota(24, 1)}),
        ),  # type: ignore[dict-item]
        (
            "error",
            "quota NVIDIA_L4_GPUS in us-central1",
            "8 at most (gpu-on-demand 8 x 1); quota 4",
            replace(GOOD, quotas={**GOOD.quotas, "NVIDIA_L4_GPUS": Quota(4, 0)}),  # type: ignore[dict-item]
        ),
        ("warning", "quotas", "not judged", replace(GOOD, quotas=NotAsked("403"))),
        (
            "warning",
            "g2-standard-4 for gpu-on-demand",
            "not in us-central1-b",
            replace(GOOD, machines={**GOOD.machines, "g2-standard-4": frozenset({ZONES[0]})}),
        ),  # type: ignore[dict-item]
        ("error", "nvidia-l4 for gpu-on-demand", "no zone of us-central1", replace(GOOD, accelerators={})),
    ],
)
def test_each_lack_is_one_finding_that_says_what_to_do(level: str, what: str, says: str, facts: Facts) -> None:
    found = judged(facts)
    assert {each.what for each in found if each.level != "ok"} == {what}
    assert says in told(found, level)[what].got
    assert told(found, level)[what].do


def test_a_channel_without_the_version_names_one_that_has_it() -> None:
    found = judged(replace(GOOD, versions={"regular": ("1.34.1",), "rapid": ("1.35.3-gke.1",)}))
    assert "rapid" in told(found, "error")["Kubernetes 1.35 in channel regular"].do


def test_apis_that_are_off_are_switched_on_or_told() -> None:
    off = replace(GOOD, apis=frozenset({"compute.googleapis.com"}))
    assert "container.googleapis.com, iam.googleapis.com: switched on" in told(judged(off), "ok")["APIs"].got
    found = told(judged(off, **{"enable-apis": False}), "error")["APIs"]
    assert "gcloud services enable container.googleapis.com iam.googleapis.com" in found.do


@pytest.mark.parametrize(
    ("change", "level", "says"),
    [
        ({}, "ok", "8 g2-standard-4 in us-central1-a"),
        ({"machine": "g2-standard-8"}, "error", "the pool's machine is g2-standard-4"),
        ({"zone": "us-central1-f"}, "error", "the pool is in us-central1-a"),
        ({"count": 4}, "error", "the pool wants 8"),
        ({"status": "CREATING"}, "warning", "creating"),
        ({"specific": False}, "warning", "any machine of the project"),
    ],
)
def test_a_reservation_must_fit_its_pool(change: Any, level: str, says: str) -> None:
    held = replace(L4, kind="reserved", reservation=group(reservation={"id": "mine"}).reservation)
    there = replace(Reserved("g2-standard-4", ZONES[0], 8, 0, "READY", specific=True), **change)
    found = judged(replace(GOOD, reservations={"mine": there}), held)
    assert says in told(found, level)["reservation mine for gpu-on-demand"].got


def test_pools_on_one_reservation_share_its_number() -> None:
    held = replace(L4, kind="reserved", reservation=group(reservation={"id": "mine"}).reservation)
    other = replace(held, group="more", maximum=1)
    there = Reserved("g2-standard-4", ZONES[0], 8, 0, "READY", specific=True)
    found = told(judged(replace(GOOD, reservations={"mine": there}), held, other), "error")
    assert "those on it want 9 together (gpu-on-demand 8 and more 1)" in found["reservation mine for more"].got


def test_nodes_of_a_cluster_of_ours_that_are_counted_twice_are_a_warning() -> None:
    what = "quota NVIDIA_L4_GPUS in us-central1"
    quotas: Any = {**dict(GOOD.quotas), "NVIDIA_L4_GPUS": Quota(8, 6)}  # type: ignore[call-overload]
    full = replace(GOOD, quotas=quotas, cluster=Running("1.35.1-gke.1", LABELS, {"gpu-on-demand": "1.35.1-gke.1"}))
    assert told(judged(full), "error") == {}
    doubt = told(judged(full), "warning")[what]
    assert "this stack is up, and its own nodes are in both numbers" in doubt.got
    assert doubt.do.startswith("See that no more than 0 is used by others")
    theirs = replace(full, cluster=Running("1.35.1-gke.1", {}, {}))
    assert what in told(judged(theirs), "error")
    small = replace(full, quotas={**quotas, "NVIDIA_L4_GPUS": Quota(7, 6)})
    assert what in told(judged(small), "error")  # not enough for its own nodes alone
    added = replace(needs(cluster(), L4, SYSTEM), given=True)
    assert what in told(findings(added, replace(theirs)), "error")
    again = replace(theirs, cluster=Running("1.35.1-gke.1", {}, {"gpu-on-demand": "1.35.1-gke.1"}))
    assert what in told(findings(added, again), "warning")


def test_quotas_by_family_and_by_spot() -> None:
    assert cpus_of("n2-standard-4", spot=False, known=()) == "N2_CPUS"
    assert cpus_of("e2-standard-4", spot=True, known={"PREEMPTIBLE_CPUS"}) == "PREEMPTIBLE_CPUS"
    assert cpus_of("g2-standard-4", spot=False, known=()) is None
    assert devices_of("nvidia-l4", spot=True) == "PREEMPTIBLE_NVIDIA_L4_GPUS"
    assert devices_of("nvidia-b200", spot=False) is None


# The asking ---------------------------------------------------------------------------------------------------------

ANSWERS: dict[str, Any] = {
    "/v1/projects/my-project": {"lifecycleState": "ACTIVE"},
    "/v1/projects/my-project/services:batchGet": {
        "services": [
            {"config": {"name": "compute.googleapis.com"}, "state": "ENABLED"},
            {"config": {"name": "iam.googleapis.com"}, "state": "DISABLED"},
        ]
    },
    "/v1/projects/my-project:testIamPermissions": {"permissions": ["container.clusters.get", "compute.networks.get"]},
    "/compute/v1/projects/my-project/regions/us-central1": {"quotas": [{"metric": "CPUS", "limit": 72, "usage": 8}]},
    f"/compute/v1/projects/my-project/zones/{ZONES[0]}/machineTypes": {"items": [{"name": "g2-standard-4"}]},
    f"/compute/v1/projects/my-project/zones/{ZONES[1]}/machineTypes": [
        {"items": [{"name": "e2-standard-4"}]},
        {"items": [{"name": "g2-standard-4"}]},
    ],
    f"/compute/v1/projects/my-project/zones/{ZONES[0]}/acceleratorTypes": {"items": [{"name": "nvidia-l4"}]},
    f"/compute/v1/projects/my-project/zones/{ZONES[1]}/acceleratorTypes": {},
    f"/compute/v1/projects/my-project/zones/{ZONES[1]}/reservations/mine": {
        "zone": f"https://www.googleapis.com/compute/v1/projects/my-project/zones/{ZONES[1]}",
        "status": "READY",
        "specificReservationRequired": True,
        "specificReservation": {
            "count": "8",
            "inUseCount": "3",
            "instanceProperties": {"machineType": "g2-standard-4"},
        },
    },
    "/v1/projects/my-project/locations/us-central1/clusters/prod": {
        "currentMasterVersion": "1.34.1-gke.5",
        "resourceLabels": LABELS,
        "nodePools": [{"name": "system", "version": "1.33.2-gke.1"}],
    },
    "/v1/projects/my-project/locations/us-central1/serverConfig": {
        "channels": [{"channel": "REGULAR", "validVersions": ["1.35.2-gke.100"]}]
    },
    "/compute/v1/projects/my-project/global/networks/prod": {"name": "prod"},
    "/compute/v1/projects/host/global/networks/shared": {"name": "shared"},
}


class Http:
    """Answers by path; whatever else is asked is not found. `asked` holds method and path."""

    def __init__(self, refused: tuple[str, ...] = ()) -> None:
        self.asked: list[tuple[str, str]] = []
        self._refused = refused

    def request(self, uri: str, method: str = "GET", **_: Any) -> tuple[httplib2.Response, bytes]:
        path = urlparse(uri).path
        assert "key" not in parse_qs(urlparse(uri).query)
        self.asked.append((method, path))
        status = 403 if any(word in path for word in self._refused) else 200 if path in ANSWERS else 404
        answer = ANSWERS.get(path, {})
        if isinstance(answer, list):  # of pages
            number = int(parse_qs(urlparse(uri).query).get("pageToken", ["0"])[0])
            more = {"nextPageToken": str(number + 1)} if number + 1 < len(answer) else {}
            answer = answer[number] | more
        body = answer if status == 200 else {"error": {"code": status, "message": "no"}}
        return httplib2.Response({"status": status, "content-type": "application/json"}), json.dumps(body).encode()

    def close(self) -> None:
        """Nothing is open."""


class Nothing(Http):
    """A project that has nothing at all."""

    def request(self, uri: str, method: str = "GET", **_: Any) -> tuple[httplib2.Response, bytes]:
        path = urlparse(uri).path
        self.asked.append((method, path))
        here = path.endswith(("/instances", "/serverConfig", ":testIamPermissions", ":batchGet"))
        status = 200 if here else 404
        body = {} if here else {"error": {"code": status, "message": "no"}}
        return httplib2.Response({"status": status, "content-type": "application/json"}), json.dumps(body).encode()


def facts(http: Http) -> Facts:
    held = replace(L4, kind="reserved", reservation=group(reservation={"id": "mine"}).reservation)
    network = {
        "id": "projects/host/global/networks/shared",
        "subnets": ["projects/host/regions/us-central1/subnetworks/s"],
    }
    wanted = needs(cluster(network=network), held, resources=MADE)

    def service(name: str, version: str) -> Any:
        return ask.build(name, version, http=http, cache_discovery=False, static_discovery=True)

    return ask.facts_of(wanted, lambda _: None, (service, "kim"))


def test_what_is_asked_of_google_only_reads_and_becomes_facts() -> None:
    http = Http()
    found = facts(http)
    writes = [each for each in http.asked if each[0] != "GET" and not each[1].endswith(":testIamPermissions")]
    assert writes == []
    assert found.project == "ACTIVE"
    assert found.apis == frozenset({"compute.googleapis.com"})
    assert isinstance(found.lacking, tuple)
    assert "container.clusters.create" in found.lacking
    assert "container.clusters.get" not in found.lacking
    assert found.quotas == {"CPUS": Quota(72, 8)}
    assert found.machines == {"g2-standard-4": EVERYWHERE, "e2-standard-4": frozenset({ZONES[1]})}
    assert found.accelerators == {"nvidia-l4": frozenset({ZONES[0]})}
    assert found.reservations == {"mine": Reserved("g2-standard-4", ZONES[1], 8, 3, "READY", specific=True)}
    assert found.cluster == Running("1.34.1-gke.5", LABELS, {"system": "1.33.2-gke.1"})
    assert found.taken == {"network prod": None}
    assert list(found.network.values()) == ["shared", None]
    assert found.versions == {"regular": ("1.35.2-gke.100",)}


PARTS: dict[str, Any] = {
    "buckets": [{"name": "models"}, {"name": "raw", "id": "raw-data"}, {"name": "other", "id": "others-data"}],
    "registries": [{"name": "images"}, {"name": "java", "id": "projects/host/locations/us-central1/repositories/java"}],
    "dns": {"zone": "ml.example.com", "id": "projects/host/managedZones/ml"},
    "network": {"id": "projects/host/global/networks/shared", "subnets": ["s"]},
    "tags": {"team": "ml"},
}
ZONE = "/dns/v1/projects/host/managedZones/ml"
SEEN = {"networks": [{"networkUrl": "https://www.googleapis.com/compute/v1/projects/host/global/networks/shared"}]}
OF_PARTS: dict[str, Any] = {
    "/storage/v1/b/raw-data": {"location": "US-CENTRAL1"},
    "/v1/projects/host/locations/us-central1/repositories/java": {"format": "MAVEN"},
    ZONE: {"visibility": "private", "dnsName": "ml.example.com.", "privateVisibilityConfig": SEEN},
}


SERVICES = "/v1/projects/my-project/services:batchGet"


def looked_up(
    monkeypatch: pytest.MonkeyPatch, answers: Any = (), refused: tuple[str, ...] = ("others-data",), given: Any = ()
) -> list[Finding]:
    settings = cluster(**{**PARTS, **dict(given)})
    wanted = needs(settings, L4, resources=MADE, parts=parts_of(settings))
    for path, answer in {**OF_PARTS, **dict(answers)}.items():
        monkeypatch.setitem(ANSWERS, path, answer)
    http = Http(refused)

    def service(name: str, version: str) -> Any:
        return ask.build(name, version, http=http, cache_discovery=False, static_discovery=True)

    found = ask.facts_of(wanted, lambda _: None, (service, "kim"))
    assert {method for method, path in http.asked if not path.endswith(":testIamPermissions")} == {"GET"}
    return findings(wanted, replace(GOOD, parts=found.parts))


def test_buckets_repositories_and_zones_are_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    made = parts_of(cluster(**PARTS)).buckets[0].name
    found = looked_up(monkeypatch)
    good, bad = told(found, "ok"), told(found, "error")
    assert good[f"bucket {made}"].got == "the name is free"
    assert good["bucket raw-data"].got == "us-central1"
    assert good["repository us-central1-docker.pkg.dev/my-project/prod-images"].got == "the name is free"
    assert good["zone ml"].got == "private, ml.example.com."
    assert told(found, "warning")["bucket others-data"].got == "there, but the caller may not read of it"
    assert bad["repository us-central1-docker.pkg.dev/host/java"].got.startswith("of the format maven")
    taken = looked_up(monkeypatch, {f"/storage/v1/b/{made}": {"labels": {"team": "other"}}})
    assert "without the tags" in told(taken, "error")[f"bucket {made}"].got
    ours = looked_up(monkeypatch, {f"/storage/v1/b/{made}": {"labels": {"team": "ml", "more": "x"}}})
    assert "with this stack's tags" in told(ours, "ok")[f"bucket {made}"].got


def test_a_refusal_means_that_a_name_is_free_only_where_the_api_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    made: dict[str, Any] = {"dns": {"zone": "ml.example.com"}, "network": {}}
    zone = parts_of(cluster(**{**PARTS, **made})).zone
    assert zone is not None
    what = {f"zone {zone.name}", "repository us-central1-docker.pkg.dev/my-project/prod-images"}
    refused = ("my-project/managedZones", "my-project/locations/us-central1/repositories")
    off = told(looked_up(monkeypatch, (), refused, made), "ok")
    assert {off[each].got for each in what} == {"the name is free"}
    names = ("artifactregistry.googleapis.com", "dns.googleapis.com")
    on = {"services": [{"config": {"name": name}, "state": "ENABLED"} for name in names]}
    doubts = told(looked_up(monkeypatch, {SERVICES: on}, refused, made), "warning")
    assert {doubts[each].got for each in what} == {"not judged: 403 no"}
    unknown = told(looked_up(monkeypatch, (), (*refused, "batchGet"), made), "warning")
    assert {unknown[each].got for each in what} == {"not judged: 403 no"}


RING = "/v1/projects/my-project/locations/us-central1/keyRings/prod"


def test_a_key_ring_that_outlived_its_cluster_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def taken(*apis: str) -> Any:
        on = {"services": [{"config": {"name": name}, "state": "ENABLED"} for name in apis]}
        monkeypatch.setitem(ANSWERS, SERVICES, on)
        wanted = needs(cluster(), L4, resources=(*MADE, ("gcp:kms/keyRing:KeyRing", {"name": "prod"})))
        http = Http()

        def service(name: str, version: str) -> Any:
            return ask.build(name, version, http=http, cache_discovery=False, static_discovery=True)

        found = ask.facts_of(wanted, lambda _: None, (service, "kim"))
        assert (("GET", RING) in http.asked) == bool(apis)
        return told(findings(wanted, replace(GOOD, taken=found.taken)), "error")

    assert "key ring prod" not in taken("cloudkms.googleapis.com")
    monkeypatch.setitem(ANSWERS, RING, {"name": RING.removeprefix("/v1/")})
    assert "A key ring is never deleted" in taken("cloudkms.googleapis.com")["key ring prod"].do
    assert "key ring prod" not in taken()  # a project where the API is off has none


def test_a_bucket_that_may_not_be_read_is_somebodys(monkeypatch: pytest.MonkeyPatch) -> None:
    made = parts_of(cluster(**PARTS)).buckets[0].name
    doubts = told(looked_up(monkeypatch, refused=(made,)), "warning")
    assert "this stack's own, or somebody else's" in doubts[f"bucket {made}"].got


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"visibility": "public"}, "a public zone"),
        ({"dnsName": "example.com."}, "the zone of example.com, not of ml.example.com"),
        ({"privateVisibilityConfig": {}}, "network shared is not one of those that see it"),
    ],
)
def test_a_given_zone_must_be_the_networks(change: Any, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(looked_up(monkeypatch, {ZONE: OF_PARTS[ZONE] | change}), "error")["zone ml"].got == says


ROBOT, GROUP = "deployer@my-project.iam.gserviceaccount.com", "platform@example.com"
LOOKUP = "/v1/groups:lookup"
SHARES = "/v1/projects/host/locations/-/instances"


def administrators(monkeypatch: pytest.MonkeyPatch, answers: dict[str, Any], **http: Any) -> list[Finding]:
    for path, answer in answers.items():
        monkeypatch.setitem(ANSWERS, path, answer)
    admins = [f"serviceAccount:{ROBOT}", f"group:{GROUP}", "user:kim@example.com"]
    named = cluster(
        access={"via": "dns-endpoint", "admins": admins}, **{"security-group": "gke-security-groups@example.com"}
    )
    wanted, asked = needs(named, L4, resources=MADE), Http(**http)

    def service(name: str, version: str) -> Any:
        return ask.build(name, version, http=asked, cache_discovery=False, static_discovery=True)

    found = ask.facts_of(wanted, lambda _: None, (service, "kim"))
    return findings(wanted, replace(GOOD, parts=found.parts))


def test_administrators_are_looked_up_as_far_as_google_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = told(administrators(monkeypatch, {}), "error")
    assert gone[f"administrator serviceAccount:{ROBOT}"].got == "there is none"
    assert gone[f"administrator group:{GROUP}"].do == "Correct its id under espalier:cluster.access.admins."
    assert gone["group gke-security-groups@example.com"].do == "Correct its id under espalier:cluster.security-group."
    account = f"/v1/projects/-/serviceAccounts/{ROBOT}"
    here = administrators(monkeypatch, {account: {"email": ROBOT}, LOOKUP: {"name": "groups/1"}})
    fine = told(here, "ok")
    assert {f"administrator serviceAccount:{ROBOT}", f"administrator group:{GROUP}"} <= fine.keys()
    off = told(administrators(monkeypatch, {account: {"disabled": True}}), "error")
    assert off[f"administrator serviceAccount:{ROBOT}"].got == "disabled"
    refused = told(administrators(monkeypatch, {}, refused=("groups:lookup",)), "warning")
    assert refused[f"administrator group:{GROUP}"].got == "not judged: 403 no"


@pytest.mark.parametrize(
    ("members", "level", "got"),
    [
        (["user:Kim@example.com"], "ok", "is there"),
        (["deleted:user:kim@example.com?uid=1", "user:kim@example.com"], "ok", "is there"),
        (["deleted:user:kim@example.com?uid=1"], "error", "deleted"),
        (["user:akim@example.com", "deleted:user:kim@example.community?uid=1"], "warning", None),
        (None, "warning", None),
    ],
    ids=["named", "made again", "deleted", "another", "not told"],
)
def test_a_user_is_known_by_the_projects_policy_and_by_nothing_else(
    members: list[str] | None, level: str, got: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the policy may not be read or does not name the user, the finding says that nobody can tell."""
    policy = {"bindings": [{"role": "roles/viewer", "members": ["group:all@example.com", *(members or ())]}]}
    refused = () if members else (":getIamPolicy",)
    found = administrators(monkeypatch, {"/v1/projects/my-project:getIamPolicy": policy}, refused=refused)
    assert told(found, level)["administrator user:kim@example.com"].got == (
        got
        or "not judged: the project's policy does not name this user, and of others Google tells to administrators of "
        "its Workspace alone"
    )


def test_a_share_of_the_networks_own_project_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    share = {"networks": [{"ipAddresses": ["10.9.0.2"]}], "fileShares": [{"name": "models"}], "state": "READY"}
    monkeypatch.setitem(ANSWERS, "/v1/projects/my-project/locations/-/instances", {})
    monkeypatch.setitem(ANSWERS, SHARES, [{"instances": []}, {"instances": [share]}])
    named = cluster(
        network={"id": "projects/host/global/networks/shared", "subnets": ["s"]},
        storage={"type": "filestore", "id": "10.9.0.2:/models"},
    )
    wanted, http = needs(named, L4, resources=MADE), Http()

    def service(name: str, version: str) -> Any:
        return ask.build(name, version, http=http, cache_discovery=False, static_discovery=True)

    def found() -> list[Finding]:
        return findings(wanted, replace(GOOD, parts=ask.facts_of(wanted, lambda _: None, (service, "kim")).parts))

    assert told(found(), "ok")["share 10.9.0.2:/models"].got == "ready"
    monkeypatch.setitem(ANSWERS, SHARES, {})
    assert told(found(), "warning")["share 10.9.0.2:/models"].got == (
        "not judged: no Filestore instance of my-project or host has it: see that another project's does"
    )


def test_a_refused_question_is_not_judged_and_the_others_are() -> None:
    found = facts(Http(refused=("regions/us-central1", "clusters/prod", "testIamPermissions")))
    assert (found.quotas, found.cluster, found.lacking) == (NotAsked("403 no"), NotAsked("403 no"), NotAsked("403 no"))
    assert found.project == "ACTIVE"


def test_without_credentials_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(**_: Any) -> Any:
        raise ask.DefaultCredentialsError("none were found\nat all")

    monkeypatch.setattr("google.auth.default", none)
    with pytest.raises(NotPossibleError, match="no credentials for Google Cloud: none were found") as caught:
        ask.facts_of(needs(cluster(), L4), lambda _: None)
    assert "gcloud auth application-default login" in caught.value.do
