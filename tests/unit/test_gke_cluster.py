"""A GKE cluster, registered: private, encrypted, labelled, in order; made or given, part by part."""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi
import pytest

from espalier.blueprint import build
from espalier.blueprint.clouds.gke import GkePlan
from espalier.blueprint.clouds.gke.critical import admit_critical
from espalier.components.cluster.gke import GkeCluster
from espalier.engine.model import Recording, Resource
from espalier.engine.program import Program
from espalier.engine.record import record
from espalier.settings import validate
from espalier.settings.load import load_file
from espalier.types import AddonPlan, Planned

ROOT = Path(__file__).parents[2]
SYSTEM = {"name": "system", "machine": "e2-standard-4", "nodes": {"min": 1, "max": 3}}
L4 = {"name": "l4", "accelerator": "L4", "count": 1, "nodes": {"max": 2}}
V7X = {
    "name": "v7x",
    "accelerator": "TPU-v7x",
    "topology": "2x2x2",
    "nodes": {"max": 2},
    "zones": ["us-central1-c"],
}
CLUSTER = {
    "kind": "gke",
    "name": "ml",
    "project": "example-ml",
    "version": "1.35",
    "region": "us-central1",
    "access": {"via": "dns-endpoint", "admins": ["group:platform@example.com"]},
    "tags": {"team": "vision"},
}
KEYS = {
    name: f"projects/example-ml/locations/us-central1/keyRings/ml/cryptoKeys/{name}" for name in ("secrets", "disks")
}
RECORDED: dict[str, Recording] = {}
"""By plan: several tests look at the same."""


def plan_of(*pools: dict[str, Any], **cluster: Any) -> GkePlan:
    keys = {key.replace("_", "-"): value for key, value in cluster.items()}
    tree = {"cluster": CLUSTER | keys, "pools": [SYSTEM, *pools]}
    plan = build(validate(tree, where="espalier"), {}).cloud
    assert isinstance(plan, GkePlan)
    return plan


def recording_of(plan: GkePlan, kubeconfigs: list[str] | None = None) -> Recording:
    def run() -> None:
        made = GkeCluster.planned("cluster", plan, pulumi.ResourceOptions())
        if kubeconfigs is not None:
            made.kubeconfig.apply(kubeconfigs.append)

    if kubeconfigs is not None:
        return record(Program(run, "demo", "test"))
    if repr(plan) not in RECORDED:
        RECORDED[repr(plan)] = record(Program(run, "demo", "test"))
    return RECORDED[repr(plan)]


def found(recording: Recording, kind: str) -> list[Resource]:
    return [resource for resource in recording.resources if resource.type.rsplit(":", 1)[-1] == kind]


def one(recording: Recording, kind: str) -> Resource:
    (resource,) = found(recording, kind)
    return resource


def kinds(recording: Recording) -> set[str]:
    return {resource.type.rsplit(":", 1)[-1] for resource in recording.resources}


def before(recording: Recording, resource: Resource) -> set[str]:
    """Names of all that stands before the resource, and goes after it."""
    known = {r.urn: r for r in recording.resources}

    def walk(one: Resource) -> Iterator[Resource]:
        for urn in one.dependencies:
            yield known[urn]
            yield from walk(known[urn])

    return {r.name for r in walk(resource)}


def test_a_compute_class_comes_after_the_node_pools_that_it_names() -> None:
    recording = recording_of(plan_of(L4 | {"capacity": ["spot", "on-demand"]}))
    made = {one.name: one for one in recording.resources}
    waits = made["cluster-class-l4"].dependencies
    assert {made[f"cluster-group-l4-{kind}"].urn for kind in ("spot", "on-demand")} <= set(waits)


def test_the_api_and_the_nodes_are_private_unless_the_stack_says_otherwise() -> None:
    inputs = one(recording_of(plan_of()), "Cluster").inputs
    assert inputs["privateClusterConfig"] == {"enablePrivateNodes": True, "enablePrivateEndpoint": True}
    assert inputs["masterAuthorizedNetworksConfig"] == {
        "cidrBlocks": [{"cidrBlock": "10.64.0.0/16"}],
        "gcpPublicCidrsAccessEnabled": False,
    }
    assert inputs["controlPlaneEndpointsConfig"]["dnsEndpointConfig"]["allowExternalTraffic"] is True
    public = plan_of(access={"via": "public", "cidrs": ["203.0.113.0/24"]})
    inputs = one(recording_of(public), "Cluster").inputs
    assert inputs["privateClusterConfig"]["enablePrivateEndpoint"] is False
    assert inputs["masterAuthorizedNetworksConfig"]["cidrBlocks"] == [{"cidrBlock": "203.0.113.0/24"}]
    assert inputs["controlPlaneEndpointsConfig"]["dnsEndpointConfig"]["allowExternalTraffic"] is False


