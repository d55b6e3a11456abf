"""What the support matrix says of accelerators and sharing: planned, and rehearsed on a real control plane."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from espalier.addons import RECORDS
from espalier.catalogue import accelerators
from espalier.commands.plan import plan
from espalier.commands.project import open_project
from espalier.verify.rehearse import RehearsalResult, rehearse

ROOT = Path(__file__).parents[2]
SHARING = {"MIG": {"mig": "all-1g.10gb"}, "time slices": {"time-slices": 4}, "MPS": {"mps": 4}}


def pool(name: str, accelerator: str, **more: Any) -> dict[str, Any]:
    topology = {"topology": next(iter(topologies))} if (topologies := accelerators()[accelerator].topologies) else {}
    return {"name": name, "accelerator": accelerator, "nodes": {"max": 1, "start": 1}, **topology, **more}


def slug(name: str) -> str:
    return name.lower().replace(" ", "-")


POOLS = {
    **{name: pool(slug(name), name) for name in accelerators()},
    **{name: pool(slug(name), "H100-80", sharing=how) for name, how in SHARING.items()},
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("all")
    for name in ("Pulumi.yaml", "__main__.py"):
        (folder / name).write_text((ROOT / name).read_text())
    (folder / "stacks").mkdir()
    config = {
        "espalier:cluster": {"kind": "simulated", "version": "1.36"},
        "espalier:pools": list(POOLS.values()),
        "espalier:addons": {"nvidia-device-plugin": {}},
    }
    path = folder / "stacks" / "Pulumi.all.yaml"
    path.write_text(yaml.safe_dump({"config": config}))
    return path


@pytest.fixture(scope="module")
def rehearsed(project: Path) -> RehearsalResult:
    opened = open_project(str(project))
    return rehearse(opened.stack, root=opened.root, project=opened.name, records=RECORDS)


def named(names: list[str], grade: str) -> list[Any]:
    return [pytest.param(name, marks=pytest.mark.supports(name, grade), id=name) for name in names]


@pytest.mark.parametrize("name", named(list(POOLS), "planned"))
def test_it_is_planned_with_its_devices_and_taint(name: str, project: Path) -> None:
    planned = plan(open_project(str(project)))
    assert planned.ok
    entry = next(entry for entry in planned.document["pools"] if entry["name"] == slug(name))
    assert all(count > 0 for count in entry["devices"].values())
    assert entry["taints"]


@pytest.mark.parametrize("name", named(list(POOLS), "rehearsed"))
def test_its_pods_land_and_others_do_not(name: str, rehearsed: RehearsalResult) -> None:
    checks = {check.name: check for check in rehearsed.checks}
    for family in ("land", "taint", "sharing"):
        check = checks[f"{family}/{slug(name)}"]
        assert check.ok, check.evidence
