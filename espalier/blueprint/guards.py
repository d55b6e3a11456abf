"""What keeps tenants from what the platform manages, whatever their roles let them: admission policies of the cluster.

Roles give a tenant nothing of this already; but other tools bind broad ones in its namespaces. Kubeflow's
kubeflow-edit, which every notebook has, deletes NetworkPolicies; kubeflow-admin edits Roles (kubeflow/manifests,
kubeflow-roles). All are ValidatingAdmissionPolicies (v1 since Kubernetes 1.30), shared by all tenants, without a
webhook. They judge no requests for policies themselves, which the API server exempts: those only RBAC keeps.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from espalier.blueprint import guarded_access as access
from espalier.blueprint import guarded_pods as guarded
from espalier.blueprint import names
from espalier.blueprint.admission import may_mutate
from espalier.blueprint.guard_terms import A_TENANTS, NO_DEPLOYER, TENANTS, rule
from espalier.blueprint.hostnames import host_names
from espalier.blueprint.priorities import priorities
from espalier.blueprint.scalers import MONITORING, scalers
from espalier.blueprint.scraping import monitors
from espalier.types import Planned

MANAGED: Final = "espalier-guard-managed"
WALLS: Final = "espalier-guard-walls"
NAMESPACES: Final = "espalier-guard-namespaces"
FINALIZERS: Final = "espalier-guard-finalizers"
PODS: Final = "espalier-guard-pods"
SERVICES: Final = "espalier-guard-services"
PLACEMENT: Final = "espalier-guard-placement"
IMAGES: Final = "espalier-guard-images"
HOSTS: Final = "espalier-guard-hosts"
MONITORS: Final = "espalier-guard-monitors"
QUEUES: Final = "espalier-guard-queues"
BINDINGS: Final = "espalier-guard-bindings"
PROFILES: Final = "espalier-guard-profiles"
SCALERS: Final = "espalier-guard-scalers"

_API: Final = "admissionregistration.k8s.io/v1"
_ALL: Final = ("CREATE", "UPDATE", "DELETE")
_LABELLED: Final = f'"{names.TENANT}" in {{}}.metadata.?labels.orValue({{{{}}}})'

_SHARED: Final = (
    ("scheduling.k8s.io", ("priorityclasses",)),
    ("rbac.authorization.k8s.io", ("clusterrolebindings", "clusterroles")),
    ("kueue.x-k8s.io", ("admissionchecks", "clusterqueues", "cohorts", "resourceflavors", "workloadpriorityclasses")),
    ("scheduling.volcano.sh", ("queues",)),
    ("scheduling.run.ai", ("queues",)),
)
"""Kinds of the cluster by which tenants share it."""
_WALLS: Final = (
    ("", ("bindings", "endpoints", "limitranges", "pods/binding", "pods/status", "resourcequotas")),
    ("discovery.k8s.io", ("endpointslices",)),
    ("rbac.authorization.k8s.io", ("rolebindings", "roles")),
    # The API group of each network's own policies differs, and so may what a tenant finds in its cluster.
    ("*", ("networkpolicies", "ciliumnetworkpolicies", "authorizationpolicies", "peerauthentications")),
    ("kueue.x-k8s.io", ("localqueues", "workloads")),
    ("gateway.networking.k8s.io", ("gateways", "listenersets", "referencegrants")),
    ("networking.istio.io", ("envoyfilters", "gateways", "serviceentries", "workloadentries", "workloadgroups")),
    ("cert-manager.io", ("certificaterequests",)),
    ("monitoring.coreos.com", ("alertmanagerconfigs", "probes", "prometheusrules", "scrapeconfigs")),
    ("eventing.keda.sh", ("cloudeventsources",)),
    ("external-secrets.io", ("externalsecrets", "pushsecrets", "secretstores")),
    ("generators.external-secrets.io", ("*",)),
)
"""Kinds of a namespace that hold its tenant: any of these, whoever made it. One more NetworkPolicy opens the wall, one
more LimitRange gives every container a device, one more RoleBinding lets a stranger in, one more Gateway answers for
others' hosts, one more ExternalSecret reads what a store has of others, one more Endpoints has a gateway, whom every
tenant's wall lets in, carry requests to others' pods (kubernetes/kubernetes#103675), and so does an address that is
written into a pod's status; a pod that is bound by hand goes round the scheduler; a PrometheusRule reads the metrics of
all, and writes such as others' scalers and idle rules go by; Alertmanager and KEDA send to any address."""


def guards(
    version: str, noted: Collection[str] = (), system: str = "", prometheus: str = MONITORING
) -> tuple[Planned, ...]:
    """All policies with their bindings; they touch tenants' namespaces and what tenants share alone.

    `noted` are the annotations that tenants' namespaces have: what none says needs no policy. `system` is the queueing
    system, by which the classes' values are; `prometheus` the namespace of the one whom KEDA asks.
    """
    placed = {names.FORBIDDEN_POOLS, names.FORBIDDEN_CAPACITY, names.SPOT_BY_CLASS} & set(noted)
    mutates = may_mutate(version)
    return (
        *_pair("managed", MANAGED, _managed()),
        *_pair("walls", WALLS, _walls()),
        *_pair("namespaces", NAMESPACES, _namespaces()),
        *_pair("finalizers", FINALIZERS, _finalizers()),
        *_pair("pods", PODS, guarded.pods(priorities(system))),
        *_pair("services", SERVICES, _services()),
        *_pair("hosts", HOSTS, host_names()),
        *_pair("monitors", MONITORS, monitors()),
        *_pair("scalers", SCALERS, scalers(prometheus)),
        *_pair("bindings", BINDINGS, access.bindings()),
        *_pair("profiles", PROFILES, access.profiles()),
        *(
            _pair("placement", PLACEMENT, guarded.kept_away() if mutates else guarded.placed_apart(), mutates)
            if placed
            else ()
        ),
        *(_pair("images", IMAGES, guarded.images()) if names.REGISTRIES in noted else ()),
        # Kueue's work names a LocalQueue of its namespace, which the platform makes.
        *(_pair("queues", QUEUES, guarded.queues()) if system not in ("", "kueue") else ()),
    )


def _pair(suffix: str, name: str, spec: Mapping[str, Any], mutates: bool = False) -> tuple[Planned, Planned]:
    metadata = {"name": name, "labels": dict(names.MANAGED_BY)}
    kind = "MutatingAdmissionPolicy" if mutates else "ValidatingAdmissionPolicy"
    policy = {"apiVersion": _API, "kind": kind, "metadata": metadata, "spec": {"failurePolicy": "Fail", **spec}}
    binding: dict[str, Any] = {"policyName": name} | ({} if mutates else {"validationActions": ["Deny"]})
    bound = {"apiVersion": _API, "kind": f"{kind}Binding", "metadata": dict(metadata), "spec": binding}
    return Planned(f"guard-{suffix}", policy), Planned(f"guard-{suffix}-binding", bound, (f"guard-{suffix}",))


def _refusing(
    rules: Sequence[Mapping[str, Any]], *conditions: Mapping[str, str], message: str, **matching: Any
) -> dict[str, Any]:
    """Refuses what matches by itself to tenants. `message` is CEL: it names the object."""
    return {
        "matchConstraints": {"resourceRules": list(rules), **matching},
        "matchConditions": [*conditions, A_TENANTS, NO_DEPLOYER],
        "validations": [
            {
                "expression": "false",
                "messageExpression": message,
                "message": "kept by the platform",
                "reason": "Forbidden",
            }
        ],
    }


_OBJECT: Final = 'request.kind.kind + " " + (request.name != "" ? request.name : "of a name to be made")'
_ASK: Final = "ask who runs the platform: it is in the stack file"


def _managed() -> dict[str, Any]:
    """What carries Espalier's label, before or after the change. No namespaceSelector bounds kinds of the cluster."""
    return _refusing(
        [rule("*", ["*"], _ALL, "Namespaced"), *(rule(group, kinds, _ALL, "Cluster") for group, kinds in _SHARED)],
        message=f'{_OBJECT} + " is managed by the platform (label app.kubernetes.io/managed-by: espalier); {_ASK}"',
        namespaceSelector=TENANTS,
        objectSelector={"matchLabels": dict(names.MANAGED_BY)},
    )


def _walls() -> dict[str, Any]:
    return _refusing(
        [rule(group, kinds, _ALL, "Namespaced") for group, kinds in _WALLS],
        message=f'{_OBJECT} + " would change what holds the tenant of namespace " + request.namespace + "; {_ASK}"',
        namespaceSelector=TENANTS,
    )


def _namespaces() -> dict[str, Any]:
    """By either object's label: a namespaceSelector sees only the new one, and misses who takes the label off."""
    has = [f"{which} != null && {_LABELLED.format(which)}" for which in ("object", "oldObject")]
    return _refusing(
        [rule("", ["namespaces", "namespaces/finalize", "namespaces/status"], _ALL)],
        {"name": "is-a-tenants-namespace", "expression": " || ".join(f"({one})" for one in has)},
        message=f'{_OBJECT} + " is a tenant\'s, and its labels are what holds it; {_ASK}"',
    )


def _finalizers() -> dict[str, Any]:
    """A finalizer of one's own keeps a namespace from going; one taken off leaves a disk, or a queue that miscounts.

    The API server itself puts pvc-protection on a claim (plugin/pkg/admission/storage/storageobjectinuseprotection),
    and Kueue's webhook its own on a pod (pkg/controller/jobs/pod), both in the maker's name.
    """
    free = 'f == "kubernetes.io/pvc-protection" || f.startsWith("kueue.x-k8s.io/")'
    return {
        "matchConstraints": {
            "resourceRules": [rule("*", ["*"], ["CREATE", "UPDATE"], "Namespaced")],
            "namespaceSelector": TENANTS,
        },
        "matchConditions": [
            {
                "name": "has-finalizers",
                "expression": "has(object.metadata.finalizers) || "
                "(oldObject != null && has(oldObject.metadata.finalizers))",
            },
            A_TENANTS,
            NO_DEPLOYER,
        ],
        "variables": [
            {"name": "now", "expression": "object.metadata.?finalizers.orValue([])"},
            {
                "name": "before",
                "expression": "oldObject == null ? [] : oldObject.metadata.?finalizers.orValue([])",
            },
        ],
        "validations": [
            {
                "expression": f"variables.now.all(f, f in variables.before || {free}) "
                "&& variables.before.all(f, f in variables.now)",
                "message": "finalizers are put on and taken off by controllers, not by tenants: one that nobody takes "
                "off would keep the namespace from going",
                "reason": "Forbidden",
            }
        ],
    }


def _services() -> dict[str, Any]:
    """Traffic to an address that a Service claims goes to its pods, whoever's address it is (CVE-2020-8554).

    A Service that is another name lets a gateway, whom every tenant's wall lets in, carry requests to others' Services.
    KServe makes such Services in its own name.
    """
    return {
        "matchConstraints": {
            "resourceRules": [rule("", ["services"], ["CREATE", "UPDATE"], "Namespaced")],
            "namespaceSelector": TENANTS,
        },
        "variables": [
            {"name": "theirs", "expression": f"({A_TENANTS['expression']}) && ({NO_DEPLOYER['expression']})"},
        ],
        "validations": [
            {
                "expression": "!has(object.spec.externalIPs) || object.spec.externalIPs.size() == 0",
                "message": "spec.externalIPs would take traffic that is not the tenant's: remove it",
                "reason": "Forbidden",
            },
            {
                "expression": 'object.spec.?type.orValue("") != "ExternalName" || !variables.theirs',
                "message": "a Service of type ExternalName would lead gateways to what is not the tenant's: "
                "call that name itself",
                "reason": "Forbidden",
            },
        ],
    }