def test_what_a_careful_owner_would_set_is_set() -> None:
    inputs = one(recording_of(plan_of()), "Cluster").inputs
    assert inputs["databaseEncryption"]["state"] == "ENCRYPTED"
    assert inputs["datapathProvider"] == "ADVANCED_DATAPATH"
    assert inputs["networkingMode"] == "VPC_NATIVE"
    assert inputs["workloadIdentityConfig"] == {"workloadPool": "example-ml.svc.id.goog"}
    assert inputs["enableShieldedNodes"] is True
    assert inputs["enableLegacyAbac"] is False
    assert inputs["anonymousAuthenticationConfig"] == {"mode": "LIMITED"}
    assert inputs["masterAuth"]["clientCertificateConfig"] == {"issueClientCertificate": False}
    assert inputs["removeDefaultNodePool"] is True
    assert inputs["deletionProtection"] is True
    assert inputs["minMasterVersion"] == "1.35"
    assert one(recording_of(plan_of(deletion_protection=False)), "Cluster").inputs["deletionProtection"] is False


def test_every_node_has_the_account_of_its_own_and_is_guarded() -> None:
    recording = recording_of(plan_of({**L4, "capacity": ["spot", "on-demand"]}))
    account = one(recording, "Account").name
    assert [pool.inputs["nodeConfig"].get("spot", False) for pool in found(recording, "NodePool")].count(True) == 1
    for pool in found(recording, "NodePool"):
        config = pool.inputs["nodeConfig"]
        assert config["workloadMetadataConfig"] == {"mode": "GKE_METADATA"}
        assert config["shieldedInstanceConfig"]["enableSecureBoot"] is True
        put_off = {"shutdownGracePeriodSeconds": 120, "shutdownGracePeriodCriticalPodsSeconds": 15}
        assert config["kubeletConfig"] == {
            "insecureKubeletReadonlyPortEnabled": "FALSE",
            **(put_off if config.get("spot") else {}),  # on other nodes GKE refuses it
        }
        assert pool.inputs["networkConfig"]["enablePrivateNodes"] is True
        assert "bootDiskKmsKey" in config
        assert account in before(recording, pool)
    roles = {r.inputs["role"] for r in found(recording, "IAMMember") if "-nodes-" in r.name}
    assert roles == {"roles/artifactregistry.reader", "roles/container.defaultNodeServiceAccount"}
    assert one(recording, "Cluster").inputs["nodeConfig"]["workloadMetadataConfig"] == {"mode": "GKE_METADATA"}


def test_everything_that_takes_labels_has_them() -> None:
    recording = recording_of(plan_of(L4, V7X))
    labelled = 0
    for resource in recording.resources:
        if not resource.type.startswith("gcp:"):
            continue
        module, kind = resource.type.split(":")[1].split("/")[0], resource.type.split(":")[2]
        init = getattr(importlib.import_module(f"pulumi_gcp.{module}"), kind)._internal_init
        takes = {"labels", "resource_labels"} & set(inspect.signature(init).parameters)
        labels = resource.inputs.get("labels") or resource.inputs.get("resourceLabels")
        if kind == "NodePool":
            takes, labels = {"resource_labels"}, resource.inputs["nodeConfig"]["resourceLabels"]
            assert labels["espalier-pool"] in {"system", "l4", "v7x"}
        if takes:
            labelled += 1
            assert labels, resource.name
            expected = {"espalier-cluster": "ml", "managed-by": "espalier", "team": "vision"}
            assert labels.items() >= expected.items(), resource.name
    assert labelled == 6  # the cluster, two keys, three node pools


def test_what_lives_in_the_cluster_comes_after_its_rights_and_first_nodes() -> None:
    slice_ = {"name": "v6e", "accelerator": "TPU-v6e", "topology": "4x4", "nodes": {"min": 4, "max": 4}}
    recording = recording_of(plan_of(L4, slice_))
    (provider,) = [r for r in recording.resources if r.type == "pulumi:providers:kubernetes"]
    stands = before(recording, provider)
    assert stands >= {"cluster-admin-0", "cluster-group-system-on-demand", "cluster-control-plane", "cluster-nat"}
    # Scarce machines hold nothing up, not even those that the pool keeps.
    assert not {"cluster-group-l4-on-demand", "cluster-group-v6e-on-demand-0"} & stands
    inside = [r for r in recording.resources if r.type.startswith("kubernetes:")]
    assert inside
    assert {r.provider for r in inside} == {provider.urn}
    assert provider.inputs["clusterIdentifier"] == "projects/example-ml/locations/us-central1/clusters/ml"


