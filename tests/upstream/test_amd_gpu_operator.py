"""Our values of AMD's GPU operator against its own chart and definition."""

from __future__ import annotations

from fnmatch import fnmatchcase

import jsonschema
import yaml

from espalier.addons.amd_gpu_operator import RECORD
from tests.unit.test_addons_amd_gpu_operator import a_pool, config, told
from tests.upstream.values import folder_of, schemas_of, strangers, theirs


def test_every_key_is_one_of_the_charts_and_of_its_definition() -> None:
    found = told(a_pool())
    assert list(strangers(found, theirs("amd-gpu-operator"))) == []
    schema = schemas_of("amd-gpu-operator", "v1alpha1")["DeviceConfig"]
    errors = [
        f"{one.json_path}: {one.message}" for one in jsonschema.Draft7Validator(schema).iter_errors(config(found))
    ]
    assert errors == []


def test_no_hook_is_kept() -> None:
    """The one of post-delete would delete the definitions of Argo and of node feature discovery."""
    source = yaml.safe_load((folder_of("amd-gpu-operator") / "source.yaml").read_text("utf-8"))
    assert RECORD.content is not None
    rules = RECORD.content.hooks
    assert not isinstance(rules, str)
    for hook in source["hook_objects"]:
        name = f"{hook['kind']}/{hook['name']}"
        assert next(rule for pattern, rule in rules.items() if fnmatchcase(name, pattern)) == "drop"
    assert source["version"] == RECORD.version
