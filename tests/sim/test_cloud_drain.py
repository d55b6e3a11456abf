"""What is taken away before Pulumi destroys a cloud's stack, on a real API server; Pulumi itself is a stand-in."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from espalier import sim
from espalier.engine.cloud_drain import CLAIM, DEPLOYMENT, NODE_CLAIM, NODE_POOL, drain_cloud, look_outside
from espalier.engine.errors import RefusedError
from espalier.kube import Client, Kind, UnknownKindError

ROOT = Path(__file__).parents[2]
SERVICE, INGRESS, POD = Kind("v1", "Service"), Kind("networking.k8s.io/v1", "Ingress"), Kind("v1", "Pod")
STATEFUL, SPACE, NODE = Kind("apps/v1", "StatefulSet"), Kind("v1", "Namespace"), Kind("v1", "Node")
DEFINITION = Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition")


def definition(plural: str, kind: str) -> dict[str, Any]:
    open_schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": open_schema}}
    names = {"plural": plural, "kind": kind, "singular": kind.lower()}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.karpenter.sh"},
        "spec": {"group": "karpenter.sh", "scope": "Cluster", "names": names, "versions": [version]},
    }


def pod_spec(**more: Any) -> dict[str, Any]:
    return {"containers": [{"name": "main", "image": "example.com/none:1"}], **more}


def workload(kind: str, name: str, space: str, **spec: Any) -> dict[str, Any]:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": pod_spec(**spec.pop("pod", {}))}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": space},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template, **spec},
    }


Eventually = Callable[..., Any]


@pytest.fixture
def client(sim_cluster: sim.SimStatus, eventually: Eventually) -> Iterator[Client]:
    """A cluster with what controllers make: load balancers, machines, a volume in use, and an autoscaler."""
    found = Client.connect(sim_cluster.kubeconfig)
    found.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "vision"}})
    node = {"name": "drain-node", "annotations": {"kwok.x-k8s.io/node": "fake"}}
    found.create({"apiVersion": "v1", "kind": "Node", "metadata": node})
    for plural, kind in (("nodepools", "NodePool"), ("nodeclaims", "NodeClaim")):
        found.create(definition(plural, kind))
    for kind, name in (("NodePool", "gpu"), ("NodeClaim", "gpu-x1")):
        manifest = {"apiVersion": "karpenter.sh/v1", "kind": kind, "metadata": {"name": name}, "spec": {}}
        eventually(lambda manifest=manifest: created(found, manifest))
    for name, type_ in (("web", "LoadBalancer"), ("inside", "ClusterIP")):
        found.create(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": name, "namespace": "vision"},
                "spec": {"type": type_, "ports": [{"port": 80}]},
            }
        )
    found.create(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {"name": "web", "namespace": "vision"},
            "spec": {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}},
        }
    )
    found.create(workload("Deployment", "cluster-autoscaler", "vision"))
    claim = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "5Gi"}}},
    }
    mounts = {"pod": {}, "volumeClaimTemplates": [claim], "serviceName": "inside"}
    found.create(workload("StatefulSet", "notebook", "vision", **mounts))
    eventually(lambda: [p for p in found.list(POD, "vision") if p["metadata"]["name"] == "notebook-0"])
    yield found
    for kind, name in ((STATEFUL, "notebook"), (DEPLOYMENT, "cluster-autoscaler")):
        if any(each["metadata"]["name"] == name for each in found.list(kind, "vision")):
            found.delete(kind, name, "vision")
    found.delete(SPACE, "vision")
    for plural in ("nodepools", "nodeclaims"):
        found.delete(DEFINITION, f"{plural}.karpenter.sh")
    found.delete(NODE, "drain-node")
    eventually(lambda: not [each for each in found.list(SPACE) if each["metadata"]["name"] == "vision"])


def created(client: Client, manifest: dict[str, Any]) -> bool:
    try:
        client.create(manifest)
    except UnknownKindError:
        return False
    return True


def names(client: Client, kind: Kind) -> set[str]:
    return {each["metadata"]["name"] for each in client.list(kind)}


def test_claims_are_named_and_nothing_is_deleted_without_consent(client: Client) -> None:
    found = look_outside(client, "demo", "prod")
    assert [str(claim.name) for claim, _ in found.claims] == ["data-notebook-0"]
    with pytest.raises(RefusedError) as caught:
        drain_cloud(client, "demo", "prod", lambda _: None)
    assert "data-notebook-0" in str(caught.value)
    assert "5Gi" in str(caught.value)
    assert names(client, NODE_POOL) == {"gpu"}
    assert "web" in names(client, SERVICE)
    assert client.get(DEPLOYMENT, "cluster-autoscaler", "vision")["spec"]["replicas"] == 1


def test_with_consent_all_of_it_goes_and_nothing_else(client: Client) -> None:
    lines: list[str] = []
    drain_cloud(client, "demo", "prod", lines.append, delete_data=True)
    assert client.get(DEPLOYMENT, "cluster-autoscaler", "vision")["spec"]["replicas"] == 0
    assert names(client, NODE_POOL) | names(client, NODE_CLAIM) | names(client, INGRESS) | names(client, CLAIM) == set()
    assert {"inside", "kubernetes"} <= names(client, SERVICE)
    assert "web" not in names(client, SERVICE)
    assert "notebook" not in names(client, STATEFUL)
    order = [
        next(place for place, line in enumerate(lines) if word in line) for word in ("to zero", "gpu,", "gpu-x1", "web")
    ]
    assert order == sorted(order)


FAKE = """#!{python}
import json, sys
from pathlib import Path
from espalier.kube import Client, Kind
arguments, log = sys.argv[1:], Path({log!r})
verb = " ".join(arguments[:2]) if arguments[0] == "stack" else arguments[0]
if verb == "stack ls":
    print(json.dumps([{{"name": "small"}}]))
