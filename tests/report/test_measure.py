"""Measures against a count of every single synapse and event."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from neuroprune.chips.chip import Chip
from neuroprune.chips.load import load_chip
from neuroprune.chips.types import Tile, TileResources
from neuroprune.mapping.map import map_program
from neuroprune.mapping.types import ChipMapping, Core
from neuroprune.neurons.cuba_lif import IntCubaLif
from neuroprune.program.bounds import layer_bounds
from neuroprune.program.timing import balance
from neuroprune.program.types import IntBias, IntConnection, IntConv, IntDense, IntInput, IntLayer, IntProgram
from neuroprune.quantization.errors import RoundingErrors
from neuroprune.report.chip_schema import ResourceAmount, Taken
from neuroprune.report.layer_schema import ChangedReport, RoundingReport
from neuroprune.report.measure import measure
from neuroprune.report.schema import ExchangeRemark, LavaCheck, Report
from neuroprune.report.synops import synapses, synops
from neuroprune.report.zeros import map_zeros_stored
from neuroprune.simulation.ladder import Accuracies, ChangedSpikes
from neuroprune.simulation.types import LayerTrace, Trace

SAMPLES, STEPS = 3, 2
NEURON = IntCubaLif(4095, 2048, 100)


def no_bias(channels: int) -> IntBias:
    return IntBias(np.zeros(channels, dtype=np.int32), 6)


def layer(
    name: str, source: str, synapse: IntConv | IntDense, in_shape: tuple[int, ...], shape: tuple[int, ...]
) -> IntLayer:
    return IntLayer(name, (IntConnection(source, synapse, in_shape),), NEURON, no_bias(shape[0]), shape, 12.5, "weight")


def weights(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Even integers of the chip's range, about half of them zero."""
    generator = np.random.default_rng(seed)
    return (2 * generator.integers(-127, 127, shape) * generator.integers(0, 2, shape)).astype(np.int16)


CONVS = {
    "padded": layer("c", "input", IntConv(weights((4, 3, 3, 3), 0), (1, 1), (1, 1), (1, 1), 1), (3, 5, 6), (4, 5, 6)),
    "strided 5x3": layer(
        "c", "input", IntConv(weights((2, 3, 5, 3), 1), (2, 1), (2, 0), (1, 1), 1), (3, 7, 6), (2, 4, 4)
    ),
    "dilated": layer("c", "input", IntConv(weights((2, 2, 3, 2), 2), (1, 2), (2, 1), (2, 3), 1), (2, 6, 7), (2, 6, 3)),
    "grouped": layer("c", "input", IntConv(weights((6, 2, 3, 3), 3), (1, 1), (1, 1), (1, 1), 3), (6, 4, 4), (6, 4, 4)),
    "pool": layer(
        "c", "input", IntConv(np.full((4, 1, 2, 2), 2, np.int16), (2, 2), (0, 0), (1, 1), 4), (4, 5, 6), (4, 2, 3)
    ),
}
DENSE = layer("d", "c", IntDense(weights((7, 20), 4)), (5, 2, 2), (7,))
LAYERS = {**CONVS, "dense after conv": DENSE}


