"""Writes `compiled/`: the data files as JSON, which a plan reads in a millisecond where YAML takes fifty.

Run `python -m espalier.catalogue.compile` after a change of a data file; a test holds the two together.
"""

from __future__ import annotations

import json
from pathlib import Path

from espalier.catalogue.build import Parts, parts_of
from espalier.types import Mistakes

FOLDER = Path(__file__).parent
COMPILED = FOLDER / "compiled"


def own_parts() -> Parts:
    """Espalier's own rows. Raises Mistakes with all that is wrong with the data files."""
    parts, mistakes = parts_of(sorted(FOLDER.glob("*.yaml")))
    if mistakes:
        raise Mistakes(mistakes)
    return parts


def compiled(parts: Parts) -> dict[str, str]:
    """The text of each compiled file by its name."""
    values = {
        "accelerators": parts.accelerators,
        "sources": {name: row.model_dump() for name, row in sorted(parts.sources.items())},
        **{f"machines-{cloud}": rows for cloud, rows in parts.machines.items()},
        **{f"prices-{cloud}": rows for cloud, rows in parts.prices.items()},
    }
    return {f"{name}.json": json.dumps(value, separators=(",", ":")) + "\n" for name, value in values.items()}


if __name__ == "__main__":
    COMPILED.mkdir(exist_ok=True)
    for file, text in compiled(own_parts()).items():
        (COMPILED / file).write_text(text, "utf-8")
