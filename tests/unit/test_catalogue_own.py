"""Rows of a team's own and of other packages: read and judged as Espalier's are, and used by pools."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from espalier.blueprint.pools import compile_pools
from espalier.catalogue import accelerators, catalogue
from espalier.catalogue.own import package_paths
from espalier.settings.pool import Pool
from espalier.types import Mistakes

GOOD = """
sources:
  purchase: {text: "purchase order 4711", date: "2026-10-01"}
defaults:
  onprem: {source: purchase, capacity: [reserved]}
accelerators:
  A30:
    vendor: nvidia
    memory_gib: 24
    reference: onprem/dl380
    source: nvidia-mig
    mig_slices: [4, 4]
    mig: {1g.6gb: [1, 1, 4], 2g.12gb: [2, 2, 2], 4g.24gb: [4, 4, 1]}
  Gaudi3:
    vendor: intel
    resource: habana.ai/gaudi
    memory_gib: 128
    source: purchase
    host: {cpu: 20, memory_gib: 250, per_node: 8}
machines:
  onprem:
    dl380: {accelerator: A30, devices: 4, vcpu: 64, memory_gib: 512, architecture: amd64, local_disk_gb: 7680}
prices:
  onprem:
    - {kind: reserved, source: purchase, machines: {dl380: {hall-2: 1.9}}}
  aws:
    - {kind: on-demand, source: purchase, machines: {p5.48xlarge: {us-east-1: 44.0}}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "catalogue").mkdir()
    return tmp_path / "catalogue"


def test_a_teams_rows_stand_beside_espaliers(folder: Path) -> None:
    (folder / "ours.yaml").write_text(GOOD)
    rows = catalogue(folder)
    assert list(rows.accelerators) == [*accelerators(), "A30", "Gaudi3"]
    a30, gaudi = rows.accelerators["A30"], rows.accelerators["Gaudi3"]
    assert (a30.reference, a30.per_node, a30.host_cpu, a30.host_memory_gib) == ("dl380", 4, 16, 128)
    assert a30.mig == {"1g.6gb": 4, "2g.12gb": 2, "4g.24gb": 1}
    assert (gaudi.resource, gaudi.reference, gaudi.host_cpu) == ("habana.ai/gaudi", "8xGaudi3", 20)
    machine = rows.machines("onprem")["dl380"]
    price = rows.price(machine, "hall-2", "reserved")
    assert price is not None
    assert (price.per_hour, price.origin.source, price.origin.date) == (1.9, "purchase order 4711", "2026-10-01")
    assert [row.name for row in rows.machines_with("A30", "onprem")] == ["dl380"]


def test_a_teams_price_goes_before_the_list(folder: Path) -> None:
    (folder / "ours.yaml").write_text(GOOD)
    rows = catalogue(folder)
    found = {
        region: price and price.per_hour
        for region in ("us-east-1", "us-gov-west-1")
        for price in [rows.price(rows.machines("aws")["p5.48xlarge"], region, "on-demand")]
    }
    listed = catalogue().price(rows.machines("aws")["p5.48xlarge"], "us-gov-west-1", "on-demand")
    assert found == {"us-east-1": 44.0, "us-gov-west-1": listed and listed.per_hour}


def test_a_pool_names_a_teams_accelerator(folder: Path) -> None:
    (folder / "ours.yaml").write_text(GOOD)
    pool = Pool.model_validate(
        {"name": "p", "accelerator": "A30", "nodes": {"max": 2}, "sharing": {"mig": "all-1g.6gb"}}
    )
    plans, mistakes = compile_pools([pool], {}, simulated=True, known=catalogue(folder).accelerators)
    assert mistakes == ()
    assert plans[0].shape.devices == {"nvidia.com/mig-1g.6gb": 16}
    _, mistakes = compile_pools([pool], {}, simulated=True)
    assert [mistake.path for mistake in mistakes] == ["espalier:pools[0].accelerator"]


