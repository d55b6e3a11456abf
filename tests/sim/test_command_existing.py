"""A cluster that Espalier did not make, from the command line: by the embedded engine only when named."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from espalier import sim
from espalier.cli import main
from espalier.kube import Client, Kind, Reference

ROOT = Path(__file__).parents[2]
OURS = Reference(Kind("v1", "Namespace"), "", "research")


def test_the_existing_stack_on_a_cluster_by_its_kubeconfig(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    new_cluster: Callable[[str], str],
) -> None:
    def run(*arguments: str) -> tuple[int, Any]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--json"])
        assert isinstance(ended.value.code, int)
        return ended.value.code, json.loads(capsys.readouterr().out)

    status = sim.up(new_cluster("existing"))
    for name in ("Pulumi.yaml", "__main__.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "stacks", tmp_path / "stacks")
    path = tmp_path / "stacks" / "Pulumi.existing.yaml"
    text = path.read_text().replace("~/.kube/config", str(status.kubeconfig))
    path.write_text(text.replace("context: ml-platform", f"context: espalier-sim-{status.name}"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))  # no pulumi there
    client = Client.connect(status.kubeconfig)

    code, document = run("up", "existing", "--yes")
    assert code == 3
    assert "--engine embedded" in document["errors"][0]["do"]
    assert client.find_object(OURS) is None

    code, document = run("up", "existing", "--yes", "--engine", "embedded")
    assert (code, {change["op"] for change in document["changes"]}) == (0, {"create"})
    assert client.list(Kind("v1", "Node")) == []  # its nodes are somebody else's

    code, document = run("verify", "existing")
    assert code == 0, document
    assert {check["name"] for check in document["checks"]} >= {"quota/research", "isolation/research", "noop"}
    assert {skipped["name"] for skipped in document["skipped"]} == {"land/l40s", "taint/l40s", "sharing/l40s"}

    code, document = run("destroy", "existing", "--yes")
    assert (code, {change["op"] for change in document["changes"]}) == (0, {"delete"})
    assert client.find_object(OURS) is None
