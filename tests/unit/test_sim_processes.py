"""Whose process is it? What is ours is found and ended; what is not is never touched."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from espalier.sim import processes
from espalier.sim.processes import Record


@pytest.fixture
def record(tmp_path):
    record = Record(tmp_path / "run", "sleeper")
    yield record
    processes.stop([record], 1.0)


def _sleep(record: Record) -> tuple[str, ...]:
    return ("/bin/sh", "-c", "trap '' HUP; sleep 60 & wait", f"--state={record.directory}")


def test_a_started_process_is_found_outlives_its_starter_and_is_ended(record):
    processes.start(record, _sleep(record))
    pid = processes.pid_of(record)
    assert pid is not None
    assert os.getsid(pid) != os.getsid(0)
    status = Path(f"/proc/{pid}/status").read_text()
    assert f"PPid:\t{os.getpid()}\n" not in status
    processes.stop([record], 2.0)
    assert processes.pid_of(record) is None


def test_a_process_that_ignores_the_request_is_killed(record):
    processes.start(record, ("/bin/sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 0.1; done"))
    while processes.last_line(record) != "deaf":
        time.sleep(0.01)
    processes.stop([record], 0.3)
    assert processes.pid_of(record) is None


def test_a_pid_that_another_program_has_now_is_neither_found_nor_signalled(record):
    processes.start(record, _sleep(record))
    processes.stop([record], 2.0)
    with subprocess.Popen(["/bin/sleep", "60"]) as stranger:
        record.pid_file.write_text(f"{stranger.pid}\n")
        assert processes.pid_of(record) is None
        assert not processes.send(record, signal.SIGKILL)
        processes.stop([record], 0.2)
        assert stranger.poll() is None
        stranger.kill()


def test_a_process_that_has_ended_does_not_count_though_nobody_has_waited_for_it(record):
    argv = ["/bin/sleep", "60"]
    with subprocess.Popen(argv) as child:
        record.directory.mkdir()
        record.argv_file.write_text('["/bin/sleep", "60"]')
        record.pid_file.write_text(f"{child.pid}\n")
        assert processes.pid_of(record) == child.pid
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert processes.pid_of(record) is None


@pytest.mark.parametrize("content", ["", "not a number", "999999999"])
def test_a_damaged_pid_file_means_no_process(record, content):
    record.directory.mkdir()
    record.argv_file.write_text('["/bin/sleep", "60"]')
    record.pid_file.write_text(content)
    assert processes.pid_of(record) is None


def test_a_process_that_was_started_but_not_yet_turned_into_the_component_counts(record):
    # The shell in between has the component's words at its end.
    argv = ("/bin/sleep", "60")
    record.directory.mkdir()
    record.argv_file.write_text('["/bin/sleep", "60"]')
    with subprocess.Popen(["/bin/sh", "-c", "sleep 60; true", "pid-file", *argv], process_group=0) as shell:
        try:
            record.pid_file.write_text(f"{shell.pid}\n")
            assert processes.pid_of(record) == shell.pid
        finally:
            os.killpg(shell.pid, signal.SIGKILL)


def test_nothing_of_the_callers_environment_reaches_a_component(record, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example")
    processes.start(record, _sleep(record))
    environment = Path(f"/proc/{processes.pid_of(record)}/environ").read_text()
    assert "HOME=" in environment
    assert "hidden" not in environment
    assert "proxy.example" not in environment


def test_a_log_that_has_grown_is_set_aside_at_the_next_start(record):
    record.directory.mkdir()
    record.log_file.write_bytes(b"x" * 5_000_000)
    processes.start(record, _sleep(record))
    assert record.log_file.stat().st_size < 1000
    assert record.log_file.with_suffix(".log.old").stat().st_size == 5_000_000
