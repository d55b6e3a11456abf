"""Secrets by reference, a shared volume, a part of a bucket, host names: what each becomes, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from espalier.addons import RECORDS
from espalier.blueprint import Blueprint, build
from espalier.settings import validate
from espalier.settings.base import Strict
from espalier.types import AddonRecord, Manifest, Mistakes

FETCHER = AddonRecord("external-secrets", "2.0.0", "secrets", "core", "Apache-2.0", "https://example.com", Strict)
EKS: dict[str, Any] = {
    "kind": "eks",
    "name": "one",
    "version": "1.35",
    "region": "us-east-1",
    "account-id": "123456789012",
    "access": {"via": "network", "admins": ["arn:aws:iam::123456789012:role/platform"]},
    "storage": {"type": "efs"},
    "buckets": [
        {"name": "models"},
        {"name": "raw", "id": "raw-data"},
        {"name": "eu", "id": "eu-data", "region": "eu-west-1"},
    ],
}
POOLS = [{"name": "system", "machine": {"cpu": 4, "memory": "16Gi"}, "nodes": {"min": 2, "max": 6}}]
SECRET = {"name": "hf", "store": "vault", "key": "teams/vision/hf"}
PULL = {"name": "pull", "store": "own", "store-kind": "SecretStore", "key": "registry"}


def platform(*tenants: dict[str, Any], fetcher: bool = True, **cluster: Any) -> Blueprint:
    settings = {"cluster": {**EKS, **cluster}, "pools": POOLS, "tenants": list(tenants)}
    addons = {"external-secrets": {}} if fetcher else {}
    return build(validate({**settings, "addons": addons}, where="espalier"), {**RECORDS, FETCHER.id: FETCHER})


def objects(blueprint: Blueprint, kind: str) -> dict[str, Manifest]:
    """<namespace>/<name> -> object."""
    found = [p.manifest for tenant in blueprint.tenants for work in tenant.workspaces for p in work.objects]
    names = [one["metadata"] for one in found]
    return {
        f"{metadata.get('namespace', '')}/{metadata['name']}": one
        for metadata, one in zip(names, found, strict=True)
        if one["kind"] == kind
    }


TWO = [{"name": "x", "quota": {"cpu": 1}}, {"name": "y", "quota": {"cpu": 1}}]


def test_secrets_are_references_in_each_namespace_and_no_value() -> None:
    made = platform({"name": "a", "workspaces": TWO, "secrets": [SECRET]})
    found = objects(made, "ExternalSecret")
    assert found.keys() == {"a-x/hf", "a-y/hf"}
    assert found["a-x/hf"]["apiVersion"] == "external-secrets.io/v1"
    assert found["a-x/hf"]["spec"] == {
        "refreshInterval": "1h",
        "secretStoreRef": {"kind": "ClusterSecretStore", "name": "vault"},
        "target": {"name": "hf", "creationPolicy": "Owner", "deletionPolicy": "Retain"},
        "dataFrom": [{"extract": {"key": "teams/vision/hf"}}],
    }
    assert objects(made, "Secret") == {}
    assert made.tenants[0].after == ("external-secrets",)


def test_pull_secrets_are_used_by_pods_that_name_no_service_account() -> None:
    made = platform({"name": "a", "pull-secrets": [PULL]})
    (one,) = objects(made, "ExternalSecret").values()
    assert one["spec"]["secretStoreRef"] == {"kind": "SecretStore", "name": "own"}
    assert one["spec"]["target"]["template"]["type"] == "kubernetes.io/dockerconfigjson"
    assert one["spec"]["data"] == [{"secretKey": "config", "remoteRef": {"key": "registry"}}]
    assert objects(made, "ServiceAccount")["a/default"]["imagePullSecrets"] == [{"name": "pull"}]


def test_a_shared_volume_is_a_claim_that_stays_when_it_leaves_the_stack_file() -> None:
    made = platform({"name": "a", "shared-volume": {"size": "100Gi"}})
    (claim,) = [p for p in made.tenants[0].workspaces[0].objects if p.manifest["kind"] == "PersistentVolumeClaim"]
    assert claim.retain
    assert claim.manifest["metadata"]["name"] == "shared"
    assert claim.manifest["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "espalier"
    assert claim.manifest["spec"] == {
        "accessModes": ["ReadWriteMany"],
        "storageClassName": "efs",
        "resources": {"requests": {"storage": "100Gi"}},
    }
    assert sum(p.retain for p in made.tenants[0].workspaces[0].objects) == 1


def test_each_of_several_workspaces_has_a_folder_of_its_own() -> None:
    made = platform(
        {"name": "a", "bucket": {"name": "raw"}}, {"name": "b", "workspaces": TWO, "bucket": {"name": "raw"}}
    )
    folders = {work.namespace: work.folder for tenant in made.tenants for work in tenant.workspaces}
    assert folders == {"a": "s3://raw-data/a/", "b-x": "s3://raw-data/b/x/", "b-y": "s3://raw-data/b/y/"}


def test_who_has_no_bucket_reaches_nothing_more() -> None:
    made = platform({"name": "a", "bucket": {"name": "raw"}}, {"name": "b"})
    rules = {
        name: [rule for rule in one["spec"].get("egress", []) if "ipBlock" in rule["to"][0]]
        for name, one in objects(made, "NetworkPolicy").items()
    }
    assert {name for name, found in rules.items() if found} == {"a/allow-own-namespace"}


def test_a_gateway_reaches_pods_of_who_is_exposed_alone() -> None:
    exposure = {"domains": ["b.example.com", "a.example.com"], "gateway": "ingress"}
    made = platform({"name": "a", "exposure": exposure, "groups": {"edit": ["e"], "view": ["v"]}}, {"name": "b"})
    ingress = objects(made, "NetworkPolicy")["a/allow-own-namespace"]["spec"]["ingress"]
    gateway = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}
    assert ingress == [{"from": [{"podSelector": {}}]}, {"from": [gateway]}]
    assert len(objects(made, "NetworkPolicy")["b/allow-own-namespace"]["spec"]["ingress"]) == 1
    notes = objects(made, "Namespace")["/a"]["metadata"]["annotations"]
    assert notes["espalier.dev/domains"] == "a.example.com,b.example.com"
    verbs = {
        role: {verb for rule in one["rules"] if "ingresses" in rule["resources"] for verb in rule["verbs"]}
        for role, one in objects(made, "Role").items()
    }
    assert "create" in verbs["a/tenant-edit"]
    assert "create" not in verbs["a/tenant-view"]


def test_a_tenant_with_none_of_these_is_twelve_resources() -> None:
    groups = {"view": ["v"], "edit": ["e"], "admin": ["a"]}
    (tenant,) = platform({"name": "a", "groups": groups}).tenants
    # The component itself is one.
    assert 1 + sum(len(work.objects) for work in tenant.workspaces) <= 12


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"secrets": [SECRET], "fetcher": False}, "tenants[0].secrets: got hf, with nobody to fetch them; accepted: "
     "secrets where the add-on external-secrets is. Add `external-secrets: {}` to espalier:addons, or remove "
     "`secrets`."),
    ({"pull-secrets": [PULL], "fetcher": False}, "or remove `pull-secrets`."),
    ({"secrets": [SECRET], "pull-secrets": [{**PULL, "name": "hf"}]}, "tenants[0].pull-secrets[0].name: got hf, which "
     "is secrets[0] already; accepted: each name once. Rename or remove one of them."),
    ({"secrets": [{**SECRET, "value": "x"}]}, "tenants[0].secrets[0].value"),
    ({"secrets": [{**SECRET, "name": "HF"}]}, "a name of lower-case letters, digits and -, at most 63 characters"),
    ({"secrets": [{**SECRET, "key": " x"}]}, "where the store keeps it, without spaces around it"),
    ({"shared-volume": {"size": "1Ti"}}, "tenants[0].shared-volume.size: got 1Ti; accepted: at most 200Gi, the quota "
     "of storage. Lower it, or raise the quota."),
    ({"shared-volume": {"size": "20Gi"}, "workspaces": [{"name": "w", "quota": {"storage": "10Gi"}}]},
     "accepted: at most 10Gi, the quota of storage of workspaces[0]."),
    ({"shared-volume": {"size": "20Gi"}, "storage": None}, "tenants[0].shared-volume: got no storage-class, and a "
     "cluster without one that is known; accepted: a StorageClass of volumes for many writers. Add "
     "espalier:cluster.storage, which makes one; or name one by storage-class."),
    ({"bucket": {"name": "data"}}, "tenants[0].bucket.name: got 'data'; accepted: eu, models, raw. Name one of "
     "espalier:cluster.buckets, or add it there."),
    ({"bucket": {"name": "models"}, "buckets": []}, "accepted: none: espalier:cluster.buckets has none."),
    ({"bucket": {"name": "models", "prefix": "*/"}}, "folders of letters, digits, -, _ and ., each with a / after it"),
    ({"bucket": {"name": "models", "prefix": "a"}}, "folders of letters, digits, -, _ and ., each with a / after it"),
    ({"bucket": {"name": "models", "prefix": "../"}}, "folders of letters, digits, -, _ and ., each with a / after it"),
    ({"bucket": {"name": "raw"}, "placement": {"regions": ["us-east-1"]}}, "tenants[0].bucket.name: got raw, a bucket "
     "whose region is not known; accepted: a bucket in us-east-1. Say its region beside its id, or name a bucket that "
     "is there."),
    ({"bucket": {"name": "eu"}, "placement": {"regions": ["us-east-1"]}}, "got eu, a bucket in eu-west-1; accepted: "
     "a bucket in us-east-1."),
    ({"buckets": [{"name": "m", "region": "us-east-1"}]}, "cluster.buckets[0].region: got us-east-1; accepted: no "
     "region: a bucket that is made is in us-east-1, as the cluster. Remove it, or name one by its id."),
    ({"exposure": {"domains": []}}, "tenants[0].exposure.domains"),
    ({"exposure": {"domains": ["localhost"]}}, "a domain of lower-case letters, digits and -, at least two labels, "
     "such as vision.ml.example.com"),
    ({"exposure": {"domains": ["*.example.com"]}}, "a domain of lower-case letters, digits and -, at least two labels"),
]  # fmt: skip
OF_CLUSTER = {"storage", "buckets", "fetcher"}


@pytest.mark.parametrize(("keys", "said"), WRONG, ids=lambda value: str(value)[:60])
def test_what_is_wrong_is_said(keys: dict[str, Any], said: str) -> None:
    beside = {key: value for key, value in keys.items() if key in OF_CLUSTER}
    with pytest.raises(Mistakes) as raised:
        platform({"name": "a", **{key: keys[key] for key in keys.keys() - beside}}, **beside)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        ({"name": "raw", "prefix": "t/"}, {"name": "raw", "prefix": "t/"}),
        ({"name": "raw", "prefix": "t/"}, {"name": "raw", "prefix": "t/b/"}),
        ({"name": "raw", "prefix": "a/b/"}, {"name": "raw", "prefix": "a/"}),
    ],
)
def test_no_tenants_objects_are_among_anothers(mine: dict[str, str], theirs: dict[str, str]) -> None:
    with pytest.raises(Mistakes) as raised:
        platform({"name": "a", "bucket": mine}, {"name": "b", "bucket": theirs})
    said = (
        f"tenants[1].bucket.prefix: got {theirs['prefix']} in raw, where tenant a has {mine['prefix']}; accepted: "
        "a prefix that is in no other's, and no other's in it. Write another prefix."
    )
    assert said in str(raised.value)
    platform({"name": "a", "bucket": mine}, {"name": "b", "bucket": {**theirs, "name": "models"}})
    platform({"name": "a", "bucket": {"name": "raw", "prefix": "t/"}}, {"name": "b", "bucket": {"name": "raw"}})


def test_no_tenants_host_names_are_among_anothers() -> None:
    with pytest.raises(Mistakes) as raised:
        platform(
            {"name": "a", "exposure": {"domains": ["x.example.com"]}},
            {"name": "b", "exposure": {"domains": ["ax.example.com", "y.x.example.com"]}},
        )
    assert "tenants[1].exposure.domains[1]: got y.x.example.com, where tenant a has x.example.com; accepted: a domain "\
        "that is under no other's, and no other's under it. Write another domain." in str(raised.value)  # fmt: skip
    assert "domains[0]" not in str(raised.value)


def test_a_cluster_that_is_in_no_cloud_has_no_buckets_and_no_class_that_is_known() -> None:
    free = {"kind": "existing", "version": "1.36", "kubeconfig": "k", "context": "c"}
    tenant = {"name": "a", "bucket": {"name": "models"}, "shared-volume": {"size": "1Gi"}}
    with pytest.raises(Mistakes) as raised:
        build(validate({"cluster": free, "tenants": [tenant]}, where="espalier"), RECORDS)
    assert "got 'models'; accepted: none: only a cluster in a cloud has buckets. Remove it." in str(raised.value)
    assert "for many writers. Name one by storage-class." in str(raised.value)
    tenant = {"name": "a", "shared-volume": {"size": "1Gi", "storage-class": "nfs"}}
    made = build(validate({"cluster": free, "tenants": [tenant]}, where="espalier"), RECORDS)
    assert objects(made, "PersistentVolumeClaim")["a/shared"]["spec"]["storageClassName"] == "nfs"


def test_a_share_that_is_there_is_one_volume_and_no_class() -> None:
    gke = {"kind": "gke", "name": "one", "project": "my-project", "version": "1.35", "region": "us-central1"}
    access = {"via": "network", "cidrs": ["10.0.0.0/16"], "admins": ["group:p@example.com"]}
    cluster = {**gke, "access": access, "storage": {"type": "filestore", "id": "10.0.0.2:/models"}}
    settings = {"cluster": cluster, "pools": POOLS, "tenants": [{"name": "a", "shared-volume": {"size": "1Gi"}}]}
    with pytest.raises(Mistakes) as raised:
        build(validate(settings, where="espalier"), RECORDS)
    assert "Name one by storage-class: of a share that is there, cluster.storage makes a single volume." in str(
        raised.value
    )
