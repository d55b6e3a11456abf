"""Samples against the definitions of the add-ons that they are for: no key that an API server would drop."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from espalier.addons.samples import SAMPLES
from tests.unit.test_samples import READY, fill
from tests.upstream.samples import OWN, folder_of, schema_of
from tests.upstream.staged import UPSTREAM

pytestmark = pytest.mark.skipif(not UPSTREAM.is_dir(), reason="upstream's facts are not beside the checkout")


def customs() -> list[tuple[str, dict[str, Any]]]:
    return [(name, one) for name in READY for one in fill(name) if folder_of(one)]


@pytest.mark.parametrize(("name", "manifest"), customs(), ids=lambda value: value if isinstance(value, str) else "")
def test_its_definition_knows_each_key(name: str, manifest: dict[str, Any]) -> None:
    jsonschema.Draft7Validator(schema_of(manifest)).validate(manifest)  # without a look at the schema, of megabytes
    assert SAMPLES[name].needs


def test_the_definition_of_each_is_known() -> None:
    kinds = {one["kind"] for name in READY for one in fill(name) if not folder_of(one)}
    assert kinds <= {*OWN, "Job"}


def test_a_wrong_key_is_seen() -> None:
    [job] = fill("trainjob")
    job["spec"]["trainer"]["nodes"] = 2
    with pytest.raises(jsonschema.ValidationError, match="nodes"):
        jsonschema.Draft7Validator(schema_of(job)).validate(job)
