"""`fetch`, the lock, and plans of stacks with add-ons of their own, from the command line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from espalier.charts.cache import digest_of
from espalier.cli import main
from tests.unit.chart_project import PASSWORD, ROOT, Project

Archive = Callable[[Mapping[str, str]], bytes]

pytestmark = pytest.mark.usefixtures("home", "renderer")


def chart(made_archive: Archive, image: str = "quay.io/x/y:1.0.0", name: str = "queue") -> bytes:
    template = f"""\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  replicas: {{{{ .Values.replicas }}}}
  selector: {{matchLabels: {{app: q}}}}
  template:
    metadata: {{labels: {{app: q}}}}
    spec: {{containers: [{{name: c, image: "{image}", resources: {{requests: {{cpu: 1m, memory: 1Mi}}}}}}]}}
"""
    return made_archive(
        {
            f"{name}/Chart.yaml": f"apiVersion: v2\nname: {name}\nversion: 1.0.0\n",
            f"{name}/values.yaml": "replicas: 1\n",
            f"{name}/templates/x.yaml": template,
        }
    )


def source(url: str, version: str = "1.0.0") -> dict[str, Any]:
    return {"chart": {"name": "queue", "repo": url, "version": version}}


def addons(document: Any) -> dict[str, Any]:
    return {row["id"]: row for row in document["addons"]}


def test_fetch_pins_and_plan_needs_no_network(project: Project, web: Any, made_archive: Archive, home: Path) -> None:
    site = web(login=("reader", PASSWORD))
    data = chart(made_archive)
    site.repository("queue", {"1.0.0": data})
    (home / ".netrc").write_text(f"machine 127.0.0.1 login reader password {PASSWORD}\n")
    project.addon("queue", source(f"{site.url}/charts"), {"values": {"replicas": 2}})
    [row] = project.good("fetch")["sources"]
    assert row == {
        "id": "queue",
        "source": f"{site.url}/charts/queue",
        "version": "1.0.0",
        "digest": digest_of(data),
        "fetched": True,
    }
    first = project.lock.read_text()
    assert digest_of(data) in first
    assert PASSWORD not in first
    asked = len(site.asked)
    assert project.good("fetch")["sources"][0]["fetched"] is False
    assert project.lock.read_text() == first
    document = project.good("plan")
    assert len(site.asked) == asked  # neither the second fetch nor the plan asked anyone
    assert addons(document)["queue"] == {
        "id": "queue",
        "version": "1.0.0",
        "wave": 0,
        "content": "rendered",
        "held": "",
        "withheld": [],
        "profile": "",
    }
    [deployment] = [obj for obj in document["kubernetes"] if obj["kind"] == "Deployment"]
    assert deployment["spec"]["replicas"] == 2
    assert deployment["metadata"]["namespace"] == "queue"
    assert "quay.io/x/y:1.0.0" in {row["image"] for row in document["images"]}


def test_content_that_is_not_there_holds_up_only_what_needs_it(
    project: Project, web: Any, made_archive: Archive
) -> None:
    site = web()
    site.repository("queue", {"1.0.0": chart(made_archive)})
    project.addon("queue", source(f"{site.url}/charts"))
    (project.stacks / "own.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: own}\n")
    manifests = {"manifests": {"url": "own.yaml", "version": "1"}}
    project.addon("needy", manifests, needs=["queue"])
    project.addon("free", manifests)
    code, document = project.run("plan")
    assert code == 1
    found = addons(document)
    assert (found["queue"]["content"], found["needy"]["content"]) == ("recorded", "rendered")
    assert f"{site.url}/charts/queue 1.0.0 is not pinned by t.lock" in found["queue"]["held"]
    assert "espalier fetch t" in found["queue"]["held"]
    assert "needs queue" in found["needy"]["held"]
    assert found["free"]["held"] == ""
    assert {row["id"]: row["wave"] for row in document["addons"]} == {"queue": 0, "needy": 1, "free": 0}
    owned = {obj["metadata"].get("namespace") for obj in document["kubernetes"] if obj["kind"] == "ConfigMap"}
    assert owned == {"free"}
    made = {row["name"] for row in document["resources"] if row["type"] == "espalier:index:Addon"}
    assert made == {"platform-free"}
    assert {proof["name"]: proof["ok"] for proof in document["proofs"]} == {
        "content/queue": False,
        "content/needy": False,
    }


def test_without_the_cache_a_plan_has_what_the_lock_says(project: Project, web: Any, made_archive: Archive) -> None:
    site = web()
    site.repository("queue", {"1.0.0": chart(made_archive)})
    project.addon("queue", source(f"{site.url}/charts"))
    project.good("fetch")
    shutil.rmtree(project.cache)
    code, document = project.run("plan")
    assert code == 1
    held = addons(document)["queue"]["held"]
    assert "is not in the cache" in held
    assert "espalier fetch t" in held
    assert "mirror" in held
    assert [row for row in document["images"] if row["addon"] == "queue"] == [
        {"image": "quay.io/x/y:1.0.0", "addon": "queue", "where": "from the lock, not rendered"}
    ]
    assert project.good("fetch")["sources"][0]["fetched"] is True
    project.good("plan")


def test_other_bytes_under_the_same_version_are_refused_naming_both(
    project: Project, web: Any, made_archive: Archive
) -> None:
    site = web()
    old, new = chart(made_archive), chart(made_archive, image="evil.example.com/y:1.0.0")
    site.repository("queue", {"1.0.0": old})
    project.addon("queue", source(f"{site.url}/charts"))
    project.good("fetch")
    before = project.lock.read_text()
    shutil.rmtree(project.cache)
    site.repository("queue", {"1.0.0": new})
    code, document = project.run("fetch")
    assert code == 2
    [error] = document["errors"]
    assert error["path"] == "t.lock: sources.queue.digest"
    assert (error["got"], error["accepted"]) == (digest_of(new), digest_of(old))
    assert project.lock.read_text() == before


def test_a_cache_that_was_changed_is_refused_and_fetch_mends_it(
    project: Project, web: Any, made_archive: Archive
) -> None:
    site = web()
    data = chart(made_archive)
    site.repository("queue", {"1.0.0": data})
    project.addon("queue", source(f"{site.url}/charts"))
    project.good("fetch")
    shutil.rmtree(project.cache / "renders")
    (project.cache / "sha256" / digest_of(data)[7:]).write_bytes(b"changed")
    code, document = project.run("plan")
    assert code == 2
    assert digest_of(b"changed") in document["errors"][0]["got"]
    assert digest_of(data) in document["errors"][0]["got"]
    assert project.good("fetch")["sources"][0]["fetched"] is True
    project.good("plan")


def test_a_manifest_of_the_cache_that_was_changed_is_refused(project: Project, web: Any) -> None:
    data = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: own}\n"
    site = web(pages={"/own.yaml": data})
    project.addon("own", {"manifests": {"url": f"{site.url}/own.yaml", "version": "1"}})
    project.good("fetch")
    project.good("plan")
    (project.cache / "sha256" / digest_of(data)[7:]).write_bytes(data + b"data: {k: v}\n")
    code, document = project.run("plan")
    assert code == 2
    assert digest_of(data) in document["errors"][0]["got"]


def test_a_lock_of_another_version_is_refused_until_it_is_upgraded(
    project: Project, web: Any, made_archive: Archive
) -> None:
    site = web()
    site.repository("queue", {"1.0.0": chart(made_archive), "1.1.0": chart(made_archive, image="quay.io/x/y:2.0.0")})
    project.addon("queue", source(f"{site.url}/charts"))
    project.good("fetch")
    project.addon("queue", source(f"{site.url}/charts", "1.1.0"))
    code, document = project.run("plan")
    assert code == 2
    [error] = document["errors"]
    assert error["got"] == f"{site.url}/charts/queue 1.0.0"
    assert error["accepted"] == f"{site.url}/charts/queue 1.1.0"
    assert error["do"] == "Run `espalier upgrade t`: it shows what that changes, then pins it."
    pins = project.lock.read_bytes()
    assert project.run("fetch")[1]["errors"] == document["errors"]
    assert project.lock.read_bytes() == pins
    [row] = project.good("upgrade", "--yes")["addons"]
    assert row["changes"] == [
        {
            "object": "deployment.apps/queue/queue",
            "op": "change",
            "fields": ["spec.template.spec.containers[0].image"],
            "note": "",
        }
    ]
    assert "quay.io/x/y:2.0.0" in {row["image"] for row in project.good("plan")["images"]}


def test_fetch_tells_of_a_mistake_and_leaves_the_lock_as_it_is(
    project: Project, web: Any, made_archive: Archive
) -> None:
    site = web()
    site.repository("queue", {"1.0.0": chart(made_archive)})
    project.addon("queue", source(f"{site.url}/charts"))
    project.good("fetch")
    lock = project.lock.read_bytes()
    project.settings["pools"] = [{"name": "gpus", "accelerator": "H100-81", "nodes": {"max": 1}}]
    project.settings["addons"]["tf-operator"] = {}
    code, document = project.run("fetch")
    assert code == 2
    assert [error["path"] for error in document["errors"]] == [
        "espalier:pools[0].accelerator",
        "espalier:addons.tf-operator",
    ]
    assert project.lock.read_bytes() == lock


def test_what_cannot_be_reached_is_named_and_the_rest_is_fetched(
    project: Project, web: Any, made_archive: Archive
) -> None:
    site = web()
    site.push("team/queue", "1.0.0", chart(made_archive))
    project.addon("queue", source(f"oci://{site.host}/team"))
    project.addon("lost", source("http://127.0.0.1:9/charts"))
    project.addon("gone", {"manifests": {"url": f"{site.url}/none.yaml", "version": "1"}})
    code, document = project.run("fetch")
    assert code == 3
    assert [error["path"] for error in document["errors"]] == ["espalier:addons.gone", "espalier:addons.lost"]
    assert "espalier:sources.mirror" in document["errors"][1]["do"]
    assert list(yaml.safe_load(project.lock.read_text())["sources"]) == ["queue"]
    _, document = project.run("plan")
    assert {id for id, row in addons(document).items() if row["held"]} == {"gone", "lost"}


def test_mistakes_of_records_come_all_at_once(project: Project) -> None:
    project.addon(
        "one", {"chart": {"name": "x", "repo": "https://x", "version": "1"}, "manifests": {"url": "a", "version": "1"}}
    )
    project.addon("two", {"chart": {"name": "x", "repo": "https://x"}}, hooks={"Job/x": "kep"}, colour="red")
    project.addon(
        "three", {"manifests": {"url": "a", "version": "1"}}, values={"a": 1}, images=[{"kind": "x", "path": "a["}]
    )
    project.addon("nvidia-device-plugin", {"manifests": {"url": "a", "version": "1"}})
    code, document = project.run("plan")
    assert code == 2
    assert sorted(error["path"] for error in document["errors"]) == [
        "addons/nvidia-device-plugin.yaml",
        "addons/one.yaml: source",
        "addons/three.yaml: images[0].path",
        "addons/three.yaml: values",
        "addons/two.yaml: colour",
        'addons/two.yaml: hooks["Job/x"]',
        "addons/two.yaml: source.chart.version",
    ]
    assert all(error["accepted"] and error["do"] for error in document["errors"])


def test_mistakes_of_content_come_with_those_of_the_stack(project: Project) -> None:
    (project.stacks / "own.yaml").write_text("apiVersion: v1\nkind: ConfigMap\n")
    project.addon("own", {"manifests": {"url": "own.yaml", "version": "1"}})
    project.addon("lost", {"manifests": {"url": "lost.yaml", "version": "1"}})
    project.settings["addons"]["kueu"] = {}
    code, document = project.run("plan")
    assert code == 2
    paths = [error["path"] for error in document["errors"]]
    assert sorted(paths) == ["espalier:addons.kueu", "espalier:addons.lost", "espalier:addons.own"]


def test_an_object_of_two_addons_is_refused(project: Project) -> None:
    (project.stacks / "own.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: own}\n")
    manifests = {"manifests": {"url": "own.yaml", "version": "1"}}
    project.addon("one", manifests, namespace="shared")
    project.addon("two", manifests, namespace="shared")
    code, document = project.run("plan")
    assert code == 2
    assert [(error["path"], error["got"]) for error in document["errors"]] == [
        ("espalier:addons.two", "configmap/shared/own, which add-on one has already"),
        ("espalier:addons.two", "namespace/shared, which add-on one has already"),
    ]


def test_a_registry_rewrites_every_image_hidden_ones_too(project: Project) -> None:
    pod = "{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: c, image: busybox}]}}"
    text = f"{pod}\n---\n{{apiVersion: v1, kind: ConfigMap, metadata: {{name: m}}, data: {{image: quay.io/x/y:1}}}}\n"
    (project.stacks / "own.yaml").write_text(text)
    hidden = [{"kind": "ConfigMap", "path": "data.image"}]
    project.addon("own", {"manifests": {"url": "own.yaml", "version": "1"}}, images=hidden)
    project.settings["sources"]["registry"] = "registry.example.com/mirror"
    project.settings["pools"] = [{"name": "h", "accelerator": "H100-80", "count": 8, "nodes": {"max": 1}}]
    project.settings["addons"]["nvidia-device-plugin"] = {}
    _, document = project.run("plan")
    images = {row["image"] for row in document["images"]}
    whole = ("docker.io/library/busybox", "quay.io/x/y:1")
    assert {f"registry.example.com/mirror/{name}" for name in whole} <= images
    assert all(image.startswith("registry.example.com/mirror/") for image in images)
    stale = [*hidden, {"kind": "ConfigMap", "path": "data.picture"}]
    project.addon("own", {"manifests": {"url": "own.yaml", "version": "1"}}, images=stale)
    code, document = project.run("plan")
    assert code == 2
    assert [error["got"] for error in document["errors"]] == ["ConfigMap: data.picture"]


def test_a_package_brings_addons_that_are_validated_alike(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    (site / "acme-1.0.dist-info").mkdir(parents=True)
    (site / "acme-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    points = "[espalier.addons]\nacme-queue = acme_addons:QUEUE\n"
    (site / "acme-1.0.dist-info" / "entry_points.txt").write_text(points)
    (site / "acme_addons.py").write_text("""
