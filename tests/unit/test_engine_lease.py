"""The Lease against an API in memory: who gets it of two, who is dead, what is written over and what is not."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from espalier.engine import lease as leases
from espalier.engine.errors import RefusedError, RunEndedError
from espalier.engine.holder import Holder
from espalier.engine.lease import SECONDS, Lease
from espalier.engine.namespace import LEASE, NAMESPACE
from espalier.kube import ApiError, Client, Reference

NAME = Reference(LEASE, NAMESPACE, "run-id")
ELSEWHERE = Holder(
    run="other", who="ann@build-7 pid 17", what="destroy", since="then", machine="another boot", pid=17, started="1"
)
DEAD = replace(Holder.here("up"), run="dead", who="bob pid 1", pid=1, started="0")


def refused(status: int, reason: str) -> ApiError:
    return ApiError(status, reason, reason)


class Api:
    """One Lease, with versions as an API server keeps them; what names no version is written over any."""

    def __init__(self) -> None:
        self.live: dict[str, Any] | None = None
        self._versions = 0
        self._lock = threading.Lock()

    def find_object(self, reference: Reference) -> dict[str, Any] | None:
        assert reference == NAME
        return copy.deepcopy(self.live)

    def create(self, manifest: dict[str, Any]) -> dict[str, Any]:
        if manifest["kind"] == "Namespace" or self.live is not None:
            raise refused(409, "AlreadyExists")
        return self._write(manifest)

    def replace(self, manifest: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            if self.live is None:
                raise refused(404, "NotFound")
            if manifest["metadata"].get("resourceVersion", self.version) != self.version:
                raise refused(409, "Conflict")
            return self._write(manifest)

    def request(self, method: str, path: str, body: Any) -> None:
        assert (method, path.rpartition("/")[2]) == ("DELETE", NAME.name)
        if self.live is None:
            raise refused(404, "NotFound")
        wanted = body.get("preconditions") or {}
        if any(self.live["metadata"][key] != value for key, value in wanted.items()):
            raise refused(409, "Conflict")
        self.live = None

    def patch(self, *args: Any) -> dict[str, Any]:
        """Of the namespace, which stays."""
        del args
        return {"metadata": {}}

    @property
    def version(self) -> str:
        return self.live["metadata"]["resourceVersion"] if self.live else ""

    @property
    def holder(self) -> Holder | None:
        return Holder.parse(self.live["metadata"]["annotations"]["espalier.dev/holder"]) if self.live else None

    def _write(self, manifest: dict[str, Any]) -> dict[str, Any]:
        self._versions += 1
        uid = self.live["metadata"]["uid"] if self.live else f"uid-{self._versions}"
        metadata = {**manifest["metadata"], "uid": uid, "resourceVersion": str(self._versions)}
        self.live = copy.deepcopy({**manifest, "metadata": metadata})
        return copy.deepcopy(self.live)


class Clock:
    """Of this machine alone: it goes on where a run sleeps, and whoever works meanwhile does so then."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.meanwhile: Callable[[], None] = lambda: None

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.meanwhile()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(leases, "_now", lambda: made.now)
    monkeypatch.setattr(leases.time, "sleep", made.sleep)
    # Nothing is renewed by itself: each test does what it is about.
    monkeypatch.setattr(leases, "_RENEW", 3600.0)
    return made


