"""What the add-ons that people log in by share: Secrets by their names, and the gateway before their pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from espalier.types import AddonInputs, Mistake, Planned

_OBJECT: Final = r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$"
_GATEWAYS: Final = "gateway-api"
_KUBEFLOW: Final = ("istio-gateway", "kubeflow-base")

Url = Annotated[str, Field(pattern=r"^https://[^\s/@?#$]+(/[^\s?#$]*)?$", max_length=255)]
"""Of a page or a provider: no $ and no braces, which Dex would take for variables and templates."""
Text = Annotated[str, Field(pattern=r"^[^${}\n]+$", max_length=512)]


class Closed(BaseModel):
    """Frozen, strict, closed; keys are written with hyphens."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=lambda name: name.replace("_", "-")
    )


class SecretKey(Closed):
    """A key of a Secret in the add-on's namespace; its value is in no stack file."""

    name: str = Field(pattern=_OBJECT, description="the Secret's name")
    key: str = Field(pattern=r"^[-A-Za-z0-9_.]{1,253}$", description="the key in it")


class Gateway(Closed):
    """A Gateway that is there, which lets routes of other namespaces in."""

    name: str = Field(pattern=_OBJECT, description="its name")
    namespace: str = Field(pattern=_OBJECT, description="its namespace")
    listener: str = Field(default="", pattern=r"^[-a-z0-9.]{0,253}$", description="one of its listeners; default: any")


Way = Gateway | Literal["kubeflow", "own"]
"""How people's browsers get there: by a Gateway, by Kubeflow's, or by a way of one's own, such as an Ingress."""


def env(name: str, secret: SecretKey) -> dict[str, Any]:
    """A container's variable whose value is a Secret's."""
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret.name, "key": secret.key}}}


def routes(way: Way, name: str, namespace: str, url: str, port: int) -> tuple[Planned, ...]:
    """The route from a Gateway to the add-on's Service, for the host and the path of its URL."""
    if way == "kubeflow":
        return (_within(name, namespace, urlsplit(url).path, port),)
    if way == "own":
        return ()
    parts = urlsplit(url)
    parent = {"name": way.name, "namespace": way.namespace} | ({"sectionName": way.listener} if way.listener else {})
    rule = {
        "matches": [{"path": {"type": "PathPrefix", "value": parts.path or "/"}}],
        "backendRefs": [{"name": name, "port": port}],
    }
    metadata = {"name": name, "namespace": namespace, "labels": {"app.kubernetes.io/managed-by": "espalier"}}
    spec = {"parentRefs": [parent], "hostnames": [parts.hostname or ""], "rules": [rule]}
    manifest = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": metadata, "spec": spec}
    return (Planned("route", manifest),)


def _within(name: str, namespace: str, path: str, port: int) -> Planned:
    """A path of Kubeflow's own gateway, which has no host of its own."""
    target = {"host": f"{name}.{namespace}.svc.cluster.local", "port": {"number": port}}
    rule = {"match": [{"uri": {"prefix": f"{path.rstrip('/')}/"}}], "route": [{"destination": target}]}
    metadata = {"name": name, "namespace": namespace, "labels": {"app.kubernetes.io/managed-by": "espalier"}}
    spec = {"gateways": ["kubeflow/kubeflow-gateway"], "hosts": ["*"], "http": [rule]}
    manifest = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": metadata, "spec": spec}
    return Planned("route", manifest)


def missing(inputs: AddonInputs, id: str, way: Way) -> Iterator[Mistake]:
    """An identity provider to log in by, and the definitions of routes."""
    path = f"espalier:addons.{id}"
    if inputs.issuer is None:
        do = "Add `identity: {issuer: https://...}` under espalier:."
        yield Mistake(path, "no identity.issuer", "an issuer that people log in by", do)
    gone = [id for id in _KUBEFLOW if id not in inputs.beside] if way == "kubeflow" else []
    if gone:
        do = f"Add {' and '.join(f'`{id}: {{}}`' for id in gone)} to espalier:addons, or name another way."
        yield Mistake(f"{path}.gateway", f"no {' and no '.join(gone)}", "Kubeflow's gateway beside it", do)
    if isinstance(way, Gateway) and _GATEWAYS not in inputs.beside:
        do = f"Add `{_GATEWAYS}: {{}}` to espalier:addons, or say `gateway: own`."
        yield Mistake(f"{path}.gateway", f"no {_GATEWAYS}", "the definitions of routes beside it", do)