from pydantic import BaseModel
from espalier.content import Content, ManifestSource
from espalier.types import AddonRecord

class Options(BaseModel, extra="forbid"):
    pass

content = Content(source=ManifestSource("own.yaml", "1"), namespace="acme")
QUEUE = AddonRecord(id="acme-queue", version="1", category="jobs", tier="optional", licence="MIT", source="x",
                    options=Options, content=content)
OTHER = QUEUE.id
""")
    monkeypatch.syspath_prepend(site)
    (project.stacks / "own.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: own}\n")
    project.settings["addons"]["acme-queue"] = {}
    document = project.good("plan")
    assert addons(document)["acme-queue"]["content"] == "rendered"
    wrong = f"{points}other = acme_addons:OTHER\ngone = acme_addons:GONE\n"
    (site / "acme-1.0.dist-info" / "entry_points.txt").write_text(wrong)
    code, document = project.run("plan")
    assert code == 2
    assert [error["path"] for error in document["errors"]] == ["espalier.addons: gone", "espalier.addons: other"]


def test_addons_lists_those_of_the_project(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.addon("own", {"manifests": {"url": "own.yaml", "version": "7"}})
    with pytest.raises(SystemExit):
        main(["addons", "--json"])
    rows = {row["id"]: row["version"] for row in json.loads(capsys.readouterr().out)["addons"]}
    assert rows["own"] == "7"
    assert "nvidia-device-plugin" in rows


def test_a_stack_without_charts_loads_none_of_it() -> None:
    program = (
        "import sys; from espalier.commands.project import open_project; open_project('local'); "
        "print([m for m in sys.modules if m.startswith('espalier.charts') or m.startswith('espalier.sim')])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout.replace("'", '"')))
    assert not loaded & {
        f"espalier.charts.{name}" for name in ("stage", "records", "download", "tool", "render", "lock")
    }
