"""`upgrade`: what another version changes, what it refuses, and that the lock moves after a yes alone."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
import yaml

from espalier.charts.upgrade import compare, compare_names
from espalier.content import ContentFacts
from espalier.types import UpgradeStep, older
from tests.unit.chart_project import Project

pytestmark = pytest.mark.usefixtures("home")
Manifest = dict[str, Any]


def workload(kind: str, name: str, image: str = "x/y:1", **spec: Any) -> Manifest:
    template = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": image}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "n"},
        "spec": {"selector": {"matchLabels": {"app": "a"}}, "template": template, **spec},
    }


def database(name: str, size: str = "1Gi") -> Manifest:
    claim = {"metadata": {"name": "data"}, "spec": {"resources": {"requests": {"storage": size}}}}
    return workload("StatefulSet", name, volumeClaimTemplates=[claim])


def definition(*versions: str, stored: str = "", served: str = "", **spec: Any) -> Manifest:
    rows = [
        {"name": name, "served": not served or name in served.split(), "storage": name == (stored or versions[-1])}
        for name in versions
    ]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "jobs.x.org"},
        "spec": {"group": "x.org", "scope": "Namespaced", "names": {"kind": "Job"}, "versions": rows, **spec},
    }


def thing(kind: str, **fields: Any) -> Manifest:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": "a", "namespace": "n"}, **fields}


JOBS = "customresourcedefinition.apiextensions.k8s.io/jobs.x.org"


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ([], [thing("Service")], ("add", (), "")),
        ([thing("Service")], [], ("remove", (), "")),
        ([thing("Service", spec={"a": 1})], [thing("Service", spec={"a": 2})], ("change", ("spec.a",), "")),
        (
            [workload("Deployment", "a")],
            [workload("Deployment", "a", selector={"matchLabels": {"app": "b"}})],
            ("replace", ("spec.selector.matchLabels.app",), "deleted and made anew for spec.selector.matchLabels.app"),
        ),
        (
            [database("a")],
            [database("a", "2Gi")],
            (
                "replace",
                ("spec.volumeClaimTemplates[0].spec.resources.requests.storage",),
                "deleted and made anew for spec.volumeClaimTemplates[0].spec.resources.requests.storage; "
                "its claims stay as they are",
            ),
        ),
        (
            [thing("RoleBinding", roleRef={"name": "a"})],
            [thing("RoleBinding", roleRef={"name": "b"})],
            ("replace", ("roleRef.name",), "deleted and made anew for roleRef.name"),
        ),
        (
            [thing("ConfigMap", immutable=True, data={"a": "1"})],
            [thing("ConfigMap", immutable=True, data={"a": "2"})],
            ("replace", ("data.a",), "deleted and made anew for data.a"),
        ),
        ([thing("ConfigMap", data={"a": "1"})], [thing("ConfigMap", data={"a": "2"})], ("change", ("data.a",), "")),
        (
            [definition("v1")],
            [],
            ("remove", (), "stays in the cluster with its objects; delete it by hand when nobody needs these"),
        ),
        (
            [definition("v1alpha1", "v1")],
            [definition("v1alpha1", "v1", served="v1")],
            (
                "change",
                ("spec.versions[0].served",),
                "no longer serves v1alpha1: manifests and clients that name it fail",
            ),
        ),
    ],
)
def test_what_an_upgrade_does_is_told(
    old: list[Manifest], new: list[Manifest], wanted: tuple[str, tuple[str, ...], str]
) -> None:
    [row] = compare(old, new)
    assert (row.op, row.fields, row.note) == wanted
    assert row.refused == ""


@pytest.mark.parametrize(
    ("old", "new", "refused"),
    [
        ([database("minio")], [], "statefulset.apps/n/minio keeps data in claims that nothing uses any more"),
        (
            [database("minio")],
            [database("seaweedfs")],
            "statefulset.apps/n/minio keeps data in claims that nothing uses any more, and "
            "statefulset.apps/n/seaweedfs, which takes its place, starts empty",
        ),
        ([thing("PersistentVolumeClaim")], [], "persistentvolumeclaim/n/a would be deleted with what it holds"),
        (
            [thing("PersistentVolumeClaim", spec={"storageClassName": "a"})],
            [thing("PersistentVolumeClaim", spec={"storageClassName": "b"})],
            "persistentvolumeclaim/n/a cannot change spec.storageClassName and holds data",
        ),
        (
            [definition("v1alpha1", "v1", stored="v1alpha1")],
            [definition("v1")],
            f"{JOBS} drops v1alpha1, in which its objects are stored",
        ),
        (
            [definition("v1")],
            [definition("v1", scope="Cluster")],
            f"{JOBS} cannot change spec.scope while it has objects",
        ),
    ],
)
def test_what_would_lose_data_is_refused(old: list[Manifest], new: list[Manifest], refused: str) -> None:
    [row] = [row for row in compare(old, new) if row.refused]
    assert row.refused == refused
    assert f"--accept {row.object}." in row.do


def test_a_workload_under_another_name_is_told_as_one() -> None:
    was, now = workload("Deployment", "old-web", "x/y:1"), workload("Deployment", "web", "x/y:2")
    rows = {row.object: (row.op, row.note) for row in compare([was], [now])}
    assert rows == {
        "deployment.apps/n/old-web": ("remove", "deployment.apps/n/web takes its place"),
        "deployment.apps/n/web": ("rename", "was deployment.apps/n/old-web"),
    }


def test_a_claim_that_helm_would_keep_is_not_lost() -> None:
    claim = thing("PersistentVolumeClaim")
    claim["metadata"]["annotations"] = {"helm.sh/resource-policy": "keep"}
    [row] = compare([claim], [])
    assert (row.op, row.refused) == ("remove", "")


def test_names_alone_tell_what_goes_and_what_may_hold_data() -> None:
    old = ContentFacts(objects=("service/n/a", "statefulset.apps/n/db", JOBS))
    rows = {row.object: (row.op, bool(row.refused)) for row in compare_names(old, ContentFacts(("service/n/b",)))}
    assert rows == {
        "service/n/a": ("remove", False),
        "service/n/b": ("add", False),
        "statefulset.apps/n/db": ("remove", True),
        JOBS: ("remove", False),
    }


@pytest.mark.parametrize(
    ("old", "new", "met"),
    [("2.2.1", "2.4.0", True), ("2.2.1", "2.3.0", False), ("2.3.1", "2.4.0", False), ("v1.9", "3", True)],
)
def test_a_step_is_met_by_upgrades_that_leap_over_it(old: str, new: str, met: bool) -> None:
    assert UpgradeStep("2.3", "2.4", "why", "do", "source").between(old, new) is met
    assert older(old, new)


class Site:
    """Versions of one file of objects on a server, and the stack's add-on that names one of them."""

    def __init__(self, project: Project, web: Any) -> None:
        self.project, self._site = project, web()
        self._objects: dict[str, list[Manifest]] = {}

    def has(self, version: str, *objects: Manifest) -> None:
        self._site.pages[f"/{version}.yaml"] = yaml.safe_dump_all(objects).encode()

    def gone(self, version: str) -> None:
        del self._site.pages[f"/{version}.yaml"]

    def name(self, version: str) -> None:
        url = f"{self._site.url}/{version}.yaml"
        self.project.addon("queue", {"manifests": {"url": url, "version": version}})


