"""Samples: fitted to a tenant and a pool, and taken by what holds tenants."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from espalier.addons import RECORDS
from espalier.addons.samples import SAMPLES
from espalier.addons.samples.pods import pods_of, runtimes_of
from espalier.blueprint import Blueprint, build
from espalier.commands.sample import ANYWHERE, Wish, filled
from espalier.settings import validate
from espalier.types import Mistakes
from tests.upstream.staged import options_of

GPU = "nvidia.com/gpu"
NEEDED = sorted({need for sample in SAMPLES.values() for need in sample.needs if need in RECORDS})
READY = sorted(name for name, sample in SAMPLES.items() if set(sample.needs) <= RECORDS.keys())
CLUSTER = {"kind": "simulated", "version": "1.36"}
POOLS = [
    {"name": "cpu", "machine": {"cpu": 16, "memory": "64Gi"}, "nodes": {"max": 2}},
    {"name": "l4", "accelerator": "L4", "nodes": {"max": 2}},
    {"name": "h100", "accelerator": "H100-80", "nodes": {"max": 2}, "capacity": ["spot", "on-demand"]},
]
SOURCES: dict[str, str] = {}
OPTIONS: dict[str, dict[str, Any]] = {"kserve": {"domain": "models.example.com", "issuer": "ca"}}


def with_needs(*ids: str) -> dict[str, Any]:
    """Add-ons with all that they need."""
    found: dict[str, Any] = {}
    rest = [*ids, *(["istiod", "cert-manager"] if "gateway-api" in ids else [])]
    while rest:
        id = rest.pop()
        if id not in found:
            found[id] = _options(id, ids)
            rest += sorted(RECORDS[id].needs)
            rest += ["metrics-server"] if id == "vertical-pod-autoscaler" else []
    return found


def _options(id: str, wanted: tuple[str, ...]) -> dict[str, Any]:
    """KServe is in one mode: with a gateway in Standard."""
    if id == "kserve" and "gateway-api" not in wanted:
        return {"mode": "Knative"} if "knative-serving" in wanted else {}
    return OPTIONS.get(id) or options_of(id)


def platform(*addons: str, **tenant: Any) -> Blueprint:
    quota = tenant.pop("quota", {"devices": {GPU: 4}})
    spaces = [
        {"name": "dev", "quota": quota, "owners": ["o@x.org"]},
        {"name": "ana", "quota": {}, "owners": ["a@x.org"]},
    ]
    exposure = {"domains": ["iris-vision-dev.models.example.com"]}
    block: dict[str, Any] = {"name": "vision", "workspaces": spaces, "quota": quota, "exposure": exposure, **tenant}
    keys = {
        "cluster": CLUSTER,
        "pools": POOLS,
        "tenants": [block],
        "addons": with_needs(*addons),
        "licences": ["BUSL-1.1"],
        "sources": SOURCES,
    }
    return build(validate(keys, where="espalier"), RECORDS)


def pods(value: Any) -> Iterator[dict[str, Any]]:
    """Pods' specs anywhere in an object."""
    if isinstance(value, dict):
        if isinstance(value.get("containers"), list):
            yield value
        for each in value.values():
            yield from pods(each)
    elif isinstance(value, list):
        for each in value:
            yield from pods(each)


def fill(name: str, wish: Wish = ANYWHERE, **tenant: Any) -> list[dict[str, Any]]:
    return filled(platform(*SAMPLES[name].needs, **tenant), name, wish)[1]


@pytest.mark.parametrize("name", READY)
def test_each_is_taken_by_what_holds_tenants(name: str) -> None:
    text, manifests = filled(platform(*SAMPLES[name].needs), name)
    assert text.startswith("# ")
    assert list(yaml.safe_load_all(text)) == manifests
    assert "${" not in text.replace("${trialParameters.", "")
    for manifest in manifests:
        assert manifest["metadata"].get("namespace") == "vision-dev" or SAMPLES[name].platform
        for pod in pods(manifest):
            assert pod["securityContext"]["runAsNonRoot"] is True
            assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
            for container in pod["containers"]:
                assert container["securityContext"] == {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                }
                image, _, tag = container["image"].rpartition(":")
                assert image
                assert tag not in ("", "latest")


@pytest.mark.parametrize("name", READY)
def test_its_images_are_the_stacks_own_registrys(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SOURCES, "registry", "registry.example.com/mirror")
    _, manifests = filled(platform(*SAMPLES[name].needs), name)
    images = [container["image"] for pod in pods(manifests) for container in pod["containers"]]
    assert all(image.startswith("registry.example.com/mirror/") for image in images)
    assert "image: registry" in yaml.safe_dump_all(manifests) or not images


@pytest.mark.parametrize("name", READY)
def test_what_asks_for_a_device_goes_to_its_pool_and_stays_within_the_quota(name: str) -> None:
    blueprint = platform(*SAMPLES[name].needs)
    taints = {taint.key for pool in blueprint.pools if pool.name == "h100" for taint in pool.facts().taints}
    assert taints
    wanting = [
        (pod, int(container["resources"]["limits"][GPU]))
        for manifest in filled(blueprint, name, Wish(pool="h100"))[1]
        for pod in pods(manifest)
        for container in pod["containers"]
        if GPU in container.get("resources", {}).get("limits", {})
    ]
    assert sum(count for _, count in wanting) <= 4
    for pod, _ in wanting:
        assert pod["nodeSelector"] == {"espalier.dev/pool": "h100"}
        assert taints <= {one["key"] for one in pod["tolerations"]}