class Runs:
    """Leases of one stack; all are given back in the end."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.taken: list[Lease] = []

    def of(self, holder: Holder) -> Lease:
        return Lease(self.api, "id", "demo/dev", holder)  # type: ignore[arg-type]

    def take(self, holder: Holder, progress: Callable[[str], None] = lambda _: None) -> Lease:
        lease = self.of(holder)
        lease.take(progress)
        self.taken.append(lease)
        return lease

    def left_by(self, holder: Holder, **spec: Any) -> None:
        """A Lease that is there, of a run that this process knows nothing of."""
        manifest = self.of(holder)._manifest("")  # pyright: ignore[reportPrivateUsage]
        self.api.create({**manifest, "spec": {**manifest["spec"], **spec}})


@pytest.fixture
def runs(clock: Clock) -> Iterator[Runs]:
    del clock
    made = Runs(Api())
    yield made
    for lease in made.taken:
        lease.release(lambda _: None)


@pytest.mark.parametrize("dead", [DEAD, ELSEWHERE], ids=["here", "elsewhere"])
def test_of_two_that_find_the_same_dead_holder_one_takes_over(runs: Runs, dead: Holder) -> None:
    """The other one comes between the reading and the writing: the version that was read tells."""
    runs.left_by(dead)
    first, second = Holder.here("up"), Holder.here("destroy")

    def progress(line: str) -> None:
        if line.endswith("taking demo/dev over") and runs.api.holder == dead:
            runs.take(first)

    with pytest.raises(RefusedError) as caught:
        runs.of(second).take(progress)
    assert f"{first.who} has been running `up` since" in caught.value.problems[0].reason
    assert runs.api.holder == first
    (winner,) = runs.taken
    winner.check()


def test_a_holder_elsewhere_is_dead_after_its_own_time_and_not_before(runs: Runs, clock: Clock) -> None:
    """Whatever its clock says, by which it was renewed long ago."""
    runs.left_by(ELSEWHERE, leaseDurationSeconds=7, renewTime="1999-01-01T00:00:00.000000Z")
    began, lines = clock.now, list[str]()
    me = Holder.here("up")
    runs.take(me, lines.append)
    assert 7 <= clock.now - began < 8
    assert "looking for up to 7 s" in lines[0]
    assert runs.api.holder == me


def test_a_holder_elsewhere_that_renews_just_in_time_is_let_alone(runs: Runs, clock: Clock) -> None:
    runs.left_by(ELSEWHERE, leaseDurationSeconds=7)
    began = clock.now

    def renew() -> None:
        if clock.now - began == 6.5:
            runs.api.replace({**(runs.api.live or {}), "spec": {"leaseDurationSeconds": 7}})

    clock.meanwhile = renew
    with pytest.raises(RefusedError, match="ann@build-7 pid 17 has been running `destroy` since then"):
        runs.take(Holder.here("up"))
    assert runs.api.holder == ELSEWHERE


def test_a_holder_elsewhere_that_gives_back_is_not_waited_for(runs: Runs, clock: Clock) -> None:
    runs.left_by(ELSEWHERE)
    began = clock.now

    def give_back() -> None:
        runs.api.live = None if runs.api.holder == ELSEWHERE else runs.api.live

    clock.meanwhile = give_back
    me = Holder.here("up")
    runs.take(me)
    assert clock.now - began < 1
    assert runs.api.holder == me


def test_a_dead_process_of_this_machine_is_not_waited_for(runs: Runs, clock: Clock) -> None:
    runs.left_by(DEAD)
    began = clock.now
    me = Holder.here("up")
    runs.take(me)
    assert clock.now == began
    assert runs.api.holder == me


def test_a_living_process_of_this_machine_is_refused_at_once_with_how_to_stop_it(runs: Runs, clock: Clock) -> None:
    first = Holder.here("destroy")
    runs.take(first)
    began, version = clock.now, runs.api.version
    with pytest.raises(RefusedError) as caught:
        runs.take(Holder.here("up"))
    assert caught.value.problems[0].do == f"let it end, or stop it: kill {first.pid}"
    assert (clock.now, runs.api.version) == (began, version)


def stolen(runs: Runs) -> tuple[Lease, str]:
    """A Lease that another run has taken over, of which the first has not heard; and the version it has now."""
    mine = runs.take(Holder.here("up"))
    live = runs.api.live or {}
    notes = {"espalier.dev/holder": ELSEWHERE.text()}
    runs.api.replace({**live, "metadata": {**live["metadata"], "annotations": notes}})
    return mine, runs.api.version


def test_one_that_was_taken_over_ends_the_run_and_is_not_taken_back(runs: Runs, clock: Clock) -> None:
    mine, version = stolen(runs)
    mine.check()  # it was renewed just now: nobody asks before each write
    clock.now += SECONDS
    with pytest.raises(RunEndedError, match="ann@build-7 pid 17 took demo/dev over for `destroy` at then"):
        mine.check()
    mine.release(lambda _: None)
    assert (runs.api.holder, runs.api.version) == (ELSEWHERE, version)


def test_one_that_was_taken_over_unheard_is_not_given_back(runs: Runs) -> None:
    mine, version = stolen(runs)
    lines: list[str] = []
    mine.release(lines.append)
    assert (runs.api.holder, runs.api.version) == (ELSEWHERE, version)
    assert "could not be released" in lines[0]


def test_one_whose_renewal_was_answered_by_nobody_stays_ours(runs: Runs, clock: Clock) -> None:
    """The write arrived, its answer did not: the next one names a version that is gone."""
    me = Holder.here("up")
    mine = runs.take(me)
    runs.api.replace(runs.api.live or {})
    clock.now += SECONDS
    mine.check()
    clock.now += SECONDS
    mine.check()
    assert runs.api.holder == me


def test_one_that_someone_deleted_ends_the_run(runs: Runs, clock: Clock) -> None:
    mine = runs.take(Holder.here("up"))
    runs.api.live = None
    clock.now += SECONDS
    with pytest.raises(RunEndedError, match="someone deleted or changed Lease"):
        mine.check()


def test_what_is_given_back_is_gone(runs: Runs) -> None:
    runs.take(Holder.here("up")).release(lambda _: None)
    assert runs.api.live is None


def test_the_clients_double_has_the_clients_methods() -> None:
    assert all(callable(getattr(Client, name)) for name in ("find_object", "create", "replace", "request", "patch"))
