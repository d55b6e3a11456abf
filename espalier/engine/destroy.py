"""`destroy`: takes away all that a stack applied; and how entries are removed, for `up`'s pruning as well."""

from __future__ import annotations

from collections.abc import Callable

from espalier.engine.changes import Change
from espalier.engine.cluster import Cluster, Connect, connect
from espalier.engine.drain import Survey, survey
from espalier.engine.errors import ApplyFailed, RefusedError
from espalier.engine.guard import writing
from espalier.engine.inventory import Entry
from espalier.engine.removal import Consent, Remover, protected
from espalier.engine.stop import Stop
from espalier.engine.watcher import Watcher
from espalier.kube import Reference

Progress = Callable[[str], None]


def _silent(line: str) -> None:
    del line


def destroy(
    project: str,
    stack: str,
    connection: Connect,
    *,
    progress: Progress = _silent,
    stop: Stop | None = None,
    delete_data: bool = False,
    remove_finalizers: bool = False,
) -> tuple[Change, ...]:
    """Deletes all that the stack applied, and its inventory at last. A stack that is not there is fine.

    What others made inside namespaces and definitions of the stack goes first (see `drain`). `delete_data` permits
    to lose the volume claims among that, `remove_finalizers` to take finalizers off that nobody takes off. `stop`
    ends the run in order.

    Raises RefusedError when something is protected, data would be lost or another run goes on (nothing was changed
    then), ApplyFailed, StoppedError, LeaseLostError, KubeError.
    """
    cluster = Cluster(connect(connection), project, stack)
    entries = list(cluster.inventory.entries.values())
    problems = protected(entries)
    if problems:
        raise RefusedError("nothing was changed: some objects are protected", problems)
    if not cluster.inventory.exists:
        return ()

    def standing() -> str:
        return f"{len(entries) - len(cluster.inventory.entries)} of {len(entries)} objects are gone"

    consent = Consent(delete_data, remove_finalizers)
    watcher = Watcher(cluster.client, progress)
    try:
        with writing(cluster, watcher, "destroy", progress, stop, standing):
            changes = remove_entries(cluster, entries, watcher, progress, consent)
            cluster.inventory.remove()
    finally:
        watcher.close()
    return tuple(sorted(changes))


def made_by_others(project: str, stack: str, connection: Connect) -> tuple[Reference, ...]:
    """What others made in namespaces and definitions of the stack, and `destroy` deletes as well.

    Claims are not among it: without consent they end the run before anything is deleted. Raises KubeError.
    """
    cluster = Cluster(connect(connection), project, stack)
    return survey(cluster, list(cluster.inventory.entries.values())).found


def remove_entries(
    cluster: Cluster,
    entries: list[Entry],
    watcher: Watcher,
    progress: Progress,
    consent: Consent = Consent(),  # noqa: B008 - frozen
) -> list[Change]:
    """Deletes entries in reverse order and saves the inventory. Raises RefusedError, ApplyFailed, KubeError."""
    found = look(cluster, entries, consent)
    if found.found:
        progress(f"others made {len(found.found)} things in what goes: {', '.join(map(str, found.found))}")
    remover = Remover(cluster, watcher, progress, consent)
    try:
        remover.remove(entries, found)
    finally:
        cluster.inventory.save()
    if remover.errors:
        raise ApplyFailed(sorted(remover.errors), sorted(remover.skipped))
    return remover.changes


def look(cluster: Cluster, entries: list[Entry], consent: Consent = Consent()) -> Survey:  # noqa: B008 - frozen
    """What of others goes when `entries` go. Raises RefusedError where data would be lost without consent."""
    found = survey(cluster, entries) if entries else Survey()
    if not consent.delete_data:
        found.refuse_claims()
    return found
