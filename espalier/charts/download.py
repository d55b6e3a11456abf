"""GET over HTTP with what registries and chart repositories ask for: basic and token logins, redirects, proxies."""

from __future__ import annotations

import json
import re
import urllib.request
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

import urllib3
from urllib3 import HTTPHeaderDict, Retry
from urllib3.exceptions import HTTPError

from espalier.charts.credentials import Login, login_for
from espalier.charts.errors import NoAnswerError, SourceError

MAX_BYTES = 256 * 2**20
"""No chart comes near; a server that never ends must not fill the disk."""

_TIMEOUT = urllib3.Timeout(connect=10.0, read=60.0)
_RETRIES = Retry(
    total=3,
    connect=1,
    redirect=0,
    status_forcelist=(429, 502, 503, 504),
    backoff_factor=0.3,
    raise_on_status=False,
    retry_after_max=20,  # Docker Hub may say hours
)
_REDIRECTS = 5
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_REACH = (
    "Check the network; or carry the cache here (espalier:sources.cache), or name a mirror (espalier:sources.mirror)."
)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a server said, read to its end."""

    status: int
    headers: HTTPHeaderDict
    data: bytes


@dataclass(slots=True)
class Downloader:
    """Asks servers. No connection stays open: sources are few, and each lies elsewhere."""

    reach: str = _REACH
    """What to do where a server cannot be reached, or fails."""
    _pools: dict[str, urllib3.PoolManager] = field(default_factory=dict[str, urllib3.PoolManager])

    def get(self, url: str, *, accept: str = "*/*", repository: str = "") -> bytes:
        """The body behind `url`. `repository` is the chart repository's own URL, for what Helm knows of it.

        Raises SourceError where it cannot be had.
        """
        if urlsplit(url).scheme not in ("http", "https"):
            raise SourceError(f"{url}: no way to get this", "Use https://, oci:// or a path beside the stack files.")
        authorization = self._known(url, repository)
        for _ in range(_REDIRECTS):
            response = self._ask(url, accept, authorization)
            if response.status == 401 and not authorization:
                authorization = self._logged_in(url, repository, response.headers.get("WWW-Authenticate", ""))
                response = self._ask(url, accept, authorization)
            if response.status not in (301, 302, 303, 307, 308):
                return self._body(url, response)
            target = urljoin(url, response.headers.get("Location", ""))
            if urlsplit(target)[:2] != urlsplit(url)[:2]:
                # What is meant for one server is not shown to another.
                authorization = ""
            url = target
        raise SourceError(f"{url}: more than {_REDIRECTS} redirects", "Name the last address itself.")

    def _known(self, url: str, repository: str) -> str:
        """Chart repositories often answer 404 instead of asking who we are, so a known login is sent at once."""
        host = urlsplit(url).netloc
        if not repository or urlsplit(repository).netloc != host:
            return ""
        login = login_for(host, repository)
        return _safely(url, login).basic if login else ""

    def _logged_in(self, url: str, repository: str, challenge: str) -> str:
        host = urlsplit(url).netloc
        login = login_for(host, repository)
        kind, _, rest = challenge.partition(" ")
        if kind.lower() == "bearer":
            return self._token(url, dict(re.findall(r'(\w+)="([^"]*)"', rest)), login)
        if login is None:
            do = f"Log in: `docker login {host}`, `helm registry login {host}`, or a line in ~/.netrc."
            raise SourceError(f"{url}: the server asks who we are, and no login for {host} is known", do)
        return _safely(url, login).basic

    def _token(self, url: str, asked: dict[str, str], login: Login | None) -> str:
        """The distribution specification's token flow."""
        realm = asked.get("realm", "")
        if urlsplit(realm).scheme not in ("http", "https"):
            raise SourceError(f"{url}: the registry names no place for tokens", "Tell who runs the registry.")
        query = {key: asked[key] for key in ("service", "scope") if key in asked}
        if login is not None and login.identity:
            response = self._post_identity(realm, query, _safely(realm, login))
        else:
            basic = _safely(realm, login).basic if login else ""
            response = self._ask(f"{realm}?{urlencode(query)}", "application/json", basic)
        answer = _mapping(self._body(realm, response))
        token = answer.get("token") or answer.get("access_token")
        if not token:
            raise SourceError(f"{realm}: no token in the answer", "Log in again.")
        return f"Bearer {token}"

    def _post_identity(self, realm: str, query: dict[str, str], login: Login) -> _Answer:
        form = {**query, "grant_type": "refresh_token", "client_id": "espalier", "refresh_token": login.password}
        return self._send("POST", realm, {"Content-Type": "application/x-www-form-urlencoded"}, urlencode(form))

    def _ask(self, url: str, accept: str, authorization: str) -> _Answer:
        headers = {"Accept": accept, "User-Agent": "espalier"}
        return self._send("GET", url, headers | ({"Authorization": authorization} if authorization else {}))

    def _send(self, method: str, url: str, headers: dict[str, str], body: str = "") -> _Answer:
        try:
            response = self._pool(url).request(
                method,
                url,
                headers=headers,
                body=body or None,
                timeout=_TIMEOUT,
                retries=_RETRIES,
                redirect=False,
                preload_content=False,
            )
            try:
                return _Answer(response.status, response.headers, response.read(MAX_BYTES + 1))
            finally:
                response.close()
        except (HTTPError, OSError) as error:
            raise NoAnswerError(f"{url} cannot be reached: {_said(error)}", self.reach) from None

    def _body(self, url: str, answer: _Answer) -> bytes:
        if answer.status >= 400:
            raise SourceError(f"{url}: the server answered {answer.status}", self._advice(answer.status, url))
        if len(answer.data) > MAX_BYTES:
            raise SourceError(f"{url}: more than {MAX_BYTES // 2**20} MiB", "Name the chart's archive itself.")
        return answer.data

    def _advice(self, status: int, url: str) -> str:
        host = urlsplit(url).netloc
        if status in (401, 403):
            return f"The login for {host} is refused or lacks the right: log in again, or ask who runs it."
        if status == 404:
            return "Check the name and the version; a private one may need a login."
        if status == 429:
            return f"Log in at {host}, which raises its limit, or run it again later."
        return self.reach

    def _pool(self, url: str) -> urllib3.PoolManager:
        """One a proxy: the system's settings, as other programs read them."""
        parts = urlsplit(url)
        proxy = urllib.request.getproxies().get(parts.scheme, "")
        if urllib.request.proxy_bypass(parts.hostname or "") or parts.hostname in _LOOPBACK:
            proxy = ""
        if proxy not in self._pools:
            self._pools[proxy] = urllib3.ProxyManager(proxy) if proxy else urllib3.PoolManager()
        return self._pools[proxy]


def _safely(url: str, login: Login) -> Login:
    """The login itself, where it does not cross a network in plain text."""
    parts = urlsplit(url)
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise SourceError(f"{url}: a login would be sent unencrypted", "Use https://.")
    return login


def _said(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    text = str(reason)
    return text.rpartition(": ")[2] if "object at 0x" in text else text


def _mapping(data: bytes) -> dict[str, Any]:
    try:
        content = json.loads(data)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
