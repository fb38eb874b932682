"""Counts of axons and synapse memory, against an oracle that enumerates every synapse in plain Python."""

import math
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from synapse_oracle import COARSE, LOIHI, enumerate_synapses, layer_of, tiled_convolutions

from neuroprune.mapping.counting import cheapest_use, encodings, run_bits
from neuroprune.mapping.types import Tile
from neuroprune.quantize.types import IntConv, IntDense, QuantLayer
from neuroprune.targets import Target


def bits_of_run(synapses: int, bits: int, target: Target) -> int:
    """Memory of one run, block by block."""
    total = 0
    while synapses > 0:
        block = min(synapses, target.synapses_per_block)
        total += math.ceil((block * bits + target.block_header_bits) / target.word_bits) * target.word_bits
        synapses -= block
    return total


def index_bits(neurons: int, target: Target) -> int:
    return next(b for b in range(target.index_bits_min, target.index_bits_max + 1) if 2**b >= neurons)


@pytest.mark.parametrize(
    ("synapses", "bits", "expected"),
    # nengo-loihi block.py, SynapseConfig.bits_per_axon at commit e564f66, evaluated with n_synapses=63, weight_bits=7
    # and compression 3 (8 bits a synapse) or compression 0 with idx_bits 1 and 5 (14 and 18 bits a synapse)
    [
        *((1, 8, 64), (6, 8, 64), (7, 8, 128), (64, 8, 576), (65, 8, 640), (100, 8, 896), (512, 8, 4608)),
        *((1, 14, 64), (3, 14, 64), (4, 14, 128), (64, 14, 960)),
        *((3, 18, 64), (4, 18, 128), (64, 18, 1216), (100, 18, 1920)),
    ],
)
def test_memory_of_a_run_is_nengo_loihis(synapses: int, bits: int, expected: int) -> None:
    assert run_bits(np.array([synapses]), bits, LOIHI).tolist() == [expected]
    assert bits_of_run(synapses, bits, LOIHI) == expected


def test_sparse_wins_below_about_44_percent_of_density() -> None:
    """With 8-bit weights and 10-bit indices; the break-even follows from nengo-loihi's formula."""
    rng = np.random.default_rng(0)
    for density, expected in ((0.36, "sparse"), (0.52, "dense")):
        weight = np.where(rng.random((1024, 64)) < density, 2, 0).astype(np.int16)
        layer = layer_of(IntDense(weight), (64,), (1024,))
        use = cheapest_use(layer, Tile("layer", (0, 0, 0), (1024, 1, 1)), LOIHI)
        assert use.encodings[0] == expected


@settings(max_examples=150, deadline=None)
@given(tiled_convolutions(), st.sampled_from([LOIHI, COARSE]))
def test_dense_and_sparse_counts_are_those_of_an_enumeration(case: tuple[QuantLayer, Tile], target: Target) -> None:
    layer, tile = case
    synapses = enumerate_synapses(layer, tile)
    fan_out = Counter(source for source, _, weight in synapses if weight != 0)
    sparse_bits = target.weight_bits + index_bits(tile.neurons, target)
    uses = {
        use.encodings[0]: use
        for use in encodings(layer.connections[0], tile, target.weight_bits, target)
        if use.encodings[0] != "shared"
    }
    assert uses["dense"].input_axons == uses["sparse"].input_axons == len(fan_out)
    assert uses["dense"].synapses == uses["sparse"].synapses == len(synapses)
    assert uses["dense"].idle_neurons == uses["sparse"].idle_neurons == 0
    assert uses["dense"].synapse_bits == len(fan_out) * bits_of_run(tile.neurons, target.weight_bits, target)
    assert uses["sparse"].synapse_bits == sum(bits_of_run(n, sparse_bits, target) for n in fan_out.values())


