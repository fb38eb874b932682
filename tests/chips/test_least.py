"""What layers take at least: never more than tiles of any form take, and exactly what is counted by hand."""

from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from mapped_programs import doubled, random_chip, varied
from own_objects import NeuronsOnly
from programs import random_program
from synapse_oracle import LOIHI, chain, layer_of, resized

from neuroprune.chips.chip import Chip
from neuroprune.chips.loihi.family import Loihi
from neuroprune.chips.types import Box, Tile, volume
from neuroprune.errors import CapacityError
from neuroprune.mapping.bounds import least_cores, resource_bounds
from neuroprune.mapping.count import Counting
from neuroprune.mapping.map import pack_program
from neuroprune.neurons.cuba_lif import IntCubaLif
from neuroprune.program.timing import balance
from neuroprune.program.types import IntConnection, IntConv, IntDense, IntLayer, IntProgram

NEURONS, INPUT_AXONS, OUTPUT_AXONS, MEMORY, FORMATS = range(5)


def random_case(seed: int) -> tuple[IntProgram, Chip]:
    """Residual, recurrent, grouped, delayed, with zeros and equal taps; half of the cores take two for a reset."""
    rng = np.random.default_rng((seed, 2))
    chip = random_chip(rng)
    while not isinstance(chip.core, Loihi):
        chip = random_chip(rng)
    chip = resized(chip, subtracting_compartments=int(rng.choice([1, 2])))
    program, _ = random_program(seed, largest=8)
    return balance(varied(rng, program), chip.synaptic_delay_max), chip


def random_tiles(layer: IntLayer, most_neurons: int, rng: np.random.Generator) -> list[Tile]:
    """The layer cut anywhere along its axes; into single neurons where a tile would have too many."""
    shape = volume(layer.shape)
    ends = [sorted({0, size, *rng.integers(0, size + 1, rng.integers(0, 3)).tolist()}) for size in shape]
    boxes = list(product(*(list(pairwise(axis)) for axis in ends)))
    if max(np.prod([stop - start for start, stop in box]) for box in boxes) > most_neurons:
        boxes = list(product(*([(at, at + 1) for at in range(size)] for size in shape)))
    return [Tile(layer.name, *zip(*box, strict=True)) for box in boxes]


@settings(max_examples=150)
@given(st.integers(0, 2**32 - 1))
def test_tiles_of_any_form_take_at_least_what_is_proved(seed: int) -> None:
    program, chip = random_case(seed)
    counting, rng = Counting(program, chip), np.random.default_rng(seed)
    tiles = {layer.name: random_tiles(layer, chip.core.most_neurons, rng) for layer in program.layers}
    uses = counting.count(tiles)
    for layer in program.layers:
        taken = np.sum([use.used for use in uses[layer.name]], axis=0)
        assert (taken >= counting.least(layer)).all(), (layer.name, taken, counting.least(layer))


def test_tiles_of_any_form_are_stored_in_every_way() -> None:
    """So that the promise above is one about all of them."""
    ways, recurrent, subtracting = set(), False, False
    for seed in range(60):
        program, chip = random_case(seed)
        counting, rng = Counting(program, chip), np.random.default_rng(seed)
        tiles = {layer.name: random_tiles(layer, chip.core.most_neurons, rng) for layer in program.layers}
        for layer in program.layers:
            recurrent |= bool(layer.recurrent)
            subtracting |= layer.neuron.reset == "subtract" and chip.core.subtracting_compartments == 2
        ways |= {way for uses in counting.count(tiles).values() for use in uses for way in use.encodings}
    assert ways == {"dense", "sparse", "shared"}
    assert recurrent
    assert subtracting


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_no_mapping_takes_fewer_cores(seed: int) -> None:
    program, chip = random_case(seed)
    while True:
        try:
            packing = pack_program(program, chip, "layers")
            break
        except CapacityError:
            chip = doubled(chip)
    bounds = resource_bounds(program, chip)
    assert [each.resource for each in bounds] == [resource.name for resource in chip.core.resources]
    assert least_cores(program, chip) == max(each.cores for each in bounds) <= len(packing.cores)
    assert all(each.cores >= 1 for each in bounds)


