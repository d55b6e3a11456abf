"""The wheel in another project: one import package, complete, and usable by a foreign program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PROGRAM = """
import pulumi
import pulumi_kubernetes
from espalier.components import Pool, Tenant

cluster = pulumi_kubernetes.Provider("own", kubeconfig="~/.kube/config", context="theirs")
inside = pulumi.ResourceOptions(providers=[cluster])
pool = Pool("gpus", {"name": "t4", "accelerator": "T4", "count": 1, "nodes": {"min": 1, "max": 2}}, inside)
tenant = Tenant("vision", {"name": "vision", "quota": {"devices": {"nvidia.com/gpu": 1}}}, inside)
pulumi.export("namespaces", tenant.namespaces)
pulumi.export("nodes", pool.nodes)
"""

RECORD = """
import json, sys
from pathlib import Path
import espalier
from espalier.engine.program import Program
from espalier.engine.record import record

recording = record(Program(Path.cwd(), "theirs", "dev"))
print(json.dumps({"where": espalier.__file__, **recording.to_json()}))
"""


def run(*command: str, cwd: Path, **env: str) -> str:
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT), cwd=out)
    (made,) = out.glob("*.whl")
    return made


def contents(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_nothing_but_espalier_lands_in_site_packages(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in contents(wheel)}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"espalier"}
    assert not [name for name in contents(wheel) if "__pycache__" in name]


def test_every_file_of_the_packages_is_in_the_wheel(wheel: Path) -> None:
    """Code and data alike; what the checkout links below espalier/ is there as files."""
    listed = run("git", "ls-files", "--", "espalier", "addons", "components", "policies", cwd=ROOT).split()
    expected = {
        name if name.startswith("espalier/") else f"espalier/{name}" for name in listed if (ROOT / name).is_file()
    }
    missing = expected - contents(wheel)
    assert not missing
    assert {
        "espalier/catalogue/accelerators.yaml",
        "espalier/sim/gomod/go.sum",
        "espalier/policies/__main__.py",
    } <= expected


def test_a_foreign_program_uses_a_pool_and_a_tenant(wheel: Path, tmp_path: Path) -> None:
    site, project = tmp_path / "site", tmp_path / "project"
    project.mkdir()
    (project / "Pulumi.yaml").write_text("name: theirs\nruntime: python\n", "utf-8")
    (project / "__main__.py").write_text(PROGRAM, "utf-8")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--target",
        str(site),
        str(wheel),
    ]
    run(*pip, cwd=tmp_path)
    found = json.loads(run(sys.executable, "-c", RECORD, cwd=project, PYTHONPATH=str(site)))
    assert Path(found["where"]).is_relative_to(site), "the checkout was used, not the wheel"
    made = {resource["name"]: resource for resource in found["resources"]}
    objects = [resource for resource in found["resources"] if resource["type"].startswith("kubernetes:")]
    assert {resource["provider"].rpartition("::")[2] for resource in objects} == {"own"}
    assert made["vision-team-quota"]["inputs"]["spec"]["hard"]["requests.nvidia.com/gpu"] == "1"
    assert found["outputs"]["namespaces"] == ["vision"]
    assert len(found["outputs"]["nodes"]) == 1
