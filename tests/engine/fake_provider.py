"""A provider plugin that stands in for any package under the real Pulumi engine: what it creates are files in a folder.

    python fake_provider.py PACKAGE VERSION [IMMUTABLE,...]

The engine starts it as it starts every provider (conftest.py puts it where the engine looks). It keeps each object as
one JSON file in the folder that FAKE_OBJECTS names, so that a test reads, changes and deletes them to make drift. It
fills in what the service behind the package would: uid, resourceVersion and status for `kubernetes`, an arn for others.
IMMUTABLE names the input properties (dotted paths) whose change needs a replacement.

It speaks the protocol by the SDK's own stubs: `pulumi.provider` has components and functions only, and its
`experimental.Provider` is not told the old inputs that a difference is taken from.
"""
# ruff: noqa: N802 - the protocol names the methods

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import grpc
from google.protobuf.empty_pb2 import Empty
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""The text that stands for an unknown value in the protocol (pulumi, sdk/go/common/resource/plugin/rpc.go)."""
Properties = dict[str, Any]


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


def properties(struct: Struct) -> Properties:
    return MessageToDict(struct)


def struct(values: Mapping[str, Any]) -> Struct:
    message = Struct()
    message.update(values)
    return message


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """The provider's side of the protocol; its methods keep the protocol's names."""

    def __init__(self, version: str, model: Cloud, store: Store) -> None:
        self.version = version
        self.model = model
        self.store = store

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=self.version)

    def CheckConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request: Any, context: Any) -> Any:
        # Secrets keep their marks, on the way through and in the files.
        return provider_pb2.ConfigureResponse(supportsPreview=True, acceptSecrets=True)

    def Check(self, request: Any, context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=struct(self.model.checked(request.urn, properties(request.news))))

    def Diff(self, request: Any, context: Any) -> Any:
        found = dict(differences(properties(request.old_inputs), properties(request.news)))
        replaces = sorted(path for path in found if path.startswith(self.model.immutable))
        kinds = {path: f"{kind}_REPLACE" if path in replaces else kind for path, kind in found.items()}
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if found else provider_pb2.DiffResponse.DIFF_NONE,
            replaces=replaces,
            diffs=sorted({path.partition(".")[0] for path in found}),
            detailedDiff={
                path: provider_pb2.PropertyDiff(kind=provider_pb2.PropertyDiff.Kind.Value(kind), inputDiff=True)
                for path, kind in kinds.items()
            },
            hasDetailedDiff=True,
            deleteBeforeReplace=isinstance(self.model, Kubernetes),
        )

    def Create(self, request: Any, context: Any) -> Any:
        inputs = properties(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(properties=struct(self.model.planned(inputs)))
        outputs = self.model.computed(request.urn, inputs, version=1)
        id_ = self.model.id(request.urn, inputs)
        if self.store.read(_type(request.urn), id_) is not None:
            context.abort(grpc.StatusCode.ALREADY_EXISTS, f"{id_} is there already")
        self.store.write(_type(request.urn), id_, outputs)
        return provider_pb2.CreateResponse(id=id_, properties=struct(outputs))

    def Update(self, request: Any, context: Any) -> Any:
        inputs = properties(request.news)
        if request.preview:
            return provider_pb2.UpdateResponse(properties=struct(self.model.planned(inputs)))
        live = self.store.read(_type(request.urn), request.id) or {}
        before = int(live.get("metadata", {}).get("resourceVersion", 1))
        outputs = self.model.computed(request.urn, inputs, version=before + 1)
        self.store.write(_type(request.urn), request.id, outputs)
        return provider_pb2.UpdateResponse(properties=struct(outputs))

    def Read(self, request: Any, context: Any) -> Any:
        live = self.store.read(_type(request.urn), request.id)
        if live is None:
            return provider_pb2.ReadResponse()
        inputs = live_inputs(properties(request.inputs), live)
        return provider_pb2.ReadResponse(id=request.id, properties=struct(live), inputs=struct(inputs))

    def Delete(self, request: Any, context: Any) -> Any:
        self.store.delete(_type(request.urn), request.id)
        return Empty()

    def Cancel(self, request: Any, context: Any) -> Any:
        return Empty()


def serve(package: str, version: str, immutable: tuple[str, ...]) -> None:
    """Serves the provider on a free port, says the port, and stays until the engine ends it."""
    model = Kubernetes(package, immutable) if package == "kubernetes" else Cloud(package, immutable)
    server = grpc.server(ThreadPoolExecutor(max_workers=8))
    provider = Provider(version, model, Store(Path(os.environ["FAKE_OBJECTS"])))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    port = server.add_insecure_port("127.0.0.1:0")
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the engine ends a plugin so; no traceback for that
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    server.wait_for_termination()


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], tuple(sys.argv[3].split(",")))
