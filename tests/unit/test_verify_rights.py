"""What people of a tenant are expected to be able to do where, by the plan."""

from typing import Any

from espalier.blueprint import build
from espalier.blueprint.tenants import TenantPlan
from espalier.settings import validate
from espalier.verify.rights import SIBLINGS, Subject, expected_of


def tenant(**block: Any) -> TenantPlan:
    for work in block.get("workspaces", []):
        work["quota"] = {"cpu": 1}
    settings = {"cluster": {"kind": "simulated"}, "tenants": [{"name": "vision", **block}]}
    (found,) = build(validate(settings, where="test"), {}).tenants
    return found


def test_each_group_and_person_has_the_rights_of_its_roles_and_nothing_where_it_has_none() -> None:
    plan = tenant(
        groups={"view": ["readers"]},
        owners=["olga"],
        workspaces=[{"name": "ana", "owners": ["ana"], "groups": {}}, {"name": "ben", "owners": ["ben"]}],
    )
    found = {(one.subject, one.namespace): one.rights for one in expected_of(plan)}
    ana, olga, readers = Subject("User", "ana"), Subject("User", "olga"), Subject("Group", "readers")
    assert found[ana, "vision-ben"] == frozenset()
    assert found[readers, "vision-ana"] == frozenset()
    assert found[ana, "vision-ana"] == found[olga, "vision-ana"] == found[olga, "vision-ben"]
    assert {"create serviceaccounts", "get pods/exec", "list roles.rbac.authorization.k8s.io"} <= found[
        ana, "vision-ana"
    ]
    assert "get secrets" not in found[readers, "vision-ben"]
    assert "watch jobs.batch" in found[readers, "vision-ben"]


def test_who_has_a_role_by_another_name_too_is_expected_to_have_each_by_itself() -> None:
    plan = tenant(groups={"view": ["readers"], "edit": ["makers"]}, owners=["olga"])
    found = {one.subject.name: one.rights for one in expected_of(plan)}
    assert found["readers"] < found["makers"] < found["olga"]


def test_the_effort_grows_with_the_workspaces_not_with_their_square() -> None:
    def asked(count: int) -> int:
        named = [{"name": f"w{i}", "owners": [f"p{i}"], "groups": {}} for i in range(count)]
        return len(expected_of(tenant(workspaces=named)))

    assert (asked(2), asked(10), asked(20)) == (4, 10 * (1 + SIBLINGS), 20 * (1 + SIBLINGS))