def dense(weight: np.ndarray, in_shape: tuple[int, ...], name: str = "fc", source: str = "input") -> IntLayer:
    return layer_of(IntDense(weight.astype(np.int16)), in_shape, (len(weight),), name, source)


def conv(channels: int, in_shape: Box, name: str = "conv", source: str = "input", zeros: bool = False) -> IntLayer:
    """3 x 3, as large as its source, of weights that all differ."""
    size = channels * in_shape[0] * 9
    weight = (np.arange(1, size + 1) % 127 * 2 + 2).reshape(channels, in_shape[0], 3, 3).astype(np.int16)
    synapse = IntConv(weight * (not zeros), (1, 1), (1, 1), (1, 1), 1)
    return layer_of(synapse, in_shape, (channels, *in_shape[1:]), name, source)


def least(program: IntProgram, chip: Chip = LOIHI, layer: int = 0) -> tuple[int, ...]:
    return Counting(program, chip).least(program.layers[layer])


def test_neurons_are_counted_with_their_resets() -> None:
    layer = dense(np.full((10, 3), 2), (3,))
    subtracting = replace(layer, neuron=IntCubaLif(4095, 0, 100, "subtract"))
    two = resized(LOIHI, subtracting_compartments=2)
    assert least(chain(layer), two)[NEURONS] == 10
    assert least(chain(subtracting))[NEURONS] == 10
    assert least(chain(subtracting), two)[NEURONS] == 20
    small = resized(two, neurons_per_core=4)
    assert resource_bounds(chain(layer), small)[NEURONS].cores == 3
    assert resource_bounds(chain(subtracting), small)[NEURONS].cores == 5


def test_memory_of_a_dense_layer_is_its_weights_that_are_not_zero() -> None:
    weight = np.full((8, 16), 2)
    weight[:, :4] = 0
    weight[0] = 0
    program = chain(dense(weight, (16,)))
    assert least(program)[MEMORY] == 7 * 12 * 8
    small = resized(LOIHI, synapse_words_per_core=5)  # of 64 bits
    assert resource_bounds(program, small)[MEMORY].cores == 3
    assert least(chain(replace(program.layers[0], weight_bits=4)))[MEMORY] == 7 * 12 * 4


def test_memory_of_equal_weights_of_several_sources_is_counted_once() -> None:
    a, b = (dense(np.full((6, 5), 2), (5,), name) for name in ("a", "b"))
    both = dense(np.full((4, 6), 2), (6,), "both", "a")
    twins = replace(both, connections=(*both.connections, replace(both.connections[0], source="b")))
    found = least(chain(a, b, twins), layer=2)
    assert (found[MEMORY], found[INPUT_AXONS]) == (4 * 6 * 8, 2 * 6)


