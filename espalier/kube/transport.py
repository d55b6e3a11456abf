"""HTTP to one API server: a pool of connections, TLS, credentials, and requests that are sent until they are done."""

from __future__ import annotations

import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3 import HTTPConnectionPool, HTTPHeaderDict, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from espalier.kube.errors import ApiError, KubeconfigError
from espalier.kube.execauth import ExecCredential
from espalier.kube.kubeconfig import Kubeconfig
from espalier.kube.outage import Outage
from espalier.kube.retries import Failure, of_answer, of_connection, patience, pause

_CONNECT_TIMEOUT = 10.0


class Transport:
    """A pool of connections to one API server. Safe to use from many threads."""

    def __init__(self, kubeconfig: Kubeconfig, pool: int) -> None:
        self.kubeconfig = kubeconfig
        self._lock = threading.Lock()
        self._credential: ExecCredential | None = None
        self._pool = self._connect(pool)
        self._base = urlsplit(kubeconfig.server).path
        self._answered = False
        self.given_up = False
        """Whether a request ended without an answer and none was answered since: the next is tried but once."""
        self._hurried = threading.Event()
        self.outage = Outage()

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
        timeout: float = 30.0,
        stream: bool = False,
        repeatable: bool = True,
        before: Callable[[], None] | None = None,
    ) -> urllib3.BaseHTTPResponse:
        """Sends one request, again and again while what hinders it may pass (see `retries`).

        Raises ApiError for a status of 300 and above, UnreachableError for no answer. `timeout` is in seconds, for
        each read. With `stream` the body is left to read. One that is not `repeatable` is sent again only where
        the API server has surely not done it. `before` is called before each try; what it raises ends the call.
        """
        began = time.monotonic()
        tries, lost_answer = 0, False
        while True:
            if before is not None:
                before()
            done = self._try(method, path, self._headers(headers, user, groups), body, timeout, stream)
            if not isinstance(done, Failure):
                if tries or time.monotonic() - began > 1:
                    self.outage.over(began)
                return done
            tries += 1
            rest = pause(tries, done.after)
            again = done.passing and (repeatable or done.undone)
            if not again or self._is_over(done, time.monotonic() + rest - began):
                if isinstance(done.error, ApiError):
                    done.error.after_lost_answer = lost_answer
                else:
                    self.given_up = self.given_up or again
                raise done.error
            lost_answer = lost_answer or not done.undone
            self.outage.failed(began, str(done.error))
            self._hurried.wait(rest)

    def _is_over(self, failure: Failure, seconds: float) -> bool:
        """Whether another try, `seconds` after the first one began, would come too late."""
        hurried = self._hurried.is_set() or self.given_up
        return hurried or seconds > patience(failure, answered=self._answered)

    def _try(
        self, method: str, path: str, headers: HTTPHeaderDict, body: bytes | None, timeout: float, stream: bool
    ) -> urllib3.BaseHTTPResponse | Failure:
        try:
            with self.outage.open():
                response = self._pool.urlopen(
                    method,
                    self._base + path,
                    body=body,
                    headers=headers,
                    timeout=urllib3.Timeout(connect=_CONNECT_TIMEOUT, read=timeout),
                    retries=False,
                    preload_content=not stream,
                )
                self._answered, self.given_up = True, False
                return (
                    response if response.status < 300 else of_answer(response.status, response.headers, response.data)
                )
        except (HTTPError, OSError) as error:
            return of_connection(self.kubeconfig.server, error)

    def _headers(self, headers: Mapping[str, str], user: str, groups: tuple[str, ...]) -> HTTPHeaderDict:
        found = HTTPHeaderDict(headers)
        token = self._token()
        if token:
            found["Authorization"] = f"Bearer {token}"
        if user:
            found["Impersonate-User"] = user
            for group in groups:
                found.add("Impersonate-Group", group)
        return found

    def hurry(self, on: bool) -> None:
        """While on, nothing is tried again: whoever waits for the next try gets the error at once."""
        if on:
            self._hurried.set()
        else:
            self._hurried.clear()

    def close(self) -> None:
        """Closes the idle connections."""
        self._pool.close()


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
    try:
        with tempfile.NamedTemporaryFile("w", prefix="espalier-") as file:  # readable by its owner only
            file.write(f"{certificate}\n{key}")
            file.flush()
            context.load_cert_chain(file.name)
    except ssl.SSLError as error:
        raise KubeconfigError(f"the client certificate and key do not fit: {error.reason}") from None
    except OSError as error:
        where = f"{tempfile.gettempdir()} for a moment: {error.strerror}; name another place by TMPDIR"
        raise KubeconfigError(f"the client certificate cannot be written to {where}") from None
