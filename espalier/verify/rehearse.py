"""Brings a stack up on a throw-away simulated cluster, verifies it, takes it down; nothing is left of either."""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from espalier import sim
from espalier.blueprint import Blueprint
from espalier.blueprint.addon_rules import existing_version
from espalier.blueprint.clouds import cloud_of
from espalier.blueprint.clouds.sdks import missing_sdk
from espalier.charts.place import Place
from espalier.charts.prepare import blueprint_of, decide
from espalier.engine.changes import Change, UpResult, Wave
from espalier.engine.destroy import destroy
from espalier.engine.program import Program
from espalier.engine.record import record
from espalier.engine.standard import is_standard
from espalier.engine.up import Judge, up
from espalier.kube import Client, Kind, Reference, UnknownKindError, reference_of
from espalier.settings import Settings, StackFile, validate
from espalier.settings.clusters import Simulated
from espalier.types import AddonRecord, Check
from espalier.verify.model import Skipped, until
from espalier.verify.noop import noop_check
from espalier.verify.run import verify
from espalier.verify.wake import Wake, wakes_of

PREFIX = "espalier:"
SIMULATED_VERSION: Final[str] = Simulated.model_fields["version"].default
"""The Kubernetes minor of the simulator."""
DESTROYED = "destroy"
"""The check of a rehearsal alone: after `destroy` the cluster holds what it held before `up`."""

_GONE_SECONDS = 20.0
_KINDS = (Kind("v1", "ConfigMap"), Kind("v1", "Namespace"), Kind("v1", "Pod"), Kind("v1", "Secret"))
"""Kinds that are looked at besides those of the blueprint's objects: the inventory's, and what may come after them."""

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsalResult:
    """What a rehearsal saw. `seconds` is from before the cluster's start to after its end."""

    stack: str
    cluster: str
    """The simulated cluster's name; it is gone by now unless it was to be kept."""
    changes: tuple[Change, ...]
    """Of the first `up`."""
    waves: tuple[Wave, ...]
    checks: tuple[Check, ...]
    skipped: tuple[Skipped, ...]
    left: tuple[str, ...]
    """What the verification or `destroy` left behind."""
    seconds: float
    version: str = SIMULATED_VERSION
    """The Kubernetes minor that was rehearsed on."""
    notes: tuple[str, ...] = ()
    """How the rehearsal differs from the stack itself."""

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks) and not self.left


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A stack made ready for a simulated cluster: the same program, its cluster block replaced."""

    program: Program
    blueprint: Blueprint
    cluster: str
    wakes: tuple[Wake, ...] = ()
    """A cloud's pools with the nodes that their autoscaler takes them for."""
    notes: tuple[str, ...] = ()
    """How it differs from the stack itself."""

    @classmethod
    def of(
        cls, file: StackFile, cluster: str, *, root: Path, project: str, records: Mapping[str, AddonRecord]
    ) -> Rehearsal:
        """Pools of a cloud's stack keep the shapes that the cloud gives them. Raises Mistakes."""
        block: dict[str, Any] = {"kind": "simulated", "version": SIMULATED_VERSION, "name": cluster, "partial": True}
        if cloud_of(file.settings.cluster) is not None:
            given = file.raw["cluster"]
            block["stands-for"] = given.get("stands-for", given)  # a simulated cluster may stand for one already
        if isinstance(file.settings.cluster, Simulated) and file.settings.cluster.autoscaler != "none":
            block["autoscaler"] = file.settings.cluster.autoscaler
        values = {**file.raw, "cluster": block}
        values.pop("extends", None)  # what it extends is merged already
        settings: Settings = validate(values, where=file.path.name)
        others = {key: text for key, text in file.config.items() if not key.startswith(PREFIX)}
        config = others | {f"{PREFIX}{key}": _text(value) for key, value in sorted(values.items())}
        place = Place.of(root, file.name)
        blueprint = blueprint_of(settings, records, place)
        standard, before = is_standard(root), partial(decide, place, blueprint)
        program = Program(root, project, file.name, config, file.secret_keys, standard, before if standard else None)
        wakes = () if cloud_of(file.settings.cluster) is None else _wakes(file, root, project, records, place)
        return cls(program, blueprint, cluster, wakes, tuple(_notes(file)))


