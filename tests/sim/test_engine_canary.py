"""A secret value goes through the real command, and is searched for everywhere that it must not be."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from espalier import sim
from espalier.kube import ApiError, Client, Kind, Reference

ROOT = Path(__file__).parents[2]
CANARY = "canary-0451-quoted\"by'go"
TRACES = ("canary-0451", base64.b64encode(b"canary-0451-")[:14].decode())
SPACE = "canaries"

PROGRAM = """
import base64, pathlib, pulumi

value, bad = pathlib.Path(SOURCE).read_text().split("|")
secret = pulumi.Output.secret(value)


def obj(api, kind, name, manifest, **options):
    inside = {} if kind == "Namespace" else {"namespace": "canaries"}
    manifest = {**manifest, "metadata": {"name": name, **inside, **manifest.get("metadata", {})}}
    return pulumi.CustomResource(f"kubernetes:{api}:{kind}", name, manifest, pulumi.ResourceOptions(**options))


space = obj("core/v1", "Namespace", "canaries", {})
after = {"depends_on": [space]}
# Not marked: what a Secret holds is secret by itself.
texts = {"token": value, "lines": "first\\n" + value}
first = obj("core/v1", "Secret", "first", {"stringData": texts, "data": None}, **after)
encoded = base64.b64encode(value.encode()).decode()
second = obj("core/v1", "Secret", "second", {"data": {"token": encoded}}, ignore_changes=["data"], **after)
holder = obj("core/v1", "ConfigMap", "holder", {"data": {"x": secret}}, additional_secret_outputs=["data"], **after)
env = [{"name": "TOKEN", "value": first.stringData["token"].apply(lambda token: f"Bearer {token}")}]
pod = {
    "metadata": {"labels": {"app": "holder"}},
    "spec": {"containers": [{"name": "app", "image": "example.com/app:1.2.3", "env": env, "command": ["app", secret]}]},
}
spec = {"replicas": 0, "selector": {"matchLabels": {"app": "holder"}}, "template": pod}
obj("apps/v1", "Deployment", "holder-web", {"spec": spec}, **after)
pulumi.export("token", first.stringData["token"])
pulumi.export("stored", first.data)
pulumi.export("holder", holder.data["x"])
if bad:
    label = {"x": secret.apply(lambda it: it + "!")}
    obj("core/v1", "ConfigMap", "bad", {"metadata": {"labels": label}}, **after)
    tls = {"type": "kubernetes.io/tls", "stringData": {"tls.crt": value + "!"}}
    obj("core/v1", "Secret", "worse", tls, **after)
    obj("core/v1", "Secret", "worst", {"data": {"x": value}}, **after)
"""

STACK = """
config:
  espalier:cluster: {{kind: existing, version: "1.36", kubeconfig: {kubeconfig}, context: {context}}}
  espalier:pools:
    - {{name: system, machine: {{cpu: 8, memory: 32Gi}}, nodes: {{min: 1, max: 1}}}}
