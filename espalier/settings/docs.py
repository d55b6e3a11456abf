"""The reference page of the stack file, drawn from the models that validate it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from espalier.settings.explain import words
from espalier.settings.model import Settings

Schema = Mapping[str, Any]

_HEAD: Final = """\
# The stack file, key by key

`stacks/Pulumi.<stack>.yaml` holds one environment under `config:`; the keys below carry the prefix `espalier:` there.
`espalier:extends: [base]` lays the file on `stacks/base.yaml`: mappings merge key by key, lists and scalars replace,
and of several files a later one is laid on the earlier. Text that YAML could take for something else must be quoted:
`version: "1.36"`, `date: "2026-07-20"`, `"no"`. Keys of other namespaces, such as `aws:region`, are Pulumi's affair.

`espalier check` reports every mistake at once, each with its key path, line, what is accepted and what to do.

This page and `stacks/schema.json`, which editors read, are made from the models by `python -m espalier.settings`.
"""


def stack_file_page() -> str:
    """The text of docs/stack-file.md."""
    schema = Settings.model_json_schema()
    definitions: dict[str, Schema] = schema["$defs"]
    sections = [_section("espalier:", Settings.__doc__ or "", schema, definitions)]
    sections += (_section(name, str(one["description"]), one, definitions) for name, one in definitions.items())
    return "\n".join([_HEAD, *sections])


def _section(title: str, about: str, schema: Schema, definitions: Mapping[str, Schema]) -> str:
    required = schema.get("required", [])
    lines = [f"## {title}", "", about, "", "| key | value | default | what it is for |", "|---|---|---|---|"]
    for key, one in schema["properties"].items():
        default = "required" if key in required else _default(one)
        lines.append(f"| `{key}` | {_value(one, definitions)} | {default} | {_about(one)} |")
    return "\n".join([*lines, ""])


def _default(schema: Schema) -> str:
    if schema.get("default") is None:
        return "none" if "default" in schema else "`{}`"
    return f"`{json.dumps(schema['default'])}`"


def _about(schema: Schema) -> str:
    return str(schema.get("description", "")).replace("|", "\\|").replace("<", "\\<")


def _value(schema: Schema, definitions: Mapping[str, Schema]) -> str:
    """What a key takes, with links to the sections of mappings."""
    if "$ref" in schema:
        name = str(schema["$ref"]).rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    choices: list[Schema] = schema.get("anyOf") or schema.get("oneOf") or []
    if choices:
        shown = [c for c in choices if c.get("type") != "null"]
        return " or ".join(_value(c, definitions) for c in shown)
    if schema.get("type") == "array":
        return f"{words(schema)}: {_value(schema['items'], definitions)}"
    rest = schema.get("additionalProperties")
    values = [*schema.get("patternProperties", {}).values(), *([rest] if isinstance(rest, Mapping) else [])]
    if values:
        return f"a mapping of {_value(values[0], definitions)}"
    return words(schema).replace("|", "\\|")
