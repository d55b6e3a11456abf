"""Resource options: read from a registration, and the table of what `up` does with each.

The table is the whole truth: an option that it does not name as honoured is refused by name, since an
option that is silently ignored is a promise broken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from google.protobuf.json_format import MessageToDict
from pulumi.runtime.proto.resource_pb2 import RegisterResourceRequest

from espalier.engine.model import Resource
from espalier.engine.values import Json

_PLAIN = (
    "protect",
    "retainOnDelete",
    "version",
    "pluginDownloadURL",
    "deletedWith",
    "packageRef",
)
_LISTS = ("ignoreChanges", "additionalSecretOutputs", "replaceOnChanges", "hideDiffs")

HONOURED: Mapping[str, str] = MappingProxyType(
    {
        "protect": "the object is never deleted or replaced",
        "retainOnDelete": "the object is forgotten instead of deleted",
        "aliases": "an object is known by kind, namespace and name, so a new URN does not touch it",
        "additionalSecretOutputs": "these top-level outputs are secret",
        "customTimeouts": "the time that `up` waits for readiness (`create`, `update`); `delete` is refused",
        "deleteBeforeReplace": "a replacement always deletes first, since the name is the same",
        "version": "no plugin is used, so there is nothing to pin",
        "pluginDownloadURL": "no plugin is used, so there is nothing to download",
        "packageRef": "no plugin is used, so there is nothing to load",
        "hideDiffs": "only names of fields are ever shown, never values",
    }
)
"""What `up` does with an option that it honours."""

REFUSED: Mapping[str, str] = MappingProxyType(
    {
        "ignoreChanges": "leave the field out of the inputs, or use `pulumi up`",
        "deletedWith": "leave it out: the object is deleted by itself, in order; or use `pulumi up`",
        "replaceOnChanges": "leave it out, or use `pulumi up`",
        "replaceWith": "leave it out, or use `pulumi up`",
        "replacementTrigger": "leave it out, or use `pulumi up`",
        "import": "leave it out: server-side apply takes an existing object over",
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
        "replacementTrigger": lambda r: _plain(r.replacement_trigger) if r.HasField("replacement_trigger") else None,
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


def _plain(message: Any) -> Any:
    return MessageToDict(message)
