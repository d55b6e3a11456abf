"""Which failed requests are sent again, when, and for how long.

What passes by itself is ridden out: an API server that restarts, a connection that was cut, a server that asks to
slow down (429), one that cannot serve yet or has lost its etcd. What does not is told at once: a refusal, expired
credentials, a certificate that does not fit. A request that would do harm when done twice is sent again only where
the API server has surely not done it.

Sources: kubernetes apimachinery `api/errors` (ServerTimeout, Timeout), apiserver `storage/errors`, kube-aggregator
`handler_proxy.go` (which answers in plain text where the server behind it is gone).
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass

from urllib3.exceptions import ConnectTimeoutError, HTTPError, SSLError

from espalier.kube.errors import ApiError, KubeError, UnreachableError, api_error

PATIENCE = 60.0
"""Seconds that one request is tried for, once the API server has answered anything."""
FIRST_PATIENCE = 3.0
"""The same before it has: a wrong address is likelier than an outage then."""
_BACKEND_PATIENCE = 5.0
"""The same where the API server lives and the server of an aggregated API behind it does not."""
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 3.0
_PASSING = frozenset({429, 502, 503, 504})
_LOST_ETCD = ("etcdserver: ", "rpc error: code = ", "context deadline exceeded", "etcd leader changed")
_TEXT_OF_AGGREGATOR = ("service unavailable", "error trying to reach service")


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why one try came to nothing, and what that means for the next."""

    error: KubeError
    """What is raised when there is no next."""
    passing: bool
    """Whether it may pass by itself."""
    undone: bool
    """Whether the API server has surely not done what was asked."""
    after: float = 0.0
    """Seconds for which the API server asks to be left alone."""
    behind: bool = False
    """Whether it is not the API server that failed but the server of an aggregated API behind it."""


def of_connection(server: str, error: HTTPError | OSError) -> Failure:
    """Judges a try that got no whole answer."""
    return Failure(
        error=UnreachableError(server, _said(error)),
        passing=not _is_refused_certificate(error),
        # urllib3's NewConnectionError is a ConnectTimeoutError too: no byte was sent.
        undone=isinstance(error, ConnectTimeoutError),
    )


def of_answer(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """Judges an answer that is a failure: a status of 300 and above."""
    error = api_error(status, body)
    return Failure(
        error=error,
        passing=_passes(error),
        undone=status == 429,
        after=_seconds(headers.get("Retry-After") or error.details.get("retryAfterSeconds")),
        behind=status == 503 and body.decode(errors="replace").startswith(_TEXT_OF_AGGREGATOR),
    )


def patience(failure: Failure, *, answered: bool) -> float:
    """Seconds for which another try makes sense; `answered` tells whether the API server ever answered anything."""
    if not answered:
        return FIRST_PATIENCE
    return _BACKEND_PATIENCE if failure.behind else PATIENCE


def pause(tries: int, after: float) -> float:
    """Seconds to wait after so many failed tries; never less than what the API server asked for."""
    return max(after, min(_FIRST_PAUSE * 2.0 ** (tries - 1), _LONGEST_PAUSE))


def _passes(error: ApiError) -> bool:
    if any(cause.get("reason") == "DisruptionBudget" for cause in error.causes):
        # The eviction of a pod that a budget protects: not the API server's load.
        return False
    if error.status in _PASSING or error.reason == "ServerTimeout":
        return True
    return error.status == 500 and error.message.startswith(_LOST_ETCD)


def _seconds(value: object) -> float:
    # Retry-After may be a date as well; Kubernetes sends seconds.
    text = str(value or "")
    return float(text) if text.isdigit() else 0.0


def _is_refused_certificate(error: HTTPError | OSError) -> bool:
    """Tells a certificate or protocol that does not fit from a connection that was cut in the handshake."""
    cause = error.args[-1] if isinstance(error, SSLError) and error.args else error
    cut = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
    return isinstance(cause, (ssl.SSLError, ssl.CertificateError)) and not isinstance(cause, cut)


def _said(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    text = str(reason or error)
    # urllib3 puts the connection's repr before the cause.
    return text.rpartition(": ")[2] if text.startswith("<") or "object at 0x" in text else text
