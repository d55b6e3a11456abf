"""The whole of it for real: Pulumi's engine, Pulumi's Kubernetes provider, and a Kubernetes API server.

Where the provider's plugin is on PATH, too.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
import sys
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from espalier.kube import Client, Kind, Kubeconfig

Cli = Any
"""conftest.py's `Cli`."""

pytestmark = pytest.mark.skipif(
    shutil.which("pulumi-resource-kubernetes") is None, reason="no pulumi-resource-kubernetes on PATH"
)


@pytest.fixture
def env(project: Cli, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The real provider instead of the fake one, and simulated clusters of the test's own."""
    given = {key: value for key, value in project.env.items() if key != "PULUMI_IGNORE_AMBIENT_PLUGINS"}
    given |= {"PULUMI_HOME": str(tmp_path / "home"), "XDG_STATE_HOME": str(tmp_path / "state")}
    yield given
    project.run(sys.executable, "-m", "espalier.cli", "sim", "down", "--all", env=given)


@pytest.mark.supports("Pulumi CLI", "rehearsed")
def test_pulumi_brings_the_local_stack_up_and_down(project: Cli, env: dict[str, str]) -> None:
    def espalier(*command: str, fails: bool = False) -> Any:
        done = project.run(sys.executable, "-m", "espalier.cli", *command, "--json", fails=fails, env=env)
        return json.loads(done.stdout)

    def ops(document: Any) -> set[str]:
        return {change["op"] for change in document["changes"]}

    made = espalier("up", "local", "--engine", "pulumi", "--yes")
    assert ops(made) == {"create"}
    kubeconfig = Path(env["XDG_STATE_HOME"]) / "espalier/sim/local/kubeconfig"
    client = Client.connect(Kubeconfig.load(kubeconfig, "espalier-sim-local"))
    quotas = {quota["metadata"]["namespace"]: quota for quota in client.list(Kind("v1", "ResourceQuota"))}
    assert quotas["vision"]["spec"]["hard"]["requests.nvidia.com/gpu"] == "8"
    nodes = client.list(Kind("v1", "Node"))
    assert {node["metadata"]["labels"]["espalier.dev/pool"] for node in nodes} == {"h100", "system"}

    before = {node["metadata"]["name"]: node["spec"] for node in nodes}
    assert ops(espalier("up", "local", "--engine", "pulumi", "--yes")) == {"same"}
    assert {node["metadata"]["name"]: node["spec"] for node in client.list(Kind("v1", "Node"))} == before

    proved = {check["name"]: check for check in espalier("verify", "local")["checks"]}
    assert proved["noop"]["ok"], "verify asks the engine that brought the stack up"

    refused = espalier("up", "local", "--yes", fails=True)
    assert "belongs to Pulumi's own engine" in json.dumps(refused["errors"])

    assert ops(espalier("destroy", "local", "--engine", "pulumi", "--yes")) == {"delete"}
    assert client.list(Kind("v1", "Node")) == []

    assert ops(espalier("up", "local", "--yes")) == {"create"}
    refused = espalier("up", "local", "--engine", "pulumi", "--yes", fails=True)
    assert "is owned by the engine 'embedded'" in json.dumps(refused["errors"])


CHART = {
    "queue/Chart.yaml": "apiVersion: v2\nname: queue\nversion: 1.0.0\n",
    "queue/templates/config.yaml": """\
{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {word: "{{ .Values.word }}"}}
""",
    "queue/templates/migrate.yaml": """\
apiVersion: batch/v1
kind: Job
metadata: {name: migrate, annotations: {helm.sh/hook: "pre-install,pre-upgrade"}}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: c, image: "example.com/migrate:1.0.0", resources: {requests: {cpu: 1m, memory: 1Mi}}}]
""",
    "queue/crds/thing.yaml": """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Thing, plural: things}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
""",
}
NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {
        "name": "one",
        "annotations": {
            "kwok.x-k8s.io/node": "fake",
            "espalier.dev/simulated-capacity": '{"cpu": "8", "memory": "32Gi", "pods": "110"}',
        },
    },
}


