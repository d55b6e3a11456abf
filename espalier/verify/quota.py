"""`quota`: the API server refuses the device too many, in its own words, and the ceilings are the blueprint's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from espalier.blueprint.tenants import TenantPlan, WorkspacePlan
from espalier.kube import ApiError, Client, Kind
from espalier.quantity import parse_quantity
from espalier.verify.model import Context, Json, NotProven, Outcome, Task
from espalier.verify.pods import probe_pod
from espalier.verify.tenants import Counting, as_member, at_home, may_not_impersonate, quotas_of, workers_of

QUOTA = Kind("v1", "ResourceQuota")
_PREFIX = "requests."
_STATUS_SECONDS = 5.0
"""How long the quota controller may take to take on a changed limit; it needs well under a second."""


def quota_tasks(context: Context) -> list[Task]:
    """One task for each tenant."""
    return [Task(f"quota/{t.name}", partial(_quota, context, t)) for t in context.blueprint.tenants]


def _quota(context: Context, tenant: TenantPlan) -> Outcome | NotProven:
    found: list[Outcome] = []
    for workspace in tenant.workspaces:
        workers = workers_of(workspace)
        client = as_member(context.client, workers) if workers else context.client
        try:
            quotas = quotas_of(workspace)
            found += [_limits(context, workspace.namespace, planned) for planned in quotas]
            if not all(one.ok for one in found):
                break
            found += [
                _one_too_many(context, client, workspace, priority, devices)
                for priority, devices in _asked(quotas, workspace)
            ]
        except ApiError as error:
            if may_not_impersonate(error):
                return NotProven(f"the API server said: {error.message}")
            return Outcome(False, f"{workspace.namespace}: the API server said: {error.message}")
    failed = [outcome for outcome in found if not outcome.ok]
    shown = failed or [outcome for outcome in found if outcome.evidence]
    return Outcome(not failed, " | ".join(outcome.evidence for outcome in shown))


def _asked(quotas: Sequence[Counting], workspace: WorkspacePlan) -> list[tuple[str, list[str]]]:
    """Priority classes, and the devices that a pod of that class asks too many of: all at once where one quota counts
    them, since quota admission names what exceeds the first quota alone."""
    limited = [key.removeprefix(_PREFIX) for key in sorted(workspace.hard) if "/" in key]
    apart = sorted({quota.priority for quota in quotas if not quota.every})
    return [(priority, [device]) for priority in apart for device in limited] or [("", limited)]


def _limits(context: Context, namespace: str, planned: Counting) -> Outcome:
    """The quota's limits are the blueprint's, and they are in force."""
    live: Json = {}

    def in_force() -> bool | None:
        live.update(context.client.get(QUOTA, planned.name, namespace))
        return True if _same(live.get("status", {}).get("hard", {}), live["spec"].get("hard", {})) else None

    enforced = context.until(in_force, _STATUS_SECONDS)
    where = f"ResourceQuota {namespace}/{planned.name}"
    hard = live["spec"].get("hard", {})
    if not _same(hard, planned.hard):
        keys = sorted({*hard, *planned.hard})
        other = [key for key in keys if not same_quantity(hard.get(key), planned.hard.get(key))]
        texts = [f"{k}={hard.get(k, 'no limit')}, planned {planned.hard.get(k, 'no limit')}" for k in other]
        return Outcome(False, f"{where} has {'; '.join(texts)}")
    if enforced is None:
        return Outcome(False, f"{where}: limits are not in force, status.hard is {live.get('status', {}).get('hard')}")
    return Outcome(True, "")


def _one_too_many(
    context: Context, client: Client, workspace: WorkspacePlan, priority: str, limited: list[str]
) -> Outcome:
    """Asks, by a server-side dry run, for one more of every device than is left: one answer names them all.

    Quota admission judges a dry run as it does a real one and books nothing (plugin/pkg/admission/resourcequota).
    """
    if not limited:
        return Outcome(True, f"{workspace.namespace}: no device is limited: the platform has none")
    admitted: dict[str, int] = {}
    for _ in range(2):  # work that ends between reading and asking leaves more than was read: ask once more
        admitted = _left_of(context, workspace, limited, priority)
        too_many = {device: left + 1 for device, left in admitted.items()}
        try:
            pod = probe_pod("verify-quota", workspace.namespace, too_many)
            client.create(at_home(pod, workspace, priority), dry_run=True)
        except ApiError as error:
            if may_not_impersonate(error):
                raise
            missing = [device for device in limited if f"{_PREFIX}{device}=" not in error.message]
            refused = "exceeded quota" in error.message and not missing
            return Outcome(refused, f'{workspace.namespace}: "{error.message}"')
    asked = ", ".join(f"{device}={count + 1}" for device, count in admitted.items())
    return Outcome(False, f"{workspace.namespace}: a pod with {asked} was admitted (server-side dry run)")


def _left_of(context: Context, workspace: WorkspacePlan, devices: list[str], priority: str) -> dict[str, int]:
    """Device -> how many more the quotas allow that count a pod of this class."""
    left: dict[str, int] = {}
    for quota in quotas_of(workspace):
        if not quota.every and quota.priority != priority:
            continue
        status = context.client.get(QUOTA, quota.name, workspace.namespace)["status"]
        for device in devices:
            key = f"{_PREFIX}{device}"
            if key in status["hard"]:
                free = max(0, int(status["hard"][key]) - int(status.get("used", {}).get(key, "0")))
                left[device] = min(free, left.get(device, free))
    return left


def _same(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    return one.keys() == other.keys() and all(same_quantity(one[key], other[key]) for key in one)


def same_quantity(one: str | None, other: str | None) -> bool:
    """Whether two quantities are the same number: the API server may write one in another form."""
    if one is None or other is None or one == other:
        return one == other
    try:
        return parse_quantity(one) == parse_quantity(other)
    except ValueError:
        return False
