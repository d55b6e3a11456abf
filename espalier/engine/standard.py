"""The program that comes with Espalier: what it registers does not hang on what the API server answers."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

STANDARD: Final = """
import pulumi

from espalier.components import Platform
from espalier.settings import from_pulumi

platform = Platform("platform", {"settings": from_pulumi()})

pulumi.export("namespaces", platform.namespaces)
if platform.kubeconfig is not None:
    pulumi.export("kubeconfig", platform.kubeconfig)
for part, found in platform.parts.items():
    pulumi.export(part, found)
"""


def is_standard(root: Path) -> bool:
    """Whether the program in this folder is that one, whatever its layout and comments; no if it cannot be read."""
    try:
        found = ast.parse((root / "__main__.py").read_bytes())
    except (OSError, SyntaxError, ValueError):
        return False
    if ast.get_docstring(found) is not None:
        del found.body[0]
    return ast.dump(found) == ast.dump(ast.parse(STANDARD))
