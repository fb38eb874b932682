"""What runs and blocks of synapses take of a core's memory.

The formulas follow nengo-loihi's public accounting of Loihi 1 (`block.py`, `conv.py`, `builder/split_blocks.py`).
A run or block of n synapses of b bits takes, for every 64 synapses (`synapses_per_block`) or the rest of them,
64-bit words that hold b bits each and a header of 10 bits.

A block of a shared encoding may say of each synapse how far its neuron lies behind that of the one before, in place of
an index: Loihi's run-length compression, as Intel's compiler NxTF uses it (intel-nrc-ecosystem/models,
nxsdk_modules_ncl/dnn/src, synapse_compression.py, `_encodeSynRunLength`, and data_structures.py, `SynEntry`). Such
synapses follow each other in a piece whose header has an index more, that of its first neuron; where the gap is too
wide for its bits, or after 64 synapses, another piece begins. Here all gaps of a block have one width, and each source
channel begins a piece.
"""

from collections import Counter
from functools import lru_cache
from itertools import pairwise

import numpy as np

from neuroprune.arrays import frozen_array
from neuroprune.chips.loihi.core import LoihiCore
from neuroprune.chips.loihi.layout import Layout
from neuroprune.chips.receptive_field import AxisField
from neuroprune.chips.synapse_counts import Counts


def run_bits(synapses: Counts, bits: int, core: LoihiCore, index: int = 0) -> Counts:
    """Memory of runs of `synapses` (int64 [n]) that take `bits` each, in bits; nengo-loihi's `bits_per_axon`.

    index: bits that headers have more.
    """
    header = core.block_header_bits + index
    full, rest = np.divmod(synapses, core.synapses_per_block)
    whole = -(-(core.synapses_per_block * bits + header) // core.word_bits)
    begun = -(-(rest * bits + header) // core.word_bits)
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
    """Memory of all blocks of weights in the shared encoding, in bits, if each synapse has an index.

    shape: source channels, and the most channels of the tile that one of them is joined to. pitch: of the layout.
    bits: of a stored synapse. It depends on the geometry alone, which layers of a network often have in common.
    Every source channel of a block has the same number of synapses, that of the group with most channels in the tile.
    """
    row, column = _shared_blocks(rows, columns, layout, pitch, core)
    taps = rows.sizes[row] * columns.sizes[column]
    return int(run_bits(taps * shape[0] * shape[1], bits, core).sum())


@lru_cache(maxsize=1 << 18)
def skipping_bits(
    shape: tuple[int, int],
    rows: AxisField,
    columns: AxisField,
    layout: Layout,
    steps: tuple[int, int],
    bits: tuple[int, int, int],
    core: LoihiCore,
) -> int | None:
    """Memory of all blocks whose synapses have gaps in place of indices, in bits, or None where neurons do not ascend.

    steps: pitch and plane of the layout. bits: of a weight with its delay, of an index, and of a gap.
    """
    (pitch, plane), (stored, index, skip) = steps, bits
    total = 0
    for row, column in zip(*_shared_blocks(rows, columns, layout, pitch, core), strict=True):
        y, x = rows.outputs[row], columns.outputs[column]
        neurons = [above * pitch + beside for above in y for beside in x]
        if any(later <= one for one, later in pairwise(neurons)) or (shape[1] > 1 and neurons[-1] >= plane):
            return None
        pieces = _pieces(neurons, plane, shape[1], 1 << skip)
        in_piece = np.fromiter(pieces.keys(), np.int64)
        times = np.fromiter(pieces.values(), np.int64)
        total += int(times @ run_bits(in_piece, stored + skip, core, index))
    return total * shape[0]


def _pieces(neurons: list[int], plane: int, channels: int, reach: int) -> Counter[int]:
    """How many pieces have how many synapses, of a source that is joined to these `neurons` of each channel.

    neurons: ascending. plane: from a neuron to that of the next channel. reach: the first gap that is too wide.
    """
    ends = [at for at in range(1, len(neurons)) if neurons[at] - neurons[at - 1] >= reach]
    lengths = [stop - start for start, stop in pairwise([0, *ends, len(neurons)])]
    if plane - neurons[-1] >= reach:
        return Counter({length: channels * times for length, times in Counter(lengths).items()})
    if not ends:
        return Counter({len(neurons) * channels: 1})
    found = Counter({length: channels * times for length, times in Counter(lengths[1:-1]).items()})
    found[lengths[-1] + lengths[0]] += channels - 1
    found.update([lengths[0], lengths[-1]])
    return found


def _shared_blocks(
    rows: AxisField, columns: AxisField, layout: Layout, pitch: int, core: LoihiCore
) -> tuple[Counts, Counts]:
    """The kinds along both axes of each distinct block of weights in the shared encoding; int64 [blocks] each.

    rows, columns: what the pixels are joined to, idle neurons of `layout` perhaps among it. pitch: of the layout.
    Two pixels share a block if they are of one kind along both axes. The base neuron that an axon adds has 8 bits
    (`axon_base_bits`); what exceeds them goes into the indices, so pixels that differ there need blocks of their own.
    """
    first_row = rows.first + (layout.rows.margin - rows.margin)
    first_column = columns.first + (layout.columns.margin - columns.margin)
    base = first_row[:, np.newaxis] * pitch + first_column
    kind = rows.kind[:, np.newaxis] * columns.sizes.size + columns.kind
    kinds = rows.sizes.size * columns.sizes.size
    distinct = np.flatnonzero(np.bincount(((base >> core.axon_base_bits) * kinds + kind).reshape(-1))) % kinds
    row, column = np.divmod(distinct, columns.sizes.size)
    return row, column
