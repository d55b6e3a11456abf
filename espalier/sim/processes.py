"""Starts, finds and stops a cluster's processes, which outlive the command that starts them.

Of each component two files are kept: ``<name>.argv``, its command line, written before it starts, and
``<name>.pid``, written by the process itself before it becomes the component. So there is no moment at which
a crash of the command leaves a process that nobody knows. A pid counts as the component's only while the
process that has it runs that very command line, which holds the state directory's path: a pid that the kernel
has given to another program since is neither taken for the component nor signalled.
"""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

# The outer shell ends at once, so that the component is nobody's child: it outlives the command, and a
# caller that lives longer is left with no zombie.
_DETACH = '"$@" &'
_LAUNCH = 'echo $$ > "$0" && exec "$@"'
_SECONDS_TO_LAUNCH = 10.0
_EXEC_TRIES, _EXEC_PAUSE = 50, 0.002
_KEEP_LOG_BYTES = 4_000_000


@dataclass(frozen=True)
class Record:
    """Where one component's files lie."""

    directory: Path
    name: str

    @property
    def argv_file(self) -> Path:
        """The command line it was started with, as a JSON list."""
        return self.directory / f"{self.name}.argv"

    @property
    def pid_file(self) -> Path:
        """The process's number, as text."""
        return self.directory / f"{self.name}.pid"

    @property
    def log_file(self) -> Path:
        """What it prints."""
        return self.directory / f"{self.name}.log"


def start(record: Record, argv: tuple[str, ...], environment: tuple[tuple[str, str], ...] = ()) -> None:
    """Start a component as a process of its own session, with its output in its log."""
    record.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    record.pid_file.unlink(missing_ok=True)
    record.argv_file.write_text(json.dumps(argv), encoding="utf-8")
    _trim(record.log_file)
    with record.log_file.open("ab") as log:
        subprocess.run(
            ["/bin/sh", "-c", _DETACH, "sh", "/bin/sh", "-c", _LAUNCH, str(record.pid_file), *argv],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
            # Nothing of the caller's environment: no proxy, no Go setting, no credential.
            env={"PATH": os.defpath, "HOME": str(record.directory), **dict(environment)},
            check=True,
        )
    deadline = time.monotonic() + _SECONDS_TO_LAUNCH
    while pid_of(record) is None and time.monotonic() < deadline:
        time.sleep(0.005)


def pid_of(record: Record) -> int | None:
    """The process that runs as this component, or None."""
    try:
        pid = int(record.pid_file.read_text(encoding="utf-8"))
        argv = json.loads(record.argv_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return pid if _runs(pid, argv) else None


def send(record: Record, number: signal.Signals) -> bool:
    """Send a signal to the component; False where it does not run."""
    pid = pid_of(record)
    if pid is None:
        return False
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def stop(records: list[Record], grace_seconds: float) -> None:
    """End the processes of ``records``: asked first, killed after ``grace_seconds``; none is left then."""
    for record in records:
        send(record, signal.SIGTERM)
        # One that is paused would not see the request.
        send(record, signal.SIGCONT)
    left = _wait_gone(records, grace_seconds)
    for record in left:
        send(record, signal.SIGKILL)
    left = _wait_gone(left, 10.0)
    if left:
        raise TimeoutError(f"still running after being killed: {', '.join(record.name for record in left)}")
    for record in records:
        record.pid_file.unlink(missing_ok=True)


def last_line(record: Record) -> str:
    """The last thing that a component printed, for people; empty where there is nothing."""
    try:
        with record.log_file.open("rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - 4096))
            lines = log.read().decode(errors="replace").strip().splitlines()
    except FileNotFoundError:
        return ""
    return lines[-1][:300] if lines else ""


def _wait_gone(records: list[Record], seconds: float) -> list[Record]:
    deadline = time.monotonic() + seconds
    left = [record for record in records if pid_of(record) is not None]
    while left and time.monotonic() < deadline:
        time.sleep(0.02)
        left = [record for record in left if pid_of(record) is not None]
    return left


def _runs(pid: int, argv: list[str]) -> bool:
    """Whether process ``pid`` lives and runs ``argv``, or is the shell that is about to become it.

    A process that has ended has no words any more, even while nobody has waited for it.
    """
    if sys.platform == "linux":
        return _command(pid).split("\0")[:-1][-len(argv) :] == argv
    # Elsewhere ps joins the words.
    ps = subprocess.run(["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return ps.stdout.strip().endswith(" ".join(argv))


def _command(pid: int) -> str:
    """A process's words, each ended by NUL; empty where it does not live.

    In the middle of an exec a living process has none for a moment: that one is asked again.
    """
    for _ in range(_EXEC_TRIES):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="surrogateescape")
            state = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ESRCH, errno.EACCES):
                return ""
            raise
        if command or state in "ZX":
            return command
        time.sleep(_EXEC_PAUSE)
    return ""


def _trim(log: Path) -> None:
    """Keep the log of the run before, for who looks for a crash's cause, but not of all runs ever."""
    if log.exists() and log.stat().st_size > _KEEP_LOG_BYTES:
        os.replace(log, log.with_suffix(".log.old"))
