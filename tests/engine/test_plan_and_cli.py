"""The embedded plan held against `pulumi preview`: the same URNs with the same inputs and the same options."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from pulumi.runtime.proto.resource_pb2 import RegisterResourceOutputsRequest, RegisterResourceRequest

from espalier.commands.project import open_project, program_of
from espalier.engine.model import Recording, Resource
from espalier.engine.options import read_options
from espalier.engine.program import Program
from espalier.engine.record import record
from espalier.engine.values import Secret, decode, to_json

Cli = Any
"""conftest.py's `Cli`."""

ROOT = Path(__file__).parents[2]
STACKS = sorted(path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in ROOT.glob("stacks/Pulumi.*.yaml"))
PROGRAMS = Path(__file__).parent / "programs"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
INHERITED = ("protect", "retainOnDelete", "deletedWith")
"""Options that an engine gives a child that leaves them open; a plan holds them with what was inherited."""
IN_STATE = (*INHERITED, "additionalSecretOutputs", "ignoreChanges", "replaceOnChanges", "replaceWith")
"""Options that Pulumi's state holds by the protocol's own names."""
OPTIONS_IN_STATE = {*IN_STATE, "customTimeouts", "hideDiffs", "replacementTrigger"}


def of_cli(step: Any) -> dict[str, Any]:
    """A resource of `pulumi preview`, in the words of a plan."""
    new = step["newState"]
    inputs = dict(new.get("inputs", {}))
    if new["type"].startswith("pulumi:providers:"):
        inputs = {key: value for key, value in inputs.items() if key not in ("__internal", "version")}
    if inputs.get("kind") == "Secret":  # the real provider marks all that it holds, as a plan does
        inputs |= {key: dict.fromkeys(inputs[key], "[secret]") for key in ("data", "stringData") if key in inputs}
    options = {key: new[key] for key in IN_STATE if new.get(key)}
    options |= {"hideDiffs": new["hideDiff"]} if "hideDiff" in new else {}
    options |= {key: new[key] for key in ("customTimeouts", "replacementTrigger") if key in new}
    provider = new.get("provider", "").rpartition("::")[0]
    return {
        "parent": new.get("parent", ""),
        "inputs": words(inputs),
        "options": options,
        "provider": "" if "::default" in provider else provider,
        "dependencies": sorted(new.get("dependencies", [])),
        "property_dependencies": {k: sorted(v) for k, v in new.get("propertyDependencies", {}).items() if v},
    }


def words(value: Any) -> Any:
    """The CLI's marks of secrets and unknowns as a plan has them; numbers as doubles, which the protocol has."""
    if isinstance(value, dict):
        return {key: words(item) for key, item in value.items()}
    if isinstance(value, list):
        return [words(item) for item in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if value == "[secret]":
        return {"$secret": True}
    return {"$unknown": True} if value == UNKNOWN else value


def of_plan(resource: Resource) -> dict[str, Any]:
    """A recorded resource, without what Pulumi's state does not hold."""
    entry = resource.to_json()
    options = {key: entry["options"][key] for key in IN_STATE if entry["options"].get(key)}
    options |= {key: entry["options"][key] for key in ("hideDiffs", "replacementTrigger") if key in entry["options"]}
    if "customTimeouts" in entry["options"]:
        options["customTimeouts"] = {key: seconds(text) for key, text in entry["options"]["customTimeouts"].items()}
    kept = ("parent", "provider", "dependencies", "property_dependencies")
    return {key: entry[key] for key in kept} | {"inputs": words(entry["inputs"]), "options": options}


def seconds(text: str) -> float:
    return float(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1]]


