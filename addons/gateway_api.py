"""The Gateway API: definitions of gateways and routes, which controllers such as Istio or Envoy Gateway serve.

Facts: kubernetes-sigs/gateway-api v1.6.1, standard-install.yaml: the standard channel, whose kinds are stable, and an
admission policy that refuses older definitions. GKE keeps definitions of its own there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydantic import BaseModel, ConfigDict

from espalier.content import Content, ContentFacts, ManifestSource
from espalier.types import AddonRecord, Facts, Mistake

NAME: Final = "gateway-api"
VERSION: Final = "v1.6.1"
_URL: Final = f"https://github.com/kubernetes-sigs/gateway-api/releases/download/{VERSION}/standard-install.yaml"
_ROUTES: Final = ("grpcroutes", "httproutes", "tcproutes", "tlsroutes", "udproutes")
_KINDS: Final = (
    "backendtlspolicies",
    "gatewayclasses",
    "gateways",
    "listenersets",
    "referencegrants",
    *_ROUTES,
)


class Options(BaseModel):
    """Nothing to say."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def refuses(facts: Facts) -> Iterator[Mistake]:
    """GKE, which brings these definitions where it is asked to, and puts back what others change of them."""
    if facts.kind == "gke":
        accepted = "GKE's own, which it keeps at the version that it serves"
        command = "gcloud container clusters update --gateway-api=standard"
        do = f'Switch it on (`{command}`), then say `{NAME}: {{existing: "<its version>"}}`.'
        yield Mistake(f"espalier:addons.{NAME}", "on a cluster of kind gke", accepted, do)


RECORD = AddonRecord(
    id=NAME,
    version=VERSION,
    category="networks",
    tier="core",
    licence="Apache-2.0",
    source="https://github.com/kubernetes-sigs/gateway-api",
    options=Options,
    content=Content(
        source=ManifestSource(_URL, VERSION),
        namespace="kube-system",
        create_namespace=False,
        facts=ContentFacts(crds=tuple(sorted(f"{kind}.gateway.networking.k8s.io" for kind in _KINDS))),
    ),
    refuses=refuses,
    may_exist=True,
    work=(("gateway.networking.k8s.io", _ROUTES),),
    seen=(("gateway.networking.k8s.io", ("backendtlspolicies", "gateways", "listenersets", "referencegrants")),),
)