def rehearse(
    file: StackFile,
    *,
    root: Path,
    project: str,
    records: Mapping[str, AddonRecord],
    judge: Judge | None = None,
    keep: bool = False,
    progress: Progress = lambda _: None,
) -> RehearsalResult:
    """Rehearses a stack. `root` is the folder of Pulumi.yaml and of the program, `project` its name.

    With `keep` the platform stays up on its cluster for a look, and only that. Interrupting it removes the cluster.
    Raises Mistakes (see `Rehearsal.of`), EngineError where the program or the apply fails, SimError, KubeError.
    """
    started = time.monotonic()
    rehearsal = Rehearsal.of(file, cluster_name(file.name), root=root, project=project, records=records)
    try:
        blueprint = rehearsal.blueprint
        status = sim.up(
            rehearsal.cluster,
            progress=progress,
            machines=blueprint.machines,
            warden=blueprint.warden,
            issuers=blueprint.issuers,
        )
        client = Client.connect(status.kubeconfig)
        result = _play(rehearsal, client, judge, keep, progress)
    finally:
        if not keep:
            sim.down(rehearsal.cluster, progress=progress)
    return RehearsalResult(
        stack=file.name,
        cluster=rehearsal.cluster,
        changes=result.first.changes,
        waves=result.first.waves,
        checks=result.checks,
        skipped=result.skipped,
        left=result.left,
        seconds=time.monotonic() - started,
        notes=rehearsal.notes,
    )


@dataclass(frozen=True, slots=True)
class _Played:
    first: UpResult
    checks: tuple[Check, ...]
    skipped: tuple[Skipped, ...]
    left: tuple[str, ...]


def _play(rehearsal: Rehearsal, client: Client, judge: Judge | None, keep: bool, progress: Progress) -> _Played:
    program = rehearsal.program
    planned = references(rehearsal.blueprint)
    kinds = sorted({*_KINDS, *(reference.kind for reference in planned)})
    before = _present(client, kinds)
    progress(f"bringing {program.stack} up")
    first = up(program, connection=client, judge=judge, progress=progress)

    def again() -> Iterable[str]:
        second = up(program, connection=client, judge=judge, progress=progress)
        return [_text_of(change) for change in second.changes if change.op != "same"]

    noop = noop_check(again, client, lambda: planned)
    found = verify(
        rehearsal.blueprint,
        client,
        simulated=True,
        cluster=rehearsal.cluster,
        noop=noop,
        wakes=rehearsal.wakes,
        progress=progress,
    )
    skipped = (*found.skipped, *_unrendered(rehearsal.blueprint))
    if keep:
        return _Played(first, found.checks, skipped, found.left)
    progress(f"destroying {program.stack}")
    began = time.monotonic()
    deleted = destroy(program.project, program.stack, client, progress=progress, delete_data=True)
    left = _left(client, kinds, before | _retained(rehearsal.blueprint))
    evidence = f"{len(deleted)} objects deleted; left: {', '.join(left) or 'nothing'}"
    check = Check(DESTROYED, not left, evidence, round(time.monotonic() - began, 3))
    return _Played(first, (*found.checks, check), skipped, (*found.left, *left))


def _unrendered(blueprint: Blueprint) -> Iterator[Skipped]:
    """Add-ons that were left out, since nobody has fetched what they are made of."""
    for addon in blueprint.addons:
        if addon.held:
            yield Skipped(f"content/{addon.id}", f"{addon.id} was left out: {addon.held.why}. {addon.held.do}")


