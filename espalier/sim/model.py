"""What is told about a simulated cluster, and how progress is told."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Progress = Callable[[str], None]
"""Called with one line of text each time there is something to tell a waiting person."""


@dataclass(frozen=True)
class ComponentStatus:
    """One process of a cluster.

    ``pid`` is None where none runs; ``running`` says that the process lives, ``healthy`` that it answers its
    health check; ``detail`` is one line for people.
    """

    name: str
    pid: int | None
    running: bool
    healthy: bool
    detail: str

    def to_json(self) -> dict[str, object]:
        """The form that ``sim status --json`` prints."""
        return {
            "name": self.name,
            "pid": self.pid,
            "running": self.running,
            "healthy": self.healthy,
            "detail": self.detail,
        }


@dataclass(frozen=True)
class SimStatus:
    """One simulated cluster; ``ready`` when every component is healthy and its base objects exist."""

    name: str
    ready: bool
    kubeconfig: Path
    components: tuple[ComponentStatus, ...]

    def to_json(self) -> dict[str, object]:
        """The form that ``sim status --json`` prints as one of ``clusters[]``."""
        return {
            "name": self.name,
            "ready": self.ready,
            "kubeconfig": str(self.kubeconfig),
            "components": [component.to_json() for component in self.components],
        }
