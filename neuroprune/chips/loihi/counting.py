"""What runs and blocks of synapses take of a core's memory.

The formulas follow nengo-loihi's public accounting of Loihi 1 (`block.py`, `conv.py`, `builder/split_blocks.py`).
A run or block of n synapses of b bits takes, for every 64 synapses (`synapses_per_block`) or the rest of them,
64-bit words that hold b bits each and a header of 10 bits.

A block of a shared encoding may say of each synapse how far its neuron lies behind that of the one before, in place of
an index, or nothing where it is always the next one: Loihi's run-length and dense compression, as Intel's compiler NxTF
writes them (intel-nrc-ecosystem/models, nxsdk_modules_ncl/dnn/src, synapse_compression.py, `_encodeSynRunLength` and
`_encodeSynDense1`, and data_structures.py, `SynEntry`). Such synapses follow each other in a piece whose header has an
index more, that of its first neuron; where the gap is too wide for its bits, or after 64 synapses, another piece
begins. Here all gaps of a block have one width, and each source channel begins a piece.
"""

from collections import Counter
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

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
    """Memory of all blocks of weights in the shared encoding, in bits, if each synapse has an index.

    shape: source channels, and the most channels of the tile that one of them is joined to. pitch: of the layout.
    bits: of a stored synapse. It depends on the geometry alone, which layers of a network often have in common.
    Every source channel of a block has the same number of synapses, that of the group with most channels in the tile.
    """
    row, column = _shared_blocks(rows, columns, layout, pitch, core)
    taps = rows.sizes[row] * columns.sizes[column]
    return int(run_bits(taps * shape[0] * shape[1], bits, core).sum())


class Skipping(NamedTuple):
    """Memory of blocks whose synapses have gaps in place of indices, and the width of these, both in bits; 0 where
    each synapse leads to the next neuron."""

    bits: int
    skip_bits: int


def first_too_wide(skip_bits: int) -> int:
    """The least gap that so many bits do not hold."""
    return 1 << skip_bits if skip_bits else 2


@lru_cache(maxsize=1 << 18)
def skipping_blocks(
    shape: tuple[int, int],
    rows: AxisField,
    columns: AxisField,
    layout: Layout,
    steps: tuple[int, int, int],
    bits: tuple[int, int],
    core: LoihiCore,
) -> Skipping | None:
    """All blocks, with gaps of the width that takes least; None where no width is less than that of an index, or two
    synapses of a block lead to one neuron.

    shape: as in `shared_bits`. steps: row, pitch and group of the layout. bits: of a weight with its delay, and of an
    index.
    """
    (beside, pitch, group), (stored, index) = steps, bits
    widths = [width for width in core.gap_widths if width < index]
    if not widths:
        return None
    groups, rest = divmod(shape[1], layout.beside)
    row, column = _shared_blocks(rows, columns, layout, pitch, core)
    blocks: list[tuple[int, list[int], int, list[int] | None]] = []
    held: set[int] = set()
    for (of_rows, of_columns), times in Counter(zip(row.tolist(), column.tolist(), strict=True)).items():
        neurons = [above * pitch + right for above in rows.outputs[of_rows] for right in columns.outputs[of_columns]]
        full, last = (
            sorted(channel * beside + neuron for channel in range(channels) for neuron in neurons)
            for channels in (min(layout.beside, shape[1]), rest)
        )
        gaps, of_last = ([later - one for one, later in pairwise(each)] for each in (full, last))
        between = full[0] + group - full[-1] if groups + (rest > 0) > 1 else 1
        if min((between, *gaps, *of_last)) <= 0:
            return None
        blocks.append((times, gaps, between, of_last if last else None))
        held.update(gaps, of_last, (between,))
    # A width holds more than the one before, or takes more bits for the same.
    holds = [sum(gap < first_too_wide(width) for gap in held) for width in widths]
    least: tuple[int, int] | None = None
    for skip in (width for width, more, before in zip(widths, holds, [-1, *holds], strict=False) if more > before):
        total = sum(
            times * count * _piece_bits(length, stored + skip, core.block_header_bits + index, core)
            for times, gaps, between, last in blocks
            for length, count in _pieces(gaps, groups, between, last, first_too_wide(skip))
        )
        least = min(least or (total, skip), (total, skip))
    return Skipping(least[0] * shape[0], least[1]) if least else None


def _pieces(gaps: list[int], groups: int, between: int, last: list[int] | None, reach: int) -> list[tuple[int, int]]:
    """Synapses of the pieces of a source that is joined to so many `groups` of channels alike, and how often each is.

    gaps: of its neurons in one group. between: the gap to the next group. last: gaps of a last group of fewer
    channels. reach: the first that is too wide.
    """
    of_last = [(length, 1) for length in _lengths(last, reach)] if last is not None else []
    if not groups:
        return of_last
    lengths = _lengths(gaps, reach)
    if between >= reach:
        return [*((length, groups) for length in lengths), *of_last]
    after = of_last[0][0] if of_last else 0
    if len(lengths) == 1:
        return [(lengths[0] * groups + after, 1), *of_last[1:]]
    first, *inner, end = lengths
    return [(first, 1), (end + first, groups - 1), (end + after, 1), *((one, groups) for one in inner), *of_last[1:]]


def _lengths(gaps: list[int], reach: int) -> list[int]:
    """Of runs of neurons between which no gap is as wide as `reach`."""
    ends = [at for at, gap in enumerate(gaps, 1) if gap >= reach]
    return [stop - start for start, stop in pairwise([0, *ends, len(gaps) + 1])]


def _piece_bits(synapses: int, bits: int, header: int, core: LoihiCore) -> int:
    """Memory of a piece, or of several where a block holds fewer; as `run_bits`."""
    full, rest = divmod(synapses, core.synapses_per_block)
    words = full * -(-(core.synapses_per_block * bits + header) // core.word_bits)
    return (words + (-(-(rest * bits + header) // core.word_bits) if rest else 0)) * core.word_bits


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
