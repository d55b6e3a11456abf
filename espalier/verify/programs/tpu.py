"""TPUs, by JAX: each chip computes, then all of the slice reduce together over their own links (ICI).

The processes of a slice find one another by what GKE's webhook writes into the pods of an indexed Job with a headless
Service (TPU_WORKER_ID, TPU_WORKER_HOSTNAMES; GKE, "Deploy TPU workloads").
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections import Counter
from typing import Any

MARK = "espalier-probe: "
ELEMENTS = 1 << 20
SIZE = 1 << 28
"""Bytes a device of an all-reduce."""
WARM_UP, ROUNDS = 3, 10


def main() -> None:
    """The whole run of one pod."""
    jax: Any = importlib.import_module("jax")
    jnp: Any = importlib.import_module("jax.numpy")
    if int(os.environ["PROBE_NODES"]) > 1:
        jax.distributed.initialize()
    own = jax.local_devices()
    failed = [f"device {device.id} adds wrongly" for device in own if not adds(jax, jnp, device)]
    # A chip of two cores is two devices to JAX on some generations, and has one place in the slice.
    chips = {tuple(device.coords): str(device.device_kind) for device in own}
    tell("found", {"devices": len(chips), "names": dict(Counter(chips.values())), "failed": failed})
    if failed:
        sys.exit("not all devices compute: nothing is measured")
    scope = os.environ["PROBE_MEASURES"]
    if scope:
        everywhere = len({tuple(device.coords) for device in jax.devices()})
        best = speed(jax, jnp)
        if jax.process_index() == 0:
            tell("measured", {"scope": scope, "devices": everywhere, "busbw": round(best, 2)})


def adds(jax: Any, jnp: Any, device: Any) -> bool:
    """Whether two vectors are added rightly; whole numbers below 2^24 are exact in float32."""
    numbers = jax.device_put(jnp.arange(ELEMENTS, dtype=jnp.float32), device)
    return bool((numbers + 2 * numbers == 3 * numbers).all()) and float((numbers + numbers)[-1]) == 2.0 * (ELEMENTS - 1)


def speed(jax: Any, jnp: Any) -> float:
    """GB/s on the bus of an all-reduce over the whole slice."""
    ranks = jax.device_count()
    add = jax.pmap(lambda value: jax.lax.psum(value, "all"), axis_name="all")
    values = jnp.zeros((jax.local_device_count(), SIZE // 4), dtype=jnp.float32)
    for _ in range(WARM_UP):
        values = add(values)
    values.block_until_ready()
    started = time.perf_counter()
    for _ in range(ROUNDS):
        values = add(values)
    values.block_until_ready()
    return bus(SIZE, (time.perf_counter() - started) / ROUNDS, ranks)


def bus(size: int, seconds: float, ranks: int) -> float:
    """Bus bandwidth of an all-reduce, GB/s (10^9). Source: NVIDIA/nccl-tests, doc/PERFORMANCE.md."""
    return size / seconds * 2 * (ranks - 1) / ranks / 1e9


def tell(what: str, value: dict[str, Any]) -> None:
    """One line for who reads the log."""
    print(MARK + json.dumps({what: value}), flush=True)


if __name__ == "__main__":
    main()
