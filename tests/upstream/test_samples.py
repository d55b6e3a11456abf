"""Samples against the definitions of the add-ons that they are for: no key that an API server would drop."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from espalier.addons.samples import SAMPLES
from tests.unit.test_samples import READY, fill
from tests.upstream.samples import FOLDERS, OWN
from tests.upstream.values import schemas_of


def customs() -> list[tuple[str, dict[str, Any]]]:
    return [(name, one) for name in READY for one in fill(name) if one["kind"] not in OWN]


@pytest.mark.parametrize(("name", "manifest"), customs(), ids=lambda value: value if isinstance(value, str) else "")
def test_its_definition_knows_each_key(name: str, manifest: dict[str, Any]) -> None:
    version = manifest["apiVersion"].partition("/")[2]
    schema = schemas_of(FOLDERS[manifest["kind"]], version)[manifest["kind"]]
    jsonschema.validate(manifest, schema)
    assert SAMPLES[name].needs


def test_a_wrong_key_is_seen() -> None:
    [job] = fill("trainjob")
    job["spec"]["trainer"]["nodes"] = 2
    with pytest.raises(jsonschema.ValidationError, match="nodes"):
        jsonschema.validate(job, schemas_of("kubeflow-trainer", "v1alpha1")["TrainJob"])
