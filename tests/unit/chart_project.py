"""A project with one stack whose add-ons a test writes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from espalier.cli import main
from espalier.report.documents import schema_of

ROOT = Path(__file__).parents[2]
PASSWORD = "canary-51c9"


class Project:
    """A project with one stack, `t`, whose add-ons a test writes."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.stacks = folder / "stacks"
        self.lock = self.stacks / "t.lock"
        self.cache = folder / "cache"
        self._capsys = capsys
        self.settings: dict[str, Any] = {
            "cluster": {"kind": "simulated"},
            "sources": {"cache": "../cache"},
            "addons": {},
        }

    def addon(self, id: str, source: Mapping[str, Any], options: Mapping[str, Any] | None = None, **rules: Any) -> None:
        record = {"source": source, "namespace": id, **rules}
        path = self.stacks / "addons" / f"{id}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump(record))
        self.settings["addons"][id] = options or {}

    def run(self, command: str, *options: str) -> tuple[int, Any]:
        jsonschema = pytest.importorskip("jsonschema", reason="a development dependency")
        config = {f"espalier:{key}": value for key, value in self.settings.items()}
        (self.stacks / "Pulumi.t.yaml").write_text(yaml.safe_dump({"config": config}))
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([command, "t", "--json", *options])
        said = self._capsys.readouterr()
        assert PASSWORD not in said.out + said.err
        document = json.loads(said.out)
        jsonschema.validate(document, schema_of(command))
        assert isinstance(ended.value.code, int)
        return ended.value.code, document

    def good(self, command: str, *options: str) -> Any:
        code, document = self.run(command, *options)
        assert code == 0, document["errors"]
        return document
