"""Microsoft Azure: what an AKS stack needs of its subscription and region."""

from __future__ import annotations

from collections.abc import Callable

from espalier.preflight.azure import ask, judge
from espalier.preflight.model import Finding
from espalier.preflight.needs import Needs


def findings(needs: Needs, progress: Callable[[str], None]) -> list[Finding]:
    """Asks and judges. Raises NotPossibleError."""
    return judge.findings(needs, ask.facts_of(needs, progress))