def every_synapse(layer: IntLayer) -> Iterator[tuple[tuple[int, ...], tuple[int, ...], int]]:
    """(source, neuron, weight) of each synapse, by the definition of a convolution."""
    if isinstance(layer.connections[0].synapse, IntDense):
        sources = list(np.ndindex(*layer.connections[0].in_shape))
        for (index,) in np.ndindex(*layer.shape):
            for source, weight in zip(sources, layer.connections[0].synapse.weight[index], strict=True):
                yield source, (index,), int(weight)
        return
    conv = layer.connections[0].synapse
    out_channels, in_group, height, width = conv.weight.shape
    for c, y, x in np.ndindex(*layer.shape):
        group = c // (out_channels // conv.groups)
        for k, i, j in np.ndindex(in_group, height, width):
            row = y * conv.stride[0] - conv.padding[0] + i * conv.dilation[0]
            column = x * conv.stride[1] - conv.padding[1] + j * conv.dilation[1]
            if 0 <= row < layer.connections[0].in_shape[1] and 0 <= column < layer.connections[0].in_shape[2]:
                yield (group * in_group + k, row, column), (c, y, x), int(conv.weight[c, k, i, j])


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_operations_arriving_at_each_neuron_equal_the_sum_over_every_synapse(layer: IntLayer) -> None:
    events = np.random.default_rng(9).integers(0, 50, layer.connections[0].in_shape)
    every, nonzero = np.zeros(layer.shape, np.int64), np.zeros(layer.shape, np.int64)
    for source, target, weight in every_synapse(layer):
        every[target] += events[source]
        nonzero[target] += events[source] * (weight != 0)
    found = synops(layer, {layer.connections[0].source: events})
    np.testing.assert_array_equal(found.all, every)
    np.testing.assert_array_equal(found.nonzero, nonzero)


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_synapses_leave_the_padding_out(layer: IntLayer) -> None:
    found = synapses(layer)
    assert found.all.sum() == sum(1 for _ in every_synapse(layer))
    assert found.nonzero.sum() == sum(1 for _, _, weight in every_synapse(layer) if weight)


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_each_event_of_a_source_counts_once_for_each_synapse_that_leaves_it(layer: IntLayer) -> None:
    fan_out = np.zeros(layer.connections[0].in_shape, np.int64)
    for source, _, _ in every_synapse(layer):
        fan_out[source] += 1
    for source in itertools.islice(np.ndindex(*layer.connections[0].in_shape), 0, None, 7):
        events = np.zeros(layer.connections[0].in_shape, np.int64)
        events[source] = 1
        assert synops(layer, {layer.connections[0].source: events}).all.sum() == fan_out[source]


def test_counts_of_a_whole_test_set_stay_exact() -> None:
    layer = CONVS["padded"]
    events = np.full(layer.connections[0].in_shape, 10**12 + 1)
    assert synops(layer, {layer.connections[0].source: events}).all[0, 2, 2] == 27 * (10**12 + 1)


CONV = layer("c", "input", IntConv(weights((5, 1, 3, 3), 5), (2, 2), (1, 1), (1, 1), 1), (1, 4, 4), (5, 2, 2))


def use(layer: str, start: tuple[int, int, int], stop: tuple[int, int, int], bits: int) -> TileResources:
    tile = Tile(layer, start, stop)
    if layer == "d":
        return TileResources(tile, (tile.neurons, 10, 20, bits, 1), 30, ("dense",))
    return TileResources(tile, (tile.neurons + 6, 10, 20, bits, 1), 30, ("shared",), idle_neurons=6)


@pytest.fixture(scope="module")
def chip() -> Chip:
    return load_chip("loihi-sim")


@pytest.fixture(scope="module")
def program() -> IntProgram:
    return IntProgram(IntInput((1, 4, 4), 0.02, 8), (CONV, DENSE), STEPS)


@pytest.fixture(scope="module")
def trace() -> Trace:
    generator = np.random.default_rng(1)
    return Trace(
        samples=SAMPLES,
        steps=STEPS,
        outputs=generator.integers(0, 2, (SAMPLES, 7)),
        input_events=generator.integers(0, SAMPLES * STEPS + 1, (1, 4, 4)),
        saturated_inputs=12,
        layers=(
            LayerTrace("c", generator.integers(0, SAMPLES * STEPS + 1, (5, 2, 2)), 1, 2),
            LayerTrace("d", generator.integers(0, SAMPLES * STEPS + 1, (7,)), 3, 4),
        ),
    )


@pytest.fixture(scope="module")
def report(program: IntProgram, trace: Trace, chip: Chip) -> Report:
    mapping = ChipMapping(
        "loihi-sim",
        (
            Core((use("c", (0, 0, 0), (5, 1, 2), 8192),), 0, 0, 0),
            Core((use("c", (0, 1, 0), (5, 2, 2), 4096), use("d", (0, 0, 0), (3, 1, 1), 100)), 0, 1, 0),
            Core((use("d", (3, 0, 0), (7, 1, 1), 16384 * 64),), 1, 0, 0),
        ),
        2,
    )
    return measure(
        program,
        mapping,
        trace,
        chip,
        network="a network",
        data="digits",
        accuracy=Accuracies(float=0.98, bit_accurate=0.97),
        lava=LavaCheck(samples=0, not_run="Lava is not installed"),
        exchange_remarks=(ExchangeRemark(file="program.net", text="c: a remark"),),
        versions={"torch": "2.6"},
        seed=7,
        bounds=layer_bounds(program),
        rounding={"c": RoundingErrors(0.5, 0.25, 0.125, 1.0, 0.0, 2.0)},
        changed={"d": ChangedSpikes(0.25, 0.5)},
    )


