"""Estimates against arithmetic by hand: what is unknown is None, what is more costs no less."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from programs import conv, dense, program_of, with_bias

from neuroprune.chips.chip import Chip
from neuroprune.chips.cost_model import CostModel
from neuroprune.chips.load import load_chip
from neuroprune.mapping.map import map_program
from neuroprune.mapping.mesh import Mesh
from neuroprune.neurons.cuba_lif import IntCubaLif
from neuroprune.report.activity import Activity, Messages, activity_of
from neuroprune.report.costs import costs_of, estimate, heaviest_link
from neuroprune.report.synops import synops
from neuroprune.simulation.engine import simulate

# Core 0 sends 1.5 messages to core 1, two tiles to the right and one down; core 1 one to itself and half a one back.
MESSAGES = Messages(np.array([0, 1, 1]), np.array([1, 1, 0]), np.array([1.5, 1.0, 0.5]))
ALONG_X = replace(load_chip("loihi-sim"), mesh=(8, 16))
ACTIVITY = Activity(
    steps=4,
    depth=2,
    places=np.array([(0, 1, 0), (0, 4, 2)]),
    mesh=Mesh(ALONG_X, 3),
    synops={"dense": np.array([10.0, 0.0]), "shared": np.array([0.0, 20.0])},
    neurons=np.array([8.0, 4.0]),
    idle=np.array([0.0, 1.0]),
    spikes=np.array([2.0, 1.0]),
    messages=MESSAGES,
)


def figure(value: object, unit: str) -> dict[str, object]:
    return {"value": value, "unit": unit, "source": "a test", "grade": "assumed"}


def model_of(**figures: object) -> CostModel:
    """Energies in pJ and times in ns of simple numbers; None leaves one out."""
    values: dict[str, Any] = {
        "tile": (2, 2),
        "synop_energy": {"dense": 3.0, "shared": 2.0},
        "active_neuron_energy": 5.0,
        "inactive_neuron_energy": 4.0,
        "spike_energy": 7.0,
        "message_energy": 11.0,
        "hop_energy_x": 1.0,
        "hop_energy_y": 1.5,
        "synop_time": 1.0,
        "active_neuron_time": 2.0,
        "inactive_neuron_time": 1.0,
        "spike_time": 3.0,
        "message_out_time": 2.0,
        "message_in_time": 4.0,
        "link_time": 0.5,
        "barrier_time": {1: 10.0, 3: 30.0},
        **figures,
    }
    units = {"energy": "pJ", "time": "ns", "tile": "cores"}
    known = {
        name: figure(value, next(unit for word, unit in units.items() if word in name))
        for name, value in values.items()
        if value is not None
    }
    return CostModel.model_validate(
        {"name": "toy", "title": "a toy", "source": "a test", "grade": "assumed", "remarks": ("a remark",), **known}
    )


def test_energy_and_time_are_what_one_counts_by_hand() -> None:
    found = estimate(model_of(), ACTIVITY)
    energy, step = found.energy, found.step
    assert energy is not None
    assert step is not None
    # 4 steps, in thousandths: pJ to nJ
    assert energy.synapse_nj == pytest.approx((10 * 3 + 20 * 2) * 4 / 1000)
    assert energy.neuron_nj == pytest.approx(12 * 5 * 4 / 1000)
    assert energy.spike_nj == pytest.approx(3 * 7 * 4 / 1000)
    assert energy.network_nj == pytest.approx((3 * 11 + 4 * 1 + 2 * 1.5) * 4 / 1000)
    assert energy.idle_nj == pytest.approx(1 * 4 * 4 / 1000)
    assert energy.total_nj == pytest.approx((70 + 60 + 21 + 40 + 4) * 4 / 1000)
    # core 0: updates 8*2 + 2*3 + 1.5*2 = 25, receives 10 + 0.5*4; core 1: updates 4*2 + 1 + 3 + 1.5*2 = 15, receives
    # 20 + 2.5*4 = 30
    assert (step.core, step.compute_ns, step.link_ns) == (1, 30.0, 0.75)
    assert step.barrier_ns == pytest.approx(20.0)  # two tiles, halfway between one and three
    assert (step.total_ns, step.bound_by) == (50.0, "compute")
    assert found.latency_us == pytest.approx(50.0 * (4 + 2) / 1000)
    assert found.samples_per_s == pytest.approx(1e9 / (50.0 * 4))
    assert found.remarks == ("a remark",)


@pytest.mark.parametrize(
    ("link", "barrier", "bound_by", "total"), [(40.0, 20.0, "link", 80.0), (0.5, 90.0, "barrier", 120.0)]
)
def test_a_step_is_bound_by_its_longest_part(link: float, barrier: float, bound_by: str, total: float) -> None:
    step = estimate(model_of(link_time=link, barrier_time={1: barrier}), ACTIVITY).step
    assert step is not None
    assert (step.bound_by, step.total_ns) == (bound_by, total)


def test_what_a_model_has_no_figure_for_is_none_and_said() -> None:
    found = estimate(model_of(spike_energy=None, hop_energy_y=None, link_time=None, barrier_time=None), ACTIVITY)
    assert found.energy is not None
    assert found.step is not None
    assert (found.energy.spike_nj, found.energy.network_nj) == (None, None)
    assert found.energy.total_nj == pytest.approx((70 + 60 + 4) * 4 / 1000)
    assert (found.step.link_ns, found.step.barrier_ns, found.step.total_ns) == (None, None, 30.0)
    assert found.remarks[1:] == (
        "the time leaves out links, the barrier, of which it is unknown",
        "the energy leaves out spike, network, of which it is unknown",
    )


def test_messages_that_were_not_counted_are_none_and_said() -> None:
    found = estimate(model_of(), replace(ACTIVITY, messages=None))
    assert found.energy is not None
    assert found.step is not None
    assert (found.energy.network_nj, found.step.link_ns) == (None, None)
    assert (found.step.core, found.step.compute_ns) == (0, 22.0)
    assert "sent messages" in found.remarks[1]


def test_a_synop_of_an_encoding_without_a_figure_is_unknown() -> None:
    found = estimate(model_of(synop_energy={"dense": 3.0}), ACTIVITY)
    assert found.energy is not None
    assert found.energy.synapse_nj is None


def test_without_any_figure_of_a_kind_there_is_no_estimate_of_it() -> None:
    names = list(CostModel.model_fields)
    no_energy = estimate(
        model_of(**{name: None for name in names if name.endswith("energy") or "_energy_" in name}), ACTIVITY
    )
    assert no_energy.energy is None
    assert no_energy.step is not None
    assert no_energy.remarks == ("a remark",)
    no_time = estimate(model_of(**{name: None for name in names if name.endswith("time")}), ACTIVITY)
    assert (no_time.step, no_time.latency_us, no_time.samples_per_s) == (None, None, None)
    assert no_time.energy is not None


@pytest.mark.parametrize("part", ["synops", "neurons", "idle", "spikes", "count"])
def test_more_of_anything_costs_no_less(part: str) -> None:
    if part == "synops":
        more = replace(ACTIVITY, synops={name: 2 * counted for name, counted in ACTIVITY.synops.items()})
    elif hasattr(MESSAGES, part):
        more = replace(ACTIVITY, messages=replace(MESSAGES, **{part: 2 * getattr(MESSAGES, part)}))
    else:
        more = replace(ACTIVITY, **{part: 2 * getattr(ACTIVITY, part)})
    for model in (model_of(), *load_chip("loihi-sim").costs):
        less_found, more_found = estimate(model, ACTIVITY), estimate(model, more)
        assert less_found.energy is not None
        assert more_found.energy is not None
        assert less_found.step is not None
        assert more_found.step is not None
        assert more_found.energy.total_nj >= less_found.energy.total_nj
        assert more_found.step.total_ns >= less_found.step.total_ns


def test_the_heaviest_link_is_that_of_walking_each_message_tile_by_tile() -> None:
    generator = np.random.default_rng(5)
    tiles = generator.integers(0, 5, (12, 2))
    messages = Messages(*generator.integers(0, 12, (2, 40)), generator.random(40))
    links: dict[tuple[int, int, int, int], float] = {}
    for source, target, count in zip(messages.source, messages.target, messages.count, strict=True):
        (x, y), (to_x, to_y) = tiles[source].tolist(), tiles[target].tolist()
        while (x, y) != (to_x, to_y):
            step_x = (to_x > x) - (to_x < x)
            after = (x + step_x, y) if step_x else (x, y + (to_y > y) - (to_y < y))
            links[x, y, *after] = links.get((x, y, *after), 0.0) + count
            x, y = after
    assert heaviest_link(messages, tiles) == pytest.approx(max(links.values()))


def test_chips_lie_in_a_row_of_tiles() -> None:
    activity = replace(ACTIVITY, places=np.array([(0, 7, 1), (1, 0, 1), (2, 3, 2)]))
    assert activity.tiles((2, 2)).tolist() == [[3, 0], [4, 0], [9, 1]]


def test_hops_of_an_estimate_are_those_of_the_mesh_that_cores_were_placed_in() -> None:
    """Chips of 16 x 8 cores follow each other along y."""
    places = np.array([(0, 0, 0), (0, 15, 7), (1, 2, 0), (2, 5, 7)])
    mesh = Mesh(load_chip("loihi-sim"), 3)
    activity = replace(ACTIVITY, places=places, mesh=mesh)
    tiles = activity.tiles((1, 1))
    for one in range(4):
        for other in range(4):
            assert np.abs(tiles[one] - tiles[other]).sum() == mesh.hops(places[one], places[other])
    assert activity.tiles((2, 2)).tolist() == [[0, 0], [7, 3], [1, 4], [2, 11]]


def deployed() -> tuple[Any, Any, Any, Chip]:
    """A convolution and two dense layers, the last with many zeros, so that several encodings are there."""
    generator = np.random.default_rng(3)
    neuron = with_bias(IntCubaLif(decay_u=4095, decay_v=1024, vth=60), [10, -5, 3])
    first = conv("a", "input", (2, 6, 6), 2 * generator.integers(-60, 60, (3, 2, 3, 3)), padding=(1, 1), neuron=neuron)
    second = dense("b", "a", (3, 6, 6), 2 * generator.integers(-60, 60, (40, 108)))
    third = dense("c", "b", (40,), 2 * generator.integers(-60, 60, (30, 40)) * (generator.random((30, 40)) < 0.1))
    program = program_of(first, second, third, steps=3)
    chip = load_chip("loihi-sim")
    frames = generator.integers(-60, 60, (4, 2, 6, 6)).astype(np.int8)
    return program, map_program(program, chip), simulate(program, frames), chip


def test_the_activity_has_every_synop_and_spike_once() -> None:
    program, mapping, trace, chip = deployed()
    activity = activity_of(program, mapping, trace, chip)
    taken = trace.samples * trace.steps
    events = {"input": trace.input_events} | {layer.name: layer.spikes for layer in trace.layers}
    expected: dict[str, int] = {}
    encodings = {use.tile.layer: use.encodings for core in mapping.cores for use in core.tiles}
    for layer in program.layers:
        (encoding,) = encodings[layer.name]
        found = synops(layer, events)
        expected[encoding] = expected.get(encoding, 0) + int(
            (found.nonzero if encoding == "sparse" else found.all).sum()
        )
    assert {"sparse", "shared"} <= set(expected)
    assert {name: round(counted.sum() * taken) for name, counted in activity.synops.items()} == expected
    assert round(activity.spikes.sum() * taken) == sum(int(layer.spikes.sum()) for layer in trace.layers)
    assert activity.neurons.sum() == 108 + 40 + 30
    assert (activity.steps, activity.depth) == (3, 3)


def test_each_model_of_the_chip_gives_an_estimate_with_its_grade() -> None:
    program, mapping, trace, chip = deployed()
    found = costs_of(chip, activity_of(program, mapping, trace, chip))
    assert [(each.model, each.grade) for each in found] == [("davies-2018", "published"), ("sana-fe-2.2", "fitted")]
    assert costs_of(replace(chip, costs=()), activity_of(program, mapping, trace, chip)) == ()
