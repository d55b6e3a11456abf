"""The JSON Schema of a stack file, for editors; drawn from the models that validate it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from espalier.settings.files import BASE_NAME, PREFIX
from espalier.settings.model import Settings

_OF_PULUMI: Final = {
    "encryptionsalt": "Pulumi's own: the salt of the passphrase that encrypts secrets",
    "encryptedkey": "Pulumi's own: the encrypted key of the secrets provider",
    "secretsprovider": "Pulumi's own: what encrypts the stack's secrets",
    "environment": "Pulumi's own: environments of Pulumi ESC",
}


def stack_schema() -> dict[str, Any]:
    """The schema (draft 2020-12) of a stack file or of a file that others extend.

    What mappings require is left out where it may come from the other file: `check` knows after the merge.
    """
    schema = Settings.model_json_schema()
    definitions = {name: _closed(_without_titles(one)) for name, one in sorted(schema["$defs"].items())}
    for name in ("Simulated", "Existing", "Eks", "Gke", "Aks", "PriceOverride"):
        definitions[name].pop("required", None)
    properties: dict[str, Any] = {
        f"{PREFIX}{key}": _closed(_any_kind(_without_titles(one))) for key, one in schema["properties"].items()
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Espalier stack file",
        "description": "Pulumi.<stack>.yaml, or a file that stack files extend.",
        "type": "object",
        "required": ["config"],
        "additionalProperties": False,
        "properties": {
            "config": {
                "description": "Settings by namespace and key; those of espalier: are checked here.",
                "type": "object",
                "properties": {f"{PREFIX}extends": _extends(), **properties},
                "patternProperties": {f"^(?!{PREFIX})[^:]+:.+$": {}},
                "additionalProperties": False,
            },
            **{key: {"description": text} for key, text in _OF_PULUMI.items()},
        },
        "$defs": definitions,
    }


def schema_text() -> str:
    """The schema as it stands in stacks/schema.json."""
    return json.dumps(stack_schema(), indent=1, ensure_ascii=False) + "\n"


def _extends() -> dict[str, Any]:
    return {
        "description": "names of files beside this one, without .yaml, that it is laid on, left to right: "
        "mappings merge key by key, lists and scalars replace",
        "type": "array",
        "items": {"type": "string", "pattern": f"^{BASE_NAME}$"},
    }


def _without_titles(schema: Any) -> Any:
    """Pydantic's titles repeat the keys; a property that is called title is a mapping and stays."""
    return _mapped(schema, lambda node: {k: v for k, v in node.items() if k != "title" or not isinstance(v, str)})


def _closed(schema: Any) -> Any:
    """Pydantic refuses a key that fits no pattern; its schema does not say so."""
    return _mapped(schema, lambda n: {**n, "additionalProperties": False} if "patternProperties" in n else n)


def _any_kind(schema: dict[str, Any]) -> dict[str, Any]:
    """Without the keys that may be in the other file, a mapping can fit several kinds of cluster."""
    return {("anyOf" if key == "oneOf" else key): value for key, value in schema.items()}


def _mapped(schema: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    if isinstance(schema, Mapping):
        return change({str(key): _mapped(value, change) for key, value in schema.items()})
    return [_mapped(item, change) for item in schema] if isinstance(schema, list) else schema