def test_what_was_found_of_a_layer_is_taken_over(report: Report, program: IntProgram) -> None:
    conv, dense = report.layers
    assert conv.rounding == RoundingReport(
        weight=0.5, clipped=0.25, threshold=0.125, bias=1.0, decay_v=0.0, decay_u=2.0
    )
    assert dense.changed == ChangedReport(quantised=0.25, bit_accurate=0.5)
    assert (dense.rounding, conv.changed) == (None, None)
    for layer, bound in zip(report.layers, layer_bounds(program).values(), strict=True):
        assert layer.bound is not None
        assert (layer.bound.sums, layer.bound.current, layer.bound.voltage, layer.bound.safe) == (
            bound.sums,
            bound.current,
            bound.voltage,
            bound.safe,
        )
        register = 2**23 - 1
        assert layer.bound.times_register == max(bound.sums, bound.current, bound.voltage) / register


# --- paths of different length ----------------------------------------------------------------------------------------


def branched() -> IntProgram:
    """a, b and c in a chain of 2x2 maps; c also reads a, and d is dense and reads all of them and the input."""
    shape = (2, 2, 2)

    def to(name: str, *sources: str) -> IntLayer:
        conv = IntConv(np.full((2, 2, 1, 1), 128, np.int16), (1, 1), (0, 0), (1, 1), 1)
        return replace(
            layer(name, sources[0], conv, shape, shape),
            connections=tuple(IntConnection(source, conv, shape) for source in sources),
        )

    dense = IntDense(np.full((3, 8), 128, np.int16))
    last = replace(
        layer("d", "a", dense, shape, (3,)),
        connections=tuple(IntConnection(source, dense, shape) for source in ("a", "b", "c", "input")),
        neuron=replace(NEURON, reset="subtract"),
        bias=no_bias(3),
    )
    return IntProgram(IntInput(shape, 1.0, 8), (to("a", "input"), to("b", "a"), to("c", "a", "b"), last), STEPS)


def measured(program: IntProgram, chip: Chip, saturated_inputs: int = 0) -> Report:
    layers = tuple(LayerTrace(each.name, np.ones(each.shape, np.int64), 0, 0) for each in program.layers)
    events = np.zeros(program.input.shape, np.int64)
    run = Trace(1, STEPS, np.zeros((1, 1), np.int64), events, saturated_inputs, layers)
    return measure(
        program,
        map_program(program, chip, effort="layers"),
        run,
        chip,
        network="n",
        data=None,
        accuracy=Accuracies(),
        lava=LavaCheck(samples=0),
        zeros=map_zeros_stored(program, chip, "layers"),
    )


def test_delays_are_counted_where_synapses_can_delay(chip: Chip) -> None:
    report = measured(balance(branched(), chip.synaptic_delay_max), chip)
    found = {each.name: each for each in report.layers}
    assert [(each.sources, each.waits) for each in report.layers] == [
        (("input",), (0,)),
        (("a",), (0,)),
        (("a", "b"), (1, 0)),
        (("a", "b", "c", "input"), (2, 1, 0, 3)),
    ]
    assert {name: each.delayed_synapses for name, each in found.items()} == {"a": 0, "b": 0, "c": 16, "d": 48}
    assert (report.totals.relay_neurons, report.totals.delayed_synapses) == (0, 64)
    assert not any(each.relay for each in report.layers)
    assert [each.reset for each in report.layers] == ["zero", "zero", "zero", "subtract"]


def test_relays_are_counted_where_synapses_cannot_delay() -> None:
    chip = load_chip("loihi-sim-relay")
    report = measured(balance(branched(), chip.synaptic_delay_max), chip)
    relays = [each for each in report.layers if each.relay]
    assert [each.name for each in relays] == ["a relay 1", "a relay 2", "b relay 1"]
    assert (report.totals.relay_neurons, report.totals.delayed_synapses) == (3 * 8, 0)
    assert [(each.kind, each.neurons, each.synapses, each.weight_bits) for each in relays] == [("conv", 8, 8, 2)] * 3
    assert report.totals.neurons == 3 * 8 + 3 + 3 * 8


