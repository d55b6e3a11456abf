"""Whom `isolation` asks as, and about what: complete where it must be, bounded where it can be."""

from collections import Counter
from collections.abc import Mapping

from espalier.blueprint import Blueprint, build
from espalier.kube import ApiError
from espalier.settings import validate
from espalier.verify.isolation import PEOPLE, SAMPLE, SUSPECTS, members_of, people_of
from espalier.verify.tenants import may_not_impersonate, refused_as_member

SYSTEM = ("default", "espalier-system", "kube-system")


def blueprint(*tenants: Mapping[str, object]) -> Blueprint:
    return build(validate({"cluster": {"kind": "simulated"}, "tenants": list(tenants)}, where="test"), {})


def many(count: int) -> Blueprint:
    return blueprint(*({"name": f"t{i:04}", "groups": {"edit": [f"g{i:04}"]}} for i in range(count)))


def test_each_tenant_is_asked_about_a_few_others_and_each_is_asked_about() -> None:
    members = members_of(many(50), {})
    assert all(len(found) == 1 for found in members.values())
    asked = [name for (member,) in members.values() for name in member.foreign if name not in SYSTEM]
    assert set(Counter(asked).values()) == {SAMPLE}
    assert set(asked) == {f"t{i:04}" for i in range(50)}
    (first,) = members["t0000"]
    assert first.foreign == ("t0001", "t0002", "t0003", *SYSTEM)
    assert (first.sample, first.others) == (3, 49)


def test_the_sample_is_the_same_each_time_and_grows_with_the_tenants_not_with_their_square() -> None:
    for plan in (many(100), many(1000)):
        members = members_of(plan, {})
        assert sum(len(m.foreign) for (m,) in members.values()) == len(plan.tenants) * (SAMPLE + len(SYSTEM))
        assert members == members_of(plan, {})


def test_a_binding_that_no_plan_knows_is_asked_about_wherever_it_is() -> None:
    members = members_of(many(50), {"g0000": ["t0040", "t0000", "elsewhere"], "system:authenticated": ["t0030"]})
    (first,) = members["t0000"]
    assert first.foreign == ("t0001", "t0002", "t0003", "t0030", "t0040", *SYSTEM)
    assert "t0030" in members["t0010"][0].foreign
    assert "t0040" not in members["t0010"][0].foreign


def test_even_a_thousand_such_bindings_make_only_so_many_questions() -> None:
    everywhere = [f"t{i:04}" for i in range(50)]
    members = members_of(many(50), {"system:authenticated": everywhere})
    assert max(member.sample for (member,) in members.values()) <= SAMPLE + SUSPECTS


def test_members_of_a_shared_group_are_at_home_with_all_who_share_it() -> None:
    plan = blueprint(
        {"name": "a", "groups": {"edit": ["a-team"], "view": ["readers"]}},
        {"name": "b", "groups": {"edit": ["b-team"], "view": ["readers"]}},
        {"name": "c", "groups": {"edit": ["c-team"]}},
    )
    alone, shared = members_of(plan, {})["a"]
    assert (alone.groups, alone.foreign[: alone.sample]) == (("a-team",), ("b", "c"))
    assert (shared.groups, shared.foreign[: shared.sample]) == (("readers",), ("c",))


def test_a_tenant_without_groups_is_asked_as_anyone_with_an_account() -> None:
    plan = blueprint({"name": "a"}, {"name": "b"})
    (member,) = members_of(plan, {})["a"]
    assert (member.groups, member.foreign[: member.sample]) == ((), ("b",))


def test_people_are_asked_about_tenants_that_do_not_name_them_and_those_with_a_binding_first() -> None:
    plan = blueprint(
        {"name": "a", "owners": ["p1", "p2", "p3", "p4", "olga"]},
        {"name": "b", "owners": ["olga"]},
        {"name": "c", "workspaces": [{"name": "x", "owners": ["carl"]}]},
    )
    found = people_of(plan, {"p4": ["b"]})
    assert [(person.name, person.foreign) for person in found["a"]] == [
        ("p4", ("b", "c")),
        ("olga", ("c",)),
        ("p1", ("b", "c")),
    ]
    assert len(found["a"]) == PEOPLE
    assert [(person.name, person.foreign) for person in found["c"]] == [("carl", ("a", "b"))]


def test_only_a_refusal_of_the_tenants_user_counts() -> None:
    tenants = ApiError(403, "Forbidden", 'pods is forbidden: User "verify@espalier" cannot list resource "pods"')
    ours = ApiError(
        403,
        "Forbidden",
        'users "verify@espalier" is forbidden: User "reader" cannot impersonate resource "users" in API group ""',
    )
    admission = ApiError(403, "Forbidden", 'pods "x" is forbidden: exceeded quota: tenant')
    assert [refused_as_member(error) for error in (tenants, ours, admission)] == [True, False, False]
    assert [may_not_impersonate(error) for error in (tenants, ours, admission)] == [False, True, False]
