"""Buckets, registries and private zones of clusters: what a user relies on, in each cloud, as it is recorded."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from espalier.blueprint.clouds.aks import parts as aks
from espalier.blueprint.clouds.eks import parts as eks
from espalier.blueprint.clouds.gke import parts as gke
from espalier.engine.values import UNKNOWN
from espalier.settings import validate
from espalier.settings.base import NAME_PATTERN
from tests.clouds.recorded import Graph, recorded
from tests.clouds.stacks import graph_of
from tests.clouds.test_wrong import TABLE

PROD = {"aws": "aws-prod", "gcp": "gcp-prod", "azure": "azure-prod"}
MADE: dict[str, Any] = {
    "buckets": [{"name": "models", "old-versions": 7}],
    "registries": [{"name": "images", "untagged": 3}],
    "dns": {"zone": "ml.example.internal"},
}
HERE = "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/shared/providers"
GIVEN: dict[str, dict[str, Any]] = {
    "aws": {
        "buckets": [{"name": "raw", "id": "raw-data"}],
        "registries": [{"name": "own", "id": "arn:aws:ecr:eu-west-1:210987654321:repository/a/b"}],
        "dns": {"zone": "ml.example.internal", "id": "Z0123456789ABCDEFGHIJ"},
    },
    "gcp": {
        "buckets": [{"name": "raw", "id": "raw-data"}],
        "registries": [{"name": "own", "id": "projects/other/locations/europe-west4/repositories/b"}],
    },
    "azure": {
        "buckets": [
            {"name": "raw", "id": f"{HERE}/Microsoft.Storage/storageAccounts/a1b2/blobServices/default/containers/raw"}
        ],
        "registries": [{"name": "own", "id": f"{HERE}/Microsoft.ContainerRegistry/registries/Own1"}],
        "dns": {
            "zone": "ml.example.internal",
            "id": f"{HERE}/Microsoft.Network/privateDnsZones/ml.example.internal",
        },
    },
}
STORES = (
    "aws:s3/",
    "aws:ecr/",
    "aws:route53/zone:Zone",
    "gcp:storage/",
    "gcp:artifactregistry/repository:",
    "gcp:dns/",
    "azure-native:storage:",
    "azure-native:containerregistry:",
    "azure-native:privatedns:PrivateZone",
)


def text_of(cloud: str, **keys: Any) -> str:
    block = {**TABLE["stacks"][cloud]["cluster"], **({"account-id": "123456789012"} if cloud == "aws" else {}), **keys}
    stack = {"espalier:cluster": block, "espalier:pools": TABLE["stacks"][cloud]["pools"]}
    return yaml.safe_dump({"config": stack})


def made(cloud: str, **keys: Any) -> Graph:
    return recorded(text_of(cloud, **{**MADE, **keys}))


def one(graph: Graph, type_: str) -> dict[str, Any]:
    (name,) = graph.of(type_)
    return graph.inputs(name)


def test_an_s3_bucket_is_private_versioned_encrypted_and_reached_by_tls_alone() -> None:
    graph = made("aws")
    bucket = one(graph, "aws:s3/bucket:Bucket")["bucket"]
    private = one(graph, "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock")
    for key in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"):
        assert private[key] is True
    assert one(graph, "aws:s3/bucketOwnershipControls:BucketOwnershipControls")["rule"] == {
        "objectOwnership": "BucketOwnerEnforced"
    }
    assert one(graph, "aws:s3/bucketVersioning:BucketVersioning")["versioningConfiguration"] == {"status": "Enabled"}
    (rule,) = one(graph, "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration")["rules"]
    assert rule["noncurrentVersionExpiration"] == {"noncurrentDays": 7}
    kind = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    (encrypted,) = graph.of(kind)
    assert "platform-cluster-key-disks" in graph.before[encrypted]
    (by,) = graph.inputs(encrypted)["rules"]
    assert by["applyServerSideEncryptionByDefault"]["sseAlgorithm"] == "aws:kms"
    policy = json.loads(one(graph, "aws:s3/bucketPolicy:BucketPolicy")["policy"])
    (statement,) = policy["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Resource"] == [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_the_key_of_disks_is_used_through_what_is_encrypted_by_it_and_nothing_else() -> None:
    def services(graph: Graph) -> list[str]:
        policy = json.loads(graph.inputs("platform-cluster-key-disks")["policy"])
        (through,) = [each for each in policy["Statement"] if each["Sid"] == "ThroughDisks"]
        return [name.split(".")[0] for name in through["Condition"]["StringEquals"]["kms:ViaService"]]

    assert services(made("aws")) == ["ec2", "ecr", "elasticfilesystem", "s3"]
    assert services(made("aws", buckets=[], registries=[])) == ["ec2", "elasticfilesystem"]
    assert services(recorded(text_of("aws", **GIVEN["aws"]))) == ["ec2", "elasticfilesystem"]


def test_an_ecr_repository_keeps_its_tags_and_scans_what_is_pushed() -> None:
    graph = made("aws")
    repository = one(graph, "aws:ecr/repository:Repository")
    assert repository["name"] == "one/images"
    assert repository["imageTagMutability"] == "IMMUTABLE"
    assert repository["imageScanningConfiguration"] == {"scanOnPush": True}
    assert repository["encryptionConfigurations"][0]["encryptionType"] == "KMS"
    (rule,) = json.loads(one(graph, "aws:ecr/lifecyclePolicy:LifecyclePolicy")["policy"])["rules"]
    assert rule["selection"]["tagStatus"] == "untagged"
    assert rule["selection"]["countNumber"] == 3


def test_a_gcs_bucket_is_private_versioned_and_encrypted() -> None:
    graph = made("gcp")
    (name,) = graph.of("gcp:storage/bucket:Bucket")
    bucket = graph.inputs(name)
    assert bucket["publicAccessPrevention"] == "enforced"
    assert bucket["uniformBucketLevelAccess"] is True
    assert bucket["versioning"] == {"enabled": True}
    assert bucket["lifecycleRules"][0]["condition"] == {"daysSinceNoncurrentTime": 7, "withState": "ARCHIVED"}
    assert bucket["encryption"]["defaultKmsKeyName"] is UNKNOWN
    assert {"platform-cluster-key-disks", "platform-cluster-key-disks-use-buckets"} <= graph.before[name]
    assert bucket["location"] == "US-CENTRAL1"


def test_an_artifact_registry_keeps_its_tags_and_nodes_read_it_and_no_other() -> None:
    graph = made("gcp")
    (name,) = graph.of("gcp:artifactregistry/repository:Repository")
    repository = graph.inputs(name)
    assert repository["dockerConfig"] == {"immutableTags": True}
    assert repository["cleanupPolicies"][0]["condition"] == {"tagState": "UNTAGGED", "olderThan": "259200s"}
    assert "platform-cluster-key-disks-use-registries" in graph.before[name]
    right = one(graph, "gcp:artifactregistry/repositoryIamMember:RepositoryIamMember")
    assert right["role"] == "roles/artifactregistry.reader"
    account = one(graph, "gcp:serviceaccount/account:Account")["accountId"]
    assert right["member"] == f"serviceAccount:{account}@example-ml-dev.iam.gserviceaccount.com"
    assert "platform-cluster-nodes" in graph.before["platform-cluster-registry-images-pull"]
    of_project = {graph.inputs(name)["role"] for name in graph.of("gcp:projects/iAMMember:IAMMember")}
    assert "roles/artifactregistry.reader" not in of_project
    without = made("gcp", registries=[])
    of_project = {without.inputs(name)["role"] for name in without.of("gcp:projects/iAMMember:IAMMember")}
    assert "roles/artifactregistry.reader" in of_project


def test_blobs_are_private_versioned_and_encrypted_by_a_key_of_the_vault() -> None:
    graph = made("azure")
    account = graph.inputs("platform-cluster-blobs")
    assert account["publicNetworkAccess"] == "Disabled"
    assert account["allowBlobPublicAccess"] is False
    assert account["allowSharedKeyAccess"] is False
    assert account["enableHttpsTrafficOnly"] is True
    assert account["minimumTlsVersion"] == "TLS1_2"
    assert account["encryption"]["keySource"] == "Microsoft.Keyvault"
    needed = {"platform-cluster-blob-key", "platform-cluster-role-blobs-key", "platform-cluster-blobs-identity"}
    assert needed <= graph.before["platform-cluster-blobs"]
    assert one(graph, "azure-native:storage:BlobContainer")["publicAccess"] == "None"
    service = one(graph, "azure-native:storage:BlobServiceProperties")
    assert service["isVersioningEnabled"] is True
    assert service["deleteRetentionPolicy"] == {"enabled": True, "days": 7}
    (rule,) = one(graph, "azure-native:storage:ManagementPolicy")["policy"]["rules"]
    assert rule["definition"]["filters"]["prefixMatch"] == ["models/"]
    assert rule["definition"]["actions"]["version"]["delete"] == {"daysAfterCreationGreaterThan": 7}
    assert "platform-cluster-blobs-names" in graph.before["platform-cluster-bucket-models"]
    open_ = made("azure", **{"disk-encryption": "platform"}).inputs("platform-cluster-blobs")
    assert "encryption" not in open_


@pytest.mark.parametrize(("asked", "days"), [((7, 90), 90), ((365,), 365), ((7, 3650), 365)])
def test_blobs_are_kept_from_their_end_for_the_longest_time_that_is_asked_for(
    asked: tuple[int, ...], days: int
) -> None:
    buckets = [{"name": f"data{number}", "old-versions": each} for number, each in enumerate(asked)]
    graph = made("azure", buckets=[*buckets, *GIVEN["azure"]["buckets"]])
    service = one(graph, "azure-native:storage:BlobServiceProperties")
    assert service["deleteRetentionPolicy"] == {"enabled": True, "days": days}
    block = {**TABLE["stacks"]["azure"]["cluster"], "buckets": buckets}
    settings = validate({"cluster": block, "pools": TABLE["stacks"]["azure"]["pools"]}, where="espalier")
    (note,) = [note for note in aks.part_notes(settings.cluster) if "old-versions" in note]  # pyright: ignore[reportArgumentType] - of its own kind
    assert f"for {days} days" in note


def test_a_container_registry_is_private_and_nodes_may_pull_of_it() -> None:
    graph = made("azure")
    registry = one(graph, "azure-native:containerregistry:Registry")
    assert registry["sku"] == {"name": "Premium"}
    assert registry["adminUserEnabled"] is False
    assert registry["anonymousPullEnabled"] is False
    assert registry["publicNetworkAccess"] == "Disabled"
    assert registry["policies"]["retentionPolicy"] == {"status": "enabled", "days": 3}
    pull = graph.inputs("platform-cluster-role-pull-of-images")
    assert pull["roleDefinitionId"].endswith("7f951dda-4ed3-4680-a7ca-43fe172d538d")
    assert "platform-cluster-registry-images" in graph.needs["platform-cluster-role-pull-of-images"]


def test_a_zone_is_private_and_the_network_resolves_it() -> None:
    aws = made("aws")
    (zone,) = aws.of("aws:route53/zone:Zone")
    assert aws.inputs(zone)["vpcs"] == [{"vpcId": UNKNOWN, "vpcRegion": "us-east-1"}]
    assert "platform-cluster-vpc" in aws.before[zone]
    gcp = made("gcp")
    (zone,) = gcp.of("gcp:dns/managedZone:ManagedZone")
    assert gcp.inputs(zone)["visibility"] == "private"
    assert gcp.inputs(zone)["dnsName"] == "ml.example.internal."
    assert "platform-cluster-network" in gcp.before[zone]
    azure = made("azure")
    link = azure.inputs("platform-cluster-dns-network")
    assert link["registrationEnabled"] is False
    assert {"platform-cluster-network", "platform-cluster-dns"} <= azure.before["platform-cluster-dns-network"]


@pytest.mark.parametrize("cloud", GIVEN)
def test_what_is_given_is_left_as_it_is(cloud: str) -> None:
    graph = recorded(text_of(cloud, **GIVEN[cloud]))
    assert [name for name, found in graph.resources.items() if found.type.startswith(STORES)] == []


def test_a_given_zone_is_let_into_a_network_that_is_made() -> None:
    aws = recorded(text_of("aws", **GIVEN["aws"])).inputs("platform-cluster-dns-network")
    assert aws == {"zoneId": "Z0123456789ABCDEFGHIJ", "vpcId": UNKNOWN, "vpcRegion": "us-east-1"}
    azure = recorded(text_of("azure", **GIVEN["azure"])).inputs("platform-cluster-dns-network")
    assert azure["resourceGroupName"] == "shared"
    assert azure["privateZoneName"] == "ml.example.internal"


URLS: dict[str, dict[str, Any]] = {
    "aws": {
        "buckets": {"raw": "s3://raw-data"},
        "registries": {"own": "210987654321.dkr.ecr.eu-west-1.amazonaws.com/a/b"},
    },
    "gcp": {
        "buckets": {"raw": "gs://raw-data"},
        "registries": {"own": "europe-west4-docker.pkg.dev/other/b"},
    },
    "azure": {
        "buckets": {"raw": "https://a1b2.blob.core.windows.net/raw"},
        "registries": {"own": "own1.azurecr.io"},
    },
}


@pytest.mark.parametrize("cloud", URLS)
def test_outputs_have_one_shape_in_all_clouds(cloud: str) -> None:
    outputs = recorded(text_of(cloud, **GIVEN[cloud])).recording.outputs
    assert outputs["buckets"] == URLS[cloud]["buckets"]
    assert outputs.get("registries") in (URLS[cloud]["registries"], UNKNOWN)  # once the right to pull stands
    later = made(cloud).recording.outputs
    assert {"buckets", "registries", "dns"} <= later.keys()


@pytest.mark.parametrize("cloud", PROD)
def test_what_holds_data_is_kept_where_the_cluster_is(cloud: str) -> None:
    kinds = {
        "aws": ("aws:s3/bucket:Bucket", "aws:ecr/repository:Repository", "aws:route53/zone:Zone"),
        "gcp": (
            "gcp:storage/bucket:Bucket",
            "gcp:artifactregistry/repository:Repository",
            "gcp:dns/managedZone:ManagedZone",
        ),
        "azure": ("azure-native:storage:BlobContainer", "azure-native:containerregistry:Registry"),
    }[cloud]
    kept = graph_of(PROD[cloud]).of(*kinds)
    assert {found.type for found in kept.values()} == set(kinds)
    assert [name for name, found in kept.items() if not found.options.get("protect")] == []
    assert not any(found.inputs.get("forceDestroy") or found.inputs.get("forceDelete") for found in kept.values())
    gone = made(cloud, **{"deletion-protection": False}).of(*kinds)
    assert [name for name, found in gone.items() if found.options.get("protect")] == []


NAMES = st.from_regex(NAME_PATTERN, fullmatch=True)
CLUSTERS = st.from_regex(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?", fullmatch=True)


@given(cluster=CLUSTERS, names=st.lists(NAMES, min_size=2, max_size=2, unique=True))
def test_names_fit_each_cloud_and_no_two_are_the_same(cluster: str, names: list[str]) -> None:
    asked = [{"name": name} for name in names]
    found: dict[str, Any] = {}
    for cloud, module in (("aws", eks), ("gcp", gke), ("azure", aks)):
        block = {**TABLE["stacks"][cloud]["cluster"], "name": cluster, "buckets": asked, "registries": asked}
        settings = validate({"cluster": block, "pools": TABLE["stacks"][cloud]["pools"]}, where="espalier")
        found[cloud] = module.parts_of(settings.cluster)  # pyright: ignore[reportArgumentType] - of its own kind
    for cloud in ("aws", "gcp"):
        buckets = [bucket.name for bucket in found[cloud].buckets]
        assert all(3 <= len(name) <= 63 and name[-1].isalnum() for name in buckets)
        assert len(set(buckets)) == 2
    repositories = [registry.name for registry in found["gcp"].registries]
    assert all(len(name) <= 63 and name[-1].isalnum() for name in repositories)
    assert len(set(repositories)) == 2
    registries = [registry.name for registry in found["azure"].registries]
    assert all(5 <= len(name) <= 50 and name.isalnum() for name in registries)
    assert len({name.lower() for name in registries}) == 2
