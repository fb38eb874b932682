"""Counts of axons and synapse memory, against an oracle that enumerates every synapse in plain Python."""

import math
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st
from synapse_oracle import COARSE, LOIHI, enumerate_synapses, layer_of, resized, tiled_convolutions, tiled_sums

from neuroprune.chips.chip import Chip
from neuroprune.chips.load import load_chip
from neuroprune.chips.loihi.core import LoihiCore
from neuroprune.chips.loihi.counting import run_bits
from neuroprune.chips.loihi.encode import Counted, cheapest_storage, count, encodings, share_synapses
from neuroprune.chips.loihi.layout import CLOSED, Layout, Space, layouts
from neuroprune.chips.types import Tile
from neuroprune.program.types import IntConnection, IntConv, IntDense, IntLayer


def bits_of_run(synapses: int, bits: int, core: LoihiCore) -> int:
    """Memory of one run, block by block."""
    total = 0
    while synapses > 0:
        block = min(synapses, core.synapses_per_block)
        total += math.ceil((block * bits + core.block_header_bits) / core.word_bits) * core.word_bits
        synapses -= block
    return total


def only(layer: IntLayer, tile: Tile) -> Counted:
    """The one connection of `layer`, counted."""
    (alone,) = share_synapses(layer, [0])
    return count(alone, tile)


def index_bits(neurons: int, core: LoihiCore) -> int:
    return next(b for b in range(core.index_bits_min, core.index_bits_max + 1) if 2**b >= neurons)


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
    assert run_bits(np.array([synapses]), bits, LOIHI.core).tolist() == [expected]
    assert bits_of_run(synapses, bits, LOIHI.core) == expected


def test_sparse_wins_below_about_44_percent_of_density() -> None:
    """With 8-bit weights and 10-bit indices; the break-even follows from nengo-loihi's formula."""
    rng = np.random.default_rng(0)
    for density, expected in ((0.36, "sparse"), (0.52, "dense")):
        weight = np.where(rng.random((1024, 64)) < density, 2, 0).astype(np.int16)
        layer = layer_of(IntDense(weight), (64,), (1024,))
        use = cheapest_storage(share_synapses(layer, [0]), Tile("layer", (0, 0, 0), (1024, 1, 1)), 8, LOIHI.core)
        assert use.encodings[0] == expected


@settings(max_examples=150, deadline=None)
@given(tiled_convolutions(), st.sampled_from([LOIHI, COARSE]))
def test_dense_and_sparse_counts_are_those_of_an_enumeration(case: tuple[IntLayer, Tile], chip: Chip) -> None:
    layer, tile = case
    synapses = enumerate_synapses(layer.connections[0], tile)
    fan_out = Counter(source for source, _, weight in synapses if weight != 0)
    sparse_bits = chip.rules.weight_bits + index_bits(tile.neurons, chip.core)
    found = {name: rest for name, *rest in encodings(only(layer, tile), CLOSED, chip.rules.weight_bits, chip.core)}
    run = bits_of_run(tile.neurons, chip.rules.weight_bits, chip.core)
    assert found["dense"] == [len(fan_out), len(fan_out) * run, None]
    assert found["sparse"] == [
        len(fan_out),
        sum(bits_of_run(n, sparse_bits, chip.core) for n in fan_out.values()),
        None,
    ]
    assert cheapest_storage(share_synapses(layer, [0]), tile, chip.rules.weight_bits, chip.core).synapses == len(
        synapses
    )


