"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Writes a file by way of another name, so that a full disk leaves what was there before. Raises OSError."""
    if path.exists() and not path.is_file():
        # A pipe or a terminal is nothing to replace; a folder says what it is.
        path.write_text(text, "utf-8")
        return
    target = path.resolve()
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        draft.write_text(text, "utf-8")
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
