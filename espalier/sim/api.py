"""The little of HTTP that starting a cluster needs: health checks, and applying the base objects."""

import json
import ssl
from pathlib import Path
from typing import Any

import urllib3
import yaml

from espalier.sim.components import Component, Layout
from espalier.sim.errors import SimError
from espalier.sim.paths import DATA

_HEALTH_SECONDS = 3.0
_REQUEST_SECONDS = 30.0


def connect(pki: Path, ca: str | None, client: str | None, seconds: float) -> urllib3.PoolManager:
    """Connections that trust one CA of ``pki``, show one client certificate of it, and wait ``seconds``."""
    if ca is None:
        return urllib3.PoolManager(retries=False, timeout=seconds)
    context = ssl.create_default_context(cafile=str(pki / f"{ca}.crt"))
    if client is not None:
        context.load_cert_chain(pki / f"{client}.crt", pki / f"{client}.key")
    return urllib3.PoolManager(ssl_context=context, retries=False, timeout=seconds)


def unhealthy(layout: Layout, component: Component) -> str | None:
    """Why a component is not well, in one line; None where it is."""
    scheme = "http" if component.ca is None else "https"
    url = f"{scheme}://127.0.0.1:{component.port}{component.health}"
    try:
        with connect(layout.pki, component.ca, component.client, _HEALTH_SECONDS) as pool:
            response = pool.request("GET", url)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        return f"does not answer {url}: {type(error).__name__}"
    if response.status != 200:
        lines = response.data.decode(errors="replace").splitlines()
        failed = [line for line in lines if line.startswith("[-]")]
        return f"{url} says {response.status}: {'; '.join(failed or lines[:1])}"
    return None


class Admin:
    """The cluster's API with the administrator's certificate."""

    def __init__(self, layout: Layout) -> None:
        self._server = layout.server
        self._pool = connect(layout.pki, "ca", "admin", _REQUEST_SECONDS)

    def exists(self, path: str) -> bool:
        """Whether there is an object at ``path``; 429 is a definition so new that its storage is not there yet."""
        return self._request("GET", path, accepted=(200, 404, 429)) == 200

    def apply(self, manifest: Path) -> None:
        """Server-side apply every object of a YAML file of the package."""
        for item in yaml.safe_load_all(manifest.read_text(encoding="utf-8")):
            path = _path(item)
            self._request(
                "PATCH",
                f"{path}?fieldManager=espalier-sim&force=true",
                body=json.dumps(item).encode(),
                content_type="application/apply-patch+yaml",
            )

    def list(self, path: str) -> list[dict[str, Any]]:
        """Every object of the collection at ``path``."""
        try:
            response = self._pool.request("GET", f"{self._server}{path}")
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise SimError(f"the API server does not answer: {error}", "see `sim status`, then try again") from error
        if response.status != 200:
            raise SimError(f"GET {path} answered {response.status}", "see the API server's log")
        found: list[dict[str, Any]] = response.json()["items"]
        return found

    def delete_all(self, path: str) -> None:
        """Delete the object, or every object of the collection, at ``path``."""
        self._request("DELETE", path, accepted=(200, 404))

    def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Create an object in the collection at ``path``; the object as it is then."""
        data = json.dumps(body).encode()
        made: dict[str, Any] = json.loads(self._answer("POST", path, data, "application/json", (200, 201)).data)
        return made

    def patch(self, path: str, body: dict[str, Any], how: str = "merge") -> None:
        """Patch the object at ``path``, by ``merge`` or ``strategic-merge``."""
        self._request("PATCH", path, body=json.dumps(body).encode(), content_type=f"application/{how}-patch+json")

    def _request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        content_type: str = "application/json",
        accepted: tuple[int, ...] = (200, 201),
    ) -> int:
        return self._answer(method, path, body, content_type, accepted).status

    def _answer(
        self, method: str, path: str, body: bytes | None, content_type: str, accepted: tuple[int, ...]
    ) -> urllib3.BaseHTTPResponse:
        try:
            response = self._pool.request(
                method, f"{self._server}{path}", body=body, headers={"Content-Type": content_type}
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise SimError(f"the API server does not answer: {error}", "see `sim status`, then try again") from error
        if response.status not in accepted:
            said = response.data.decode(errors="replace")[:500]
            raise SimError(f"{method} {path} answered {response.status}: {said}", "see the API server's log")
        return response


def _path(item: dict[str, Any]) -> str:
    metadata: dict[str, str] = item["metadata"]
    version: str = item["apiVersion"]
    prefix = "/apis" if "/" in version else "/api"
    namespace = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    plural = {
        "ClusterRole": "clusterroles",
        "ClusterRoleBinding": "clusterrolebindings",
        "ConfigMap": "configmaps",
        "CustomResourceDefinition": "customresourcedefinitions",
        "KWOKNodeClass": "kwoknodeclasses",
        "MutatingAdmissionPolicy": "mutatingadmissionpolicies",
        "MutatingAdmissionPolicyBinding": "mutatingadmissionpolicybindings",
        "StorageClass": "storageclasses",
    }[item["kind"]]
    return f"{prefix}/{version}{namespace}/{plural}/{metadata['name']}"


BOOTSTRAP = DATA / "bootstrap.yaml"
