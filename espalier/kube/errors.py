"""What the Kubernetes API or the way to it can answer instead of an object."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


class KubeError(RuntimeError):
    """The base of all errors of this package."""


class KubeconfigError(KubeError):
    """A kubeconfig that cannot be used: says which part, what was got and what to do."""


class UnreachableError(KubeError):
    """No answer from the API server: not running, wrong address, or a certificate that does not fit."""

    def __init__(self, server: str, cause: str) -> None:
        self.server = server
        super().__init__(f"{server} does not answer: {cause}")


class ApiError(KubeError):
    """The API server refused; `message` is in its own words."""

    def __init__(self, status: int, reason: str, message: str, details: Mapping[str, Any] | None = None) -> None:
        self.status = status
        """The HTTP status, such as 409."""
        self.reason = reason
        """Kubernetes' reason, such as `AlreadyExists`, `Conflict`, `Invalid`, `Forbidden`."""
        self.message = message
        self.details = dict(details or {})
        """Kubernetes' `details`; its `causes` name fields."""
        self.after_lost_answer = False
        """True where an earlier try of the same request may have been carried out though no answer came back."""
        super().__init__(message)

    @property
    def causes(self) -> tuple[Mapping[str, str], ...]:
        """What is wrong field by field: `field`, `message`, `reason`."""
        return tuple(self.details.get("causes") or ())


class UnknownKindError(ApiError):
    """The API server serves no such kind (a CustomResourceDefinition is missing, or not yet served)."""

    def __init__(self, kind: object) -> None:
        super().__init__(404, "UnknownKind", f"the API server serves no {kind}")


def api_error(status: int, body: bytes) -> ApiError:
    """Reads the API server's Status object, or keeps the text where the answer is none."""
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        text = body.decode(errors="replace").strip()[:500]
        return ApiError(status, "", _message(status, text))
    message = _message(status, str(answer.get("message") or ""))
    return ApiError(status, str(answer.get("reason") or ""), message, answer.get("details"))


def _message(status: int, text: str) -> str:
    said = text or f"HTTP status {status}"
    # The API server itself says no more than `Unauthorized`.
    return f"{said}: the credentials are missing, wrong or expired" if status == 401 else said
