"""`tenant show`, `add`, `remove`: the lines of one tenant change in the stack file, and nothing else does."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from espalier.addons import RECORDS
from espalier.blueprint import build
from espalier.cli import main
from espalier.commands.tenant_preview import own
from espalier.engine.changes import Change
from espalier.report.documents import schema_of
from espalier.settings import validate
from espalier.settings.edit import with_tenant, without_tenant
from espalier.types import Mistakes

ROOT = Path(__file__).parents[2]
STACKS = sorted((ROOT / "stacks").glob("Pulumi.*.yaml"))
BLOCK: dict[str, Any] = {"name": "speech", "groups": {"edit": ["s"]}, "quota": {"devices": {"nvidia.com/gpu": 1}}}
LINES = ["    - name: speech", "      groups: {edit: [s]}", "      quota: {devices: {nvidia.com/gpu: 1}}"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("Pulumi.yaml", "__main__.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "stacks", tmp_path / "stacks")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))  # no cluster of this machine is asked
    return tmp_path / "stacks" / "Pulumi.local.yaml"


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--json"])
    document = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, schema_of("tenant"))
    assert isinstance(ended.value.code, int)
    return ended.value.code, document


@pytest.mark.parametrize("path", STACKS, ids=lambda path: path.stem)
def test_what_is_put_in_and_taken_out_leaves_every_other_byte(path: Path) -> None:
    text = path.read_text()
    more = with_tenant(text, BLOCK)
    assert [line for line in more.split("\n") if line not in text.split("\n")] == LINES
    assert without_tenant(more, "speech") == text
    for name in [tenant["name"] for tenant in yaml.safe_load(text)["config"]["espalier:tenants"]]:
        left = without_tenant(text, name)
        comments = [line for line in text.split("\n") if line.strip().startswith("#")]
        assert [line for line in left.split("\n") if line.strip().startswith("#")] == comments


FORMS = {
    "no list": "config:\n  espalier:cluster: {kind: simulated}  # here\n# the end\n",
    "an empty list": "config:\n  espalier:tenants: []\n  espalier:cluster: {kind: simulated}\n",
    "without indent": "config:\n  espalier:tenants:\n  - name: a\n  # between\n  - name: b\n    quota: {cpu: 1}\n",
    "no last newline": "config:\n  espalier:tenants:\n    - name: a",
    "an alias": "config:\n  espalier:x: &x {cpu: 1}\n  espalier:tenants:\n    - name: a\n      quota: *x\n",
    "folded text": "config:\n  espalier:tenants:\n    - name: a\n      quota: {cpu: 1,\n       memory: 1Gi}\n  # x\n",
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS.keys())
def test_forms_that_people_write(text: str) -> None:
    more = with_tenant(text, BLOCK)
    before = [tenant["name"] for tenant in yaml.safe_load(text)["config"].get("espalier:tenants", [])]
    assert [tenant["name"] for tenant in yaml.safe_load(more)["config"]["espalier:tenants"]] == [*before, "speech"]
    assert [line for line in text.split("\n") if "#" in line and line not in more.split("\n")] == []
    alone = yaml.safe_load(without_tenant(more, "speech"))["config"]
    assert alone.get("espalier:tenants", []) == (yaml.safe_load(text)["config"].get("espalier:tenants") or [])


@given(st.text(min_size=1, max_size=40), st.text(max_size=40))
def test_any_text_is_written_as_yaml_reads_it(group: str, owner: str) -> None:
    block = {"name": "x", "groups": {"edit": [group]}, "owners": [owner]}
    assert yaml.safe_load(with_tenant("config:\n  espalier:tenants: []\n", block))["config"]["espalier:tenants"] == [
        block
    ]


def test_a_form_that_is_not_understood_is_left_alone() -> None:
    with pytest.raises(Mistakes, match="Edit the file by hand"):
        with_tenant("config:\n  espalier:tenants: [{name: a}]\n", BLOCK)


def test_add_show_and_remove(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = project.read_text()
    asked = ("--edit", "speech-engineers", "--owner", "olga@x.org", "--device", "nvidia.com/gpu=4", "--cpu", "32")
    code, added = run(capsys, "tenant", "add", "local", "speech", *asked)
    assert code == 0
    entry = added["tenant"]
    assert entry["groups"] == {"edit": ["speech-engineers"]}
    assert entry["quota"]["speech"]["requests.nvidia.com/gpu"] == "4"
    assert entry["month"]["worst"] > 0
    assert len(entry["objects"]) + 1 <= 12
    code, shown = run(capsys, "tenant", "show", "local", "speech")
    assert (code, shown["tenant"]) == (0, entry)
    code, removed = run(capsys, "tenant", "remove", "local", "speech")
    assert (code, removed["tenant"]) == (0, entry)
    assert project.read_text() == text


def test_removing_says_how_volumes_are_deleted(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["tenant", "remove", "local", "language"])
    said = capsys.readouterr().out
    assert "deletes language-dev, language-prod, and refuses to while volume claims are in there" in said
    assert "kubectl delete persistentvolumeclaims --all --namespace language-prod" in said
    assert "name: language" not in project.read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "local", "vision"), "each name once"),
        (("add", "local", "kube-system"), "a namespace that is not Kubernetes' or the platform's own"),
        (("add", "local", "speech", "--device", "nvidia.com/gpu=99999"), "all pools at their maxima"),
        (("add", "local", "speech", "--device", "gpu"), "a device and how many, such as nvidia.com/gpu=8"),
        (("remove", "local", "sound"), "language, vision"),
        (("show", "local", "sound"), "language, vision"),
    ],
)
def test_what_is_wrong_is_said_and_the_file_stays(
    arguments: tuple[str, ...], said: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = project.read_text()
    code, wrong = run(capsys, "tenant", *arguments)
    assert code == 2
    assert said in json.dumps(wrong["errors"])
    assert project.read_text() == text


def test_tenants_that_a_stack_inherits_are_not_replaced_by_a_list_of_one(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    heir = project.with_name("Pulumi.heir.yaml")
    project.rename(project.with_name("parent.yaml"))
    heir.write_text("config:\n  espalier:extends: [parent]\n")
    code, wrong = run(capsys, "tenant", "add", "heir", "speech")
    assert code == 2
    (error,) = wrong["errors"]
    assert error["got"] == "vision, language, of a file that this one extends"
    assert error["do"] == "Add the tenant to that file, or write all of them into this one."
    assert heir.read_text() == "config:\n  espalier:extends: [parent]\n"
    heir.write_text("config:\n  espalier:extends: [parent]\n  espalier:tenants:\n    - name: own\n")
    assert run(capsys, "tenant", "add", "heir", "speech")[0] == 0
    assert heir.read_text().endswith("    - name: own\n    - name: speech\n")


def test_where_no_cluster_runs_the_preview_says_so(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, document = run(capsys, "tenant", "show", "local", "vision")
    assert code == 0
    assert document["changes"] is None
    assert [error["got"] for error in document["unasked"]] == ["local does not run"]
    assert "espalier up local" in document["unasked"][0]["do"]


def test_changes_of_tenants_whose_names_begin_alike_are_kept_apart() -> None:
    blocks = [{"name": "a"}, {"name": "a-b"}, {"name": "b"}]
    stack = {"cluster": {"kind": "simulated"}, "pools": [], "tenants": blocks}
    tenants = build(validate(stack, where="test"), RECORDS).tenants
    urns = {
        tenant.name: [
            f"urn:pulumi:s::p::espalier:index:Platform$espalier:index:Tenant$x::pf-tenant-{tenant.name}-{item.suffix}"
            for work in tenant.workspaces
            for item in work.objects
        ]
        for tenant in tenants
    }
    others = ["urn:pulumi:s::p::espalier:index:Platform$x::pf-tenant-a-namespace"]
    changes = [Change(urn, "create") for urn in [*others, *(urn for found in urns.values() for urn in found)]]
    for tenant in tenants:
        assert [change.urn for change in own(changes, tenant)] == urns[tenant.name]
