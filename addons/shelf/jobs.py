"""Ray and Spark, gateways beside Istio, and what starts servers by events.

Facts: each project's chart at the version that its row names. Envoy Gateway's certificates come by a hook, kept here;
the image of its proxies is compiled into the controller.
"""

from __future__ import annotations

from typing import Final

from espalier.addons.charted import chart, in_env
from espalier.addons.knative_serving import KUBERNETES
from espalier.addons.walls import wall
from espalier.content import ImagePath

KUBERAY: Final = chart(
    "kuberay-operator",
    "1.7.0",
    "https://ray-project.github.io/kuberay-helm/",
    "kuberay-operator",
    category="training",
    licence="Apache-2.0",
    source="https://github.com/ray-project/kuberay",
    values={"replicas": 2, "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}},
    crds={"ray.io": "rayclusters raycronjobs rayjobs rayservices"},
    images=("quay.io/kuberay/operator:v1.7.0",),
    # Jobs are handed to the dashboards of tenants' clusters (8265), health is asked of Serve (8000) and agents (52365).
    walls=(wall("kuberay-operator", (8080,), out=(8000, 8265, 52365)),),
    budgets={"kuberay-operator": {"app.kubernetes.io/name": "kuberay-operator"}},
    work=(("ray.io", ("rayclusters", "raycronjobs", "rayjobs", "rayservices")),),
)

SPARK: Final = chart(
    "spark-operator",
    "2.5.2",
    "https://kubeflow.github.io/spark-operator",
    "spark-operator",
    category="data",
    licence="Apache-2.0",
    source="https://github.com/kubeflow/spark-operator",
    values={
        "controller": {"replicas": 2, "podDisruptionBudget": {"enable": True}},
        "webhook": {"replicas": 2, "podDisruptionBudget": {"enable": True}},
        # Drivers' accounts and rights in tenants' namespaces are tenants' own.
        "spark": {"jobNamespaces": [""], "rbac": {"create": False}, "serviceAccount": {"create": False}},
    },
    crds={"sparkoperator.k8s.io": "scheduledsparkapplications sparkapplications sparkconnects"},
    images=("ghcr.io/kubeflow/spark-operator/controller:2.5.2",),
    walls=(wall("spark-operator", (8080, 9443)),),
    work=(("sparkoperator.k8s.io", ("scheduledsparkapplications", "sparkapplications", "sparkconnects")),),
)

ENVOY_GATEWAY: Final = chart(
    "envoy-gateway",
    "v1.9.0",
    "oci://docker.io/envoyproxy",
    "envoy-gateway-system",
    name="gateway-helm",
    category="networking",
    licence="Apache-2.0",
    source="https://github.com/envoyproxy/gateway",
    # The chart brings Gateway API's definitions, too, of the experimental channel: these are another add-on's.
    values={"deployment": {"replicas": 2}, "podDisruptionBudget": {"minAvailable": 1}},
    hooks={"*": "keep"},
    without=("ValidatingAdmissionPolic*/safe-upgrades.gateway.networking.k8s.io",),
    crds={
        "gateway.envoyproxy.io": "backends backendtrafficpolicies clienttrafficpolicies envoyextensionpolicies "
        "envoypatchpolicies envoyproxies httproutefilters securitypolicies",
    },
    images=("docker.io/envoyproxy/gateway:v1.9.0", "docker.io/envoyproxy/ratelimit:17b1956c"),
    hidden=(
        ImagePath("ConfigMap", 'data["envoy-gateway.yaml"]', "envoy-gateway-config", r"image: (\S+)", optional=True),
    ),
    needs=frozenset({"gateway-api"}),
)

EMISSARY_CRDS: Final = chart(
    "emissary-crds",
    "4.1.0",
    "oci://ghcr.io/emissary-ingress",
    "emissary-system",
    name="emissary-crds-chart",
    space=False,
    category="networking",
    licence="Apache-2.0",
    source="https://github.com/emissary-ingress/emissary",
    crds={
        "getambassador.io": "authservices consulresolvers devportals hosts kubernetesendpointresolvers "
        "kubernetesserviceresolvers listeners logservices mappings modules ratelimitservices tcpmappings tlscontexts "
        "tracingservices"
    },
    work=(("getambassador.io", ("mappings", "tcpmappings")),),
)

EMISSARY: Final = chart(
    "emissary-ingress",
    "4.1.0",
    "oci://ghcr.io/emissary-ingress",
    "emissary",
    category="networking",
    licence="Apache-2.0",
    source="https://github.com/emissary-ingress/emissary",
    values={"replicaCount": 3, "service": {"type": "ClusterIP"}, "podDisruptionBudget": {"maxUnavailable": 1}},
    images=("ghcr.io/emissary-ingress/emissary:4.1.0",),
    provides=frozenset({"ingressclass/ambassador"}),
    needs=frozenset({"emissary-crds"}),
)

KNATIVE: Final = chart(
    "knative-operator",
    "v1.23.0",
    "https://knative.github.io/operator",
    "knative-operator",
    category="serving",
    licence="Apache-2.0",
    source="https://github.com/knative/operator",
    values={"knative_operator": {"multicluster": {"enabled": False}}},
    crds={"operator.knative.dev": "knativeeventings knativeservings"},
    images=(
        "gcr.io/knative-releases/knative.dev/operator/cmd/operator:v1.23.0",
        "gcr.io/knative-releases/knative.dev/operator/cmd/webhook:v1.23.0",
    ),
    kubernetes=KUBERNETES,
    walls=(wall("knative-operator", (8008, 8443, 9090)),),
)

NUCLIO: Final = chart(
    "nuclio",
    "0.20.1",
    "https://nuclio.github.io/nuclio/charts",
    "nuclio",
    category="serving",
    licence="Apache-2.0",
    source="https://github.com/nuclio/nuclio",
    # Docker's socket is what containerd's nodes lack, and a way to the host where it is there.
    values={"dashboard": {"containerBuilderKind": "kaniko", "monitorDockerDeamon": {"enabled": False}}},
    crds={"nuclio.io": "nuclioapigateways nucliofunctionevents nucliofunctions nuclioprojects"},
    images=("quay.io/nuclio/controller:1.14.1-amd64", "quay.io/nuclio/dashboard:1.14.1-amd64"),
    hidden=(in_env(r"^((?:amazon|appropriate|gcr\.io/kaniko-project)/\S+:\S+|busybox:\S+)$"),),
    level="baseline",  # both images run as root
    architectures=frozenset({"amd64"}),
    asks={"registry.pushPullUrl": "the registry that functions' images are pushed to"},
)

RECORDS: Final = (KUBERAY, SPARK, ENVOY_GATEWAY, EMISSARY_CRDS, EMISSARY, KNATIVE, NUCLIO)
