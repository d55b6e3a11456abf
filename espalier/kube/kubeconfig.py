"""Reads a kubeconfig: which server, trusted how, as whom.

Format: kubernetes/client-go `tools/clientcmd/api/v1` (Config). Nothing is read but what is named: neither
`KUBECONFIG` nor `~/.kube/config` unless the caller passes them.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from espalier.kube.errors import KubeconfigError
from espalier.kube.execauth import ExecPlugin, read_plugin

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, kw_only=True)
class Kubeconfig:
    """One context of a kubeconfig, with the files that it names read in (but the token's, which rotates)."""

    context: str
    server: str
    """The API server's address with its scheme, without a slash at the end."""
    ca: str = field(default="", repr=False)
    """PEM of the certificates that sign the server's; empty means those of the system."""
    insecure: bool = False
    """True trusts any certificate."""
    tls_server_name: str = ""
    """The name that the server's certificate must bear, where it is not the address."""
    certificate: str = field(default="", repr=False)
    """PEM of the client's certificate."""
    key: str = field(default="", repr=False)
    """PEM of the client's key."""
    token: str = field(default="", repr=False)
    token_file: str = ""
    plugin: ExecPlugin | None = None
    user: str = ""
    """A user to impersonate."""
    groups: tuple[str, ...] = ()
    """Groups to impersonate."""
    namespace: str = "default"
    """The namespace of objects that name none."""

    @classmethod
    def load(cls, source: str | Path, context: str | None = None) -> Kubeconfig:
        """Reads a kubeconfig from a file, or from its text where `source` holds more than one line or JSON.

        `context` is the context's name; without it `current-context` counts. Raises KubeconfigError.
        """
        text, folder, where = _read(source)
        try:
            document = yaml.load(text, Loader=_Loader)  # noqa: S506 - the loader is a safe one
        except yaml.YAMLError as error:
            raise KubeconfigError(f"{where} is not YAML: {error}") from None
        if not isinstance(document, dict):
            raise KubeconfigError(f"{where} is not a kubeconfig: it holds no mapping")
        return _read_context(_Reader(document, folder, where), context)


def is_text(source: str) -> bool:
    """Tells a kubeconfig's text from a path."""
    return "\n" in source or source.lstrip().startswith("{")


def _read(source: str | Path) -> tuple[str, Path, str]:
    if isinstance(source, str) and is_text(source):
        return source, Path.cwd(), "the kubeconfig"
    path = Path(source).expanduser()
    try:
        return path.read_text(), path.parent, f"the kubeconfig {path}"
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is not text"
        raise KubeconfigError(f"the kubeconfig {path} cannot be read: {said}") from None


@dataclass(frozen=True)
class _Reader:
    document: Mapping[str, Any]
    folder: Path
    where: str

    def named(self, kind: str, name: str) -> Mapping[str, Any]:
        """The entry `name` of the list `kind`s: `{name: ..., <kind>: {...}}`."""
        found = self.document.get(f"{kind}s") or []
        entries = [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
        for entry in entries:
            if entry.get("name") == name:
                inner = entry.get(kind) or {}
                if not isinstance(inner, dict):
                    raise KubeconfigError(f"{self.where}: the {kind} {name!r} is no mapping")
                return inner
        known = ", ".join(sorted(str(entry.get("name")) for entry in entries)) or "none"
        raise KubeconfigError(f"{self.where} has no {kind} {name!r}; it has {known}")

    def pem(self, entry: Mapping[str, Any], key: str) -> str:
        """The PEM under `<key>-data` in base64, or in the file that `<key>` names."""
        data = entry.get(f"{key}-data")
        if data:
            try:
                return base64.b64decode(data, validate=False).decode()
            except (ValueError, TypeError):
                raise KubeconfigError(f"{self.where}: {key}-data is not base64 of PEM") from None
        if not entry.get(key):
            return ""
        path = self.folder / Path(entry[key]).expanduser()
        try:
            return path.read_text()
        except OSError as error:
            raise KubeconfigError(f"{self.where}: {key} {path} cannot be read: {error.strerror}") from None


def _read_context(reader: _Reader, wanted: str | None) -> Kubeconfig:
    name = wanted or reader.document.get("current-context") or ""
    if not name:
        raise KubeconfigError(f"{reader.where} has no current-context: name a context")
    context = reader.named("context", name)
    cluster = reader.named("cluster", context.get("cluster") or "")
    user = reader.named("user", context["user"]) if context.get("user") else {}
    server = str(cluster.get("server") or "").rstrip("/")
    if not server.startswith(("https://", "http://")):
        raise KubeconfigError(f"{reader.where}: server is {server!r}; an https:// address is needed")
    if cluster.get("proxy-url"):
        raise KubeconfigError(f"{reader.where}: proxy-url is not supported: reach the server directly")
    if user.get("auth-provider") or user.get("username"):
        raise KubeconfigError(
            f"{reader.where}: auth-provider and username are gone from Kubernetes: use a token, a client "
            "certificate or an exec plugin"
        )
    token_file = user.get("tokenFile")
    return Kubeconfig(
        context=name,
        server=server,
        ca=reader.pem(cluster, "certificate-authority"),
        insecure=bool(cluster.get("insecure-skip-tls-verify")),
        tls_server_name=cluster.get("tls-server-name") or "",
        certificate=reader.pem(user, "client-certificate"),
        key=reader.pem(user, "client-key"),
        token=user.get("token") or "",
        token_file=str(reader.folder / Path(token_file).expanduser()) if token_file else "",
        plugin=read_plugin(user["exec"], cluster, reader.where) if user.get("exec") else None,
        user=user.get("as") or "",
        groups=tuple(user.get("as-groups") or ()),
        namespace=context.get("namespace") or "default",
    )
