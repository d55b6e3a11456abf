"""The startup taint where a cloud would put a pool's own taints back: the API server gives it to nodes as they join.

AKS puts an agent pool's taints back when anything else takes them off, and what it has instead does not fit:
`nodeInitializationTaints` is a preview, requests for agent pools are refused with it, and no version of the API that
Pulumi's SDK or azure-mgmt-containerservice speaks has it (azure-aks-docs, use-node-taints.md; azure-native 3.29 is of
2025-09-01). A taint that comes by the Kubernetes API is none of AKS's: it neither takes it off nor puts it back (same
page). By the key's prefix its autoscaler takes such a node for coming up. What a new node will carry it reads off the
agent pool, where this taint is not: so the pool wakes from zero.

Nodes join by the kubelet's request, with the pool's label in it (--node-labels). A MutatingAdmissionPolicy is served
from Kubernetes 1.36 on.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from espalier.blueprint import names
from espalier.types import AddonPlan, Facts, Planned, Taint

NAME: Final = "espalier-warden-gates"
_API: Final = "admissionregistration.k8s.io/v1"
_KIND: Final = "MutatingAdmissionPolicy"


def given_by_api_server(facts: Facts) -> bool:
    """Whether the nodes of gated pools get their taint by the policy; a simulated cluster's autoscaler gives it."""
    return facts.kind == "aks" and not facts.simulated_autoscaler


def gate_policy(pools: Iterable[str]) -> tuple[Planned, ...]:
    """The policy that taints nodes of these pools as they join, with its binding; nothing for no pool."""
    gated = sorted(pools)
    if not gated:
        return ()
    taint = names.STARTUP_TAINT
    # A list of typed objects as a value has the API server panic (1.36.3): plain maps, added one at a time.
    patch = (
        '(has(object.spec.taints) ? [] : [JSONPatch{op: "add", path: "/spec/taints", value: []}]) + '
        f'[JSONPatch{{op: "add", path: "/spec/taints/-", value: {json.dumps(taint.to_json())}}}]'
    )
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["nodes"]}
    spec: dict[str, Any] = {
        # A node that could not be tainted must not take work unseen: its kubelet asks again.
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "matchConstraints": {"resourceRules": [rule]},
        # A node that comes with the taint already would have it twice, which the API server refuses.
        "matchConditions": [
            {"name": "is-of-a-gated-pool", "expression": _of(gated)},
            {"name": "has-no-gate", "expression": _without(taint)},
        ],
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": patch}}],
    }
    return (
        Planned("gates", _object(_KIND, {"spec": spec})),
        Planned("gates-binding", _object(f"{_KIND}Binding", {"spec": {"policyName": NAME}}), ("gates",)),
    )


def tainted_pools(addons: Sequence[AddonPlan]) -> frozenset[str]:
    """The pools whose nodes a policy among these add-ons' objects taints, as it says itself."""
    return frozenset(pool for addon in addons for manifest in addon.manifests for pool in _named(manifest))


def _of(pools: Sequence[str]) -> str:
    return f'object.metadata.?labels["{names.POOL}"].orValue("") in {json.dumps(list(pools))}'


def _without(taint: Taint) -> str:
    same = f"one.key == {json.dumps(taint.key)} && one.effect == {json.dumps(taint.effect)}"
    return f"!object.spec.?taints.orValue([]).exists(one, {same})"


def _named(manifest: Any) -> Iterator[str]:
    if manifest["kind"] == _KIND and manifest["metadata"]["name"] == NAME:
        of_pools, _ = manifest["spec"]["matchConditions"]
        yield from json.loads(of_pools["expression"].rpartition(" in ")[2])


def _object(kind: str, body: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": _API, "kind": kind, "metadata": {"name": NAME, "labels": dict(names.MANAGED_BY)}, **body}
