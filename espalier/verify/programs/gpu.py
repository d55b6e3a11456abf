"""GPUs of NVIDIA and AMD, by PyTorch: each computes, then all reduce together, within the node and between nodes.

A process for each device, as frameworks have it: nothing of CUDA is touched in this one, and a device that hangs or
breaks takes its own process along.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import timedelta
from typing import Any

MARK = "espalier-probe: "
ELEMENTS = 1 << 20
SIZES = (1 << 30, 4 << 30)
"""Bytes of an all-reduce; smaller ones do not reach the bandwidth, larger ones add nothing (nccl-tests issue 212)."""
WARM_UP, ROUNDS = 5, 20
PORT = 29500
_COMPUTES = 300
_REDUCES = 240
_MIG = re.compile(r"\(UUID: (MIG-[0-9A-Za-z/-]+)\)")


def main() -> None:
    """The whole run of one pod; a part of it where a role is given."""
    role = sys.argv[1] if len(sys.argv) > 1 else ""
    if role == "compute":
        print(json.dumps(compute()))
    elif role == "reduce":
        reduce()
    else:
        run()


def run() -> None:
    """Looks at all devices, and measures what it is told to."""
    index, nodes = int(os.environ.get("JOB_COMPLETION_INDEX", "0")), int(os.environ["PROBE_NODES"])
    found = see(os.environ["PROBE_SHARING"] == "mig")
    tell("found", found)
    count = found["devices"]
    wanted = os.environ["PROBE_MEASURES"].split(",")
    if found["failed"] or not count:
        sys.exit("not all devices compute: nothing is measured")
    if "node" in wanted:
        together("node", 0, 1, count, "127.0.0.1", 0)
    if "nodes" in wanted:
        peer, patience = os.environ["PROBE_PEER"], int(os.environ["PROBE_PATIENCE"])
        wait_for(peer, patience)
        together("nodes", index, nodes, count, peer, patience)


def see(mig: bool) -> dict[str, Any]:
    """What devices there are and which do not compute. CUDA shows a process one MIG slice: each gets its own."""
    if not mig:
        return computed({})
    listed = subprocess.run(["nvidia-smi", "-L"], check=False, capture_output=True, text=True).stdout
    slices = [computed({"CUDA_VISIBLE_DEVICES": uuid}) for uuid in mig_slices(listed)]
    names: Counter[str] = Counter()
    for each in slices:
        names.update(each["names"])
    failed = [what for each in slices for what in each["failed"]]
    return {"devices": len(slices), "names": dict(names), "failed": failed}


def mig_slices(listed: str) -> list[str]:
    """The slices' UUIDs as `nvidia-smi -L` prints them: `  MIG 1g.10gb     Device  0: (UUID: MIG-c1d3d074-...)`."""
    return _MIG.findall(listed)


def computed(more: dict[str, str]) -> dict[str, Any]:
    """What a process of its own says of the devices that it sees."""
    command = [sys.executable, os.path.abspath(__file__), "compute"]
    try:
        done = subprocess.run(
            command, check=False, env={**os.environ, **more}, stdout=subprocess.PIPE, text=True, timeout=_COMPUTES
        )
    except subprocess.TimeoutExpired:
        return {"devices": 0, "names": {}, "failed": [f"nothing computed within {_COMPUTES} s"]}
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return {"devices": 0, "names": {}, "failed": [f"the process that computes ended with {done.returncode}"]}
    return json.loads(lines[-1])


def compute() -> dict[str, Any]:
    """Adds two vectors on each device, and compares with what the processor says."""
    torch: Any = importlib.import_module("torch")
    names: Counter[str] = Counter()
    failed: list[str] = []
    for index in range(torch.cuda.device_count()):
        device = torch.device("cuda", index)
        names[torch.cuda.get_device_name(index)] += 1
        numbers = torch.arange(ELEMENTS, dtype=torch.float64)
        total = (numbers.to(device) + 2 * numbers.to(device)).cpu()
        if not torch.equal(total, 3 * numbers):
            failed.append(f"device {index} adds wrongly")
    return {"devices": sum(names.values()), "names": dict(names), "failed": failed}


