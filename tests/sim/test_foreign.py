"""A program that is not Espalier's brings up one pool and one tenant from the wheel, on a live API."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]

PROGRAM = """
import pulumi
import pulumi_kubernetes
from espalier.components import Pool, Tenant

cluster = pulumi_kubernetes.Provider("own", kubeconfig=pulumi.Config().require("kubeconfig"))
inside = pulumi.ResourceOptions(providers=[cluster])
pool = Pool("gpus", {"name": "foreign", "accelerator": "T4", "count": 1, "nodes": {"min": 1, "max": 2}}, inside)
quota = {"devices": {"nvidia.com/gpu": 1}}
tenant = Tenant("guests", {"name": "foreign-guests", "groups": {"edit": ["guests"]}, "quota": quota}, inside)
pulumi.export("namespaces", tenant.namespaces)
pulumi.export("nodes", pool.nodes)
"""

ENGINE = """
import json, sys
from pathlib import Path
import espalier
from espalier.engine.program import Program
from espalier.engine.destroy import destroy
from espalier.engine.up import up

action, kubeconfig = sys.argv[1:]
if action == "up":
    result = up(Program(Path.cwd(), "theirs", "dev", {"theirs:kubeconfig": kubeconfig}))
    ops = sorted({change.op for change in result.changes})
    updates = [[change.urn, *change.fields] for change in result.changes if change.op == "update"]
    print(json.dumps({"where": espalier.__file__, "ops": ops, "updates": updates, "outputs": result.outputs}))
else:
    print(json.dumps(sorted({change.op for change in destroy("theirs", "dev", Path(kubeconfig))})))
"""


def run(*command: str, cwd: Path, **env: str) -> str:
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, kubeconfig: Path) -> Callable[[str], Any]:
    """The embedded engine of the installed wheel, run in the foreign project."""
    folder = tmp_path_factory.mktemp("foreign")
    site, project = folder / "site", folder / "project"
    project.mkdir()
    (project / "Pulumi.yaml").write_text("name: theirs\nruntime: python\n", "utf-8")
    (project / "__main__.py").write_text(PROGRAM, "utf-8")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT), cwd=folder)
    (wheel,) = folder.glob("*.whl")
    pip = ("install", "--quiet", "--no-deps", "--no-index", "--target", str(site), str(wheel))
    run(sys.executable, "-m", "pip", *pip, cwd=folder)

    def act(action: str) -> Any:
        text = run(sys.executable, "-c", ENGINE, action, str(kubeconfig), cwd=project, PYTHONPATH=str(site))
        found = json.loads(text)
        if action == "up":
            assert Path(found["where"]).is_relative_to(site), "the checkout was used, not the wheel"
        return found

    return act


def test_a_foreign_program_brings_up_one_pool_and_one_tenant(
    engine: Callable[[str], Any], api: Any, eventually: Any
) -> None:
    made = engine("up")
    assert made["ops"] == ["create"]
    assert made["outputs"]["namespaces"] == ["foreign-guests"]
    (node,) = made["outputs"]["nodes"]
    try:
        hard = api.get("/api/v1/namespaces/foreign-guests/resourcequotas/tenant")["spec"]["hard"]
        assert hard["requests.nvidia.com/gpu"] == "1"
        binding = "/apis/rbac.authorization.k8s.io/v1/namespaces/foreign-guests/rolebindings/tenant-edit"
        assert api.get(binding)["subjects"][0]["name"] == "guests"
        ready = {"type": "Ready", "status": "True"}

        def is_ready() -> bool:
            status = api.get(f"/api/v1/nodes/{node}").get("status", {})
            found = any(ready.items() <= condition.items() for condition in status.get("conditions", []))
            return found and status.get("allocatable", {}).get("nvidia.com/gpu") == "1"

        eventually(is_ready)
        again = engine("up")
        assert not again["updates"], str(again["updates"])
    finally:
        engine("destroy")
    assert api.missing(f"/api/v1/nodes/{node}")
    assert api.missing("/api/v1/namespaces/foreign-guests")
