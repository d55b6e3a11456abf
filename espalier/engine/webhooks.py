"""Admission webhooks that do not answer yet: what they judge is asked for again until they do."""

from __future__ import annotations

import re

from espalier.kube import ApiError, KubeError

PATIENCE = 120.0
"""Seconds for which an object is offered again to a webhook that does not answer."""
_FAILED = re.compile(r'failed calling webhook "([^"]+)"')
_NEVER = "/simulated-cluster-runs-no-containers"
"""What a simulated cluster's API server dials in the place of a Service: nothing will ever answer there."""


def silent_webhook(error: KubeError) -> str:
    """The name of the webhook that did not answer, so that the API server refused; empty for any other error."""
    if not isinstance(error, ApiError) or error.status != 500 or _NEVER in error.message:
        return ""
    match = _FAILED.search(error.message)
    return match[1] if match else ""
