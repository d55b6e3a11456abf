"""The controller: watches nodes, and does what the rules say while it holds the Lease."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from espalier.warden import rules
from espalier.warden.api import Api, ApiError, UnreachableError
from espalier.warden.idler import Idler
from espalier.warden.lease import Lease
from espalier.warden.metrics import Measured
from espalier.warden.rules import Action, Config

NODES = "/api/v1/nodes"
PODS = "/api/v1/pods"
CLAIMS = "/apis/karpenter.sh/v1/nodeclaims"
CONFIG = "config.json"
_WATCH_SECONDS = 300
_CONFIG_SECONDS = 10.0
_TOLD_AGAIN_SECONDS = 3600.0
_EVICT_SECONDS = 15.0
"""Between two askings of one node's pods to go: one whose budget does not let it may take hours."""

Tell = Callable[[str], None]


class Nodes:
    """All nodes as they are now: one watch, and a new list whenever it breaks."""

    def __init__(self, api: Api, changed: threading.Event, tell: Tell) -> None:
        self._api, self._changed, self._tell = api, changed, tell
        self._lock = threading.Lock()
        self._known: dict[str, dict[str, Any]] = {}
        self.listed = False
        """Whether there was a list yet: before, nothing is known and nothing may be concluded."""

    def all(self) -> list[dict[str, Any]]:
        """Every node."""
        with self._lock:
            return list(self._known.values())

    def learn(self, node: dict[str, Any]) -> None:
        """A node as an answer has it, which may come before the watch's own word."""
        with self._lock:
            before = self._known.get(node["metadata"]["name"])
            if before is not None and _version(before) < _version(node):
                self._known[node["metadata"]["name"]] = node

    def follow(self, stop: threading.Event) -> None:
        """Until `stop`: lists and watches."""
        pause = 0.5
        while not stop.is_set():
            try:
                self._list_and_watch(stop)
                pause = 0.5
            except (ApiError, UnreachableError) as error:
                if not (isinstance(error, ApiError) and error.status == 410):
                    self._tell(f"nodes are not to be seen: {error}")
                    stop.wait(pause)
                    pause = min(pause * 2, 10.0)

    def _list_and_watch(self, stop: threading.Event) -> None:
        found = self._api.get(NODES)
        with self._lock:
            self._known = {node["metadata"]["name"]: node for node in found["items"]}
        self.listed = True
        self._changed.set()
        version = found["metadata"]["resourceVersion"]
        while not stop.is_set():
            for event in self._api.watch(NODES, version, _WATCH_SECONDS):
                version = event["object"]["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    self._heard(event["type"], event["object"])
                if stop.is_set():
                    return

    def _heard(self, kind: str, node: dict[str, Any]) -> None:
        with self._lock:
            if kind == "DELETED":
                self._known.pop(node["metadata"]["name"], None)
            else:
                self._known[node["metadata"]["name"]] = node
        self._changed.set()


class Warden:
    """One replica."""

    def __init__(self, api: Api, namespace: str, me: str, tell: Tell) -> None:
        self._api, self._tell = api, tell
        self._configmap = f"/api/v1/namespaces/{namespace}/configmaps/espalier-warden"
        leases = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self.lease = Lease(api, leases, "espalier-warden", me, time.monotonic)
        self._changed = threading.Event()
        self.nodes = Nodes(api, self._changed, tell)
        self._measured = Measured(self._say)
        self._idler = Idler(api, namespace, self._say, lambda: self.lease.mine)
        self._config: Config | None = None
        self._config_at = float("-inf")
        self._led = False
        self._told: dict[str, tuple[str, float]] = {}
        self._telling = threading.Lock()
        self._emptied: dict[str, float] = {}
        """When the pods of a node were last asked to go."""
        self.beat = time.monotonic()
        """When the loop last came round: what its health check asks for."""

    def run(self, stop: threading.Event) -> None:
        """Until `stop`: keeps the Lease, and acts while it is held."""
        # Metrics may be slow to come, and neither gates nor the Lease wait for them.
        helpers = [threading.Thread(target=do, args=(stop,), daemon=True) for do in (self.nodes.follow, self.look)]
        for helper in helpers:
            helper.start()
        while not stop.is_set():
            if not all(helper.is_alive() for helper in helpers) and not stop.is_set():
                raise RuntimeError("a thread of the warden's has ended: started anew, it may do better")
            self.beat = time.monotonic()
            try:
                self.once()
            except (ApiError, UnreachableError) as error:
                self._say("loop", f"not now: {error}")
            self._changed.wait(1.0)
            self._changed.clear()
            stop.wait(0.1)  # changes come in bursts
        try:
            self.lease.leave()
        except (ApiError, UnreachableError) as error:
            self._tell(f"the lease is not given back: {error}")

    def once(self) -> None:
        """One round: what is to be done now, done."""
        self.lease.keep()
        if self.lease.mine != self._led:
            self._led = self.lease.mine
            self._tell("leads" if self._led else "does not lead")
        if not self._led:
            return
        config = self._read()
        if config is None or not self.nodes.listed:
            return
        nodes = self.nodes.all()
        by_name = {node["metadata"]["name"]: node for node in nodes}
        for action in rules.decide(nodes, config, time.time(), self._measured.known()):
            if not self.lease.mine:
                return
            try:
                self._do(action, by_name[action.node], config)
            except ApiError as error:
                # 404: it has gone. 409, 422: somebody else changed it; the watch brings it anew.
                if error.status not in (404, 409, 422):
                    self._say(f"{action.kind} {action.node}", f"cannot {action.kind} {action.node}: {error}")

    def look(self, stop: threading.Event) -> None:
        """Until `stop`: asks metrics, and looks after idle devices, while the Lease is held."""
        while not stop.wait(0.2):
            config = self._config
            if config is None or not self.lease.mine:
                continue
            self._measured.once(config.health)
            try:
                self._idler.once(config)
            except (ApiError, UnreachableError) as error:
                self._say("idle", f"not known what is idle: {error}")

    def _read(self) -> Config | None:
        """The configuration, read anew every few seconds; one that is wrong leaves the last one in force."""
        if time.monotonic() - self._config_at < _CONFIG_SECONDS:
            return self._config
        try:
            found = self._api.get(self._configmap)
            version = found["metadata"]["resourceVersion"]
            self._config = rules.config_of(found.get("data", {}).get(CONFIG, ""))
            self._config_at = time.monotonic()
            self._say("config", f"goes by the configuration of version {version}")
        except ValueError as error:
            self._say("config", f"the configuration is wrong, and the one before stays: {error}")
        except ApiError as error:
            self._say("config", f"no configuration: {error}")
        return self._config

    def _do(self, action: Action, node: Mapping[str, Any], config: Config) -> None:
        name = action.node
        if action.kind in ("drain", "replace") and not self._due(name):
            return
        if patch := rules.patch_of(node, action, config, time.time()):
            self.nodes.learn(self._api.patch(f"{NODES}/{name}", patch))
        elif action.kind == "replace":
            self._api.delete(f"{CLAIMS}/{rules.claim_of(node)}")
        elif action.kind == "drain":
            self._drain(name)
        if action.kind not in ("met", "note"):
            self._event(action, node)

    def _due(self, node: str) -> bool:
        """Whether it is time to ask again for what takes a while; counts as asked then."""
        now = time.monotonic()
        self._emptied = {name: at for name, at in self._emptied.items() if now - at < _EVICT_SECONDS}
        if node in self._emptied:
            return False
        self._emptied[node] = now
        return True

    def _drain(self, node: str) -> None:
        """Asks every pod to go, within its budget and with its own grace; one that may not go yet is asked again."""
        found = self._api.get(PODS, fieldSelector=f"spec.nodeName={node}")
        for pod in rules.to_evict(found["items"]):
            if not self.lease.mine:
                return
            metadata = pod["metadata"]
            body = {
                "apiVersion": "policy/v1",
                "kind": "Eviction",
                "metadata": {"name": metadata["name"], "namespace": metadata["namespace"]},
            }
            path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/eviction"
            try:
                self._api.post(path, body)
            except ApiError as error:
                if error.status != 404:
                    where = f"{metadata['namespace']}/{metadata['name']}"
                    self._say(f"evict {where}", f"{where} stays on {node} for now: {error}")

    def _event(self, action: Action, node: Mapping[str, Any]) -> None:
        """Says on the node what was done and why: once, and again each hour while it lasts."""
        text = f"{action.kind} {action.node}: {action.why}"
        if not self._say(f"{action.kind} {action.node}", text):
            return
        now = rules.text_of(time.time())
        trouble = action.kind in ("mark", "drain", "replace", "report")
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": "espalier-warden.", "namespace": "default"},
            "involvedObject": {
                "apiVersion": "v1",
                "kind": "Node",
                "name": action.node,
                "uid": node["metadata"].get("uid", ""),
            },
            "reason": f"Device{action.kind.capitalize()}",
            "message": action.why[:1000],
            "type": "Warning" if trouble else "Normal",
            "source": {"component": "espalier-warden"},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        try:
            self._api.post("/api/v1/namespaces/default/events", body)
        except (ApiError, UnreachableError) as error:
            self._tell(f"no event of it: {error}")

    def _say(self, about: str, text: str) -> bool:
        """Tells what is new, or an hour old; whether it was told."""
        with self._telling:
            last, when = self._told.get(about, ("", float("-inf")))
            if text == last and time.monotonic() - when < _TOLD_AGAIN_SECONDS:
                return False
            if len(self._told) > 10_000:
                self._told.clear()
            self._told[about] = (text, time.monotonic())
        self._tell(text)
        return True


def _version(node: Mapping[str, Any]) -> int:
    """Resource versions are numbers that grow (KEP-5504 says so of all built-in kinds)."""
    text = str(node["metadata"].get("resourceVersion", "0"))
    return int(text) if text.isdigit() else 0
