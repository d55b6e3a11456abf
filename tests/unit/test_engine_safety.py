"""Who owns an object, whether a run's process lives, which cluster this is: the parts that need no cluster."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from espalier.engine.adoption import Owner, owner_of
from espalier.engine.advice import what_to_do
from espalier.engine.errors import RefusedError
from espalier.engine.holder import Holder
from espalier.engine.identity import Identity
from espalier.kube import ApiError, Client, KubeconfigError


def live(*managers: str, kind: str = "ConfigMap", **metadata: Any) -> dict[str, Any]:
    fields = [{"manager": manager, "operation": "Update", "fieldsV1": {}} for manager in managers]
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": "x", "managedFields": fields, **metadata}}


@pytest.mark.parametrize(
    ("obj", "owner"),
    [
        (live("kube-apiserver"), None),
        (live("kube-controller-manager", "clusterrole-aggregation-controller"), None),
        (live("kube-controller-manager", "kubectl-edit"), Owner("field manager kubectl-edit", marked=False)),
        (live(kind="ServiceAccount"), None),
        (live(), Owner("someone (it does not tell who)", marked=False)),
        (live("espalier"), Owner("Espalier, but no stack has it in its inventory", marked=False)),
        (
            live("op", ownerReferences=[{"kind": "Job", "name": "j", "controller": True}]),
            Owner("the controller of Job j", marked=True),
        ),
        (live("op", ownerReferences=[{"kind": "Job", "name": "j"}]), Owner("field manager op", marked=False)),
        (live("pulumi-kubernetes"), Owner("Pulumi's own engine (field manager pulumi-kubernetes)", marked=True)),
        (live("kubectl", labels={"app.kubernetes.io/managed-by": "pulumi"}), Owner("Pulumi's own engine", marked=True)),
        (
            live("kubectl", labels={"argocd.argoproj.io/instance": "shop"}),
            Owner("Argo CD application shop", marked=True),
        ),
        (
            live("m", labels={"helm.toolkit.fluxcd.io/name": "a", "helm.toolkit.fluxcd.io/namespace": "b"}),
            Owner("Flux helm b/a", marked=True),
        ),
        (
            live(
                "helm",
                annotations={"meta.helm.sh/release-name": "web", "meta.helm.sh/release-namespace": "shop"},
                labels={"app.kubernetes.io/managed-by": "Helm"},
            ),
            Owner("Helm release shop/web", marked=True),
        ),
        # Whoever wrote it last: Helm's mark stays.
        (live("espalier", annotations={"meta.helm.sh/release-name": "web"}), Owner("Helm release ?/web", marked=True)),
        (
            live("argocd-controller", annotations={"argocd.argoproj.io/tracking-id": "shop:/ConfigMap:n/x"}),
            Owner("Argo CD application shop", marked=True),
        ),
        # A chart's own label says how it was packed, not who has it.
        (
            live("kubectl", labels={"app.kubernetes.io/managed-by": "Helm"}),
            Owner("field manager kubectl", marked=False),
        ),
    ],
)
def test_owners(obj: dict[str, Any], owner: Owner | None) -> None:
    assert owner_of(obj) == owner


def test_what_only_the_status_has_owns_nothing() -> None:
    obj = live("kube-apiserver")
    obj["metadata"]["managedFields"].append({"manager": "operator", "operation": "Update", "subresource": "status"})
    assert owner_of(obj) is None


def test_a_process_is_known_by_its_number_and_its_start() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    me = Holder.here("up")
    start = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[19]
    other = replace(me, pid=child.pid, started=start)
    try:
        assert other.is_here()
        assert other.lives()
        assert not replace(other, started="1").lives(), "a number that was given away again is not it"
        assert not replace(other, machine="another").is_here()
        assert not replace(other, machine="").is_here()
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert not other.lives(), "one that nobody waited for is dead all the same"
    finally:
        child.kill()
        child.communicate()
    assert not other.lives()


def test_a_run_of_this_very_process_lives_until_it_ends() -> None:
    holder = Holder.here("up")
    assert not holder.lives()
    holder.begin()
    assert holder.lives()
    holder.end()
    assert not holder.lives()
    assert Holder.parse(holder.text()) == holder
    assert Holder.parse("") is Holder.parse('{"run": 1}') is Holder.parse("[]") is None


@pytest.fixture
def identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Identity:
    monkeypatch.setattr("espalier.engine.identity.cluster_uid", lambda client: client)
    return Identity(stack="p/s", server="https://a", context="c", pinned="", folder=tmp_path / "clusters")


def uid(text: str) -> Client:
    return text  # type: ignore[return-value]


def test_a_cluster_is_remembered_once(identity: Identity) -> None:
    identity.check(uid("one"))
    identity.remember(uid("one"))
    identity.remember(uid("two"))
    identity.check(uid("one"))
    with pytest.raises(RefusedError, match="brought up on the cluster one, and context c now reaches the cluster two"):
        identity.check(uid("two"))
    replace(identity, server="https://b").check(uid("two"))
    replace(identity, context="d").check(uid("two"))
    replace(identity, stack="p/t").check(uid("two"))
    replace(identity, pinned="two").check(uid("two"))
    with pytest.raises(RefusedError, match="uid is three"):
        replace(identity, pinned="three").check(uid("one"))
    assert [path.suffix for path in identity.folder.iterdir()] == [".json"]


def test_a_pinned_cluster_is_not_remembered(identity: Identity) -> None:
    """Or a machine would hold on to what the stack file no longer says."""
    replace(identity, pinned="one").remember(uid("one"))
    identity.check(uid("two"))


def test_a_full_disk_leaves_no_half_of_a_memory(identity: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Path.write_text

    def full(self: Path, text: str, *args: Any) -> int:
        write(self, text[:5], *args)
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left"):
        identity.remember(uid("one"))
    assert list(identity.folder.iterdir()) == []
    identity.check(uid("two"))


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", '{"uid": 1}'])
def test_a_memory_that_is_not_ours_is_no_ground_for_trust(identity: Identity, text: str) -> None:
    identity.folder.mkdir()
    identity.file.write_text(text)
    with pytest.raises(RefusedError, match="not what Espalier wrote"):
        identity.check(uid("one"))


@pytest.mark.parametrize(
    ("error", "do"),
    [
        (KubeconfigError("x"), "correct the kubeconfig"),
        (ApiError(401, "Unauthorized", "Unauthorized"), "renew the credential"),
        (ApiError(403, "Forbidden", "pods is forbidden: exceeded quota: q"), "raise the quota"),
        (ApiError(403, "Forbidden", "pods is forbidden: failed quota: q: must specify cpu"), "give the requests"),
        (ApiError(403, "Forbidden", "pods is forbidden: maximum cpu usage per Container is 1"), "the LimitRange"),
        (ApiError(403, "Forbidden", 'pods is forbidden: violates PodSecurity "restricted:latest"'), "Pod Security"),
        (ApiError(403, "Forbidden", "error looking up service account n/x"), "register the ServiceAccount"),
        (ApiError(403, "Forbidden", "no PriorityClass with name x was found"), "register the PriorityClass"),
        (ApiError(403, "Forbidden", "User x cannot create"), "have the right granted"),
        (ApiError(403, "Forbidden", "user x is attempting to grant RBAC permissions"), "have the right granted"),
        (ApiError(403, "Forbidden", "x is forbidden: a plugin of the cluster's own"), "not the user"),
        (ApiError(404, "NotFound", "", {"kind": "namespaces"}), "register the namespace"),
        (ApiError(500, "", "failed calling webhook x"), "mend the webhook"),
    ],
)
def test_advice(error: Any, do: str) -> None:
    assert do in what_to_do(error)
