"""Who runs: a process of a user on a machine, and whether that process still lives.

A process is known by its number and when it started, within one boot and one pid namespace of a machine (proc(5)):
two containers of a machine have one boot but may each have a process 17. Where that cannot be told (no /proc), no
process is ever judged dead from afar, and a Lease has to lapse.
"""

from __future__ import annotations

import json
import os
import platform
import pwd
import uuid
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

_ACTIVE: set[str] = set()
"""The runs of this very process that go on."""


@dataclass(frozen=True, kw_only=True)
class Holder:
    """One run of `up` or `destroy`."""

    run: str
    """Unlike that of any other run."""
    who: str
    """For people: `user@host pid 17`."""
    what: str
    """`up` or `destroy`."""
    since: str
    """By its own clock, for people only."""
    machine: str
    """One boot and one pid namespace of a machine; empty where that is not known."""
    pid: int
    started: str
    """When the process started, in ticks since the boot."""

    @classmethod
    def here(cls, what: str) -> Holder:
        """A run of this process that begins now."""
        pid = os.getpid()
        return cls(
            run=uuid.uuid4().hex,
            who=f"{_user()}@{platform.node() or 'unknown'} pid {pid}",
            what=what,
            since=datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
            machine=_machine(),
            pid=pid,
            started=_started(pid),
        )

    @classmethod
    def parse(cls, text: str) -> Holder | None:
        """Reads what `text` gave; None for anything else."""
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError):
            return None

    def text(self) -> str:
        """For the Lease."""
        return json.dumps(asdict(self), sort_keys=True)

    def begin(self) -> None:
        """Marks this process's run as one that goes on."""
        _ACTIVE.add(self.run)

    def end(self) -> None:
        """Marks it as over."""
        _ACTIVE.discard(self.run)

    def is_here(self) -> bool:
        """Tells whether its process can be looked at from here."""
        return bool(self.machine) and self.machine == _machine()

    def lives(self) -> bool:
        """Tells whether its process is there and has not ended; only where `is_here`."""
        if self.pid == os.getpid() and self.started == _started(self.pid):
            return self.run in _ACTIVE
        return bool(self.started) and _started(self.pid) == self.started


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _started(pid: int) -> str:
    """Empty for a process that is not there, or has ended and was not waited for."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]
