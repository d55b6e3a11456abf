"""One run at a time, nothing of others, nothing lost: the Lease, adoption and the inventory on a real API server."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from espalier import sim
from espalier.engine import inventory as inventories
from espalier.engine import lease as leases
from espalier.engine import namespace
from espalier.engine.destroy import destroy
from espalier.engine.errors import ApplyFailed, LeaseLostError, RefusedError
from espalier.engine.holder import Holder
from espalier.engine.inventory import Entry, Inventory
from espalier.engine.lease import Lease
from espalier.engine.model import Recording
from espalier.engine.namespace import LEASE, NAMESPACE
from espalier.engine.preview import preview
from espalier.engine.program import Program
from espalier.engine.up import up
from espalier.kube import ApiError, Client, Kind, Reference
from tests.sim.audit import lines_of

CONFIG_MAP = Kind("v1", "ConfigMap")
NAMESPACE_KIND = Kind("v1", "Namespace")
HEADER = """
import pulumi

def obj(api, kind, name, body=None, metadata=None, **opts):
    manifest = {"metadata": {"name": name, **(metadata or {})}, **(body or {})}
    return pulumi.CustomResource(f"kubernetes:{api}:{kind}", name, manifest, pulumi.ResourceOptions(**opts))

ns = obj("core/v1", "Namespace", "%s")
inside = {"namespace": ns.metadata["name"]}
"""
ELSEWHERE = Holder(
    run="other", who="ann@build-7 pid 17", what="up", since="then", machine="another boot", pid=17, started="1"
)


@dataclass
class Stack:
    """A program in a folder, brought up on the session's cluster."""

    name: str
    folder: Path
    client: Client
    lines: list[str] = field(default_factory=list)

    def program(self, body: str, name: str = "") -> Program:
        (self.folder / "__main__.py").write_text(HEADER.replace("%s", self.name) + body)
        return Program(self.folder, "demo", name or self.name)

    def up(self, body: str, **options: Any) -> dict[str, str]:
        result = up(self.program(body), connection=self.client, progress=self.lines.append, **options)
        return {change.urn.rpartition("::")[2]: change.op for change in result.changes}

    def get(self, name: str) -> dict[str, Any] | None:
        return self.client.find_object(Reference(CONFIG_MAP, self.name, name))

    def lease(self, holder: Holder) -> Lease:
        return Lease(self.client, self.inventory().stack_id, f"demo/{self.name}", holder)

    def inventory(self) -> Inventory:
        return Inventory.load(self.client, "demo", self.name)


@pytest.fixture(scope="module")
def client(kubeconfig: Path) -> Client:
    return Client.connect(kubeconfig)


@pytest.fixture
def stack(tmp_path: Path, client: Client, request: pytest.FixtureRequest) -> Iterator[Stack]:
    name = request.node.name.partition("[")[0].replace("_", "-").removeprefix("test-").lower()[:40].strip("-")
    made = Stack(name, tmp_path, client)
    yield made
    for lease in client.list(LEASE, NAMESPACE):
        client.delete(LEASE, lease["metadata"]["name"], NAMESPACE)
    destroy("demo", name, client, delete_data=True)
    if client.find_object(Reference(NAMESPACE_KIND, "", name)):
        client.delete(NAMESPACE_KIND, name)
    namespace.remove_if_unused(client)


def test_a_second_run_is_refused_and_told_who_runs(stack: Stack) -> None:
    holder = Holder.here("destroy")
    lease = stack.lease(holder)
    lease.take(print)
    with pytest.raises(RefusedError) as caught:
        stack.up("")
    lease.release(print)
    (problem,) = caught.value.problems
    assert holder.who in problem.reason
    assert "`destroy` since" in problem.reason
    assert problem.do == f"let it end, or stop it: kill {holder.pid}"
    assert stack.client.find_object(Reference(NAMESPACE_KIND, "", stack.name)) is None
    assert stack.up("") == {stack.name: "create"}
    assert stack.client.list(LEASE, NAMESPACE) == []


