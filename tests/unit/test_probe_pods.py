"""Why a probe's pod does not do its work, and the checks that are left out."""

from typing import TYPE_CHECKING, Any, cast

from espalier.blueprint.probe import plan_probes
from espalier.verify.model import Context, Skipped
from espalier.verify.probe import Probes
from espalier.verify.probe_pods import hopeless, index, trouble
from tests.unit.test_probe_plan import stack

if TYPE_CHECKING:
    from espalier.kube import Client


def pod(phase: str, **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "probe-0-x7k2p"}, "status": {"phase": phase, **status}}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}}
    return pod("Pending", containerStatuses=[{"name": "probe", "state": state}])


def event(reason: str, message: str, at: str, name: str = "probe-0-x7k2p") -> dict[str, Any]:
    return {
        "metadata": {"name": "e"},
        "involvedObject": {"name": name},
        "reason": reason,
        "message": message,
        "lastTimestamp": at,
    }


UNSCHEDULED = pod(
    "Pending",
    conditions=[{"type": "PodScheduled", "status": "False", "message": "0/9 nodes are available: 9 Insufficient gpu."}],
)


def test_the_scheduler_and_the_autoscaler_tell_why_a_pod_waits() -> None:
    events = [
        event(
            "NotTriggerScaleUp", "pod didn't trigger scale-up: 1 max node group size reached", "2026-12-01T10:00:09Z"
        ),
        event("NotTriggerScaleUp", "an older word", "2026-12-01T10:00:01Z"),
        event("FailedScheduling", "the pod has that itself", "2026-12-01T10:00:03Z"),
        event("Pulled", "nothing of interest", "2026-12-01T10:00:04Z"),
        event("TriggeredScaleUp", "another's", "2026-12-01T10:00:05Z", "probe-1-abcde"),
    ]
    assert trouble(UNSCHEDULED, events, 1800) == (
        "not ended after 1800 s; scheduler: 0/9 nodes are available: 9 Insufficient gpu.; "
        "NotTriggerScaleUp: pod didn't trigger scale-up: 1 max node group size reached"
    )


def test_an_image_that_cannot_be_had_ends_the_wait_and_is_named() -> None:
    backed_off = waiting("ImagePullBackOff", 'Back-off pulling image "docker.io/pytorch/pytorch:9"')
    assert hopeless(backed_off)
    assert trouble(backed_off, [], None) == 'ImagePullBackOff Back-off pulling image "docker.io/pytorch/pytorch:9"'
    assert not hopeless(waiting("ContainerCreating"))
    assert not hopeless(UNSCHEDULED)


def test_how_a_program_ended_is_told() -> None:
    ended = {"name": "probe", "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}
    assert trouble(pod("Failed", containerStatuses=[ended]), [], None) == "ended with 137 OOMKilled"
    assert trouble(
        pod("Failed", message="Pod was active on the node longer than the specified deadline"), [], None
    ) == ("Pod was active on the node longer than the specified deadline")
    assert trouble(pod("Running"), [], 1800) == "not ended after 1800 s"
    assert trouble(pod("Succeeded"), [], 1800) == ""
    assert trouble(pod("Unknown"), [], None) == "phase Unknown"
    assert trouble(None, [], None) == "the pod was removed before it ended"


def test_pods_are_told_apart_by_their_index() -> None:
    assert [index(name) for name in ("probe-0-x7k2p", "probe-12-abcde", "probe-x", "other")] == [0, 12, -1, -1]


def test_on_a_simulated_cluster_each_pool_is_skipped_by_name_and_nothing_is_asked_of_it() -> None:
    context = Context(stack("local"), cast("Client", None), simulated=True, probe=True)
    jobs = Probes(context, plan_probes(stack("local"), ["h100"]), print)
    why = "its devices are simulated, and no container runs: nothing computes here"
    assert jobs.run() == {"probe/h100": Skipped("probe/h100", why)}
    jobs.clear()
    assert jobs.left() == ()
