"""What an `up` would do, asked of the API server by a dry run; nothing is written."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from espalier.engine.changes import Change
from espalier.engine.cluster import Clusters, Connect
from espalier.engine.compare import Comparison, compare
from espalier.engine.errors import ApplyFailed, Problem, RefusedError
from espalier.engine.ownership import changed_fields
from espalier.engine.program import Program
from espalier.engine.removal import protected
from espalier.engine.send import allow_replacement, conflict, is_forced, is_immutable
from espalier.engine.target import Target, hidden
from espalier.engine.values import UNKNOWN, Json, Secret
from espalier.kube import ApiError, KubeError, Reference, UnknownKindError

_THREADS = 8


def preview(program: Program, *, connection: Connect | None = None, force: bool = False) -> tuple[Change, ...]:
    """Compares the program with the live cluster and gives every object's change, by URN.

    Objects that the hashes of the last run prove same are not asked about. Raises EngineError as `up` would
    (ApplyFailed lists all that the API server refuses), and KubeError.
    """
    clusters = Clusters(connection, program.project, program.stack)
    comparison = compare(program, clusters)
    gone = comparison.gone()
    changes = comparison.same_changes()
    changes += [Change(entry.urn, "delete") for entry in gone if not entry.retain]
    asked = [comparison.targets[urn] for urn in sorted(comparison.targets.keys() - comparison.same.keys())]
    cluster = clusters.default_cluster()
    if cluster is not None:
        cluster.load({target.kind for target in asked})
    new_namespaces = _new_namespaces(comparison)
    errors: list[Problem] = list(protected(gone))
    with ThreadPoolExecutor(_THREADS) as pool:
        for answer in pool.map(lambda target: _ask(target, new_namespaces, force), asked):
            if isinstance(answer, Change):
                changes.append(answer)
            else:
                errors.extend(answer)
    if errors:
        raise ApplyFailed(sorted(errors))
    return tuple(sorted(changes))


def _ask(target: Target, new_namespaces: frozenset[str], force: bool) -> Change | tuple[Problem, ...]:
    urn, reference = target.resource.urn, target.reference
    if reference is None:
        return Change(urn, "create")
    before = target.cluster.live(reference)
    if before is None and reference.namespace in new_namespaces:
        return Change(urn, "create")
    filled, unknown = _fill(dict(target.manifest), before or {}, "")
    try:
        after = target.cluster.client.apply(filled, force=force or is_forced(target), dry_run=True)
    except UnknownKindError:
        # Its definition comes with this very program, or `up` will say that it does not.
        return Change(urn, "create")
    except ApiError as error:
        return _refused(target, reference, before, error)
    except KubeError as error:
        return (Problem(urn, str(error)),)
    if before is None:
        return Change(urn, "create")
    fields = {*changed_fields(before, after), *unknown} or {"metadata.managedFields"}
    return Change(urn, "update", tuple(sorted(fields)))


def _new_namespaces(comparison: Comparison) -> frozenset[str]:
    """The namespaces that this very program makes: nothing inside can be asked about yet."""
    return frozenset(
        target.reference.name
        for urn, target in comparison.targets.items()
        if target.kind.kind == "Namespace" and target.reference and urn not in comparison.same
    )


def _refused(
    target: Target, reference: Reference, before: dict[str, Any] | None, error: ApiError
) -> Change | tuple[Problem, ...]:
    urn = target.resource.urn
    try:
        if error.reason == "Conflict":
            raise conflict(target, reference, error)
        if before is not None and is_immutable(error):
            allow_replacement(target, reference, error)
            return Change(urn, "replace", tuple(sorted({c["field"] for c in error.causes if c.get("field")})))
    except RefusedError as refused:
        return refused.problems
    return (Problem(urn, hidden(target, str(error))),)


def _fill(value: Json, live: Json, path: str) -> tuple[Json, list[str]]:
    """Puts the live value, where there is one, in the place of what is unknown; else leaves it out.

    Gives the plain value, and the paths that were unknown.
    """
    if isinstance(value, Secret):
        return _fill(value.value, live, path)
    if isinstance(value, dict):
        return _fill_fields(value, live if isinstance(live, Mapping) else {}, path)
    if isinstance(value, (list, tuple)):
        lives = live if isinstance(live, list) else []
        pairs = [
            _fill(item, lives[index] if index < len(lives) else None, f"{path}[{index}]")
            for index, item in enumerate(value)
        ]
        kept = [item for item, _ in pairs if item is not UNKNOWN]
        return kept, [unknown for _, below in pairs for unknown in below]
    if value is UNKNOWN:
        return (UNKNOWN if live is None else live), [path]
    return value, []


def _fill_fields(value: dict[str, Json], live: Mapping[str, Json], path: str) -> tuple[Json, list[str]]:
    filled: dict[str, Json] = {}
    unknown: list[str] = []
    for key, item in value.items():
        known, below = _fill(item, live.get(key), f"{path}.{key}" if path else key)
        unknown += below
        if known is not UNKNOWN:
            filled[key] = known
    return filled, unknown