def test_files_are_read_by_name_and_the_last_wins(folder: Path) -> None:
    first = "sources: {s: {text: s, date: '2026-01-01'}}\ndefaults: {aws: {source: s, capacity: [spot]}}\n"
    row = "machines: {aws: {x1.mine: {vcpu: %d, memory_gib: 8, architecture: amd64}}}\n"
    (folder / "b.yaml").write_text(row % 2)
    (folder / "a.yaml").write_text(first + row % 1)
    (folder / "empty.yaml").write_text("")
    (folder / "notes.txt").write_text("not a row")
    assert catalogue(folder).machines("aws")["x1.mine"].vcpu == 2


def test_a_teams_row_replaces_the_one_of_its_name(folder: Path) -> None:
    (folder / "ours.yaml").write_text(m(MACHINE).replace("m9.x", "m7i.large"))
    rows = catalogue(folder)
    assert rows.machines("aws")["m7i.large"].vcpu == 4
    assert len(rows.machines("aws")) == len(catalogue().machines("aws"))


def test_no_folder_and_no_package_is_espaliers_own(tmp_path: Path) -> None:
    assert catalogue(tmp_path / "none") is catalogue() is catalogue(None)


def test_a_stack_uses_the_rows_of_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command's blueprint and the program's: both see them, and `check` tells what is wrong with them."""
    from espalier.cli import main

    stacks = tmp_path / "stacks"
    (stacks / "catalogue").mkdir(parents=True)
    (tmp_path / "Pulumi.yaml").write_text("name: ours\nruntime: python\nstackConfigDir: stacks\n")
    (tmp_path / "__main__.py").write_text((Path(__file__).parents[2] / "__main__.py").read_text())
    (stacks / "Pulumi.hall.yaml").write_text(
        "config:\n  espalier:cluster: {kind: simulated}\n"
        "  espalier:pools: [{name: a30, accelerator: A30, nodes: {max: 2, start: 1}}]\n"
    )
    (stacks / "catalogue" / "ours.yaml").write_text(GOOD)
    monkeypatch.chdir(tmp_path)

    def code(*arguments: str) -> object:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        return ended.value.code

    assert code("plan", "hall") == 0
    (stacks / "catalogue" / "ours.yaml").write_text(GOOD.replace("vcpu: 64", "vcpu: 0"))
    assert code("check", "hall") == 2
    (stacks / "catalogue" / "ours.yaml").unlink()
    assert code("plan", "hall") == 2


# What is wrong ----------------------------------------------------------------------------------------------------

SOURCES = "sources: {s: {text: s, date: '2026-01-01'}}\n"
MACHINE = "vcpu: 4, memory_gib: 8, architecture: amd64, source: s, capacity: [spot]"
DEVICE = "vendor: nvidia, memory_gib: 24, source: s, host: {cpu: 1, memory_gib: 1, per_node: 1}"


def a(row: str) -> str:
    return f"{SOURCES}accelerators: {{X: {{{row}}}}}"


def m(row: str) -> str:
    return f"{SOURCES}machines: {{aws: {{m9.x: {{{row}}}}}}}"


def p(row: str) -> str:
    return f"{SOURCES}prices: {{aws: [{{{row}}}]}}"


WRONG: list[tuple[str, str, str, str]] = [
    ("no YAML", "a: [", "rows.yaml", "a YAML file"),
    ("a list", "[1]", "rows.yaml", "object"),
    ("an unknown key at the top", "machine: {}", "machine", "no such key"),
    ("a key twice", f"{SOURCES}{SOURCES}", "sources", "each key once"),
    ("a day that is none", "sources: {s: {text: s, date: yesterday}}", "sources.s.date", "pattern"),
    (
        "an unknown cloud",
        f"{SOURCES}machines: {{oracle: {{}}}}",
        "machines.oracle",
        "'aws', 'gcp', 'azure' or 'onprem'",
    ),
    ("a misspelt column", m(f"{MACHINE}, gpus: 1"), "machines.aws.m9.x.gpus", "no such key"),
    (
        "no vCPU",
        m("memory_gib: 8, architecture: amd64, source: s, capacity: [spot]"),
        "machines.aws.m9.x.vcpu",
        "required",
    ),
    ("text for a number", m(MACHINE.replace("4", "'4'")), "machines.aws.m9.x.vcpu", "integer"),
    ("no memory", m(MACHINE.replace("8", "0")), "machines.aws.m9.x.memory_gib", "greater than 0"),
    ("an unknown architecture", m(MACHINE.replace("amd64", "x86")), "machines.aws.m9.x.architecture", "amd64"),
    ("an unknown way of buying", m(MACHINE.replace("[spot]", "[lease]")), "machines.aws.m9.x.capacity.0", "'spot'"),
    ("no source", m(MACHINE.replace("source: s, ", "")), "machines.aws.m9.x.source", "a source"),
    ("an unknown source", m(MACHINE.replace("source: s", "source: t")), "machines.aws.m9.x.source", "aws-prices"),
    (
        "an unknown accelerator",
        m(f"{MACHINE}, accelerator: H100, devices: 8"),
        "machines.aws.m9.x.accelerator",
        "one of",
    ),
    ("devices of nothing", m(f"{MACHINE}, devices: 8"), "machines.aws.m9.x.devices", "where there is an accelerator"),
    ("an accelerator without devices", m(f"{MACHINE}, accelerator: T4"), "machines.aws.m9.x.devices", "where there is"),
    ("an unknown attachment", m(f"{MACHINE}, attachable: {{T5: [1]}}"), "machines.aws.m9.x.attachable", "one of"),
    (
        "half a host",
        m(f"{MACHINE}, accelerator: TPU-v6e, devices: 8, topologies: [2x2]"),
        "topologies",
        "whole machines of 8",
    ),
    ("an unknown column in doubt", m(f"{MACHINE}, unverified: [price]"), "machines.aws.m9.x.unverified", "vcpu"),
    (
        "a price of nothing",
        p("kind: spot, source: s, machines: {m9.y: {r: 1.0}}"),
        "prices.aws.0.machines.m9.y",
        "aws's machines",
    ),
    ("a price of zero", p("kind: spot, source: s, machines: {p5.48xlarge: {r: 0}}"), "p5.48xlarge.r", "greater than 0"),
    ("an accelerator's vendor", a(DEVICE.replace("nvidia", "intel")), "accelerators.X.vendor", "or a resource"),
    (
        "no host",
        a(DEVICE.replace(", host: {cpu: 1, memory_gib: 1, per_node: 1}", "")),
        "accelerators.X.reference",
        "a machine",
    ),
    ("another's machine", a(DEVICE.split(", host")[0] + ", reference: aws/p5.48xlarge"), "X.reference", "with X"),
    ("profiles without slices", a(f"{DEVICE}, mig: {{1g.6gb: [1, 1, 4]}}"), "accelerators.X.mig_slices", "neither"),
    (
        "too many slices",
        a(f"{DEVICE}, mig_slices: [4, 4], mig: {{1g.6gb: [1, 1, 5]}}"),
        "X.mig.1g.6gb",
        "at most 4 compute",
    ),
    (
        "too many compute slices alone",
        a(f"{DEVICE}, mig_slices: [4, 8], mig: {{2g.3gb: [2, 1, 4]}}"),
        "X.mig.2g.3gb",
        "at most 4 compute",
    ),
    (
        "too much memory",
        a(f"{DEVICE}, mig_slices: [7, 8], mig: {{1g.12gb: [1, 1, 7]}}"),
        "X.mig.1g.12gb",
        "24 GiB in all",
    ),
    (
        "another name's slices",
        a(f"{DEVICE}, mig_slices: [4, 4], mig: {{2g.6gb: [1, 1, 4]}}"),
        "X.mig.2g.6gb",
        "as its name",
    ),
]


@pytest.mark.parametrize(("text", "path", "accepted"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_a_wrong_row_is_told_with_its_place(text: str, path: str, accepted: str, folder: Path) -> None:
    (folder / "rows.yaml").write_text(text)
    with pytest.raises(Mistakes) as caught:
        catalogue(folder)
    found = [mistake for mistake in caught.value.mistakes if path in mistake.path and accepted in mistake.accepted]
    assert found, caught.value.mistakes
    assert str(folder / "rows.yaml") in found[0].path
    assert found[0].do


def test_all_mistakes_are_told_at_once_with_their_lines(folder: Path) -> None:
    (folder / "a.yaml").write_text("machines:\n  aws:\n    m9.x:\n      vcpu: none\n      memory_gib: -1\n")
    (folder / "b.yaml").write_text("machine: {}\n")
    with pytest.raises(Mistakes) as caught:
        catalogue(folder)
    told = {
        (Path(mistake.path.split(":")[0]).name, mistake.path.split(": ")[1], mistake.line)
        for mistake in caught.value.mistakes
    }
    assert told == {
        ("a.yaml", "machines.aws.m9.x.vcpu", 4),
        ("a.yaml", "machines.aws.m9.x.memory_gib", 5),
        ("a.yaml", "machines.aws.m9.x.architecture", 3),
        ("b.yaml", "machine", 1),
    }


# Other packages ---------------------------------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Installs a package that offers `target` under the catalogue's group."""
    package_paths.cache_clear()

    def install(target: str, code: str = "") -> None:
        folder = tmp_path / "site"
        info = folder / "theirs-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[espalier.catalogue]\ntheirs = {target}\n")
        (folder / "their_rows.py").write_text(
            f"from pathlib import Path\nROWS = Path(__file__).parent / 'rows'\n{code}"
        )
        (folder / "rows").mkdir()
        (folder / "rows" / "ours.yaml").write_text(GOOD)
        monkeypatch.syspath_prepend(folder)

    yield install
    package_paths.cache_clear()
    sys.modules.pop("their_rows", None)


