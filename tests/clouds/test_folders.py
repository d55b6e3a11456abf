"""Tenants' parts of buckets in each cloud: whoever is let into one reaches no other's."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.blueprint.clouds.aks import folders as aks
from espalier.blueprint.clouds.eks.folders import policy
from espalier.blueprint.clouds.eks.policies import Where
from espalier.blueprint.clouds.gke import folders as gke
from espalier.blueprint.clouds.parts import Bucket
from espalier.blueprint.clouds.tenancy import Folder
from espalier.engine.values import UNKNOWN
from espalier.settings import validate
from tests.clouds.recorded import Graph, recorded
from tests.clouds.stacks import GIVEN_EKS, graph_of

SPACES = {"vision": "vision/", "language-dev": "teams/language/dev/", "language-prod": "teams/language/prod/"}


def made(graph: Graph, type_: str) -> dict[str, Any]:
    """Namespace -> inputs of the one resource of a type that is of its folder."""
    found = {name.partition("-folder-")[2]: graph.inputs(name) for name in graph.of(type_) if "-folder-" in name}
    return {name.removesuffix("-policy").removesuffix("-pods").removesuffix("-right"): found[name] for name in found}


def folder(prefix: str, given_: str | None = None) -> Folder:
    bucket = Bucket(key="models", name="b1", url="s3://b1", given=given_, old_versions=1)
    return Folder(namespace="x", bucket=bucket, prefix=prefix)


def test_an_s3_folder_is_a_role_of_one_service_account_for_its_prefix_alone() -> None:
    graph = graph_of("given-eks", imagined=True)
    roles, policies = made(graph, "aws:iam/role:Role"), made(graph, "aws:iam/rolePolicy:RolePolicy")
    pods = made(graph, "aws:eks/podIdentityAssociation:PodIdentityAssociation")
    assert roles.keys() == policies.keys() == pods.keys() == SPACES.keys()
    assert len({role["name"] for role in roles.values()}) == len(SPACES)
    for space, prefix in SPACES.items():
        assert (pods[space]["namespace"], pods[space]["serviceAccount"]) == (space, "default")
        assert f"platform-cluster-folder-{space}-policy" in graph.before[f"platform-cluster-folder-{space}-pods"]
        (trust,) = json.loads(roles[space]["assumeRolePolicy"])["Statement"]
        assert trust["Condition"]["StringEquals"]["aws:RequestTag/kubernetes-namespace"] == space
        assert trust["Condition"]["StringLike"] == {
            "aws:RequestTag/eks-cluster-arn": "arn:aws:eks:us-east-1:123456789012:cluster/given"
        }
        assert roles[space]["permissionsBoundary"] == "arn:aws:iam::123456789012:policy/boundary"
        listed, objects = json.loads(policies[space]["policy"])["Statement"]
        assert listed["Condition"] == {"StringLike": {"s3:prefix": f"{prefix}*"}}
        assert objects["Resource"] == f"{listed['Resource']}/{prefix}*"
        assert all(action.startswith("s3:") for action in (*listed["Action"], *objects["Action"]))


PREFIXES = st.from_regex(r"\A([A-Za-z0-9][-A-Za-z0-9_.]{0,5}/){1,3}\Z")


@given(PREFIXES, PREFIXES, st.text("abcAB12-_./", max_size=8))
def test_no_policy_of_s3_matches_what_is_not_under_its_prefix(mine: str, theirs: str, rest: str) -> None:
    where = Where(partition="aws", region="us-east-1", account="1", cluster="c")
    listed, objects = policy(where, folder(mine), None)["Statement"]
    for name in (theirs + rest, mine + rest, mine.rstrip("/"), mine.rstrip("/") + "x" + rest):
        own = name.startswith(mine)
        assert fnmatchcase(f"arn:aws:s3:::b1/{name}", objects["Resource"]) == own
        assert fnmatchcase(name, listed["Condition"]["StringLike"]["s3:prefix"]) == own


def test_a_key_that_is_given_is_used_through_s3_for_this_bucket_alone() -> None:
    where = Where(partition="aws", region="us-east-1", account="1", cluster="c")
    _, _, key = policy(where, folder("a/"), "arn:aws:kms:us-east-1:1:key/k")["Statement"]
    assert key["Resource"] == "arn:aws:kms:us-east-1:1:key/k"
    assert key["Condition"]["StringEquals"] == {
        "kms:ViaService": "s3.us-east-1.amazonaws.com",
        "kms:EncryptionContext:aws:s3:arn": "arn:aws:s3:::b1",
    }


def test_a_folder_of_cloud_storage_is_a_right_of_one_service_account_with_its_condition() -> None:
    graph = graph_of("given-gke")
    rights = made(graph, "gcp:storage/bucketIAMMember:BucketIAMMember")
    assert rights.keys() == SPACES.keys()
    for space, prefix in SPACES.items():
        right = rights[space]
        assert right["role"] == "roles/storage.objectUser"
        assert right["condition"]["expression"] == (
            f'resource.name.startsWith("projects/_/buckets/{gcs_bucket(graph)}/objects/{prefix}") || '
            f'api.getAttribute("storage.googleapis.com/objectListPrefix", "").startsWith("{prefix}")'
        )
        assert "platform-cluster-bucket-models" in graph.before[f"platform-cluster-folder-{space}"]


def gcs_bucket(graph: Graph) -> str:
    (name,) = graph.of("gcp:storage/bucket:Bucket")
    return graph.inputs(name)["name"]


def test_a_service_account_is_named_by_the_projects_pool() -> None:
    block = {"kind": "gke", "name": "one", "project": "my-project", "version": "1.35", "region": "us-central1"}
    settings = validate({"cluster": block}, where="espalier")
    right = gke.right_of(settings.cluster, folder("a/"))  # pyright: ignore[reportArgumentType] - of its own kind
    assert (right.pool, right.subject) == ("my-project.svc.id.goog", "ns/x/sa/default")


def test_a_folder_of_blobs_is_an_identity_of_one_service_account_with_its_condition() -> None:
    graph = graph_of("given-aks")
    identities = made(graph, "azure-native:managedidentity:UserAssignedIdentity")
    pods = made(graph, "azure-native:managedidentity:FederatedIdentityCredential")
    rights = made(graph, "azure-native:authorization:RoleAssignment")
    assert identities.keys() == pods.keys() == rights.keys() == SPACES.keys()
    for space, prefix in SPACES.items():
        assert pods[space]["subject"] == f"system:serviceaccount:{space}:default"
        assert pods[space]["audiences"] == ["api://AzureADTokenExchange"]
        assert pods[space]["resourceName"] == identities[space]["resourceName"]
        assert rights[space]["condition"] == aks.condition(prefix)
        assert rights[space]["conditionVersion"] == "2.0"
        needed = {"platform-cluster-folders-role", "platform-cluster-bucket-models"}
        assert needed <= graph.before[f"platform-cluster-folder-{space}-right"]
        (account,) = [
            found
            for name, found in graph.of("kubernetes:core/v1:ServiceAccount").items()
            if graph.inputs(name)["metadata"]["namespace"] == space
        ]
        assert account.inputs["metadata"]["annotations"] == {"azure.workload.identity/client-id": UNKNOWN}


def test_the_role_of_blobs_is_of_data_alone() -> None:
    (name,) = graph_of("given-aks").of("azure-native:authorization:RoleDefinition")
    (rights,) = graph_of("given-aks").inputs(name)["permissions"]
    assert rights["actions"] == []
    assert [one.rpartition("blobs/")[2] for one in rights["dataActions"]] == ["add/action", "delete", "read", "write"]


def test_a_condition_of_azure_names_every_action_of_the_role() -> None:
    """An action that it does not name goes anywhere."""
    text = aks.condition("a/")
    (name,) = graph_of("given-aks").of("azure-native:authorization:RoleDefinition")
    (rights,) = graph_of("given-aks").inputs(name)["permissions"]
    assert all(f"ActionMatches{{'{action}'}}" in text for action in rights["dataActions"])
    assert text.count("(") == text.count(")")


@pytest.mark.parametrize(
    ("stack", "reached"),
    [
        ("given-eks", {("169.254.170.23/32", (80,)), ("0.0.0.0/0", (443,))}),
        ("given-gke", {("169.254.169.254/32", (80, 8080)), ("0.0.0.0/0", (443,))}),
        (
            "given-aks",
            {("0.0.0.0/0", (443,)), *((one, (443,)) for one in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))},
        ),
    ],
)
def test_pods_reach_what_gives_them_their_identity_and_their_bucket(stack: str, reached: set[Any]) -> None:
    graph = graph_of(stack)
    policies = [
        found
        for name in graph.of("kubernetes:networking.k8s.io/v1:NetworkPolicy")
        if (found := graph.inputs(name))["metadata"]["name"] == "allow-own-namespace"
    ]
    assert len(policies) == len(SPACES)
    for one in policies:
        rules = [rule for rule in one["spec"]["egress"] if "ipBlock" in rule.get("to", [{}])[0]]
        blocks = [rule["to"][0]["ipBlock"] for rule in rules]
        ports = [tuple(port["port"] for port in rule["ports"]) for rule in rules]
        assert set(zip((block["cidr"] for block in blocks), ports, strict=True)) == reached
        (everywhere,) = [block for block in blocks if block["cidr"] == "0.0.0.0/0"]
        assert "169.254.0.0/16" in everywhere["except"]


def test_a_bucket_that_is_given_stays_as_it_is_and_is_reached() -> None:
    text = GIVEN_EKS.replace("buckets: [{name: models}]", "buckets: [{name: models, id: raw-data}]")
    policies = made(recorded(text, imagined=True), "aws:iam/rolePolicy:RolePolicy")
    listed, *_ = json.loads(policies["vision"]["policy"])["Statement"]
    assert listed["Resource"] == "arn:aws:s3:::raw-data"


def test_the_shared_volume_has_the_clusters_class() -> None:
    classes: dict[str, str] = {}
    for stack in ("given-eks", "given-gke", "given-aks"):
        graph = graph_of(stack)
        (claim,) = graph.of("kubernetes:core/v1:PersistentVolumeClaim").values()
        assert claim.options["retainOnDelete"] is True
        classes[stack] = claim.inputs["spec"]["storageClassName"]
        named = {graph.inputs(one)["metadata"]["name"] for one in graph.of("kubernetes:storage.k8s.io/v1:StorageClass")}
        assert classes[stack] in named
    assert classes == {"given-eks": "efs", "given-gke": "espalier-shared", "given-aks": "azure-files"}
