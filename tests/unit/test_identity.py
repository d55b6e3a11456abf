"""The identity provider: how its people are named and bound on each kind of cluster, and what is refused of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from espalier.addons import RECORDS
from espalier.blueprint import Blueprint, build
from espalier.blueprint.identity import authentication_configuration
from espalier.settings import validate
from espalier.types import Mistakes
from tests.unit.eks_stacks import STACK as ON_EKS
from tests.unit.test_aks_mistakes import CLUSTER as AKS
from tests.unit.test_gke_mistakes import CLUSTER as GKE

EKS: dict[str, Any] = ON_EKS["cluster"]
SYSTEM = {
    "eks": {"name": "system", "machine": {"cpu": 4, "memory": "16Gi"}, "nodes": {"min": 2, "max": 6}},
    "gke": {"name": "system", "machine": "e2-standard-4", "nodes": {"min": 1, "max": 3}},
    "aks": {"name": "system", "machine": "Standard_D4s_v5", "nodes": {"min": 2, "max": 3}},
}
SIMULATED = {"kind": "simulated"}
EXISTING = {"kind": "existing", "version": "1.33", "kubeconfig": "~/.kube/config", "context": "lab"}
URL = "https://id.example.com/realms/ml"
ENTRA = "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0"
GROUP_ID = "0f1e2d3c-0000-4000-8000-00000000abcd"
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
TENANT = {"name": "vision", "groups": {"edit": ["engineers"]}, "owners": ["olga@example.com"]}


def stack(cluster: Any, identity: Any, *tenants: Any) -> dict[str, Any]:
    blocks = list(tenants) or [TENANT]
    kind = cluster.get("stands-for", cluster)["kind"]
    pools = [SYSTEM[kind]] if kind in SYSTEM else []
    return {"cluster": cluster, "pools": pools, "tenants": blocks, **({"identity": identity} if identity else {})}


def settings(cluster: Any, identity: Any, *tenants: Any) -> Any:
    return validate(stack(cluster, identity, *tenants), where="espalier")


def subjects(blueprint: Blueprint) -> dict[str, list[tuple[str, str]]]:
    """Role -> kind and name of all that it is bound to."""
    objects = [p.manifest for tenant in blueprint.tenants for work in tenant.workspaces for p in work.objects]
    return {
        one["metadata"]["name"]: [(subject["kind"], subject["name"]) for subject in one["subjects"]]
        for one in objects
        if one["kind"] == "RoleBinding"
    }


def bound(cluster: Any, identity: Any, *tenants: Any) -> dict[str, list[tuple[str, str]]]:
    return subjects(build(settings(cluster, identity, *tenants), RECORDS))


def test_without_a_provider_names_are_bound_as_they_are() -> None:
    assert bound(SIMULATED, None) == {
        "tenant-edit": [("Group", "engineers")],
        "tenant-admin": [("User", "olga@example.com")],
    }


def test_names_are_bound_with_their_prefixes_and_policies_and_plan_know_them_so() -> None:
    made = build(settings(SIMULATED, {"issuer": URL, "username-prefix": "id/", "groups-prefix": "ad:"}), RECORDS)
    assert subjects(made) == {
        "tenant-edit": [("Group", "ad:engineers")],
        "tenant-admin": [("User", "id/olga@example.com")],
    }
    (tenant,) = made.policy_facts()["tenants"]
    assert (tenant["groups"], tenant["people"]) == ({"edit": ["ad:engineers"]}, ["id/olga@example.com"])


def test_a_simulated_clouds_people_are_named_as_the_cloud_does() -> None:
    plays = {"kind": "simulated", "stands-for": GKE}
    assert bound(plays, {"workforce-pool": "ml-people"})["tenant-edit"][0][1].startswith("principalSet://")


def test_gke_knows_people_by_the_principals_of_a_workforce_pool() -> None:
    root = "iam.googleapis.com/locations/global/workforcePools/ml-people"
    assert bound(GKE, {"workforce-pool": "ml-people"}) == {
        "tenant-edit": [("Group", f"principalSet://{root}/group/engineers")],
        "tenant-admin": [("User", f"principal://{root}/subject/olga@example.com")],
    }


def test_aks_knows_groups_by_their_object_ids() -> None:
    tenant = {"name": "vision", "groups": {"edit": [GROUP_ID]}}
    assert bound(AKS, {"issuer": ENTRA}, tenant) == {"tenant-edit": [("Group", GROUP_ID)]}


def test_groups_of_iam_principals_have_no_prefix_on_eks() -> None:
    cluster = {**EKS, "groups": {"engineers": ["arn:aws:iam::111122223333:role/engineers"]}}
    tenant = {"name": "vision", "groups": {"edit": ["engineers"], "view": ["readers"]}}
    assert bound(cluster, {"issuer": URL}, tenant) == {
        "tenant-edit": [("Group", "engineers")],
        "tenant-view": [("Group", "oidc:readers")],
    }


def test_an_api_server_of_ones_own_is_told_of_the_issuer() -> None:
    known = settings(EXISTING, {"issuer": URL, "client-id": "k8s", "ca": PEM, "username-claim": "sub"})
    assert authentication_configuration(known) == {
        "apiVersion": "apiserver.config.k8s.io/v1beta1",
        "kind": "AuthenticationConfiguration",
        "jwt": [
            {
                "issuer": {"url": URL, "audiences": ["k8s"], "certificateAuthority": PEM},
                "claimMappings": {
                    "username": {"claim": "sub", "prefix": "oidc:"},
                    "groups": {"claim": "groups", "prefix": "oidc:"},
                },
            }
        ],
    }
    newer = settings({**EXISTING, "version": "1.34"}, {"issuer": URL})
    assert authentication_configuration(newer)["apiVersion"] == "apiserver.config.k8s.io/v1"


@pytest.mark.parametrize(("cluster", "identity", "count"), [
    (SIMULATED, {"issuer": URL}, 1),
    (SIMULATED, None, 0),
    ({"kind": "simulated", "stands-for": EKS}, {"issuer": URL}, 1),
    ({"kind": "simulated", "stands-for": GKE}, {"issuer": URL, "workforce-pool": "ml-people"}, 0),
])  # fmt: skip
def test_a_simulated_cluster_trusts_the_issuer_that_the_real_one_would(cluster: Any, identity: Any, count: int) -> None:
    assert len(json.loads(build(settings(cluster, identity), RECORDS).issuers)) == count


WRONG_SETTINGS: list[tuple[dict[str, Any], str]] = [
    ({"issuer": "http://id.example.com"},
     "got 'http://id.example.com'; accepted: an https:// URL without a query, such as https://id.example.com."),
    ({"issuer": f"{URL}?realm=ml"}, "an https:// URL without a query"),
    ({"issuer": "https://user:pass@id.example.com"}, "an https:// URL without a query"),
    ({"issuer": URL, "groups-prefix": ""}, "text that ends with :, /, # or |, such as oidc:"),
    ({"issuer": URL, "groups-prefix": "system"}, "text that ends with :, /, # or |, such as oidc:"),
    ({"issuer": URL, "groups-prefix": "system:"},
     "espalier.identity.groups-prefix: got 'system:'; accepted: a prefix of your own: system: is Kubernetes', and eks: "
     "Amazon's."),
    ({"issuer": URL, "username-prefix": "eks:"}, "a prefix of your own: system: is Kubernetes', and eks: Amazon's"),
    ({"issuer": URL, "ca": "/etc/ssl/ca.pem"}, "certificates in PEM, from BEGIN CERTIFICATE to END CERTIFICATE"),
    ({"issuer": URL, "username-claim": "a b"}, "a claim's name, such as groups"),
    ({"issuer": URL, "client-id": ""}, "a client's id, such as kubernetes"),
    ({"workforce-pool": "ML"}, "a workforce pool's id: lower-case letters, digits and -, 6 to 63 characters"),
    ({"issuer": URL, "client-secret": "hunter2"}, "client-secret: got an unknown key; accepted: the keys ca, "
     "client-id, groups-claim, groups-prefix, issuer, username-claim, username-prefix, workforce-pool."),
]  # fmt: skip


@pytest.mark.parametrize(("identity", "text"), WRONG_SETTINGS)
def test_wrong_settings_are_refused(identity: dict[str, Any], text: str) -> None:
    with pytest.raises(Mistakes) as found:
        settings(SIMULATED, identity)
    assert text in found.value.args[0]
    assert "hunter2" not in found.value.args[0]


def group(name: str) -> dict[str, Any]:
    return {"name": "vision", "groups": {"edit": [name]}}


ON_GKE = {"workforce-pool": "ml-people"}
WRONG: list[tuple[Any, Any, list[Any], list[str]]] = [
    (SIMULATED, {"client-id": "k8s"}, [],
     ["espalier:identity.issuer: got nothing; accepted: the URL of an OpenID Connect issuer. Add the key."]),
    (SIMULATED, {"issuer": URL, **ON_GKE}, [],
     ["espalier:identity.workforce-pool: got 'ml-people'; accepted: an issuer alone: workforce pools are Google's. "
      "Remove the key."]),
    (EKS, {"issuer": URL, "ca": PEM}, [],
     ["espalier:identity.ca: got a CA; accepted: no CA: EKS reaches an issuer over the internet, and trusts public "
      "certificates alone. Give the issuer a certificate that everybody trusts, and remove the key."]),
    ({**EKS, "groups": {"oidc:vision": ["arn:aws:iam::111122223333:role/x"]}}, {"issuer": URL}, [],
     ["espalier:cluster.groups.oidc:vision: got oidc:vision, which is what people of the provider's group vision have, "
      "too; accepted: groups of IAM principals that do not start with oidc:. Rename it here and in the tenants."]),
    (GKE, {"issuer": URL}, [],
     ["espalier:identity.workforce-pool: got nothing; accepted: the id of a workforce identity pool: GKE takes no "
      "other issuer (Identity Service for GKE is ended). Federate the identity provider in a workforce pool of your "
      "organisation, and name it."]),
    (GKE, {**ON_GKE, "groups-prefix": "ad:"}, [],
     ["espalier:identity.groups-prefix: got 'ad:'; accepted: no prefix: a workforce pool's principals are bound by "
      "their full names. Remove the key."]),
    (GKE, {**ON_GKE, "groups-claim": "roles"}, [],
     ["espalier:identity.groups-claim: got 'roles'; accepted: only beside an issuer, which web pages log in by. Remove "
      "the key."]),
    (AKS, {"issuer": URL}, [group(GROUP_ID)],
     [f"espalier:identity.issuer: got {URL}; accepted: Microsoft Entra, https://login.microsoftonline.com/<tenant>/v2.0"
      ": AKS knows people by no other (its JWT authenticators are a preview). Federate the identity provider in Entra, "
      "and name that."]),
    (AKS, {"issuer": ENTRA, "username-prefix": "oidc:"}, [group(GROUP_ID)],
     ["espalier:identity.username-prefix: got 'oidc:'; accepted: no prefix: AKS puts none before Entra's names. Remove "
      "the key."]),
    (AKS, {"issuer": ENTRA}, [group("engineers")],
     ["espalier:tenants[0].groups.edit[0]: got 'engineers'; accepted: the object id of a group in Entra, by which AKS "
      "knows it. Name the group by its object id."]),
    (SIMULATED, {"issuer": URL}, [group("oidc:engineers")],
     ["espalier:tenants[0].groups.edit[0]: got 'oidc:engineers'; accepted: the identity provider's own name: oidc: is "
      "put before it. Write engineers."]),
    (SIMULATED, {"issuer": URL}, [{"name": "vision", "workspaces": [{"name": "a", "owners": ["oidc:ana"]}]}],
     ["espalier:tenants[0].workspaces[0].owners[0]: got 'oidc:ana'; accepted: the identity provider's own name: oidc: "
      "is put before it. Write ana."]),
    (SIMULATED, None, [group("Engineers"), {"name": "b", "groups": {"view": ["engineers"]}}],
     ["espalier:tenants[1].groups.view[0]: got 'engineers', which tenants[0].groups.edit[0] spells Engineers; "
      "accepted: one spelling of a group, as tokens have it: Kubernetes tells capitals from small letters. "
      "Spell both alike."]),
    (SIMULATED, None,
     [{"name": "a", "groups": {"edit": ["ML"]}, "workspaces": [{"name": "x", "groups": {"view": ["ml"]}}]}],
     ["espalier:tenants[0].workspaces[0].groups.view[0]: got 'ml', which tenants[0].groups.edit[0] spells ML; "
      "accepted: one spelling of a group, as tokens have it: Kubernetes tells capitals from small letters. "
      "Spell both alike."]),
]  # fmt: skip


@pytest.mark.parametrize(("cluster", "identity", "tenants", "texts"), WRONG)
def test_what_a_cluster_cannot_do_of_it_is_refused(
    cluster: Any, identity: Any, tenants: list[Any], texts: list[str]
) -> None:
    with pytest.raises(Mistakes) as found:
        build(settings(cluster, identity, *tenants), RECORDS)
    assert [mistake.text() for mistake in found.value.mistakes] == texts


def test_one_group_may_be_in_two_tenants() -> None:
    made = build(settings(SIMULATED, {"issuer": URL}, group("engineers"), {**group("engineers"), "name": "b"}), RECORDS)
    assert [tenant.groups["edit"] for tenant in made.tenants] == [("oidc:engineers",), ("oidc:engineers",)]
