"""Makes all checks: drills first, then what only reads, while the drills' namespace goes away; results in order."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from espalier.blueprint import Blueprint
from espalier.blueprint.probe import ProbePlan
from espalier.kube import ApiError, Client, Kind, Reference
from espalier.types import Check
from espalier.verify.contention import contention_tasks
from espalier.verify.disruption import device_lost_tasks, reclaim_tasks, sold_out, stock_out_tasks
from espalier.verify.elastic import scaled, wake_tasks, zero_tasks
from espalier.verify.isolation import isolation_tasks
from espalier.verify.model import Context, NotProven, Outcome, Skipped, Task, Verification, VerifyError
from espalier.verify.nodes import daemonset_tasks
from espalier.verify.noop import NAME as NOOP
from espalier.verify.probe import Probes
from espalier.verify.quota import quota_tasks
from espalier.verify.scheduling import land_tasks, sharing_tasks, taint_tasks
from espalier.verify.stage import Stage
from espalier.verify.wake import Wake, template_tasks

Found = dict[str, Check | Skipped]

DRILLS: Mapping[str, Callable[[Context, Stage], Sequence[Task]]] = {
    "land": land_tasks,
    "taint": taint_tasks,
    "sharing": sharing_tasks,
}
"""Checks that need the stage: a namespace for pods, and nodes where a pool has none."""

READS: Mapping[str, Callable[[Context], Sequence[Task]]] = {
    "daemonset": daemonset_tasks,
    "quota": quota_tasks,
    "isolation": isolation_tasks,
}
"""Checks that read, and ask for server-side dry runs."""

THREADS = 8
SIMULATED_MARK = Reference(Kind("v1", "ConfigMap"), "kube-public", "espalier-simulated")


def is_simulated(client: Client) -> bool:
    """Whether the cluster itself says that Espalier simulates it."""
    return client.find_object(SIMULATED_MARK) is not None


def verify(
    blueprint: Blueprint,
    client: Client,
    *,
    simulated: bool,
    cluster: str = "",
    probe: bool = False,
    probes: ProbePlan | None = None,
    noop: Callable[[], Check] | None = None,
    wakes: Sequence[Wake] = (),
    progress: Callable[[str], None] = lambda _: None,
) -> Verification:
    """Asks the cluster of `client`, an administrator's, whether it is what `blueprint` says.

    `simulated` allows drills that disturb (nodes are added); `cluster`, the simulated cluster's name, those that break
    something of it. `probe` allows pods elsewhere; without both the checks
    read and ask for server-side dry runs only. `probes` are Jobs that compute on the pools' devices, and may wake nodes
    for it; they are run after the other checks. `noop` is made last, alone, and only where no check failed. `wakes` are
    a cloud's pools and their template nodes, which are tried on simulated clusters.
    Interrupting it leaves nothing behind.
    Raises VerifyError where `simulated` is said of a cluster that is not, UnreachableError where nothing answers.
    """
    if simulated and not is_simulated(client):
        raise VerifyError(
            f"the cluster does not say that it is simulated: there is no {SIMULATED_MARK}; "
            "drills that add nodes run on simulated clusters only"
        )
    context = Context(blueprint, client, simulated, probe=probe or simulated, cluster=cluster if simulated else "")
    stage = Stage(context)
    jobs = Probes(context, probes or ProbePlan(), progress)
    found: Found = {}
    left: tuple[str, ...] = ()
    try:
        if context.probe:
            progress(f"setting up namespace {stage.namespace} and drill nodes")
            stage.set_up()
        drills = [task for family in DRILLS.values() for task in family(context, stage)]
        found |= _make(drills, context, progress)
        if context.simulated and scaled(context):
            found |= _with_the_autoscaler(context, stage, progress)
        if context.simulated:  # after the others, whose verdicts tell of every node that there is
            found |= _make(template_tasks(context, stage, wakes), context, progress)
        found |= _make(contention_tasks(context, stage), context, progress)
        stage.clear()
        reads = [task for family in READS.values() for task in family(context)]
        found |= _make([task for task in reads if task.name not in found], context, progress)
        found |= jobs.run()
        if noop is not None:
            found[NOOP] = _noop(noop, found, progress)
        if context.probe:
            progress(f"waiting until namespace {stage.namespace} is gone")
    finally:
        context.cancelled.set()
        try:
            jobs.clear()
        finally:
            stage.clear()
        left = (*stage.left(), *jobs.left())
    checks = tuple(item for item in found.values() if isinstance(item, Check))
    skipped = tuple(item for item in found.values() if isinstance(item, Skipped))
    return Verification(checks, skipped, left)


def _with_the_autoscaler(context: Context, stage: Stage, progress: Callable[[str], None]) -> Found:
    """Drills that wait for the real autoscaler, one family after the other: nodes come, are lost, and go."""
    stage.end_drills()  # pods that wait in vain would keep the autoscaler thinking
    found = _make(wake_tasks(context, stage), context, progress)
    found |= _make(daemonset_tasks(context), context, progress)  # while nodes are there that were woken
    with sold_out(context):
        found |= _make(stock_out_tasks(context, stage), context, progress)
    found |= _make(reclaim_tasks(context, stage), context, progress)
    found |= _make(device_lost_tasks(context, stage), context, progress)
    return found | _make(zero_tasks(context, stage), context, progress)


def _noop(noop: Callable[[], Check], found: Found, progress: Callable[[str], None]) -> Check | Skipped:
    """A second up, unless a check failed: it would mend the fault, and fail for no fault of its own."""
    failed = [name for name, item in found.items() if isinstance(item, Check) and not item.ok]
    if failed:
        return Skipped(NOOP, f"{', '.join(failed)} failed, which a second up might mend")
    progress("running up a second time")
    return noop()


def _make(tasks: Sequence[Task], context: Context, progress: Callable[[str], None]) -> Found:
    """Makes checks side by side; the result is in the order of `tasks`."""
    found: Found = {}
    workers = ThreadPoolExecutor(THREADS, thread_name_prefix="verify")
    try:
        for future in as_completed([workers.submit(_one, task) for task in tasks]):
            result = future.result()
            found[result.name] = result
            progress(_line(result))
    finally:
        if len(found) < len(tasks):
            context.cancelled.set()
        workers.shutdown(cancel_futures=True)
    return {task.name: found[task.name] for task in tasks}


def _one(task: Task) -> Check | Skipped:
    started = time.monotonic()
    try:
        result = task.run()
    except ApiError as error:
        result = Outcome(False, f"the API server answered {error.status}: {error.message}")
    if isinstance(result, NotProven):
        return Skipped(task.name, result.why)
    return Check(task.name, result.ok, result.evidence, round(time.monotonic() - started, 3))


def _line(result: Check | Skipped) -> str:
    if isinstance(result, Skipped):
        return f"{result.name}: not proven: {result.why}"
    return f"{result.name}: {'ok' if result.ok else 'FAILED'}"