def written(stack: Stack, holder: Holder, **spec: Any) -> dict[str, Any]:
    """A Lease as another machine left it."""
    namespace.ensure(stack.client)
    manifest = stack.lease(holder)._manifest("")  # pyright: ignore[reportPrivateUsage]
    return stack.client.create({**manifest, "spec": {**manifest["spec"], **spec}})


@pytest.mark.parametrize("clock", ["1999-01-01T00:00:00.000000Z", "2099-01-01T00:00:00.000000Z"])
def test_a_holder_elsewhere_that_is_dead_is_taken_over_whatever_its_clock_says(stack: Stack, clock: str) -> None:
    written(stack, ELSEWHERE, renewTime=clock, leaseDurationSeconds=2)
    started = time.monotonic()
    assert stack.up("") == {stack.name: "create"}
    assert time.monotonic() - started >= 2
    assert "looking for up to 2 s" in stack.lines[0]
    assert "ann@build-7 pid 17 did not renew" in stack.lines[1]


def test_a_holder_elsewhere_that_renews_is_not(stack: Stack) -> None:
    live = written(stack, ELSEWHERE, leaseDurationSeconds=10)
    done = threading.Event()

    def renew() -> None:
        """Twice a second, by a clock of another century."""
        lease = live
        for count in range(1200):
            if done.wait(0.5):
                return
            renewed = f"1999-01-01T00:{count // 60:02}:{count % 60:02}.000000Z"
            lease = stack.client.replace({**lease, "spec": {**lease["spec"], "renewTime": renewed}})

    renewing = threading.Thread(target=renew)
    renewing.start()
    try:
        with pytest.raises(RefusedError, match="ann@build-7 pid 17 has been running `up`"):
            stack.up("")
    finally:
        done.set()
        renewing.join()
    assert stack.client.find_object(Reference(NAMESPACE_KIND, "", stack.name)) is None


def test_a_dead_process_of_this_machine_is_taken_over_at_once(stack: Stack) -> None:
    dead = replace(Holder.here("up"), run="dead", pid=1, started="0")
    written(stack, dead)
    stack.up("")
    # Not looked at for a while first.
    assert "died in `up`" in stack.lines[0]
    assert not any("looking for up to" in line for line in stack.lines)


def test_of_two_that_find_the_same_dead_holder_one_takes_over(stack: Stack) -> None:
    """The other one writes after this one has read who is dead, and before it writes itself."""
    written(stack, replace(Holder.here("up"), run="dead", pid=1, started="0"))
    first = stack.lease(Holder.here("destroy"))

    def progress(line: str) -> None:
        if "died in" in line:
            first.take(print)

    with pytest.raises(RefusedError, match="has been running `destroy` since"):
        stack.lease(Holder.here("up")).take(progress)
    first.check()
    first.release(print)
    assert stack.client.list(LEASE, NAMESPACE) == []


STEAL = """
first = obj("core/v1", "ConfigMap", "first", {}, inside)

def steal(uid):
    if not pulumi.runtime.is_dry_run():
        import theft
        theft.now()
    return uid

stolen = first.metadata["uid"].apply(steal)
obj("core/v1", "ConfigMap", "second", {"data": {"uid": stolen}}, inside)
"""


def steal_lease(stack: Stack) -> None:
    """Another run takes the Lease, of which this one has not heard yet."""
    (live,) = stack.client.list(LEASE, NAMESPACE)
    body = {"metadata": {"annotations": {"espalier.dev/holder": ELSEWHERE.text()}}}
    stack.client.patch(LEASE, live["metadata"]["name"], body, namespace=NAMESPACE)