@settings(max_examples=300, deadline=None)
@given(tiled_convolutions(), st.sampled_from([LOIHI, COARSE]))
def test_shared_blocks_hold_exactly_the_tiles_synapses(case: tuple[QuantLayer, Tile], target: Target) -> None:
    """Every neuron is given an address, every pixel a base and a block of (offset, weight) for each source channel.

    The oracle checks that the addresses that a pixel reaches in the tile are those of its synapses and all others
    idle, then counts distinct blocks.
    """
    layer, tile = case
    synapses = enumerate_synapses(layer, tile)
    pixels = {source[1:] for source, _, _ in synapses}
    assume(pixels)
    shared = [
        use for use in encodings(layer.connections[0], tile, target.weight_bits, target) if use.encodings[0] == "shared"
    ]
    assert len(shared) == 4
    for use, opened in zip(shared, product((False, True), repeat=2), strict=True):
        assert use.input_axons == len(pixels)
        assert use.synapses == len(synapses)
        neurons, blocks = lay_out(layer, tile, pixels, opened, target)
        assert use.idle_neurons == neurons - tile.neurons
        bits = target.weight_bits + index_bits(neurons, target)
        assert use.synapse_bits == sum(bits_of_run(n, bits, target) for n in blocks)


def lay_out(
    layer: QuantLayer, tile: Tile, pixels: set[tuple[int, int]], opened: tuple[bool, bool], target: Target
) -> tuple[int, list[int]]:
    """Neurons used, idle ones too, and the sizes of the distinct blocks of the shared encoding."""
    synapse = layer.connections[0].synapse
    assert isinstance(synapse, IntConv)
    out_channels, per_group, *kernel = synapse.weight.shape
    group = out_channels // synapse.groups

    def reached(pixel: tuple[int, int]) -> list[tuple[int, int, int, int]]:
        """(y, x) relative to the tile, and the tap, of all outputs that the pixel is joined to by an allowed tap."""
        found = []
        for ky, kx in product(range(kernel[0]), range(kernel[1])):
            y, y_rest = divmod(pixel[0] + synapse.padding[0] - ky * synapse.dilation[0], synapse.stride[0])
            x, x_rest = divmod(pixel[1] + synapse.padding[1] - kx * synapse.dilation[1], synapse.stride[1])
            inside_y, inside_x = tile.start[1] <= y < tile.stop[1], tile.start[2] <= x < tile.stop[2]
            if y_rest == x_rest == 0 and (opened[0] or inside_y) and (opened[1] or inside_x):
                found.append((y - tile.start[1], x - tile.start[2], ky, kx))
        return found

    channels, height, width = (b - a for a, b in zip(tile.start, tile.stop, strict=True))
    ys = [y for pixel in pixels for y, *_ in reached(pixel)] or [0]
    xs = [x for pixel in pixels for _, x, *_ in reached(pixel)] or [0]
    top, left = max(0, -min(ys)), max(0, -min(xs))
    pitch = width + max(left, max(xs) - width + 1, 0)
    plane = (height + max(top, max(ys) - height + 1, 0)) * pitch
    total = top * pitch + left + channels * plane

    def address(c: int, y: int, x: int) -> int:
        return top * pitch + left + c * plane + y * pitch + x

    real = {address(c, y, x): (c, y, x) for c, y, x in product(range(channels), range(height), range(width))}
    assert len(real) == tile.neurons
    true_targets = defaultdict(set)
    for source, (c, y, x), _ in enumerate_synapses(layer, tile):
        true_targets[source].add(address(c - tile.start[0], y - tile.start[1], x - tile.start[2]))

    equal_rows = [synapse.weight[:, :, ky].tolist() for ky in range(kernel[0])]
    equal_columns = [synapse.weight[:, :, :, kx].tolist() for kx in range(kernel[1])]
    blocks: dict[object, int] = {}
    weights: dict[object, list[tuple[int, int]]] = {}
    groups = sorted({c // group for c in range(tile.start[0], tile.stop[0])})
    for pixel in pixels:
        outputs = reached(pixel)
        base = min(y * pitch + x for y, x, *_ in outputs) + top * pitch + left
        in_axon = base % 2**target.axon_base_bits
        block, stored, longest = [], [], 0
        for g, i in product(groups, range(per_group)):
            members = [c for c in range(tile.start[0], tile.stop[0]) if c // group == g]
            entries = []
            for c, (y, x, ky, kx) in product(members, outputs):
                at = address(c - tile.start[0], y, x)
                assert in_axon <= at < total
                row, column = equal_rows.index(equal_rows[ky]), equal_columns.index(equal_columns[kx])
                entries.append((at - in_axon, c, i, row, column))
                stored.append((at - in_axon, int(synapse.weight[c, i, ky, kx])))
            hit = {at + in_axon for at, *_ in entries}
            assert hit & set(real) == true_targets[(g * per_group + i, *pixel)]
            block.append(tuple(sorted(entries)))
            longest = max(longest, len(entries))
        blocks[tuple(block)] = longest * len(block)
        assert weights.setdefault(tuple(block), sorted(stored)) == sorted(stored)
    return total, list(blocks.values())


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 20), st.floats(0, 1))
def test_dense_layers_count_a_source_only_where_it_has_a_weight(
    seed: int, outputs: int, inputs: int, density: float
) -> None:
    rng = np.random.default_rng(seed)
    weight = np.where(rng.random((outputs, inputs)) < density, -256, 0).astype(np.int16)
    start = int(rng.integers(0, outputs))
    stop = int(rng.integers(start + 1, outputs + 1))
    layer = layer_of(IntDense(weight), (inputs,), (outputs,))
    uses = {
        use.encodings[0]: use
        for use in encodings(
            layer.connections[0], Tile("layer", (start, 0, 0), (stop, 1, 1)), COARSE.weight_bits, COARSE
        )
    }
    fan_out = [sum(weight[o, i] != 0 for o in range(start, stop)) for i in range(inputs)]
    bits = COARSE.weight_bits + index_bits(stop - start, COARSE)
    assert set(uses) == {"dense", "sparse"}
    for use in uses.values():
        assert use.input_axons == sum(n > 0 for n in fan_out)
        assert use.synapses == inputs * (stop - start)
    run = bits_of_run(stop - start, COARSE.weight_bits, COARSE)
    assert uses["dense"].synapse_bits == sum(run for n in fan_out if n > 0)
    assert uses["sparse"].synapse_bits == sum(bits_of_run(n, bits, COARSE) for n in fan_out)


def test_a_tile_of_more_neurons_than_an_index_numbers_has_only_the_dense_encoding() -> None:
    layer = layer_of(IntDense(np.full((9, 2), 2, dtype=np.int16)), (2,), (9,))
    narrow = replace(LOIHI, index_bits_min=2, index_bits_max=3)
    whole, part = Tile("layer", (0, 0, 0), (9, 1, 1)), Tile("layer", (0, 0, 0), (8, 1, 1))
    assert [use.encodings[0] for use in encodings(layer.connections[0], whole, narrow.weight_bits, narrow)] == ["dense"]
    assert [use.encodings[0] for use in encodings(layer.connections[0], part, narrow.weight_bits, narrow)] == [
        "dense",
        "sparse",
    ]


@settings(max_examples=100, deadline=None)
@given(tiled_convolutions(), st.integers(1, 60), st.integers(1, 60), st.integers(1, 60))
def test_the_chosen_encoding_fits_whenever_one_does(
    case: tuple[QuantLayer, Tile], neurons: int, axons: int, words: int
) -> None:
    target = replace(COARSE, neurons_per_core=neurons, input_axons_per_core=axons, synapse_words_per_core=words)

    def fits(idle: int, input_axons: int, bits: int) -> bool:
        used = case[1].neurons + idle
        return used <= neurons and input_axons <= axons and bits <= target.synapse_bits_per_core

    every = [
        fits(use.idle_neurons, use.input_axons, use.synapse_bits)
        for use in encodings(case[0].connections[0], case[1], case[0].weight_bits, target)
    ]
    best = cheapest_use(*case, target)
    assert fits(best.idle_neurons, best.input_axons, best.synapse_bits) == any(every)