def together(scope: str, index: int, nodes: int, count: int, master: str, patience: int) -> None:
    """An all-reduce over all devices. The first node tells what came of it, once all of its processes ended well.

    `patience` is for how many seconds other nodes may not have started yet.
    """
    port = PORT if scope == "node" else PORT + 1
    with tempfile.TemporaryDirectory() as folder:
        result = os.path.join(folder, "result")
        more = {
            "WORLD_SIZE": str(nodes * count),
            "MASTER_ADDR": master,
            "MASTER_PORT": str(port),
            "PROBE_PATIENCE": str(patience),
            "PROBE_RESULT": result,
        }
        workers = [
            subprocess.Popen(
                [sys.executable, os.path.abspath(__file__), "reduce"],
                env={**os.environ, **more, "LOCAL_RANK": str(local), "RANK": str(index * count + local)},
            )
            for local in range(count)
        ]
        try:
            wait_all(workers, patience + _REDUCES, f"the all-reduce over {nodes * count} devices")
        finally:
            for worker in workers:
                worker.kill()
        if index == 0:
            with open(result, encoding="utf-8") as file:
                tell("measured", {"scope": scope, "devices": nodes * count, "busbw": round(float(file.read()), 2)})


def wait_all(workers: list[subprocess.Popen[bytes]], seconds: float, what: str) -> None:
    """Until all have ended well; the first that has not ends the run: the others would wait for it."""
    deadline = time.monotonic() + seconds
    while True:
        ends = [worker.poll() for worker in workers]
        if any(ends):
            sys.exit(f"{what}: its processes ended with {ends}")
        if None not in ends:
            return
        if time.monotonic() > deadline:
            sys.exit(f"{what} did not end within {seconds:.0f} s")
        time.sleep(0.1)


def reduce() -> None:
    """One device's part; the first one of all writes down what it measured."""
    torch: Any = importlib.import_module("torch")
    dist: Any = importlib.import_module("torch.distributed")
    torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    patience = timedelta(seconds=int(os.environ["PROBE_PATIENCE"]) + _REDUCES)
    dist.init_process_group("nccl", timeout=patience)
    ranks = dist.get_world_size()
    free, _ = torch.cuda.mem_get_info()
    best = max(speed(torch, dist, size, ranks) for size in SIZES if size == SIZES[0] or size < free // 2)
    if dist.get_rank() == 0:
        with open(os.environ["PROBE_RESULT"], "w", encoding="utf-8") as file:
            file.write(str(best))
    dist.destroy_process_group()


def speed(torch: Any, dist: Any, size: int, ranks: int) -> float:
    """GB/s on the bus, of one size. The sum is looked at first: a fast wrong answer is none."""
    values = torch.ones(size // 4, dtype=torch.float32, device="cuda")
    dist.all_reduce(values)
    if values[0].item() != ranks or values[-1].item() != ranks:
        raise SystemExit(f"the sum over {ranks} devices is {values[0].item()}")
    values.zero_()  # sums would overflow, round by round
    for _ in range(WARM_UP):
        dist.all_reduce(values)
    torch.cuda.synchronize()
    dist.barrier()
    started = time.perf_counter()
    for _ in range(ROUNDS):
        dist.all_reduce(values)
    torch.cuda.synchronize()
    return bus(size, (time.perf_counter() - started) / ROUNDS, ranks)


def bus(size: int, seconds: float, ranks: int) -> float:
    """Bus bandwidth of an all-reduce, GB/s (10^9). Source: NVIDIA/nccl-tests, doc/PERFORMANCE.md."""
    return size / seconds * 2 * (ranks - 1) / ranks / 1e9


def wait_for(name: str, seconds: float) -> None:
    """Until the first pod has an address: it may still wait for its node."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.getaddrinfo(name, PORT)
            return
        except OSError as error:
            if time.monotonic() > deadline:
                sys.exit(f"{name} has no address after {seconds:.0f} s: {error}")
        time.sleep(2)


def tell(what: str, value: dict[str, Any]) -> None:
    """One line for who reads the log."""
    print(MARK + json.dumps({what: value}), flush=True)


if __name__ == "__main__":
    main()
