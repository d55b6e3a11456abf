"""What `verify --probe` would run on each pool: devices, nodes, images, figures, money."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.addons import RECORDS
from espalier.blueprint import Blueprint, build
from espalier.blueprint.probe import WORST_MINUTES, Probe, plan_probes, probe_images
from espalier.blueprint.sharing import geometries
from espalier.blueprint.wake import works_of
from espalier.catalogue import accelerators, catalogue
from espalier.quantity import parse_quantity
from espalier.settings import load_file, validate

ROOT = Path(__file__).parents[2]
EXISTING = {"kind": "existing", "version": "1.36", "kubeconfig": "~/.kube/config", "context": "c"}
SYSTEM = {"name": "system", "machine": {"cpu": 4, "memory": "16Gi"}, "nodes": {"min": 1, "max": 1}}


def stack(name: str) -> Blueprint:
    return build(load_file(ROOT / "stacks" / f"Pulumi.{name}.yaml").settings, RECORDS)


def blueprint(pool: dict[str, Any], known: Any = None, **more: Any) -> Blueprint:
    block = {"name": "p", "nodes": {"max": 2}, **pool}
    return build(validate({"cluster": EXISTING, "pools": [SYSTEM, block], **more}, where="test"), RECORDS, known=known)


def only(made: Blueprint) -> Probe:
    probes = plan_probes(made).probes
    assert len(probes) == 1
    return probes[0]


def of(made: Blueprint, pool: str) -> Probe:
    return next(probe for probe in plan_probes(made).probes if probe.pool.name == pool)


def left_out(made: Blueprint) -> dict[str, str]:
    return {each.check: each.why for each in plan_probes(made).unprobed}


def test_nothing_computes_on_a_simulated_cluster_and_it_is_said_for_each_pool() -> None:
    plan = plan_probes(stack("local"))
    assert plan.probes == ()
    assert [each.check for each in plan.unprobed] == ["probe/h100", "probe/a100-mig", "probe/v6e", "probe/l4-slices"]
    assert {each.why for each in plan.unprobed} == {
        "its devices are simulated, and no container runs: nothing computes here"
    }
    assert probe_images(stack("local")) == ()


def test_a_whole_node_is_asked_for_and_its_devices_reduce_together() -> None:
    probe = only(blueprint({"accelerator": "H100-80", "machine": "p5.48xlarge", "count": 8}))
    assert (probe.devices, probe.nodes, probe.sharing, probe.level) == (8, 1, "", "restricted")
    assert probe.asks["nvidia.com/gpu"] == "8"
    assert probe.checks == ("probe/p", "bandwidth/p")
    assert (probe.measures[0].scope, probe.measures[0].devices, probe.measures[0].expected) == ("node", 8, 480)
    assert "nccl-tests issue 212" in probe.measures[0].source


def test_two_nodes_measure_efa_between_them_by_an_image_that_has_its_plugin() -> None:
    made = stack("aws-prod")
    probe = of(made, "h100")
    assert probe.nodes == 2
    assert "deep-learning-containers" in probe.image
    assert (probe.asks["vpc.amazonaws.com/efa"], probe.asks["hugepages-2Mi"]) == ("32", "5Gi")
    between = probe.measures[1]
    assert (between.check, between.scope, between.devices) == ("bandwidth/h100/nodes", "nodes", 16)
    assert (between.expected, between.source) == (None, "the catalogue has no such figure of p5.48xlarge")
    assert "EFA" in left_out(made)["bandwidth/trainium/nodes"]
    assert of(made, "trainium").nodes == 1


def test_a_network_that_pods_cannot_use_is_named_and_not_measured() -> None:
    assert "InfiniBand" in left_out(stack("azure-prod"))["bandwidth/h100/nodes"]
    assert "GPUDirect" in left_out(stack("gcp-prod"))["bandwidth/h100/nodes"]
    assert of(stack("azure-prod"), "h100").measures[0].expected == 460
    assert of(stack("gcp-prod"), "h100").nodes == 1


def test_a_tpu_slice_is_probed_whole() -> None:
    made = stack("gcp-prod")
    slice_, one = of(made, "v6e"), of(made, "v5e")
    assert (slice_.nodes, slice_.devices, slice_.together) == (4, 4, "cloud.google.com/gke-nodepool")
    assert (slice_.measures[0].check, slice_.measures[0].devices) == ("bandwidth/v6e", 16)
    assert (one.nodes, one.together, one.measures[0].scope) == (1, "", "node")
    assert (one.program, one.level) == ("tpu", "baseline")


def test_slices_are_all_asked_for_and_turns_one_by_one() -> None:
    mig = only(blueprint({"accelerator": "A100-80", "count": 8, "sharing": {"mig": "all-1g.10gb"}}))
    assert (mig.devices, mig.sharing, mig.asks["nvidia.com/mig-1g.10gb"]) == (56, "mig", "56")
    turns = only(blueprint({"accelerator": "L40S", "count": 4, "sharing": {"time-slices": 4}}))
    assert (turns.devices, turns.sharing, turns.asks["nvidia.com/gpu"]) == (1, "turns", "1")
    assert mig.measures == turns.measures == ()
    assert left_out(blueprint({"accelerator": "L40S", "count": 4, "sharing": {"mps": 4}})) == {
        "bandwidth/p": "its devices are shared: an all-reduce is over whole ones"
    }


SHARINGS = st.one_of(
    st.none(),
    st.builds(lambda n: {"time-slices": n}, st.integers(2, 16)),
    st.builds(lambda n: {"mps": n}, st.integers(2, 16)),
    st.just({"mig": ""}),
)


@given(name=st.sampled_from(sorted(accelerators())), count=st.integers(1, 16), sharing=SHARINGS, data=st.data())
def test_devices_are_those_of_the_sharing_arithmetic(name: str, count: int, sharing: Any, data: st.DataObject) -> None:
    accelerator = accelerators()[name]
    if sharing == {"mig": ""}:
        sharing = {"mig": data.draw(st.sampled_from(geometries(accelerator)))} if accelerator.profiles else None
    sharing = sharing if accelerator.vendor == "nvidia" else None
    if accelerator.topologies:
        return
    made = blueprint({"accelerator": name, "count": count, **({"sharing": sharing} if sharing else {})})
    advertised = made.pools[1].shape.devices
    probe = only(made)
    turns = sharing is not None and "mig" not in sharing
    assert probe.devices == (1 if turns else sum(advertised.values()))
    # What is asked for is what the proof of waking says: one of turns, else all of a node.
    work = works_of(made.pools[1])[0 if turns else -1]
    assert {device: probe.asks[device] for device in advertised} == {
        device: str(work.asks[device]) for device in advertised
    }
    assert parse_quantity(probe.asks["memory"]) <= work.asks["memory"]


def test_a_pool_that_names_no_machine_has_no_figure() -> None:
    measure = only(blueprint({"accelerator": "H100-80", "count": 8})).measures[0]
    assert (measure.expected, measure.source) == (None, "the pool names no machine of the catalogue")


def test_a_teams_own_row_says_what_its_machine_reaches(tmp_path: Path) -> None:
    (tmp_path / "ours.yaml").write_text("""
