"""Sources of add-ons: repositories, registries, mirrors, logins, the cache and the lock, over real sockets."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from espalier.charts.cache import Cache, digest_of
from espalier.charts.credentials import login_for
from espalier.charts.download import Downloader
from espalier.charts.errors import DigestError, SourceError
from espalier.charts.lock import Entry, read_lock, write_lock
from espalier.charts.obtain import Mirror, obtain
from espalier.content import ChartSource, ContentFacts, KustomizeSource, ManifestSource, Source
from espalier.types import Mistakes

DATA = b"the bytes of a chart"
USER, PASSWORD = "reader", "canary-7f3a"

pytestmark = pytest.mark.usefixtures("home")


def get(source: Source, pinned: str = "", mirror: Mirror | None = None) -> bytes:
    return obtain(source, pinned, Downloader(), mirror)


def docker_login(home: Path, host: str, **entry: str) -> None:
    (home / ".docker").mkdir(exist_ok=True)
    auth = {"auth": base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}
    (home / ".docker" / "config.json").write_text(json.dumps({"auths": {host: entry or auth}}))


def test_a_repository_gives_the_version_that_is_asked_for(web: Callable[..., Any]) -> None:
    site = web()
    site.repository("queue", {"2.0.0": b"newer", "1.0.0": DATA})
    assert get(ChartSource("queue", "1.0.0", f"{site.url}/charts")) == DATA
    assert site.paths() == ["/charts/index.yaml", "/charts/queue-1.0.0.tgz"]


def test_what_a_repository_lacks_is_told_with_what_it_has(web: Callable[..., Any]) -> None:
    site = web()
    site.repository("queue", {"2.0.0": DATA, "1.0.0": DATA})
    with pytest.raises(SourceError, match=r"no version 3\.0\.0.*such as 2\.0\.0, 1\.0\.0"):
        get(ChartSource("queue", "3.0.0", f"{site.url}/charts"))
    with pytest.raises(SourceError, match=r"no chart quue.*has queue"):
        get(ChartSource("quue", "1.0.0", f"{site.url}/charts"))


def test_an_archive_that_is_not_what_the_index_says_is_refused(web: Callable[..., Any]) -> None:
    site = web()
    site.repository("queue", {"1.0.0": DATA})
    site.pages["/charts/queue-1.0.0.tgz"] = b"tampered"
    with pytest.raises(SourceError, match=f"{digest_of(b'tampered')}.*{digest_of(DATA)}"):
        get(ChartSource("queue", "1.0.0", f"{site.url}/charts"))


def test_a_private_repository_is_sent_the_login_of_netrc_and_only_there(home: Path, web: Callable[..., Any]) -> None:
    other = web(pages={"/files/queue.tgz": DATA})
    site = web(login=(USER, PASSWORD), redirects={"/charts/queue-1.0.0.tgz": f"{other.url}/files/queue.tgz"})
    site.repository("queue", {"1.0.0": DATA})
    (home / ".netrc").write_text(f"machine 127.0.0.1 login {USER} password {PASSWORD}\n")
    (home / ".netrc").chmod(0o600)
    assert get(ChartSource("queue", "1.0.0", f"{site.url}/charts")) == DATA
    assert other.asked == [("/files/queue.tgz", "")]  # a redirect to another server takes no login along


def test_helms_own_login_of_a_repository_is_used(home: Path, web: Callable[..., Any]) -> None:
    site = web(login=(USER, PASSWORD))
    site.repository("queue", {"1.0.0": DATA})
    (home / ".config" / "helm").mkdir(parents=True)
    row = {"name": "x", "url": f"{site.url}/charts/", "username": USER, "password": PASSWORD}
    (home / ".config" / "helm" / "repositories.yaml").write_text(json.dumps({"repositories": [row]}))
    assert get(ChartSource("queue", "1.0.0", f"{site.url}/charts")) == DATA


def test_without_a_login_people_are_told_how_to_get_one(web: Callable[..., Any]) -> None:
    site = web(login=(USER, PASSWORD))
    site.repository("queue", {"1.0.0": DATA})
    with pytest.raises(SourceError, match=f"no login for {site.host} is known.*helm registry login"):
        get(ChartSource("queue", "1.0.0", f"{site.url}/charts"))


def test_a_registry_gives_the_chart_of_a_tag(web: Callable[..., Any]) -> None:
    site = web()
    site.push("team/queue", "1.0.0_build.1", DATA)  # a tag takes no +
    assert get(ChartSource("queue", "1.0.0+build.1", f"oci://{site.host}/team")) == DATA


def test_a_registry_with_tokens_is_logged_into(home: Path, web: Callable[..., Any]) -> None:
    site = web(login=(USER, PASSWORD), tokens=True)
    site.push("team/queue", "1.0.0", DATA)
    docker_login(home, site.host)
    assert get(ChartSource("queue", "1.0.0", f"oci://{site.host}/team")) == DATA
    scopes = [path for path in site.paths() if path.startswith("/token")]
    assert scopes
    assert all("service=s" in path and "scope=repository%3Ax%3Apull" in path for path in scopes)


def test_a_registry_that_refuses_the_login_is_named_without_the_password(home: Path, web: Callable[..., Any]) -> None:
    site = web(login=(USER, "another"), tokens=True)
    site.push("team/queue", "1.0.0", DATA)
    docker_login(home, site.host)
    with pytest.raises(SourceError, match="answered 401") as refused:
        get(ChartSource("queue", "1.0.0", f"oci://{site.host}/team"))
    assert site.host in refused.value.do
    assert PASSWORD not in str(refused.value)


def test_a_layer_that_is_not_what_the_manifest_says_is_refused(web: Callable[..., Any]) -> None:
    site = web()
    site.push("team/queue", "1.0.0", DATA)
    site.pages[f"/v2/team/queue/blobs/{digest_of(DATA)}"] = b"tampered"
    with pytest.raises(SourceError, match="its manifest says"):
        get(ChartSource("queue", "1.0.0", f"oci://{site.host}/team"))


def test_logins_come_from_helpers_by_standard_input(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / ".docker").mkdir()
    (home / ".docker" / "config.json").write_text(json.dumps({"credHelpers": {"registry.example.com": "test"}}))
    helper = home / "docker-credential-test"
    answer = json.dumps({"Username": USER, "Secret": PASSWORD})
    helper.write_text(f"#!/bin/sh\nread host\n[ \"$host\" = registry.example.com ] && echo '{answer}'\n")
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{home}:/usr/bin:/bin")
    login = login_for("registry.example.com")
    assert login is not None
    assert (login.user, login.password) == (USER, PASSWORD)
    assert PASSWORD not in repr(login)
    assert login_for("other.example.com") is None


def test_a_login_never_crosses_a_network_unencrypted(home: Path) -> None:
    docker_login(home, "charts.example.com")
    with pytest.raises(SourceError, match="unencrypted"):
        get(ChartSource("queue", "1.0.0", "http://charts.example.com/stable"))


def test_a_pin_that_does_not_match_is_refused_naming_both_digests(web: Callable[..., Any]) -> None:
    site = web(pages={"/queue.yaml": DATA})
    wanted = digest_of(b"what was pinned")
    with pytest.raises(DigestError) as refused:
        get(ManifestSource(f"{site.url}/queue.yaml", "1"), wanted)
    assert digest_of(DATA) in str(refused.value)
    assert wanted in str(refused.value)


def test_a_mirror_stands_for_every_host(web: Callable[..., Any]) -> None:
    site = web()
    site.repository("queue", {"1.0.0": DATA}, prefix="/all/charts.example.com/stable")
    site.push("all/registry.example.com/team/queue", "1.0.0", b"from the registry")
    site.pages["/all/git.example.com/x.yaml"] = b"a manifest"
    mirror = Mirror(f"{site.url}/all", Path())
    assert get(ChartSource("queue", "1.0.0", "https://charts.example.com/stable"), mirror=mirror) == DATA
    assert get(ChartSource("queue", "1.0.0", "oci://registry.example.com/team"), mirror=mirror) == b"from the registry"
    assert get(ManifestSource("https://git.example.com/x.yaml", "1"), mirror=mirror) == b"a manifest"


def test_a_folder_mirrors_as_well_and_so_does_a_carried_cache(tmp_path: Path) -> None:
    (tmp_path / "git.example.com").mkdir()
    (tmp_path / "git.example.com" / "x.tar.gz").write_bytes(b"an archive")
    mirror = Mirror("carried", tmp_path.parent)
    tmp_path.rename(tmp_path.parent / "carried")
    assert get(KustomizeSource("https://git.example.com/x.tar.gz", "1"), mirror=mirror) == b"an archive"
    pinned = Cache(tmp_path.parent / "carried").put(DATA)
    assert get(ChartSource("queue", "1.0.0", "oci://registry.example.com/team"), pinned, mirror) == DATA
    with pytest.raises(SourceError, match=r"no file of oci://registry\.example\.com/team/queue 1\.0\.0.*sha256/"):
        get(ChartSource("queue", "1.0.0", "oci://registry.example.com/team"), mirror=mirror)


def test_a_host_that_is_not_there_is_named_with_the_ways_around(web: Callable[..., Any]) -> None:
    site = web()
    gone = f"http://127.0.0.1:{site.port}"
    site.pages.clear()
    with pytest.raises(SourceError, match="answered 404"):
        get(ManifestSource(f"{gone}/x.yaml", "1"))
    with pytest.raises(SourceError, match=r"cannot be reached.*sources\.cache.*sources\.mirror"):
        get(ManifestSource("http://127.0.0.1:9/x.yaml", "1"))


def test_a_file_of_the_cache_that_was_changed_is_not_used(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    pinned = cache.put(DATA)
    assert cache.checked(pinned).read_bytes() == DATA
    cache.path(pinned).write_bytes(b"changed")
    with pytest.raises(SourceError, match=f"{digest_of(b'changed')}.*{pinned}"):
        cache.checked(pinned)


def test_a_lock_is_the_same_however_it_came_about(tmp_path: Path) -> None:
    facts = ContentFacts(("configmap/a/b",), ("x.example.com",), ("nginx:1",))
    entries = {"b": Entry("oci://x/b", "1", digest_of(b"b"), facts), "a": Entry("./a", "2", "")}
    assert write_lock(tmp_path / "one.lock", entries)
    assert write_lock(tmp_path / "two.lock", dict(reversed(entries.items())))
    assert (tmp_path / "one.lock").read_bytes() == (tmp_path / "two.lock").read_bytes()
    assert read_lock(tmp_path / "one.lock") == entries
    assert not write_lock(tmp_path / "one.lock", entries)  # untouched where it says the same


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("version: 1\nsources: {a: {source: x, version: '1', digest: md5:1}}", "sources.a.digest"),
        ("version: 2\nsources: {}", "version"),
        ("version: 1\nextra: 1", "extra"),
        ("[", ""),
    ],
)
def test_a_broken_lock_is_refused_with_its_place(tmp_path: Path, text: str, where: str) -> None:
    path = tmp_path / "t.lock"
    path.write_text(text)
    with pytest.raises(Mistakes) as refused:
        read_lock(path)
    [mistake] = refused.value.mistakes
    assert mistake.path == (f"t.lock: {where}" if where else "t.lock")
    assert "fetch again" in mistake.do