def test_a_packages_rows_are_read_and_the_teams_go_before_them(site: Any, folder: Path) -> None:
    site("their_rows:ROWS")
    assert catalogue().accelerators["A30"].memory_gib == 24
    (folder / "ours.yaml").write_text(
        f"{SOURCES}machines: {{onprem: {{dl380: {{{MACHINE}, accelerator: A30, devices: 2}}}}}}"
    )
    assert catalogue(folder).machines("onprem")["dl380"].devices == 2


@pytest.mark.parametrize("target", ["their_rows:NONE", "no_such_module:ROWS", "their_rows:NOWHERE"])
def test_a_package_without_rows_is_told(target: str, site: Any) -> None:
    site(target, "NOWHERE = Path('nowhere')\n")
    with pytest.raises(Mistakes) as caught:
        catalogue()
    assert [mistake.path for mistake in caught.value.mistakes] == ["entry point theirs of espalier.catalogue"]


def test_what_a_machine_reaches_has_a_source_of_its_own(folder: Path) -> None:
    busbw = "busbw: {node: 22.5, source: purchase}"
    (folder / "ours.yaml").write_text(GOOD.replace("local_disk_gb: 7680}", f"local_disk_gb: 7680, {busbw}}}"))
    reached = catalogue(folder).machines("onprem")["dl380"].busbw
    assert reached is not None
    assert (reached.node, reached.nodes, reached.origin.source) == (22.5, None, "purchase order 4711")
    (folder / "ours.yaml").write_text(
        GOOD.replace("local_disk_gb: 7680}", "local_disk_gb: 7680, busbw: {node: 0, source: hearsay}}")
    )
    with pytest.raises(Mistakes) as told:
        catalogue(folder)
    assert "machines.onprem.dl380.busbw.node" in str(told.value)
    (folder / "ours.yaml").write_text(
        GOOD.replace("local_disk_gb: 7680}", "local_disk_gb: 7680, busbw: {node: 9, source: hearsay}}")
    )
    with pytest.raises(Mistakes) as told:
        catalogue(folder)
    assert "busbw.source: got 'hearsay'" in str(told.value)


def test_what_nobody_has_published_is_unknown() -> None:
    machines = catalogue().machines("aws")
    assert machines["g4dn.12xlarge"].busbw is None
    h100, a100 = machines["p5.48xlarge"].busbw, machines["p4d.24xlarge"].busbw
    assert h100 is not None
    assert a100 is not None
    assert (h100.node, h100.nodes) == (480, None)
    assert (a100.node, a100.nodes) == (230, 57)
