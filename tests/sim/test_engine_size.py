"""Stacks of ten thousand objects: their inventory on a real API server, and the memory that a run takes for each."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from espalier.engine.inventory import NAMESPACE, Entry, Inventory, short_id
from espalier.kube import Client, Kind, Reference

CONFIG_MAP = Kind("v1", "ConfigMap")
COUNT = 10_000
KILOBYTES_EACH = 65
"""So that 10,000 objects stay far below 1 GB. The garbage of the first pass, if it stayed, would be above it."""


@pytest.fixture
def client(kubeconfig: Path) -> Client:
    return Client.connect(kubeconfig)


@pytest.fixture
def inventory(client: Client) -> Iterator[Inventory]:
    yield Inventory.load(client, "size", "inventory")
    Inventory.load(client, "size", "inventory").remove()


def entry(index: int) -> Entry:
    urn = f"urn:pulumi:prod::platform::espalier:index:Platform$espalier:index:Tenant$kubernetes:v1:ConfigMap::x-{index}"
    reference = Reference(CONFIG_MAP, f"a-tenant-with-a-name-{index // 50}", f"an-object-with-a-name-{index}")
    depends = (short_id(f"{index // 50}"),)
    return Entry(urn=urn, reference=reference, uid="u" * 36, desired="d" * 32, live="l" * 32, depends=depends)


def test_the_inventory_of_ten_thousand_objects_is_kept_in_the_cluster(inventory: Inventory, client: Client) -> None:
    for index in range(COUNT):
        one = entry(index)
        inventory.entries[one.reference.key] = one
    inventory.save()
    again = Inventory.load(client, "size", "inventory")
    assert again.entries == inventory.entries
    before = versions(client, inventory)
    assert len(before) > COUNT // 400
    again.save()
    assert versions(client, inventory) == before
    del again.entries[entry(0).reference.key]
    again.save()
    after = versions(client, inventory)
    assert len({name for name in before if before[name] != after[name]}) == 1, "one entry is in one ConfigMap"


def versions(client: Client, inventory: Inventory) -> dict[str, str]:
    """The resourceVersion of each ConfigMap of the inventory."""
    items = client.list(CONFIG_MAP, NAMESPACE, labelSelector=f"espalier.dev/stack={inventory.stack_id}")
    return {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in items}


UP = """
    import resource
    import sys

    import pulumi

    from espalier.engine.program import Program
    from espalier.engine.up import up

    def body():
        ns = pulumi.CustomResource("kubernetes:core/v1:Namespace", "ns", {"metadata": {"name": "size-" + sys.argv[2]}})
        for i in range(int(sys.argv[2])):
            metadata = {"name": f"object-{i}", "namespace": ns.metadata["name"], "labels": {"app": f"app-{i}"}}
            data = {f"key-{j}": f"value-{j} " * 10 for j in range(5)}
            pulumi.CustomResource("kubernetes:core/v1:ConfigMap", f"object-{i}", {"metadata": metadata, "data": data})

    result = up(Program(body, "size", "up-" + sys.argv[2]), connection=sys.argv[1])
    assert len(result.changes) == int(sys.argv[2]) + 1
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.fixture
def stacks(client: Client) -> Iterator[list[int]]:
    """The sizes of the stacks that are brought up: made in the test, removed here, without waiting."""
    made: list[int] = []
    yield made
    for count in made:
        Inventory.load(client, "size", f"up-{count}").remove()
        reference = Reference(Kind("v1", "Namespace"), "", f"size-{count}")
        if client.find_object(reference):
            client.delete(reference.kind, reference.name)


def test_an_up_takes_so_little_memory_for_each_object_that_ten_thousand_fit(
    kubeconfig: Path, stacks: list[int]
) -> None:
    few, many = 100, 900
    stacks += [few, many]
    peaks = [peak(kubeconfig, count) for count in (few, many)]
    each = (peaks[1] - peaks[0]) / (many - few)
    assert each < KILOBYTES_EACH, f"{each:.0f} KB for each object"


def peak(kubeconfig: Path, count: int) -> int:
    """The most memory, in KB, that an `up` of a new stack held in a process of its own."""
    command = [sys.executable, "-c", textwrap.dedent(UP), str(kubeconfig), str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)
