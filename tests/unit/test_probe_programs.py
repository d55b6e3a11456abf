"""The programs of probes, without devices: a stand-in for torch computes, and the processes are real."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from espalier.verify.probe_results import Measured, read
from espalier.verify.programs import gpu, neuron, tpu

TORCH = """
import os
from types import SimpleNamespace

float64 = float32 = None

class Vector(list):
    def to(self, device): return Vector(self)
    def cpu(self):
        wrong = os.environ.get("STAND_IN_WRONG") == "1"
        return Vector([value + 1 for value in self]) if wrong else self
    def __rmul__(self, by): return Vector([by * value for value in self])
    def __add__(self, other): return Vector([a + b for a, b in zip(self, other)])

class Ones:
    def __init__(self): self.value = 1.0
    def __getitem__(self, _): return SimpleNamespace(item=lambda: self.value)
    def zero_(self): self.value = 0.0

def arange(count, dtype): return Vector(range(1000))
def ones(count, dtype, device): return Ones()
def equal(one, other): return one == other
def device(kind, index): return (kind, index)

visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
count = 1 if visible.startswith("MIG-") else int(os.environ["STAND_IN_DEVICES"])
cuda = SimpleNamespace(
    device_count=lambda: count,
    get_device_name=lambda index: "Stand-in 1000",
    set_device=lambda index: None,
    mem_get_info=lambda: (16 << 30, 16 << 30),
    synchronize=lambda: None,
)
"""
DISTRIBUTED = """
import os
import sys
import time

def init_process_group(backend, timeout):
    if os.environ.get("STAND_IN_BREAKS") == os.environ["RANK"]:
        sys.exit("NCCL error: unhandled system error")

def get_world_size(): return int(os.environ["WORLD_SIZE"])
def get_rank(): return int(os.environ["RANK"])
def all_reduce(values):
    values.value *= get_world_size() - int(os.environ.get("STAND_IN_LOSES", "0"))
    time.sleep(0.001)
def barrier(): pass
def destroy_process_group(): pass
"""
SMI = """#!/bin/sh
cat <<'END'
GPU 0: Stand-in 1000 (UUID: GPU-9434a402-0d94-4ef8-93d0-0528ee662e9c)
  MIG 1g.10gb     Device  0: (UUID: MIG-e138a708-679d-5075-ab88-ba8e298ec5d3)
  MIG 1g.10gb     Device  1: (UUID: MIG-ae9a37c7-4e38-5a4c-8229-7f07dc126721)
  MIG 3g.40gb     Device  2: (UUID: MIG-788dbffa-1d55-5ea9-a591-40d9575812f9)
