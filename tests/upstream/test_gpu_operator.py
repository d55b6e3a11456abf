"""Our values and drivers of NVIDIA's GPU operator, and of node feature discovery, against upstream's own files."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
import yaml

from espalier.addons.node_feature_discovery import RECORD as NFD
from espalier.addons.nvidia_drivers import VERSIONS
from espalier.addons.nvidia_gpu_operator import NAMESPACE, RECORD, VERSION, values
from tests.unit.test_addons_nvidia_gpu_operator import inputs, owned, pools_of
from tests.upstream.values import folder_of, schemas_of, strangers, theirs

OPERATOR: dict[str, Any] = {"driver": {"owner": "operator"}}
CASES: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "one driver": ([OPERATOR], {}),
    "precompiled": ([{"driver": {"owner": "operator", "version": "580"}}], {"precompiled": True}),
    "drivers by pool": ([OPERATOR, OPERATOR | {"accelerator": "V100-32"}, {}], {}),
    "shared": ([OPERATOR | {"sharing": {"mps": 2}}, OPERATOR | {"sharing": {"mig": "all-balanced"}}], {}),
    "rke2": ([OPERATOR], {"runtime": "rke2", "nri": True, "metrics": False}),
    "hosts": ([{"driver": {"owner": "host", "toolkit": "host"}}], {}),
}


def told(case: str) -> dict[str, Any]:
    blocks, options = CASES[case]
    return dict(values(inputs(pools_of(*blocks, options=options), options=options)))


@pytest.mark.parametrize("case", list(CASES))
def test_every_key_is_one_of_the_charts(case: str) -> None:
    assert list(strangers(told(case), theirs("gpu-operator"))) == []


@pytest.mark.parametrize("kind", ["gke", "aks"])
def test_every_key_of_a_cloud_is_one_of_the_charts(kind: str) -> None:
    (pool,) = pools_of({"sharing": {"mig": "all-1g.10gb"}})
    clouds = owned(pool, "cloud", "addon" if kind == "gke" else "cloud", "cos" if kind == "gke" else "ubuntu")
    assert list(strangers(values(inputs((clouds,), kind)), theirs("gpu-operator"))) == []


def test_a_key_that_the_chart_lacks_would_be_found() -> None:
    assert list(strangers({"driver": {"maxParallelUpgrades": 5}}, theirs("gpu-operator"))) == [
        "driver.maxParallelUpgrades"
    ]


def test_every_driver_is_one_that_the_definition_takes() -> None:
    schema = schemas_of("gpu-operator", "v1alpha1")["NVIDIADriver"]
    made = told("drivers by pool")["extraObjects"]
    assert len(made) == 2
    for one in made:
        errors = [
            f"{error.json_path}: {error.message}" for error in jsonschema.Draft7Validator(schema).iter_errors(one)
        ]
        assert errors == []


def test_versions_and_place_are_upstreams() -> None:
    source = yaml.safe_load((folder_of("gpu-operator") / "source.yaml").read_text("utf-8"))
    assert (source["version"], source["namespace"], source["license"]) == (VERSION, NAMESPACE, RECORD.licence)
    assert theirs("gpu-operator")["driver"]["version"] == VERSIONS["595"]
    nfd = yaml.safe_load((folder_of("node-feature-discovery") / "source.yaml").read_text("utf-8"))
    assert (nfd["version"], nfd["license"]) == (NFD.version, NFD.licence)


def test_the_rules_drop_each_hook_that_is_left() -> None:
    """Those of its own discovery are gone with it."""
    from fnmatch import fnmatchcase

    source = yaml.safe_load((folder_of("gpu-operator") / "source.yaml").read_text("utf-8"))
    hooks = [f"{one['kind']}/{one['name']}" for one in source["hook_objects"] if "node-feature" not in one["name"]]
    assert RECORD.content is not None
    rules = RECORD.content.hooks
    assert not isinstance(rules, str)
    assert all(any(fnmatchcase(hook, pattern) for pattern in rules) for hook in hooks)
    assert all(any(fnmatchcase(hook, pattern) for hook in hooks) for pattern in rules)


def test_what_the_operator_makes_is_read_from_its_own_policy() -> None:
    documents = yaml.safe_load_all((folder_of("gpu-operator") / "manifests.yaml").read_text("utf-8"))
    (policy,) = [one for one in documents if one and one["kind"] == "ClusterPolicy"]
    made = dict(RECORD.operands(policy))
    wanted = theirs("gpu-operator")["daemonsets"]["tolerations"]
    assert made == {"operands": {"spec": {"tolerations": wanted}}, "driver": {"spec": {"tolerations": wanted}}}


def test_discoverys_keys_are_its_charts() -> None:
    assert NFD.content is not None
    (pool,) = pools_of({})
    assert list(strangers(NFD.content.values(inputs((pool,))), theirs("node-feature-discovery"))) == []
