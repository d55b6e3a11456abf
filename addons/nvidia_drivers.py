"""Which driver the GPU operator installs on which pool: versions, kernel modules, NVIDIADriver objects.

Facts: gpu-operator v26.7.0: values.yaml (default 595.91.07), api/nvidia/v1alpha1/nvidiadriver_types.go (driverType and
usePrecompiled never change, hence a name of its own for precompiled drivers); NVIDIA cloud-native-docs,
gpu-operator/life-cycle-policy.rst (versions of each branch), precompiled-drivers.rst (they are named by branch alone).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from espalier.blueprint.ownership import LAST_OF_VOLTA
from espalier.types import Mistake, PoolFacts

DEFAULT: Final = "595"
VERSIONS: Final = {"535": "535.309.01", "580": "580.173.02", "595": "595.91.07", "610": "610.57.04"}
"""Branch -> the version that this release of the operator is made for."""
_POOL: Final = "espalier.dev/pool"


@dataclass(frozen=True, slots=True)
class Driver:
    """What is installed: a version (of a precompiled driver, its branch) and the kind of its kernel modules."""

    version: str
    modules: str
    precompiled: bool


def driver_of(pool: PoolFacts, *, precompiled: bool) -> Driver:
    """The driver of a pool whose driver is the operator's."""
    volta = pool.accelerator.startswith("V100")
    said = pool.driver_version or (str(LAST_OF_VOLTA) if volta else DEFAULT)
    version = said if precompiled else VERSIONS.get(said, said)
    return Driver(version, "proprietary" if volta else "auto", precompiled)


def installed(pools: Sequence[PoolFacts]) -> list[PoolFacts]:
    """The pools whose driver an add-on installs."""
    return [pool for pool in pools if pool.owners and pool.owners.driver.who == "addon"]


def driver_objects(
    pools: Sequence[PoolFacts], tolerations: Sequence[dict[str, str]], *, precompiled: bool
) -> list[dict[str, Any]]:
    """An NVIDIADriver for each pool whose driver is the operator's, bound to its nodes alone."""
    return [_object(pool, driver_of(pool, precompiled=precompiled), tolerations) for pool in installed(pools)]


def _object(pool: PoolFacts, driver: Driver, tolerations: Sequence[dict[str, str]]) -> dict[str, Any]:
    return {
        "apiVersion": "nvidia.com/v1alpha1",
        "kind": "NVIDIADriver",
        "metadata": {
            "name": f"{pool.name}-precompiled" if driver.precompiled else pool.name,
            "labels": {"app.kubernetes.io/managed-by": "espalier"},
        },
        "spec": {
            "default": False,
            "driverType": "gpu",
            "repository": "nvcr.io/nvidia",
            "image": "driver",
            "version": driver.version,
            "kernelModuleType": driver.modules,
            "usePrecompiled": driver.precompiled,
            "nodeSelector": {_POOL: pool.name},
            "tolerations": list(tolerations),
            "upgradePolicy": {"autoUpgrade": True, "maxParallelUpgrades": 1, "maxUnavailable": "25%"},
        },
    }


def version_mistakes(path: str, pools: Sequence[PoolFacts], *, precompiled: bool) -> Iterator[Mistake]:
    """Branches that no version is known of, and versions where a branch is asked for."""
    for pool in installed(pools):
        said = pool.driver_version
        got = f"driver.version {said} of pool {pool.name}"
        if precompiled and "." in said:
            accepted = "a branch: precompiled drivers are named by it alone"
            yield Mistake(path, got, accepted, f'Write "{said.split(".")[0]}", or set precompiled: false.')
        elif said and not precompiled and "." not in said and said not in VERSIONS:
            accepted = f"a whole version, or a branch among {', '.join(VERSIONS)}"
            yield Mistake(path, got, accepted, "Write the version as NVIDIA's registry has it, such as 595.91.07.")