"""


class Command:
    """The real command in a project of its own; all that it prints is kept, and command lines are watched."""

    def __init__(self, folder: Path, kubeconfig: Path, context: str) -> None:
        self.project, self.home, self.source = folder / "project", folder / "home", folder / "source"
        (self.project / "stacks").mkdir(parents=True)
        self.home.mkdir()
        (self.project / "Pulumi.yaml").write_text((ROOT / "Pulumi.yaml").read_text())
        (self.project / "__main__.py").write_text(PROGRAM.replace("SOURCE", repr(str(self.source))))
        stack = STACK.format(kubeconfig=kubeconfig, context=context)
        (self.project / "stacks" / "Pulumi.dev.yaml").write_text(stack)
        self.said: dict[str, str] = {}
        self.command_lines: set[str] = set()

    def run(self, *arguments: str, code: int, value: str = CANARY, bad: bool = False) -> str:
        self.source.write_text(f"{value}|{'bad' if bad else ''}")
        places = {f"XDG_{name}_HOME": str(self.home) for name in ("STATE", "CACHE", "CONFIG", "DATA")}
        env = {**os.environ, **places, "TMPDIR": str(self.home)}
        command = [sys.executable, "-m", "espalier.cli", *arguments]
        done = subprocess.Popen(
            command, cwd=self.project, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        over = threading.Event()
        spy = threading.Thread(target=self._watch, args=(over,))
        spy.start()
        out, err = done.communicate(timeout=120)
        over.set()
        spy.join()
        self.said[" ".join(arguments)] = text = out.decode() + err.decode()
        assert done.returncode == code, text
        return text

    def _watch(self, over: threading.Event) -> None:
        while not over.wait(0.02):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.command_lines.add(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
                except OSError:
                    continue

    def files(self) -> dict[str, str]:
        found = [path for folder in (self.project, self.home) for path in folder.rglob("*") if path.is_file()]
        return {str(path): path.read_bytes().decode(errors="replace") for path in found}


@pytest.fixture
def command(tmp_path: Path, sim_cluster: sim.SimStatus) -> Iterator[Command]:
    yield Command(tmp_path, sim_cluster.kubeconfig, f"espalier-sim-{sim_cluster.name}")
    client = Client.connect(sim_cluster.kubeconfig)
    if client.find_object(Reference(Kind("v1", "Namespace"), "", SPACE)):
        client.delete(Kind("v1", "Namespace"), SPACE)


def everything(client: Client) -> list[dict[str, Any]]:
    """All objects of the cluster but Secrets."""
    groups = ["/api/v1"] + [
        f"/apis/{group['preferredVersion']['groupVersion']}" for group in client.request("GET", "/apis")["groups"]
    ]
    found: list[dict[str, Any]] = []
    for base in groups:
        for resource in client.request("GET", base)["resources"]:
            if "list" in resource["verbs"] and "/" not in resource["name"] and resource["kind"] != "Secret":
                try:
                    items = client.request("GET", f"{base}/{resource['name']}")["items"]
                except ApiError:
                    continue
                found += [{**item, "kind": resource["kind"]} for item in items]
    return found


def put_there(item: dict[str, Any]) -> bool:
    """Tells whether the program itself puts the value into an object (or a controller copies it from there)."""
    metadata = item["metadata"]
    return metadata.get("namespace") == SPACE and metadata["name"].startswith("holder") and item["kind"] != "Event"


def logs_of(cluster: str) -> dict[str, str]:
    """What the simulated cluster's components and its audit log say; the API server quotes what it refuses in its own
    words, which no client can help."""
    folder = sim.audit_log_path(cluster).parent
    texts = {str(path): path.read_text(errors="replace").splitlines() for path in folder.rglob("*.log*")}
    refusal = '"status":"Failure"'
    return {path: "\n".join(line for line in lines if refusal not in line) for path, lines in texts.items()}


def assert_clean(text: str, where: str) -> None:
    for trace in TRACES:
        at = text.find(trace)
        assert at < 0, f"{where}: ...{text[max(0, at - 200) : at + 60]}"


def test_the_value_is_nowhere_but_where_the_program_puts_it(command: Command, sim_cluster: sim.SimStatus) -> None:
    client = Client.connect(sim_cluster.kubeconfig)
    engine = ("--yes", "--engine", "embedded")
    page = str(command.project / "plan.html")
    command.run("plan", "dev", code=0)
    assert command.run("plan", "dev", "--json", "--html", page, code=0).count("$secret") >= 5
    command.run("preview", "dev", "--engine", "embedded", code=0)
    command.run("up", "dev", *engine, code=0)
    assert client.get(Kind("v1", "ConfigMap"), "holder", SPACE)["data"] == {"x": CANARY}
    rotated = f"{CANARY}-2"
    command.run("preview", "dev", "--engine", "embedded", "--json", code=0, value=rotated)
    command.run("up", "dev", *engine, "--json", code=0, value=rotated)
    assert client.get(Kind("v1", "ConfigMap"), "holder", SPACE)["data"] == {"x": rotated}
    said = command.run("preview", "dev", "--engine", "embedded", code=1, bad=True, value=rotated)
    said += command.run("up", "dev", *engine, code=1, bad=True, value=rotated)
    assert said.count("(secret)") >= 2, said
    in_cluster = everything(client)
    command.run("destroy", "dev", *engine, "--json", code=0, value=rotated)

    logs = logs_of(sim_cluster.name)
    assert {"audit.log", "kube-apiserver.log"} <= {Path(path).name for path in logs}
    for what, text in {**command.said, **command.files(), **logs}.items():
        assert_clean(text, what)
    assert any("espalier.cli up dev" in line for line in command.command_lines)
    for line in command.command_lines:
        assert_clean(line, "a command line")
    assert any(item["kind"] == "ConfigMap" and item["metadata"]["name"].startswith("inventory-") for item in in_cluster)
    assert any(put_there(item) and TRACES[0] in json.dumps(item) for item in in_cluster)
    for item in [*in_cluster, *everything(client)]:
        shown = item["metadata"].get("managedFields") if put_there(item) else item
        assert_clean(json.dumps(shown), f"{item['kind']} {item['metadata']['name']}")
