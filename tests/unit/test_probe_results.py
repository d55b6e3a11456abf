"""What logs of probes prove. One that is cut, garbled or anything at all is a failed check with its last lines."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.blueprint.probe import Measure, Probe
from espalier.verify.model import NotProven, Outcome
from espalier.verify.probe_results import MARK, Told, judge, read
from tests.unit.test_probe_plan import blueprint, of, only, stack

H100 = only(blueprint({"accelerator": "H100-80", "machine": "p5.48xlarge", "count": 8}))
NAME = "NVIDIA H100 80GB HBM3"


def found(devices: int = 8, *failed: str) -> str:
    return line(found={"devices": devices, "names": {NAME: devices}, "failed": list(failed)})


def measured(busbw: Any, devices: int = 8, scope: str = "node") -> str:
    return line(measured={"scope": scope, "devices": devices, "busbw": busbw})


def line(**said: Any) -> str:
    return MARK + json.dumps(said) + "\n"


def verdicts(*logs: str, probe: Probe = H100, trouble: str = "") -> dict[str, Outcome | NotProven]:
    return judge(probe, [Told(f"probe-{i}-x", f"node-{i}", log, trouble) for i, log in enumerate(logs)])


def outcome(verdict: Outcome | NotProven) -> Outcome:
    assert isinstance(verdict, Outcome), verdict
    return verdict


def test_devices_that_compute_and_reach_what_is_expected() -> None:
    noise = "probe-0:31:31 [0] NCCL INFO Bootstrap: Using eth0:10.0.0.7<0>\n"
    said = verdicts(noise + found() + noise + measured(478.31))
    devices, bandwidth = outcome(said["probe/p"]), outcome(said["bandwidth/p"])
    assert (devices.ok, devices.evidence) == (True, f"probe-0-x on node-0: 8 {NAME} computed")
    assert bandwidth.ok
    assert "over 8 devices: 478.31 GB/s; 480 GB/s are expected (NVIDIA/nccl-tests issue 212" in bandwidth.evidence


def test_too_little_bandwidth_fails() -> None:
    assert outcome(verdicts(found() + measured(384.0))["bandwidth/p"]).ok  # 80 % of 480
    slow = outcome(verdicts(found() + measured(370.0))["bandwidth/p"])
    assert not slow.ok
    assert "370 GB/s" in slow.evidence
    assert "384 would do" in slow.evidence


def test_one_device_less_fails_and_nothing_is_said_of_the_bandwidth() -> None:
    said = verdicts(found(7) + measured(478.31, 7))
    devices = outcome(said["probe/p"])
    assert not devices.ok
    assert f"sees 7 {NAME}, and the plan has 8" in devices.evidence
    assert said["bandwidth/p"] == NotProven("probe/p failed, which comes first")


def test_one_device_more_fails() -> None:
    assert not outcome(verdicts(found(9))["probe/p"]).ok


def test_a_device_that_adds_wrongly_fails() -> None:
    devices = outcome(verdicts(found(8, "device 3 adds wrongly"))["probe/p"])
    assert not devices.ok
    assert "device 3 adds wrongly" in devices.evidence


def test_bandwidth_over_fewer_devices_than_there_are_fails() -> None:
    few = outcome(verdicts(found() + measured(478.31, 4))["bandwidth/p"])
    assert (few.ok, few.evidence) == (False, "probe-0-x on node-0 measured over 4 of 8 devices")


def test_a_log_cut_short_fails_with_its_last_lines() -> None:
    whole = found() + "RuntimeError: NCCL error: unhandled system error\n" + measured(478.31)
    cut = whole[: whole.index("478")]
    bandwidth = outcome(verdicts(cut, trouble="ended with 1 Error")["bandwidth/p"])
    assert not bandwidth.ok
    assert "told no bandwidth: ended with 1 Error; its log ends:" in bandwidth.evidence
    assert "unhandled system error" in bandwidth.evidence
    silent = outcome(verdicts("", trouble="scheduler: 0/9 nodes are available")["probe/p"])
    assert silent.evidence == (
        "probe-0-x on node-0 told nothing of its devices: scheduler: 0/9 nodes are available; its log is empty"
    )


def test_where_nothing_is_known_to_judge_by_the_value_is_told_and_nothing_claimed() -> None:
    probe = of(stack("aws-prod"), "h100")
    both = [found() + measured(479.0) + measured(88.5, 16, "nodes"), found() + measured(471.0)]
    said = verdicts(*both, probe=probe)
    assert outcome(said["probe/h100"]).ok
    assert "471 GB/s" in outcome(said["bandwidth/h100"]).evidence  # the slower node counts
    between = said["bandwidth/h100/nodes"]
    assert isinstance(between, NotProven)
    assert between.why == (
        "bus bandwidth of an all-reduce over 16 devices: 88.5 GB/s; the catalogue has no such figure of p5.48xlarge"
    )


def test_a_pod_that_was_not_made_fails() -> None:
    said = outcome(verdicts(found() + measured(479.0), probe=of(stack("aws-prod"), "h100"))["probe/h100"])
    assert (said.ok, said.evidence) == (False, "1 of 2 pods were made")
    assert outcome(verdicts()["probe/p"]).evidence == "0 of 1 pods were made"


def test_turns_are_told() -> None:
    probe = only(blueprint({"accelerator": "L40S", "count": 4, "sharing": {"time-slices": 4}}))
    devices = outcome(verdicts(line(found={"devices": 1, "names": {"L40S": 1}, "failed": []}), probe=probe)["probe/p"])
    assert devices.ok
    assert devices.evidence.endswith("1 L40S computed; pods take turns at it, 16 of them a node")


GOOD = {"devices": 8, "names": {NAME: 8}, "failed": []}
BAD_FOUND: list[Any] = [
    8,
    {**GOOD, "devices": "8"},
    {**GOOD, "devices": True},
    {**GOOD, "devices": -1},
    {**GOOD, "names": []},
    {**GOOD, "names": {"a": 1.5}},
    {"devices": 8},
]
SPEED = {"scope": "node", "devices": 8, "busbw": 480}
BAD_MEASURED: list[Any] = [
    {**SPEED, "busbw": float("nan")},
    {**SPEED, "busbw": float("inf")},
    {**SPEED, "busbw": "480"},
    {**SPEED, "busbw": -5},
    {**SPEED, "busbw": True},
    {**SPEED, "scope": 1},
    {"scope": "node", "busbw": 480},
]


@pytest.mark.parametrize(
    "said",
    ["null", "[]", "{", "7", "[" * 5000]
    + [json.dumps({"found": bad}) for bad in BAD_FOUND]
    + [json.dumps({"measured": bad}) for bad in BAD_MEASURED],
)
def test_what_is_no_such_line_is_as_if_it_were_not_there(said: str) -> None:
    report = read(f"{MARK}{said}\n")
    assert (report.found, report.measured) == (None, {})
    assert not outcome(verdicts(f"{MARK}{said}\n")["probe/p"]).ok


KEYS = st.sampled_from(["found", "measured", "devices", "names", "failed", "scope", "busbw", "node"])
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=12,
)


@given(st.lists(st.text(max_size=60) | JSON.map(lambda said: MARK + json.dumps(said)), max_size=6).map("\n".join))
def test_no_log_breaks_the_reader_and_none_passes_that_does_not_say_so(log: str) -> None:
    said = verdicts(log)
    report = read(log)
    assert outcome(said["probe/p"]).ok == (
        report.found is not None and report.found.devices == 8 and not report.found.failed
    )
    assert "\n" not in outcome(said["probe/p"]).evidence
    assert outcome(said["probe/p"]).evidence.isprintable()


@given(st.integers(0, 400))
def test_no_part_of_a_log_passes_for_the_whole(cut: int) -> None:
    whole = found() + measured(478.31)
    part = whole[: min(cut, len(whole) - 2)]  # a newline at the end may be missing
    said = verdicts(part)
    bandwidth = said["bandwidth/p"]
    assert isinstance(bandwidth, NotProven) or not bandwidth.ok


@given(busbw=st.floats(0.01, 2000), expected=st.floats(1, 1000))
def test_the_tolerance_is_one_for_all(busbw: float, expected: float) -> None:
    measure = Measure("bandwidth/p", "node", 8, expected, "somewhere")
    said = outcome(verdicts(found() + measured(busbw), probe=replace(H100, measures=(measure,)))["bandwidth/p"])
    assert said.ok == (busbw >= 0.8 * expected)
