"""`contention/<tenant>`: many pods at once, asked for by several users; what is admitted never exceeds the quota.

The pods carry a scheduling gate: quota admission counts them as any others, and no node is woken or filled for them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from espalier.blueprint.tenants import TenantPlan, WorkspacePlan
from espalier.kube import ApiError, Client, Kind
from espalier.verify.model import Context, Json, NotProven, Outcome, Task
from espalier.verify.pods import POD, probe_pod
from espalier.verify.stage import LABEL, Stage
from espalier.verify.tenants import EVERYONE, Counting, at_home, may_not_impersonate, quotas_of, workers_of

USERS = 4
_QUOTA = Kind("v1", "ResourceQuota")
_PREFIX = "requests."
_OF_DEVICES = re.compile(r"requests\.[^=,]+/")
"""In a refusal of the quota's: a limit of devices. A tenant may as well have used up its pods, or its CPU."""
_FIT = 12
"""About how many pods fit; with a big quota each asks for more."""
_MORE = 12
"""How many are asked for beyond those."""
_SECONDS = 30.0
_GATE = [{"name": "espalier.dev/verify"}]


def contention_tasks(context: Context, stage: Stage) -> list[Task]:
    """One task for each tenant; it makes many pods in the tenant's namespaces, so on simulated clusters only."""
    if not context.simulated:
        return []
    return [
        Task(f"contention/{tenant.name}", partial(_contention, context, stage, tenant))
        for tenant in context.blueprint.tenants
    ]


def _contention(context: Context, stage: Stage, tenant: TenantPlan) -> Outcome | NotProven:
    found: list[Outcome | NotProven] = []
    for workspace in tenant.workspaces:
        try:
            found.append(_rush(context, stage, workspace))
        except ApiError as error:
            if may_not_impersonate(error) or error.status == 404:  # a quota that is gone is for `quota` to tell
                found.append(NotProven(f"the API server said: {error.message}"))
                continue
            raise
    made = [each for each in found if isinstance(each, Outcome)]
    if not made:
        return NotProven("; ".join(each.why for each in found if isinstance(each, NotProven)) or "it has no workspace")
    shown = [each for each in made if not each.ok] or made
    return Outcome(all(each.ok for each in made), " | ".join(each.evidence for each in shown))


def _rush(context: Context, stage: Stage, workspace: WorkspacePlan) -> Outcome | NotProven:
    """Asks for more pods at once than fit, and looks at the quota all the while."""
    where = workspace.namespace
    quota, device, left = max(_room(context, workspace), key=lambda room: room[2], default=(None, "", 0))
    if quota is None:
        return NotProven(f"{where}: no device is limited")
    name = quota.name
    asked = max(1, left // _FIT)
    number = left // asked + _MORE
    names = [f"rush-{stage.run}-{index}" for index in range(number)]
    pods = [_pod(workspace, each, {device: asked}, stage.run, quota.priority) for each in names]
    for pod in pods:
        stage.note(pod)
    users = [_user(context, workers_of(workspace), index) for index in range(USERS)]
    highest = 0
    workers = ThreadPoolExecutor(USERS * 2, thread_name_prefix="rush")
    try:
        answers = [workers.submit(_ask, users[index % USERS], pod) for index, pod in enumerate(pods)]
        while not all(answer.done() for answer in answers):
            highest = max(highest, _used(context, where, name, device))
        said = [answer.result() for answer in answers]
    finally:
        workers.shutdown(cancel_futures=True)
    # What is really there counts, besides what the quota's status says of it.
    held = _held(context, where, device)
    hard, used = _count(context, where, name, device, "hard"), _used(context, where, name, device)
    stage.remove(pods)
    context.until(lambda: True if _used(context, where, name, device) <= hard - left else None, _SECONDS)
    what = f"{where}: {number} pods at once of {asked} {device}, by {USERS} users"
    return judge(what, said, hard, max(highest, used, held), asked)


def _user(context: Context, workers: Sequence[str], index: int) -> Client:
    """One who may make pods; the administrator where no group may."""
    return context.client.as_user(f"verify-{index}@espalier", [*workers, EVERYONE]) if workers else context.client


def judge(what: str, said: Sequence[str], hard: int, highest: int, asked: int) -> Outcome:
    """`said` is "" for each pod that was admitted, else the API server's refusal."""
    refusals = [each for each in said if each]
    strange = [each for each in refusals if "exceeded quota" not in each and "object has been modified" not in each]
    if strange:
        return Outcome(False, f'{what}: one was refused with "{strange[0]}"')
    counts = f"{len(said) - len(refusals)} admitted, {len(refusals)} refused"
    if max(highest, (len(said) - len(refusals)) * asked) > hard:
        return Outcome(False, f"{what}: {counts}; the quota is {hard}, and {highest} were held")
    quota_only = [each for each in refusals if "exceeded quota" in each]
    of_devices = [each for each in quota_only if _OF_DEVICES.search(each)]
    if highest + asked <= hard and len(of_devices) == len(refusals):
        return Outcome(False, f"{what}: {counts}, though only {highest} of {hard} were held")
    first = f', such as "{quota_only[0]}"' if quota_only else ""
    return Outcome(True, f"{what}: {counts}{first}; never more than {highest} of {hard} held")


def _ask(client: Client, pod: Json) -> str:
    """ "" where the pod was admitted, else what the API server said."""
    try:
        client.create(pod)
    except ApiError as error:
        if may_not_impersonate(error):
            raise
        return error.message
    return ""


def _pod(workspace: WorkspacePlan, name: str, devices: Mapping[str, int], run: str, priority: str) -> Json:
    pod = at_home(probe_pod(name, workspace.namespace, devices), workspace, priority)
    pod["metadata"]["labels"] = {LABEL: run}
    pod["spec"]["schedulingGates"] = _GATE
    return pod


def _room(context: Context, workspace: WorkspacePlan) -> list[tuple[Counting, str, int]]:
    """(quota, device, how many are left) for each device that a quota of the workspace limits; where some count by
    class, for these alone: a pod that they refuse never reaches the other's limit."""
    quotas = quotas_of(workspace)
    found: list[tuple[Counting, str, int]] = []
    for quota in [one for one in quotas if not one.every] or quotas:
        status: dict[str, Any] = context.client.get(_QUOTA, quota.name, workspace.namespace).get("status", {})
        for key, hard in sorted(status.get("hard", {}).items()):
            if "/" in key and key.startswith(_PREFIX):
                left = int(hard) - int(status.get("used", {}).get(key, "0"))
                found.append((quota, key.removeprefix(_PREFIX), max(0, left)))
    return found


def _count(context: Context, namespace: str, quota: str, device: str, which: str) -> int:
    status: dict[str, Any] = context.client.get(_QUOTA, quota, namespace).get("status", {})
    return int(status.get(which, {}).get(f"{_PREFIX}{device}", "0"))


def _used(context: Context, namespace: str, quota: str, device: str) -> int:
    return _count(context, namespace, quota, device, "used")


def _held(context: Context, namespace: str, device: str) -> int:
    """What the namespace's pods that have not ended ask for."""
    alive = "status.phase!=Succeeded,status.phase!=Failed"
    pods = context.client.list(POD, namespace, fieldSelector=alive)
    asks = [c.get("resources", {}).get("requests", {}).get(device, "0") for p in pods for c in p["spec"]["containers"]]
    return sum(map(int, asks))