@settings(max_examples=200, deadline=None)
@given(tiled_convolutions(), st.sampled_from([LOIHI, COARSE]))
def test_shared_blocks_hold_exactly_the_tiles_synapses(case: tuple[IntLayer, Tile], chip: Chip) -> None:
    """Every neuron is given an address, every pixel a base and a block of (offset, weight) for each source channel.

    The oracle checks that the addresses that a pixel reaches in the tile are those of its synapses and all others
    idle, then counts distinct blocks, with an index for each synapse and with gaps of every width.
    """
    layer, tile = case
    (connection,) = layer.connections
    pixels = {source[1:] for source, _, _ in enumerate_synapses(connection, tile)}
    assume(pixels)
    for opened, beside in product(product((False, True), repeat=2), (1, 4)):
        layout = replace(needed(connection, tile, opened), beside=beside)
        found = {name: rest for name, *rest in encodings(only(layer, tile), layout, chip.rules.weight_bits, chip.core)}
        index = index_bits(layout.compartments(tile), chip.core)
        sizes = [
            in_memory(lay_out(connection, tile, layout, to, chip.core), chip.rules.weight_bits, index, skip, chip.core)
            for to in product(*((False, True) if each else (False,) for each in opened))
            for skip in widths(index, chip.core, whole=beside == 1 or groups_in(connection, tile) == 1)
        ]
        every = [[len(pixels), sum(size.values()), skip] for size, skip in sizes if size is not None]
        assert found["shared"][:2] == min(each[:2] for each in every)
        assert found["shared"] in every


Block = tuple[tuple[tuple[int, ...], ...], ...]
"""For each source channel its synapses by channel and tap: address from the base, and what its weight is."""