def test_memory_of_a_convolution_is_parted_among_the_pixels_of_its_plane() -> None:
    """Of 4 x 4 pixels, 4 have 4 taps, 8 have 6 and 4 have 9; a synapse of 8 bits and a gap of 2 serves 16 at most.

    So a neuron takes 4 * 10 / 16, 6 * 10 / 16 or 9 * 10 / 16 bits, rounded down, for each source channel.
    """
    assert least(chain(conv(4, (1, 4, 4))))[MEMORY] == 4 * (4 * 2 + 8 * 3 + 4 * 5)
    assert least(chain(conv(4, (2, 4, 4))))[MEMORY] == 4 * (4 * 5 + 8 * 7 + 4 * 11)
    assert least(chain(conv(4, (1, 1, 1))))[MEMORY] == 4 * 8  # its own weight without an index
    four = resized(LOIHI, neurons_per_core=4)  # a block serves no more, in a tile of three columns without gaps
    assert least(chain(conv(4, (1, 4, 4))), four)[MEMORY] == 4 * (4 * 8 + 8 * 12 + 4 * 18)
    assert least(chain(conv(4, (1, 3, 3))))[MEMORY] == 4 * (4 * (4 * 8 // 9) + 4 * (6 * 8 // 9) + 8)
    indices = resized(LOIHI, skip_bits_max=0)  # of 6 bits
    assert least(chain(conv(4, (2, 4, 4))), indices)[MEMORY] == 4 * (4 * 7 + 8 * 10 + 4 * 15)
    wide = resized(LOIHI, skip_bits_min=6, skip_bits_max=7)  # three columns without gaps take less
    assert least(chain(conv(4, (2, 4, 4))), wide)[MEMORY] == 4 * (4 * 5 + 8 * 8 + 4 * 12)
    assert least(chain(conv(4, (1, 4, 4), zeros=True)))[MEMORY] == 0


def test_memory_of_a_pool_inside_a_kernel_is_that_of_its_distinct_taps() -> None:
    weight = np.arange(1, 5).reshape(2, 2).repeat(2, axis=0).repeat(2, axis=1)[np.newaxis, np.newaxis] * 2
    pooled = layer_of(IntConv(weight.astype(np.int16), (4, 4), (0, 0), (1, 1), 1), (1, 8, 8), (1, 2, 2))
    assert least(chain(pooled))[MEMORY] == 4 * (4 * 10 // 4)


def test_memory_of_a_dense_layer_of_a_map_is_that_of_a_kernel_of_its_size() -> None:
    """A mean over 16 pixels is one weight for each channel and neuron."""
    weight = np.repeat(np.arange(1, 11).reshape(5, 2) * 2, 16, axis=1)
    assert least(chain(dense(weight, (2, 4, 4))))[MEMORY] == 5 * 2 * 8


def test_input_axons_are_those_of_sources_with_weights_or_of_their_pixels() -> None:
    weight = np.full((8, 16), 2)
    weight[:, :4] = 0
    assert least(chain(dense(weight, (16,))))[INPUT_AXONS] == 12
    assert least(chain(dense(weight, (4, 2, 2))))[INPUT_AXONS] == 4
    weight[:, 4::4] = 0  # and the first pixel of the other channels
    assert least(chain(dense(weight, (4, 2, 2))))[INPUT_AXONS] == 3
    assert least(chain(conv(3, (5, 4, 4))))[INPUT_AXONS] == 16
    few = resized(LOIHI, input_axons_per_core=5)
    assert resource_bounds(chain(conv(3, (5, 4, 4))), few)[INPUT_AXONS].cores == 4


@pytest.mark.parametrize(("channels", "slots", "of_a_pixel"), [(5, 2, 2), (1, 2, 1), (5, 3, 3)])
def test_output_axons_are_those_of_neurons_or_of_pixels_for_each_layer_that_reads(
    channels: int, slots: int, of_a_pixel: int
) -> None:
    chip = resized(LOIHI, population_axon_slots=slots)
    first, second = conv(channels, (1, 4, 4), "a"), conv(3, (channels, 4, 4), "b", "a")
    last = dense(np.full((6, 3 * 16), 2), (3, 4, 4), "c", "b")
    both = replace(last, connections=(*last.connections, reading(6, (channels, 4, 4), "a")))
    assert least(chain(first, second, last), chip)[OUTPUT_AXONS] == 16 * of_a_pixel
    assert least(chain(first, second, both), chip)[OUTPUT_AXONS] == 2 * 16 * of_a_pixel
    assert least(chain(first, second, last), chip, layer=2)[OUTPUT_AXONS] == 6  # leave the chip


def reading(outputs: int, in_shape: Box, source: str) -> IntConnection:
    return IntConnection(source, IntDense(np.full((outputs, int(np.prod(in_shape))), 2, np.int16)), in_shape)


def test_neurons_that_are_not_read_need_no_output_axon() -> None:
    weight = np.full((3, 10), 2)
    weight[:, 7:] = 0
    program = chain(dense(np.full((10, 2), 2), (2,), "a"), dense(weight, (10,), "b", "a"))
    assert least(program)[OUTPUT_AXONS] == 7
    assert resource_bounds(program, resized(LOIHI, output_axons_per_core=4))[OUTPUT_AXONS].cores == 3  # 7 and 3


def test_each_tile_takes_a_format() -> None:
    assert least(chain(conv(3, (1, 4, 4))), resized(LOIHI, neurons_per_core=20))[FORMATS] == 3


def test_a_family_that_proves_nothing_needs_a_core() -> None:
    chip = replace(LOIHI, core=NeuronsOnly(4))
    assert resource_bounds(chain(conv(3, (1, 4, 4))), chip) == (("neurons", 1),)
