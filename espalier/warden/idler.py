"""Asks Prometheus who uses their devices, and tells of those that do not, or stops them."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

from espalier.warden import idle
from espalier.warden.api import MERGE_PATCH, Api, ApiError
from espalier.warden.idle import Idle, Rule
from espalier.warden.rules import Config, Watch, text_of

_SECONDS = 30.0
_PLURALS = {"Deployment": "deployments", "StatefulSet": "statefulsets"}


class Idler:
    """The part of the warden that looks after idle devices; `say` tells what is new and answers whether it was told."""

    def __init__(self, api: Api, namespace: str, say: Callable[[str, str], bool]) -> None:
        self._api, self._say = api, say
        self._memory = f"/api/v1/namespaces/{namespace}/configmaps/espalier-warden-stopped"
        self._last = float("-inf")

    def once(self, config: Config) -> None:
        """Every so often: looks, and acts. Without metrics nothing is idle."""
        watch = config.idle
        if watch is None or time.monotonic() - self._last < watch.every:
            return
        self._last = time.monotonic()
        found = self._found(watch, frozenset(device for pool in config.pools.values() for device in pool.devices))
        for one in found:
            try:
                self._done(one)
            except ApiError as error:
                self._say(f"idle {one.namespace}/{one.name}", f"cannot stop {one.namespace}/{one.name}: {error}")

    def _found(self, watch: Watch, devices: frozenset[str]) -> list[Idle]:
        default = Rule(watch.after, watch.action) if watch.after else None
        tenants = self._api.get("/api/v1/namespaces", labelSelector="espalier.dev/tenant")["items"]
        rules = idle.rules_of(tenants, default, may_stop=watch.action == "stop")
        if not rules:
            return []
        used: dict[int, dict[idle.Pod, float]] = {}
        known: dict[int, frozenset[idle.Pod]] = {}
        try:
            for after in sorted({rule.after for rule in rules.values()}):
                minutes: dict[idle.Pod, float] = {}
                used[after] = {}
                for query, percent, coverage in idle.queries(after):
                    into = minutes if coverage else used[after]
                    for pod, value in idle.pods_of(_asked(watch.prometheus, query), percent).items():
                        into[pod] = max(value, into.get(pod, 0.0))
                known[after] = idle.covered(minutes, after)
        except (OSError, ValueError, KeyError, TypeError, urllib.error.URLError) as error:
            self._say("metrics", f"no metrics, so nothing is idle: {type(error).__name__}: {error}")
            return []
        seen = len(frozenset[idle.Pod]().union(*known.values()))
        self._say("metrics", f"metrics of {seen} pods tell what is idle" if seen else "no metrics, so nothing is idle")
        pods = self._api.get("/api/v1/pods")["items"]
        return idle.idle(pods, rules, used, known, devices, watch.below, time.time())

    def _done(self, one: Idle) -> None:
        where = f"{one.namespace}/{one.name}"
        if one.action == "report":
            if self._say(f"idle {where}", f"{one.kind} {where} is idle: it {one.why}"):
                self._event(one, "DeviceIdle", f"is idle: it {one.why}")
            return
        base = f"/apis/apps/v1/namespaces/{one.namespace}/{_PLURALS.get(one.kind, '')}/{one.name}/scale"
        if one.kind == "Notebook":
            path = f"/apis/kubeflow.org/v1/namespaces/{one.namespace}/notebooks/{one.name}"
            stamp = {"metadata": {"annotations": {idle.STOPPED: text_of(time.time())}}}
            self._api.patch(path, stamp, MERGE_PATCH)
            back = f"remove its annotation {idle.STOPPED}"
        else:
            replicas = int(self._api.get(base)["spec"].get("replicas", 0))
            if replicas:
                # Remembered first: a server that was stopped and forgotten would come back smaller.
                key = f"{one.namespace}.{one.kind}.{one.name}"
                self._api.patch(self._memory, {"data": {key: str(replicas)}}, MERGE_PATCH)
                self._api.patch(base, {"spec": {"replicas": 0}}, MERGE_PATCH)
            back = f"scale it to {replicas}"
        self._say(f"idle {where}", f"{one.kind} {where} is stopped: it {one.why}")
        self._event(one, "DeviceIdleStopped", f"is stopped: it {one.why}; to start it again, {back}")

    def _event(self, one: Idle, reason: str, message: str) -> None:
        now = text_of(time.time())
        api = "kubeflow.org/v1" if one.kind == "Notebook" else "apps/v1"
        involved = {"apiVersion": api, "kind": one.kind, "name": one.name, "namespace": one.namespace}
        body: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": "espalier-warden.", "namespace": one.namespace},
            "involvedObject": involved,
            "reason": reason,
            "message": message[:1000],
            "type": "Warning",
            "source": {"component": "espalier-warden"},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        self._api.post(f"/api/v1/namespaces/{one.namespace}/events", body)


def _asked(prometheus: str, query: str) -> dict[str, Any]:
    """Prometheus' answer to an instant query (HTTP API, /api/v1/query)."""
    address = f"{prometheus.rstrip('/')}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    if not address.startswith(("http://", "https://")):
        raise ValueError(f"no address of a Prometheus: {prometheus}")
    with urllib.request.urlopen(address, timeout=_SECONDS) as answer:  # noqa: S310 - its scheme was looked at
        found: dict[str, Any] = json.loads(answer.read())
    if found.get("status") != "success":
        raise ValueError(f"Prometheus answered {found.get('status')}: {found.get('error')}")
    return found