def groups_in(connection: IntConnection, tile: Tile) -> int:
    synapse = connection.synapse
    assert isinstance(synapse, IntConv)
    group = synapse.weight.shape[0] // synapse.groups
    return len({channel // group for channel in range(tile.start[0], tile.stop[0])})


def widths(index: int, core: LoihiCore, whole: bool) -> list[int | None]:
    """Of gaps, 0 where neurons follow each other; None for indices, which alone serve channels of several groups side
    by side."""
    gaps = (0, *range(core.skip_bits_min, core.skip_bits_max + 1)) if core.skip_bits_max and whole else ()
    return [None, *(skip for skip in gaps if skip < index)]


def in_memory(
    blocks: dict[Block, int], stored: int, index: int, skip: int | None, core: LoihiCore
) -> tuple[dict[Block, int] | None, int | None]:
    """Bits of each block with an index for each synapse, or with gaps of `skip` bits, where these can be written."""
    if skip is None:
        return {block: bits_of_run(size, stored + index, core) for block, size in blocks.items()}, None
    found = {}
    for block in blocks:
        addresses = [sorted(at for at, *_ in entries) for entries in block]
        if len({len(each) for each in addresses}) > 1 or any(len(each) != len(set(each)) for each in addresses):
            return None, skip
        words = 0
        for each in addresses:
            pieces, last = [0], each[0]
            for at in each:
                if pieces[-1] == core.synapses_per_block or at - last > (2**skip - 1 or 1):
                    pieces.append(0)
                pieces[-1] += 1
                last = at
            bits = (core.block_header_bits + index + size * (stored + skip) for size in pieces)
            words += sum(math.ceil(each / core.word_bits) for each in bits)
        found[block] = words * core.word_bits
    return found, skip


Taps = list[tuple[int, int, int, int]]


def reached(connection: IntConnection, tile: Tile, pixel: tuple[int, int], opened: tuple[bool, bool]) -> Taps:
    """(y, x) relative to the tile, and the tap, of all outputs that the pixel is joined to by an allowed tap."""
    synapse = connection.synapse
    assert isinstance(synapse, IntConv)
    found = []
    for ky, kx in product(*map(range, synapse.weight.shape[2:])):
        y, y_rest = divmod(pixel[0] + synapse.padding[0] - ky * synapse.dilation[0], synapse.stride[0])
        x, x_rest = divmod(pixel[1] + synapse.padding[1] - kx * synapse.dilation[1], synapse.stride[1])
        inside_y, inside_x = tile.start[1] <= y < tile.stop[1], tile.start[2] <= x < tile.stop[2]
        if y_rest == x_rest == 0 and (opened[0] or inside_y) and (opened[1] or inside_x):
            found.append((y - tile.start[1], x - tile.start[2], ky, kx))
    return found


def needed(connection: IntConnection, tile: Tile, opened: tuple[bool, bool]) -> Layout:
    """The least idle neurons that hold what the pixels of the tile reach."""
    pixels = {source[1:] for source, _, _ in enumerate_synapses(connection, tile)}
    spaces = []
    for axis in (0, 1):
        at = [output[axis] for pixel in pixels for output in reached(connection, tile, pixel, opened)] or [0]
        before = max(0, -min(at))
        spaces.append(Space(before, max(before, max(at) - (tile.stop[axis + 1] - tile.start[axis + 1]) + 1, 0)))
    return Layout(*spaces)


def lay_out(
    connection: IntConnection, tile: Tile, layout: Layout, opened: tuple[bool, bool], core: LoihiCore
) -> dict[Block, int]:
    """The sizes of the distinct blocks of the shared encoding, by their content."""
    synapse = connection.synapse
    assert isinstance(synapse, IntConv)
    out_channels, per_group, *kernel = synapse.weight.shape
    group = out_channels // synapse.groups
    channels, height, width = (b - a for a, b in zip(tile.start, tile.stop, strict=True))
    long, lines = width + layout.columns.gap, height + layout.rows.gap
    pitch = layout.beside * long
    first = layout.rows.margin * pitch + layout.columns.margin
    total = first + math.ceil(channels / layout.beside) * lines * pitch
    assert total == layout.compartments(tile)

    def address(c: int, y: int, x: int) -> int:
        group, slot = divmod(c, layout.beside)
        return first + ((group * lines + y) * layout.beside + slot) * long + x

    real = {address(c, y, x): (c, y, x) for c, y, x in product(range(channels), range(height), range(width))}
    assert len(real) == tile.neurons
    true_targets = defaultdict(set)
    for source, (c, y, x), _ in enumerate_synapses(connection, tile):
        true_targets[source].add(address(c - tile.start[0], y - tile.start[1], x - tile.start[2]))

    equal_rows = [synapse.weight[:, :, ky].tolist() for ky in range(kernel[0])]
    equal_columns = [synapse.weight[:, :, :, kx].tolist() for kx in range(kernel[1])]
    blocks: dict[Block, int] = {}
    weights: dict[object, list[tuple[int, int]]] = {}
    groups = sorted({c // group for c in range(tile.start[0], tile.stop[0])})
    for pixel in {source[1:] for source in true_targets}:
        outputs = reached(connection, tile, pixel, opened)
        base = min(y * pitch + x for y, x, *_ in outputs) + first
        in_axon = base % 2**core.axon_base_bits
        block, stored, longest = [], [], 0
        for g, i in product(groups, range(per_group)):
            members = [c for c in range(tile.start[0], tile.stop[0]) if c // group == g]
            entries = []
            for c, (y, x, ky, kx) in product(members, sorted(outputs)):
                at = address(c - tile.start[0], y, x)
                assert in_axon <= at < total
                row, column = equal_rows.index(equal_rows[ky]), equal_columns.index(equal_columns[kx])
                entries.append((at - in_axon, c, i, row, column))
                stored.append((at - in_axon, int(synapse.weight[c, i, ky, kx])))
            hit = {at + in_axon for at, *_ in entries}
            assert hit & set(real) == true_targets[(g * per_group + i, *pixel)]
            block.append(tuple(entries))
            longest = max(longest, len(entries))
        blocks[tuple(block)] = longest * len(block)
        assert weights.setdefault(tuple(block), sorted(stored)) == sorted(stored)
    return blocks


# --- several connections into one tile --------------------------------------------------------------------------------

Stored = dict[object, int]
"""Memory of runs and blocks by their content, in bits."""


def stored_in(
    connection: IntConnection, delay: int, tile: Tile, layout: Layout, weight_bits: int, core: LoihiCore
) -> dict[str, tuple[int, Stored, int | None]]:
    """Axons, what is in memory, and bits of gaps, of each encoding; equal content of equal synapses has equal keys."""
    synapse = connection.synapse
    assert isinstance(synapse, IntConv)
    same = (delay, connection.in_shape, synapse.stride, synapse.weight.tolist().__repr__())
    bits = weight_bits + core.delay_bits * (delay > 0)
    index = index_bits(layout.compartments(tile), core)
    synapses = enumerate_synapses(connection, tile)
    fan_out = Counter(source for source, _, weight in synapses if weight != 0)
    pixels = {source[1:] for source, _, _ in synapses}
    blocks = []
    for opened in product((False, True), repeat=2):
        asked = needed(connection, tile, opened)
        if all(
            have.margin >= ask.margin and have.gap >= ask.gap
            for have, ask in ((layout.rows, asked.rows), (layout.columns, asked.columns))
        ):
            found = lay_out(connection, tile, layout, opened, core)
            for skip in widths(index, core, whole=layout.beside == 1 or groups_in(connection, tile) == 1):
                written, _ = in_memory(found, bits, index, skip, core)
                if written is not None:
                    blocks.append((skip, {("shared", same, skip, block): size for block, size in written.items()}))
    skip, least = min(blocks, key=lambda each: sum(each[1].values()))
    run = bits_of_run(layout.compartments(tile), bits, core)
    return {
        "dense": (len(fan_out), {("dense", same, s): run for s in fan_out}, None),
        "sparse": (
            len(fan_out),
            {("sparse", same, s): bits_of_run(n, bits + index, core) for s, n in fan_out.items()},
            None,
        ),
        "shared": (len(pixels), least, skip),
    }


@settings(max_examples=60, deadline=None)
@given(
    tiled_sums(), st.sampled_from([2, 3, 7, 8]), st.integers(20, 80), st.integers(10, 99), st.integers(50, 999),
    st.integers(1, 6),
)  # fmt: skip
def test_connections_of_one_tile_take_the_best_of_all_layouts_and_encodings(
    case: tuple[IntLayer, tuple[int, ...], Tile], weight_bits: int, neurons: int, axons: int, words: int, formats: int
) -> None:
    """Against every combination of encodings in every layout, each synapse, run and block enumerated."""
    layer, delays, tile = case
    chip = resized(
        COARSE,
        neurons_per_core=neurons,
        input_axons_per_core=axons,
        synapse_words_per_core=words,
        synapse_formats_per_core=formats,
    )
    core = chip.core
    stored_bits = 8 if weight_bits == 7 else weight_bits
    asked = [needed(each, tile, (True, True)) for each in layer.connections] + [CLOSED]
    spaces = [{layout.rows for layout in asked}, {layout.columns for layout in asked}]
    for along in spaces:
        along.add(Space(max(space.margin for space in along), max(space.gap for space in along)))
    best = None
    whole = any(groups_in(each, tile) == 1 for each in layer.connections)
    besides = (1, 4) if whole and tile.stop[0] - tile.start[0] > 1 else (1,)
    for layout in (Layout(*each) for each in product(*spaces, besides)):
        if layout.beside > 1 and not (layout.rows.gap and layout.columns.gap):
            continue
        options = [
            stored_in(connection, delay, tile, layout, stored_bits, core)
            for connection, delay in zip(layer.connections, delays, strict=True)
        ]
        for names in product(("dense", "sparse", "shared"), repeat=len(options)):
            chosen = [option[name] for option, name in zip(options, names, strict=True)]
            together: Stored = {}
            for _, stored, _ in chosen:
                together |= stored
            taken = (
                layout.compartments(tile),
                sum(count for count, _, _ in chosen),
                sum(together.values()),
                len({(name, delay > 0, skip) for name, delay, (_, _, skip) in zip(names, delays, chosen, strict=True)}),
            )
            cost = (
                taken[3] > formats,
                max(taken[0] / neurons, taken[1] / axons, taken[2] / core.synapse_bits_per_core),
                taken[2],
            )
            best = cost if best is None else min(best, cost)

    count_tile = core.tile_counter(replace(layer, weight_bits=weight_bits), delays, [], chip.rules)
    use = count_tile(tile)
    compartments, input_axons, output_axons, synapse_bits, synapse_formats = use.used
    assert (compartments, output_axons) == (tile.neurons + use.idle_neurons, tile.neurons)
    assert len(use.encodings) == len(layer.connections)
    assert use.synapses == sum(len(enumerate_synapses(each, tile)) for each in layer.connections)
    assert best == (
        synapse_formats > formats,
        max(compartments / neurons, input_axons / axons, synapse_bits / core.synapse_bits_per_core),
        synapse_bits,
    )


def same_weights_from(*sources: str) -> IntLayer:
    """A sum of spikes through one convolution, as SEW-ADD makes it; each connection with an array of its own."""
    weight = np.random.default_rng(0).integers(1, 100, (16, 16, 3, 3)).astype(np.int16) * 2
    shape = (16, 8, 8)
    connections = tuple(
        IntConnection(source, IntConv(weight.copy(), (1, 1), (1, 1), (1, 1), 1), shape) for source in sources
    )
    return replace(layer_of(connections[0].synapse, shape, shape), connections=connections)


def test_equal_synapses_from_several_sources_are_stored_once() -> None:
    tile = Tile("layer", (0, 0, 0), (16, 8, 8))
    one = cheapest_storage(share_synapses(same_weights_from("a"), [0]), tile, 8, LOIHI.core)
    three = cheapest_storage(share_synapses(same_weights_from("a", "b", "c"), [0, 0, 0]), tile, 8, LOIHI.core)
    assert one.encodings == ("shared",)
    assert three.encodings == ("shared",) * 3
    assert (three.synapse_bits, three.idle_neurons) == (one.synapse_bits, one.idle_neurons)
    assert three.input_axons == 3 * one.input_axons
    assert three.synapses == 3 * one.synapses
    assert three.synapse_formats == 1


def test_synapses_of_another_delay_are_stored_again_and_a_delay_takes_its_bits() -> None:
    tile = Tile("layer", (0, 0, 0), (16, 8, 8))
    core = resized(LOIHI, axon_base_bits=20).core
    layer = same_weights_from("a", "b", "c")
    none, one, two = (
        cheapest_storage(share_synapses(layer, delays), tile, 8, core) for delays in ([0, 0, 0], [0, 0, 2], [0, 1, 2])
    )
    assert (none.synapse_formats, one.synapse_formats, two.synapse_formats) == (1, 2, 2)
    (plain,) = share_synapses(same_weights_from("a"), [0])
    (late,) = share_synapses(same_weights_from("a"), [2])
    bits = [min(found[2] for found in encodings(count(each, tile), CLOSED, 8, core)) for each in (plain, late)]
    assert bits[0] < bits[1]
    assert none.synapse_bits < one.synapse_bits < two.synapse_bits
    assert two.synapse_bits - one.synapse_bits == one.synapse_bits - none.synapse_bits


def test_other_geometry_or_another_source_shape_is_no_equal_synapse() -> None:
    conv = IntConv(np.full((2, 2, 1, 1), 2, np.int16), (1, 1), (0, 0), (1, 1), 1)
    plain = IntConnection("a", conv, (2, 4, 4))
    others = (
        replace(plain, synapse=replace(conv, stride=(2, 2)), in_shape=(2, 8, 8)),
        replace(plain, synapse=replace(conv, padding=(1, 1)), in_shape=(2, 2, 2)),
        replace(plain, synapse=replace(conv, weight=conv.weight * 2)),
        replace(plain, source="b"),
    )
    layer = replace(layer_of(conv, (2, 4, 4), (2, 4, 4)), connections=(plain, *others))
    assert [each.numbers for each in share_synapses(layer, [0] * 5)] == [(0, 4), (1,), (2,), (3,)]


def test_a_one_to_one_connection_takes_one_small_block() -> None:
    """What a relay costs: an axon a pixel, and a synapse for each channel in a block that all pixels name."""
    weight = np.full((64, 1, 1, 1), 128, np.int16)
    layer = layer_of(IntConv(weight, (1, 1), (0, 0), (1, 1), 64), (64, 4, 4), (64, 4, 4))
    use = cheapest_storage(share_synapses(layer, [0]), Tile("layer", (0, 0, 0), (64, 4, 4)), 2, LOIHI.core)
    assert use.encodings == ("shared",)
    assert use.input_axons == 16
    assert use.synapse_bits == bits_of_run(64, 2 + 10, LOIHI.core)
    assert use.idle_neurons == 0


def test_one_layout_serves_a_wide_kernel_and_a_shortcut() -> None:
    """Idle neurons that the convolution asks for do not disturb the 1x1 shortcut beside it."""
    shape = (8, 8, 8)
    rng = np.random.default_rng(0)
    wide, narrow = (
        IntConnection(source, IntConv(rng.integers(1, 99, (8, 64, k, k)).astype(np.int16) * 2, (1, 1), (k // 2,) * 2,
                                   (1, 1), 1), (64, 8, 8))
        for source, k in (("a", 3), ("b", 1))
    )  # fmt: skip
    layer = replace(layer_of(wide.synapse, (64, 8, 8), shape), connections=(wide, narrow))
    tile = Tile("layer", (0, 0, 0), shape)
    use = cheapest_storage(share_synapses(layer, [0, 0]), tile, 8, resized(LOIHI, neurons_per_core=4096).core)
    assert use.encodings == ("shared", "shared")
    assert use.idle_neurons > 0
    kernels = run_bits(np.array([64 * 8 * 9, 64 * 8]), 8 + LOIHI.core.skip_bits_min, LOIHI.core).sum()
    assert kernels <= use.synapse_bits < 4 * kernels


# --- dense layers -----------------------------------------------------------------------------------------------------


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
    tile = Tile("layer", (start, 0, 0), (stop, 1, 1))
    found = {name: rest for name, *rest in encodings(only(layer, tile), CLOSED, COARSE.rules.weight_bits, COARSE.core)}
    fan_out = [sum(weight[o, i] != 0 for o in range(start, stop)) for i in range(inputs)]
    bits = COARSE.rules.weight_bits + index_bits(stop - start, COARSE.core)
    run = bits_of_run(stop - start, COARSE.rules.weight_bits, COARSE.core)
    axons = sum(n > 0 for n in fan_out)
    assert found == {
        "dense": [axons, axons * run, None],
        "sparse": [axons, sum(bits_of_run(n, bits, COARSE.core) for n in fan_out), None],
    }
    assert cheapest_storage(share_synapses(layer, [0]), tile, 8, COARSE.core).synapses == inputs * (stop - start)


def test_a_tile_of_more_neurons_than_an_index_numbers_has_only_the_dense_encoding() -> None:
    layer = layer_of(IntDense(np.full((9, 2), 2, dtype=np.int16)), (2,), (9,))
    narrow = resized(LOIHI, index_bits_min=2, index_bits_max=3).core
    for neurons, expected in ((9, ["dense"]), (8, ["dense", "sparse"])):
        counted = only(layer, Tile("layer", (0, 0, 0), (neurons, 1, 1)))
        assert [name for name, *_ in encodings(counted, CLOSED, 8, narrow)] == expected


@settings(max_examples=100, deadline=None)
@given(tiled_convolutions(), st.integers(1, 60), st.integers(1, 60), st.integers(1, 60))
def test_the_chosen_encoding_fits_whenever_one_does(
    case: tuple[IntLayer, Tile], neurons: int, axons: int, words: int
) -> None:
    core = resized(COARSE, neurons_per_core=neurons, input_axons_per_core=axons, synapse_words_per_core=words).core
    layer, tile = case

    def fits(compartments: int, input_axons: int, bits: int) -> bool:
        return compartments <= neurons and input_axons <= axons and bits <= core.synapse_bits_per_core

    counted = only(layer, tile)
    assert counted.field is not None
    besides = (1, 4) if 1 < counted.field.widest == tile.stop[0] - tile.start[0] else (1,)
    every = [
        fits(layout.compartments(tile), *taken)
        for layout in layouts([counted.field], besides)
        for _, *taken, _ in encodings(counted, layout, 8, core)
    ]
    best = cheapest_storage(share_synapses(layer, [0]), tile, 8, core)
    assert fits(tile.neurons + best.idle_neurons, best.input_axons, best.synapse_bits) == any(every)


# --- chips of the family ----------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(tiled_convolutions(), st.integers(1, 3))
def test_a_reset_by_subtraction_takes_compartments_axons_and_synapses_of_its_own(
    case: tuple[IntLayer, Tile], compartments: int
) -> None:
    """Of a core with room for everything, so that synapses are stored as they are without it."""
    layer, tile = case
    chip = resized(LOIHI, neurons_per_core=10**6, input_axons_per_core=10**6, synapse_words_per_core=10**6)
    soft = replace(layer, neuron=replace(layer.neuron, reset="subtract"))
    core = resized(chip, subtracting_compartments=compartments).core
    hard, usual = (each.tile_counter(layer, [0], [], chip.rules)(tile) for each in (core, chip.core))
    assert hard == usual
    use = core.tile_counter(soft, [0], [], chip.rules)(tile)
    if compartments == 1:
        assert use == usual
        return
    itself = [(neuron, neuron) for neuron in range(tile.neurons)]  # a synapse from each neuron to itself
    bits = sum(bits_of_run(1, chip.rules.weight_bits + index_bits(tile.neurons, chip.core), chip.core) for _ in itself)
    assert (use.used[2] - len(itself), use.used[4] - 1) == (usual.used[2], usual.used[4])
    assert use.used[0] % compartments == 0 and use.used[0] == tile.neurons + use.idle_neurons
    if (use.used[0], use.encodings) == (compartments * usual.used[0], usual.encodings):
        assert use.used[1] == usual.used[1] + len(itself)
        assert use.used[3] == usual.used[3] + bits


def test_half_as_many_neurons_of_soft_reset_share_a_loihi_1_core() -> None:
    layer = layer_of(IntDense(np.full((512, 4), 2, np.int16)), (4,), (512,))
    soft = replace(layer, neuron=replace(layer.neuron, reset="subtract"))
    for name, expected in (("loihi-sim", 512), ("loihi1", 1024), ("loihi2", 512)):
        chip = load_chip(name)
        use = chip.core.tile_counter(soft, [0], [], chip.rules)(Tile("layer", (0, 0, 0), (512, 1, 1)))
        assert use.used[0] == expected


def test_loihi_2_fits_the_utilisation_that_intel_shows() -> None:
    """lava-dl tutorials netx/mnist/run.ipynb, in per cent of a core: layers of 64-10, 128-64 and 784-50."""
    core, rules = load_chip("loihi2").core, load_chip("loihi2").rules
    limits = {each.name: each.limit for each in core.resources}
    for inputs, outputs, axons, neurons, synapses in (
        (64, 10, 0.40, 0.24, 1.60), (128, 64, 0.80, 1.56, 16.80), (784, 50, 4.90, 1.22, 78.40)
    ):  # fmt: skip
        layer = layer_of(IntDense(np.full((outputs, inputs), 2, np.int16)), (inputs,), (outputs,))
        tile = Tile("layer", (0, 0, 0), (outputs, 1, 1))
        found = {name: rest for name, *rest in encodings(only(layer, tile), CLOSED, rules.weight_bits, core)}
        assert 100 * found["sparse"][0] / limits["input axons"] == pytest.approx(axons)
        assert 100 * outputs / limits["neurons"] == pytest.approx(neurons, abs=0.005)
        assert 100 * found["sparse"][1] / limits["synapse memory"] == pytest.approx(synapses)
