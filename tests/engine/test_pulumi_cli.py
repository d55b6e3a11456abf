"""The same program under the Pulumi CLI, where there is one: preview of the sample stack with the policy pack."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(shutil.which("pulumi") is None, reason="no pulumi on PATH")


@pytest.fixture
def pulumi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command, with a backend of its own in a folder that the test leaves behind."""
    project = tmp_path / "project"
    shutil.copytree(ROOT, project, ignore=shutil.ignore_patterns(".git", ".venv", "dist"), symlinks=True)
    (project / ".venv").symlink_to(ROOT / ".venv")
    (tmp_path / "state").mkdir()
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{tmp_path / 'state'}")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "rehearsal")
    monkeypatch.setenv("PULUMI_SKIP_UPDATE_CHECK", "true")
    command = ["pulumi", "--cwd", str(project), "--non-interactive"]
    subprocess.run([*command, "stack", "init", "local"], check=True, capture_output=True, env=dict(os.environ))
    return command


@pytest.mark.supports("Pulumi CLI", "planned")
def test_preview_registers_what_the_plan_says(pulumi: list[str]) -> None:
    done = subprocess.run(
        [*pulumi, "preview", "--stack", "local", "--policy-pack", str(ROOT / "policies"), "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for part in ("platform-tenant-vision", "platform-nvidia-device-plugin", "platform-pool-h100"):
        assert part in done.stdout
