"""HTTP to one API server: a pool of connections, TLS, credentials, retries."""

from __future__ import annotations

import os
import ssl
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3 import HTTPConnectionPool, HTTPHeaderDict, HTTPSConnectionPool, Retry
from urllib3.exceptions import HTTPError

from espalier.kube.errors import KubeconfigError, UnreachableError, api_error
from espalier.kube.execauth import ExecCredential
from espalier.kube.kubeconfig import Kubeconfig

_CONNECT_TIMEOUT = 10.0
# All but POST may be sent twice: server-side apply included.
_RETRY = Retry(
    total=4,
    redirect=0,
    status_forcelist=(429, 503),
    allowed_methods=("GET", "PATCH", "PUT", "DELETE"),
    backoff_factor=0.2,
    raise_on_status=False,
    respect_retry_after_header=True,
)


class Transport:
    """A pool of connections to one API server. Safe to use from many threads."""

    def __init__(self, kubeconfig: Kubeconfig, pool: int) -> None:
        self.kubeconfig = kubeconfig
        self._lock = threading.Lock()
        self._credential: ExecCredential | None = None
        self._pool = self._connect(pool)
        self._base = urlsplit(kubeconfig.server).path

    def _connect(self, size: int) -> HTTPConnectionPool:
        config = self.kubeconfig
        parts = urlsplit(config.server)
        options: dict[str, Any] = {"maxsize": size, "block": False}
        if parts.scheme == "http":
            return HTTPConnectionPool(parts.hostname or "", parts.port, **options)
        credential = self._plugins_credential()
        certificate = credential.certificate if credential else config.certificate
        key = credential.key if credential else config.key
        if config.tls_server_name:
            options |= {"server_hostname": config.tls_server_name, "assert_hostname": config.tls_server_name}
        if config.insecure:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        context = _ssl_context(config, certificate, key)
        return HTTPSConnectionPool(parts.hostname or "", parts.port, ssl_context=context, **options)

    def _plugins_credential(self) -> ExecCredential | None:
        plugin = self.kubeconfig.plugin
        if plugin is None:
            return None
        with self._lock:
            if self._credential is None or not self._credential.fresh():
                self._credential = plugin.run()
            return self._credential

    def _token(self) -> str:
        credential = self._plugins_credential()
        if credential is not None:
            return credential.token
        if self.kubeconfig.token_file:
            try:
                return Path(self.kubeconfig.token_file).read_text().strip()
            except OSError as error:
                raise KubeconfigError(
                    f"tokenFile {self.kubeconfig.token_file} cannot be read: {error.strerror}"
                ) from None
        return self.kubeconfig.token

    def send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        user: str = "",
        groups: tuple[str, ...] = (),
        body: bytes | None = None,
        timeout: float = 60.0,
        stream: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        """Sends one request; raises ApiError for a status of 400 and above, UnreachableError for no answer.

        `timeout` is in seconds, for connecting and for each read. With `stream` the body is left to read.
        """
        all_headers = HTTPHeaderDict(headers)
        token = self._token()
        if token:
            all_headers["Authorization"] = f"Bearer {token}"
        if user:
            all_headers["Impersonate-User"] = user
            for group in groups:
                all_headers.add("Impersonate-Group", group)
        try:
            response = self._pool.urlopen(
                method,
                self._base + path,
                body=body,
                headers=all_headers,
                timeout=urllib3.Timeout(connect=_CONNECT_TIMEOUT, read=timeout),
                retries=_RETRY,
                preload_content=not stream,
            )
            if response.status >= 400:
                raise api_error(response.status, response.data)
        except (HTTPError, OSError) as error:
            raise UnreachableError(self.kubeconfig.server, _said(error)) from None
        return response

    def close(self) -> None:
        """Closes the idle connections."""
        self._pool.close()


def _said(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    text = str(reason or error)
    # urllib3 puts the connection's repr before the cause.
    return text.rpartition(": ")[2] if text.startswith("<") or "object at 0x" in text else text


def _ssl_context(config: Kubeconfig, certificate: str, key: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=config.ca or None)
    if config.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate:
        _load_certificate(context, certificate, key)
    return context


def _load_certificate(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Loads a client certificate from text: OpenSSL's binding takes files only, so one lives for a moment."""
    handle, name = tempfile.mkstemp(prefix="espalier-")  # mkstemp's files are readable by their owner only
    try:
        with os.fdopen(handle, "w") as file:
            file.write(f"{certificate}\n{key}")
        context.load_cert_chain(name)
    except ssl.SSLError as error:
        raise KubeconfigError(f"the client certificate and key do not fit: {error.reason}") from None
    finally:
        Path(name).unlink()