@pytest.fixture
def site(project: Project, web: Any) -> Site:
    return Site(project, web)


def test_the_lock_moves_after_a_yes_alone(site: Site) -> None:
    site.has("1.0", thing("ConfigMap", data={"a": "1"}))
    site.has("1.1", thing("ConfigMap", data={"a": "2"}))
    site.name("1.0")
    site.project.good("fetch")
    assert site.project.good("upgrade")["addons"] == []
    before = site.project.lock.read_bytes()
    site.name("1.1")
    code, document = site.project.run("upgrade")
    assert code == 3
    assert "Say --yes" in document["errors"][0]["do"]
    assert site.project.lock.read_bytes() == before
    document = site.project.good("upgrade", "--yes")
    assert document["written"] is True
    [row] = document["addons"]
    assert (row["from"], row["to"]) == ("1.0", "1.1")
    assert [(change["object"], change["op"]) for change in row["changes"]] == [("configmap/n/a", "change")]
    site.project.good("plan")
    assert site.project.good("fetch")["sources"][0]["fetched"] is False


def test_what_is_refused_leaves_the_lock_until_it_is_accepted_by_name(site: Site) -> None:
    site.has("1.0", database("minio"))
    site.has("1.1", thing("ConfigMap"))
    site.name("1.0")
    site.project.good("fetch")
    before = site.project.lock.read_bytes()
    site.name("1.1")
    code, document = site.project.run("upgrade", "--yes")
    assert code == 1
    assert document["written"] is False
    [error] = document["errors"]
    assert error["path"] == "espalier:addons.queue"
    assert error["got"] == "statefulset.apps/n/minio keeps data in claims that nothing uses any more"
    assert site.project.lock.read_bytes() == before
    code, document = site.project.run("upgrade", "--yes", "--accept", "statefulset.apps/n/mino")
    assert code == 2
    assert document["errors"][0]["accepted"] == "statefulset.apps/n/minio"
    assert site.project.good("upgrade", "--yes", "--accept", "statefulset.apps/n/minio")["written"] is True


def test_going_back_is_refused(site: Site) -> None:
    for version in ("1.9", "1.10"):
        site.has(version, thing("ConfigMap"))
    site.name("1.10")
    site.project.good("fetch")
    site.name("1.9")
    code, document = site.project.run("upgrade", "--yes")
    assert code == 1
    assert document["errors"][0]["got"] == "1.10 to 1.9 goes back"
    assert site.project.good("upgrade", "--yes", "--accept", "queue")["written"] is True


def test_without_the_old_content_names_are_compared(site: Site) -> None:
    site.has("1.0", thing("ConfigMap"), thing("Service"))
    site.has("1.1", thing("ConfigMap"))
    site.name("1.0")
    site.project.good("fetch")
    shutil.rmtree(site.project.cache)
    site.gone("1.0")
    site.name("1.1")
    [row] = site.project.good("upgrade", "--yes")["addons"]
    assert "is not in the cache" in row["unseen"]
    assert [(change["object"], change["op"]) for change in row["changes"]] == [("service/n/a", "remove")]


def test_a_new_version_that_cannot_be_had_is_named(site: Site) -> None:
    site.has("1.0", thing("ConfigMap"))
    site.name("1.0")
    site.project.good("fetch")
    before = site.project.lock.read_bytes()
    site.name("1.1")
    code, document = site.project.run("upgrade", "--yes")
    assert code == 3
    assert document["errors"][0]["path"] == "espalier:addons.queue"
    assert site.project.lock.read_bytes() == before
