"""`destroy`: takes away all that a stack applied; and how entries are removed, for `up`'s pruning as well."""

from __future__ import annotations

from collections.abc import Callable

from espalier.engine.changes import Change
from espalier.engine.cluster import Cluster, Connect, connect
from espalier.engine.errors import ApplyFailed, RefusedError
from espalier.engine.inventory import Entry
from espalier.engine.removal import Remover, protected
from espalier.engine.watcher import Watcher

Progress = Callable[[str], None]


def _silent(line: str) -> None:
    del line


def destroy(project: str, stack: str, connection: Connect, *, progress: Progress = _silent) -> tuple[Change, ...]:
    """Deletes all that the stack applied, and its inventory at last. A stack that is not there is fine.

    Raises RefusedError when something is protected (nothing was changed then), ApplyFailed, KubeError.
    """
    cluster = Cluster(connect(connection), project, stack)
    entries = list(cluster.inventory.entries.values())
    problems = protected(entries)
    if problems:
        raise RefusedError("nothing was changed: some objects are protected", problems)
    watcher = Watcher(cluster.client, progress)
    try:
        changes = remove_entries(cluster, entries, watcher, progress) if entries else []
    finally:
        watcher.close()
    if cluster.inventory.exists:
        cluster.inventory.remove()
    return tuple(sorted(changes))


def remove_entries(cluster: Cluster, entries: list[Entry], watcher: Watcher, progress: Progress) -> list[Change]:
    """Deletes entries in reverse order and saves the inventory. Raises ApplyFailed."""
    remover = Remover(cluster, watcher, progress)
    try:
        remover.remove(entries)
    finally:
        cluster.inventory.save()
    if remover.errors:
        raise ApplyFailed(sorted(remover.errors))
    return remover.changes
