"""Why a pod of a probe does not do its work, in the words of who knows it: kubelet, scheduler, autoscaler. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from espalier.verify.model import Json
from espalier.verify.probe_job import JOB

_FINAL = ("ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError")
"""Reasons for which a container does not start, and will not by itself."""
_SAID_BY = ("NotTriggerScaleUp", "TriggeredScaleUp", "FailedScaleUp", "Nominated", "FailedMount")
"""Events of autoscalers and kubelets that tell why a pod waits; the scheduler's word is on the pod itself."""


def index(pod: str) -> int:
    """The index in the name of a pod of an indexed Job: `probe-<index>-<random>`."""
    part = pod.removeprefix(f"{JOB}-").partition("-")[0]
    return int(part) if part.isdigit() else -1


def hopeless(pod: Json) -> bool:
    """Whether a container of the pod will not start by itself."""
    return any(reason in _FINAL for reason, _ in _waits(pod))


def _waits(pod: Json) -> list[tuple[str, str]]:
    """Reason and message of each container that waits."""
    states = [each.get("state", {}).get("waiting") for each in pod["status"].get("containerStatuses", [])]
    return [(str(state.get("reason", "")), str(state.get("message", ""))) for state in states if state]


def trouble(pod: Json | None, events: Sequence[Json], seconds: float | None) -> str:
    """Why a pod did not succeed, in the words of who knows it; "" where it did."""
    if pod is None:
        return "the pod was removed before it ended"
    phase = str(pod["status"].get("phase", ""))
    if phase == "Succeeded":
        return ""
    late = f"not ended after {seconds:.0f} s" if seconds is not None else ""
    if phase in ("Running", "Failed"):
        return "; ".join(filter(None, (late, _exit(pod))))
    scheduler = [
        str(each.get("message", ""))
        for each in pod["status"].get("conditions", [])
        if each["type"] == "PodScheduled" and each["status"] == "False"
    ]
    waits = [f"{reason} {message}".strip() for reason, message in _waits(pod)]
    said = [f"scheduler: {each}" for each in scheduler] + waits + _events(pod, events)
    return "; ".join(filter(None, (late, *(said or [f"phase {phase}"]))))


def _exit(pod: Json) -> str:
    ends = [each.get("state", {}).get("terminated") for each in pod["status"].get("containerStatuses", [])]
    found = [f"ended with {end.get('exitCode')} {end.get('reason', '')}".strip() for end in ends if end]
    return "; ".join([*found, *filter(None, [str(pod["status"].get("message", ""))])])


def _events(pod: Json, events: Sequence[Json]) -> list[str]:
    """The last word of each kind."""
    about = [event for event in events if event.get("involvedObject", {}).get("name") == pod["metadata"]["name"]]
    last: dict[str, str] = {}
    for event in sorted(about, key=_when):
        reason = str(event.get("reason", ""))
        if reason in _SAID_BY:
            last[reason] = f"{reason}: {event.get('message', '')}"
    return list(last.values())


def _when(event: Json) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp") or "")