def test_nodes_come_after_what_they_need_and_the_cluster_after_its_services_and_keys() -> None:
    recording = recording_of(plan_of())
    cluster = before(recording, one(recording, "Cluster"))
    assert cluster >= {"cluster-api-container", "cluster-key-secrets-use", "cluster-key-disks-use", "cluster-nat"}
    assert cluster >= {"cluster-nodes-container-defaultnodeserviceaccount"}
    (pool,) = found(recording, "NodePool")
    assert before(recording, pool) >= cluster
    assert before(recording, one(recording, "Network")) == {
        f"cluster-api-{s}" for s in ("cloudkms", "compute", "container", "iam")
    }


def test_the_autoscaler_owns_the_number_of_nodes() -> None:
    for pool in found(recording_of(plan_of(L4)), "NodePool"):
        assert "initialNodeCount" in pool.options["ignoreChanges"]
        assert "nodeCount" not in pool.inputs
    (fixed,) = found(recording_of(plan_of(autoscaler="none", zones=["us-central1-a"])), "NodePool")
    assert fixed.inputs["nodeCount"] == 1
    assert not {"autoscaling", "initialNodeCount"} & fixed.inputs.keys()


def test_a_given_network_is_taken_as_it_is() -> None:
    recording = recording_of(
        plan_of(
            network={
                "id": "projects/host/global/networks/shared",
                "subnets": ["projects/host/regions/us-central1/subnetworks/ml"],
            },
            pods_range="pods-ml",
            services_range="services-ml",
        )
    )
    assert not {"Network", "Subnetwork", "Router", "RouterNat"} & kinds(recording)
    inputs = one(recording, "Cluster").inputs
    assert inputs["network"] == "projects/host/global/networks/shared"
    assert inputs["subnetwork"] == "projects/host/regions/us-central1/subnetworks/ml"
    assert inputs["ipAllocationPolicy"] == {
        "clusterSecondaryRangeName": "pods-ml",
        "servicesSecondaryRangeName": "services-ml",
    }


def test_without_egress_there_is_private_google_access_alone() -> None:
    recording = recording_of(plan_of(network={"egress": "none"}))
    assert not {"Router", "RouterNat"} & kinds(recording)
    subnetwork = one(recording, "Subnetwork").inputs
    assert subnetwork["privateIpGoogleAccess"] is True
    assert [r["ipCidrRange"] for r in subnetwork["secondaryIpRanges"]] == ["100.64.0.0/14", "100.68.0.0/20"]


def test_given_keys_are_used_and_none_is_made() -> None:
    recording = recording_of(plan_of(keys=KEYS))
    assert not {"KeyRing", "CryptoKey", "CryptoKeyIAMMember", "ServiceIdentity"} & kinds(recording)
    assert one(recording, "Cluster").inputs["databaseEncryption"]["keyName"] == KEYS["secrets"]
    assert one(recording, "NodePool").inputs["nodeConfig"]["bootDiskKmsKey"] == KEYS["disks"]
    assert "cluster-api-cloudkms" not in {r.name for r in recording.resources}


def test_keys_that_are_made_rotate_and_outlive_the_cluster() -> None:
    recording = recording_of(plan_of())
    for resource in [*found(recording, "CryptoKey"), one(recording, "KeyRing")]:
        assert resource.options["retainOnDelete"] is True
    assert {key.inputs["rotationPeriod"] for key in found(recording, "CryptoKey")} == {"7776000s"}
    half = recording_of(plan_of(keys={"disks": KEYS["disks"]}))
    assert [key.inputs["name"] for key in found(half, "CryptoKey")] == ["secrets"]


def test_a_given_account_gets_no_roles_and_given_services_are_left() -> None:
    account = "nodes@example-ml.iam.gserviceaccount.com"
    recording = recording_of(plan_of(service_account=account, enable_apis=False))
    assert not {"Account", "Service"} & kinds(recording)
    assert [r.name for r in found(recording, "IAMMember")] == ["cluster-admin-0"]
    assert one(recording, "NodePool").inputs["nodeConfig"]["serviceAccount"] == account


