"""The door of Kubeflow's gateway: nobody passes whom oauth2-proxy does not let in, and pages are told who it is.

Facts: kubeflow/community-distribution 26.03.1, common/oauth2-proxy/components/{istio-external-auth,istio-m2m}: the
gateway asks the proxy, takes the token that comes back, and writes claims of it into the headers that pages believe;
Envoy takes such headers off before, whoever sent them. What has no valid token is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from espalier.addons.istio import GATEWAY_PODS
from espalier.addons.istio import NAMESPACE as MESH
from espalier.types import AddonInputs, Mistake, Planned

ADDRESS: Final = "oauth2-proxy.oauth2-proxy.svc.cluster.local:80"
_API: Final = "security.istio.io/v1"
_GATEWAY: Final = {"matchLabels": {"istio": GATEWAY_PODS["istio"]}}


def unasked(inputs: AddonInputs) -> Iterator[Mistake]:
    """istiod must know whom the gateway asks."""
    named = str(inputs.beside.get("istiod", {}).get("authorizer") or "")
    if named != ADDRESS:
        got, do = named or "nothing", f"Say `istiod: {{authorizer: {ADDRESS}}}`."
        yield Mistake("espalier:addons.istiod.authorizer", got, f"{ADDRESS}, whom Kubeflow's gateway asks", do)


def front_door(inputs: AddonInputs) -> tuple[Planned, ...]:
    """Policies of the gateway; the ways to the proxy and to Dex stay open where they are of the same gateway."""
    issuer = inputs.issuer
    assert issuer is not None  # noqa: S101 - refused before
    free = ["/oauth2/*"]
    if inputs.beside.get("dex", {}).get("gateway") == "kubeflow":
        free.append(f"{urlsplit(issuer.url).path.rstrip('/')}/*")
    elsewhere = [{"operation": {"notPaths": free}}]
    no_token = [{"key": "request.headers[authorization]", "notValues": ["*"]}]
    told = [("kubeflow-userid", issuer.username_claim), ("kubeflow-groups", issuer.groups_claim)]
    rule = {
        "issuer": issuer.url,
        "audiences": sorted({issuer.client_id, _client(inputs)}),
        "forwardOriginalToken": True,
        "fromHeaders": [{"name": "Authorization", "prefix": "Bearer "}],
        "outputClaimToHeaders": [{"header": header, "claim": claim} for header, claim in told],
    }
    asks = {"action": "CUSTOM", "provider": {"name": "oauth2-proxy"}, "rules": [{"to": elsewhere, "when": no_token}]}
    nobody = [{"from": [{"source": {"notRequestPrincipals": ["*"]}}], "to": elsewhere}]
    return (
        _planned("login", "AuthorizationPolicy", asks),
        _planned("who", "RequestAuthentication", {"jwtRules": [rule]}),
        _planned("nobody", "AuthorizationPolicy", {"action": "DENY", "rules": nobody}),
    )


def _client(inputs: AddonInputs) -> str:
    return str(inputs.beside.get("oauth2-proxy", {}).get("client-id") or "oauth2-proxy")


def _planned(suffix: str, kind: str, spec: Mapping[str, Any]) -> Planned:
    labels = {"app.kubernetes.io/managed-by": "espalier"}
    metadata = {"name": f"kubeflow-{suffix}", "namespace": MESH, "labels": labels}
    return Planned(
        suffix, {"apiVersion": _API, "kind": kind, "metadata": metadata, "spec": {"selector": _GATEWAY, **spec}}
    )
