"""Records what a program registers, without a cluster: the base of a plan."""

from __future__ import annotations

import hashlib

from espalier.engine.manifest import (
    kind_of,
    manifest_of,
    plan_id,
    plan_outputs,
)
from espalier.engine.model import PROVIDER_PREFIX, Recording, Resource
from espalier.engine.monitor import Answer, Engine, Monitor
from espalier.engine.program import Program, run
from espalier.engine.values import UNKNOWN, Json

__all__ = ["record"]


def record(program: Program) -> Recording:
    """Runs the program and returns what it registered; no cluster is asked and nothing is changed.

    What only an apply can tell (an object's uid, its status) is unknown to the program. Raises
    ProgramError when the program raises, or registers what cannot be recorded.
    """
    engine = Engine()
    monitor = Monitor(program.project, program.stack, Planned())
    run(program, monitor, engine, dry_run=True)
    return monitor.recording(engine.logs())


class Planned:
    """Answers from the inputs alone."""

    def register(self, resource: Resource) -> Answer:
        """Gives the inputs back, and unknown what an apply would fill in."""
        if resource.type.startswith(PROVIDER_PREFIX):
            return Answer(provider_id(resource), resource.inputs)
        kind = kind_of(resource)
        if kind is None:
            return Answer("", {name: _known(value) for name, value in resource.inputs.items()})
        manifest = manifest_of(resource, kind)
        return Answer(plan_id(manifest, kind), plan_outputs(manifest, kind, resource))


def _known(value: Json) -> Json:
    """What a cloud gives back of an input: inside of an object or a list, it may fill in or reshape anything."""
    return UNKNOWN if isinstance(value, dict | list) else value


def provider_id(resource: Resource) -> str:
    """An id for a provider: the same for the same URN."""
    return hashlib.sha256(resource.urn.encode()).hexdigest()[:32]