def archive(files: Mapping[str, str]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, text in sorted(files.items()):
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return gzip.compress(raw.getvalue(), mtime=0)


def pin(project: Cli, word: str) -> None:
    """A stack `helm` whose one add-on is a chart, pinned and in a cache of the project's own."""
    data = archive(CHART)
    digest = hashlib.sha256(data).hexdigest()
    cache = project.folder / "cache" / "sha256"
    cache.mkdir(parents=True, exist_ok=True)
    (cache / digest).write_bytes(data)
    source = {"name": "queue", "repo": "https://charts.invalid", "version": "1.0.0", "digest": f"sha256:{digest}"}
    record = {"source": {"chart": source}, "namespace": "work", "hooks": "release", "values": {"word": word}}
    (project.folder / "stacks" / "addons").mkdir(exist_ok=True)
    (project.folder / "stacks" / "addons" / "queue.yaml").write_text(yaml.safe_dump(record))


def test_helm_installs_a_chart_and_runs_its_hooks(project: Cli, env: dict[str, str]) -> None:
    def run(*command: str, fails: bool = False) -> Any:
        done = project.run(sys.executable, "-m", "espalier.cli", *command, "--json", fails=fails, env=env)
        return json.loads(done.stdout)

    def ops(document: Any) -> dict[str, str]:
        return {change["urn"].rpartition("::")[2]: change["op"] for change in document["changes"]}

    run("sim", "up", "--name", "helm")
    kubeconfig = Path(env["XDG_STATE_HOME"]) / "espalier/sim/helm/kubeconfig"
    client = Client.connect(Kubeconfig.load(kubeconfig, "espalier-sim-helm"))
    client.create(NODE)
    pin(project, "first")
    cluster = {"kind": "existing", "version": "1.36", "kubeconfig": str(kubeconfig), "context": "espalier-sim-helm"}
    config = {"espalier:cluster": cluster, "espalier:addons": {"queue": {}}, "espalier:sources": {"cache": "../cache"}}
    (project.folder / "stacks" / "Pulumi.helm.yaml").write_text(yaml.safe_dump({"config": config}))
    project.run("pulumi", "stack", "init", "helm", env=env)

    refused = json.dumps(run("up", "helm", "--yes", "--engine", "embedded", fails=True)["errors"])
    assert "platform-queue-release" in refused
    assert "pulumi up" in refused
    assert "work" not in {namespace["metadata"]["name"] for namespace in client.list(Kind("v1", "Namespace"))}

    assert ops(run("up", "helm", "--engine", "pulumi", "--yes"))["platform-queue-release"] == "create"
    assert client.get(Kind("v1", "ConfigMap"), "settings", "work")["data"] == {"word": "first"}
    first = client.get(Kind("batch/v1", "Job"), "migrate", "work")
    assert first["status"]["succeeded"] == 1
    definition = client.get(Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition"), "things.example.com")
    assert "meta.helm.sh/release-name" not in definition["metadata"].get("annotations", {})

    assert set(ops(run("up", "helm", "--engine", "pulumi", "--yes")).values()) == {"same"}
    pin(project, "second")
    changed = ops(run("up", "helm", "--engine", "pulumi", "--yes"))
    assert {name: op for name, op in changed.items() if op != "same"} == {"platform-queue-release": "update"}
    assert client.get(Kind("v1", "ConfigMap"), "settings", "work")["data"] == {"word": "second"}
    again = client.get(Kind("batch/v1", "Job"), "migrate", "work")
    assert again["metadata"]["uid"] != first["metadata"]["uid"], "Helm runs the hook at each upgrade"

    assert set(ops(run("destroy", "helm", "--engine", "pulumi", "--yes")).values()) == {"delete"}
    assert "work" not in {namespace["metadata"]["name"] for namespace in client.list(Kind("v1", "Namespace"))}
