"""A provider plugin that stands in for any package under the real Pulumi engine: what it creates are files in a folder.

    FAKE_PACKAGE=... FAKE_VERSION=... FAKE_IMMUTABLE=... python fake_provider.py ENGINE

The engine starts it as it starts every provider (conftest.py puts it where the engine looks), with its own address. It
keeps each object as one JSON file in the folder that FAKE_OBJECTS names, so that a test reads, changes and deletes them
to make drift. It fills in what the service behind the package would: uid, resourceVersion and status for `kubernetes`,
an arn for others. FAKE_IMMUTABLE names the input properties (dotted paths, by commas) whose change needs a replacement.

It is a provider of `pulumi.provider`. That tells a difference by the old state, not by the old inputs, so the state
has the inputs as well, under a name that the SDK keeps from programs.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct
from pulumi.provider.experimental import provider
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.server import main

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""The text that stands for an unknown value in the protocol (pulumi, sdk/go/common/resource/plugin/rpc.go)."""
INPUTS = "__inputs"
Properties = dict[str, Any]
Values = dict[str, PropertyValue]


class Store:
    """The objects of one package: a folder with one file each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def file(self, type_: str, id_: str) -> Path:
        return self._folder / f"{quote(type_, safe='')} {quote(id_, safe='')}.json"

    def read(self, type_: str, id_: str) -> Properties | None:
        file = self.file(type_, id_)
        return json.loads(file.read_text()) if file.exists() else None

    def write(self, type_: str, id_: str, properties: Properties) -> None:
        self.file(type_, id_).write_text(json.dumps(properties, indent=1, sort_keys=True))

    def delete(self, type_: str, id_: str) -> None:
        self.file(type_, id_).unlink(missing_ok=True)


class Cloud:
    """Names, ids and computed properties of a package that is not Kubernetes."""

    def __init__(self, package: str, immutable: tuple[str, ...]) -> None:
        self.package = package
        self.immutable = immutable

    def checked(self, urn: str, inputs: Properties) -> Properties:
        del urn
        return inputs

    def id(self, urn: str, inputs: Properties) -> str:
        given = inputs.get("name")
        # A replacement is made beside what it replaces, so what differs has another id.
        return given if isinstance(given, str) else f"{_name(urn)}-{_hash(urn + json.dumps(inputs, sort_keys=True))}"

    def computed(self, urn: str, inputs: Properties, version: int) -> Properties:
        del version
        return {**inputs, "arn": f"arn:{self.package}:{_type(urn)}:{_name(urn)}"}

    def planned(self, inputs: Properties) -> Properties:
        """A cloud fills in what is inside objects and lists: these are not known before it has."""
        known = {key: UNKNOWN if isinstance(value, dict | list) else value for key, value in inputs.items()}
        return {**known, "arn": UNKNOWN}


class Kubernetes(Cloud):
    """Names, ids and computed properties of Kubernetes objects."""

    def checked(self, urn: str, inputs: Properties) -> Properties:
        metadata = inputs.get("metadata")
        if metadata == UNKNOWN or (isinstance(metadata, dict) and metadata.get("name")):
            return inputs
        return {**inputs, "metadata": {**(metadata or {}), "name": f"{_name(urn)}-{_hash(urn)}"}}

    def id(self, urn: str, inputs: Properties) -> str:
        del urn
        metadata = inputs["metadata"]
        return "/".join(part for part in (metadata.get("namespace"), metadata["name"]) if part)

    def computed(self, urn: str, inputs: Properties, version: int) -> Properties:
        filled = {"uid": _hash(urn), "resourceVersion": str(version), "creationTimestamp": "2026-01-01T00:00:00Z"}
        status = {"phase": "Active"} if inputs["kind"] == "Namespace" else {"observed": True}
        return {**inputs, "metadata": {**inputs["metadata"], **filled}, "status": status}

    def planned(self, inputs: Properties) -> Properties:
        metadata = inputs.get("metadata")
        if not isinstance(metadata, dict):
            return inputs
        return {**inputs, "metadata": {**metadata, **dict.fromkeys(("uid", "resourceVersion"), UNKNOWN)}}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _name(urn: str) -> str:
    return urn.split("::", 3)[3]


def _type(urn: str) -> str:
    return urn.split("::", 3)[2].rpartition("$")[2]


def differences(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every path that differs, and whether it is added, deleted or updated; lists differ as a whole."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            below = f"{path}.{key}" if path else key
            if key not in old:
                yield below, "ADD"
            elif key not in new:
                yield below, "DELETE"
            else:
                yield from differences(old[key], new[key], below)
    elif old != new:
        yield path, "UPDATE"


def live_inputs(inputs: Any, live: Any) -> Any:
    """What the inputs would be for what is live: the keys of the inputs, with the values that are there now."""
    if isinstance(inputs, dict) and isinstance(live, dict):
        return {key: live_inputs(value, live[key]) for key, value in inputs.items() if key in live}
    return live


def plain(values: Mapping[str, PropertyValue]) -> Properties:
    """Properties as JSON; unknowns and secrets as the protocol writes them."""
    return MessageToDict(PropertyValue.marshal_map(values))


def marked(values: Properties) -> Values:
    """The other way."""
    message = Struct()
    message.update(values)
    return dict(PropertyValue.unmarshal_map(message))


def state(outputs: Properties, inputs: Properties) -> Values:
    """What the engine keeps of a resource."""
    return marked({**outputs, INPUTS: inputs})


class Provider(provider.Provider):
    """Resources of one package, kept in a store."""

    def __init__(self, model: Cloud, store: Store) -> None:
        self.model = model
        self.store = store

    async def configure(self, request: provider.ConfigureRequest) -> provider.ConfigureResponse:
        # Secrets keep their marks, on the way through and in the files.
        return provider.ConfigureResponse(supports_preview=True, accept_secrets=True)

    async def check(self, request: provider.CheckRequest) -> provider.CheckResponse:
        return provider.CheckResponse(inputs=marked(self.model.checked(request.urn, plain(request.new_inputs))))

    async def diff(self, request: provider.DiffRequest) -> provider.DiffResponse:
        found = dict(differences(plain(request.old_state)[INPUTS], plain(request.new_inputs)))
        replaces = sorted(path for path in found if path.startswith(self.model.immutable))
        kinds = {path: f"{kind}_REPLACE" if path in replaces else kind for path, kind in found.items()}
        return provider.DiffResponse(
            changes=bool(found),
            replaces=replaces,
            diffs=sorted({path.partition(".")[0] for path in found}),
            detailed_diff={
                path: provider.PropertyDiff(provider.PropertyDiffKind[kind], input_diff=True)
                for path, kind in kinds.items()
            },
            delete_before_replace=isinstance(self.model, Kubernetes),
        )

    async def create(self, request: provider.CreateRequest) -> provider.CreateResponse:
        inputs = plain(request.properties)
        if request.preview:
            return provider.CreateResponse(properties=state(self.model.planned(inputs), inputs))
        outputs = self.model.computed(request.urn, inputs, version=1)
        id_ = self.model.id(request.urn, inputs)
        if self.store.read(_type(request.urn), id_) is not None:
            raise FileExistsError(f"{id_} is there already")
        self.store.write(_type(request.urn), id_, outputs)
        return provider.CreateResponse(resource_id=id_, properties=state(outputs, inputs))

    async def update(self, request: provider.UpdateRequest) -> provider.UpdateResponse:
        inputs = plain(request.news)
        if request.preview:
            return provider.UpdateResponse(properties=state(self.model.planned(inputs), inputs))
        live = self.store.read(_type(request.urn), request.resource_id) or {}
        before = int(live.get("metadata", {}).get("resourceVersion", 1))
        outputs = self.model.computed(request.urn, inputs, version=before + 1)
        self.store.write(_type(request.urn), request.resource_id, outputs)
        return provider.UpdateResponse(properties=state(outputs, inputs))

    async def read(self, request: provider.ReadRequest) -> provider.ReadResponse:
        live = self.store.read(_type(request.urn), request.resource_id)
        if live is None:
            return provider.ReadResponse()
        inputs = live_inputs(plain(request.inputs), live)
        return provider.ReadResponse(request.resource_id, properties=state(live, inputs), inputs=marked(inputs))

    async def delete(self, request: provider.DeleteRequest) -> None:
        self.store.delete(_type(request.urn), request.resource_id)


def serve(package: str, version: str, immutable: tuple[str, ...]) -> None:
    """Serves the provider until the engine ends it."""
    model = Kubernetes(package, immutable) if package == "kubernetes" else Cloud(package, immutable)
    main(sys.argv[1:], version, Provider(model, Store(Path(os.environ["FAKE_OBJECTS"]))))


if __name__ == "__main__":
    serve(os.environ["FAKE_PACKAGE"], os.environ["FAKE_VERSION"], tuple(os.environ["FAKE_IMMUTABLE"].split(",")))
