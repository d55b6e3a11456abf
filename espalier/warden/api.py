"""The API server, over the standard library: requests, a watch, and what can go wrong with either."""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
JSON = "application/json"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
_SECONDS = 30.0


class ApiError(Exception):
    """The API server's refusal: its status, and what it said."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"{status}: {said}")
        self.status = status


class UnreachableError(Exception):
    """No answer: the server is away, or the connection broke."""


@dataclass(frozen=True)
class Server:
    """Where the API server is, and how to show who one is: a token's file, renewed in place, or a certificate."""

    host: str
    port: int
    ca: Path
    token: Path | None = None
    certificate: tuple[Path, Path] | None = None

    @classmethod
    def within(cls, environment: Mapping[str, str]) -> Server:
        """As a pod sees it."""
        host = environment["KUBERNETES_SERVICE_HOST"]
        return cls(host, int(environment["KUBERNETES_SERVICE_PORT"]), ACCOUNT / "ca.crt", ACCOUNT / "token")


class Api:
    """One identity's requests; a connection each, so that none is left over from a server that has gone."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """One object, or a list of them."""
        return self.request("GET", path, query=query)

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Creates an object."""
        return self.request("POST", path, body)

    def put(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Replaces an object; with its resourceVersion, only that very version of it."""
        return self.request("PUT", path, body)

    def patch(self, path: str, body: Any, kind: str = JSON_PATCH) -> dict[str, Any]:
        """Changes an object."""
        return self.request("PATCH", path, body, content_type=kind)

    def delete(self, path: str) -> dict[str, Any]:
        """Deletes an object."""
        return self.request("DELETE", path)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = JSON,
        query: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """One request. Raises ApiError for a refusal, UnreachableError where there is no answer."""
        connection = self._connection(_SECONDS)
        try:
            answer = self._ask(connection, method, path, body, content_type, query or {})
            text = answer.read()
            return json.loads(text) if text else {}
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise UnreachableError(f"{type(error).__name__}: {error}") from error
        finally:
            connection.close()

    def watch(self, path: str, version: str, seconds: int, **query: str) -> Iterator[dict[str, Any]]:
        """Events from a resource version on, until the server ends the watch after `seconds`."""
        asked = {**query, "watch": "1", "resourceVersion": version, "timeoutSeconds": str(seconds)}
        # Bookmarks come each minute: a connection that says nothing for longer has died.
        connection = self._connection(90.0)
        try:
            answer = self._ask(connection, "GET", path, None, JSON, {**asked, "allowWatchBookmarks": "true"})
            while line := answer.readline():
                event: dict[str, Any] = json.loads(line)
                if event["type"] == "ERROR":
                    raise ApiError(int(event["object"].get("code", 500)), str(event["object"].get("message", "")))
                yield event
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise UnreachableError(f"{type(error).__name__}: {error}") from error
        finally:
            connection.close()

    def _connection(self, seconds: float) -> http.client.HTTPSConnection:
        server = self._server
        try:
            context = ssl.create_default_context(cafile=str(server.ca))
            if server.certificate is not None:
                context.load_cert_chain(*server.certificate)
        except OSError as error:
            raise UnreachableError(f"{type(error).__name__}: {error}") from error
        return http.client.HTTPSConnection(server.host, server.port, timeout=seconds, context=context)

    def _ask(
        self,
        connection: http.client.HTTPSConnection,
        method: str,
        path: str,
        body: Any,
        content_type: str,
        query: Mapping[str, str],
    ) -> http.client.HTTPResponse:
        headers = {"Accept": JSON, "User-Agent": "espalier-warden"}
        if self._server.token is not None:
            headers["Authorization"] = f"Bearer {self._server.token.read_text(encoding='utf-8').strip()}"
        if body is not None:
            headers["Content-Type"] = content_type
        target = f"{path}?{urllib.parse.urlencode(query)}" if query else path
        connection.request(method, target, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        if answer.status >= 300:
            raise ApiError(answer.status, _said(answer.read()))
        return answer


def _said(text: bytes) -> str:
    try:
        return str(json.loads(text)["message"])[:500]
    except (ValueError, KeyError, TypeError):
        return text.decode(errors="replace")[:500]
