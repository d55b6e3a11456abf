"""The second pass of `up` from the recording of the first, where the program need not be run again for it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any

from espalier.engine.executor import RegistrationExecutor
from espalier.engine.model import Recording, Resource
from espalier.engine.monitor import Backend
from espalier.engine.program import THREADS
from espalier.engine.values import has_unknown


def is_whole(recording: Recording) -> bool:
    """Whether nothing that was recorded waits for what the API server answers, and the program had nothing to say.

    One that warns in a dry run may end in an error otherwise, as with add-ons that are left out.
    """
    if recording.logs:
        return False
    inputs = (resource.inputs for resource in recording.resources)
    return not any(has_unknown(dict(values)) for values in (recording.outputs, *inputs))


def replay(resources: Sequence[Resource], backend: Backend) -> None:
    """Registers each custom resource once all is answered that it depends on, as the program would again."""
    known = {resource.urn: resource for resource in resources}
    waits_for = {urn: _before(resource) & known.keys() for urn, resource in known.items()}
    after: dict[str, list[str]] = {}
    for urn, before in waits_for.items():
        for each in sorted(before):
            after.setdefault(each, []).append(urn)
    ready = deque(urn for urn, before in waits_for.items() if not before)
    answered: SimpleQueue[tuple[str, Future[Any]]] = SimpleQueue()
    executor = RegistrationExecutor(max_workers=THREADS, thread_name_prefix="registration")
    open_ = 0
    try:
        while ready or open_:
            if ready:
                urn = ready.popleft()
                if known[urn].custom:
                    future = executor.submit(backend.register, known[urn])
                    future.add_done_callback(lambda done, urn=urn: answered.put((urn, done)))
                    open_ += 1
                    continue
            else:
                urn, future = answered.get()
                future.result()
                open_ -= 1
            for each in after.get(urn, ()):
                waits_for[each].discard(urn)
                if not waits_for[each]:
                    ready.append(each)
    finally:
        # After an interrupt what runs is finished, and what is queued is not begun.
        executor.shutdown(cancel_futures=True)


def _before(resource: Resource) -> set[str]:
    return {*resource.dependencies, resource.parent, resource.provider}