def test_a_given_cluster_gets_pools_alone() -> None:
    given = {"endpoint": "10.0.0.2", "certificate": "QQ==", "location": "us-central1-a"}
    recording = recording_of(plan_of(L4, given=given, access={"via": "network"}))
    assert kinds(recording) == {"Stack", "GkeCluster", "Account", "IAMMember", "NodePool", "kubernetes"}
    for pool in found(recording, "NodePool"):
        assert pool.inputs["cluster"] == "projects/example-ml/locations/us-central1-a/clusters/ml"
        assert pool.inputs["location"] == "us-central1-a"


@pytest.mark.parametrize(
    ("access", "server"),
    [
        ({"via": "network"}, {"server": "https://10.0.0.2", "certificate-authority-data": "QQ=="}),
        ({"via": "dns-endpoint"}, {"server": "https://10.0.0.2"}),
        (
            {"via": "tunnel", "proxy": "http://127.0.0.1:8888"},
            {
                "server": "https://10.0.0.2",
                "certificate-authority-data": "QQ==",
                "proxy-url": "http://127.0.0.1:8888",
            },
        ),
        (
            {"via": "tunnel", "proxy": "https://127.0.0.1:8443"},
            {
                "server": "https://127.0.0.1:8443",
                "certificate-authority-data": "QQ==",
                "tls-server-name": "10.0.0.2",
            },
        ),
    ],
)
def test_the_kubeconfig_asks_googles_plugin_and_holds_no_credential(access: Any, server: dict[str, str]) -> None:
    texts: list[str] = []
    given = {"endpoint": "10.0.0.2", "certificate": "QQ=="}
    recording = recording_of(plan_of(given=given, access=access), texts)
    (config,) = [json.loads(text) for text in texts]
    assert config["clusters"] == [{"name": "ml", "cluster": server}]
    (user,) = config["users"]
    assert user["user"].keys() == {"exec"}
    assert user["user"]["exec"]["command"] == "gke-gcloud-auth-plugin"
    assert not {"token", "password", "client-key-data"} & set(json.dumps(config).replace('"', " ").split())
    (provider,) = [r for r in recording.resources if r.type == "pulumi:providers:kubernetes"]
    assert provider.to_json()["inputs"]["kubeconfig"] == {"$secret": True}


def test_administrators_have_their_role_in_this_cluster_alone() -> None:
    (member,) = [r for r in found(recording_of(plan_of()), "IAMMember") if "-admin-" in r.name]
    assert (member.inputs["role"], member.inputs["member"]) == ("roles/container.admin", "group:platform@example.com")
    path = "projects/example-ml/locations/us-central1/clusters/ml"
    assert (
        member.inputs["condition"]["expression"] == f'resource.name == "{path}" || resource.name.startsWith("{path}/")'
    )


def test_maintenance_is_weekly_and_pauses_are_kept() -> None:
    exclusions = [
        {"name": "minors", "start": "2026-01-01"},
        {"name": "freeze", "start": "2026-12-18", "end": "2027-01-04", "scope": "no-upgrades"},
    ]
    plan = plan_of(maintenance={"start": "sat 22:30", "hours": 14}, exclusions=exclusions)
    policy = one(recording_of(plan), "Cluster").inputs["maintenancePolicy"]
    assert policy["recurringWindow"] == {
        "startTime": "2024-01-06T22:30:00Z",
        "endTime": "2024-01-07T12:30:00Z",
        "recurrence": "FREQ=WEEKLY;BYDAY=SA",
    }
    assert [one["exclusionOptions"] for one in policy["maintenanceExclusions"]] == [
        {"scope": "NO_MINOR_OR_NODE_UPGRADES", "endTimeBehavior": "UNTIL_END_OF_SUPPORT"},
        {"scope": "NO_UPGRADES"},
    ]
    assert policy["maintenanceExclusions"][1]["endTime"] == "2027-01-04T00:00:00Z"


def test_nodes_follow_their_control_plane_where_gke_upgrades_none() -> None:
    lasting = recording_of(plan_of(exclusions=[{"name": "minors", "start": "2026-01-01"}]))
    pinned = SYSTEM | {"name": "pinned", "image": {"release": "1.34.2-gke.100"}}
    for pool in found(lasting, "NodePool"):
        assert pool.property_dependencies["version"] == (one(lasting, "Cluster").urn,)
    (own,) = [r for r in found(recording_of(plan_of(pinned)), "NodePool") if "pinned" in r.name]
    assert own.inputs["version"] == "1.34.2-gke.100"
    ending = [{"name": "freeze", "start": "2026-12-18", "end": "2027-01-04"}]
    for plan in (plan_of(), plan_of(exclusions=ending)):
        assert "version" not in one(recording_of(plan), "NodePool").inputs


