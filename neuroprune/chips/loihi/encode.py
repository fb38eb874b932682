"""How the synapses of a tile are stored on a Loihi-style core, and what that takes of it.

The formulas follow nengo-loihi's public accounting of Loihi 1 (`block.py`, `conv.py`, `builder/split_blocks.py`).
Each connection of a tile has its synapses in one of three encodings:

    dense   each source neuron that has a non-zero weight here: one input axon, and a run of one weight for every
            neuron of the tile, without indices.
    sparse  each such source neuron: one input axon, and a weight with an index for every non-zero weight.
    shared  convolutions only; each source pixel: one input axon, shared by its channels (a 32-bit population axon),
            that names a block of weights and a base neuron. The block holds, for each source channel, a weight with
            an index for every tap that joins the pixel to the tile, zeros too; or in place of the index the gap to
            the neuron before, or nothing where each is the next one, where that takes less (see `loihi.counting`).
            Pixels that reach the tile alike, through the same taps or taps of equal weights, share a block. A dense
            connection from a map is a convolution whose kernel has the map's size.

Pixels near the edge of a tile have fewer taps and so blocks of their own. Idle neurons around the tile make them
alike: the block of the inner pixels serves all, and what falls beside the tile is received by neurons that send
nothing. This is done along either axis, both or none: idle neurons against synapse memory. See `Layout`.

Connections with equal synapses store them once, since an axon names its run or block wherever it comes from; this is
derived from that model of axons (nengo-loihi's `axon_to_weight_map`), and published for no chip. So a sum of spikes,
which reads several layers through the same weights, costs axons for each of them but memory for one.

A stored synapse has the bits of its weight, of its index (from 6 to 12 bits that number the neurons of the tile, idle
ones too) or gap (none, or from 2 to 5 bits) and, where the connection delays, of the delay, which equal synapses have
in common. Every encoding in a tile, with or without delay, and with gaps of each width, is a synapse format. Assumed
beyond the sources: several tiles on a core each have formats of their own whose offset moves their indices to their own
neurons, so sharing a core costs no extra bits.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import product
from typing import Literal, NamedTuple

import numpy as np

from neuroprune.chips.loihi.blocks import least_blocks
from neuroprune.chips.loihi.core import LoihiCore
from neuroprune.chips.loihi.counting import bits_of_run, bits_of_runs, index_bits
from neuroprune.chips.loihi.layout import SIDE_BY_SIDE, Layout, layouts
from neuroprune.chips.receptive_field import ReceptiveField, receptive_field
from neuroprune.chips.synapse_counts import Counts, count_synapses, nonzero_fan_out
from neuroprune.chips.types import Tile
from neuroprune.program.types import IntConnection, IntConv, IntLayer

Encoding = Literal["dense", "sparse", "shared"]


@dataclass(frozen=True)
class StoredSynapses:
    """What the synapses of one tile take, each connection in one encoding; see `TileResources`."""

    encodings: tuple[Encoding, ...]
    layout: Layout
    idle_neurons: int
    input_axons: int
    synapses: int
    synapse_bits: int
    synapse_formats: int


@dataclass(frozen=True, eq=False)
class SharedSynapses:
    """Connections of a layer with equal synapses: the same weights, geometry and delay, from sources of one shape.

    connection: the first of them. numbers: which of the layer's connections they are.
    """

    connection: IntConnection
    numbers: tuple[int, ...]
    delayed: bool


_Format = tuple[Encoding, bool, int | None]


class _Choice(NamedTuple):
    """Encodings of the shared synapses so far, and what they take.

    formats: which encodings there are, with delay or without, and with gaps of how many bits.
    """

    input_axons: int = 0
    synapse_bits: int = 0
    encodings: tuple[Encoding, ...] = ()
    formats: frozenset[_Format] = frozenset()


def share_synapses(layer: IntLayer, delays: Sequence[int]) -> tuple[SharedSynapses, ...]:
    """The connections of `layer` by equal synapses; delays: steps by which the synapses of each delay spikes."""
    alike: dict[object, list[int]] = {}
    for number, (connection, delay) in enumerate(zip(layer.connections, delays, strict=True)):
        synapse = connection.synapse
        geometry: tuple[object, ...] = ()
        if isinstance(synapse, IntConv):
            geometry = (synapse.stride, synapse.padding, synapse.dilation, synapse.groups)
        weights = (synapse.weight.shape, sha256(synapse.weight.tobytes()).digest())
        alike.setdefault((connection.in_shape, delay, geometry, weights), []).append(number)
    return tuple(
        SharedSynapses(layer.connections[numbers[0]], tuple(numbers), delays[numbers[0]] > 0)
        for numbers in alike.values()
    )


def cheapest_storage(shared: Sequence[SharedSynapses], tile: Tile, stored_bits: int, core: LoihiCore) -> StoredSynapses:
    """The layout and encodings that take the least share of the core's scarcest resource, then the least memory.

    shared: all connections of a layer. stored_bits: of a weight.
    So whenever a tile fits a core in some layout and encodings, blocks as small as can be, it fits in these.
    """
    counted = [count(each, tile) for each in shared]
    best: tuple[_Cost, Layout, _Choice] | None = None
    fields = [each.field for each in counted if each.field]
    for layout in layouts(fields, _besides(fields, tile, core)):
        neurons = layout.compartments(tile) / core.neurons_per_core
        if best and best[0] < (False, neurons, 0):
            continue  # the idle neurons alone cost more
        for choice in _choices(counted, layout, stored_bits, core):
            cost = _cost(neurons, choice, core)
            if best is None or cost < best[0]:
                best = cost, layout, choice
    assert best
    _, layout, choice = best
    encoding_of = {
        number: encoding for each, encoding in zip(shared, choice.encodings, strict=True) for number in each.numbers
    }
    return StoredSynapses(
        encodings=tuple(encoding_of[number] for number in sorted(encoding_of)),
        layout=layout,
        idle_neurons=layout.compartments(tile) - tile.neurons,
        input_axons=choice.input_axons,
        synapses=sum(len(each.numbers) * count_synapses(each.connection, tile) for each in shared),
        synapse_bits=choice.synapse_bits,
        synapse_formats=len(choice.formats),
    )


def _besides(fields: Sequence[ReceptiveField], tile: Tile, core: LoihiCore) -> Sequence[int]:
    """How many channels may lie side by side: where it makes gaps smaller, which are those of one group of channels."""
    channels = tile.stop[0] - tile.start[0]
    smaller = core.gap_widths and any(1 < each.widest == channels for each in fields)
    return (1, SIDE_BY_SIDE) if smaller else (1,)


_Cost = tuple[bool, float, int]


def _cost(neurons: float, choice: _Choice, core: LoihiCore) -> _Cost:
    """Whether there are too many formats, the share of the scarcest resource, and the memory.

    neurons: the share that neurons take, idle ones among them.
    """
    scarcest = max(
        neurons, choice.input_axons / core.input_axons_per_core, choice.synapse_bits / core.synapse_bits_per_core
    )
    return len(choice.formats) > core.synapse_formats_per_core, scarcest, choice.synapse_bits


@dataclass(frozen=True, eq=False)
class Counted:
    """The counts of shared synapses and a tile that depend neither on layout nor on encoding.

    fan_out: int64 [synapses + 1], how many source neurons have so many non-zero weights into the tile; [0] is 0.
    field: of a convolution.
    """

    shared: SharedSynapses
    tile: Tile
    fan_out: Counts
    field: ReceptiveField | None


def count(shared: SharedSynapses, tile: Tile) -> Counted:
    """See `Counted`."""
    connection, synapse = shared.connection, shared.connection.synapse
    fan_out = np.bincount(nonzero_fan_out(connection, tile).reshape(-1), minlength=1)
    fan_out[0] = 0
    field = receptive_field(connection, synapse, tile) if isinstance(synapse, IntConv) else None
    return Counted(shared, tile, fan_out, field)


def encodings(
    counted: Counted, layout: Layout, stored_bits: int, core: LoihiCore
) -> Iterator[tuple[Encoding, int, int, int | None]]:
    """Each encoding that can number the neurons of `layout`, with the input axons and the synapse memory that it takes
    and the bits of gaps, if it has any.

    stored_bits: of a weight.
    """
    compartments, sources = layout.compartments(counted.tile), len(counted.shared.numbers)
    bits = stored_bits + core.delay_bits * counted.shared.delayed
    axons = int(counted.fan_out.sum())
    yield "dense", sources * axons, axons * bits_of_run(compartments, bits, core), None
    index = index_bits(compartments, core)
    if index == 0:
        return
    runs = bits_of_runs(counted.fan_out.size.bit_length(), bits + index, core)[: counted.fan_out.size]
    yield "sparse", sources * axons, int(counted.fan_out @ runs), None
    field = counted.field
    if field is None:
        return
    pixels = field.rows.positions.size * field.columns.positions.size
    blocks = least_blocks(field, counted.tile, layout, bits, core)
    yield "shared", sources * pixels, blocks.bits, blocks.skip_bits


def _choices(counted: Sequence[Counted], layout: Layout, stored_bits: int, core: LoihiCore) -> list[_Choice]:
    """Every combination of encodings in `layout` that is not worse than another with the same formats."""
    choices = [_Choice()]
    for each in counted:
        options = list(encodings(each, layout, stored_bits, core))
        together = [
            _Choice(
                input_axons=choice.input_axons + axons,
                synapse_bits=choice.synapse_bits + bits,
                encodings=(*choice.encodings, encoding),
                formats=choice.formats | {(encoding, each.shared.delayed, skip_bits)},
            )
            for choice, (encoding, axons, bits, skip_bits) in product(choices, options)
        ]
        choices = _without_worse(together)
    return choices


def _without_worse(choices: Sequence[_Choice]) -> list[_Choice]:
    """Those that no other with the same formats beats in both axons and memory."""
    kept: list[_Choice] = []
    least: dict[frozenset[_Format], int] = {}
    for choice in sorted(choices, key=lambda each: (each.input_axons, each.synapse_bits)):
        if choice.synapse_bits < least.get(choice.formats, choice.synapse_bits + 1):
            least[choice.formats] = choice.synapse_bits
            kept.append(choice)
    return kept
