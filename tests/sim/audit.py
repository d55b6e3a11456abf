"""The audit log of a simulated cluster."""

from __future__ import annotations

from pathlib import Path


def lines_of(log: Path) -> list[str]:
    """Its whole lines; the API server may be writing the last one."""
    return [line for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]
