"""Mapping for time: what tiles take is counted synapse by synapse, and the busiest core is held against all others."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from own_objects import NeuronsOnly
from synapse_oracle import COARSE, LOIHI, branched_programs, chain, enumerate_synapses, layer_of, resized

from neuroprune.chips.chip import Chip
from neuroprune.chips.cost_model import CostModel
from neuroprune.data.coding import frames_of
from neuroprune.data.load import load_dataset
from neuroprune.errors import CapacityError
from neuroprune.graph.fold import fold
from neuroprune.graph.trace import trace
from neuroprune.mapping.budget import Budget
from neuroprune.mapping.count import Counting
from neuroprune.mapping.effort import effort_of
from neuroprune.mapping.limits import exceeded
from neuroprune.mapping.map import pack_for_time, pack_program
from neuroprune.mapping.pace import Work, busiest, least_busy, timed
from neuroprune.mapping.types import Packing
from neuroprune.networks.build import build
from neuroprune.networks.recipe import load_recipe
from neuroprune.program.types import IntDense, IntProgram
from neuroprune.quantization.quantize import quantize
from neuroprune.report.activity import arriving_by_connection
from neuroprune.simulation.engine import simulate
from neuroprune.simulation.types import Trace

DAVIES, SANA_FE = LOIHI.costs


def frames_for(program: IntProgram, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-9, 10, (3, *program.input.shape)).astype(np.int8)


def work_of(program: IntProgram, trace: Trace, model: CostModel) -> Work:
    spikes = {layer.name: layer.spikes for layer in trace.layers}
    return Work(model, spikes, arriving_by_connection(program, trace), trace.samples * trace.steps)


def by_synapses(program: IntProgram, packing: Packing, trace: Trace, model: CostModel) -> float:
    """Nanoseconds of the core that works longest, over all steps, from single synapses and neurons."""
    assert model.synop_time is not None
    assert model.active_neuron_time is not None
    assert model.inactive_neuron_time is not None
    sources = {"input": trace.input_events} | {layer.name: layer.spikes for layer in trace.layers}
    layers = {layer.name: layer for layer in program.layers}
    taken = trace.samples * trace.steps
    numbers = {use.tile: number for number, core in enumerate(packing.cores) for use in core}
    receiving, updating = np.zeros(len(packing.cores)), np.zeros(len(packing.cores))
    for number, use in ((numbers[use.tile], use) for core in packing.cores for use in core):
        layer, tile = layers[use.tile.layer], use.tile
        updating[number] += taken * tile.neurons * model.active_neuron_time.value
        updating[number] += taken * use.idle_neurons * model.inactive_neuron_time.value
        for neuron in product(*(range(a, b) for a, b in zip(tile.start, tile.stop, strict=True))):
            fired = sources[layer.name].reshape(*layer.shape, *(1,) * (3 - len(layer.shape)))[neuron]
            updating[number] += fired * (model.spike_time.value if model.spike_time else 0)
        for at, connection in enumerate(layer.connections):
            fired = sources[connection.source].reshape(*connection.in_shape, *(1,) * (3 - len(connection.in_shape)))
            synapses = enumerate_synapses(connection, tile)
            each = model.synop_time.of(use.encodings[at])
            stored = [one for one in synapses if use.encodings[at] != "sparse" or one[2] != 0]
            receiving[number] += sum(int(fired[source]) for source, _, _ in stored) * (each or 0)
            if connection.source == "input" or model.message_in_time is None or model.message_out_time is None:
                continue
            shared = use.encodings[at] == "shared"
            for source in {source for source, _, weight in synapses if shared or weight != 0}:
                receiving[number] += int(fired[source]) * model.message_in_time.value
                (sender,) = (
                    there
                    for other, there in numbers.items()
                    if other.layer == connection.source
                    and all(a <= n < b for a, n, b in zip(other.start, source, other.stop, strict=True))
                )
                updating[sender] += int(fired[source]) * model.message_out_time.value
    return float(max(receiving.max(), updating.max()))


def retimed(program: IntProgram, packing: Packing, work: Work, chip: Chip) -> Packing:
    """The same tiles on the same cores, with their times."""
    tiles = {
        layer.name: [use.tile for core in packing.cores for use in core if use.tile.layer == layer.name]
        for layer in program.layers
    }
    of = {use.tile: use for uses in Counting(program, timed(chip, work)).count(tiles).values() for use in uses}
    return Packing(tuple(tuple(of[use.tile] for use in core) for core in packing.cores))


def recounted(program: IntProgram, packing: Packing, work: Work, chip: Chip) -> int:
    """Picoseconds of its busiest core, as the mapper counts them."""
    return busiest(retimed(program, packing, work, chip))


@settings(max_examples=30, deadline=None)
@given(branched_programs(delays=True), st.integers(2, 40), st.integers(0, 1000), st.sampled_from([DAVIES, SANA_FE]))
def test_the_busiest_core_is_that_of_its_synapses_and_no_slower_than_before(
    program: IntProgram, neurons: int, seed: int, model: CostModel
) -> None:
    chip = resized(COARSE, neurons_per_core=neurons)
    try:
        before = pack_program(program, chip, "layers")
    except CapacityError:
        return
    trace = simulate(program, frames_for(program, seed))
    work = work_of(program, trace, model)
    after = pack_for_time(program, before, work, chip, "layers")
    counts = [
        (recounted(program, each, work, chip), by_synapses(program, each, trace, model)) for each in (before, after)
    ]
    for picoseconds, nanoseconds in counts:
        assert picoseconds == pytest.approx(1000 * nanoseconds, abs=100)
    assert counts[1][0] <= counts[0][0]
    assert len(after.cores) <= len(before.cores)
    assert all(
        exceeded(tuple(map(sum, zip(*(use.used for use in core), strict=True))), chip.core.resources) is None
        for core in after.cores
    )
    assert pack_for_time(program, before, work, chip, "layers") == after


@settings(max_examples=30, deadline=None)
@given(branched_programs(), st.integers(1, 4), st.integers(0, 1000))
def test_tiles_of_known_times_are_parted_nearly_as_well_as_can_be(program: IntProgram, cores: int, seed: int) -> None:
    """Where cores are limited by nothing else, within 13/11 of the least of the same tiles on as many cores, which is
    the bound of MULTIFIT (Yue, 1990), and the 1 % within which halving ends."""
    chip = replace(LOIHI, core=NeuronsOnly(100_000))
    trace = simulate(program, frames_for(program, seed))
    model = DAVIES.model_copy(update={"synop_time": None, "inactive_neuron_time": None})
    work = work_of(program, trace, model)
    found = pack_for_time(program, pack_program(program, chip), work, chip, "layers", Budget(cores=cores))
    times = [use.tile.neurons for core in found.cores for use in core]
    if len(times) > 7:
        return
    least = min(
        max(sum(time for time, on in zip(times, where, strict=True) if on == core) for core in range(cores))
        for where in product(range(cores), repeat=len(times))
    )
    assert max(sum(use.tile.neurons for use in core) for core in found.cores) <= 13 / 11 * 1.01 * least
    assert len(found.cores) <= cores


def test_a_tile_that_alone_takes_too_long_is_cut() -> None:
    """One layer on one of eight cores: all eight work on it, an eighth each."""
    program = chain(layer_of(IntDense(np.full((64, 8), 2, np.int16)), (8,), (64,)))
    trace = simulate(program, np.full((1, 8), 5, np.int8))
    work = work_of(program, trace, DAVIES)
    before = pack_program(program, LOIHI)
    after = pack_for_time(program, before, work, LOIHI, "layers", Budget(cores=8))
    assert (len(before.cores), len(after.cores)) == (1, 8)
    assert 8 * recounted(program, after, work, LOIHI) == pytest.approx(recounted(program, before, work, LOIHI))
    assert least_busy(retimed(program, before, work, LOIHI), 8) == recounted(program, after, work, LOIHI)


def test_searches_for_ever_less_time_share_so_many_trials_as_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """They end where these are used up, and take more where there is no end to them."""
    data = load_dataset("digits")
    frames = frames_of(data.train.images[:8], data.coding)
    network = build(load_recipe("digits-conv"), data.input_shape, len(data.classes))
    program = quantize(fold(trace(network.eval(), torch.from_numpy(frames[:1]))), frames, LOIHI)
    work = work_of(program, simulate(program, frames), DAVIES)
    before = pack_program(program, LOIHI, "layers")
    monkeypatch.setattr("neuroprune.mapping.map.effort_of", lambda _: effort_of("normal")._replace(trials=30))

    def trials(searches: int) -> int:
        monkeypatch.setattr("neuroprune.mapping.map.SEARCHES", searches)
        taken: list[str] = []
        pack_for_time(program, before, work, LOIHI, "normal", progress=lambda task, *_, **__: taken.append(task))
        return len(taken)

    assert trials(1) == 30 < trials(1000)
