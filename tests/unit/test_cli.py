"""The command's contract: exit codes, one JSON document on stdout whatever happens, schemas that hold."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from espalier.cli import main
from espalier.report.documents import DOCUMENTS, schema_of
from espalier.settings import load_file

ROOT = Path(__file__).parents[2]
STACKS = sorted(path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in ROOT.glob("stacks/Pulumi.*.yaml"))

PLAN = ("plan", "local", "--today", "2026-11-01", "--json")
"""Prices grow stale: what is compared is of one day."""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project that a test may break."""
    for name in ("Pulumi.yaml", "__main__.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "stacks", tmp_path / "stacks")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert isinstance(ended.value.code, int)
    captured = capsys.readouterr()
    return ended.value.code, captured.out, captured.err


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code, out, _ = run(capsys, *arguments, "--json")
    return code, json.loads(out)


def edit(project: Path, old: str, new: str, stack: str = "local") -> None:
    path = project / "stacks" / f"Pulumi.{stack}.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def planned(stack: str) -> Any:
    """A stack shows that its kind of cluster can be planned."""
    kind = load_file(ROOT / "stacks" / f"Pulumi.{stack}.yaml").settings.cluster.kind
    return pytest.param(stack, id=stack, marks=pytest.mark.supports(f"{kind} cluster", "planned"))


@pytest.mark.parametrize("stack", [planned(stack) for stack in STACKS])
def test_every_stack_plans_without_a_cluster(stack: str, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, plan = document(capsys, "plan", stack)
    jsonschema.validate(plan, schema_of("plan"))
    assert plan["stack"] == stack
    assert {obj["kind"] for obj in plan["kubernetes"]} >= {"Namespace", "ResourceQuota", "NetworkPolicy"}
    # What needs a chart that nobody has fetched here is not proven, and says so; all else is.
    unproven = {proof["name"]: proof["evidence"] for proof in plan["proofs"] if not proof["ok"]}
    assert all("is not rendered: " in evidence for evidence in unproven.values()), unproven
    assert {name for name in unproven if name.startswith("content/")} == {
        f"content/{addon['id']}" for addon in plan["addons"] if addon["held"]
    }
    assert code == (1 if unproven else 0)
    assert all(policy["ok"] for policy in plan["policies"])


def test_a_plan_is_the_same_to_the_byte(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, *PLAN) == run(capsys, *PLAN)


def test_a_plan_of_another_process_is_the_same_to_the_byte(project: Path) -> None:
    def plan(seed: str) -> bytes:
        environment = {"PYTHONHASHSEED": seed, "PATH": "", "HOME": str(project)}
        command = [sys.executable, "-m", "espalier.cli", *PLAN]
        return subprocess.run(command, capture_output=True, check=True, env=environment, cwd=project).stdout

    assert plan("1") == plan("2")


def test_the_day_marks_stale_prices_and_changes_nothing_else(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(project, "ceiling: 400", "ceiling: 400, stale-after: 30")
    _, fresh = document(capsys, "plan", "local", "--today", "2026-08-19")
    code, old = document(capsys, "plan", "local", "--today", "2036-11-01")
    assert code == 0
    jsonschema.validate(old, schema_of("plan"))
    taken = {f"{pool['name']}/{kind}" for pool in old["pools"] for kind in pool["price"]}
    assert {entry["price"] for entry in old["cost"]["stale"]} == taken
    assert fresh["cost"].pop("stale") == []
    assert old["cost"].pop("stale")
    assert fresh == old


def test_people_are_told_of_stale_prices_by_pool_and_in_total(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = run(capsys, "plan", "local", "--today", "2027-02-01")
    assert "0.00 to 220.16, stale" in out
    assert "0.40 to 1.20, stale" not in out
    assert "USD, by stale prices" in out
    assert "stale, of 2026-07-20: h100/spot, h100/on-demand, a100-mig/on-demand, l4-slices/on-demand" in out
    _, out, _ = run(capsys, "plan", "local", "--today", "2026-11-01")
    assert "stale" not in out


@pytest.mark.parametrize("day", ["yesterday", "2026-02-30", "20260101", "0001-01-01", "2026-01-01T00:00"])
def test_a_day_that_is_none_is_exit_2(day: str, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = document(capsys, "plan", "local", "--today", day)
    assert code == 2
    wrong = {"got": repr(day), "accepted": "a day of the calendar, such as 2026-07-20", "do": "Correct it."}
    assert out["errors"] == [{"path": "--today", **wrong}]


def test_the_kubeconfig_is_never_shown(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, plan = document(capsys, "plan", "local")
    provider = next(r for r in plan["resources"] if r["type"] == "pulumi:providers:kubernetes")
    assert provider["inputs"]["kubeconfig"] == {"$secret": True}


def test_what_only_the_cluster_knows_stays_unknown(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = (project / "__main__.py").read_text()
    program += """
made = pulumi.CustomResource(
    "kubernetes:core/v1:ConfigMap", "late",
    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "late", "namespace": "default"},
     "data": {"a": "b"}})
pulumi.CustomResource(
    "kubernetes:core/v1:ConfigMap", "later",
    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "later", "namespace": "default"},
     "data": {"uid": vars(made)["metadata"]["uid"]}})
"""
    (project / "__main__.py").write_text(program)
    code, plan = document(capsys, "plan", "local")
    assert code == 0
    later = next(obj for obj in plan["kubernetes"] if obj["metadata"]["name"] == "later")
    assert later["data"]["uid"] == {"$unknown": True}


def test_a_failed_policy_is_exit_1_and_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(project, "ceiling: 400", "ceiling: 100")
    code, plan = document(capsys, "plan", "local")
    assert code == 1
    assert [policy["name"] for policy in plan["policies"] if not policy["ok"]] == ["cost-ceiling"]
    code, out, _ = run(capsys, "plan", "local")
    assert code == 1
    assert "cost-ceiling" in out


def test_a_waiver_lets_a_finding_pass_and_keeps_its_reason(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(project, "ceiling: 400", "ceiling: 100")
    waiver = "  espalier:waivers: [{policy: cost-ceiling, resource: platform, reason: agreed for the trial month}]\n"
    path = project / "stacks" / "Pulumi.local.yaml"
    path.write_text(path.read_text() + waiver)
    code, plan = document(capsys, "plan", "local")
    assert code == 0
    verdict = next(policy for policy in plan["policies"] if policy["name"] == "cost-ceiling")
    assert [finding["waived"] for finding in verdict["findings"]] == ["agreed for the trial month"]


def test_all_mistakes_at_once_are_exit_2_with_paths_and_lines(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(project, 'version: "1.36"', "version: 1.36")
    edit(project, "count: 8", "count: eight")
    edit(project, "workspaces: [team]", "workspacs: [team]")
    code, wrong = document(capsys, "plan", "local")
    assert code == 2
    paths = {error["path"] for error in wrong["errors"]}
    assert paths == {"espalier:cluster.version", "espalier:pools[1].count", "espalier:tenants[0].workspacs"}
    assert all(error["line"] > 0 and error["accepted"] and error["do"] for error in wrong["errors"])
    jsonschema.validate(wrong, schema_of("plan"))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**wrong, "stack": "local"}, schema_of("plan"))


def test_wrong_names_and_options_are_told_with_wrong_settings(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not at the next try: what the catalogue and the add-ons say of a file does not wait for the rest of it."""
    edit(project, 'version: "1.36"', "version: 1.36")
    edit(project, "accelerator: H100-80", "accelerator: H100-81\n      taintz: []")
    edit(project, "mig: all-1g.10gb", "mig: all-1g.11gb")
    (project / "stacks" / "base.yaml").write_text("config: {}\n")
    path = project / "stacks" / "Pulumi.local.yaml"
    path.write_text(path.read_text() + "  espalier:addons: {wardn: {}, warden: {helth: {}}, kueue: 3}\n")
    code, wrong = document(capsys, "check", "local")
    assert code == 2
    errors = {error["path"]: error for error in wrong["stacks"][0]["errors"]}
    assert set(errors) == {
        "espalier:cluster.version",
        "espalier:pools[1].taintz",
        "espalier:pools[1].accelerator",
        "espalier:pools[2].sharing.mig",
        "espalier:addons.wardn",
        "espalier:addons.warden.helth",
        "espalier:addons.kueue",
    }
    assert "H100-80" in errors["espalier:pools[1].accelerator"]["accepted"]
    assert errors["espalier:addons.wardn"]["do"] == "Did you mean 'warden'?"
    assert all(error["line"] > 0 for error in errors.values())


def test_what_is_told_of_wrong_settings_shows_no_secret(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(project, "    - name: v6e\n", "    - name: v6e\n      cout: 1\n")
    base = project / "stacks" / "base.yaml"
    base.write_text(base.read_text().replace("nvidia-device-plugin: {}", "nvidia-device-plugin: {secure: v1:canary}"))
    code, out, err = run(capsys, "check", "local")
    assert code == 2
    assert "a secret" in out
    assert "cout" in out
    assert "canary" not in out + err


def test_mistakes_of_the_catalogue_and_the_quota_are_exit_2(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(project, "quota: {devices: {nvidia.com/gpu: 8}", "quota: {devices: {nvidia.com/gpu: 800}")
    code, wrong = document(capsys, "check", "local")
    assert code == 2
    jsonschema.validate(wrong, schema_of("check"))
    (error,) = wrong["stacks"][0]["errors"]
    assert error["path"] == 'espalier:tenants[0].quota.devices["nvidia.com/gpu"]'
    assert error["line"] == 35
    assert "40" in error["accepted"]


def test_check_reads_every_stack(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, checked = document(capsys, "check")
    assert code == 0
    assert [stack["name"] for stack in checked["stacks"]] == STACKS


def test_an_unknown_stack_names_those_that_are(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, wrong = document(capsys, "plan", "locl")
    assert code == 2
    assert "local" in wrong["errors"][0]["accepted"] + wrong["errors"][0]["do"]


@pytest.mark.parametrize("arguments", [["plan"], ["plan", "local", "--nope"], ["nope"], ["sim", "up", "--nme"]])
def test_a_wrong_command_line_is_exit_2_and_still_json(
    arguments: list[str], project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, *arguments, "--json")
    assert code == 2
    assert json.loads(out)["errors"]
    assert "Traceback" not in err


def test_the_program_of_a_project_may_fail_without_a_traceback_on_stdout(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "__main__.py").write_text("import pulumi\nraise pulumi.RunError('not today')\n")
    code, wrong = document(capsys, "plan", "local")
    assert code == 1
    assert "not today" in wrong["errors"][0]["got"]


def test_render_writes_each_object_once_and_rewrites_only_its_own_folder(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, made = document(capsys, "render", "local", "-o", "out")
    _, plan = document(capsys, "plan", "local")
    assert code == 0
    jsonschema.validate(made, schema_of("render"))
    assert len(made["files"]) == len(set(made["files"])) == len(plan["kubernetes"])
    assert (project / "out" / "vision" / "resourcequota-tenant.yaml").is_file()
    edit(project, "name: vision", "name: sight")
    assert run(capsys, "render", "local", "-o", "out")[0] == 0
    assert not (project / "out" / "vision" / "resourcequota-tenant.yaml").exists()
    code, wrong = document(capsys, "render", "local", "-o", "stacks")
    assert code == 2
    assert "stacks holds other files" in wrong["errors"][0]["got"]
    assert (project / "stacks" / "base.yaml").is_file()


def test_a_place_that_cannot_be_written_is_a_mistake_and_no_traceback(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in (["render", "local", "-o", "Pulumi.yaml/x"], ["plan", "local", "--html", "no/such/folder/x.html"]):
        code, wrong = document(capsys, *arguments)
        assert code == 2
        assert wrong["errors"][0]["path"] == arguments[2]


def test_images_are_pinned_and_say_where(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = document(capsys, "images", "local")
    assert code == 0
    jsonschema.validate(found, schema_of("images"))
    assert {row["image"] for row in found["images"]} == {"nvcr.io/nvidia/k8s-device-plugin:v0.20.0"}
    assert {row["addon"] for row in found["images"]} == {"nvidia-device-plugin"}


def test_addons_document_fits_its_schema(capsys: pytest.CaptureFixture[str]) -> None:
    code, found = document(capsys, "addons")
    assert code == 0
    jsonschema.validate(found, schema_of("addons"))


@pytest.mark.parametrize("name", ["settings", *DOCUMENTS])
def test_every_schema_is_a_schema(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "schema", "--of", name)
    assert code == 0
    jsonschema.Draft202012Validator.check_schema(json.loads(out))


@pytest.mark.parametrize(
    "command",
    ["plan", "check", "schema", "render", "images", "addons", "preview", "up", "destroy", "verify", "rehearse"],
)
def test_help_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, command, "--help")
    assert code == 0
    assert re.search(rf"Example: espalier {command}", out)


def test_the_settings_schema_in_the_stacks_folder_is_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "schema")
    assert json.loads((ROOT / "stacks" / "schema.json").read_text()) == json.loads(out)


def test_all_faults_are_listed_in_help_of_the_command_and_in_the_docs(capsys: pytest.CaptureFixture[str]) -> None:
    code, found = document(capsys, "sim", "fault")
    assert code == 0
    docs = (ROOT / "docs" / "simulated-cluster.md").read_text(encoding="utf-8")
    lines = [line for line in docs.splitlines() if line.startswith(("| any process", "| `karpenter`", "| `nodes`"))]
    for row in found["faults"]:
        (line,) = [line for line in lines if row["component"] in line and f"`{row['kind']}`" in line]
        assert all(f"--{option}" in line for option in row["options"])


def test_a_fault_that_cannot_be_is_told_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    code, found = document(capsys, "sim", "fault", "nodes", "--kind", "melt")
    assert code == 1
    (error,) = found["errors"]
    assert error["got"] == "there is no fault 'melt' of nodes"
    assert "lose-device" in error["do"]
