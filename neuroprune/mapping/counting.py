"""How many axons and how much synapse memory a tile takes on a Loihi-style core.

The formulas follow nengo-loihi's public accounting of Loihi 1 (`block.py`, `conv.py`, `builder/split_blocks.py`).
A tile stores its synapses in the cheapest of three encodings:

    dense   each source neuron that has a non-zero weight here: one input axon, and a run of one weight for every
            neuron of the tile, without indices.
    sparse  each such source neuron: one input axon, and a weight with an index for every non-zero weight.
    shared  convolutions only; each source pixel: one input axon, shared by its channels (a 32-bit population axon),
            that names a block of weights and a base neuron. The block holds, for each source channel, a weight with
            an index for every tap that joins the pixel to the tile, zeros too. Pixels that reach the tile alike,
            through the same taps or taps of equal weights, share a block.

Pixels near the edge of a tile have fewer taps and so blocks of their own. Idle neurons around the tile make them
alike: the block of the inner pixels serves all, and what falls beside the tile is received by neurons that send
nothing. Rows of the tile then follow each other with a gap, as do its channels, and both ends share the gap. This
is done along either axis, both or none: idle neurons against synapse memory.

A run or block of n synapses of b bits takes, for every 64 synapses (`synapses_per_block`) or the rest of them,
64-bit words that hold b bits each and a header of 10 bits. Indices have the width, from 6 to 12 bits, that numbers
the neurons of the tile. Assumed beyond the sources: several tiles on a core each have a synapse format of their own
whose offset moves their indices to their own neurons, so sharing a core costs no extra bits.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from neuroprune.mapping.reach import Field, Reach, receptive_field
from neuroprune.mapping.types import Encoding, Tile
from neuroprune.quantize.types import Connection, IntConv, IntDense, QuantLayer
from neuroprune.targets import Target

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SynapseUse:
    """What the synapses of one tile take, each connection in one encoding; see `TileUse`."""

    encodings: tuple[Encoding, ...]
    idle_neurons: int
    input_axons: int
    synapses: int
    synapse_bits: int


def cheapest_use(layer: QuantLayer, tile: Tile, target: Target) -> SynapseUse:
    """The encoding that takes the least share of the core's scarcest resource, then the least memory.

    So whenever a tile of one connection fits a core in some encoding, it fits in this one. Each of several connections
    takes the cheapest of its own, without idle neurons: these would move the neurons that all of them name.
    """

    def cost(use: SynapseUse) -> tuple[float, int]:
        shares = (
            (tile.neurons + use.idle_neurons) / target.neurons_per_core,
            use.input_axons / target.input_axons_per_core,
            use.synapse_bits / target.synapse_bits_per_core,
        )
        return max(shares), use.synapse_bits

    if len(layer.connections) == 1:
        return min(encodings(layer.connections[0], tile, layer.weight_bits, target), key=cost)
    uses = [
        min((use for use in encodings(each, tile, layer.weight_bits, target) if use.idle_neurons == 0), key=cost)
        for each in layer.connections
    ]
    return SynapseUse(
        encodings=tuple(encoding for use in uses for encoding in use.encodings),
        idle_neurons=0,
        input_axons=sum(use.input_axons for use in uses),
        synapses=sum(use.synapses for use in uses),
        synapse_bits=sum(use.synapse_bits for use in uses),
    )


def encodings(connection: Connection, tile: Tile, weight_bits: int, target: Target) -> Iterator[SynapseUse]:
    """What the synapses of `connection` into `tile` take in each encoding that can number its neurons."""
    synapses = count_synapses(connection, tile)
    fan_out = nonzero_fan_out(connection, tile)
    fan_out = fan_out[fan_out > 0]
    run = run_bits(np.array([tile.neurons]), weight_bits, target)
    yield SynapseUse(("dense",), 0, fan_out.size, synapses, fan_out.size * int(run[0]))
    bits = _indexed_bits(tile.neurons, weight_bits, target)
    if bits:
        yield SynapseUse(("sparse",), 0, fan_out.size, synapses, int(run_bits(fan_out, bits, target).sum()))
    if not isinstance(connection.synapse, IntConv):
        return
    field = receptive_field(connection, connection.synapse, tile)
    pixels = field.rows.positions.size * field.columns.positions.size
    for rows, columns in product((field.rows, field.open_rows), (field.columns, field.open_columns)):
        idle = idle_neurons(tile, rows, columns)
        bits = _indexed_bits(tile.neurons + idle, weight_bits, target)
        if bits:
            blocks = shared_blocks(field, tile, rows, columns, target)
            yield SynapseUse(("shared",), idle, pixels, synapses, int(run_bits(blocks, bits, target).sum()))


def _indexed_bits(neurons: int, weight_bits: int, target: Target) -> int:
    """Bits of a weight and an index to one of `neurons`; 0 if no index is wide enough."""
    index_bits = max(target.index_bits_min, (neurons - 1).bit_length())
    return weight_bits + index_bits if index_bits <= target.index_bits_max else 0


def run_bits(synapses: Counts, bits: int, target: Target) -> Counts:
    """Memory of runs of `synapses` (int64 [n]) that take `bits` each, in bits; nengo-loihi's `bits_per_axon`."""

    def words(in_block: Counts) -> Counts:
        return -(-(in_block * bits + target.block_header_bits) // target.word_bits)

    full, rest = np.divmod(synapses, target.synapses_per_block)
    in_words: Counts = full * words(np.array(target.synapses_per_block)) + np.where(rest > 0, words(rest), 0)
    return in_words * target.word_bits


def count_synapses(connection: Connection, tile: Tile) -> int:
    """Synapses between the tile and its sources: zero weights count, taps in the padding do not."""
    if isinstance(connection.synapse, IntDense):
        return tile.neurons * int(connection.synapse.weight.shape[1])
    field = receptive_field(connection, connection.synapse, tile)
    channels = tile.stop[0] - tile.start[0]
    taps = int(field.rows.taps.sum()) * int(field.columns.taps.sum())
    return channels * int(connection.synapse.weight.shape[1]) * taps


def nonzero_fan_out(connection: Connection, tile: Tile) -> Counts:
    """Non-zero weights from each source neuron into the tile.

    int64 [source features] of a dense layer; [channels, rows, columns] of the receptive field of a convolution.
    """
    weight = connection.synapse.weight
    start, stop = tile.start[0], tile.stop[0]
    if isinstance(connection.synapse, IntDense):
        fan_out: Counts = np.count_nonzero(weight[start:stop], axis=0)
        return fan_out
    field = receptive_field(connection, connection.synapse, tile)
    group = weight.shape[0] // connection.synapse.groups
    by_group = [
        np.count_nonzero(weight[max(start, first) : min(stop, first + group)], axis=0)
        for first in range(start // group * group, stop, group)
    ]
    in_kernel = np.concatenate(by_group)
    rows, columns = field.rows.taps.astype(np.int64), field.columns.taps.astype(np.int64)
    return np.asarray(rows @ in_kernel @ columns.T, dtype=np.int64)


def idle_neurons(tile: Tile, rows: Reach, columns: Reach) -> int:
    """Idle neurons around a tile whose rows and columns are laid out with these margins and gaps."""
    channels, height, width = (stop - start for start, stop in zip(tile.start, tile.stop, strict=True))
    pitch = width + columns.gap
    return rows.margin * pitch + columns.margin + channels * (height + rows.gap) * pitch - tile.neurons


def shared_blocks(field: Field, tile: Tile, rows: Reach, columns: Reach, target: Target) -> Counts:
    """Synapses of each distinct block of weights in the shared encoding; int64 [blocks].

    Two pixels share a block if they are of one kind along both axes. The base neuron that an axon adds has 8 bits
    (`axon_base_bits`); what exceeds them goes into the indices, so pixels that differ there need blocks of their own.
    Every source channel of a block has the same number of synapses, that of the group with most channels in the tile.
    """
    pitch = tile.stop[2] - tile.start[2] + columns.gap
    base = rows.first[:, np.newaxis] * pitch + columns.first
    kind = rows.kind[:, np.newaxis] * columns.sizes.size + columns.kind
    kinds = rows.sizes.size * columns.sizes.size
    distinct = np.unique((base >> target.axon_base_bits) * kinds + kind) % kinds
    row, column = np.divmod(distinct, columns.sizes.size)
    channels = field.channels[1] - field.channels[0]
    taps: Counts = rows.sizes[row] * columns.sizes[column]
    return taps * channels * field.widest