def test_a_layer_that_convolves_and_reads_all_is_mixed(chip: Chip) -> None:
    first = layer(
        "a", "input", IntConv(np.full((3, 2, 2, 2), 2, np.int16), (1, 1), (0, 0), (1, 1), 1), (2, 2, 2), (3, 1, 1)
    )
    both = replace(
        first,
        name="b",
        connections=(
            IntConnection("a", IntConv(np.full((3, 3, 1, 1), 2, np.int16), (1, 1), (0, 0), (1, 1), 1), (3, 1, 1)),
            IntConnection("a", IntDense(np.full((3, 3), 2, np.int16)), (3, 1, 1)),
        ),
    )
    report = measured(IntProgram(IntInput((2, 2, 2), 1.0, 8), (first, both), STEPS), chip)
    assert [each.kind for each in report.layers] == ["conv", "mixed"]


def test_clipped_values_of_a_recording_are_shares_of_all_its_frames(chip: Chip) -> None:
    program = branched()
    program = replace(program, input=replace(program.input, sequence=True))
    report = measured(program, chip, saturated_inputs=8 * STEPS)
    assert report.input.saturated_share == 1


def test_what_is_not_measured_is_taken_over(report: Report) -> None:
    assert (report.network, report.data, report.seed) == ("a network", "digits", 7)
    ladder = report.accuracy
    assert (ladder.float, ladder.folded, ladder.quantised, ladder.bit_accurate) == (0.98, None, None, 0.97)
    assert report.lava.not_run == "Lava is not installed"
    assert report.exchange_remarks == (ExchangeRemark(file="program.net", text="c: a remark"),)
    assert report.versions == {"torch": "2.6"}
    assert (report.target.name, report.target.family) == ("loihi-sim", "loihi")
    assert [(each.name, each.unit, each.limit) for each in report.target.resources] == [
        ("neurons", "neurons", 1024),
        ("input axons", "axons", 4096),
        ("output axons", "axons", 4096),
        ("synapse memory", "bits", 128 * 8192),
        ("synapse formats", "formats", 16),
    ]


def test_layers_hold_their_activity(report: Report, trace: Trace) -> None:
    conv, dense = report.layers
    assert (conv.name, conv.kind, conv.sources, conv.shape, conv.neurons) == ("c", "conv", ("input",), (5, 2, 2), 20)
    assert (dense.name, dense.kind, dense.sources, dense.shape, dense.neurons) == ("d", "dense", ("c",), (7,), 7)
    assert conv.spikes_per_neuron_step == trace.layers[0].spikes.sum() / (20 * SAMPLES * STEPS)
    assert (conv.current_wraps, conv.voltage_saturations) == (1, 2)
    assert (conv.cores, dense.cores) == (2, 2)
    assert (conv.weight_bits, conv.vth, conv.scale, conv.limited_by) == (8, 100, 12.5, "weight")
    # 4x4 inputs, stride 2, padding 1: windows of 2x2, 2x3, 3x2 and 3x3 inputs, for each of 5 channels.
    assert conv.synapses == 5 * (4 + 6 + 6 + 9)
    assert dense.synapses == 7 * 20
    assert dense.nonzero_synapses == np.count_nonzero(DENSE.connections[0].synapse.weight)


def test_operations_are_events_times_fan_out(report: Report, trace: Trace) -> None:
    dense = report.layers[1]
    assert dense.synops_per_sample == 7 * trace.layers[0].spikes.sum() / SAMPLES
    fan_out = np.count_nonzero(DENSE.connections[0].synapse.weight, axis=0)
    assert dense.nonzero_synops_per_sample == (fan_out * trace.layers[0].spikes.ravel()).sum() / SAMPLES


def test_input_events_and_clipping_are_reported(report: Report, trace: Trace) -> None:
    assert report.input.events_per_sample == trace.input_events.sum() / SAMPLES
    assert report.input.saturated_share == 12 / (SAMPLES * 16)
    assert (report.input.shape, report.input.bits, report.input.unit) == ((1, 4, 4), 8, 0.02)


