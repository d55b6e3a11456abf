"""AMD's GPU operator: its own parts alone, pinned images, and no hook that deletes what is others'."""

from __future__ import annotations

from typing import Any

import yaml

from espalier.addons import RECORDS
from espalier.addons.amd_gpu_operator import RECORD, values
from espalier.blueprint.order import plan_addons, provided_by
from espalier.blueprint.pools import PoolPlan, compile_pools
from espalier.blueprint.proofs import prove
from espalier.settings.pool import Pool
from espalier.types import AddonInputs, AddonPlan, Facts, Planned

BESIDE = {"amd-gpu-operator": {}, "node-feature-discovery": {}}


def a_pool(**keys: Any) -> PoolPlan:
    block = {"name": "p", "accelerator": "MI300X", "nodes": {"max": 2}, **keys}
    pool = Pool.model_validate(block, strict=False)
    (plan,), mistakes = compile_pools([pool], {}, simulated=False, provided=provided_by(BESIDE, RECORDS))
    assert mistakes == ()
    return plan


def told(plan: PoolPlan, kind: str = "existing") -> dict[str, Any]:
    return dict(values(AddonInputs(Facts(kind, "1.35", True), (plan.facts(),), RECORD.options())))


def config(found: dict[str, Any]) -> dict[str, Any]:
    spec = found["deviceConfig"]["spec"]
    return {"apiVersion": "amd.com/v1alpha1", "kind": "DeviceConfig", "metadata": {"name": "default"}, "spec": spec}


def test_only_its_own_parts_are_on() -> None:
    found = told(a_pool())
    assert found["kmm"] == {"enabled": False, "watch": False}
    assert found["remediation"] == {"enabled": False, "installCRDs": False}
    assert found["node-feature-discovery"] == {"enabled": False}
    assert found["deviceConfig"]["spec"]["driver"] == {"enable": False}
    assert ":latest" not in yaml.safe_dump(found)


def test_virtual_functions_of_azure_have_a_label_of_their_own() -> None:
    plan = a_pool()
    label = "feature.node.kubernetes.io/amd-vgpu"
    assert told(plan, "aks")["deviceConfig"]["spec"]["selector"] == {label: "true"}
    assert label not in told(plan)["deviceConfig"]["spec"]["selector"]


def test_it_owns_plugin_and_metrics_and_reaches_its_pools() -> None:
    plan = a_pool(taints=[{"key": "team", "value": "a"}])
    owners = plan.owners
    assert owners is not None
    assert (owners.driver.who, owners.device_plugin.addon, owners.metrics.addon) == (
        "host",
        "amd-gpu-operator",
        "amd-gpu-operator",
    )

    def reach(spec: dict[str, Any]) -> tuple[bool, str]:
        addon = AddonPlan("amd-gpu-operator", "v1.5.1", 0, (Planned("c", spec),), (), provides=RECORD.provides)
        found = {proof.name: proof for proof in prove([plan], [], [addon], RECORDS)}["daemonset/amd-gpu-operator"]
        return found.ok, found.evidence

    made = config(told(plan))
    assert reach(made) == (True, "reaches p/on-demand")
    made["spec"]["devicePlugin"]["devicePluginTolerations"] = []
    assert reach(made) == (False, "p/on-demand: device-plugin does not tolerate amd.com/gpu=present:NoSchedule")


def test_the_plain_plugin_beside_it_is_refused() -> None:
    wanted = {**BESIDE, "amd-device-plugin": {}}
    _, mistakes = plan_addons(wanted, RECORDS, Facts("existing", "1.35", True), [a_pool().facts()])
    assert [mistake.text() for mistake in mistakes] == [
        "espalier:addons.amd-gpu-operator: got beside amd-device-plugin; accepted: one of the two: the operator "
        "starts a plugin of its own, and each would hand out all devices. Remove amd-gpu-operator or amd-device-plugin."
    ]
