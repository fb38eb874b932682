"""Mappings: every neuron once, every limit kept, as few cores as the counts allow, and refusals that help."""

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from synapse_oracle import COARSE, LOIHI, branched_programs, chain, convolutions, enumerate_synapses, layer_of, resized

from neuroprune.chips.load import load_chip
from neuroprune.chips.loihi.encode import cheapest_storage, share_synapses
from neuroprune.chips.types import Tile, TileResources
from neuroprune.errors import CapacityError, VerificationError
from neuroprune.mapping.curves import hilbert_curve
from neuroprune.mapping.map import map_program
from neuroprune.mapping.types import ChipMapping, Core
from neuroprune.mapping.verify import verify_mapping
from neuroprune.program.timing import balance
from neuroprune.program.types import IntConnection, IntConv, IntDense, IntLayer, IntProgram


def dense(
    outputs: int, in_shape: tuple[int, ...], name: str = "fc", source: str = "input", weight: int = 2
) -> IntLayer:
    inputs = math.prod(in_shape)
    return layer_of(IntDense(np.full((outputs, inputs), weight, dtype=np.int16)), in_shape, (outputs,), name, source)


def conv(
    channels: int,
    in_shape: tuple[int, int, int],
    kernel: int = 3,
    stride: int = 1,
    groups: int = 1,
    name: str = "conv",
    source: str = "input",
) -> IntLayer:
    weight = np.random.default_rng(0).integers(1, 100, (channels, in_shape[0] // groups, kernel, kernel)) * 2
    padding = kernel // 2 if stride == 1 else 0
    height, width = ((n + 2 * padding - kernel) // stride + 1 for n in in_shape[1:])
    synapse = IntConv(weight.astype(np.int16), (stride, stride), (padding, padding), (1, 1), groups)
    return layer_of(synapse, in_shape, (channels, height, width), name, source)


def all_uses(mapping: ChipMapping, layer: str) -> list[TileResources]:
    return [use for core in mapping.cores for use in core.tiles if use.tile.layer == layer]


RESOURCES = ("neurons", "input axons", "output axons", "synapse memory", "synapse formats")


def used(on: Core | TileResources, resource: str) -> int:
    return on.used[RESOURCES.index(resource)]


def inside(neuron: tuple[int, int, int], tile: Tile) -> bool:
    return all(a <= at < b for a, at, b in zip(tile.start, neuron, tile.stop, strict=True))


def count_output_axons(tile: Tile, readers: Iterable[tuple[IntConnection, str, Tile]], slots: int) -> int:
    """Slots of `tile` by enumerating every synapse of every connection into every tile that may read it."""
    total = 0
    for connection, encoding, reading in readers:
        synapses = [s for s in enumerate_synapses(connection, reading) if inside(s[0], tile)]
        if encoding == "shared":
            total += slots * len({source[1:] for source, _, _ in synapses})
        else:
            total += len({source for source, _, weight in synapses if weight != 0})
    return total


@st.composite
def programs(draw: st.DrawFn) -> IntProgram:
    """Two convolutions and two dense layers."""
    first = draw(convolutions())
    second = draw(convolutions(in_shape=(first.shape[0], first.shape[1], first.shape[2])))
    first, second = (
        replace(first, name="conv1"),
        replace(second, name="conv2", connections=(replace(second.connections[0], source="conv1"),)),
    )
    rng = np.random.default_rng(draw(st.integers(0, 1000)))

    def sparse(outputs: int, in_shape: tuple[int, ...], name: str, source: str) -> IntLayer:
        weight = rng.integers(-1, 2, (outputs, math.prod(in_shape))).astype(np.int16) * 2
        return layer_of(IntDense(weight), in_shape, (outputs,), name, source)

    third = sparse(draw(st.integers(1, 9)), second.shape, "fc1", "conv2")
    return chain(first, second, third, sparse(draw(st.integers(1, 4)), third.shape, "fc2", "fc1"))


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(programs(), branched_programs()),
    st.integers(1, 150),
    st.integers(10, 200),
    st.integers(10, 200),
    st.integers(20, 600),
    st.integers(1, 4),
)
def test_any_program_on_any_core_keeps_every_limit_or_is_refused(
    program: IntProgram, neurons: int, inputs: int, outputs: int, words: int, formats: int
) -> None:
    chip = resized(
        replace(COARSE, cores_per_chip=6, mesh=(3, 2)),
        neurons_per_core=neurons,
        input_axons_per_core=inputs,
        output_axons_per_core=outputs,
        synapse_words_per_core=words,
        synapse_formats_per_core=formats,
    )
    try:
        mapping = map_program(program, chip)
    except CapacityError:
        return
    for core in mapping.cores:
        assert sum(use.tile.neurons + use.idle_neurons for use in core.tiles) <= neurons
        assert all(used(use, "neurons") == use.tile.neurons + use.idle_neurons for use in core.tiles)
        assert sum(used(use, "input axons") for use in core.tiles) <= inputs
        assert sum(used(use, "output axons") for use in core.tiles) <= outputs
        assert sum(used(use, "synapse memory") for use in core.tiles) <= words * chip.core.word_bits
        assert 1 <= sum(used(use, "synapse formats") for use in core.tiles) <= formats
        assert core.used == tuple(sum(used(use, name) for use in core.tiles) for name in RESOURCES)
    for layer in program.layers:
        uses = all_uses(mapping, layer.name)
        owned = [
            n for use in uses for n in np.ndindex(*layer.shape, *(1,) * (3 - len(layer.shape))) if inside(n, use.tile)
        ]
        assert len(owned) == len(set(owned)) == math.prod(layer.shape)
        readers = [
            (connection, encoding, use.tile)
            for reader in program.layers
            for use in all_uses(mapping, reader.name)
            for connection, encoding in zip(reader.connections, use.encodings, strict=True)
            if connection.source == layer.name
        ]
        for use in uses:
            expected = (
                count_output_axons(use.tile, readers, chip.core.population_axon_slots) if readers else use.tile.neurons
            )
            assert used(use, "output axons") == expected
    places = {(core.chip, core.x, core.y) for core in mapping.cores}
    assert len(places) == len(mapping.cores)
    assert mapping.chips == math.ceil(len(mapping.cores) / 6)
    assert all(0 <= x < 3 and 0 <= y < 2 and 0 <= chip < mapping.chips for chip, x, y in places)


def test_a_core_is_cut_no_finer_than_its_limits_ask() -> None:
    layer = dense(10, (8,))
    exact = resized(LOIHI, neurons_per_core=5)
    assert len(map_program(chain(layer), exact).cores) == 2
    assert len(map_program(chain(layer), resized(exact, neurons_per_core=4)).cores) == 3
    assert len(map_program(chain(layer), resized(exact, neurons_per_core=10)).cores) == 1
    one_run = 128  # 10 synapses of 8 bits and a header of 10 bits are two words
    memory = resized(LOIHI, synapse_words_per_core=8 * one_run // 64)
    assert len(map_program(chain(layer), memory).cores) == 1
    assert len(map_program(chain(layer), resized(memory, synapse_words_per_core=15)).cores) == 2


def test_tiles_are_balanced() -> None:
    mapping = map_program(chain(dense(100, (8,))), resized(LOIHI, neurons_per_core=30))
    assert [core.neurons for core in mapping.cores] == [25, 25, 25, 25]


def test_small_layers_share_a_core() -> None:
    program = chain(conv(4, (1, 8, 8)), dense(10, (4, 8, 8), source="conv"))
    mapping = map_program(program, LOIHI)
    assert [use.tile.layer for use in mapping.cores[0].tiles] == ["conv", "fc"]
    assert (len(mapping.cores), mapping.chips, mapping.chip) == (1, 1, "loihi-sim")
    apart = map_program(program, resized(LOIHI, synapse_formats_per_core=1))
    assert [[use.tile.layer for use in core.tiles] for core in apart.cores] == [["conv"], ["fc"]]


def test_cores_follow_a_curve_through_the_mesh_and_then_the_next_chip() -> None:
    chip = resized(replace(LOIHI, mesh=(3, 2), cores_per_chip=6), neurons_per_core=1)
    mapping = map_program(chain(dense(8, (2,))), chip)
    assert [core.chip for core in mapping.cores] == [0] * 6 + [1] * 2
    one = [(core.x, core.y) for core in mapping.cores[:6]]
    assert one == hilbert_curve(3, 2, upwards=True)
    assert mapping.chips == 2


def test_a_pixel_sends_one_population_axon_of_two_slots_to_each_reader() -> None:
    """nengo-loihi `Axon.axon_slots`: slots_per_axon * n_axons, an axon a pixel, whatever the number of channels."""
    program = chain(conv(8, (1, 6, 6)), conv(8, (8, 6, 6), name="next", source="conv"))
    mapping = map_program(program, resized(LOIHI, synapse_words_per_core=80))
    assert {use.encodings[0] for use in all_uses(mapping, "next")} == {"shared"}
    readers = len(all_uses(mapping, "next"))
    assert readers > 1
    assert sum(used(use, "output axons") for use in all_uses(mapping, "conv")) >= 2 * 36 * readers
    assert sum(used(use, "output axons") for use in all_uses(mapping, "next")) == 8 * 36


def test_idle_neurons_spare_synapse_memory_when_that_is_scarce() -> None:
    """On a plane of 4 x 4, edges make 9 kinds of pixels with 49 taps of 3 x 3 in all; with idle neurons one of 9.

    Of a source channel, 32 filters have 288 synapses of 8 bits, in 8 pieces of four filters side by side whose gaps
    have 2 bits: 36 * 10 bits and a header of 10 + 10 take 6 words. So a core holds 256 times that, but not 49 taps.
    """
    mapping = map_program(chain(conv(64, (256, 4, 4))), LOIHI)
    assert [used(core, "synapse memory") for core in mapping.cores] == [256 * 48 * 64] * 2
    assert sum(core.neurons for core in mapping.cores) == 64 * 16
    assert sum(used(core, "neurons") for core in mapping.cores) == 64 * 5 * 5 + 2 * (4 * 5 + 1)


def test_average_pooling_inside_a_convolution_costs_no_synapse_memory() -> None:
    """A kernel of 3 x 3 over means of 2 x 2 is one of 6 x 6 with every weight four times: stored once."""
    weight = np.random.default_rng(0).integers(1, 100, (64, 256, 3, 3)).astype(np.int16) * 2
    pooled = IntConv(weight.repeat(2, axis=2).repeat(2, axis=3), (2, 2), (2, 2), (1, 1), 1)
    mapping = map_program(chain(layer_of(pooled, (256, 8, 8), (64, 4, 4))), LOIHI)
    assert len(mapping.cores) == 2
    plain = map_program(chain(layer_of(IntConv(weight, (1, 1), (1, 1), (1, 1), 1), (256, 4, 4), (64, 4, 4))), LOIHI)
    assert sum(used(core, "synapse memory") for core in mapping.cores) == sum(
        used(core, "synapse memory") for core in plain.cores
    )


def test_among_as_many_tiles_those_of_least_synapse_memory_win() -> None:
    layer, chip = conv(4, (8, 8, 8)), resized(LOIHI, neurons_per_core=128)
    cuts = [
        [((0, 0, 0), (2, 8, 8)), ((2, 0, 0), (4, 8, 8))],
        [((0, 0, 0), (4, 4, 8)), ((0, 4, 0), (4, 8, 8))],
        [((0, 0, 0), (4, 8, 4)), ((0, 0, 4), (4, 8, 8))],
    ]
    shared = share_synapses(layer, [0])
    bits = [
        sum(cheapest_storage(shared, Tile("conv", *box), 8, chip.core).synapse_bits for box in boxes) for boxes in cuts
    ]
    assert len(set(bits)) > 1
    mapping = map_program(chain(layer), chip)
    assert len(mapping.cores) == 2
    assert sum(used(core, "synapse memory") for core in mapping.cores) == min(bits)


def test_pruned_weights_take_fewer_cores() -> None:
    rng = np.random.default_rng(0)
    weight = rng.integers(1, 100, (512, 1024)).astype(np.int16) * 2
    pruned = np.where(rng.random(weight.shape) < 0.1, weight, 0).astype(np.int16)
    cores = [
        len(map_program(chain(layer_of(IntDense(values), (1024,), (512,))), LOIHI).cores) for values in (weight, pruned)
    ]
    assert cores == [5, 1]


def test_a_vgg_like_network_maps_the_same_way_twice() -> None:
    layers = [
        conv(64, (3, 32, 32), name="a"),
        conv(64, (64, 32, 32), kernel=2, stride=2, groups=64, name="b", source="a"),
        conv(256, (64, 16, 16), name="c", source="b"),
        conv(512, (256, 16, 16), kernel=4, stride=4, name="d", source="c"),
        conv(512, (512, 4, 4), name="e", source="d"),
        conv(512, (512, 4, 4), kernel=4, stride=4, groups=512, name="f", source="e"),
        dense(10, (512,), name="g", source="f"),
    ]
    first, second = (map_program(chain(*layers), LOIHI) for _ in range(2))
    assert first == second
    assert sum(core.neurons for core in first.cores) == sum(math.prod(layer.shape) for layer in layers)


def test_a_neuron_that_reads_more_than_a_core_has_axons() -> None:
    expected = (
        r"^layer fc: one neuron needs 5000 input axons, a core of loihi-sim has 4096: "
        r"prune the layer or pool before it, or choose a target with larger cores$"
    )
    with pytest.raises(CapacityError, match=expected) as caught:
        map_program(chain(dense(3, (5000,))), LOIHI)
    assert caught.value.exit_code == 3


def test_pruning_a_dense_layer_makes_it_fit() -> None:
    layer = dense(3, (5000,))
    weight = layer.connections[0].synapse.weight.copy()
    weight[:, :1000] = 0
    map_program(chain(layer_of(IntDense(weight), (5000,), (3,))), LOIHI)


def test_a_convolution_of_more_synapses_than_axons_fits_by_population_axons() -> None:
    mapping = map_program(chain(conv(1, (512, 3, 3))), LOIHI)
    (use,) = all_uses(mapping, "conv")
    assert use.encodings[0] == "shared"
    assert (used(use, "input axons"), use.synapses) == (9, 512 * 49)


def test_a_dense_layer_that_reads_a_map_fits_by_population_axons() -> None:
    mapping = map_program(chain(dense(3, (512, 3, 3))), LOIHI)
    (use,) = all_uses(mapping, "fc")
    assert use.encodings == ("shared",)
    assert (used(use, "input axons"), use.synapses) == (9, 3 * 512 * 9)


def test_a_pool_before_a_dense_layer_costs_one_block() -> None:
    """A global average is folded into the weights: 64 pixels of equal weights, which 64 axons name."""
    rng = np.random.default_rng(0)
    weight = np.repeat(rng.integers(1, 100, (10, 512)) * 2, 64, axis=1).astype(np.int16)
    pooled = layer_of(IntDense(weight), (512, 8, 8), (10,), "fc")
    (use,) = all_uses(map_program(chain(pooled), LOIHI), "fc")
    assert use.encodings == ("shared",)
    assert used(use, "input axons") == 64
    assert used(use, "synapse memory") == 512 * 2 * 64  # ten weights and gaps of 2 bits, with a header: two words


def test_spikes_that_wait_longer_than_a_synapse_can_hold_them_are_a_mistake() -> None:
    program = skipping()
    for name, layers in (("loihi-sim", 3), ("loihi-sim-relay", 4)):
        chip = load_chip(name)
        balanced = balance(program, chip.synaptic_delay_max)
        assert len(balanced.layers) == layers
        map_program(balanced, chip)
    expected = (
        r"^spikes of layer a wait 1 steps for layer c, synapses of loihi-sim-relay delay by 0 at most: balance the prog"
    )
    with pytest.raises(VerificationError, match=expected):
        map_program(program, load_chip("loihi-sim-relay"))


def skipping() -> IntProgram:
    """Three dense layers in a chain, of which the last reads both before it."""
    first, second, last = (dense(4, (4,), name, source) for name, source in (("a", "input"), ("b", "a"), ("c", "b")))
    both = (*last.connections, replace(last.connections[0], source="a"))
    return chain(first, second, replace(last, connections=both))


def test_a_layer_of_more_formats_than_a_core_has() -> None:
    chip = resized(replace(LOIHI, name="small"), synapse_formats_per_core=1)
    expected = (
        r"^layer c: one neuron needs 2 synapse formats, a core of small has 1: let it read fewer layers, or choose a ta"
    )
    with pytest.raises(CapacityError, match=expected):
        map_program(skipping(), chip)


def test_a_neuron_whose_synapses_exceed_the_memory() -> None:
    small = resized(replace(LOIHI, name="small"), synapse_words_per_core=4)
    expected = r"^layer fc: one neuron needs 320 bits of synapse memory, a core of small has 256: prune the layer, or"
    with pytest.raises(CapacityError, match=expected):
        map_program(chain(dense(3, (5,))), small)


def test_a_neuron_with_more_readers_than_output_axons() -> None:
    small = resized(replace(LOIHI, name="small"), neurons_per_core=1, output_axons_per_core=5)
    program = chain(dense(2, (4,), name="fc1"), dense(6, (2,), name="fc2", source="fc1"))
    expected = (
        r"^layer fc1: one neuron needs 6 output axons, a core of small has 5: "
        r"prune the layers that read it, so that they take fewer cores, or"
    )
    with pytest.raises(CapacityError, match=expected):
        map_program(program, small)


def good_mapping() -> tuple[ChipMapping, IntProgram]:
    program = chain(dense(6, (2,)))
    return map_program(program, resized(LOIHI, neurons_per_core=3)), program


def with_core(mapping: ChipMapping, core: Core) -> ChipMapping:
    return replace(mapping, cores=(mapping.cores[0], core))


@pytest.mark.parametrize(
    ("start", "stop", "sentence"),
    [
        ((2, 0, 0), (5, 1, 1), r"^neuron \(2, 0, 0\) of layer fc is on 2 cores instead of 1: map the network again"),
        ((4, 0, 0), (6, 1, 1), r"^neuron \(3, 0, 0\) of layer fc is on 0 cores instead of 1: map the network again"),
        (
            (3, 0, 0),
            (7, 1, 1),
            r"^core 1 holds neurons \(3, 0, 0\) to \(7, 1, 1\) of layer fc, which has 6 x 1 x 1: map",
        ),
        (
            (3, 0, 0),
            (3, 1, 1),
            r"^core 1 holds neurons \(3, 0, 0\) to \(3, 1, 1\) of layer fc, which has 6 x 1 x 1: map",
        ),
    ],
)
def test_a_neuron_that_is_not_on_exactly_one_core(
    start: tuple[int, int, int], stop: tuple[int, int, int], sentence: str
) -> None:
    mapping, program = good_mapping()
    core = mapping.cores[1]
    moved = replace(core, tiles=(replace(core.tiles[0], tile=Tile("fc", start, stop)),))
    with pytest.raises(VerificationError, match=sentence) as caught:
        verify_mapping(with_core(mapping, moved), program, LOIHI)
    assert caught.value.exit_code == 4


def test_a_core_over_its_limit() -> None:
    mapping, program = good_mapping()
    (tile,) = mapping.cores[1].tiles
    use = replace(tile, used=(tile.used[0], 4097, *tile.used[2:]))
    expected = r"^core 1 needs 4097 input axons, a core of loihi-sim has 4096: map the network again"
    with pytest.raises(VerificationError, match=expected):
        verify_mapping(with_core(mapping, replace(mapping.cores[1], tiles=(use,))), program, LOIHI)


def test_idle_neurons_count_against_the_limit() -> None:
    mapping, program = good_mapping()
    (tile,) = mapping.cores[1].tiles
    use = replace(tile, used=(3 + 1022, *tile.used[1:]), idle_neurons=1022)
    with pytest.raises(VerificationError, match=r"^core 1 needs 1025 neurons, a core of loihi-sim has 1024: map"):
        verify_mapping(with_core(mapping, replace(mapping.cores[1], tiles=(use,))), program, LOIHI)


def test_two_cores_at_one_place() -> None:
    mapping, program = good_mapping()
    with pytest.raises(VerificationError, match=r"^2 cores lie at x 0, y 0 of chip 0: map the network again"):
        verify_mapping(with_core(mapping, replace(mapping.cores[1], x=0)), program, LOIHI)


@pytest.mark.parametrize("place", [{"x": 16}, {"y": 8}, {"x": -1}, {"chip": 1}])
def test_a_core_outside_the_mesh(place: dict[str, int]) -> None:
    mapping, program = good_mapping()
    with pytest.raises(
        VerificationError, match=r"^a core lies at x .*, outside 1 chips of 16 x 8 cores: map the network"
    ):
        verify_mapping(with_core(mapping, replace(mapping.cores[1], **place)), program, LOIHI)
