"""Runs the probes of `verify --probe` side by side, and removes all that it made, whatever becomes of them.

What is waited for is a Job a pool; its log is read while it runs, since a Job that fails takes its pods along.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, datetime, timedelta

from espalier.blueprint.probe import Probe, ProbePlan
from espalier.kube import ApiError, Kind, Reference, reference_of
from espalier.types import Check
from espalier.verify.model import Context, Json, NotProven, Outcome, Skipped, until
from espalier.verify.nodes import Node, devices_in, list_nodes, of_pool
from espalier.verify.pods import POD, meek_priority
from espalier.verify.probe_job import CONTAINER, JOB, JOB_SECONDS, LABEL, RUN_SECONDS, START_SECONDS, objects
from espalier.verify.probe_pods import hopeless, index, trouble
from espalier.verify.probe_results import Told, judge

Progress = Callable[[str], None]
Verdicts = Mapping[str, Outcome | NotProven]

POLL_SECONDS = 2.0
GONE_SECONDS = 60.0
_JOB = Kind("batch/v1", "Job")
_EVENT = Kind("v1", "Event")
_NAMESPACE = Kind("v1", "Namespace")
_STALE = timedelta(seconds=JOB_SECONDS) + timedelta(minutes=15)


class Probes:
    """All probes of a verification. `run` them, then `clear`, in every case."""

    def __init__(self, context: Context, plan: ProbePlan, progress: Progress, seconds: float | None = None) -> None:
        self._context = context
        self._client = context.client
        self._plan = plan
        self._progress = progress
        self._seconds = START_SECONDS + RUN_SECONDS if seconds is None else seconds
        self._run = secrets.token_hex(3)
        self._made: list[Reference] = []
        self._stopped = threading.Event()

    def run(self) -> dict[str, Check | Skipped]:
        """The verdicts of all checks by their names, in the order of the pools."""
        skipped = {each.check: Skipped(each.check, each.why) for each in self._plan.unprobed}
        if not self._plan.probes:
            return dict(skipped)
        self._sweep()
        found: dict[str, Check | Skipped] = {}
        workers = ThreadPoolExecutor(len(self._plan.probes), thread_name_prefix="probe")
        try:
            for future in as_completed([workers.submit(self._one, probe) for probe in self._plan.probes]):
                found |= future.result()
        finally:
            self._stopped.set()
            workers.shutdown(cancel_futures=True)
        order = [check for probe in self._plan.probes for check in probe.checks]
        return {check: found[check] for check in order} | skipped

    def clear(self) -> None:
        """Removes the namespaces, and with them all that is in them."""
        self._stopped.set()
        for namespace in self._made:
            self._delete(namespace.name)

    def left(self) -> tuple[str, ...]:
        """Waits until all is gone; what is still there after that."""
        remaining: list[Reference] = []

        def gone() -> bool | None:
            remaining[:] = [each for each in self._made if self._client.find_object(each) is not None]
            return None if remaining else True

        until(gone, GONE_SECONDS, threading.Event(), 1.0)
        return tuple(map(str, remaining))

    def _one(self, probe: Probe) -> dict[str, Check | Skipped]:
        started = time.monotonic()
        try:
            verdicts = self._verdicts(probe)
        except ApiError as error:
            answer = Outcome(False, f"the API server answered {error.status}: {error.message}")
            waiting = NotProven(f"{probe.name} failed, which comes first")
            verdicts = {check: answer if check == probe.name else waiting for check in probe.checks}
        seconds = round(time.monotonic() - started, 3)
        found: dict[str, Check | Skipped] = {}
        for name, verdict in verdicts.items():
            if isinstance(verdict, NotProven):
                found[name] = Skipped(name, verdict.why)
                self._progress(f"{name}: not proven: {verdict.why}")
            else:
                found[name] = Check(name, verdict.ok, verdict.evidence, seconds)
                self._progress(f"{name}: {'ok' if verdict.ok else 'FAILED'}")
        return found

    def _verdicts(self, probe: Probe) -> Verdicts:
        if busy := self._busy(probe, ""):
            return _not_now(probe, busy)
        namespace = f"espalier-probe-{self._run}-{probe.pool.name}"[:63].rstrip("-")
        for manifest in objects(probe, namespace, self._run, meek_priority(self._context.blueprint)):
            if manifest["kind"] == _NAMESPACE.kind:
                self._made.append(reference_of(manifest))  # before the request: an interrupt may come after it
            self._client.create(manifest)
        self._progress(f"{probe.name}: {probe.nodes} pods of {probe.image} in namespace {namespace}")
        logs: dict[str, str] = {}
        ended = until(lambda: self._ended(namespace, logs), self._seconds, self._stopped, POLL_SECONDS)
        told = self._told(namespace, logs, timed_out=ended is None)
        # Devices that others took in the meantime are no fault; what the pods wait for then is told by the scheduler.
        if ended is None and not logs and (busy := self._busy(probe, namespace)):
            verdicts: Verdicts = _not_now(probe, busy)
        else:
            verdicts = judge(probe, told)
        self._delete(namespace)  # its nodes cost by the second
        return verdicts

    def _ended(self, namespace: str, logs: dict[str, str]) -> bool | None:
        """Whether no pod will do anything any more. Keeps what they have written."""
        job = self._client.get(_JOB, JOB, namespace)
        pods = self._client.list(POD, namespace)
        for pod in pods:
            self._keep(pod, logs)
        over = any(
            each["type"] in ("Complete", "Failed") and each["status"] == "True"
            for each in job.get("status", {}).get("conditions", [])
        )
        return True if over or any(hopeless(pod) for pod in pods) else None

    def _keep(self, pod: Json, logs: dict[str, str]) -> None:
        """What the pod has written so far; what was read before stays where nothing can be read now."""
        if pod["status"].get("phase") not in ("Running", "Succeeded", "Failed"):
            return
        name = str(pod["metadata"]["name"])
        try:
            logs[name] = self._client.log(name, pod["metadata"]["namespace"], CONTAINER)
        except ApiError as error:
            # The kubelet may not have it yet, or be gone with its node; the verdict tells of it then.
            logs.setdefault(name, f"the log cannot be read: {error.message}")

    def _told(self, namespace: str, logs: Mapping[str, str], *, timed_out: bool) -> list[Told]:
        """Each pod that there is, by its index, and those that the Job has taken along."""
        pods = {str(pod["metadata"]["name"]): pod for pod in self._client.list(POD, namespace)}
        events = self._client.list(_EVENT, namespace)
        names = sorted({*pods, *logs}, key=lambda name: (index(name), name))
        told = [
            Told(
                name,
                str(pods.get(name, {}).get("spec", {}).get("nodeName", "")),
                logs.get(name, ""),
                trouble(pods.get(name), events, self._seconds if timed_out else None),
            )
            for name in names
        ]
        # One that ran again, since its node was taken, stands for the one before.
        last = {index(each.pod): each for each in sorted(told, key=lambda each: each.pod in pods)}
        return [last[index] for index in sorted(last)]

    def _busy(self, probe: Probe, namespace: str) -> str:
        """Why the pool has no room and can get none: others are at work on it. That is no fault."""
        pool = probe.pool
        nodes = of_pool(list_nodes(self._context), pool)
        used = self._used_by_others(namespace)
        held = {node.name for node in nodes if any(used.get((node.name, device)) for device in pool.shape.devices)}
        free = [node for node in nodes if node.name not in held and _whole(node, probe)]
        if len(nodes) < pool.maximum or not held or len(free) >= probe.nodes:
            return ""
        return f"other work holds devices of {len(held)} of the pool's {len(nodes)} nodes, and it can have no more"

    def _used_by_others(self, namespace: str) -> dict[tuple[str, str], int]:
        used: dict[tuple[str, str], int] = {}
        for pod in self._client.list(POD, fieldSelector="status.phase!=Succeeded,status.phase!=Failed"):
            if pod["metadata"]["namespace"] == namespace or not pod["spec"].get("nodeName"):
                continue
            for container in pod["spec"]["containers"]:
                for device, count in devices_in(container.get("resources", {}).get("requests", {})).items():
                    key = (str(pod["spec"]["nodeName"]), device)
                    used[key] = used.get(key, 0) + count
        return used

    def _delete(self, namespace: str) -> None:
        try:
            self._client.delete(_NAMESPACE, namespace)
        except ApiError as error:
            if error.status not in (404, 409):  # gone, or on its way
                raise

    def _sweep(self) -> None:
        """Removes what a verification left that was killed."""
        for live in self._client.list(_NAMESPACE, labelSelector=LABEL):
            if datetime.now(UTC) - datetime.fromisoformat(live["metadata"]["creationTimestamp"]) > _STALE:
                self._delete(str(live["metadata"]["name"]))


def _not_now(probe: Probe, why: str) -> dict[str, Outcome | NotProven]:
    return {check: NotProven(f"pool {probe.pool.name}: {why}") for check in probe.checks}


def _whole(node: Node, probe: Probe) -> bool:
    devices = probe.pool.shape.devices
    return all(node.allocatable.get(device, 0) >= int(probe.asks.get(device, "0")) for device in devices)
