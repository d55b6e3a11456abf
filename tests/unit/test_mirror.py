"""`mirror`: a folder that another site fetches from without a network, and a list of images with their digests."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from espalier.charts.cache import digest_of
from espalier.charts.download import Downloader
from espalier.charts.errors import DigestError, SourceError
from espalier.charts.images import ImageRule
from espalier.charts.registry import Found, Reference, look_up
from espalier.cli import main
from tests.unit.chart_project import PASSWORD, Project

INDEX = "application/vnd.oci.image.index.v1+json"
SILENT = "127.0.0.1:9"
"""Nobody listens there."""

pytestmark = pytest.mark.usefixtures("home")


def manifest_of(site: Any, repository: str, **platform: str) -> bytes:
    """An image of one platform in a registry, as its manifest."""
    config = json.dumps(platform).encode()
    site.pages[f"/v2/{repository}/blobs/{digest_of(config)}"] = config
    return json.dumps({"schemaVersion": 2, "config": {"digest": digest_of(config)}, "layers": []}).encode()


def index_of(*platforms: Mapping[str, str]) -> bytes:
    rows = [{"digest": f"sha256:{number:064}", "platform": one} for number, one in enumerate(platforms)]
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": rows}).encode()


BOTH = index_of(
    {"os": "linux", "architecture": "arm64", "variant": "v8"},
    {"os": "linux", "architecture": "amd64"},
    {"os": "unknown", "architecture": "unknown"},
)


def ask(image: str) -> Any:
    return look_up(Reference.of(image), Downloader("Mend the network."))


def put(site: Any, name: str, data: bytes) -> str:
    """An image in a registry by tag and by digest; gives its digest."""
    repository, _, tag = name.partition(":")
    for reference in (tag, digest_of(data)):
        site.pages[f"/v2/{repository}/manifests/{reference}"] = data
    return digest_of(data)


@pytest.mark.parametrize(
    ("image", "name", "tag", "pinned"),
    [
        ("busybox", "docker.io/library/busybox", "latest", ""),
        ("mysql:8", "docker.io/library/mysql", "8", ""),
        ("kserve/agent:v1", "docker.io/kserve/agent", "v1", ""),
        ("localhost:5000/x", "localhost:5000/x", "latest", ""),
        (f"quay.io/x/y:1@sha256:{'a' * 64}", "quay.io/x/y", "1", f"sha256:{'a' * 64}"),
        (f"quay.io/x/y@sha256:{'a' * 64}", "quay.io/x/y", "", f"sha256:{'a' * 64}"),
    ],
)
def test_names_are_completed_as_runtimes_do(image: str, name: str, tag: str, pinned: str) -> None:
    found = Reference.of(image)
    assert (found.name, found.tag, found.digest) == (name, tag, pinned)


def test_an_index_says_all_its_architectures_but_attestations(web: Callable[..., Any]) -> None:
    site = web()
    digest = put(site, "team/app:1", BOTH)
    found = ask(f"{site.host}/team/app:1")
    assert (found.digest, found.platforms) == (digest, ("linux/amd64", "linux/arm64/v8"))
    assert ask(f"{site.host}/team/app:1@{digest}") == found


def test_an_image_without_an_index_says_it_in_its_configuration(web: Callable[..., Any]) -> None:
    site = web()
    data = manifest_of(site, "team/app", os="linux", architecture="amd64")
    digest = put(site, "team/app:1", data)
    assert ask(f"{site.host}/team/app:1") == Found(digest, ("linux/amd64",))


def test_a_token_is_fetched_anonymously_where_the_registry_asks_for_one(web: Callable[..., Any]) -> None:
    site = web(tokens=True)
    digest = put(site, "team/app:1", BOTH)
    assert ask(f"{site.host}/team/app:1").digest == digest
    assert ("/token?service=s&scope=repository%3Ax%3Apull", "") in site.asked


def test_a_login_of_dockers_config_is_used_and_not_shown(home: Path, web: Callable[..., Any]) -> None:
    site = web(tokens=True, login=("reader", PASSWORD))
    digest = put(site, "team/app:1", BOTH)
    with pytest.raises(SourceError, match="answered 401"):
        ask(f"{site.host}/team/app:1")
    (home / ".docker").mkdir()
    entry = {"username": "reader", "password": PASSWORD}
    (home / ".docker" / "config.json").write_text(json.dumps({"auths": {site.host: entry}}))
    assert ask(f"{site.host}/team/app:1").digest == digest


def test_a_registry_that_is_busy_is_asked_again(web: Callable[..., Any]) -> None:
    site = web(busy=2)
    digest = put(site, "team/app:1", BOTH)
    assert ask(f"{site.host}/team/app:1").digest == digest
    assert len(site.paths()) == 3


def test_a_registry_that_stays_busy_is_named_with_what_helps(web: Callable[..., Any]) -> None:
    site = web(busy=99)
    with pytest.raises(SourceError, match=r"answered 429.*Log in at 127\.0\.0\.1"):
        ask(f"{site.host}/team/app:1")


def test_what_is_not_there_is_no_image(web: Callable[..., Any]) -> None:
    site = web()
    with pytest.raises(SourceError, match="answered 404"):
        ask(f"{site.host}/team/app:1")
    site.pages["/v2/team/app/manifests/1"] = b"<html>"
    with pytest.raises(SourceError, match="no image that can be read"):
        ask(f"{site.host}/team/app:1")


def test_other_bytes_than_those_of_a_pin_are_refused_naming_both(web: Callable[..., Any]) -> None:
    site = web()
    pinned = f"sha256:{'a' * 64}"
    site.pages[f"/v2/team/app/manifests/{pinned}"] = BOTH
    with pytest.raises(DigestError) as refused:
        ask(f"{site.host}/team/app:1@{pinned}")
    assert (refused.value.got, refused.value.wanted) == (digest_of(BOTH), pinned)


def test_a_configuration_of_other_bytes_is_refused(web: Callable[..., Any]) -> None:
    site = web()
    put(site, "team/app:1", manifest_of(site, "team/app", os="linux", architecture="amd64"))
    for path in list(site.pages):
        if "/blobs/" in path:
            site.pages[path] = b"{}"
    with pytest.raises(SourceError, match="its configuration has the digest"):
        ask(f"{site.host}/team/app:1")


def test_a_rewritten_name_leads_back_to_its_origin() -> None:
    rule = ImageRule("registry.example.com/mirror")
    for image in ("busybox:1", "quay.io/x/y:1", "kserve/agent:v1"):
        assert rule.origin(rule.apply(image)) == ImageRule().origin(image)
    assert rule.origin("registry.example.com/mirror/team/own:1") == ""


# The command -------------------------------------------------------------------------------------------------------


def manifest(image: str, name: str = "p") -> str:
    return (
        f"{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{containers: [{{name: c, image: '{image}', "
        "resources: {requests: {cpu: 1m, memory: 1Mi}}}]}}\n"
    )


@pytest.fixture
def site(web: Callable[..., Any]) -> Any:
    return web()


@pytest.fixture
def fetched(project: Project, site: Any) -> Project:
    """A stack with one add-on from the network, pinned, whose image is known to a registry."""
    put(site, "team/app:1", BOTH)
    site.pages["/plain.yaml"] = manifest(f"{site.host}/team/app:1").encode()
    project.addon("plain", {"manifests": {"url": f"{site.url}/plain.yaml", "version": "1"}})
    project.good("fetch")
    return project


def test_the_far_side_fetches_by_the_lock_without_a_network(fetched: Project, site: Any) -> None:
    told = fetched.good("mirror", "-o", "carried")
    [source] = told["sources"]
    assert (fetched.folder / "carried" / source["file"]).read_bytes() == site.pages["/plain.yaml"]
    assert source["digest"] == digest_of(site.pages["/plain.yaml"])
    [image] = told["images"]
    assert image["digest"] == digest_of(BOTH)
    assert image["architectures"] == ["linux/amd64", "linux/arm64/v8"]
    assert image["used"] == [{"addon": "plain", "where": "Pod/plain/p c"}]
    plan, lock = fetched.run("plan")[1], fetched.lock.read_bytes()
    assert (fetched.folder / "carried" / "t.lock").read_bytes() == lock

    site.pages.clear()
    asked = len(site.asked)
    shutil.rmtree(fetched.cache)
    fetched.settings["sources"]["mirror"] = "../carried"
    [row] = fetched.good("fetch")["sources"]
    assert row == {**{key: source[key] for key in ("id", "source", "version", "digest")}, "fetched": True}
    assert fetched.lock.read_bytes() == lock
    assert fetched.run("plan")[1]["kubernetes"] == plan["kubernetes"]
    assert len(site.asked) == asked


@pytest.mark.usefixtures("renderer")
def test_charts_of_both_kinds_and_kustomizations_come_along(
    project: Project, site: Any, made_archive: Callable[[Mapping[str, str]], bytes]
) -> None:
    put(site, "team/app:1", BOTH)
    pod = manifest(f"{site.host}/team/app:1")

    def chart(name: str) -> bytes:
        about = f"apiVersion: v2\nname: {name}\nversion: 1.0.0\n"
        return made_archive({f"{name}/Chart.yaml": about, f"{name}/templates/x.yaml": pod})

    site.repository("queue", {"1.0.0": chart("queue")})
    site.push("charts/jobs", "1.0.0", chart("jobs"))
    files = {"k-1/base/kustomization.yaml": "resources: [x.yaml]\n", "k-1/base/x.yaml": pod}
    site.pages["/k.tar.gz"] = made_archive(files)
    project.addon("queue", {"chart": {"name": "queue", "repo": f"{site.url}/charts", "version": "1.0.0"}})
    project.addon("jobs", {"chart": {"name": "jobs", "repo": f"oci://{site.host}/charts", "version": "1.0.0"}})
    project.addon("k", {"kustomize": {"url": f"{site.url}/k.tar.gz", "folder": "k-1/base", "version": "1"}})
    project.good("fetch")
    told = project.good("mirror", "-o", "carried")
    assert [row["id"] for row in told["sources"]] == ["jobs", "k", "queue"]
    assert {use["addon"] for use in told["images"][0]["used"]} == {"jobs", "k", "queue"}
    lock = project.lock.read_bytes()
    site.pages.clear()
    shutil.rmtree(project.cache)
    project.settings["sources"]["mirror"] = "../carried"
    assert all(row["fetched"] for row in project.good("fetch")["sources"])
    assert project.lock.read_bytes() == lock


def test_the_lists_are_in_forms_that_tools_take(fetched: Project, site: Any) -> None:
    fetched.settings["sources"]["registry"] = "registry.example.com/mirror"
    told = fetched.good("mirror", "-o", "carried")
    name = f"{site.host}/team/app:1"
    assert told["images"][0]["to"] == f"registry.example.com/mirror/{name}"
    folder = fetched.folder / "carried"
    assert told["files"] == [
        "README.md",
        "images.json",
        "images.txt",
        told["sources"][0]["file"],
        "skopeo.yaml",
        "t.lock",
    ]
    assert all((folder / file).is_file() for file in told["files"])
    assert (folder / "images.txt").read_text() == f"{name}\n"
    assert yaml.safe_load((folder / "skopeo.yaml").read_text()) == {site.host: {"images": {"team/app": ["1"]}}}
    written = json.loads((folder / "images.json").read_text())
    assert written == {key: told[key] for key in ("stack", "registry", "sources", "images")}
    assert "docker skopeo.yaml registry.example.com/mirror" in (folder / "README.md").read_text()


def test_it_is_the_same_each_time_and_drops_what_is_not_wanted_any_more(fetched: Project, site: Any) -> None:
    fetched.good("mirror", "-o", "carried")
    folder = fetched.folder / "carried"
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    (folder / "images").mkdir()
    (folder / "images" / "of-skopeo").write_text("theirs")
    fetched.good("mirror", "-o", "carried")
    assert {path: path.read_bytes() for path in before} == before
    del fetched.settings["addons"]["plain"]
    fetched.good("mirror", "-o", "carried")
    assert list((folder / "sha256").rglob("*")) == []
    assert (folder / "images" / "of-skopeo").read_text() == "theirs"


def test_what_is_not_its_own_is_left_alone(fetched: Project) -> None:
    folder = fetched.folder / "carried"
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")
    code, document = fetched.run("mirror", "-o", "carried")
    assert (code, document["errors"][0]["got"]) == (2, "carried holds other files")
    (folder / "thesis.txt").unlink()
    fetched.good("mirror", "-o", "carried")
    (folder / ".espalier-mirror").write_text('{"stack": "another", "files": []}')
    code, document = fetched.run("mirror", "-o", "carried")
    assert (code, document["errors"][0]["got"]) == (2, "carried holds the mirror of another")
    (folder / ".espalier-mirror").write_text('{"stack": "t", "files": []}')
    code, document = fetched.run("mirror", "-o", "carried")
    assert (code, document["errors"][0]["got"]) == (2, "carried/README.md is not of an earlier mirror")
    (fetched.folder / "file").write_text("mine")
    code, document = fetched.run("mirror", "-o", "file")
    assert (code, document["errors"][0]["got"]) == (2, "file is a file")


def test_an_image_that_no_registry_tells_of_is_unknown_not_left_out(fetched: Project, site: Any) -> None:
    text = "---\n".join(manifest(image, name) for name, image in {"a": f"{SILENT}/x:1", "b": f"{SILENT}/y:1"}.items())
    (fetched.stacks / "own.yaml").write_text(text + "---\n" + manifest(f"{site.host}/team/gone:1", "c"))
    fetched.addon("own", {"manifests": {"url": "own.yaml", "version": "1"}})
    code, document = fetched.run("mirror", "-o", "carried")
    assert code == 3
    rows = {row["image"]: row for row in document["images"]}
    assert [row["digest"] for row in rows.values() if row["unknown"]] == ["", "", ""]
    assert rows[f"{site.host}/team/app:1"]["digest"] == digest_of(BOTH)
    assert "cannot be reached" in rows[f"{SILENT}/x:1"]["unknown"]
    assert "Run it again where that registry can be reached" in rows[f"{SILENT}/y:1"]["do"]
    assert "answered 404" in rows[f"{site.host}/team/gone:1"]["unknown"]
    assert {error["path"] for error in document["errors"]} == {
        f"image {name}" for name in rows if rows[name]["unknown"]
    }
    folder = fetched.folder / "carried"
    assert (folder / "images.txt").read_text().splitlines() == sorted(rows)
    assert f"`{SILENT}/x:1`" in (folder / "README.md").read_text()


def test_a_registry_that_is_not_there_is_told_of_once_to_people(
    fetched: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "---\n".join(manifest(f"{SILENT}/{name}:1", name) for name in "abc")
    (fetched.stacks / "own.yaml").write_text(text)
    fetched.addon("own", {"manifests": {"url": "own.yaml", "version": "1"}})
    fetched.run("plan")
    with pytest.raises(SystemExit):
        main(["mirror", "t", "-o", "carried"])
    said = capsys.readouterr()
    assert "digests of 3 images are not known" in said.err
    assert said.err.count(f"{SILENT} cannot be reached") == 1
    assert "a:1 and 2 more" in said.err
    assert "carried: 1 source (0.0 MiB), 4 images listed" in said.out


def test_other_bytes_than_an_images_pin_leave_nothing_behind(fetched: Project, site: Any) -> None:
    pinned = f"sha256:{'b' * 64}"
    site.pages[f"/v2/team/app/manifests/{pinned}"] = BOTH
    (fetched.stacks / "own.yaml").write_text(manifest(f"{site.host}/team/app:1@{pinned}"))
    fetched.addon("own", {"manifests": {"url": "own.yaml", "version": "1"}})
    code, document = fetched.run("mirror", "-o", "carried")
    assert code == 2
    assert [(error["got"], error["accepted"]) for error in document["errors"]] == [(digest_of(BOTH), pinned)]
    assert not (fetched.folder / "carried").exists()


def test_a_source_without_a_pin_is_said_and_nothing_is_written(fetched: Project) -> None:
    fetched.lock.unlink()
    code, document = fetched.run("mirror", "-o", "carried")
    assert code == 3
    assert "is not pinned by t.lock" in document["errors"][0]["got"]
    assert document["errors"][0]["do"] == "Run `espalier fetch t`."
    assert not (fetched.folder / "carried").exists()


def test_what_the_cache_lacks_is_brought_by_its_pin_alone(fetched: Project, site: Any) -> None:
    shutil.rmtree(fetched.cache)
    fetched.good("mirror", "-o", "carried")
    shutil.rmtree(fetched.cache)
    site.pages["/plain.yaml"] += b"# moved\n"
    code, document = fetched.run("mirror", "-o", "other")
    assert (code, document["errors"][0]["path"]) == (2, "t.lock: sources.plain.digest")


def test_a_folder_that_cannot_be_written_is_said(fetched: Project) -> None:
    (fetched.folder / "file").write_text("mine")
    code, document = fetched.run("mirror", "-o", "file/below")
    assert (code, document["errors"][0]["path"]) == (2, "-o")


def test_a_disk_that_gets_full_leaves_nothing_half_written(fetched: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("espalier.commands.mirror_folder.shutil.copyfile", full)
    code, document = fetched.run("mirror", "-o", "carried")
    assert (code, document["errors"][0]["got"]) == (2, "carried: No space left on device")
    assert not (fetched.folder / "carried").exists()