def test_a_core_delivers_the_operations_of_its_own_neurons(report: Report, trace: Trace) -> None:
    first, second, third = report.cores
    upper = np.zeros((5, 2, 2), dtype=bool)
    upper[:, 0] = True
    expected = sum(trace.input_events[source] for source, neuron, _ in every_synapse(CONV) if upper[neuron])
    assert first.synops_per_step == expected / (SAMPLES * STEPS)
    assert third.synops_per_step == 4 * trace.layers[0].spikes.sum() / (SAMPLES * STEPS)
    nonzero = (np.count_nonzero(DENSE.connections[0].synapse.weight[3:], axis=0) * trace.layers[0].spikes.ravel()).sum()
    assert third.nonzero_synops_per_step == nonzero / (SAMPLES * STEPS)
    assert second.synops_per_step > 3 * trace.layers[0].spikes.sum() / (SAMPLES * STEPS)


def test_the_cores_together_deliver_what_the_layers_receive(report: Report) -> None:
    for kind in ("synops", "nonzero_synops"):
        on_cores = sum(getattr(core, f"{kind}_per_step") for core in report.cores) * STEPS
        assert on_cores == pytest.approx(getattr(report.totals, f"{kind}_per_sample"))


def test_cores_show_their_share_of_each_limit(report: Report) -> None:
    first, second, third = report.cores
    assert (first.neurons, first.idle_neurons, third.idle_neurons) == (10, 6, 0)
    limits = {each.name: (each.unit, each.limit) for each in report.target.resources}
    for core in report.cores:
        assert {each.name: (each.unit, each.limit) for each in core.resources} == limits
    assert [each.used for each in first.resources] == [10 + 6, 10, 20, 8192, 1]
    assert [each.used for each in second.resources] == [10 + 6 + 3, 20, 40, 4196, 2]
    assert [each.percent for each in first.resources] == [
        100 * (10 + 6) / 1024,
        100 * 10 / 4096,
        100 * 20 / 4096,
        100 / 128,
        100 / 16,
    ]
    assert {each.name: each.percent for each in third.resources}["synapse memory"] == 100
    assert (second.layers, second.encodings) == (("c", "d"), ("shared", "dense"))
    assert [(core.index, core.chip, core.x, core.y) for core in report.cores] == [
        (0, 0, 0, 0),
        (1, 0, 1, 0),
        (2, 1, 0, 0),
    ]


def test_totals_add_up(report: Report, trace: Trace) -> None:
    totals = report.totals
    assert (totals.neurons, totals.synapses, totals.cores, totals.chips) == (27, 125 + 140, 3, 2)
    assert totals.spikes_per_sample == sum(layer.spikes.sum() for layer in trace.layers) / SAMPLES
    for number, each in enumerate(totals.resources):
        limit = report.target.resources[number]
        assert (each.name, each.unit, each.limit) == (limit.name, limit.unit, 3 * limit.limit)
        assert each.used == sum(core.resources[number].used for core in report.cores)
    assert totals.busiest_core == int(np.argmax([core.synops_per_step for core in report.cores]))


# --- zeros ------------------------------------------------------------------------------------------------------------


def sparse_dense(kept: int) -> IntProgram:
    """40 inputs to 8 neurons, each of which reads the first `kept` inputs."""
    weight = np.zeros((8, 40), np.int16)
    weight[:, :kept] = 2
    return IntProgram(IntInput((40,), 1.0, 8), (layer("d", "input", IntDense(weight), (40,), (8,)),), STEPS)


def amounts(resources: Sequence[ResourceAmount]) -> dict[str, int]:
    return {each.name: each.used for each in resources}


def test_what_zeros_save_is_what_storing_them_would_take(chip: Chip) -> None:
    report = measured(sparse_dense(10), chip)
    (only,) = report.layers
    assert (report.totals.zero_weights_share, only.zero_weights_share) == (0.75, 0.75)
    # A source with weights has an axon, and 8 weights of 8 bits with a header of 10: two words of 64 bits.
    assert amounts(only.resources)["synapse memory"] == 10 * 128
    assert amounts(only.resources)["input axons"] == 10
    for stored in (report.totals.zeros_stored, only.zeros_stored):
        assert stored is not None
        assert stored.cores == 1
        assert amounts(stored.resources)["synapse memory"] == 40 * 128
        assert amounts(stored.resources)["input axons"] == 40


