"""What holds tenants whatever their roles are: the objects; tests/sim/test_tenant_guards.py has what they do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from espalier.addons import RECORDS
from espalier.blueprint import build
from espalier.blueprint.guards import guards
from espalier.settings import load_file, validate

ROOT = Path(__file__).parents[2]


def kinds(blueprint: Any) -> list[tuple[str, str]]:
    return [(p.manifest["kind"], p.manifest["metadata"]["name"]) for p in blueprint.objects if "guard-" in p.suffix]


def test_each_guard_denies_and_fails_closed() -> None:
    made = [guard.manifest for guard in guards("1.36")]
    policies = {one["metadata"]["name"]: one for one in made if one["kind"] == "ValidatingAdmissionPolicy"}
    bindings = {one["spec"]["policyName"]: one for one in made if one["kind"] == "ValidatingAdmissionPolicyBinding"}
    assert policies.keys() == bindings.keys()
    assert {one["spec"]["failurePolicy"] for one in policies.values()} == {"Fail"}
    assert [one["spec"]["validationActions"] for one in bindings.values()] == [["Deny"]] * len(policies)


def test_a_stack_with_tenants_has_them_and_one_without_has_none() -> None:
    with_tenants = build(load_file(ROOT / "stacks" / "Pulumi.local.yaml").settings, RECORDS)
    assert len(kinds(with_tenants)) == len(guards("1.36"))
    assert kinds(build(validate({"cluster": {"kind": "simulated"}}, where="espalier"), RECORDS)) == []
