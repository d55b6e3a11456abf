"""Stack files as people write them: both ways of loading, what they extend, their schema and reference page."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pulumi
import pytest
from pulumi.runtime import config as pulumi_config

from espalier.settings import find_stack, from_pulumi, load_file, stack_schema, validate
from espalier.settings.docs import stack_file_page
from espalier.settings.schema import schema_text
from espalier.settings.strict_yaml import parse
from espalier.settings.tree import plain
from espalier.types import Mistakes

ROOT = Path(__file__).parents[2]
STACKS = sorted((ROOT / "stacks").glob("Pulumi.*.yaml"))
FILES = sorted((ROOT / "stacks").glob("*.yaml"))
SIMULATED = "config:\n  espalier:cluster: {kind: simulated}\n"


def mistakes(path: Path) -> dict[str, str]:
    with pytest.raises(Mistakes) as caught:
        load_file(path)
    return {m.path: m.text() for m in caught.value.mistakes}


def stack(folder: Path, text: str, **bases: str) -> Path:
    for name, base in bases.items():
        (folder / f"{name}.yaml").write_text(base)
    (folder / "Pulumi.here.yaml").write_text(text)
    return folder / "Pulumi.here.yaml"


@pytest.fixture
def run_by_pulumi(monkeypatch: pytest.MonkeyPatch):
    def configure(name: str, config: dict[str, str], secret: tuple[str, ...] = (), folder: Path = ROOT) -> None:
        monkeypatch.chdir(folder)
        monkeypatch.setattr(pulumi, "get_stack", lambda: name)
        pulumi_config.set_all_config(config, list(secret))

    yield configure
    pulumi_config.set_all_config({}, [])


@pytest.mark.parametrize("path", STACKS, ids=lambda path: path.stem)
def test_pulumi_and_the_command_read_equal_settings(path: Path, run_by_pulumi) -> None:
    loaded = load_file(path)
    run_by_pulumi(loaded.name, dict(loaded.config))
    assert from_pulumi() == loaded.settings
    assert validate(loaded.raw, where="settings") == loaded.settings


def test_pulumi_gets_every_mistake_in_one_error(tmp_path: Path, run_by_pulumi) -> None:
    config = {"espalier:cluster": '{"kind":"simulated","version":1.36}', "espalier:pool": "[]", "espalier:cost": "x"}
    run_by_pulumi("elsewhere", config, folder=tmp_path)
    with pytest.raises(pulumi.RunError) as caught:
        from_pulumi()
    text = str(caught.value)
    assert text.startswith("3 mistakes in the settings")
    assert 'espalier:cluster.version: got 1.36; accepted: "1.36". Quote it: "1.36".' in text
    assert "espalier:pool: got an unknown key" in text
    assert "Did you mean pools?" in text
    assert "espalier:cost: got 'x'; accepted: a mapping" in text


def test_pulumi_never_reads_a_secret(tmp_path: Path, run_by_pulumi) -> None:
    config = {"espalier:cluster": '{"kind":"simulated"}', "espalier:cost": "hunter2"}
    run_by_pulumi("elsewhere", config, ("espalier:cost",), tmp_path)
    with pytest.raises(pulumi.RunError, match="espalier:cost: got a secret") as caught:
        from_pulumi()
    assert "hunter2" not in str(caught.value)


def test_secrets_of_other_namespaces_stay_opaque(tmp_path: Path) -> None:
    path = stack(tmp_path, SIMULATED + "  a:b: {secure: v1:abc}\n  a:c: [{secure: v1:def}]\n  aws:region: eu-west-1\n")
    loaded = load_file(path)
    assert loaded.secret_keys == {"a:b", "a:c"}
    assert dict(loaded.config) == {
        "espalier:cluster": '{"kind":"simulated"}',
        "a:b": "[secret]",
        "a:c": '["[secret]"]',
        "aws:region": "eu-west-1",
    }


def test_what_is_extended_merges_mappings_and_replaces_the_rest(tmp_path: Path) -> None:
    one = "config:\n  espalier:cluster: {kind: existing, version: '1.35', kubeconfig: a, context: one}\n"
    two = "config:\n  espalier:cluster: {context: two}\n  espalier:waivers: []\n"
    path = stack(
        tmp_path, "config:\n  espalier:extends: [one, two]\n  espalier:cluster: {version: '1.36'}\n", one=one, two=two
    )
    assert load_file(path).raw["cluster"] == {
        "kind": "existing",
        "version": "1.36",
        "kubeconfig": "a",
        "context": "two",
    }


def test_a_mistake_in_an_extended_file_names_that_file_and_line(tmp_path: Path) -> None:
    base = "config:\n  espalier:cost:\n    ceiling: lots\n"
    found = mistakes(stack(tmp_path, SIMULATED + "  espalier:extends: [base]\n", base=base))
    assert list(found) == ["base.yaml: espalier:cost.ceiling"]
    assert "(line 3)" in found["base.yaml: espalier:cost.ceiling"]


@pytest.mark.parametrize(
    ("extends", "says"),
    [
        ("[bse]", "Did you mean base?"),
        ("[../base]", "Write the name alone"),
        ("[3]", "Write the name alone"),
        ("base", "Write a list"),
        ("[ring]", "a circle (ring -> ring)"),
    ],
)
def test_extends_takes_names_of_files_beside_it(tmp_path: Path, extends: str, says: str) -> None:
    ring = "config:\n  espalier:extends: [ring]\n"
    found = mistakes(stack(tmp_path, SIMULATED + f"  espalier:extends: {extends}\n", base="config: {}", ring=ring))
    assert says in " ".join(found.values())


def test_anchors_work_within_a_file(tmp_path: Path) -> None:
    path = stack(tmp_path, SIMULATED + "  espalier:addons: {a: &x {b: 1}, c: *x}\n")
    assert load_file(path).settings.addons == {"a": {"b": 1}, "c": {"b": 1}}


def test_an_unknown_stack_is_told_which_there_are() -> None:
    assert find_stack("local", ROOT / "docs") == ROOT / "stacks" / "Pulumi.local.yaml"
    assert find_stack("stacks/Pulumi.local.yaml", ROOT) == ROOT / "stacks" / "Pulumi.local.yaml"
    with pytest.raises(Mistakes, match=r"existing, gcp-dev, gcp-prod, local. Did you mean local\?"):
        find_stack("locl", ROOT)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_editors_schema_takes_every_file_in_stacks(path: Path) -> None:
    root = parse(path.read_bytes()).root
    assert root is not None
    jsonschema.Draft202012Validator.check_schema(stack_schema())
    jsonschema.validate(plain(root), stack_schema(), jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    "config",
    [
        {"espalier:pool": []},
        {"espalier:cluster": {"kind": "simulated", "kubeconfig": "x"}},
        {"espalier:pools": [{"name": "a", "nodes": {"max": 1}, "labels": {"a b": "c"}}]},
    ],
)
def test_the_editors_schema_refuses_what_the_loader_refuses(config: dict[str, object]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"config": config}, stack_schema(), jsonschema.Draft202012Validator)


def test_what_is_made_from_the_models_is_current() -> None:
    advice = "run `python -m espalier.settings`"
    assert (ROOT / "stacks/schema.json").read_text() == schema_text(), advice
    assert (ROOT / "docs/stack-file.md").read_text() == stack_file_page(), advice


def test_every_key_says_what_it_is_for() -> None:
    models = {"config": stack_schema()["properties"]["config"], **stack_schema()["$defs"]}
    keys = [(name, key, one) for name, model in models.items() for key, one in model["properties"].items()]
    assert [f"{name}.{key}" for name, key, one in keys if not one.get("description")] == []


def test_loading_does_not_wait_for_pulumi() -> None:
    code = "import json, sys, espalier.settings; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not {"pulumi", "grpc", "jsonschema", "ruamel"} & set(json.loads(run.stdout))
