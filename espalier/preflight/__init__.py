"""What a cloud's account lacks for a stack, asked before anything is made: read-only, all findings at once.

Each cloud has three parts: `ask` gathers facts by reading calls alone, `facts` is what it found as plain data, and
`judge` compares these with what the stack needs, without asking anybody.
"""

from espalier.preflight.model import Finding, NotAsked, NotPossibleError
from espalier.preflight.needs import GroupNeed, Needs, needs_of

__all__ = ["Finding", "GroupNeed", "Needs", "NotAsked", "NotPossibleError", "needs_of"]
