"""One command at a time, whatever the others do meanwhile."""

import threading
import time

import pytest

from espalier.sim import SimError, locks
from espalier.sim.locks import locked


def _silent(_: str) -> None: ...


def test_a_second_command_waits_says_so_and_gives_up_in_time(tmp_path):
    told: list[str] = []
    with (
        locked(tmp_path / "lock", "testing", _silent, 1.0),
        pytest.raises(SimError, match="another command has been testing"),
        locked(tmp_path / "lock", "testing", told.append, 0.3),
    ):
        pass
    assert told == ["waiting: another command is testing"]


def test_the_lock_is_free_after_an_error(tmp_path):
    with pytest.raises(KeyError), locked(tmp_path / "lock", "testing", _silent, 1.0):
        raise KeyError
    with locked(tmp_path / "lock", "testing", _silent, 0.0):
        pass


def test_never_two_hold_it_though_each_removes_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "_TRY_EVERY_SECONDS", 0.001)
    inside = 0
    most = 0
    entered = 0

    def work() -> None:
        nonlocal inside, most, entered
        for _ in range(50):
            with locked(tmp_path / "lock", "testing", _silent, 30.0):
                inside += 1
                entered += 1
                most = max(most, inside)
                time.sleep(0.002)
                inside -= 1
                (tmp_path / "lock").unlink()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert entered == 300
    assert most == 1
