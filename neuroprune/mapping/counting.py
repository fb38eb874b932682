"""How many synapses a connection has into a tile, and what runs and blocks of them take of a core's memory.

The formulas follow nengo-loihi's public accounting of Loihi 1 (`block.py`, `conv.py`, `builder/split_blocks.py`).
A run or block of n synapses of b bits takes, for every 64 synapses (`synapses_per_block`) or the rest of them,
64-bit words that hold b bits each and a header of 10 bits.
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from neuroprune.frozen import frozen_array
from neuroprune.mapping.layout import Layout
from neuroprune.mapping.reach import Field, Reach, receptive_field
from neuroprune.mapping.types import Tile
from neuroprune.program.types import IntConnection, IntConv, IntDense
from neuroprune.targets import Target

Counts = npt.NDArray[np.int64]


def run_bits(synapses: Counts, bits: int, target: Target) -> Counts:
    """Memory of runs of `synapses` (int64 [n]) that take `bits` each, in bits; nengo-loihi's `bits_per_axon`."""

    full, rest = np.divmod(synapses, target.synapses_per_block)
    whole = -(-(target.synapses_per_block * bits + target.block_header_bits) // target.word_bits)
    begun = -(-(rest * bits + target.block_header_bits) // target.word_bits)
    in_words: Counts = full * whole + begun * (rest > 0)
    return in_words * target.word_bits


def index_bits(compartments: int, target: Target) -> int:
    """Width of an index to one of `compartments`; 0 if none is wide enough."""
    bits = max(target.index_bits_min, (compartments - 1).bit_length())
    return bits if bits <= target.index_bits_max else 0


def count_synapses(connection: IntConnection, tile: Tile) -> int:
    """Synapses between the tile and its sources: zero weights count, taps in the padding do not."""
    if isinstance(connection.synapse, IntDense):
        return tile.neurons * int(connection.synapse.weight.shape[1])
    field = receptive_field(connection, connection.synapse, tile)
    channels = tile.stop[0] - tile.start[0]
    taps = int(field.rows.taps.sum()) * int(field.columns.taps.sum())
    return channels * int(connection.synapse.weight.shape[1]) * taps


def nonzero_fan_out(connection: IntConnection, tile: Tile) -> Counts:
    """Non-zero weights from each source neuron into the tile.

    int64 [source features] of a dense layer; [channels, rows, columns] of the receptive field of a convolution.
    """
    start, stop = tile.start[0], tile.stop[0]
    if isinstance(connection.synapse, IntDense):
        fan_out: Counts = np.count_nonzero(connection.synapse.weight[start:stop], axis=0)
        return fan_out
    field = receptive_field(connection, connection.synapse, tile)
    rows, columns = field.rows.taps.astype(np.int64), field.columns.taps.astype(np.int64)
    return np.asarray(rows @ _nonzero_in_kernel(connection.synapse, start, stop) @ columns.T, dtype=np.int64)


@lru_cache(maxsize=256)
def _nonzero_in_kernel(synapse: IntConv, start: int, stop: int) -> Counts:
    """Non-zero weights of each source channel and tap into channels [start, stop): [channels, height, width]."""
    weight = synapse.weight
    group = weight.shape[0] // synapse.groups
    by_group = [
        np.count_nonzero(weight[max(start, first) : min(stop, first + group)], axis=0)
        for first in range(start // group * group, stop, group)
    ]
    return frozen_array(np.concatenate(by_group), np.int64)


def shared_blocks(field: Field, tile: Tile, rows: Reach, columns: Reach, layout: Layout, target: Target) -> Counts:
    """Synapses of each distinct block of weights in the shared encoding; int64 [blocks].

    rows, columns: what the pixels are joined to, idle neurons of `layout` perhaps among it.
    Two pixels share a block if they are of one kind along both axes. The base neuron that an axon adds has 8 bits
    (`axon_base_bits`); what exceeds them goes into the indices, so pixels that differ there need blocks of their own.
    Every source channel of a block has the same number of synapses, that of the group with most channels in the tile.
    """
    first_row = rows.first + (layout.rows.margin - rows.margin)
    first_column = columns.first + (layout.columns.margin - columns.margin)
    base = first_row[:, np.newaxis] * layout.pitch(tile) + first_column
    kind = rows.kind[:, np.newaxis] * columns.sizes.size + columns.kind
    kinds = rows.sizes.size * columns.sizes.size
    distinct = np.flatnonzero(np.bincount(((base >> target.axon_base_bits) * kinds + kind).reshape(-1))) % kinds
    row, column = np.divmod(distinct, columns.sizes.size)
    channels = field.channels[1] - field.channels[0]
    taps: Counts = rows.sizes[row] * columns.sizes[column]
    return taps * channels * field.widest