def compared(recording: Recording, steps: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    return {r.urn: of_plan(r) for r in recording.resources}, {urn: of_cli(step) for urn, step in steps.items()}


@pytest.mark.parametrize("stack", STACKS)
def test_every_stack_is_the_same_by_both_engines(project: Cli, stack: str) -> None:
    opened = open_project(str(project.folder / f"stacks/Pulumi.{stack}.yaml"))
    plan, cli = compared(record(program_of(opened)), project.steps(stack))
    assert plan == cli
    assert len(plan) > 20


CRD = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: %ss.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: %s, plural: %ss}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
"""
JOB = """\
apiVersion: batch/v1
kind: Job
metadata: {name: migrate, annotations: {helm.sh/hook: pre-install}}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: c, image: "example.com/migrate:1.0.0", resources: {requests: {cpu: 1m, memory: 1Mi}}}]
"""
CHART = {
    "Chart.yaml": "apiVersion: v2\nname: queue\nversion: 1.0.0\n",
    "crds/queue.yaml": CRD % ("queue", "Queue", "queue"),
    "templates/fleet.yaml": CRD % ("fleet", "Fleet", "fleet"),
    "templates/main.yaml": "apiVersion: example.com/v1\nkind: Queue\nmetadata: {name: main}\nspec: {size: 3}\n",
    "templates/job.yaml": JOB,
    "templates/login.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: login}\nstringData: {user: canary}\n",
}


def test_a_chart_is_plain_objects_and_the_same_by_both_engines(project: Cli) -> None:
    """Rendered once each: definitions of both places, a kept hook, a custom resource and a Secret."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, text in CHART.items():
            info = tarfile.TarInfo(f"queue/{name}")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    data = gzip.compress(raw.getvalue(), mtime=0)
    digest = hashlib.sha256(data).hexdigest()
    cache = project.folder / "cache" / "sha256"
    cache.mkdir(parents=True)
    (cache / digest).write_bytes(data)
    chart = {"name": "queue", "repo": "https://charts.invalid", "version": "1.0.0", "digest": f"sha256:{digest}"}
    entry = {"source": {"chart": chart}, "namespace": "queue", "hooks": {"Job/migrate": "keep"}}
    (project.folder / "stacks" / "addons").mkdir(exist_ok=True)
    (project.folder / "stacks" / "addons" / "queue.yaml").write_text(yaml.safe_dump(entry))

    def change(config: dict[str, Any]) -> None:
        config.setdefault("espalier:addons", {})["queue"] = {}
        config["espalier:sources"] = {"cache": "../cache"}

    project.configure("existing", change)
    opened = open_project(str(project.folder / "stacks/Pulumi.existing.yaml"))
    plan, cli = compared(record(program_of(opened)), project.steps("existing"))
    assert plan == cli
    made = {
        urn.rpartition("$")[2].partition("::")[0] for urn in plan if "addon-queue" in urn or "platform-queue" in urn
    }
    wanted = ("apiextensions.k8s.io/v1:CustomResourceDefinition", "example.com/v1:Queue", "batch/v1:Job")
    assert {f"kubernetes:{kind}" for kind in (*wanted, "core/v1:Secret")} <= made, made


@pytest.fixture(scope="module")
def both(program: Any) -> tuple[Recording, Any, Path]:
    """programs/options.py by both: nested components and every resource option."""
    cli = program((PROGRAMS / "options.py").read_text())
    log = cli.base / "grpc.json"
    steps = cli.steps("trial", env=cli.env | {"PULUMI_DEBUG_GRPC": str(log)})
    return record(Program(cli.folder, "trial", "trial")), steps, log


def test_every_option_is_the_same_by_both_engines(both: Any) -> None:
    recording, steps, _ = both
    plan, cli = compared(recording, steps)
    # Pulumi's names of nameless objects are random; a plan's are not, and are told to what reads them.
    given = cli["urn:pulumi:trial::trial::kubernetes:core/v1:ConfigMap::nameless"]["inputs"].pop("metadata")
    assert given["name"].startswith("nameless-")
    reader = "urn:pulumi:trial::trial::kubernetes:core/v1:ConfigMap::nameless-reader"
    assert cli[reader]["inputs"]["data"].pop("name") == given["name"]
    assert plan[reader]["inputs"]["data"].pop("name").startswith("nameless-")
    assert plan == cli
    assert {option for entry in cli.values() for option in entry["options"]} == OPTIONS_IN_STATE