elif verb == "stack output":
    print(Path({outputs!r}).read_text())
preview = "--preview-only" in arguments
if verb == "destroy" and preview and Path({refusal!r}).is_file():
    sys.exit("error: resource is protected")
left = ""
if verb == "destroy" and Path({config!r}).is_file():
    services = Client.connect(Path({config!r})).list(Kind("v1", "Service"))
    left = str(sum(each["spec"]["type"] == "LoadBalancer" for each in services))
with log.open("a") as file:
    file.write(verb + (" --preview-only" if preview else "") + " " + left + "\\n")
"""


@pytest.fixture
def destroy(tmp_path: Path, sim_cluster: sim.SimStatus) -> Callable[..., Any]:
    """`espalier destroy small` with a stand-in for Pulumi; gives the exit code, the document and what Pulumi did."""
    (tmp_path / "stacks").mkdir()
    for name in ("Pulumi.yaml", "__main__.py"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    outputs, log, refusal = tmp_path / "outputs.json", tmp_path / "log", tmp_path / "refusal"
    outputs.write_text(json.dumps({"kubeconfig": sim_cluster.kubeconfig.read_text()}))
    fake = tmp_path / "bin" / "pulumi"
    fake.parent.mkdir()
    paths = {"log": str(log), "outputs": str(outputs), "refusal": str(refusal), "config": str(sim_cluster.kubeconfig)}
    fake.write_text(FAKE.format(python=sys.executable, **paths))
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)

    def run(
        *options: str, protected: bool = False, reached: bool = True, state: bool = True, kept: bool = False
    ) -> Any:
        block = {
            "kind": "eks",
            "name": "small",
            "version": "1.35",
            "region": "us-east-1",
            "access": {"via": "network", "admins": ["arn:aws:iam::123456789012:role/platform"]},
            "deletion-protection": kept,
        }
        pools = [{"name": "system", "machine": {"cpu": 4, "memory": "16Gi"}, "nodes": {"min": 2, "max": 6}}]
        config = {"config": {"espalier:cluster": block, "espalier:pools": pools}}
        (tmp_path / "stacks" / "Pulumi.small.yaml").write_text(yaml.safe_dump(config))
        if not reached:
            text = sim_cluster.kubeconfig.read_text().replace(
                Client.connect(sim_cluster.kubeconfig).kubeconfig.server, "https://127.0.0.1:1"
            )
            outputs.write_text(json.dumps({"kubeconfig": text}))
        if not state:
            outputs.write_text("{}")
        if protected:
            refusal.touch()
        env = os.environ | {"PATH": f"{fake.parent}:{os.environ['PATH']}"}
        command = [sys.executable, "-m", "espalier.cli", "destroy", "small", "--json", *options]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, json.loads(done.stdout), log.read_text().splitlines() if log.is_file() else []

    return run


def test_pulumi_destroys_only_what_is_drained(client: Client, destroy: Callable[..., Any]) -> None:
    code, document, did = destroy("--yes")
    assert code == 1
    assert "data-notebook-0" in json.dumps(document["errors"])
    assert [line.strip() for line in did] == ["stack ls", "stack output"]
    assert "web" in names(client, SERVICE)

    code, document, did = destroy("--yes", "--delete-data")
    assert (code, document["errors"]) == (0, [])
    # Asked what it would do while the balancer stands, and run once it is gone.
    assert [line.strip() for line in did[-3:]] == ["destroy --preview-only 1", "stack ls", "destroy 0"]


@pytest.mark.parametrize(
    ("given", "options", "code", "says", "did"),
    [
        ({"kept": True}, ["--yes"], 1, "deletion-protection", ["stack ls"]),
        ({"protected": True}, ["--yes"], 1, "protected", ["stack ls", "stack output"]),
        ({"reached": False}, ["--yes"], 3, "--without-drain", ["stack ls", "stack output"]),
        ({}, [], 3, "Say --yes", []),
    ],
)
def test_nothing_is_touched_where_it_cannot_go_through(
    given: Any, options: list[str], code: int, says: str, did: list[str], destroy: Callable[..., Any]
) -> None:
    got, document, lines = destroy(*options, **given)
    assert (got, [line.strip() for line in lines]) == (code, did)
    assert says in json.dumps(document["errors"])


@pytest.mark.parametrize(("given", "options"), [({"reached": False}, ["--without-drain"]), ({"state": False}, [])])
def test_without_a_cluster_to_drain_pulumi_goes_on(given: Any, options: list[str], destroy: Callable[..., Any]) -> None:
    code, _, did = destroy("--yes", *options, **given)
    assert code == 0
    assert did[-1].startswith("destroy ")
