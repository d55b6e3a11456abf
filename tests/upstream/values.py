"""Whether the keys of our values are ones that a chart has, by its own values.yaml."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

UPSTREAM = Path(__file__).parents[2].parent / "shared" / "upstream"


def folder_of(addon: str) -> Path:
    path = UPSTREAM / addon
    if not path.is_dir():
        pytest.skip("upstream's facts are not beside the checkout, in ../shared/upstream")
    return path


def theirs(addon: str) -> dict[str, Any]:
    return yaml.safe_load((folder_of(addon) / "values.yaml").read_text("utf-8"))


def strangers(ours: Mapping[str, Any], known: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Keys of ours that the chart's values lack; what it leaves as {} or nothing is anybody's, and an affinity is
    Kubernetes', of which charts' defaults name a part."""
    for key, value in ours.items():
        where = f"{path}.{key}" if path else key
        if key not in known:
            yield where
        elif key != "affinity" and isinstance(value, Mapping) and known[key]:
            yield from strangers(value, known[key], where) if isinstance(known[key], Mapping) else (where,)


def schemas_of(addon: str, version: str) -> dict[str, Any]:
    """Schemas by kind, closed: the API server drops keys that a definition lacks, here they are an error."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # some definitions are megabytes
    documents = yaml.load_all((folder_of(addon) / "crds.yaml").read_text("utf-8"), loader)
    return {
        one["spec"]["names"]["kind"]: closed(made["schema"]["openAPIV3Schema"])
        for one in documents
        if one
        for made in one["spec"]["versions"]
        if made["name"] == version
    }


def closed(schema: Any) -> Any:
    """A schema for which a key that it does not name is an error."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object" and schema["properties"]:
        found["additionalProperties"] = {"apiVersion", "metadata"} <= set(schema["properties"])
    return found