def test_the_sdk_sends_both_engines_the_same_options(both: Any) -> None:
    """No feature of the protocol is told wrongly: the SDK leaves out what an engine does not support."""
    recording, _, log = both
    registrations = requests(log, "RegisterResource", RegisterResourceRequest)
    sent = {(request.type, request.name): dict(read_options(request)) for request in registrations}
    got = {(resource.type, resource.name): dict(resource.options) for resource in recording.resources}
    for options in (*sent.values(), *got.values()):
        for key in INHERITED:
            options.pop(key, None)
    assert got == sent
    assert {option for options in sent.values() for option in options} > {"aliases", "deleteBeforeReplace"}


def test_the_exports_are_the_same_by_both_engines(both: Any) -> None:
    recording, _, log = both
    stack = recording.resources[0].urn
    [exports] = [r for r in requests(log, "RegisterResourceOutputs", RegisterResourceOutputsRequest) if r.urn == stack]
    assert to_json(decode(exports.outputs)) == to_json(dict(recording.outputs))
    assert recording.outputs["secret"] == Secret("canary")


Request = TypeVar("Request", bound=Message)


def requests(log: Path, method: str, kind: type[Request]) -> list[Request]:
    """What the program asked of Pulumi's engine, from the log of PULUMI_DEBUG_GRPC."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    found = [line for line in lines if line["method"] == f"/pulumirpc.ResourceMonitor/{method}"]
    started = [line["request"] for line in found if line["progress"] == "request_started"]
    return [ParseDict(request, kind(), ignore_unknown_fields=True) for request in started]


RENAMED = """
import pulumi
from pulumi import Alias, ResourceOptions

class Group(pulumi.ComponentResource):
    def __init__(self, name, opts=None, type_="trial:index:Group"):
        super().__init__(type_, name, {}, opts)

class Object(pulumi.CustomResource):
    def __init__(self, name, opts=None, type_="ConfigMap", was=None):
        metadata = {"name": was or name, "namespace": "default"}
        inputs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
        options = ResourceOptions.merge(ResourceOptions(version="4.34.2"), opts)
        super().__init__("kubernetes:core/v1:" + type_, name, inputs, options)

"""
BEFORE = """
outer = Group("outer", type_="trial:index:OldGroup")
group = Group("group", ResourceOptions(parent=outer))
Object("group-child", ResourceOptions(parent=group))
Object("plain", ResourceOptions(parent=group))
Object("moved")
Object("by-urn")
Object("typed", type_="Secret")
"""
AFTER = """
outer = Group("outer", ResourceOptions(aliases=[Alias(type_="trial:index:OldGroup")]))
group = Group("team", ResourceOptions(parent=outer, aliases=[Alias(name="group")]))
Object("team-child", ResourceOptions(parent=group), was="group-child")
Object("clear", ResourceOptions(parent=group, aliases=[Alias(name="plain")]), was="plain")
Object("moved", ResourceOptions(parent=group, aliases=[Alias(parent=None)]))
Object("urn", ResourceOptions(aliases=["urn:pulumi:trial::trial::kubernetes:core/v1:ConfigMap::by-urn"]), was="by-urn")
Object("typed", ResourceOptions(aliases=[Alias(type_="kubernetes:core/v1:Secret")]))
"""


def test_both_engines_find_what_was_renamed(program: Any) -> None:
    """Of each resource, the old URN that Pulumi takes for it is the first known one that the plan tells."""
    cli = program(RENAMED + BEFORE)
    cli.pulumi("up", "--stack", "trial", "--yes", "--skip-preview")
    old = cli.state("trial").keys()
    (cli.folder / "__main__.py").write_text(RENAMED + AFTER)
    steps = cli.steps("trial")
    by_cli = {urn: step["oldState"]["urn"] for urn, step in steps.items() if "default" not in urn}
    plan = record(Program(cli.folder, "trial", "trial")).resources
    by_plan = {r.urn: next(urn for urn in (r.urn, *r.former) if urn in old) for r in plan}
    assert by_plan == by_cli
    assert sum(now != before for now, before in by_cli.items()) == 7
