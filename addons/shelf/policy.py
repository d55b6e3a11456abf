"""Secrets from elsewhere, names in DNS, policy engines, an interface.

Facts: each project's chart at the version that its row names (values.yaml, templates), and what it does when it goes:
Kyverno's own webhooks fail closed and are made at run time, so that they would lock a cluster that it has left; they
are made to let pass instead, and admission that must hold is Espalier's own (ValidatingAdmissionPolicies).
"""

from __future__ import annotations

from typing import Final

from espalier.addons.charted import chart
from espalier.addons.walls import wall

EXTERNAL_SECRETS: Final = chart(
    "external-secrets",
    "2.9.0",
    "https://charts.external-secrets.io",
    "external-secrets",
    category="secrets",
    licence="Apache-2.0",
    source="https://github.com/external-secrets/external-secrets",
    values={
        "leaderElect": True,
        "replicaCount": 2,
        "podDisruptionBudget": {"enabled": True},
        "webhook": {"replicaCount": 2, "podDisruptionBudget": {"enabled": True}},
        "certController": {"replicaCount": 2, "podDisruptionBudget": {"enabled": True}},
        # Tenants' roles are their own: no rights come to Kubernetes' `edit` and `view` from here.
        "rbac": {"aggregateToView": False, "aggregateToEdit": False, "aggregateToAdmin": False},
    },
    crds={
        "external-secrets.io": "clusterexternalsecrets clusterpushsecrets clustersecretstores externalsecrets "
        "pushsecrets secretstores",
        "generators.external-secrets.io": "acraccesstokens beyondtrustworkloadcredentialsdynamicsecrets "
        "cloudsmithaccesstokens clustergenerators ecrauthorizationtokens fakes gcraccesstokens generatorstates "
        "githubaccesstokens gitlabdeploytokens grafanas mfas passwords quayaccesstokens sshkeys stssessiontokens uuids "
        "vaultdynamicsecrets webhooks",
    },
    images=("ghcr.io/external-secrets/external-secrets:v2.9.0",),
    walls=(wall("external-secrets", (8080, 8081, 10250)),),
    may_exist=True,
    # A SecretStore without credentials of its own is asked for with the controller's: the platform makes these.
    work=(("external-secrets.io", ("externalsecrets",)),),
    seen=(("external-secrets.io", ("secretstores",)),),
)

EXTERNAL_DNS: Final = chart(
    "external-dns",
    "1.21.1",
    "https://kubernetes-sigs.github.io/external-dns/",
    "external-dns",
    category="networking",
    licence="Apache-2.0",
    source="https://github.com/kubernetes-sigs/external-dns",
    # Of two at work one would undo the other's, so that one runs; it deletes no name unless `policy: sync` says so.
    values={"policy": "upsert-only", "sources": ["service", "ingress"], "managedRecordTypes": ["A", "AAAA", "CNAME"]},
    crds={"externaldns.k8s.io": "dnsendpoints"},
    images=("registry.k8s.io/external-dns/external-dns:v0.21.0",),
    walls=(wall("external-dns", (7979,)),),
    asks={
        "provider.name": "who serves the zone: aws, google, azure, cloudflare, ...",
        "txtOwnerId": "a word that no other cluster signs its names with",
        "domainFilters": "the zones that it may write to",
    },
)

KYVERNO: Final = chart(
    "kyverno",
    "3.9.0",
    "https://kyverno.github.io/kyverno/",
    "kyverno",
    category="policy",
    licence="Apache-2.0",
    source="https://github.com/kyverno/kyverno",
    values={
        "admissionController": {"replicas": 3, "podDisruptionBudget": {"enabled": True}},
        "backgroundController": {"replicas": 2, "podDisruptionBudget": {"enabled": True}},
        "cleanupController": {"replicas": 2, "podDisruptionBudget": {"enabled": True}},
        "reportsController": {"replicas": 2, "podDisruptionBudget": {"enabled": True}},
        "features": {"forceFailurePolicyIgnore": {"enabled": True}},
        "crds": {"migration": {"enabled": False}},
        "webhooksCleanup": {"enabled": False},
    },
    crds={
        "kyverno.io": "cleanuppolicies clustercleanuppolicies clusterpolicies globalcontextentries policies "
        "policyexceptions updaterequests",
        "policies.kyverno.io": "deletingpolicies generatingpolicies imagevalidatingpolicies mutatingpolicies "
        "namespaceddeletingpolicies namespacedgeneratingpolicies namespacedimagevalidatingpolicies "
        "namespacedmutatingpolicies namespacedvalidatingpolicies policyexceptions validatingpolicies",
        "reports.kyverno.io": "clusterephemeralreports ephemeralreports",
        "wgpolicyk8s.io": "clusterpolicyreports policyreports",
    },
    images=(
        "reg.kyverno.io/kyverno/background-controller:v1.19.0",
        "reg.kyverno.io/kyverno/cleanup-controller:v1.19.0",
        "reg.kyverno.io/kyverno/kyverno:v1.19.0",
        "reg.kyverno.io/kyverno/kyvernopre:v1.19.0",
        "reg.kyverno.io/kyverno/reports-controller:v1.19.0",
    ),
    walls=(wall("kyverno", (8000, 9443)),),
)

GATEKEEPER: Final = chart(
    "gatekeeper",
    "3.23.0",
    "https://open-policy-agent.github.io/gatekeeper/charts",
    "gatekeeper-system",
    category="policy",
    licence="Apache-2.0",
    source="https://github.com/open-policy-agent/gatekeeper",
    values={
        "upgradeCRDs": {"enabled": False},
        "postInstall": {"labelNamespace": {"enabled": False}, "probeWebhook": {"enabled": False}},
        "postUpgrade": {"labelNamespace": {"enabled": False}},
    },
    crds={
        "config.gatekeeper.sh": "configs",
        "connection.gatekeeper.sh": "connections",
        "expansion.gatekeeper.sh": "expansiontemplate",
        "externaldata.gatekeeper.sh": "providers",
        "mutations.gatekeeper.sh": "assign assignimage assignmetadata modifyset",
        "status.gatekeeper.sh": "configpodstatuses connectionpodstatuses constraintpodstatuses "
        "constrainttemplatepodstatuses expansiontemplatepodstatuses mutatorpodstatuses providerpodstatuses",
        "syncset.gatekeeper.sh": "syncsets",
        "templates.gatekeeper.sh": "constrainttemplates",
    },
    images=("openpolicyagent/gatekeeper:v3.23.0",),
    walls=(wall("gatekeeper-system", (8443, 8888, 9090)),),
)

HEADLAMP: Final = chart(
    "headlamp",
    "0.45.0",
    "https://kubernetes-sigs.github.io/headlamp/",
    "headlamp",
    category="interface",
    licence="Apache-2.0",
    source="https://github.com/kubernetes-sigs/headlamp",
    # People act with their own token: its own account, by the chart a cluster-admin, may nothing.
    values={
        "replicaCount": 2,
        "podDisruptionBudget": {"enabled": True, "minAvailable": 1},
        "clusterRoleBinding": {"create": False},
    },
    images=("ghcr.io/headlamp-k8s/headlamp:v0.45.0",),
    walls=(wall("headlamp", (4466,)),),
)

RECORDS: Final = (EXTERNAL_SECRETS, EXTERNAL_DNS, KYVERNO, GATEKEEPER, HEADLAMP)
