"""What DCGM measures, by Prometheus: an instant query, and which nodes have a device that has failed by its own word.

Facts: dcgm-exporter 4.8.2, etc/default-counters.csv (XID and row remapping are measured by default, double-bit errors
where the exporter is told to) and its chart, whose series name the node in the label Hostname (NODE_NAME).
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Collection, Mapping
from typing import Any

from espalier.warden.rules import Health

XID, ECC, REMAP = "DCGM_FI_DEV_XID_ERRORS", "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", "DCGM_FI_DEV_ROW_REMAP_FAILURE"
"""A device's last XID, its double-bit errors since the driver was loaded, and whether rows could not be remapped."""
_QUERY = f'{{__name__=~"{XID}|{ECC}|{REMAP}"}}'
_EVERY, _SECONDS, _STALE = 30.0, 10.0, 180.0
"""Seconds between two looks, for one to be answered, and after which an answer is as good as none."""
UNUSABLE = (OSError, ValueError, KeyError, TypeError, urllib.error.URLError)
"""What a Prometheus that is away, or answers something else, comes to."""


class Measured:
    """The last word of the metrics about devices' health; `say` tells what is new."""

    def __init__(self, say: Callable[[str, str], object]) -> None:
        self._say = say
        self._last = float("-inf")
        self._known: tuple[float, Mapping[str, str]] = (float("-inf"), {})

    def once(self, health: Health | None) -> None:
        """Every so often: looks. What cannot be asked is not known; nothing is concluded of that."""
        now = time.monotonic()
        if health is None or not health.prometheus or now - self._last < _EVERY:
            return
        self._last = now
        try:
            found = failures(asked(health.prometheus, _QUERY, now + _SECONDS), frozenset(health.xids))
        except UNUSABLE as error:
            self._say("health", f"no metrics of devices' health: {type(error).__name__}: {error}")
            return
        self._known = (time.monotonic(), found)
        told = f"metrics tell of the devices of {len(found)} nodes" if found else "no metrics of devices' health"
        self._say("health", told)

    def known(self) -> Mapping[str, str]:
        """Node -> what has failed, "" where nothing has; nodes of which nothing is known are not there."""
        at, found = self._known
        return found if time.monotonic() - at < _STALE else {}


def failures(answer: Mapping[str, Any], xids: Collection[int]) -> dict[str, str]:
    """Node -> the first of its devices that has failed, "" where all are well; of Prometheus' answer to `_QUERY`."""
    found: dict[str, str] = {}
    for series in answer["data"]["result"]:
        labels: Mapping[str, str] = series["metric"]
        node = labels.get("Hostname") or labels.get("node")
        if not node:
            continue
        value, metric = float(series["value"][1]), labels["__name__"]
        if value != value:  # NaN differs from itself, and tells nothing
            continue
        failed = value in xids if metric == XID else value > 0
        why = f"{metric} of GPU {labels.get('gpu', '?')} is {value:.0f}"
        found[node] = min(filter(None, (found.get(node), why if failed else "")), default="")
    return found


def asked(prometheus: str, query: str, end: float) -> dict[str, Any]:
    """Prometheus' answer to an instant query (HTTP API, /api/v1/query), by `end` of this process's clock."""
    address = f"{prometheus.rstrip('/')}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    if not address.startswith(("http://", "https://")):
        raise ValueError(f"no address of a Prometheus: {prometheus}")
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError(f"{prometheus} takes too long")
    with urllib.request.urlopen(address, timeout=left) as answer:  # noqa: S310 - its scheme was looked at
        found: dict[str, Any] = json.loads(answer.read())
    if found.get("status") != "success":
        raise ValueError(f"Prometheus answered {found.get('status')}: {found.get('error')}")
    return found
