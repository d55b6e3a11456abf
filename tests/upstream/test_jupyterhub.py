"""JupyterHub against upstream's chart: keys, images, secrets that are nobody's, and ways to the pools."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from espalier.addons import RECORDS
from espalier.blueprint.build import build
from espalier.charts.values import merged
from espalier.settings import validate
from espalier.types import AddonInputs, Facts, NodeShape, PoolFacts, Taint
from tests.unit.test_training_runtimes import pool as a_pool
from tests.upstream.staged import OPTIONS, UPSTREAM, read
from tests.upstream.values import strangers

RECORD = RECORDS["jupyterhub"]
TAINT = Taint("nvidia.com/gpu", "present")

pytestmark = pytest.mark.skipif(not UPSTREAM.is_dir(), reason="upstream's facts are not beside the checkout")


def inputs(*pools: PoolFacts, **options: Any) -> AddonInputs:
    return AddonInputs(Facts("onprem", "1.36", True), pools, RECORD.options(**{**OPTIONS["jupyterhub"], **options}))


def told(*pools: PoolFacts, **options: Any) -> dict[str, Any]:
    assert RECORD.content is not None
    return dict(RECORD.content.values(inputs(*pools, **options)))


def test_every_value_is_one_that_the_chart_reads() -> None:
    known = read("jupyterhub", "values.yaml")[0]
    ours = told(a_pool(taints=(TAINT,)))
    anybodys = ("hub.config.", "hub.db.url", "singleuser.profileList")
    assert [key for key in strangers(ours, known) if not key.startswith(anybodys)] == []
    schema = json.loads((UPSTREAM / "jupyterhub" / "values.schema.json").read_text("utf-8"))
    jsonschema.validate(merged(known, ours), schema)


def test_nothing_stands_for_a_secret_but_a_word_that_is_taken_out_again() -> None:
    """Without the stack's Secret hub and proxy do not start: none of its keys is left in the chart's."""
    assert RECORD.content is not None
    (secret,) = [one for one in read("jupyterhub", "manifests.yaml") if one["kind"] == "Secret"]
    assert [key for key in secret["data"] if key.startswith("hub.config.")]
    left = RECORD.content.edit(inputs(), secret)
    assert left is not None
    assert set(left["data"]) == {key for key in secret["data"] if not key.startswith("hub.config.")}
    assert told()["hub"]["existingSecret"] == "jupyterhub"
    assert told()["proxy"]["secretToken"] == told()["hub"]["cookieSecret"] == "in-the-secret-of-the-stack"


def test_images_are_upstreams() -> None:
    assert RECORD.content is not None
    assert RECORD.content.facts is not None
    listed = set((UPSTREAM / "jupyterhub" / "images.txt").read_text("utf-8").split())
    assert set(RECORD.content.facts.images) <= listed


def test_who_may_come_in_is_said() -> None:
    config = told()["hub"]["config"]
    assert config["JupyterHub"]["authenticator_class"] == "generic-oauth"
    assert config["GenericOAuthenticator"]["allowed_groups"] == ["ml-users"]
    assert "client_secret" not in config["GenericOAuthenticator"]
    bare = AddonInputs(Facts("onprem", "1.36", True), (), RECORD.options())
    assert [one.text() for one in RECORD.judges(bare)] == [
        "espalier:addons.jupyterhub.login: got nothing; accepted: an identity provider that people log in by, and the "
        "groups that may come in. Add `login: {authorize-url: ..., token-url: ..., userdata-url: ..., callback-url: "
        "..., client-id: ..., groups: [...]}`."
    ]


def profiles(*pools: PoolFacts, **options: Any) -> dict[str, Any]:
    return {one["slug"]: one for one in told(*pools, **options)["singleuser"]["profileList"]}


def matches(override: dict[str, Any], shape: NodeShape) -> bool:
    """Whether the notebook may land on a node of the shape, by affinity and taints."""
    (term,) = override["node_affinity_required"]
    for one in term["matchExpressions"]:
        value = shape.labels.get(one["key"])
        known = one["operator"] == "In" and value in one["values"]
        unknown = one["operator"] == "NotIn" and value not in one["values"]
        if not (known or unknown or (one["operator"] == "DoesNotExist" and value is None)):
            return False
    tolerations = override.get("tolerations", ())
    return all(any(taint.tolerated_by(each) for each in tolerations) for taint in shape.taints)


def stack_pools() -> list[Any]:
    block: dict[str, Any] = {
        "cluster": {"kind": "simulated"},
        "pools": [
            {"name": "system", "machine": {"cpu": 8, "memory": "32Gi"}, "nodes": {"min": 1, "max": 3}},
            {"name": "h100", "accelerator": "H100-80", "count": 8, "nodes": {"max": 4}},
            {
                "name": "mig",
                "accelerator": "A100-80",
                "count": 8,
                "nodes": {"max": 2},
                "sharing": {"mig": "all-1g.10gb"},
            },
            {"name": "slices", "accelerator": "L4", "count": 1, "nodes": {"max": 2}, "sharing": {"time-slices": 4}},
        ],
    }
    return list(build(validate(block, where="espalier"), RECORDS).pools)


def test_each_pools_notebooks_land_on_it_and_ask_for_what_it_advertises() -> None:
    found: dict[str, tuple[str, ...]] = {}
    for plan in stack_pools():
        facts = PoolFacts(plan.name, tuple(plan.shapes), vendor="nvidia" if plan.shapes[0].devices else "")
        for slug, one in profiles(facts).items():
            override = one["kubespawner_override"]
            if slug == "no-device":
                assert matches(override, plan.shapes[0]) is (not plan.shapes[0].devices)
            else:
                assert matches(override, plan.shapes[0])
                found[slug] = tuple(override["extra_resource_limits"].items())
    assert found == {
        "h100-1-gpu": (("nvidia.com/gpu", "1"),),
        "h100-8-gpu": (("nvidia.com/gpu", "8"),),
        "mig-1-mig-1g-10gb": (("nvidia.com/mig-1g.10gb", "1"),),
        "mig-56-mig-1g-10gb": (("nvidia.com/mig-1g.10gb", "56"),),
        **{slug: one for slug, one in found.items() if slug.startswith("slices")},
    }
    assert len([slug for slug in found if slug.startswith("slices")]) == 2


def test_every_image_is_pinned_and_the_stacks_own_are_among_them() -> None:
    own = "registry.example.com/jax-notebook:0.10.1"
    for one in profiles(a_pool(taints=(TAINT,)), images=[own]).values():
        offered = [row["kubespawner_override"]["image"] for row in one["profile_options"]["image"]["choices"].values()]
        assert own in offered
        assert all(image.rpartition(":")[2] not in ("latest", image) for image in offered)
        assert one["kubespawner_override"]["image"] == offered[0]


def test_culling_and_the_database_are_the_stacks_to_say() -> None:
    assert told()["cull"] == {"enabled": True, "timeout": 3600, "every": 300}
    assert told(**{"cull-after": 0})["cull"]["enabled"] is False
    url = "postgresql+psycopg2://hub@db.example.com:5432/hub"
    assert told(database=url)["hub"]["db"] == {"type": "postgres", "url": url}
    with pytest.raises(ValueError, match="pattern"):
        RECORD.options(database="postgresql+psycopg2://hub:secret@db/hub")
