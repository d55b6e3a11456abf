"""Resource options: read from a registration, and the table of what `up` does with each.

The table is the whole truth: an option that it does not name as honoured is refused by name, since an
option that is silently ignored is a promise broken.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto.resource_pb2 import RegisterResourceRequest

from espalier.engine.durations import seconds_of
from espalier.engine.model import Resource
from espalier.engine.paths import Path, parse
from espalier.engine.values import Json, decode

_PLAIN = (
    "protect",
    "retainOnDelete",
    "version",
    "pluginDownloadURL",
    "deletedWith",
    "packageRef",
)
_PATHS = ("ignoreChanges", "replaceOnChanges")
_LISTS = ("ignoreChanges", "additionalSecretOutputs", "replaceOnChanges", "hideDiffs")

HONOURED: Mapping[str, str] = MappingProxyType(
    {
        "protect": "the object is never deleted or replaced",
        "retainOnDelete": "the object is forgotten instead of deleted",
        "aliases": "a new URN does not touch an object, and one without a name of its own keeps what it was called",
        "additionalSecretOutputs": "these top-level outputs are secret",
        "customTimeouts": "how long `up` waits for readiness (`create`, `update`) and for a deletion (`delete`)",
        "deleteBeforeReplace": "the old object goes first even where the new one has another name",
        "deletedWith": "the object is not deleted by itself where that resource is deleted in the same run",
        "ignoreChanges": "the fields keep what they have in the cluster, whoever set it",
        "replaceOnChanges": "a change in one of these fields replaces the object",
        "replaceWith": "the object is replaced when one of these is",
        "replacementTrigger": "another value than the last run's replaces the object",
        "version": "no plugin is used, so there is nothing to pin",
        "pluginDownloadURL": "no plugin is used, so there is nothing to download",
        "packageRef": "no plugin is used, so there is nothing to load",
        "hideDiffs": "only names of fields are ever shown, never values",
    }
)
"""What `up` does with an option that it honours."""

REFUSED: Mapping[str, str] = MappingProxyType(
    {
        "import": "leave it out: `espalier up --adopt` takes an existing object over",
        "hooks": "leave them out, or use `pulumi up`",
        "transforms": "use `transformations`, which run inside the program, or `pulumi up`",
        "stateMigrations": "leave them out, or use `pulumi up`",
        "envVarMappings": "leave it out: no plugin is started",
        "providers": "give each resource its provider, or its parent's",
    }
)
"""What to do instead of an option that `up` refuses."""


_READERS: Mapping[str, Callable[[RegisterResourceRequest], Json]] = MappingProxyType(
    {
        "deleteBeforeReplace": lambda r: r.deleteBeforeReplace if r.deleteBeforeReplaceDefined else None,
        "import": lambda r: r.importId or None,
        "aliases": lambda r: _aliases(r) or None,
        "customTimeouts": lambda r: _plain(r.customTimeouts) if r.HasField("customTimeouts") else None,
        "hooks": lambda r: (_plain(r.hooks) or None) if r.HasField("hooks") else None,
        "replaceWith": lambda r: sorted(r.replace_with) or None,
        "replacementTrigger": lambda r: _trigger(r) if r.HasField("replacement_trigger") else None,
        "transforms": lambda r: len(r.transforms) or None,
        "stateMigrations": lambda r: len(r.state_migrations) or None,
        "envVarMappings": lambda r: dict(sorted(r.envVarMappings.items())) or None,
        "providers": lambda r: {k: ref.rpartition("::")[0] for k, ref in sorted(r.providers.items())} or None,
    }
)


def read_options(request: RegisterResourceRequest) -> dict[str, Json]:
    """Collects the options that a registration gives, by their names in the protocol."""
    options: dict[str, Json] = {key: value for key in _PLAIN if (value := getattr(request, key))}
    options |= {key: list(value) for key in _LISTS if (value := getattr(request, key))}
    return options | {key: value for key, read in _READERS.items() if (value := read(request)) is not None}


def _aliases(request: RegisterResourceRequest) -> list[Json]:
    urns = [*request.aliasURNs, *(alias.urn for alias in request.aliases if alias.urn)]
    specs = [_plain(alias.spec) for alias in request.aliases if not alias.urn]
    return [*sorted(urns), *({k: v for k, v in spec.items() if v} for spec in specs)]


def refused_options(resource: Resource) -> list[tuple[str, str]]:
    """Lists the options of a custom resource that `up` does not honour, with what to do instead.

    A component's `providers` and its own options only matter through its children, which carry theirs.
    """
    if not resource.custom:
        return [(key, REFUSED[key]) for key in ("hooks", "transforms") if key in resource.options]
    return [
        (key, REFUSED.get(key, "leave it out, or use `pulumi up`")) for key in resource.options if key not in HONOURED
    ]


def malformed_options(resource: Resource) -> list[tuple[str, str]]:
    """Lists what is said in honoured options but cannot be read, each with what to do."""
    problems: list[tuple[str, str]] = []
    for key in _PATHS:
        for text in resource.options.get(key, ()):
            try:
                parse(text)
            except ValueError as error:
                problems.append((f"{key}: {error}", "correct the path"))
    for text in resource.options.get("additionalSecretOutputs", ()):
        if re.search(r"[.\[]", text):
            do = f"name the whole output, {re.split(r'[.[]', text)[0]}"
            problems.append((f"additionalSecretOutputs: {text!r} is no output but a part of one", do))
    for key, text in sorted((resource.options.get("customTimeouts") or {}).items()):
        try:
            seconds_of(text)
        except ValueError as error:
            problems.append((f"customTimeouts.{key}: {error}", "correct the duration"))
    return problems


def paths_of(resource: Resource, option: str) -> tuple[Path, ...]:
    """The property paths that an option lists."""
    return tuple(parse(text) for text in resource.options.get(option, ()))


def seconds_for(resource: Resource, what: str) -> float | None:
    """The limit that `custom_timeouts` sets for create, update or delete; None where it sets none."""
    text = (resource.options.get("customTimeouts") or {}).get(what)
    return seconds_of(text) if text else None


def _trigger(request: RegisterResourceRequest) -> Json:
    return decode(Struct(fields={"trigger": request.replacement_trigger}))["trigger"]


def _plain(message: Any) -> Any:
    return MessageToDict(message)
