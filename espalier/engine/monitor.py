"""The engine's side of the protocol that Pulumi's SDK speaks: a ResourceMonitor and an Engine.

The SDK takes either an address or an object with the stub's methods; these are such objects, so nothing
goes over gRPC. What is done with a resource is the `Backend`'s matter: a plan answers from the inputs,
an apply from the live cluster.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import engine_pb2, provider_pb2, resource_pb2

from espalier.engine.aliases import former_urns
from espalier.engine.errors import Problem
from espalier.engine.executor import Later
from espalier.engine.inheritance import inherit
from espalier.engine.manifest import marked_inputs
from espalier.engine.model import STACK_TYPE, Log, Recording, Resource, in_order, urn_of
from espalier.engine.options import read_options
from espalier.engine.shelf import WORD, Shelf
from espalier.engine.values import Json, decode, encode

_FEATURES = (
    resource_pb2.RESOURCE_MONITOR_FEATURE_SECRETS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_OUTPUT_VALUES,
    resource_pb2.RESOURCE_MONITOR_FEATURE_ALIAS_SPECS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_REPLACEMENT_TRIGGER,
    resource_pb2.RESOURCE_MONITOR_FEATURE_DELETED_WITH,
    resource_pb2.RESOURCE_MONITOR_FEATURE_REPLACE_WITH,
    # Told as supported so that they reach us and are refused by name; else the SDK itself raises and
    # asks for a newer Pulumi CLI.
    resource_pb2.RESOURCE_MONITOR_FEATURE_TRANSFORMS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_INVOKE_TRANSFORMS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_PARAMETERIZATION,
    resource_pb2.RESOURCE_MONITOR_FEATURE_RESOURCE_HOOKS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_ERROR_HOOKS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_STATE_MIGRATIONS,
)
_USE_PLAIN_OBJECTS = "register the objects themselves, for example from `espalier render`"


@dataclass(frozen=True)
class Answer:
    """What the program gets back for a custom resource."""

    id: str = ""
    """Empty while it is unknown."""
    outputs: Mapping[str, Json] | None = None
    """With the markers; what is missing is unknown in a plan and None in an apply."""
    failed: bool = False
    """The resource failed or was skipped: its outputs are unknown and its dependents are skipped."""


FAILED = Answer(failed=True)


class Backend(Protocol):
    """What is done with each custom resource. Called from several threads at once."""

    def register(self, resource: Resource) -> Answer | Later:
        """Handles one resource whose dependencies are done; a `Later` must give an `Answer`."""
        ...


class Monitor:
    """The ResourceMonitor of one run: keeps what is registered and asks the backend for answers."""

    def __init__(self, project: str, stack: str, backend: Backend) -> None:
        self._project = project
        self._stack = stack
        self._backend = backend
        self.shelf = Shelf()
        self._lock = threading.Lock()
        self._resources: dict[str, Resource] = {}
        self._outputs: Mapping[str, Json] = {}
        self._problems: list[Problem] = []

    def problems(self) -> tuple[Problem, ...]:
        """What was refused, in an order that does not vary."""
        return tuple(sorted(set(self._problems)))

    def recording(self, logs: tuple[Log, ...]) -> Recording:
        """What was registered, in an order that does not vary."""
        return Recording(
            project=self._project,
            stack=self._stack,
            resources=in_order(self._resources),
            outputs=self._outputs,
            logs=logs,
        )

    def _refuse(self, where: str, reason: str, do: str) -> None:
        with self._lock:
            self._problems.append(Problem(where, reason, do))

    # The protocol's methods keep its names.

    def GetDeploymentInfo(self, request: Empty) -> resource_pb2.DeploymentInfo:
        del request
        return resource_pb2.DeploymentInfo(project=self._project, stack=self._stack, supportedFeatures=_FEATURES)

    def SupportsFeature(self, request: resource_pb2.SupportsFeatureRequest) -> resource_pb2.SupportsFeatureResponse:
        del request
        return resource_pb2.SupportsFeatureResponse(hasSupport=True)

    def RegisterResource(self, request: resource_pb2.RegisterResourceRequest) -> Any:
        """Answers with a response, or with a `Later` that gives one."""
        inherit(request, self._resources.get(request.parent))
        resource = self._read(request)
        if not self._accept(resource, request.remote):
            return _failed(resource.urn)
        if not resource.custom:
            return resource_pb2.RegisterResourceResponse(urn=resource.urn, object=request.object)
        seen = request.object.fields if WORD in request.object.fields else None
        answer = self._backend.register(resource)
        if not isinstance(answer, Later):
            return _response(resource.urn, answer, seen)
        response = Later()
        answer.add_done_callback(lambda done: response.set_result(_response(resource.urn, done.result(), seen)))
        return response

    def _read(self, request: resource_pb2.RegisterResourceRequest) -> Resource:
        return Resource(
            urn=urn_of(self._stack, self._project, request.parent, request.type, request.name),
            type=request.type,
            name=request.name,
            parent=request.parent,
            custom=request.custom,
            inputs=marked_inputs(request.type, self.shelf.whole(decode(request.object))),
            dependencies=tuple(sorted(request.dependencies)),
            property_dependencies={
                key: tuple(sorted(deps.urns)) for key, deps in sorted(request.propertyDependencies.items()) if deps.urns
            },
            provider=request.provider.rpartition("::")[0],
            options=read_options(request),
            former=former_urns(request, self._resources, self._stack, self._project),
        )

    def _accept(self, resource: Resource, remote: bool) -> bool:
        with self._lock:
            known = resource.urn in self._resources
            if not known:
                self._resources[resource.urn] = resource
        if known:
            self._refuse(resource.urn, "is registered twice", "give one of the two another name")
            return False
        if remote:
            self._refuse(
                resource.urn,
                f"{resource.type} is built by a plugin, which would hide its objects",
                _USE_PLAIN_OBJECTS,
            )
            return False
        return True

    def RegisterResourceOutputs(self, request: resource_pb2.RegisterResourceOutputsRequest) -> Empty:
        outputs = decode(request.outputs)
        with self._lock:
            resource = self._resources.get(request.urn)
            if resource is not None and resource.type == STACK_TYPE:
                self._outputs = outputs
            elif resource is not None:
                self._resources[request.urn] = replace(resource, outputs=outputs)
        return Empty()

    def ReadResource(self, request: resource_pb2.ReadResourceRequest) -> resource_pb2.ReadResourceResponse:
        urn = urn_of(self._stack, self._project, request.parent, request.type, request.name)
        if request.type == "pulumi:pulumi:StackReference":
            reason = f"reads the outputs of another stack, {request.name}, of which this engine keeps none"
            do = "pass the value in the stack file, or use `pulumi up`"
        else:
            reason = f"reads an object that the program does not own, {request.id}"
            do = "pass the value that you need in the stack file, or use `pulumi up`"
        self._refuse(urn, reason, do)
        return resource_pb2.ReadResourceResponse(urn=urn, result=resource_pb2.Result.FAIL)

    def ExistsResource(self, request: resource_pb2.ExistsResourceRequest) -> resource_pb2.ExistsResourceResponse:
        self._refuse(request.type, f"asks whether {request.id} exists", "use `pulumi up`")
        return resource_pb2.ExistsResourceResponse(unknown=True)

    def Invoke(self, request: resource_pb2.ResourceInvokeRequest) -> resource_pb2.ResourceInvokeResponse:
        self._refuse(
            request.tok,
            "is a function of a plugin, and this engine starts none",
            _USE_PLAIN_OBJECTS if request.tok.startswith("kubernetes:") else "use `pulumi up`",
        )
        failure = provider_pb2.CheckFailure(reason="the embedded engine starts no plugin")
        return resource_pb2.ResourceInvokeResponse(failures=[failure])

    def Call(self, request: resource_pb2.ResourceCallRequest) -> provider_pb2.CallResponse:
        self._refuse(request.tok, "is a method of a plugin, and this engine starts none", "use `pulumi up`")
        failure = provider_pb2.CheckFailure(reason="the embedded engine starts no plugin")
        return provider_pb2.CallResponse(failures=[failure])

    def RegisterStackTransform(self, request: object) -> Empty:
        del request
        self._refuse(
            "pulumi.runtime.register_stack_transform",
            "is called back by an engine",
            "use `register_stack_transformation`, which runs inside the program, or `pulumi up`",
        )
        return Empty()

    def RegisterStackInvokeTransform(self, request: object) -> Empty:
        del request
        self._refuse("pulumi.runtime.register_invoke_transform", "is called back by an engine", "use `pulumi up`")
        return Empty()

    def RegisterResourceHook(self, request: resource_pb2.RegisterResourceHookRequest) -> Empty:
        self._refuse(f"hook {request.name}", "is called back by an engine", "use `pulumi up`")
        return Empty()

    def RegisterErrorHook(self, request: resource_pb2.RegisterErrorHookRequest) -> Empty:
        self._refuse(f"hook {request.name}", "is called back by an engine", "use `pulumi up`")
        return Empty()

    def RegisterPackage(self, request: resource_pb2.RegisterPackageRequest) -> resource_pb2.RegisterPackageResponse:
        return resource_pb2.RegisterPackageResponse(ref=f"{request.name}@{request.version}")

    def SignalAndWaitForShutdown(self, request: Empty) -> Empty:
        return request


def _response(urn: str, answer: Answer, seen: Container[str] | None) -> resource_pb2.RegisterResourceResponse:
    """`seen` are the only outputs that the program can see of what it did not register whole."""
    if answer.failed:
        return _failed(urn)
    outputs = answer.outputs or {}
    if seen is not None:
        outputs = {key: value for key, value in outputs.items() if key in seen}
    return resource_pb2.RegisterResourceResponse(urn=urn, id=answer.id, object=encode(outputs))


def _failed(urn: str) -> resource_pb2.RegisterResourceResponse:
    return resource_pb2.RegisterResourceResponse(urn=urn, result=resource_pb2.Result.FAIL)


_SEVERITIES = {engine_pb2.INFO: "info", engine_pb2.WARNING: "warning", engine_pb2.ERROR: "error"}


class Engine:
    """The Engine of one run: takes the program's log lines."""

    def __init__(self, on_log: Callable[[Log], None] | None = None) -> None:
        self._logs: list[Log] = []
        self._on_log = on_log
        self._root = ""

    def logs(self) -> tuple[Log, ...]:
        """The lines so far, without the SDK's debug lines."""
        return tuple(self._logs)

    def Log(self, request: engine_pb2.LogRequest) -> Empty:
        severity = _SEVERITIES.get(request.severity)
        if severity is not None:
            line = Log(severity, request.message, request.urn)
            self._logs.append(line)
            if self._on_log is not None:
                self._on_log(line)
        return Empty()

    def GetRootResource(self, request: object) -> engine_pb2.GetRootResourceResponse:
        del request
        return engine_pb2.GetRootResourceResponse(urn=self._root)

    def SetRootResource(self, request: engine_pb2.SetRootResourceRequest) -> engine_pb2.SetRootResourceResponse:
        self._root = request.urn
        return engine_pb2.SetRootResourceResponse()

    def RequirePulumiVersion(self, request: object) -> engine_pb2.RequirePulumiVersionResponse:
        del request
        return engine_pb2.RequirePulumiVersionResponse()

    def StartDebugging(self, request: object) -> Empty:
        del request
        return Empty()
