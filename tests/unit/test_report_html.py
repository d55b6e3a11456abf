"""The page of a plan: what a person who decides on a change must find in it, and what must never get out of it."""

from __future__ import annotations

import copy
import re
from html.parser import HTMLParser
from typing import Any

import pytest
import yaml

from espalier.report.documents import PlanDocument, ResourceEntry
from espalier.report.html import page

VOID = {"meta", "rect", "br"}
HOSTILE = """<script>alert("x")</script>'&amp;"""
UNKNOWN = {"$unknown": True}
SECRET = {"$secret": True}


class Page(HTMLParser):
    """Reads a page strictly: each tag closed in order. Keeps tags, ids, links, text, and the text of each <pre>."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[tuple[str, ...], str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((tuple(self.open), data))

    def text(self, inside: str = "body") -> str:
        return " ".join(" ".join(data for path, data in self.texts if inside in path).split())

    def manifests(self) -> list[Any]:
        return [yaml.safe_load(data) for path, data in self.texts if path[-1] == "pre"]

    def attributes(self, name: str) -> list[str]:
        return [attrs[name] or "" for _, attrs in self.tags if name in attrs]


def resource(urn: str, type_: str, parent: str = "", **inputs: Any) -> ResourceEntry:
    return {
        "urn": urn, "type": type_, "name": urn.split("::")[-1], "parent": parent,
        "dependencies": [], "inputs": inputs, "options": {},
    }  # fmt: skip


def pool(name: str, low: int, start: int, high: int, devices: dict[str, int]) -> Any:
    return {
        "name": name, "machine": f"machine-of-{name}", "nodes": {"min": low, "max": high, "start": start}, "labels": {},
        "taints": [], "all_taints": [], "devices": devices, "capacity": ["spot", "on-demand"],
        "price": {"spot": {"per_hour": 2.5, "source": "a list", "date": "2026-01-01"}, "on-demand": UNKNOWN},
        "owners": {"driver": {"who": "cloud", "addon": "", "why": "its image holds it"}} if devices else {},
        "device_prices": {"spot": {device: 2.5 / count for device, count in devices.items()}} if devices else {},
    }  # fmt: skip


def policy(
    name: str, level: Any = "mandatory", *findings: Any, ok: bool = True, not_judged: list[str] | None = None
) -> Any:
    return {"name": name, "level": level, "ok": ok, "findings": list(findings), "not_judged": not_judged or []}


def finding(name: str, message: str, waived: str | None = None) -> dict[str, Any]:
    return {"urn": f"urn:pulumi:demo::p::t::{name}", "message": message, "waived": waived}


def plan() -> PlanDocument:
    stack = "urn:pulumi:demo::p::pulumi:pulumi:Stack::p-demo"
    tenant = "urn:pulumi:demo::p::espalier:index:Tenant::vision"
    account = {"metadata": {"name": "a", "uid": UNKNOWN}}
    resources = [
        resource(stack, "pulumi:pulumi:Stack"),
        resource(tenant, "espalier:index:Tenant", stack),
        resource("u::p::k::cm", "kubernetes:core/v1:ConfigMap", tenant, kind="ConfigMap", data={"a": "one\ntwo\n"}),
        resource("u::p::c::inner", "x:index:Inner", tenant),
        resource(
            "u::p::k::sa", "kubernetes:core/v1:ServiceAccount", "u::p::c::inner", kind="ServiceAccount", **account
        ),
        resource("u::p::k::last", "kubernetes:core/v1:Namespace", stack, kind="Namespace"),
        resource("u::p::k::lost", "kubernetes:core/v1:Namespace", "urn:nobody", kind="Namespace"),
    ]
    return {
        "schema_version": "1", "command": "plan", "errors": [], "stack": "demo", "engine": "embedded",
        "resources": resources, "kubernetes": [r["inputs"] for r in resources if r["inputs"]],
        "pools": [pool("system", 1, 1, 3, {}), pool("h100", 0, 2, 4, {"nvidia.com/gpu": 8})],
        "tenants": [{
            "name": "vision", "namespaces": ["vision-dev"], "groups": {"edit": ["vision-engineers"]},
            "kinds": {},
            "quota": {"vision-dev": {"requests.cpu": "200", "requests.nvidia.com/gpu": "8", "services.nodeports": "0"}},
        }],
        "addons": [
            {"id": "device-plugin", "version": "1.2.3", "wave": 0, "content": "rendered", "held": "",
             "withheld": [], "profile": ""}
        ],
        "cost": {
            "currency": "USD", "per": "hour", "min": 0.5, "max": 102.5, "unknown": [], "stale": [],
            "pools": [
                {"pool": "system", "min": 0.5, "max": 2.5, "sources": ["a price list"]},
                {"pool": "h100", "min": 0.0, "max": 100.0, "sources": []},
            ],
        },
        "proofs": [{"name": "quota/vision", "ok": True, "evidence": "8 nvidia.com/gpu of 32"}],
        "policies": [policy("tenant-quota"), policy("pinned-images", "advisory")],
        "images": [{"image": "reg.example/plugin:v1", "addon": "device-plugin", "where": "DaemonSet/x main"}],
        "notes": [],
        "queues": {
            "system": "kueue", "held": "", "idle": {"nvidia.com/gpu": 24}, "objects": [],
            "queues": [{
                "tenant": "vision", "namespaces": ["vision-dev"], "weight": 1,
                "devices": [{
                    "device": "nvidia.com/gpu", "quota": 8, "own": 8, "most": 12, "lend": 8,
                    "flavours": {"h100-spot": 8, "h100-on-demand": 8},
                }],
            }],
        },
    }  # fmt: skip


def test_everything_of_the_plan_is_on_the_page() -> None:
    text = Page(page(plan())).text()
    for expected in (
        "demo", "102.50", "74,825.00", "730 h", "machine-of-h100", "8 nvidia.com/gpu", "0 to 4 nodes, starts at 2",
        "spot 2.50", "on-demand unknown", "0.00 to 100.00 USD an hour", "a price list", "vision-engineers", "cpu 200",
        "none of services.nodeports", "8 promised of 32", "quota/vision", "8 nvidia.com/gpu of 32", "tenant-quota",
        "pinned-images", "device-plugin 1.2.3", "reg.example/plugin:v1", "DaemonSet/x main", "each block is a node",
    ):  # fmt: skip
        assert expected in text
    for entry in plan()["resources"]:
        assert f"{entry['name']} {entry['type'].split(':')[-1]}" in text


def test_what_a_cloud_does_besides_is_on_the_page_and_only_then() -> None:
    assert "Notes" not in Page(page(plan())).text()
    document = plan()
    document["notes"] = ["pool h100: upgrades without a spare node", HOSTILE]
    read = Page(page(document)).text()
    assert "Notes pool h100: upgrades without a spare node" in read
    assert HOSTILE in read


def test_stale_prices_are_marked_where_they_count() -> None:
    assert "stale" not in Page(page(plan())).text("main")
    document = plan()
    document["cost"]["stale"] = [{"price": "h100/spot", "date": "2026-01-01", "source": "a list"}]
    read = Page(page(document))
    assert "102.50 USD, by stale prices" in read.text("header")
    assert "1 stale price." in read.text("header")
    main = read.text("main")
    assert "0.00 to 100.00 USD an hour, stale" in main
    assert "0.50 to 2.50 USD an hour, stale" not in main
    assert main.count("spot 2.50, stale") == 1
    assert "Stale: h100/spot of 2026-01-01. Give what holds now under espalier:prices." in main


def test_queues_are_on_the_page_where_there_are_any_and_say_for_what_they_wait() -> None:
    document = plan()
    assert "Queues Tenant Device Quota By right At most Tried in this order" in Page(page(document)).text()
    assert "vision nvidia.com/gpu 8 8 12 h100-spot, h100-on-demand" in Page(page(document)).text()
    assert document["queues"]
    document["queues"]["held"] = f"kueue is not pinned. Run fetch. {HOSTILE}"
    read = Page(page(document)).text()
    assert f"Not yet: kueue is held up, kueue is not pinned. Run fetch. {HOSTILE}" in read
    document["queues"] = None
    assert "queues" not in Page(page(document)).attributes("id")


def test_the_verdict_says_that_all_holds_and_what_was_left_open() -> None:
    document = plan()
    header = Page(page(document)).text("header")
    assert "✓ All proofs and policies hold 1 proof and 2 policies judged." in header
    document["policies"][1] = policy("pinned-images", "advisory", not_judged=["an image that is unknown"])
    document["policies"][0]["findings"] = [finding("old", "has no quota", waived="leaves in May")]  # type: ignore[list-item]
    document["addons"][0]["content"] = "recorded"
    read = Page(page(document))
    assert "? All proofs and policies hold, so far as judged" in read.text("header")
    assert "? in part pinned-images" in read.text()
    assert "1 finding waived; 1 thing not judged; 1 add-on from the lock, not rendered." in read.text("header")
    assert "old : has no quota waived: leaves in May" in read.text()
    assert "not judged an image that is unknown" in read.text()


def test_what_fails_is_in_the_verdict_with_a_link_to_its_place() -> None:
    document = plan()
    document["proofs"].append({"name": "quota/greedy", "ok": False, "evidence": "40 of 32"})
    two = [finding("ns", "has no quota"), finding("old", "has none", waived="leaves in May")]
    document["policies"][0] = policy("tenant-quota", "mandatory", *two, ok=False)
    read = Page(page(document))
    verdict = read.text("header")
    assert "Does not hold: 2 failures" in verdict
    assert "All proofs" not in verdict
    assert "proof quota/greedy : 40 of 32 policy tenant-quota : 1 finding" in verdict
    assert "Does not hold" in read.text("title")
    assert "✗ fails quota/greedy" in read.text()
    assert {"#proof-2", "#policy-1"} <= set(read.attributes("href"))
    assert {"proof-2", "policy-1"} <= set(read.attributes("id"))


def test_an_error_of_the_plan_is_a_failure() -> None:
    document = plan()
    document["errors"] = [{"path": "addons.kueue", "got": "no chart", "accepted": "a chart", "do": "Run fetch."}]
    assert "Does not hold: 1 failure addons.kueue : no chart Run fetch." in Page(page(document)).text("header")


def test_an_advisory_policy_is_told_but_fails_nothing() -> None:
    document = plan()
    document["policies"][1] = policy("pinned-images", "advisory", finding("x", "has a tag"), ok=False)
    text = Page(page(document)).text()
    assert "All proofs and mandatory policies hold" in text
    assert "1 advisory policy not met" in text
    assert "! advises pinned-images" in text


def test_links_lead_somewhere_on_the_page_and_labels_exist() -> None:
    read = Page(page(plan()))
    ids = read.attributes("id")
    assert len(ids) == len(set(ids))
    assert read.attributes("href")
    assert all(href.startswith("#") and href[1:] in ids for href in read.attributes("href"))
    assert set(read.attributes("aria-labelledby")) <= set(ids)


def test_every_drawing_has_words_and_every_header_a_scope() -> None:
    read = Page(page(plan()))
    drawings = [attrs for tag, attrs in read.tags if tag == "svg"]
    assert "h100: at least 0, at the start 2, at most 4 nodes" in {attrs["aria-label"] for attrs in drawings}
    assert "h100: 0.00 to 100.00 USD an hour" in {attrs["aria-label"] for attrs in drawings}
    assert all(attrs.get("role") == "img" and attrs.get("aria-label") for attrs in drawings)
    assert all(attrs.get("scope") for tag, attrs in read.tags if tag == "th")


def test_bars_are_as_long_as_what_they_stand_for() -> None:
    document = plan()
    document["pools"][1]["nodes"] = {"min": 10, "start": 25, "max": 100}
    read = Page(page(document))
    rects = [(attrs["class"], attrs["x"], attrs["width"]) for tag, attrs in read.tags if tag == "rect" and "x" in attrs]
    assert "each block is a node" not in read.text()
    for expected in (
        ("always", "0.00%", "10.00%"), ("start", "10.00%", "15.00%"), ("more", "25.00%", "75.00%"),
        ("more", "0.50%", "2.00%"),
    ):  # fmt: skip
        assert expected in rects


def test_nothing_is_fetched_and_no_script_runs() -> None:
    text = page(plan())
    read = Page(text)
    assert not {tag for tag, _ in read.tags} & {"script", "link", "img", "iframe", "object", "base", "form"}
    assert not read.attributes("src")
    assert not re.search(r"url\(|@import|https?://", text)
    assert "default-src 'none'" in text


def hostile(value: Any, key: str = "") -> Any:
    """Every text of a document made hostile, but for what must keep its form."""
    if isinstance(value, dict):
        return {name: hostile(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [hostile(item, key) for item in value]
    keep = key in {"level", "content", "schema_version", "command", "nvidia.com/gpu", "requests.nvidia.com/gpu"}
    return value + HOSTILE if isinstance(value, str) and value and not keep else value


def test_hostile_text_is_shown_and_never_obeyed() -> None:
    document = hostile(plan())
    document["policies"][0]["findings"] = [finding(HOSTILE, HOSTILE, HOSTILE)]
    document["policies"][0]["not_judged"] = [HOSTILE]
    document["tenants"][0]["quota"] = {HOSTILE: {f"requests.{HOSTILE}/x": "4", HOSTILE: HOSTILE}}
    document["tenants"][0]["groups"] = {HOSTILE: [HOSTILE]}
    document["pools"][0]["devices"] = {HOSTILE: 1}
    document["resources"].append(resource(HOSTILE, HOSTILE, kind=HOSTILE, **{HOSTILE: HOSTILE}))
    text = page(document)
    read = Page(text)
    assert "<script" not in text
    assert not {tag for tag, _ in read.tags} & {"script"}
    assert f"demo{HOSTILE}" in read.text("h1")
    assert {"kind": HOSTILE, HOSTILE: HOSTILE} in read.manifests()


def test_unknown_money_is_unknown_in_every_place() -> None:
    document = plan()
    document["cost"].update({"min": UNKNOWN, "max": UNKNOWN, "unknown": ["h100/spot"]})
    document["cost"]["pools"][1].update({"min": UNKNOWN, "max": UNKNOWN})
    text = Page(page(document)).text()
    assert "Worst case an hour unknown" in text
    assert "Worst case a month (730 h) unknown" in text
    assert "unknown USD an hour" in text
    assert "no price for h100/spot" in text
    assert "$unknown" not in page(document)


def test_manifests_are_yaml_with_words_for_what_is_not_told() -> None:
    document = plan()
    marked: dict[str, Any] = {"kubeconfig": SECRET, "context": "x"}
    document["resources"].append(resource("u::p::k::provider", "pulumi:providers:kubernetes", **marked))
    plain: dict[str, Any] = {"kind": "Secret", "data": {"password": "aHVudGVyMg=="}, "stringData": {"token": "hunter2"}}
    document["resources"].append(resource("u::p::k::s", "kubernetes:core/v1:Secret", **plain))
    text = page(document)
    shown = Page(text).manifests()
    assert {"kind": "ConfigMap", "data": {"a": "one\ntwo\n"}} in shown
    assert {"kind": "ServiceAccount", "metadata": {"name": "a", "uid": "unknown"}} in shown
    assert {"kubeconfig": "secret", "context": "x"} in shown
    assert {"kind": "Secret", "data": {"password": "secret"}, "stringData": {"token": "secret"}} in shown
    assert "a: |\n    one\n    two\n" in text
    assert "hunter2" not in text
    assert "aHVudGVyMg" not in text


def test_the_tree_follows_parents() -> None:
    text = page(plan())
    inside = text[text.index('<ul class="tree">') :]
    order = re.findall(r"<summary>(\S+) <i>", inside)
    assert order == ["p-demo", "vision", "cm", "inner", "sa", "last", "lost"]
    depths: dict[str, int] = {}
    for match in re.finditer(r"<ul\b|</ul>|<summary>(\S+) <i>", inside):
        if match[1]:
            before = inside[: match.start()]
            depths[match[1]] = before.count("<ul") - before.count("</ul>")
    assert depths == {"p-demo": 1, "vision": 2, "cm": 3, "inner": 3, "sa": 4, "last": 2, "lost": 1}


def test_the_same_plan_gives_the_same_bytes() -> None:
    document = plan()
    before = copy.deepcopy(document)
    shared: Any = {"a": ["b"]}
    document["resources"][2]["inputs"] = {"one": shared, "two": shared}
    before["resources"][2]["inputs"] = {"two": {"a": ["b"]}, "one": {"a": ["b"]}}
    assert page(document) == page(before)
    assert page(document) == page(document)


def test_a_large_plan_leaves_out_manifests_and_says_so() -> None:
    document = plan()
    parent = document["resources"][1]["urn"]
    made = [resource(f"u::p::k::more-{n}", "kubernetes:core/v1:ConfigMap", parent, text="x" * 80) for n in range(300)]
    document["resources"].extend([*made, resource("u::p::c::bare", "x:index:Bare", parent)])
    text = page(document, all_manifests=2_000)
    read = Page(text)
    kept = sum(entry == {"text": "x" * 80} for entry in read.manifests())
    assert 10 < kept < 25
    with_inputs = sum(bool(entry["inputs"]) for entry in document["resources"])
    assert f"{with_inputs - len(read.manifests())} manifests left out" in read.text()
    assert all(entry["name"] in text for entry in made)


def test_one_huge_manifest_does_not_crowd_out_the_others() -> None:
    document = plan()
    document["resources"].insert(2, resource("u::p::k::crd", "kubernetes:x:Huge", text="x" * 200_000))
    read = Page(page(document))
    assert "1 manifest left out" in read.text()
    assert {"kind": "ConfigMap", "data": {"a": "one\ntwo\n"}} in read.manifests()
    assert all(len(data) < 100_001 for _, data in read.texts)


def test_many_findings_are_counted_past_a_screenful() -> None:
    document = plan()
    findings = [finding(f"name-{n}", "has no quota") for n in range(230)]
    document["policies"][0] = policy("tenant-quota", "mandatory", *findings, ok=False)
    text = Page(page(document)).text()
    assert "tenant-quota : 230 findings" in text
    assert "and 30 more" in text
    assert text.count("has no quota") == 200


def test_the_owner_of_each_part_and_the_price_of_a_device_are_told() -> None:
    read = Page(page(plan()))
    assert "driver by cloud (its image holds it)" in read.text()
    assert "8 nvidia.com/gpu at 0.31/h" in read.text()


def test_quotas_above_the_pools_are_said_to_be() -> None:
    document = plan()
    document["tenants"][0]["quota"]["vision-dev"]["requests.nvidia.com/gpu"] = "40"
    read = Page(page(document))
    assert "40 promised of 32 more than the pools hold" in read.text()
    assert ("rect", "over") in {(tag, attrs.get("class")) for tag, attrs in read.tags}


@pytest.mark.parametrize("part", ["pools", "tenants", "proofs", "policies", "addons", "images", "resources"])
def test_an_empty_part_is_still_a_page(part: str) -> None:
    document: Any = plan()
    document[part] = []
    if part == "pools":
        document["cost"]["pools"] = []
    assert "demo" in Page(page(document)).text("h1")


def test_a_plan_without_proofs_and_policies_does_not_claim_to_hold() -> None:
    document = plan()
    document["proofs"] = []
    document["policies"] = []
    text = Page(page(document)).text("header")
    assert "Nothing was judged" in text
    assert "hold" not in text
