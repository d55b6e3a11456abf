"""One run a stack at a time: a Lease in the cluster, held and renewed by the run that writes.

No two clocks are ever compared: a holder of whom nothing is known but its Lease is dead when the Lease was seen not to
change for as long as it is good, by the clock of who looks (as client-go's `leaderelection` does it). A holder on this
machine is looked at directly. Every write carries the version that was read, so of two who take it one gets it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from espalier.engine import namespace
from espalier.engine.errors import Problem, RefusedError, RunEndedError
from espalier.engine.holder import Holder
from espalier.engine.namespace import LEASE, MANAGED_BY, NAMESPACE, STACK_LABEL
from espalier.kube import FIELD_MANAGER, ApiError, Client, KubeError, Reference

SECONDS = 20
"""How long a Lease is good without being renewed."""
_RENEW = 4.0
_MARGIN = 5.0
"""Seconds before a Lease lapses from which on nothing is written unless it could be renewed."""
_PAUSE = 0.5
_HOLDER = "espalier.dev/holder"
_TRIES = 5


def _now() -> float:
    """Goes on while a laptop sleeps, where the system has such a clock: others' clocks do."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class Lease:
    """The Lease of one stack, for one run."""

    def __init__(self, client: Client, stack_id: str, where: str, holder: Holder) -> None:
        self._client = client
        self._reference = Reference(LEASE, NAMESPACE, f"run-{stack_id}")
        self._stack_id = stack_id
        self._where = where
        self._holder = holder
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)
        self._live: dict[str, Any] = {}
        self._renewed = 0.0
        self._attempts = 0
        self._trouble: KubeError | None = None
        self.lost = ""
        """Who has it instead, once that is known; empty while it is ours."""

    def take(self, progress: Callable[[str], None]) -> None:
        """Takes the Lease, from a dead holder too. Raises RefusedError where a living one has it, KubeError."""
        while not (self._create() or self._take_over(progress)):
            continue
        self._holder.begin()
        self._thread.start()

    def check(self) -> None:
        """Raises RunEndedError once someone else has the Lease, and KubeError while that cannot be ruled out."""
        attempts = self._attempts
        if not self.lost and self._stale():
            with self._lock:
                # Another thread may have asked while this one waited.
                if not self.lost and self._stale() and self._attempts == attempts:
                    self._renew()
        if self.lost:
            raise RunEndedError(f"the run was ended: {self.lost}")
        if self._stale() and self._trouble is not None:
            raise self._trouble

    def release(self, progress: Callable[[str], None]) -> None:
        """Gives the Lease back; where that fails it lapses."""
        self._ended.set()
        self._thread.join()
        self._holder.end()
        if self.lost:
            return
        metadata = self._live["metadata"]
        fence = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
        try:
            path = f"/apis/{LEASE.api_version}/namespaces/{NAMESPACE}/leases/{self._reference.name}"
            self._client.request("DELETE", path, body={"preconditions": fence})
        except KubeError as error:
            if not (isinstance(error, ApiError) and error.status == 404):
                progress(f"the lease of {self._where} could not be released and lapses in {SECONDS} s: {error}")

    def _stale(self) -> bool:
        return _now() - self._renewed > SECONDS - _MARGIN

    def _keep(self) -> None:
        while not self._ended.wait(_RENEW):
            with self._lock:
                if not self.lost:
                    self._renew()

    def _renew(self) -> None:
        started = _now()
        try:
            self._live = self._client.replace(self._manifest(self._live["metadata"]["resourceVersion"]))
            self._renewed, self._trouble = started, None
        except ApiError as error:
            if error.reason == "Conflict" or error.status == 404:
                self._look_again(started)
            else:
                self._trouble = error
        except KubeError as error:
            self._trouble = error
        self._attempts += 1

    def _look_again(self, started: float) -> None:
        """Another version is there: our own, whose answer was lost on the way, or that of someone else."""
        try:
            live = self._client.find_object(self._reference)
        except KubeError as error:
            self._trouble = error
            return
        holder = _holder_of(live)
        if live is not None and holder is not None and holder.run == self._holder.run:
            self._live, self._renewed, self._trouble = live, started, None
        elif holder is not None:
            self.lost = f"{holder.who} took {self._where} over for `{holder.what}` at {holder.since}"
        else:
            self.lost = f"someone deleted or changed {self._reference}"

    def _create(self) -> bool:
        """True when it is ours; False when there is one already."""
        for _ in range(_TRIES):
            try:
                started = _now()
                self._live, self._renewed = self._client.create(self._manifest("")), started
            except ApiError as error:
                if error.reason == "AlreadyExists":
                    if not self._is_ours():
                        return False
                elif namespace.is_going(error):
                    namespace.ensure(self._client)
                    continue
                else:
                    raise
            if namespace.touch(self._client, self._holder.run):
                return True
            namespace.ensure(self._client)
        do = "see who deletes it, and run again"
        raise RefusedError("nothing was changed", [Problem(NAMESPACE, "is deleted again and again", do)])

    def _is_ours(self) -> bool:
        """Tells whether it was made by this very run, whose answer was lost on the way."""
        live = self._client.find_object(self._reference)
        holder = _holder_of(live)
        if live is None or holder is None or holder.run != self._holder.run:
            return False
        # Not known when it was written: renewed before the first write.
        self._live, self._renewed = live, _now() - SECONDS
        return True

    def _take_over(self, progress: Callable[[str], None]) -> bool:
        """True when it is ours; False when it is to be tried again."""
        live = self._client.find_object(self._reference)
        if live is None:
            return False
        holder = _holder_of(live)
        if holder is not None and holder.is_here():
            if holder.lives():
                raise self._refusal(holder, f"let it end, or stop it: kill {holder.pid}")
            progress(f"{holder.who} died in `{holder.what}`: taking {self._where} over")
        elif not self._lapsed(live, holder, progress):
            return False
        started = _now()
        try:
            self._live = self._client.replace(self._manifest(live["metadata"]["resourceVersion"]))
        except ApiError as error:
            if error.reason == "Conflict" or error.status == 404:
                return False
            raise
        self._renewed = started
        return True

    def _lapsed(self, live: dict[str, Any], holder: Holder | None, progress: Callable[[str], None]) -> bool:
        """Looks on for as long as the Lease is good. False when it was given back meanwhile."""
        version = live["metadata"]["resourceVersion"]
        seconds = (live.get("spec") or {}).get("leaseDurationSeconds") or SECONDS
        who = holder.who if holder else (live.get("spec") or {}).get("holderIdentity") or "someone"
        progress(f"{who} has the lease of {self._where}: looking for up to {seconds} s whether it is alive")
        until = _now() + seconds
        while _now() < until:
            time.sleep(_PAUSE)
            seen = self._client.find_object(self._reference)
            if seen is None:
                return False
            if seen["metadata"]["resourceVersion"] != version:
                do = f"let it end, or stop it there; {SECONDS} s after it died the next run goes on"
                raise self._refusal(_holder_of(seen), do)
        progress(f"{who} did not renew its lease for {seconds} s: taking {self._where} over")
        return True

    def _refusal(self, holder: Holder | None, do: str) -> RefusedError:
        known = (
            f"{holder.who} has been running `{holder.what}` since {holder.since}" if holder else "another run goes on"
        )
        return RefusedError("nothing was changed: another run works on this stack", [Problem(self._where, known, do)])

    def _manifest(self, version: str) -> dict[str, Any]:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        labels = {MANAGED_BY: FIELD_MANAGER, STACK_LABEL: self._stack_id}
        metadata: dict[str, Any] = {
            "name": self._reference.name,
            "namespace": NAMESPACE,
            "labels": labels,
            "annotations": {_HOLDER: self._holder.text()},
        }
        spec = {"holderIdentity": self._holder.who, "leaseDurationSeconds": SECONDS, "renewTime": now}
        if version:
            metadata["resourceVersion"] = version
        return {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": metadata, "spec": spec}


def _holder_of(live: dict[str, Any] | None) -> Holder | None:
    notes = ((live or {}).get("metadata") or {}).get("annotations") or {}
    return Holder.parse(notes.get(_HOLDER, ""))