END
"""


@pytest.fixture
def image(tmp_path: Path) -> Path:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(TORCH)
    (tmp_path / "torch" / "distributed.py").write_text(DISTRIBUTED)
    (tmp_path / "nvidia-smi").write_text(SMI)
    (tmp_path / "nvidia-smi").chmod(0o755)
    return tmp_path


def run(image: Path, devices: int, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": f"{image}:{os.environ['PATH']}",
        "PYTHONPATH": str(image),
        "STAND_IN_DEVICES": str(devices),
        "PROBE_NODES": "1",
        "PROBE_SHARING": "",
        "PROBE_MEASURES": "node",
        "PROBE_PEER": "localhost",
        "PROBE_PATIENCE": "5",
        **more,
    }
    program = [sys.executable, gpu.__file__]
    return subprocess.run(program, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_devices_compute_and_reduce_together(image: Path) -> None:
    done = run(image, 2)
    report = read(done.stdout)
    assert done.returncode == 0, done.stderr
    assert report.found is not None
    assert (report.found.devices, dict(report.found.names), report.found.failed) == (2, {"Stand-in 1000": 2}, ())
    assert report.measured["node"].devices == 2
    assert report.measured["node"].busbw > 0


def test_nodes_reduce_together_and_the_first_tells(image: Path) -> None:
    both = {"PROBE_NODES": "2", "PROBE_MEASURES": "node,nodes"}
    first, second = (read(run(image, 2, **both, JOB_COMPLETION_INDEX=index).stdout) for index in ("0", "1"))
    assert first.measured["nodes"].devices == 4
    assert "nodes" not in second.measured
    assert second.measured["node"].devices == 2


def test_slices_compute_each_in_a_process_of_its_own(image: Path) -> None:
    report = read(run(image, 1, PROBE_SHARING="mig", PROBE_MEASURES="").stdout)
    assert report.found is not None
    assert (report.found.devices, dict(report.found.names)) == (3, {"Stand-in 1000": 3})
    assert report.measured == {}


def test_a_wrong_sum_of_a_device_is_told_and_nothing_is_measured(image: Path) -> None:
    done = run(image, 2, STAND_IN_WRONG="1")
    report = read(done.stdout)
    assert report.found is not None
    assert report.found.failed == ("device 0 adds wrongly", "device 1 adds wrongly")
    assert report.measured == {}
    assert done.returncode != 0


@pytest.mark.parametrize("more", [{"STAND_IN_BREAKS": "1"}, {"STAND_IN_LOSES": "1"}])
def test_an_all_reduce_that_breaks_or_sums_wrongly_tells_no_bandwidth(image: Path, more: dict[str, str]) -> None:
    done = run(image, 2, **more)
    assert read(done.stdout).measured == {}
    assert done.returncode != 0


def test_no_device_is_told_as_none(image: Path) -> None:
    report = read(run(image, 0).stdout)
    assert report.found is not None
    assert report.found.devices == 0
    assert report.measured == {}


def test_a_broken_framework_is_told(image: Path) -> None:
    (image / "torch" / "__init__.py").write_text("raise ImportError('libcuda.so.1: cannot open shared object file')")
    done = run(image, 2)
    report = read(done.stdout)
    assert report.found is not None
    assert report.found.failed == ("the process that computes ended with 1",)
    assert "libcuda.so.1" in done.stderr


@pytest.mark.parametrize("bus", [gpu.bus, tpu.bus])
def test_bus_bandwidth_is_what_nccl_tests_count(bus: Callable[[int, float, int], float]) -> None:
    """Lines of all_reduce_perf as NVIDIA/nccl issue 527 shows them: size, time in us, busbw over 8 and 16 ranks."""
    assert bus(1073741824, 8142.6e-6, 8) == pytest.approx(230.77, abs=0.01)
    assert bus(1073741824, 35215e-6, 16) == pytest.approx(57.17, abs=0.01)


def test_slices_are_read_from_nvidia_smi() -> None:
    """Form: `nvidia-smi -L` in NVIDIA's MIG User Guide, and k8s-dra-driver's README."""
    assert gpu.mig_slices(SMI) == [
        "MIG-e138a708-679d-5075-ab88-ba8e298ec5d3",
        "MIG-ae9a37c7-4e38-5a4c-8229-7f07dc126721",
        "MIG-788dbffa-1d55-5ea9-a591-40d9575812f9",
    ]
    assert gpu.mig_slices("No devices found.") == []


def test_neurons_devices_and_cores_are_read() -> None:
    """Form: Neuron documentation, neuron-ls: a row a device; two cores of Trainium2 are one to the runtime."""
    trainium = '[{"neuron_device": 0, "nc_count": 2, "memory_size": 1}, {"neuron_device": 1, "nc_count": 2}]'
    assert neuron.listed(trainium) == [2, 2]
    assert neuron.listed('[{"neuron_device": 0, "nc_count": 8, "logical_neuroncore_config": 2}]') == [4]
    for garbage in ("", "{}", "[1]", "null", "[{}]", "neuron-ls: no devices", '[{"nc_count": "2"}]'):
        assert neuron.listed(garbage) == []


def test_neurons_bandwidth_is_read_in_gb() -> None:
    """Form: Neuron documentation, NCCOM-TEST: a table and its average, GiB/s under the name GB/s."""
    table = """
         size(B)    count(elems)     type    time(us)    algbw(GB/s)    busbw(GB/s)
       536870912       134217728     fp32       18930          52.83          52.83
    Avg bus bandwidth:      52.8300GB/s
    """
    assert neuron.busbw(table) == pytest.approx(52.83 * 2**30 / 1e9, abs=0.01)
    failed = "536870912    Failure running neuron-bench - log file /tmp/x.log\n1 errors found - test failed\n"
    assert neuron.busbw(failed) is None
    assert neuron.busbw(table + failed) is None
    assert neuron.busbw("") is None


def test_neurons_program_tells_what_its_tools_say(tmp_path: Path) -> None:
    for name, said in (
        ("neuron-ls", '[{"nc_count": 2}, {"nc_count": 2}]'),
        ("nccom-test", "Avg bus bandwidth:      40.0000GB/s"),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\necho '{said}'\n")
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PROBE_MEASURES": "node"}
    command = [sys.executable, neuron.__file__]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    report = read(done.stdout)
    assert report.found is not None
    assert (report.found.devices, report.found.failed) == (2, ())
    assert report.measured["node"] == Measured("node", 2, 42.95)
    (tmp_path / "nccom-test").unlink()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    report = read(done.stdout)
    assert report.found is not None
    assert report.found.failed == ("nccom-test over 4 cores told no bandwidth",)
    assert "nccom-test" in report.end
