"""Kubeconfigs: what is read, and what a mistake says."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from espalier.kube import Client, Kind, Kubeconfig, KubeconfigError, UnreachableError

CONFIG: dict[str, Any] = {
    "current-context": "one",
    "contexts": [
        {"name": "one", "context": {"cluster": "c", "user": "u", "namespace": "team"}},
        {"name": "two", "context": {"cluster": "d", "user": "v"}},
    ],
    "clusters": [
        {
            "name": "c",
            "cluster": {
                "server": "https://one:6443/",
                "certificate-authority-data": base64.b64encode(b"CA").decode(),
                "tls-server-name": "kubernetes",
            },
        },
        {"name": "d", "cluster": {"server": "https://two", "insecure-skip-tls-verify": True}},
    ],
    "users": [
        {
            "name": "u",
            "user": {"client-certificate": "cert.pem", "client-key": "key.pem", "as": "x", "as-groups": ["g"]},
        },
        {"name": "v", "user": {"tokenFile": "token"}},
    ],
}


def written(folder: Path, config: Any = None) -> Path:
    path = folder / "config"
    path.write_text(yaml.safe_dump(config or CONFIG))
    (folder / "cert.pem").write_text("CERT")
    (folder / "key.pem").write_text("KEY")
    return path


def test_a_context_is_read_with_its_files(tmp_path: Path) -> None:
    config = Kubeconfig.load(written(tmp_path))
    assert (config.context, config.server, config.ca) == ("one", "https://one:6443", "CA")
    assert (config.certificate, config.key, config.tls_server_name) == ("CERT", "KEY", "kubernetes")
    assert (config.user, config.groups, config.namespace) == ("x", ("g",), "team")
    assert "KEY" not in repr(config)
    other = Kubeconfig.load(written(tmp_path), "two")
    assert (other.server, other.insecure, other.token_file) == ("https://two", True, str(tmp_path / "token"))
    assert other.namespace == "default"


def test_text_and_json_are_read_like_files() -> None:
    text = yaml.safe_dump(CONFIG)
    assert Kubeconfig.load(text, "two") == Kubeconfig.load(json.dumps(CONFIG), "two")


def changed(path: str, value: Any) -> dict[str, Any]:
    config = json.loads(json.dumps(CONFIG))
    *above, last = [int(step) if step.isdigit() else step for step in path.split("/")]
    target = config
    for step in above:
        target = target[step]
    target[last] = value
    return config


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (changed("current-context", "gone"), "has no context 'gone'; it has one, two"),
        (changed("current-context", ""), "no current-context"),
        (changed("contexts/0/context/cluster", "x"), "has no cluster 'x'; it has c, d"),
        (changed("contexts/0/context/user", "x"), "has no user 'x'; it has u, v"),
        (changed("clusters/0/cluster/server", "one:6443"), "an https:// address is needed"),
        (changed("clusters/0/cluster/certificate-authority-data", "é"), "is not base64"),
        (changed("clusters", "c"), "has no cluster 'c'; it has none"),
        (changed("users/0", "u"), "has no user 'u'; it has v"),
        (changed("users/0/user", ["u"]), "the user 'u' is no mapping"),
        (changed("clusters/0/cluster/proxy-url", "http://p"), "proxy-url is not supported"),
        (changed("users/0/user/client-key", "none.pem"), "none.pem cannot be read"),
        (changed("users/0/user/username", "u"), "gone from Kubernetes"),
        (changed("users/0/user/exec", {"apiVersion": "v1alpha1", "command": "c"}), "exec.apiVersion is 'v1alpha1'"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, config: dict[str, Any], said: str) -> None:
    with pytest.raises(KubeconfigError, match=said.replace("(", r"\(")):
        Kubeconfig.load(written(tmp_path, config))


def test_what_is_no_kubeconfig_is_named(tmp_path: Path) -> None:
    with pytest.raises(KubeconfigError, match="cannot be read: No such file"):
        Kubeconfig.load(tmp_path / "none")
    with pytest.raises(KubeconfigError, match="is not YAML"):
        Kubeconfig.load("a: [\n")
    with pytest.raises(KubeconfigError, match="holds no mapping"):
        Kubeconfig.load("- a\n")


def plugged(folder: Path, script: str) -> Kubeconfig:
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": ["-c", script],
        "env": [{"name": "WHO", "value": "me"}],
    }
    return Kubeconfig.load(written(folder, changed("users/1/user/exec", plugin)), "two")


def test_an_exec_plugin_gives_a_token(tmp_path: Path) -> None:
    script = (
        "import json, os; json.loads(os.environ['KUBERNETES_EXEC_INFO'])['spec'];"
        "status = {'token': 't-' + os.environ['WHO'], 'expirationTimestamp': '2020-01-01T00:00:00Z'};"
        "print(json.dumps({'status': status}))"
    )
    plugin = plugged(tmp_path, script).plugin
    assert plugin is not None
    credential = plugin.run()
    assert credential.token == "t-me"
    assert not credential.fresh()
    assert "t-me" not in repr(credential)


@pytest.mark.parametrize(
    ("script", "said"),
    [("raise SystemExit('log in first')", "log in first"), ("print('hm')", "printed no ExecCredential")],
)
def test_an_exec_plugin_that_fails_says_why(tmp_path: Path, script: str, said: str) -> None:
    plugin = plugged(tmp_path, script).plugin
    assert plugin is not None
    with pytest.raises(KubeconfigError, match=said):
        plugin.run()


def test_a_server_that_is_not_there_is_named() -> None:
    client = Client.connect(Kubeconfig(context="x", server="http://127.0.0.1:1"))
    with pytest.raises(UnreachableError, match=r"http://127.0.0.1:1 does not answer: .*refused"):
        client.list(Kind("v1", "Pod"))


def test_the_client_is_cheap_to_import() -> None:
    heavy = "{'cryptography', 'kubernetes', 'requests', 'pulumi'}"
    code = f"import sys, espalier.kube; print(*sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
