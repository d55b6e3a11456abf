"""What the type check sees of the clouds' components: nested inputs have the SDKs' types, as far down as they go.

Pyright judges a dictionary that is written in place, or that a function returns, by the SDK's own TypedDict. A loose
annotation, or an ignored line, would hide a misspelt key from it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.clouds.recorded import ROOT

CLUSTERS = ROOT / "components" / "cluster"
FILES = sorted(path for cloud in ("aks", "eks", "gke") for path in (CLUSTERS / cloud).glob("*.py"))
LOOSE = {
    # Objects of Kubernetes, which are no cloud's; the policies judge them.
    "aks/objects.py": {"storage_class", "disk_class", "priorities"},
    # Kubeconfigs, as text in the end.
    "aks/kubeconfig.py": {"text", "content"},
    "eks/kubeconfig.py": {"text", "_token"},
    "gke/access.py": {"kubeconfig", "text", "_config"},
    # A policy of IAM on its way to text; the linter reads it.
    "eks/identities.py": {"_json"},
    # What the SDK gives back, not what it is given.
    "gke/control_plane.py": {"_dns", "_certificate", "_field"},
}
"""Functions with an annotation that says nothing, and why they may."""
_LOOSE = re.compile(r"\b(Any|object)\b")
_IGNORED = re.compile(r"#\s*(type:\s*ignore|pyright:)")


def annotated(function: ast.FunctionDef) -> Iterator[ast.expr]:
    """Of parameters, of what is returned, and of names inside."""
    given = function.args
    for one in (*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg):
        if one is not None and one.annotation is not None:
            yield one.annotation
    if function.returns is not None:
        yield function.returns
    yield from (node.annotation for node in ast.walk(function) if isinstance(node, ast.AnnAssign))


def loose(path: Path) -> set[str]:
    functions = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.FunctionDef)]
    return {one.name for one in functions if any(_LOOSE.search(ast.unparse(found)) for found in annotated(one))}


def test_no_input_of_a_cloud_is_a_loose_dictionary() -> None:
    assert len(FILES) > 30
    found = {f"{path.parent.name}/{path.name}": loose(path) for path in FILES}
    assert {name: functions for name, functions in found.items() if functions} == LOOSE


def test_no_line_is_kept_from_the_type_check() -> None:
    assert [path.name for path in FILES if _IGNORED.search(path.read_text("utf-8"))] == []
