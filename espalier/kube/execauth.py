"""Credentials from an exec plugin, such as `aws eks get-token`.

Protocol: `client.authentication.k8s.io/v1` and `v1beta1`, ExecCredential.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from espalier.kube.errors import KubeconfigError

_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
_TIMEOUT = 60
"""Seconds that a plugin may take."""
_EARLY = timedelta(seconds=30)


@dataclass(frozen=True, kw_only=True)
class ExecPlugin:
    """A command that prints credentials."""

    command: str
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    api_version: str = _VERSIONS[0]
    hint: str = ""
    """How to install the command, in the kubeconfig's own words."""
    cluster: Mapping[str, Any] | None = field(default=None, repr=False)
    """What the plugin is told about the cluster, where it asks for it."""

    def run(self) -> ExecCredential:
        """Runs the command. Raises KubeconfigError with what it printed when it fails."""
        spec: dict[str, Any] = {"interactive": False}
        if self.cluster is not None:
            spec["cluster"] = dict(self.cluster)
        info = {"apiVersion": self.api_version, "kind": "ExecCredential", "spec": spec}
        env = {**os.environ, **self.env, "KUBERNETES_EXEC_INFO": json.dumps(info)}
        try:
            done = subprocess.run(
                [self.command, *self.args], env=env, capture_output=True, text=True, timeout=_TIMEOUT, check=False
            )
        except OSError as error:
            hint = f"; {self.hint}" if self.hint else ""
            raise KubeconfigError(f"the credential plugin {self.command} cannot run: {error.strerror}{hint}") from None
        except subprocess.TimeoutExpired:
            raise KubeconfigError(f"the credential plugin {self.command} took over {_TIMEOUT} s") from None
        if done.returncode != 0:
            raise KubeconfigError(
                f"the credential plugin {self.command} ended with {done.returncode}: {done.stderr.strip()[-500:]}"
            )
        return _read_credential(self.command, done.stdout)


@dataclass(frozen=True, kw_only=True)
class ExecCredential:
    """What a plugin gave."""

    token: str = field(default="", repr=False)
    certificate: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    expires: datetime | None = None

    def fresh(self) -> bool:
        """Tells whether it can still be used."""
        return self.expires is None or datetime.now(UTC) < self.expires - _EARLY


def _read_credential(command: str, text: str) -> ExecCredential:
    try:
        status = json.loads(text)["status"]
        expires = status.get("expirationTimestamp")
        return ExecCredential(
            token=status.get("token") or "",
            certificate=status.get("clientCertificateData") or "",
            key=status.get("clientKeyData") or "",
            expires=datetime.fromisoformat(expires) if expires else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise KubeconfigError(f"the credential plugin {command} printed no ExecCredential") from None


def read_plugin(entry: Mapping[str, Any], cluster: Mapping[str, Any], where: str) -> ExecPlugin:
    """Reads `user.exec` of a kubeconfig. Raises KubeconfigError where it cannot be run."""
    version = entry.get("apiVersion")
    if version not in _VERSIONS:
        raise KubeconfigError(f"{where}: exec.apiVersion is {version!r}; accepted: {', '.join(_VERSIONS)}")
    if not entry.get("command"):
        raise KubeconfigError(f"{where}: exec names no command")
    told = {
        "server": cluster.get("server"),
        "certificate-authority-data": cluster.get("certificate-authority-data"),
        "insecure-skip-tls-verify": bool(cluster.get("insecure-skip-tls-verify")),
    }
    return ExecPlugin(
        command=entry["command"],
        args=tuple(entry.get("args") or ()),
        env={item["name"]: item["value"] for item in entry.get("env") or ()},
        api_version=version,
        hint=str(entry.get("installHint") or "").strip(),
        cluster=told if entry.get("provideClusterInfo") else None,
    )
