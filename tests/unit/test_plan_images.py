"""The images of a plan, of objects that nobody named yet as well."""

from __future__ import annotations

from typing import Any

from espalier.addons import RECORDS
from espalier.blueprint import build
from espalier.commands.plan_images import all_images
from espalier.settings import validate


def test_an_object_that_the_engine_will_name_has_its_images_listed() -> None:
    blueprint = build(validate({"cluster": {"kind": "simulated"}, "pools": []}, where="test"), RECORDS)
    spec = {"containers": [{"name": "main", "image": "example.com/x:1"}]}
    pods: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": spec},
        {"apiVersion": "v1", "kind": "Pod", "spec": spec},
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": {"$unknown": True}, "namespace": "a"}, "spec": spec},
    ]
    found = [(image.image, image.where) for image in all_images(pods, blueprint, RECORDS)]
    nameless = "Pod/of a name to be made main"
    assert set(found) >= {("example.com/x:1", nameless), ("example.com/x:1", "Pod/a/of a name to be made main")}
