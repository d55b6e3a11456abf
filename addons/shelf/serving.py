"""Servers of models and features beside KServe.

Facts: each project's chart at the version that its row names. Seldon Core 2 is under the Business Source License: a
stack that has it says that this is agreed to. Of its four charts the definitions and the setup's operator are here; a
runtime for each tenant is a chart of its own.
"""

from __future__ import annotations

from typing import Final

from espalier.addons.charted import chart

SELDON_CRDS: Final = chart(
    "seldon-core-v2-crds",
    "2.10.2",
    "https://seldonio.github.io/helm-charts",
    "seldon-mesh",
    space=False,
    category="serving",
    licence="BUSL-1.1",
    source="https://github.com/SeldonIO/seldon-core",
    crds={"mlops.seldon.io": "experiments models pipelines seldonconfigs seldonruntimes serverconfigs servers"},
)

SELDON: Final = chart(
    "seldon-core-v2",
    "2.10.2",
    "https://seldonio.github.io/helm-charts",
    "seldon-mesh",
    name="seldon-core-v2-setup",
    category="serving",
    licence="BUSL-1.1",
    source="https://github.com/SeldonIO/seldon-core",
    values={"controller": {"clusterwide": True}},
    images=("docker.io/seldonio/seldonv2-controller:2.10.2",),
    needs=frozenset({"seldon-core-v2-crds"}),
)

FEAST: Final = chart(
    "feast-feature-server",
    "0.66.0",
    "https://feast-helm-charts.storage.googleapis.com",
    "feast",
    category="features",
    licence="Apache-2.0",
    source="https://github.com/feast-dev/feast",
    values={"replicaCount": 2},
    images=("quay.io/feastdev/feature-server:0.66.0",),
    budgets={"feast-feature-server": {"app.kubernetes.io/name": "feast-feature-server"}},
    user=1001,
    asks={"feature_store_yaml_base64": "feature_store.yaml, encoded: registry, online store, offline store"},
)

RECORDS: Final = (SELDON_CRDS, SELDON, FEAST)