sources:
  acceptance: {text: "acceptance test of hall 2", date: "2026-10-01"}
defaults:
  onprem: {source: acceptance, capacity: [reserved]}
machines:
  onprem:
    dgx: {accelerator: H100-80, devices: 8, vcpu: 224, memory_gib: 2048, architecture: amd64,
          busbw: {node: 475.5, source: acceptance}}
""")
    known = catalogue(tmp_path)
    measure = only(blueprint({"accelerator": "H100-80", "machine": "dgx", "count": 8}, known)).measures[0]
    assert (measure.expected, measure.source) == (475.5, "acceptance test of hall 2, 2026-10-01")


@pytest.mark.parametrize(
    ("accelerator", "image"),
    [("V100-32", "2.4.1-cuda12.1"), ("T4", "cuda12.8"), ("MI300X", "rocm/pytorch:rocm7"), ("Trainium", "neuronx")],
)
def test_images_are_pinned_and_fit_the_device(accelerator: str, image: str) -> None:
    probe = only(blueprint({"accelerator": accelerator}))
    assert image in probe.image
    assert "latest" not in probe.image
    assert probe.level == ("baseline" if accelerator == "MI300X" else "restricted")


def test_images_come_from_the_stacks_registry_and_are_listed() -> None:
    made = blueprint({"accelerator": "T4"}, sources={"registry": "mirror.example.com/all"})
    assert only(made).image.startswith("mirror.example.com/all/docker.io/pytorch/pytorch:")
    listed = probe_images(made)
    assert [(image.image, image.addon, image.where) for image in listed] == [
        (only(made).image, "", "verify --probe, probe/p"),
        ("mirror.example.com/all/registry.k8s.io/pause:3.10", "", "verify --probe, pods that do nothing"),
    ]


def test_what_it_costs_at_most_is_all_nodes_at_the_dearest_price_for_as_long_as_it_may_take() -> None:
    probe = of(stack("azure-prod"), "h100")
    dearest = max(shape.price.per_hour for shape in probe.pool.shapes if shape.price)
    assert probe.worst == pytest.approx(dearest * WORST_MINUTES / 60)
    assert only(blueprint({"accelerator": "T4"})).worst is None  # unknown is unknown, never zero


def test_a_device_without_a_program_and_a_machine_without_an_image_are_said(tmp_path: Path) -> None:
    (tmp_path / "ours.yaml").write_text("""
sources: {purchase: {text: "purchase order 4711", date: "2026-10-01"}}
accelerators:
  Gaudi3: {vendor: intel, resource: habana.ai/gaudi, memory_gib: 128, source: purchase,
           host: {cpu: 20, memory_gib: 250, per_node: 8}}
""")
    assert left_out(blueprint({"accelerator": "Gaudi3"}, catalogue(tmp_path))) == {
        "probe/p": "no program is known that computes on habana.ai/gaudi"
    }
    arm = blueprint({"accelerator": "GB200", "machine": "p6e-gb200.36xlarge", "count": 4})
    assert "arm64" in left_out(arm)["probe/p"]


def test_pools_can_be_chosen() -> None:
    made = stack("aws-prod")
    assert [probe.pool.name for probe in plan_probes(made, ["l4"]).probes] == ["l4"]
    assert plan_probes(made, ["l4"]).unprobed == ()
