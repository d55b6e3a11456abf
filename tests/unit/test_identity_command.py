"""`espalier identity`: the file for an API server of one's own, and how people are named everywhere else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from espalier.cli import main
from espalier.report.documents import schema_of

EXISTING = {"kind": "existing", "version": "1.36", "kubeconfig": "~/.kube/config", "context": "lab"}
ISSUER = {"issuer": "https://id.example.com"}


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "Pulumi.yaml").write_text("name: ml\nruntime: python\nstackConfigDir: stacks\n")
    (tmp_path / "stacks").mkdir()
    monkeypatch.chdir(tmp_path)

    def write(**keys: Any) -> None:
        config = {f"espalier:{key}": value for key, value in keys.items()}
        (tmp_path / "stacks" / "Pulumi.lab.yaml").write_text(yaml.safe_dump({"config": config}))

    return write


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(["identity", "lab", *arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code, capsys.readouterr().out


def test_what_is_printed_is_the_file_itself(write: Any, capsys: pytest.CaptureFixture[str]) -> None:
    write(cluster=EXISTING, identity=ISSUER)
    code, out = run(capsys)
    assert code == 0
    assert "# Groups are bound as oidc:<name>." in out
    found = yaml.safe_load(out)
    assert found["apiVersion"] == "apiserver.config.k8s.io/v1"
    assert found["jwt"][0]["issuer"] == {"url": "https://id.example.com", "audiences": ["kubernetes"]}


@pytest.mark.parametrize(("keys", "words"), [
    ({"cluster": EXISTING}, ["No issuer is named.", "People are bound as <name>.", "No file is needed"]),
    ({"cluster": {"kind": "simulated"}, "identity": ISSUER}, ["The issuer is https://id.example.com.", "oidc:<name>"]),
])  # fmt: skip
def test_elsewhere_no_file_is_needed(
    write: Any, capsys: pytest.CaptureFixture[str], keys: dict[str, Any], words: list[str]
) -> None:
    write(**keys)
    code, out = run(capsys)
    assert code == 0
    assert [word for word in words if word not in out] == []
    _, text = run(capsys, "--json")
    document = json.loads(text)
    jsonschema.validate(document, schema_of("identity"))
    assert document["configuration"] is None


def test_a_mistake_has_its_line(write: Any, capsys: pytest.CaptureFixture[str]) -> None:
    write(cluster=EXISTING, identity={**ISSUER, "workforce-pool": "ml-people"})
    code, text = run(capsys, "--json")
    assert code == 2
    (error,) = json.loads(text)["errors"]
    assert (error["path"], error["line"]) == ("espalier:identity.workforce-pool", 9)