def _wakes(
    file: StackFile, root: Path, project: str, records: Mapping[str, AddonRecord], place: Place
) -> tuple[Wake, ...]:
    """Of the stack's own program, which is recorded for it; none where its cloud's SDK is not installed."""
    blueprint = blueprint_of(file.settings, records, place)
    if blueprint.cloud is None or missing_sdk(blueprint.cloud.kind):
        return ()
    own = Program(root, project, file.name, file.config, frozenset(file.secret_keys))
    resources = [resource.to_json() for resource in record(own).resources]
    return wakes_of(blueprint, resources, [each["inputs"] for each in resources if "kind" in each["inputs"]])


def _notes(file: StackFile) -> Iterable[str]:
    """How the rehearsal differs from the stack itself."""
    cloud = cloud_of(file.settings.cluster)
    for id, options in sorted(file.settings.addons.items()):
        if there := existing_version(options):
            yield f"{id} {there}, which the cluster has already, is not on this one: what is of its kinds fails here"
    version = (cloud or file.settings.cluster).version
    if version != SIMULATED_VERSION:
        yield f"rehearsed on Kubernetes {SIMULATED_VERSION}, the simulator's; the stack asks for {version}"
    if cloud is not None:
        yield f"what {cloud.kind} makes was not made; what lives in the cluster was, on nodes of the cloud's shapes"
        if missing := missing_sdk(cloud.kind):
            yield f"no pool was woken: the Python package {missing[0]} is not installed"


def _text_of(change: Change) -> str:
    fields = f" ({', '.join(change.fields)})" if change.fields else ""
    return f"{change.op} {change.urn}{fields}"


def cluster_name(stack: str) -> str:
    """A name for a cluster of its own: two rehearsals of a stack may run side by side."""
    word = re.sub(r"[^a-z0-9]+", "-", stack.lower()).strip("-")[:20].rstrip("-")
    return f"rehearse-{word}-{secrets.token_hex(3)}"


def references(blueprint: Blueprint) -> tuple[Reference, ...]:
    """All objects that the platform consists of."""
    groups = [
        blueprint.objects,
        *(pool.nodes for pool in blueprint.pools),
        *(addon.objects for addon in blueprint.addons),
        *(workspace.objects for tenant in blueprint.tenants for workspace in tenant.workspaces),
    ]
    return tuple(reference_of(planned.manifest) for group in groups for planned in group)


def _retained(blueprint: Blueprint) -> set[Reference]:
    """What is to stay after `destroy`: definitions, what a chart says to keep, and Kubernetes' own in its namespace."""
    planned = (planned for addon in blueprint.addons for planned in addon.objects)
    kept = {reference_of(each.manifest) for each in planned if each.retain}
    namespaces = [reference.name for reference in kept if reference.kind == Kind("v1", "Namespace")]
    own = (("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default"))
    return kept | {Reference(Kind("v1", kind), space, name) for space in namespaces for kind, name in own}


def _present(client: Client, kinds: Iterable[Kind]) -> set[Reference]:
    found: set[Reference] = set()
    for kind in kinds:
        try:
            found |= {reference_of(live) for live in client.list(kind)}
        except UnknownKindError:  # a CRD of the stack: not there before it, nor after it
            continue
    return found


def _left(client: Client, kinds: Iterable[Kind], before: set[Reference]) -> tuple[str, ...]:
    """What is there that was not before `up`, after controllers had time to follow."""
    remaining: set[Reference] = set()

    def gone() -> bool | None:
        remaining.clear()
        remaining.update(_present(client, kinds) - before)
        return None if remaining else True

    until(gone, _GONE_SECONDS, threading.Event())
    return tuple(str(reference) for reference in sorted(remaining))


def _text(value: Any) -> str:
    """As Pulumi hands configuration to a program: text, structured values as JSON."""
    return value if isinstance(value, str) else json.dumps(value)
