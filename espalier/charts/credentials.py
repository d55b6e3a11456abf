"""Who we are to a chart repository or a registry: what Docker, Helm and netrc keep, read where they keep it.

Nothing is written, no secret is put on a command line, and none is in any message.
"""

from __future__ import annotations

import base64
import binascii
import json
import netrc
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from espalier.charts.errors import SourceError

_HELPER_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Login:
    """A user and a password, or with `identity` a registry's refresh token in the password's place."""

    user: str
    password: str = field(repr=False)
    identity: bool = False

    @property
    def basic(self) -> str:
        """The value of an Authorization header."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


def login_for(host: str, url: str = "") -> Login | None:
    """What is known for a host (with its port); for an HTTP chart repository give its `url`, too.

    Looked at in this order: Docker's config.json, Helm's registry config, Helm's repositories, netrc.
    """
    for path in (_docker_config(), _helm_config("registry/config.json", "HELM_REGISTRY_CONFIG")):
        found = _of_docker(_json(path), host, path)
        if found is not None:
            return found
    return (_of_repositories(url) if url else None) or _of_netrc(host)


def _docker_config() -> Path:
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"


def _helm_config(name: str, variable: str) -> Path:
    base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return Path(os.environ.get(variable) or base / "helm" / name)


def _json(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise _unreadable(path, str(error)) from None
    return content if isinstance(content, dict) else {}


def _unreadable(path: Path, why: str) -> SourceError:
    return SourceError(f"{path} cannot be read ({why.splitlines()[0]})", "Mend the file, or remove it.")


def _of_docker(config: Mapping[str, Any], host: str, path: Path) -> Login | None:
    helper = _mapping(config.get("credHelpers")).get(host)
    if helper:
        return _ask_helper(str(helper), host)
    auths = _mapping(config.get("auths"))
    for key in _keys(host):
        entry = _mapping(auths.get(key))
        if entry.get("identitytoken"):
            return Login("", str(entry["identitytoken"]), identity=True)
        if entry.get("auth"):
            return _decoded(str(entry["auth"]), key, path)
        if entry.get("username"):
            return Login(str(entry["username"]), str(entry.get("password", "")))
    store = config.get("credsStore")
    return _ask_helper(str(store), host) if store else None


def _keys(host: str) -> Iterator[str]:
    """The spellings of a host in a config.json."""
    names = ("docker.io", "index.docker.io", host) if host == "registry-1.docker.io" else (host,)
    for name in names:
        yield from (name, f"https://{name}", f"https://{name}/", f"https://{name}/v1/", f"https://{name}/v2/")


def _decoded(auth: str, key: str, path: Path) -> Login:
    try:
        user, colon, password = base64.b64decode(auth, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        colon, user, password = "", "", ""
    if not colon:
        raise SourceError(f"{path}: the auth of {key} is not user:password in base64", "Log in again.")
    return Login(user, password)


def _ask_helper(helper: str, host: str) -> Login | None:
    """Docker's protocol of credential helpers: the host on standard input, JSON on standard output."""
    command = f"docker-credential-{helper}"
    try:
        done = subprocess.run(
            [command, "get"], input=host, capture_output=True, text=True, timeout=_HELPER_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SourceError(
            f"{command} does not answer ({type(error).__name__})", "Install it, or log in anew."
        ) from None
    if done.returncode != 0:
        return None
    try:
        answer = _mapping(json.loads(done.stdout))
    except ValueError:
        raise SourceError(f"{command} answered no JSON", "Update the helper.") from None
    user, secret = str(answer.get("Username", "")), str(answer.get("Secret", ""))
    return Login(user, secret, identity=user == "<token>")


def _of_repositories(url: str) -> Login | None:
    path = _helm_config("repositories.yaml", "HELM_REPOSITORY_CONFIG")
    try:
        content = _mapping(yaml.safe_load(path.read_text("utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise _unreadable(path, str(error)) from None
    for row in content.get("repositories") or []:
        entry = _mapping(row)
        if str(entry.get("url", "")).rstrip("/") == url.rstrip("/") and entry.get("username"):
            return Login(str(entry["username"]), str(entry.get("password", "")))
    return None


def _of_netrc(host: str) -> Login | None:
    path = Path(os.environ.get("NETRC") or Path.home() / ".netrc")
    try:
        known = netrc.netrc(str(path))
    except FileNotFoundError:
        return None
    except netrc.NetrcParseError as error:
        raise _unreadable(path, f"line {error.lineno}") from None
    except OSError as error:
        raise _unreadable(path, str(error.strerror)) from None
    found = known.hosts.get(host) or known.hosts.get(host.partition(":")[0])
    return Login(found[0], found[2] or "") if found else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
