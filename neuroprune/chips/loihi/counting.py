"""What runs and blocks of synapses take of a core's memory.

The formulas follow nengo-loihi's public accounting of Loihi 1 (`block.py`, `conv.py`, `builder/split_blocks.py`).
A run or block of n synapses of b bits takes, for every 64 synapses (`synapses_per_block`) or the rest of them,
64-bit words that hold b bits each and a header of 10 bits.
"""

from functools import lru_cache

import numpy as np

from neuroprune.arrays import frozen_array
from neuroprune.chips.loihi.core import LoihiCore
from neuroprune.chips.loihi.layout import Layout
from neuroprune.chips.receptive_field import AxisField
from neuroprune.chips.synapse_counts import Counts


def run_bits(synapses: Counts, bits: int, core: LoihiCore) -> Counts:
    """Memory of runs of `synapses` (int64 [n]) that take `bits` each, in bits; nengo-loihi's `bits_per_axon`."""
    full, rest = np.divmod(synapses, core.synapses_per_block)
    whole = -(-(core.synapses_per_block * bits + core.block_header_bits) // core.word_bits)
    begun = -(-(rest * bits + core.block_header_bits) // core.word_bits)
    in_words: Counts = full * whole + begun * (rest > 0)
    return in_words * core.word_bits


@lru_cache(maxsize=1 << 16)
def bits_of_run(synapses: int, bits: int, core: LoihiCore) -> int:
    """`run_bits` of one run."""
    return int(run_bits(np.array([synapses]), bits, core)[0])


@lru_cache(maxsize=1024)
def bits_of_runs(digits: int, bits: int, core: LoihiCore) -> Counts:
    """`run_bits` of every number of synapses that has at most so many binary `digits`; int64 [2**digits]."""
    return frozen_array(run_bits(np.arange(1 << digits), bits, core), np.int64)


def index_bits(compartments: int, core: LoihiCore) -> int:
    """Width of an index to one of `compartments`; 0 if none is wide enough."""
    bits = max(core.index_bits_min, (compartments - 1).bit_length())
    return bits if bits <= core.index_bits_max else 0


@lru_cache(maxsize=1 << 18)
def shared_bits(
    shape: tuple[int, int], rows: AxisField, columns: AxisField, layout: Layout, pitch: int, bits: int, core: LoihiCore
) -> int:
    """Memory of all blocks of weights in the shared encoding, in bits: the sum of `run_bits` over `shared_blocks`.

    bits: of a stored synapse. It depends on the geometry alone, which layers of a network often have in common.
    """
    return int(run_bits(shared_blocks(shape, rows, columns, layout, pitch, core), bits, core).sum())


def shared_blocks(
    shape: tuple[int, int], rows: AxisField, columns: AxisField, layout: Layout, pitch: int, core: LoihiCore
) -> Counts:
    """Synapses of each distinct block of weights in the shared encoding; int64 [blocks].

    shape: source channels, and the most channels of the tile that one of them is joined to.
    rows, columns: what the pixels are joined to, idle neurons of `layout` perhaps among it. pitch: of the layout.
    Two pixels share a block if they are of one kind along both axes. The base neuron that an axon adds has 8 bits
    (`axon_base_bits`); what exceeds them goes into the indices, so pixels that differ there need blocks of their own.
    Every source channel of a block has the same number of synapses, that of the group with most channels in the tile.
    """
    first_row = rows.first + (layout.rows.margin - rows.margin)
    first_column = columns.first + (layout.columns.margin - columns.margin)
    base = first_row[:, np.newaxis] * pitch + first_column
    kind = rows.kind[:, np.newaxis] * columns.sizes.size + columns.kind
    kinds = rows.sizes.size * columns.sizes.size
    distinct = np.flatnonzero(np.bincount(((base >> core.axon_base_bits) * kinds + kind).reshape(-1))) % kinds
    row, column = np.divmod(distinct, columns.sizes.size)
    taps: Counts = rows.sizes[row] * columns.sizes[column]
    return taps * shape[0] * shape[1]
