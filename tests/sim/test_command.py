"""The main job from the command line on a cluster of its own: up, up again, preview, verify, a refusal, destroy."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from espalier import sim
from espalier.cli import main
from espalier.kube import Client, Kind, Reference
from espalier.report.documents import schema_of
from tests.sim.audit import lines_of

jsonschema = pytest.importorskip("jsonschema", reason="a development dependency")
ROOT = Path(__file__).parents[2]
QUOTA = Reference(Kind("v1", "ResourceQuota"), "vision", "tenant")


class Stack:
    """A copy of the project whose `mine` stack has a cluster of its own."""

    def __init__(self, folder: Path, cluster: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.path = folder / "stacks" / "Pulumi.mine.yaml"
        self.cluster = cluster
        self._capsys = capsys

    def run(self, command: str, *arguments: str) -> tuple[int, Any]:
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([command, "mine", *arguments, "--json"])
        assert isinstance(ended.value.code, int)
        return ended.value.code, json.loads(self._capsys.readouterr().out)

    def ops(self, command: str, *arguments: str) -> set[str]:
        code, document = self.run(command, *arguments)
        assert code == 0, document["errors"]
        jsonschema.validate(document, schema_of("up"))
        return {change["op"] for change in document["changes"]}

    def tenant(self, verb: str, name: str) -> set[str]:
        """What `up` would do to the tenant, as `tenant` says."""
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["tenant", verb, "mine", name, "--json"])
        document = json.loads(self._capsys.readouterr().out)
        assert (ended.value.code, document["unasked"]) == (0, []), document
        return {change["op"] for change in document["changes"]}

    def client(self) -> Client:
        return Client.connect(sim.kubeconfig_path(self.cluster))

    def writes(self) -> int:
        """What Espalier wrote so far; controllers write when they please."""
        lines = lines_of(sim.audit_log_path(self.cluster))
        ours = [event for event in map(json.loads, lines) if event.get("userAgent") == "espalier"]
        return sum("dryRun" not in event["requestURI"] for event in ours)


@pytest.fixture
def stack(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    new_cluster: Callable[[str], str],
) -> Stack:
    for name in ("Pulumi.yaml", "__main__.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "stacks", tmp_path / "stacks")
    cluster = new_cluster("cli")
    text = (ROOT / "stacks" / "Pulumi.local.yaml").read_text()
    named = text.replace("kind: simulated\n", f"kind: simulated\n    name: {cluster}\n")
    (tmp_path / "stacks" / "Pulumi.mine.yaml").write_text(named)
    monkeypatch.chdir(tmp_path)
    return Stack(tmp_path, cluster, capsys)


def test_the_main_job(stack: Stack) -> None:
    assert stack.run("destroy", "--yes")[0] == 0  # nothing runs: nothing to remove, and no error
    code, document = stack.run("preview")
    assert code == 3
    assert "sim up" in document["errors"][0]["do"]

    assert stack.ops("up", "--yes") == {"create"}
    before = stack.writes()
    assert stack.ops("up", "--yes") == {"same"}
    assert stack.ops("preview") == {"same"}
    assert stack.writes() == before

    code, document = stack.run("verify")
    assert code == 0, [check for check in document["checks"] if not check["ok"]]
    jsonschema.validate(document, schema_of("verify"))
    families = {check["name"].split("/")[0] for check in document["checks"]}
    assert families == {"land", "taint", "sharing", "contention", "daemonset", "quota", "isolation", "noop"}

    stack.client().delete(QUOTA.kind, QUOTA.name, QUOTA.namespace)
    code, document = stack.run("verify")
    assert code == 1
    assert [check["name"] for check in document["checks"] if not check["ok"]] == ["quota/vision"]
    assert stack.ops("preview") == {"same", "create"}
    assert stack.ops("up", "--yes") == {"same", "create"}
    assert stack.client().find_object(QUOTA)

    raised = {"spec": {"hard": {"requests.nvidia.com/gpu": "99"}}}
    stack.client().patch(QUOTA.kind, QUOTA.name, raised, namespace=QUOTA.namespace)  # by hand
    assert stack.ops("preview") == {"same", "update"}
    assert stack.ops("up", "--yes") == {"same", "update"}
    quota = stack.client().find_object(QUOTA)
    assert quota is not None
    assert quota["spec"]["hard"]["requests.nvidia.com/gpu"] == "8"

    before, written = stack.writes(), stack.path.read_text()
    assert stack.tenant("show", "vision") == {"same"}
    assert stack.tenant("add", "speech") == {"create"}
    assert stack.tenant("remove", "speech") == set()
    assert stack.tenant("remove", "vision") == {"delete"}
    assert stack.writes() == before
    stack.path.write_text(written)

    good = stack.path.read_text()
    stack.path.write_text(good.replace("ceiling: 400", "ceiling: 1"))
    before = stack.writes()
    code, document = stack.run("up", "--yes")
    assert code == 1
    assert document["errors"][0]["path"] == "policy cost-ceiling"
    assert stack.writes() == before

    stack.path.write_text(good.replace("max: 4, start: 1", "max: 4, start: 2"))
    assert stack.ops("preview") == {"same", "create"}
    code, document = stack.run("up")  # nobody to ask
    assert code == 3
    assert "--yes" in document["errors"][0]["do"]

    assert stack.ops("destroy", "--yes") == {"delete"}
    assert [node["metadata"]["name"] for node in stack.client().list(Kind("v1", "Node"))] == []
    assert stack.client().find_object(Reference(Kind("v1", "Namespace"), "", "vision")) is None
    assert stack.ops("destroy", "--yes") == set()