def test_most_samples_do_ask_for_devices() -> None:
    assert {"job", "jobset", "leaderworkerset"} <= {name for name in READY if GPU in str(fill(name))}


def test_without_a_quota_of_devices_it_asks_for_none() -> None:
    [job] = fill("job", quota={"cpu": 4})
    [pod] = pods(job)
    assert pod["nodeSelector"] == {}
    assert GPU not in str(job)


def test_it_goes_where_it_is_told() -> None:
    halves = [{"name": name, "quota": {"devices": {GPU: 2}}, "owners": ["o@x.org"]} for name in ("dev", "ana")]
    [job] = fill("job", Wish("vision", "ana", "h100"), workspaces=halves)
    assert job["metadata"]["namespace"] == "vision-ana"
    assert next(pods(job))["nodeSelector"]["espalier.dev/pool"] == "h100"


def test_of_a_pool_that_is_not_the_tenants_it_makes_no_use() -> None:
    [job] = fill("job", pools=["h100"], capacity=["on-demand"])
    assert next(pods(job))["nodeSelector"] == {"espalier.dev/pool": "h100", "espalier.dev/capacity": "on-demand"}


@pytest.mark.parametrize(
    ("name", "addons", "wish", "wanted"),
    [
        ("jobb", (), ANYWHERE, ("NAME", "Did you mean job?")),
        ("trainjob", (), ANYWHERE, ("NAME", "Needs kubeflow-trainer.")),
        ("canary", (), ANYWHERE, ("NAME", "Needs gateway-api and kserve.")),
        (
            "canary-knative",
            ("gateway-api", "knative-serving", "kserve"),
            ANYWHERE,
            ("NAME", "Needs KServe's other mode: `kserve: {mode: Knative}`."),
        ),
        ("job", (), Wish("vison"), ("--tenant", "Name one of these.")),
        ("job", (), Wish(workspace="x"), ("--workspace", "Name one of these.")),
        ("job", (), Wish(pool="cpu"), ("--pool", "Name one of these.")),
    ],
)
def test_what_does_not_fit_is_refused(name: str, addons: tuple[str, ...], wish: Wish, wanted: tuple[str, str]) -> None:
    blueprint = platform(*addons)
    with pytest.raises(Mistakes) as raised:
        filled(blueprint, name, wish)
    [mistake] = raised.value.mistakes
    assert (mistake.path, mistake.do) == wanted


def test_a_sample_of_devices_names_what_the_tenant_lacks() -> None:
    with pytest.raises(Mistakes) as raised:
        fill("trainjob", quota={"cpu": 4})
    [mistake] = raised.value.mistakes
    assert mistake.accepted == "a pool with NVIDIA's devices that tenant vision has a quota of"


def test_a_host_name_that_the_tenant_has_not_is_refused() -> None:
    with pytest.raises(Mistakes) as raised:
        fill("canary", exposure={"domains": ["vision.example.com"]})
    assert [mistake.text() for mistake in raised.value.mistakes] == [
        "NAME: got iris-vision-dev.models.example.com; accepted: a host name of tenant vision's own. "
        "Add iris-vision-dev.models.example.com to exposure.domains of tenant vision."
    ]


def test_more_devices_than_the_quota_has_are_refused() -> None:
    with pytest.raises(Mistakes) as raised:
        fill("tfjob", quota={"devices": {GPU: 2}})
    assert [mistake.text() for mistake in raised.value.mistakes] == [
        f"NAME: got 3 of {GPU}; accepted: at most 2, which is the quota of vision-dev. "
        "Name another workspace, or raise its quota."
    ]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("experiment", {"trial": 2}),
        ("jobset", {"worker": 2}),
        ("leaderworkerset", {"leader": 1, "worker": 1}),
        ("mpijob", {"launcher": 1, "worker": 2}),
        ("notebook", {"main": 1}),
        ("tensorboard", {}),
        ("tfjob", {"chief": 1, "worker": 2}),
        ("trainjob", {"node": 2}),
    ],
)
def test_the_pods_that_become_of_it_are_known(name: str, wanted: dict[str, int]) -> None:
    known = runtimes_of(pool.facts() for pool in platform(*SAMPLES[name].needs).pools)
    assert {pods.role: pods.count for one in fill(name) for pods in pods_of(one, known)} == wanted


def test_a_model_is_served_by_the_runtime_of_its_format() -> None:
    known = runtimes_of(pool.facts() for pool in platform().pools)
    [model] = fill("inferenceservice")
    [served] = pods_of(model, known)
    assert served.template["spec"]["containers"][0]["image"].startswith("docker.io/seldonio/mlserver:")
    model["spec"]["predictor"]["model"]["runtime"] = "triton-h100"
    [served] = pods_of(model, known)
    assert served.asks(GPU) == 1


def test_work_that_ends_and_ranks_that_meet_have_no_sidecar() -> None:
    """One would outlive a Job, and stand between workers that find one another by address."""
    for name in READY:
        made = fill(name)
        known = runtimes_of((pool.facts() for pool in platform(*SAMPLES[name].needs).pools), made)
        for one in made:
            if one["kind"] in ("Deployment", "InferenceService", "Notebook", "Workflow"):
                continue
            for each in pods_of(one, known):
                labels = each.template.get("metadata", {}).get("labels", {})
                assert labels.get("sidecar.istio.io/inject") == "false", (name, one["kind"])
