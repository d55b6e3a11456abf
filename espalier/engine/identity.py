"""Which cluster is behind a name: told by the UID of kube-system, which lives as long as the cluster does.

A kubeconfig says how to reach a server, not which cluster it is: contexts are re-used, clusters rebuilt, tunnels point
elsewhere. A stack may pin the UID. Where it does not, this machine remembers the one that it brought the stack up on,
as ssh does with `known_hosts`: one small file for each stack, server and context.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from espalier.engine.errors import Problem, RefusedError
from espalier.engine.inventory import cluster_uid
from espalier.kube import Client


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What is known of the cluster that a stack belongs to."""

    stack: str
    """`project/stack`."""
    server: str
    context: str
    pinned: str
    """The UID in the stack file; empty where it has none."""
    folder: Path
    """Where this machine remembers clusters."""

    @property
    def file(self) -> Path:
        """The file that remembers this one."""
        key = "\n".join((self.stack, self.server, self.context))
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"

    def check(self, client: Client) -> None:
        """Raises RefusedError where another cluster answers, and KubeError. A pin counts more than memory."""
        known = self.pinned or self._remembered()
        # Asked in any case: a cluster that does not answer is told here, once.
        here = cluster_uid(client)
        if not known or here == known:
            return
        if self.pinned:
            reason = f"espalier:cluster.uid is {known}, and context {self.context} reaches the cluster {here}"
            do = "correct the kubeconfig; if the cluster was rebuilt on purpose, correct the uid"
        else:
            reason = f"was brought up on the cluster {known}, and context {self.context} now reaches the cluster {here}"
            do = f"correct the kubeconfig; if the cluster was rebuilt on purpose, delete {self.file}"
        raise RefusedError("nothing was changed: this is another cluster", [Problem(self.stack, reason, do)])

    def remember(self, client: Client) -> None:
        """Keeps the cluster's UID, unless it is pinned or kept. Raises OSError, and KubeError."""
        if self.pinned or self._remembered():
            return
        row = {"stack": self.stack, "server": self.server, "context": self.context, "uid": cluster_uid(client)}
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Another name first: a disk that is full leaves no half of a file under this one.
        draft = self.file.with_suffix(f".{os.getpid()}")
        try:
            draft.write_text(json.dumps(row, indent=2) + "\n", "utf-8")
            draft.replace(self.file)
        finally:
            draft.unlink(missing_ok=True)

    def _remembered(self) -> str:
        try:
            row = json.loads(self.file.read_text("utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return ""
        except OSError as error:
            reason = f"cannot be read: {error.strerror}"
            raise RefusedError("nothing was changed", [Problem(str(self.file), reason, "make it readable")]) from None
        except ValueError:
            # Not what was written here: no ground for trust.
            row = None
        if isinstance(row, dict) and isinstance(row.get("uid"), str):
            return row["uid"]
        do = "delete it; the next `up` writes it anew"
        raise RefusedError("nothing was changed", [Problem(str(self.file), "is not what Espalier wrote", do)])