@pytest.fixture
def noticed(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set when a run that renews its Lease five times a second has found that it lost it."""
    monkeypatch.setattr(leases, "_RENEW", 0.2)
    found = threading.Event()
    look = Lease._look_again  # pyright: ignore[reportPrivateUsage]

    def looked(self: Lease, started: float) -> None:
        look(self, started)
        if self.lost:
            found.set()

    monkeypatch.setattr(Lease, "_look_again", looked)
    return found


def test_a_lost_lease_ends_the_run_before_it_writes_more(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, noticed: threading.Event
) -> None:
    (stack.folder / "theft.py").write_text("now = None")
    versions: list[dict[str, str]] = []

    def steal() -> None:
        steal_lease(stack)
        versions.append(shards(stack))
        assert noticed.wait(60)

    import sys
    import types

    theft = types.ModuleType("theft")
    theft.now = steal  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "theft", theft)
    with pytest.raises(LeaseLostError) as caught:
        stack.up(STEAL)
    assert "ann@build-7 pid 17 took demo/" in str(caught.value)
    assert "2 of 3 objects" in str(caught.value)
    assert stack.get("first")
    assert stack.get("second") is None
    assert shards(stack) == versions[0]
    (live,) = stack.client.list(LEASE, NAMESPACE)
    assert "ann@build-7" in live["metadata"]["annotations"]["espalier.dev/holder"]


def test_a_lost_lease_ends_the_run_before_it_deletes_more(stack: Stack, noticed: threading.Event) -> None:
    chain = "first = obj('core/v1', 'ConfigMap', 'first', {}, inside)\n"
    chain += "obj('core/v1', 'ConfigMap', 'second', {}, inside, depends_on=[first])\n"
    stack.up(chain)

    def progress(line: str) -> None:
        if line.startswith("delete "):
            steal_lease(stack)
            assert noticed.wait(60)

    before = shards(stack)
    with pytest.raises(LeaseLostError, match="ann@build-7 pid 17 took demo/"):
        up(stack.program(""), connection=stack.client, progress=progress)
    assert stack.get("second") is None
    assert stack.get("first")
    assert shards(stack) == before


def shards(stack: Stack) -> dict[str, str]:
    items = stack.client.list(CONFIG_MAP, NAMESPACE)
    return {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in items}


def test_a_stack_that_begins_keeps_the_namespace_that_another_removes(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, eventually: Any
) -> None:
    """The other begins after it was looked for, in the last moment before the namespace is deleted."""
    remove = namespace._remove  # pyright: ignore[reportPrivateUsage]
    lease = stack.lease(Holder.here("up"))

    def begin_then_remove(client: Client, version: str) -> None:
        monkeypatch.setattr(namespace, "_remove", remove)
        lease.take(print)
        remove(client, version)

    namespace.ensure(stack.client)
    monkeypatch.setattr(namespace, "_remove", begin_then_remove)
    namespace.remove_if_unused(stack.client)
    found = stack.client.get(NAMESPACE_KIND, NAMESPACE)
    assert "deletionTimestamp" not in found["metadata"]
    lease.check()
    lease.release(print)
    namespace.remove_if_unused(stack.client)
    # One that begins while it goes away gets it anew.
    again = stack.lease(Holder.here("up"))
    again.take(print)
    assert "deletionTimestamp" not in stack.client.get(NAMESPACE_KIND, NAMESPACE)["metadata"]
    again.release(print)


def foreign(stack: Stack, name: str, manager: str, **metadata: Any) -> None:
    path = f"/api/v1/namespaces/{stack.name}/configmaps"
    body = {"metadata": {"name": name, **metadata}, "data": {"a": "theirs"}}
    stack.client.request("POST", path, query={"fieldManager": manager}, body=body)


OWNERS: dict[str, tuple[str, dict[str, Any], str]] = {
    "helm": (
        "helm",
        {"annotations": {"meta.helm.sh/release-name": "web", "meta.helm.sh/release-namespace": "shop"}},
        "Helm release shop/web",
    ),
    "argo": (
        "argocd-controller",
        {"annotations": {"argocd.argoproj.io/tracking-id": "shop:/ConfigMap:x/argo"}},
        "Argo CD application shop",
    ),
    "flux": (
        "kustomize-controller",
        {"labels": {"kustomize.toolkit.fluxcd.io/name": "web", "kustomize.toolkit.fluxcd.io/namespace": "flux"}},
        "Flux kustomize flux/web",
    ),
    "pulumi": ("pulumi-kubernetes-1a2b", {}, "Pulumi's own engine (field manager pulumi-kubernetes-1a2b)"),
    "child": (
        "operator",
        {
            "ownerReferences": [
                {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "name": "parent",
                    "uid": "00000000-0000-0000-0000-000000000000",
                    "controller": True,
                }
            ]
        },
        "the controller of ConfigMap parent",
    ),
    "person": ("kubectl-create", {}, "field manager kubectl-create"),
    "lost": ("espalier", {}, "Espalier, but no stack has it in its inventory"),
}
WANTED = "[obj('core/v1', 'ConfigMap', n, {'data': {'a': 'theirs'}}, inside) for n in NAMES]"


def test_objects_of_others_are_refused_all_at_once_and_taken_over_when_told(stack: Stack) -> None:
    stack.up("")
    for name, (manager, metadata, _) in OWNERS.items():
        if name != "child":  # the garbage collector removes what has no owner
            foreign(stack, name, manager, **metadata)
    names = sorted(OWNERS.keys() - {"child"})
    body = WANTED.replace("NAMES", repr(names))
    before = shards(stack)
    for run in (stack.up, lambda text: preview(stack.program(text), connection=stack.client)):
        with pytest.raises(RefusedError) as caught:
            run(body)
        told = {problem.urn.rpartition("::")[2]: problem for problem in caught.value.problems}
        assert sorted(told) == names
        for name in names:
            assert told[name].reason.endswith(f"belongs to {OWNERS[name][2]}")
            assert "--adopt" in told[name].do
    assert shards(stack) == before
    changes = preview(stack.program(body), connection=stack.client, adopt=True)
    notes = {change.urn.rpartition("::")[2]: change.notes for change in changes}
    assert {name: notes[name][-1] for name in names} == {name: f"taken over from {OWNERS[name][2]}" for name in names}
    assert set(stack.up(body, adopt=True)) == {*names, stack.name}
    assert {f"taking over ConfigMap {stack.name}/{name} from {OWNERS[name][2]}" for name in names} <= set(stack.lines)
    assert set(stack.up(body).values()) == {"same"}


def test_what_was_let_go_of_is_taken_back_unless_it_was_a_tenants(stack: Stack) -> None:
    body = """
for n, labels in (('free', {}), ('mine', {}), ('theirs', {'espalier.dev/tenant': 'red'})):
    where = {**inside, 'labels': labels}
    obj('core/v1', 'ConfigMap', n, {'data': {'a': 'theirs'}}, where, retain_on_delete=n != 'free')
"""
    stack.up(body)
    stack.up("")
    foreign(stack, "free", "espalier")
    with pytest.raises(RefusedError) as caught:
        stack.up(body)
    refused = {problem.urn.rpartition("::")[2]: problem.do for problem in caught.value.problems}
    assert refused.keys() == {"free", "theirs"}
    assert all("--adopt" in do for do in refused.values())
    assert stack.up(body, adopt=True)["mine"] == "update"


def test_an_object_of_another_stack_is_refused_even_when_told_to_adopt(stack: Stack) -> None:
    stack.up("obj('core/v1', 'ConfigMap', 'shared', {'data': {'a': '1'}}, inside)")
    thief = replace(stack.program("obj('core/v1', 'ConfigMap', 'shared', {'data': {'a': '2'}}, inside)"), stack="thief")
    with pytest.raises(RefusedError) as caught:
        up(thief, connection=stack.client, adopt=True)
    assert len(caught.value.problems) == 2
    assert all(f"belongs to the stack demo/{stack.name}" in problem.reason for problem in caught.value.problems)
    assert (stack.get("shared") or {})["data"] == {"a": "1"}
    assert not Inventory.load(stack.client, "demo", "thief").exists


def test_what_the_cluster_itself_made_needs_no_adopting(stack: Stack, eventually: Any) -> None:
    stack.up("")
    account = Reference(Kind("v1", "ServiceAccount"), stack.name, "default")
    eventually(lambda: stack.client.find_object(account) and stack.get("kube-root-ca.crt"))
    ops = stack.up("""
keep = {"retain_on_delete": True}
obj("core/v1", "ServiceAccount", "default", {"automountServiceAccountToken": False}, inside, **keep)
obj("core/v1", "ConfigMap", "kube-root-ca.crt", {}, {**inside, "labels": {"a": "b"}}, **keep)
pulumi.CustomResource("kubernetes:core/v1:Namespace", "system", {"metadata": {"name": "kube-public"}},
                      pulumi.ResourceOptions(**keep))
""")
    assert set(ops.values()) == {"same", "update"}


def test_an_object_whose_name_is_found_out_in_mid_run(stack: Stack, sim_cluster: sim.SimStatus) -> None:
    """It is in the inventory before it is applied, in few writes; and one of someone else is refused."""
    body = """
uid = ns.metadata["uid"]
for i in range(60):
    obj("core/v1", "ConfigMap", f"c{i}", {}, {**inside, "name": uid.apply(lambda u, i=i: f"c{i}-{u[:4]}")})
"""
    log = sim.audit_log_path(sim_cluster.name)
    start = len(lines_of(log))
    stack.up(body)
    events = [json.loads(line) for line in lines_of(log)[start:]]
    uris = [event["requestURI"].partition("?")[0] for event in events]
    journal = [uri for uri in uris if NAMESPACE in uri and "configmaps" in uri]
    applied = [uri for uri in uris if f"/namespaces/{stack.name}/configmaps/c" in uri]
    assert len(applied) >= 60
    assert len(journal) < 30
    names = {entry.reference.name for entry in stack.inventory().entries.values()}
    assert len(names) == 61
    assert not [name for name in shards(stack) if "journal" in name]
    uid = stack.client.get(NAMESPACE_KIND, stack.name)["metadata"]["uid"]
    foreign(stack, f"taken-{uid[:4]}", "kubectl-create")
    late = 'obj("core/v1", "ConfigMap", "late", {"data": {"a": "b"}}, {**inside, "name": changed})\n'
    turned = "note = obj('core/v1', 'ConfigMap', 'note', {}, inside)\n"
    turned += (
        "changed = pulumi.Output.all(note.metadata['uid'], ns.metadata['uid']).apply(lambda u: f'taken-{u[1][:4]}')\n"
    )
    with pytest.raises(ApplyFailed, match="belongs to field manager kubectl-create"):
        stack.up(turned + late)


def test_a_crash_in_mid_run_loses_no_name(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal alone tells of them when the run dies before its end."""
    body = "obj('core/v1', 'ConfigMap', 'c', {}, {**inside, 'name': ns.metadata['uid'].apply(lambda u: f'c-{u[:4]}')})"

    def die(self: Inventory) -> None:
        if self.exists:
            raise KeyboardInterrupt
        save(self)

    save = Inventory.save
    with monkeypatch.context() as patched:
        patched.setattr(Inventory, "save", die)
        with pytest.raises(KeyboardInterrupt):
            stack.up(body)
    names = {entry.reference.name for entry in stack.inventory().entries.values()}
    assert len(names) == 2
    assert any("journal" in name for name in shards(stack))
    assert set(stack.up(body).values()) == {"update"} or set(stack.up(body).values()) == {"same"}
    assert not any("journal" in name for name in shards(stack))


def entries_for(count: int, uid: str = "u") -> dict[Any, Entry]:
    depends = tuple(f"{i:016x}" for i in range(40))
    made = (
        Entry(urn=f"urn:pulumi:s::p::{'t' * 60}::{i}", reference=Reference(CONFIG_MAP, "n", f"c{i}"), depends=depends)
        for i in range(count)
    )
    return {entry.reference.key: replace(entry, uid=uid, desired="d" * 32, live="l" * 32) for entry in made}


def test_ten_thousand_entries_fit(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    inventory = stack.inventory()
    inventory.entries = entries_for(10_000)
    inventory.save()
    items = stack.client.list(CONFIG_MAP, NAMESPACE)
    assert max(len(json.dumps(item)) for item in items) < 1_000_000
    assert len(items) < 100
    with monkeypatch.context() as patched:
        patched.setattr(Inventory, "_write", None)
        inventory.save()  # nothing has changed, so nothing is written
    again = stack.inventory()
    assert again.entries == inventory.entries
    again.entries.clear()
    again.save()
    assert stack.inventory().entries == {}
    again.remove()


def test_a_save_that_is_broken_off_anywhere_loses_nothing(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventories, "_PER_SHARD", 4)
    old, new = entries_for(6, "old"), entries_for(30, "new")
    write = Inventory._write  # pyright: ignore[reportPrivateUsage]
    for survived in range(9):
        inventory = stack.inventory()
        inventory.entries = dict(old)
        inventory.save()
        inventory.entries = dict(new)
        done = 0

        def until_killed(self: Inventory, *args: Any) -> Any:
            nonlocal done
            if done == survived:  # noqa: B023 - used within the round
                raise KeyboardInterrupt
            done += 1
            return write(self, *args)

        with monkeypatch.context() as patched:
            patched.setattr(Inventory, "_write", until_killed)
            with pytest.raises(KeyboardInterrupt):
                inventory.save()
        found = stack.inventory().entries
        assert old.keys() <= found.keys(), f"after {survived} writes"
        stack.inventory().remove()


def test_what_another_run_wrote_meanwhile_is_not_overwritten(stack: Stack) -> None:
    stack.up("")
    mine, other = stack.inventory(), stack.inventory()
    other.entries = entries_for(1)
    other.save()
    mine.entries = entries_for(2)
    with pytest.raises(RefusedError, match="changed by another run"):
        mine.save()
    with pytest.raises(RefusedError, match="changed by another run"):
        mine.confirm()
    assert stack.inventory().entries.keys() == other.entries.keys()
    restored = stack.inventory()
    restored.entries = {}
    restored.save()


def test_a_run_that_another_overtook_changes_nothing(stack: Stack) -> None:
    """The other begins and ends after this one has looked at the cluster: no Lease keeps them apart."""
    stack.up("")
    mine = "obj('core/v1', 'ConfigMap', 'mine', {}, inside)"

    def meanwhile(_: Recording) -> None:
        stack.up(mine.replace("mine", "theirs"))
        stack.program(mine)

    with pytest.raises(RefusedError, match=r"nothing was changed\n.*changed by another run meanwhile"):
        stack.up(mine, judge=meanwhile)
    assert stack.get("mine") is None
    assert stack.get("theirs")


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [("engine", "pulumi", "owned by the engine 'pulumi'"), ("cluster", "c", "was applied to the cluster c")],
)
def test_an_inventory_of_another_engine_or_cluster_is_refused(stack: Stack, key: str, value: str, says: str) -> None:
    stack.up("")
    name = f"inventory-{stack.inventory().stack_id}"
    item = stack.client.get(CONFIG_MAP, name, NAMESPACE)
    header = item["data"]["header"]
    changed = json.dumps({**json.loads(header), key: value})
    stack.client.patch(CONFIG_MAP, name, {"data": {"header": changed}}, namespace=NAMESPACE)
    before = shards(stack)
    runs: list[Callable[[], Any]] = [lambda: stack.up("obj('core/v1', 'ConfigMap', 'c', {}, inside)")]
    runs.append(lambda: destroy("demo", stack.name, stack.client))
    for run in runs:
        with pytest.raises((RefusedError, ApiError), match=says):
            run()
    assert shards(stack) == before
    stack.client.patch(CONFIG_MAP, name, {"data": {"header": header}}, namespace=NAMESPACE)
