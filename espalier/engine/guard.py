"""What stands around all that a run writes: its Lease, and the way to stop it.

Every write of the run goes through a client that asks here first, so no part of the engine can forget to.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass

from espalier.engine import namespace
from espalier.engine.cluster import Cluster
from espalier.engine.errors import ApplyFailed, EngineError, LeaseLostError, Problem, RunEndedError, StoppedError
from espalier.engine.executor import Later
from espalier.engine.holder import Holder
from espalier.engine.lease import Lease
from espalier.engine.model import Resource
from espalier.engine.monitor import FAILED, Answer, Backend
from espalier.engine.stop import Stop
from espalier.engine.watcher import Watcher
from espalier.kube import Client, KubeError

Progress = Callable[[str], None]
Standing = Callable[[], str]
_TICK = 0.1
_STOPPED = "not done, since the run was stopped"


@dataclass
class Guard:
    """Tells whether the run may still write."""

    client: Client
    lease: Lease
    stop: Stop
    watcher: Watcher

    @property
    def ended(self) -> bool:
        """Tells whether nothing new may be begun."""
        return self.stop.requested or bool(self.lease.lost)

    def check(self) -> None:
        """Raises RunEndedError where no more objects may be written, KubeError where that is not known."""
        if self.stop.requested:
            raise RunEndedError(_STOPPED)
        self.lease.check()

    def watch(self, over: threading.Event) -> None:
        """Ends the waits as soon as the run is to end."""
        while not over.is_set():
            if self.stop.wait(_TICK) or self.lease.lost:
                self.client.hurry()
                self.watcher.cancel(_STOPPED)
                return


@dataclass(frozen=True)
class Gate:
    """Lets registrations through to `backend` while the run goes on."""

    backend: Backend
    guard: Guard

    def register(self, resource: Resource) -> Answer | Later:
        """Answers FAILED to what comes after the end."""
        return FAILED if self.guard.ended else self.backend.register(resource)


@contextlib.contextmanager
def writing(
    cluster: Cluster,
    watcher: Watcher,
    what: str,
    progress: Progress,
    stop: Stop | None,
    standing: Standing,
) -> Generator[Guard]:
    """Holds the stack's Lease around all that `what` (`up`, `destroy`) writes. `standing` says how far it is.

    Raises RefusedError where another run has the Lease or changed the stack since its inventory was read; StoppedError
    and LeaseLostError in the place of what the body raises after the run was ended.
    """
    client, inventory = cluster.client, cluster.inventory
    where = f"{inventory.project}/{inventory.stack}"
    client.tell(progress)
    lease = Lease(client, inventory.stack_id, where, Holder.here(what))
    lease.take(progress)
    guard = Guard(client, lease, stop or Stop(), watcher)
    over = threading.Event()
    thread = threading.Thread(target=guard.watch, args=(over,), name="stop", daemon=True)
    try:
        inventory.client = client.before_writing(lease.check)
        inventory.confirm()
        cluster.client = client.before_writing(guard.check)
        guard.stop.heard = True
        thread.start()
        yield guard
    except (EngineError, KubeError) as error:
        over.set()
        if not guard.ended or not guard.stop.heard:
            raise
        thread.join()
        raise _end(guard, what, where, standing(), error) from None
    finally:
        guard.stop.heard = False
        over.set()
        cluster.client = inventory.client = client
        lease.release(progress)
        _tidy(client, cluster, guard)
        client.hurry(False)
        client.tell(None)


def _tidy(client: Client, cluster: Cluster, guard: Guard) -> None:
    """A first run that ended before it kept anything leaves nothing; a destroy leaves nothing either."""
    if not cluster.inventory.exists and not guard.lease.lost:
        namespace.remove_if_unused(client)


def _end(guard: Guard, what: str, stack: str, standing: str, error: EngineError | KubeError) -> EngineError:
    """Why the run was ended, in the place of all the errors that followed from it."""
    failures = error.errors if isinstance(error, ApplyFailed) else ()
    kept = [
        problem for problem in failures if _STOPPED not in problem.reason and guard.lease.lost not in problem.reason
    ]
    if guard.lease.lost:
        do = "let that run end, then run again"
        lost = Problem(stack, f"{guard.lease.lost}; nothing was written from then on", do)
        return LeaseLostError(f"the run was ended: {standing}", [lost, *kept])
    waits = [problem for problem in failures if f"{_STOPPED} while" in problem.reason]
    do = Problem(stack, "what was done is in the inventory", f"run `{what}` again to go on")
    return StoppedError(guard.stop.why, standing, [*kept, *waits, do])
