"""Who of the replicas acts: the one that holds a Lease of the API, and only while it does.

Times are of this process's own clock since it last saw the Lease change: two machines' clocks need not agree (as
client-go's leader election has it).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from espalier.warden.api import Api, ApiError, UnreachableError

SECONDS = 15
"""A Lease that nobody has renewed for so long is anybody's."""
RENEW = 5.0
"""Seconds between two renewals; a holder that could not renew for twice that long stops acting."""


class Lease:
    """A Lease that this process holds, or would hold."""

    def __init__(self, api: Api, path: str, name: str, me: str, clock: Callable[[], float]) -> None:
        self._api, self._path, self._name, self._me, self._clock = api, path, name, me, clock
        self._seen: tuple[str, str] = ("", "")
        self._seen_at = clock()
        self._renewed = self._asked = float("-inf")
        self._held = False

    @property
    def mine(self) -> bool:
        """Whether this process may act now."""
        return self._held and self._clock() - self._renewed < 2 * RENEW

    def keep(self) -> None:
        """Renews the Lease or takes one that is free; call it every few seconds."""
        asked = self._clock()
        if asked - self._asked < (RENEW if self._held else RENEW / 2):
            return
        self._asked = asked
        try:
            self._held = self._tried()
        except ApiError as error:
            self._held = False
            if error.status != 409:
                raise
        except UnreachableError:
            self._held = self.mine
            raise
        if self._held:
            self._renewed = asked

    def leave(self) -> None:
        """Lets go, so that another takes over at once."""
        if not self._held:
            return
        self._held = False
        found = self._api.get(f"{self._path}/{self._name}")
        if found["spec"].get("holderIdentity") == self._me:
            found["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
            self._api.put(f"{self._path}/{self._name}", found)

    def _tried(self) -> bool:
        try:
            found = self._api.get(f"{self._path}/{self._name}")
        except ApiError as error:
            if error.status != 404:
                raise
            self._api.post(self._path, _lease(self._name, self._spec({})))
            return True
        spec: dict[str, Any] = found.get("spec") or {}
        holder, stamp = str(spec.get("holderIdentity") or ""), str(spec.get("renewTime") or "")
        if (holder, stamp) != self._seen:
            self._seen, self._seen_at = (holder, stamp), self._clock()
        lasts = int(spec.get("leaseDurationSeconds") or SECONDS)
        if holder not in ("", self._me) and self._clock() - self._seen_at < lasts:
            return False
        # With the version that was read: of two that try, one is refused.
        self._api.put(f"{self._path}/{self._name}", {**found, "spec": self._spec(spec)})
        return True

    def _spec(self, before: dict[str, Any]) -> dict[str, Any]:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        mine = before.get("holderIdentity") == self._me
        return {
            "holderIdentity": self._me,
            "leaseDurationSeconds": SECONDS,
            "renewTime": now,
            "acquireTime": before.get("acquireTime", now) if mine else now,
            "leaseTransitions": int(before.get("leaseTransitions") or 0) + (0 if mine else 1),
        }


def _lease(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name}, "spec": spec}
