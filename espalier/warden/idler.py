"""Asks Prometheus who uses their devices, and tells of those that do not, or stops them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from espalier.warden import idle
from espalier.warden.api import MERGE_PATCH, Api, ApiError, UnreachableError
from espalier.warden.idle import Idle, Rule
from espalier.warden.metrics import UNUSABLE, asked
from espalier.warden.rules import Config, Watch, text_of

_SECONDS = 30.0
"""For all queries of one look together."""
_ENDING_SECONDS = 300.0
"""What was stopped has so long to end before it is looked at again."""
_PAGE = 500
_PLURALS = {"Deployment": "deployments", "StatefulSet": "statefulsets"}


class Idler:
    """The part of the warden that looks after idle devices; `say` tells what is new and answers whether it was told.

    `leads` is asked before anything is stopped: a look takes longer than a Lease lasts.
    """

    def __init__(self, api: Api, namespace: str, say: Callable[[str, str], bool], leads: Callable[[], bool]) -> None:
        self._api, self._say, self._leads = api, say, leads
        self._memory = f"/api/v1/namespaces/{namespace}/configmaps/espalier-warden-stopped"
        self._last = float("-inf")
        self._stopped: dict[str, float] = {}

    def once(self, config: Config) -> None:
        """Every so often: looks, and acts. Without metrics nothing is idle."""
        watch = config.idle
        if watch is None or time.monotonic() - self._last < watch.every:
            return
        self._last = now = time.monotonic()
        self._stopped = {where: at for where, at in self._stopped.items() if now - at < _ENDING_SECONDS}
        found = self._found(watch, frozenset(device for pool in config.pools.values() for device in pool.devices))
        for one in found:
            where = f"{one.namespace}/{one.name}"
            if not self._leads():
                return
            try:
                if one.action == "report":
                    self._reported(one, f"is idle: it {one.why}")
                elif f"{one.kind} {where}" not in self._stopped:
                    self._stop(one)
            except ApiError as error:
                self._say(f"idle {where}", f"cannot stop {where}: {error}")

    def _found(self, watch: Watch, devices: frozenset[str]) -> list[Idle]:
        default = Rule(watch.after, watch.action) if watch.after else None
        tenants = self._listed("/api/v1/namespaces", labelSelector="espalier.dev/tenant")
        rules = idle.rules_of(tenants, default, may_stop=watch.action == "stop")
        if not rules:
            return []
        used: dict[int, dict[idle.Pod, float]] = {}
        known: dict[int, frozenset[idle.Pod]] = {}
        end = time.monotonic() + _SECONDS
        try:
            for after in sorted({rule.after for rule in rules.values()}):
                minutes: dict[idle.Pod, float] = {}
                used[after] = {}
                for query, percent, coverage in idle.queries(after):
                    into = minutes if coverage else used[after]
                    for pod, value in idle.pods_of(asked(watch.prometheus, query, end), percent).items():
                        into[pod] = max(value, into.get(pod, 0.0))
                known[after] = idle.covered(minutes, after)
        except UNUSABLE as error:
            self._say("metrics", f"no metrics, so nothing is idle: {type(error).__name__}: {error}")
            return []
        seen = frozenset[idle.Pod]().union(*known.values())
        told = f"metrics of {len(seen)} pods tell what is idle" if seen else "no metrics, so nothing is idle"
        self._say("metrics", told)
        measured = sorted({namespace for namespace, _ in seen} & rules.keys())
        pods = [pod for namespace in measured for pod in self._listed(f"/api/v1/namespaces/{namespace}/pods")]
        return idle.idle(pods, rules, used, known, devices, watch.below, time.time())

    def _listed(self, path: str, **query: str) -> list[dict[str, Any]]:
        """All objects of a list, in pages."""
        found = self._api.get(path, limit=str(_PAGE), **query)
        items: list[dict[str, Any]] = found["items"]
        while further := found["metadata"].get("continue"):
            found = self._api.get(path, **query, limit=str(_PAGE), **{"continue": further})
            items += found["items"]
        return items

    def _reported(self, one: Idle, text: str) -> None:
        where = f"{one.namespace}/{one.name}"
        if self._say(f"idle {where}", f"{one.kind} {where} {text}"):
            self._event(one, "DeviceIdle", text)

    def _stop(self, one: Idle) -> None:
        """Stops it, once, and says how it comes back."""
        where = f"{one.namespace}/{one.name}"
        if one.kind == "Notebook":
            path = f"/apis/kubeflow.org/v1/namespaces/{one.namespace}/notebooks/{one.name}"
            stamp = {"metadata": {"annotations": {idle.STOPPED: text_of(time.time())}}}
            self._api.patch(path, stamp, MERGE_PATCH)
            back = f"remove its annotation {idle.STOPPED}"
        else:
            if owner := self._scaled_by(one):
                self._reported(one, f"is idle, and left to KEDA ({owner}), which would start it again: it {one.why}")
                return
            base = f"/apis/apps/v1/namespaces/{one.namespace}/{_PLURALS[one.kind]}/{one.name}/scale"
            replicas = int(self._api.get(base)["spec"].get("replicas", 0))
            if not replicas:
                return  # its pods are still ending
            # Remembered first: a server that was stopped and forgotten would come back smaller.
            key = f"{one.namespace}.{one.kind}.{one.name}"
            self._api.patch(self._memory, {"data": {key: str(replicas)}}, MERGE_PATCH)
            self._api.patch(base, {"spec": {"replicas": 0}}, MERGE_PATCH)
            back = f"scale it to {replicas}"
        self._stopped[f"{one.kind} {where}"] = time.monotonic()
        self._say(f"idle {where}", f"{one.kind} {where} is stopped: it {one.why}")
        self._event(one, "DeviceIdleStopped", f"is stopped: it {one.why}; to start it again, {back}")

    def _scaled_by(self, one: Idle) -> str:
        """The HorizontalPodAutoscaler by which KEDA scales the server, or "".

        KEDA keeps its ScaledObject's minimum by itself and is that object's owner (pkg/scaling/executor,
        controllers/keda/hpa.go). Any other HorizontalPodAutoscaler rests while its server is at zero.
        """
        for scaler in self._listed(f"/apis/autoscaling/v2/namespaces/{one.namespace}/horizontalpodautoscalers"):
            target = scaler["spec"]["scaleTargetRef"]
            owners = scaler["metadata"].get("ownerReferences") or ()
            if (target["kind"], target["name"]) == (one.kind, one.name) and any(
                owner.get("kind") == "ScaledObject" for owner in owners
            ):
                return str(scaler["metadata"]["name"])
        return ""

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
        try:
            self._api.post(f"/api/v1/namespaces/{one.namespace}/events", body)
        except (ApiError, UnreachableError) as error:
            self._say(f"event {one.namespace}/{one.name}", f"no event of {one.namespace}/{one.name}: {error}")
