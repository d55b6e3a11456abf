"""`up`: what the command and tests call to make a cluster what a program says."""

from __future__ import annotations

import time
from collections.abc import Callable

from espalier.engine.adoption import Adoption
from espalier.engine.apply import Applier
from espalier.engine.changes import Change, UpResult
from espalier.engine.cluster import Cluster, Clusters, Connect
from espalier.engine.compare import Comparison, compare
from espalier.engine.destroy import look, remove_entries
from espalier.engine.errors import ApplyFailed, EngineError, RefusedError
from espalier.engine.guard import Gate, Guard, writing
from espalier.engine.inventory import Entry
from espalier.engine.model import Recording
from espalier.engine.monitor import Engine, Monitor
from espalier.engine.program import Program, run
from espalier.engine.removal import protected
from espalier.engine.replay import is_whole, replay
from espalier.engine.stop import Stop
from espalier.engine.values import Json
from espalier.engine.watcher import Watcher

Progress = Callable[[str], None]
Judge = Callable[[Recording], None]


def _silent(line: str) -> None:
    del line


def up(
    program: Program,
    *,
    connection: Connect | None = None,
    progress: Progress = _silent,
    judge: Judge | None = None,
    force: bool = False,
    adopt: bool = False,
    stop: Stop | None = None,
) -> UpResult:
    """Makes the cluster what the program says.

    The whole program is recorded first; when it raises, asks for what cannot be done, or `judge` raises,
    nothing was changed. `connection` serves objects without a provider of their own. `force` takes fields
    over from other managers; `adopt` takes over whole objects that others made, which are refused otherwise.
    `progress` gets one line at a time, from several threads. `stop` ends the run in order. With nothing to do,
    nothing is written.

    Raises EngineError (ProgramError, RefusedError, ApplyFailed, StoppedError, LeaseLostError) and KubeError.
    """
    started = time.monotonic()
    clusters = Clusters(connection, program.project, program.stack)
    comparison = compare(program, clusters)
    recording = _judged(comparison, judge)
    gone = comparison.gone()
    _refuse_protected(gone)
    cluster = clusters.default_cluster()
    done = comparison.settled() and not gone
    if cluster is None or (done and not comparison.relabelled()):
        changes = tuple(sorted(comparison.same_changes()))
        return UpResult(changes=changes, waves=(), outputs=recording.outputs, seconds=time.monotonic() - started)
    # What the prune at the end would refuse is refused now.
    look(cluster, gone)
    adoption = Adoption(adopt, progress)
    adoption.survey(cluster, comparison.changed())
    watcher = Watcher(cluster.client, progress)
    applier = Applier(clusters, watcher, progress, force, adoption)

    def standing() -> str:
        return f"{len(applier.changes)} of {len(comparison.targets)} objects are as the program says"

    try:
        with writing(cluster, watcher, "up", progress, stop, standing) as guard:
            if done:
                return _relabel(comparison, cluster, recording, started)
            outputs = _second_pass(program, comparison, recording, cluster, applier, guard)
            guard.check()
            pruned = _prune(cluster, applier, watcher, progress)
    finally:
        watcher.close()
    return UpResult(
        changes=tuple(
            sorted([*adoption.noted(applier.changes), *(c for c in pruned if c.urn not in cluster.replaced.old_urns)])
        ),
        waves=applier.waves(),
        outputs=outputs,
        seconds=time.monotonic() - started,
    )


def _judged(comparison: Comparison, judge: Judge | None) -> Recording:
    recording = comparison.recording
    if recording is None:
        raise EngineError("the program was not recorded")
    if judge is not None:
        judge(recording)
    return recording


def _refuse_protected(gone: list[Entry]) -> None:
    problems = protected(gone)
    if problems:
        raise RefusedError("nothing was changed: the program no longer has what is protected", problems)


def _relabel(comparison: Comparison, cluster: Cluster, recording: Recording, started: float) -> UpResult:
    """Keeps new marks (protection, order, URN) of objects that need nothing themselves."""
    cluster.inventory.entries.update({entry.reference.key: entry for entry in comparison.relabelled()})
    cluster.inventory.save()
    changes = tuple(sorted(comparison.same_changes()))
    return UpResult(changes=changes, waves=(), outputs=recording.outputs, seconds=time.monotonic() - started)


def _second_pass(
    program: Program, comparison: Comparison, recording: Recording, cluster: Cluster, applier: Applier, guard: Guard
) -> dict[str, Json]:
    """Applies what the program has; whatever happens, the inventory says what was applied."""
    cluster.inventory.expect(target.entry() for target in comparison.changed() if target.reference)
    try:
        outputs = _run_again(program, recording, Gate(applier, guard))
    except EngineError:
        # What failed to apply says more than what the program then made of it.
        _raise_failures(applier)
        raise
    finally:
        cluster.inventory.save()
    _raise_failures(applier)
    return outputs


def _run_again(program: Program, recording: Recording, gate: Gate) -> dict[str, Json]:
    """Has the program's resources applied; gives its outputs."""
    if program.asks_nothing and is_whole(recording):
        replay(recording.resources, gate)
        return dict(recording.outputs)
    engine = Engine()
    monitor = Monitor(program.project, program.stack, gate)
    run(program, monitor, engine, dry_run=False)
    return dict(monitor.recording(engine.logs()).outputs)


def _raise_failures(applier: Applier) -> None:
    if applier.errors or applier.skipped:
        raise ApplyFailed(sorted(set(applier.errors)), sorted(set(applier.skipped)))


def _prune(cluster: Cluster, applier: Applier, watcher: Watcher, progress: Progress) -> list[Change]:
    entries = cluster.inventory.entries
    gone = [entries[key] for key in sorted(entries.keys() - applier.seen)]
    if not gone:
        return []
    _refuse_protected(gone)
    return remove_entries(cluster, gone, watcher, progress)