def test_storing_zeros_maps_the_program_that_has_other_weights_in_their_place(chip: Chip) -> None:
    rng = np.random.default_rng(0)
    full = 2 * rng.integers(1, 127, (24, 16, 3, 3))
    pooled = 2 * rng.integers(1, 127, (8, 24, 3, 3))

    def of(present: float) -> IntProgram:
        convs = [
            np.where(rng.random(full.shape) < present, full, 0),
            np.kron(np.where(rng.random(pooled.shape) < present, pooled, 0), np.ones((2, 2), np.int64)),
        ]
        first = IntConv(convs[0].astype(np.int16), (1, 1), (1, 1), (1, 1), 1)
        second = IntConv(convs[1].astype(np.int16), (2, 2), (2, 2), (1, 1), 1)
        chain = (
            layer("a", "input", first, (16, 12, 12), (24, 12, 12)),
            layer("b", "a", second, (24, 12, 12), (8, 6, 6)),
        )
        return IntProgram(IntInput((16, 12, 12), 1.0, 8), chain, STEPS)

    dense, sparse = measured(of(1.0), chip), measured(of(0.02), chip)
    assert dense.totals.zeros_stored is None
    assert sparse.totals.zeros_stored is not None
    assert sparse.totals.zeros_stored.cores == dense.totals.cores
    assert amounts(sparse.totals.zeros_stored.resources) == {each.name: each.used for each in dense.totals.resources}
    for with_zeros, full_layer in zip(sparse.layers, dense.layers, strict=True):
        assert with_zeros.zeros_stored == Taken(cores=full_layer.cores, resources=full_layer.resources)
    assert amounts(sparse.layers[0].resources)["synapse memory"] < amounts(dense.layers[0].resources)["synapse memory"]


def test_zeros_without_which_a_neuron_does_not_fit_say_so(chip: Chip) -> None:
    weight = np.zeros((1, 5000), np.int16)
    weight[:, ::10] = 2
    program = IntProgram(IntInput((5000,), 1.0, 8), (layer("d", "input", IntDense(weight), (5000,), (1,)),), STEPS)
    report = measured(program, chip)
    assert report.totals.zeros_stored is None
    assert report.layers[0].zeros_stored is None
    assert report.totals.zeros_do_not_fit == (
        "layer d: one neuron needs 5000 input axons, a core of loihi-sim has 4096: prune the layer or pool before it, "
        "or choose a target with larger cores"
    )


def test_relays_keep_their_zeros() -> None:
    chip = load_chip("loihi-sim-relay")
    one = np.full((8, 8), 2, np.int16)
    chain = [layer("a", "input", IntDense(one), (8,), (8,)), layer("b", "a", IntDense(one), (8,), (8,))]
    last = layer("c", "b", IntDense(one * (np.arange(8) > 3)), (8,), (8,))
    last = replace(last, connections=(*last.connections, IntConnection("a", IntDense(one), (8,))))
    report = measured(balance(IntProgram(IntInput((8,), 1.0, 8), (*chain, last), STEPS), 0), chip)
    relay = next(each for each in report.layers if each.relay)
    assert relay.zero_weights_share == 7 / 8
    assert report.totals.zero_weights_share == 32 / (4 * 64)
    assert relay.zeros_stored == Taken(cores=relay.cores, resources=relay.resources)


@pytest.mark.parametrize(("value", "share"), [(254, 0.5), (-256, 0.5), (252, 0.0), (-254, 0.0)])
def test_saturated_weights_are_those_at_an_end_of_the_range(value: int, share: float, trace: Trace, chip: Chip) -> None:
    dense = layer("d", "input", IntDense(np.array([[value, 0]], dtype=np.int16)), (2,), (1,))
    program = IntProgram(IntInput((2,), 1.0, 8), (dense,), STEPS)
    mapping = ChipMapping("loihi-sim", (Core((use("d", (0, 0, 0), (1, 1, 1), 64),), 0, 0, 0),), 1)
    silent = LayerTrace("d", np.zeros(1, np.int64), 0, 0)
    run = Trace(1, STEPS, np.zeros((1, 1), np.int64), np.zeros(2, np.int64), 0, (silent,))
    report = measure(
        program, mapping, run, chip, network="n", data=None, accuracy=Accuracies(), lava=LavaCheck(samples=0)
    )
    assert report.layers[0].saturated_weights_share == share
    assert report.totals.synops_per_sample == 0
