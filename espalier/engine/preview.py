"""What an `up` would do, asked of the API server by a dry run; nothing is written."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from espalier.engine.adoption import Adoption
from espalier.engine.advice import what_to_do
from espalier.engine.changes import Change
from espalier.engine.cluster import Cluster, Clusters, Connect
from espalier.engine.compare import Comparison, compare
from espalier.engine.drain import survey
from espalier.engine.errors import ApplyFailed, Problem, RefusedError
from espalier.engine.inventory import Entry
from espalier.engine.options import paths_of
from espalier.engine.ownership import changed_paths
from espalier.engine.paths import Path, covers, text_of
from espalier.engine.program import Program
from espalier.engine.removal import protected
from espalier.engine.replacement import (
    allow_move,
    allow_replacement,
    by_change,
    by_option,
    creates_first,
    forcing_fields,
    is_immutable,
    moved_fields,
    note_of,
)
from espalier.engine.secrecy import hidden
from espalier.engine.send import apply
from espalier.engine.target import Target
from espalier.engine.values import UNKNOWN, Json, Secret
from espalier.kube import ApiError, KubeError, UnknownKindError

_THREADS = 8


def preview(
    program: Program, *, connection: Connect | None = None, force: bool = False, adopt: bool = False
) -> tuple[Change, ...]:
    """Compares the program with the live cluster and gives every object's change, by URN.

    Objects that the hashes of the last run prove same are not asked about. What is replaced has another name, uid
    or status, which others may read: then the program is run once more, until nothing else is replaced. Raises
    EngineError as `up` would (ApplyFailed lists all that the API server refuses), and KubeError.
    """
    clusters = Clusters(connection, program.project, program.stack)
    adoption = Adoption(adopt)
    asker = _Asker(force, adoption)
    while True:
        comparison = compare(program, clusters)
        known = len(asker.replaced)
        changes = asker.ask(comparison, clusters.default_cluster())
        if len(asker.replaced) == known:
            return tuple(sorted(adoption.noted(changes)))


@dataclass
class _Asker:
    force: bool
    adoption: Adoption
    replaced: dict[str, Change] = field(default_factory=dict[str, Change])
    """What was found to be replaced, by URN."""
    _new_namespaces: frozenset[str] = frozenset()

    def ask(self, comparison: Comparison, cluster: Cluster | None) -> list[Change]:
        """Asks about all that is not the same. Raises ApplyFailed."""
        gone, moved = comparison.gone(), comparison.moved()
        taken_over = {entry.reference.key for entry in moved.values()}
        changes = comparison.same_changes()
        for entry in gone:
            if not entry.retain and entry.reference.key not in taken_over:
                changes.append(Change(entry.urn, "delete"))
        asked = comparison.changed()
        if cluster is not None:
            self.adoption.survey(cluster, asked)
        self._new_namespaces = _new_namespaces(comparison)
        errors: list[Problem] = list(protected(gone))
        if cluster is not None and gone:
            errors.extend(survey(cluster, gone).claims)
        with ThreadPoolExecutor(_THREADS) as pool:
            for answer in pool.map(self._answer, asked):
                if isinstance(answer, Change):
                    changes.append(answer)
                else:
                    errors.extend(answer)
        if errors:
            raise ApplyFailed(sorted(set(errors)))
        return changes

    def _answer(self, target: Target) -> Change | tuple[Problem, ...]:
        urn = target.resource.urn
        if urn in self.replaced:
            return self.replaced[urn]
        before = target.live()
        try:
            return self._new(target) if before is None else self._existing(target.settle(before), before)
        except UnknownKindError:
            # Its definition comes with this very program, or `up` will say that it does not.
            return Change(urn, "create")
        except RefusedError as error:
            return error.problems
        except ApiError as error:
            return (Problem(urn, hidden(target, str(error)), what_to_do(error)),)
        except KubeError as error:
            return (Problem(urn, str(error), what_to_do(error)),)

    def _new(self, target: Target) -> Change:
        urn, reference = target.resource.urn, target.reference
        if reference is None:
            return Change(urn, "create")
        moved = target.cluster.replaced.moved.get(urn)
        if moved is not None:
            allow_move(target, moved)
            live = target.cluster.live(moved.reference)
            if live is not None and not creates_first(target, moved.reference):
                target.cluster.replaced.emptied(moved.reference, live)
            return self._replaced(target, Change(urn, "replace", moved_fields(moved, reference), _note(target, moved)))
        if target.cluster.live(reference) is not None:
            return self._replaced(target, Change(urn, "replace", ("metadata.namespace",)))
        if reference.namespace not in self._new_namespaces:
            apply(target, _fill(target.sent, {}, ())[0], None, force=self.force, dry_run=True)
        return Change(urn, "create")

    def _existing(self, target: Target, before: dict[str, Any]) -> Change:
        urn = target.resource.urn
        fields = by_option(target)
        if fields:
            return self._replacement(target, before, fields, "its options ask for it")
        filled, unknown = _fill(target.sent, before, ())
        try:
            after, notes = apply(target, filled, before, force=self.force, dry_run=True)
        except ApiError as error:
            if not is_immutable(error):
                raise
            return self._replacement(target, before, forcing_fields(filled, before, error), error.message)
        fields = by_change(target, before, after) or _covered(target, unknown)
        if fields:
            return self._replacement(target, before, fields, "its options ask for it")
        changed = {text_of(path) for path in (*changed_paths(before, after), *unknown)} or {"metadata.managedFields"}
        return Change(urn, "update", tuple(sorted(changed)), notes)

    def _replacement(self, target: Target, before: dict[str, Any], fields: tuple[str, ...], why: str) -> Change:
        allow_replacement(target, why)
        change = Change(target.resource.urn, "replace", fields, (note_of(target, target.known),))
        if creates_first(target, None):
            target.renamed()
        else:
            target.cluster.replaced.emptied(target.known, before)
        return self._replaced(target, change)

    def _replaced(self, target: Target, change: Change) -> Change:
        target.cluster.replaced.add(target.resource)
        self.replaced[change.urn] = change
        return change


def _note(target: Target, moved: Entry) -> tuple[str, ...]:
    return (note_of(target, moved.reference),)


def _covered(target: Target, unknown: list[Path]) -> tuple[str, ...]:
    """The fields that are unknown before the apply and that `replace_on_changes` names."""
    patterns = paths_of(target.resource, "replaceOnChanges")
    return tuple(sorted(text_of(path) for path in unknown if any(covers(pattern, path) for pattern in patterns)))


def _new_namespaces(comparison: Comparison) -> frozenset[str]:
    """The namespaces that this very program makes: nothing inside can be asked about yet."""
    return frozenset(
        target.reference.name
        for urn, target in comparison.targets.items()
        if target.kind.kind == "Namespace" and target.reference and urn not in comparison.same
    )


def _fill(value: Json, live: Json, path: Path) -> tuple[Json, list[Path]]:
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
            _fill(item, lives[index] if index < len(lives) else None, (*path, index))
            for index, item in enumerate(value)
        ]
        kept = [item for item, _ in pairs if item is not UNKNOWN]
        return kept, [unknown for _, below in pairs for unknown in below]
    if value is UNKNOWN:
        return (UNKNOWN if live is None else live), [path]
    return value, []


def _fill_fields(value: dict[str, Json], live: Mapping[str, Json], path: Path) -> tuple[Json, list[Path]]:
    filled: dict[str, Json] = {}
    unknown: list[Path] = []
    for key, item in value.items():
        known, below = _fill(item, live.get(key), (*path, key))
        unknown += below
        if known is not UNKNOWN:
            filled[key] = known
    return filled, unknown