def test_auto_provisioning_has_limits_and_the_nodes_account() -> None:
    plain = one(recording_of(plan_of()), "Cluster").inputs["clusterAutoscaling"]
    assert plain == {"enabled": False, "autoscalingProfile": "OPTIMIZE_UTILIZATION"}
    limits = {"cpu": 200, "memory": "800Gi", "devices": {"L4": 8}}
    recording = recording_of(plan_of(auto_provisioning=limits, autoscaling_profile="balanced"))
    found_ = one(recording, "Cluster").inputs["clusterAutoscaling"]
    assert (found_["enabled"], found_["autoscalingProfile"]) == (True, "BALANCED")
    assert {one["resourceType"]: one["maximum"] for one in found_["resourceLimits"]} == {
        "cpu": 200,
        "memory": 800,
        "nvidia-l4": 8,
    }
    assert found_["autoProvisioningDefaults"]["shieldedInstanceConfig"]["enableSecureBoot"] is True


def test_a_slices_workload_policy_stands_before_its_node_pool() -> None:
    recording = recording_of(plan_of(V7X))
    policy = one(recording, "ResourcePolicy")
    assert policy.inputs["workloadPolicy"] == {"type": "HIGH_THROUGHPUT", "acceleratorTopology": "2x2x2"}
    (pool,) = [r for r in found(recording, "NodePool") if "v7x" in r.name]
    assert policy.name in before(recording, pool)
    assert pool.inputs["placementPolicy"]["tpuTopology"] == "2x2x2"


def test_volumes_are_encrypted_with_the_clusters_key_by_default() -> None:
    recording = recording_of(plan_of(storage={"type": "filestore"}))
    classes = {r.inputs["metadata"]["name"]: r.inputs for r in found(recording, "StorageClass")}
    disk = classes["espalier-disk"]
    assert disk["parameters"]["disk-encryption-kms-key"] == KEYS["disks"]
    assert disk["metadata"]["annotations"] == {"storageclass.kubernetes.io/is-default-class": "true"}
    shared = classes["espalier-shared"]
    assert shared["parameters"]["network"] == "projects/example-ml/global/networks/ml"
    assert "annotations" not in shared["metadata"]
    given = recording_of(plan_of(storage={"type": "filestore", "id": "10.0.0.2:/models"}))
    assert one(given, "PersistentVolume").inputs["spec"]["nfs"] == {"server": "10.0.0.2", "path": "/models"}


def workload(namespace: str, priority: str) -> Planned:
    template = {"spec": {"priorityClassName": priority, "containers": []}}
    manifest = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "driver", "namespace": namespace},
        "spec": {"template": template},
    }
    return Planned("daemonset", manifest, ("namespace",))


def test_critical_pods_of_addons_get_the_quota_that_gke_asks_for() -> None:
    namespace = Planned("namespace", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "gpu"}})
    addon = AddonPlan("driver", "1", 0, (namespace, workload("gpu", "system-node-critical")), ())
    admitted = admit_critical(addon)
    assert [(one.suffix, one.needs) for one in admitted.objects] == [
        ("namespace", ()),
        ("critical-pods-gpu", ("namespace",)),
        ("daemonset", ("namespace", "critical-pods-gpu")),
    ]
    quota = admitted.objects[1].manifest
    assert (quota["kind"], quota["metadata"]["namespace"]) == ("ResourceQuota", "gpu")
    assert "system-node-critical" in quota["spec"]["scopeSelector"]["matchExpressions"][0]["values"]
    for harmless in (workload("kube-system", "system-node-critical"), workload("gpu", "espalier-batch")):
        plain = AddonPlan("driver", "1", 0, (namespace, harmless), ())
        assert admit_critical(plain) is plain


@pytest.mark.parametrize("stack", ["gcp-dev", "gcp-prod"])
def test_the_stacks_of_the_project_have_no_mistakes(stack: str) -> None:
    settings = load_file(ROOT / "stacks" / f"Pulumi.{stack}.yaml").settings
    from espalier.addons import RECORDS

    blueprint = build(settings, RECORDS)
    assert isinstance(blueprint.cloud, GkePlan)
    assert blueprint.cost.unknown == ()
    assert all(proof.ok or proof.held for proof in blueprint.proofs)  # no chart is fetched here
