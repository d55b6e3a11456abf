"""The objects of a probe: shut off, as strict as the devices allow, and gone by themselves should nobody end them."""

from typing import Any

from espalier.blueprint.probe import Probe
from espalier.policies.rules import disruption, pods
from espalier.types import Registered
from espalier.verify.probe_job import JOB_SECONDS, objects
from tests.unit.test_probe_plan import blueprint, of, only, stack


def made(probe: Probe) -> dict[str, Any]:
    return {manifest["kind"]: manifest for manifest in objects(probe, "espalier-probe-x", "run", "espalier-batch")}


def pod(probe: Probe) -> Any:
    return made(probe)["Job"]["spec"]["template"]["spec"]


def environment(probe: Probe) -> dict[str, str]:
    return {each["name"]: each["value"] for each in pod(probe)["containers"][0]["env"]}


def keys(probe: Probe) -> dict[str, list[str]]:
    affinity = pod(probe)["affinity"]
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    return {kind: [term["topologyKey"] for term in terms[required]] for kind, terms in affinity.items()}


H100 = of(stack("aws-prod"), "h100")
V6E = of(stack("gcp-prod"), "v6e")
MI300X = only(blueprint({"accelerator": "MI300X"}))
TURNS = only(blueprint({"accelerator": "L40S", "count": 4, "sharing": {"mps": 4}}))


def test_a_probe_lands_on_its_pool_alone_and_asks_for_the_whole_node() -> None:
    spec = pod(H100)
    assert spec["nodeSelector"] == {"espalier.dev/pool": "h100"}
    assert {"key": "nvidia.com/gpu", "operator": "Equal", "value": "present", "effect": "NoSchedule"} in spec[
        "tolerations"
    ]
    resources = spec["containers"][0]["resources"]
    assert resources["requests"] == resources["limits"]
    assert resources["limits"]["nvidia.com/gpu"] == "8"
    assert resources["limits"]["vpc.amazonaws.com/efa"] == "32"
    assert spec["priorityClassName"] == "espalier-batch"
    assert environment(H100)["FI_PROVIDER"] == "efa"


def test_it_is_of_the_strictest_level_that_its_devices_allow() -> None:
    labels = made(H100)["Namespace"]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert pod(H100)["securityContext"]["runAsNonRoot"] is True
    assert made(MI300X)["Namespace"]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "baseline"
    for probe in (H100, V6E, MI300X, TURNS):
        spec = pod(probe)
        container = spec["containers"][0]["securityContext"]
        assert container["capabilities"] == {"drop": ["ALL"]}
        assert container["allowPrivilegeEscalation"] is False
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        assert {"hostNetwork", "hostPID", "hostIPC"}.isdisjoint(spec)
        assert not any("hostPath" in volume for volume in spec["volumes"])


def test_its_pods_talk_to_one_another_and_ask_for_names_and_no_more() -> None:
    spec = made(H100)["NetworkPolicy"]["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec["podSelector"] == {}
    assert spec["ingress"] == [{"from": [{"podSelector": {}}]}]
    ports = [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]
    assert spec["egress"] == [{"to": [{"podSelector": {}}]}, {"ports": ports}]


def test_pods_of_several_nodes_find_one_another_and_are_apart() -> None:
    job = made(H100)["Job"]["spec"]
    assert (job["completions"], job["parallelism"], job["completionMode"]) == (2, 2, "Indexed")
    assert made(H100)["Service"]["spec"]["publishNotReadyAddresses"] is True
    assert environment(H100)["PROBE_PEER"] == "probe-0.probe.espalier-probe-x.svc"
    assert environment(H100)["PROBE_MEASURES"] == "node,nodes"
    assert keys(H100) == {"podAntiAffinity": ["kubernetes.io/hostname"]}
    assert keys(V6E) == {
        "podAntiAffinity": ["kubernetes.io/hostname"],
        "podAffinity": ["cloud.google.com/gke-nodepool"],
    }
    assert "affinity" not in pod(MI300X)


def test_it_ends_by_itself_and_is_not_tried_again() -> None:
    job = made(H100)["Job"]["spec"]
    assert (job["backoffLimit"], job["activeDeadlineSeconds"]) == (0, JOB_SECONDS)
    assert job["template"]["spec"]["restartPolicy"] == "Never"


def test_shared_memory_is_left_to_the_plugin_of_mps() -> None:
    assert "shared-memory" in {volume["name"] for volume in pod(H100)["volumes"]}
    assert "shared-memory" not in {volume["name"] for volume in pod(TURNS)["volumes"]}


def test_the_program_is_the_one_for_the_device() -> None:
    programs = {probe.program: made(probe)["ConfigMap"]["data"]["probe.py"] for probe in (H100, V6E, MI300X)}
    assert "nvidia-smi" in programs["gpu"]
    assert "jax" in programs["tpu"]
    trainium = of(stack("aws-prod"), "trainium")
    assert "neuron-ls" in made(trainium)["ConfigMap"]["data"]["probe.py"]


def test_the_platforms_own_policies_find_nothing_wrong_with_it() -> None:
    """Images are pinned, nothing is privileged, and pods end within a spot node's notice."""
    facts = stack("aws-prod").policy_facts()
    for probe in (H100, V6E, MI300X, TURNS, of(stack("aws-prod"), "trainium")):
        job = made(probe)["Job"]
        registered = Registered("urn:probe", "kubernetes:batch/v1:Job", "probe", job)
        for rule in (*pods.RULES, *disruption.RULES):
            assert list(rule.judge([registered], facts)) == [], rule.name
