"""What the clouds have in common to whoever uses them: outputs, what a plan loads, what a tenant costs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from espalier.engine.model import Resource
from espalier.engine.program import Program
from espalier.engine.record import record
from espalier.settings.load import load_file

ROOT = Path(__file__).parents[2]
SDKS = {"aws": "pulumi_aws", "gcp": "pulumi_gcp", "azure": "pulumi_azure_native"}
COMPONENTS = {"aws": "EksCluster", "gcp": "GkeCluster", "azure": "AksCluster"}
TENANT: dict[str, Any] = {"name": "further", "groups": {"view": ["readers"], "edit": ["writers"]}}


def _resources(stack: str, config: Mapping[str, str]) -> dict[str, Resource]:
    return {one.urn: one for one in record(Program(ROOT, "espalier", stack, config)).resources}


@cache
def recorded(stack: str) -> dict[str, Resource]:
    return _resources(stack, load_file(ROOT / "stacks" / f"Pulumi.{stack}.yaml").config)


# Outputs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cloud", SDKS)
def test_a_cluster_has_the_same_outputs_in_each_cloud(cloud: str) -> None:
    """Beside the parts that a stack file asks for: who replaces a cloud by another reads on what it read."""
    (component,) = [
        one for one in recorded(f"{cloud}-dev").values() if one.type == f"espalier:index:{COMPONENTS[cloud]}"
    ]
    outputs = component.to_json()["outputs"]
    assert outputs.keys() == {"kubeconfig", "endpoint", "certificate_authority", "oidc_issuer"}
    assert outputs["kubeconfig"] == {"$secret": True}


# What a plan loads -------------------------------------------------------------------------------------------------

_PLAN = """
import json, re, sys
from espalier.cli import main
sys.argv = ["espalier", "plan", sys.argv[1], "--json"]
try:
    main()
except SystemExit as end:
    assert end.code in (None, 0, 1), end.code
pulumi = {name for name in sys.modules if name.startswith("pulumi_") and "." not in name}
clients = {"azure", "boto3", "botocore", "google.auth", "google.cloud", "googleapiclient", "kubernetes"}
# Of this process alone: what getrusage tells a child begins with its parent's.
most = re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())
found = {"loaded": sorted(pulumi | clients & set(sys.modules)), "mib": int(most.group(1)) / 1024}
print(json.dumps(found), file=sys.stderr)
"""


@pytest.mark.parametrize("stack", [f"{cloud}-{env}" for cloud in SDKS for env in ("dev", "prod")])
def test_a_plan_loads_no_other_clouds_sdk_and_stays_small(stack: str) -> None:
    command = [sys.executable, "-c", _PLAN, stack]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 0, done.stderr[-2000:]
    plan = json.loads(done.stdout)
    assert plan["stack"] == stack
    # Charts that nobody has fetched fail proofs of theirs, and are all that may.
    assert [proof for proof in plan["proofs"] if not proof["ok"] and "not rendered" not in proof["evidence"]] == []
    found = json.loads(done.stderr.strip().splitlines()[-1])
    assert found["loaded"] == [SDKS[stack.partition("-")[0]]]
    assert found["mib"] <= 400


# What a tenant costs -----------------------------------------------------------------------------------------------


def further(stack: str, tenant: dict[str, Any]) -> list[str]:
    """The URNs that a tenant more brings to a stack, its component's among them."""
    config = dict(load_file(ROOT / "stacks" / f"Pulumi.{stack}.yaml").config)
    tenants = [*json.loads(config["espalier:tenants"]), tenant]
    more = _resources(stack, config | {"espalier:tenants": json.dumps(tenants)})
    return sorted(more.keys() - recorded(stack).keys())


@pytest.mark.parametrize("cloud", SDKS)
def test_a_tenant_is_at_most_twelve_resources_and_nine_more_a_workspace(cloud: str) -> None:
    """What is added to each plan, each `up` and each state: with all roles, and what a workspace adds with two."""
    every = {"view": ["readers"], "edit": ["writers"], "admin": ["owners"]}
    assert len(further(f"{cloud}-dev", TENANT | {"groups": every})) <= 12
    works = [{"name": name, "quota": {"cpu": 1}} for name in ("a", "b")]
    one, two = further(f"{cloud}-dev", TENANT), further(f"{cloud}-dev", TENANT | {"workspaces": works})
    assert len(two) - len(one) <= 9
