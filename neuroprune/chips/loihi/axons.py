"""How many output axons a tile takes: one entry for each place that its spikes must be sent to.

As in nengo-loihi (`split_axon`, `Axon.axon_slots`), entries count for each tile that reads, whatever core it is on:

    dense, sparse   a neuron takes one slot for each tile of the next layers that has a synapse from it.
    shared          the neurons of one pixel share one population axon, two slots, for each tile that reads the pixel.

The output layer's spikes leave the chip, even where it also reads itself: one slot for each neuron, which is assumed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neuroprune.chips.loihi.core import LoihiCore
from neuroprune.chips.receptive_field import receptive_field
from neuroprune.chips.synapse_counts import nonzero_fan_out
from neuroprune.chips.types import Reader, Tile, volume
from neuroprune.program.types import IntConv, IntLayer

Sums = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ReadCounts:
    """Who reads a layer, as sums over its boxes (summed-area tables, one longer than the layer along each axis).

    by_neuron: readers of each neuron [channels + 1, height + 1, width + 1].
    by_pixel: for source channels [start, stop), readers of each pixel [height + 1, width + 1].
    """

    by_neuron: Sums
    by_pixel: tuple[tuple[tuple[int, int], Sums], ...]


def count_readers(layer: IntLayer, readers: Sequence[Reader]) -> ReadCounts:
    """How many tiles read each neuron and each pixel of `layer`; what no other layer reads leaves the chip, too."""
    shape = volume(layer.shape)
    by_neuron = np.zeros(shape, dtype=np.int64)
    by_pixel: dict[tuple[int, int], Sums] = {}
    for reader in readers:
        connection = reader.connection
        for tile, encoding in ((each.tile, each.encodings[reader.number]) for each in reader.tiles):
            if not isinstance(connection.synapse, IntConv):
                by_neuron += (nonzero_fan_out(connection, tile) > 0).reshape(shape)
                continue
            field = receptive_field(connection, connection.synapse, tile)
            rows, columns = field.rows.positions, field.columns.positions
            if encoding == "shared":
                by_pixel.setdefault(field.channels, np.zeros(shape[1:], dtype=np.int64))[np.ix_(rows, columns)] += 1
            else:
                by_neuron[np.ix_(np.arange(*field.channels), rows, columns)] += nonzero_fan_out(connection, tile) > 0
    if all(each.tile.layer == layer.name for reader in readers for each in reader.tiles):
        by_neuron += 1
    return ReadCounts(
        _sums(by_neuron), tuple((channels, _sums(counts)) for channels, counts in sorted(by_pixel.items()))
    )


def output_axons(tile: Tile, read: ReadCounts, core: LoihiCore) -> int:
    """Output axon slots of `tile`, a part of the layer that `read` is of."""
    slots = _box(read.by_neuron, tile.start, tile.stop)
    for (start, stop), counts in read.by_pixel:
        if start < tile.stop[0] and tile.start[0] < stop:
            slots += core.population_axon_slots * _box(counts, tile.start[1:], tile.stop[1:])
    return slots


def _sums(counts: Sums) -> Sums:
    """The table in which entry i, j, ... is the sum of `counts[:i, :j, ...]`."""
    table = np.zeros(tuple(size + 1 for size in counts.shape), dtype=np.int64)
    for axis in range(counts.ndim):
        counts = counts.cumsum(axis)
    table[(slice(1, None),) * counts.ndim] = counts
    return table


def _box(table: Sums, start: tuple[int, ...], stop: tuple[int, ...]) -> int:
    """The sum over the box [start, stop) by inclusion and exclusion of its corners."""
    for lower, upper in zip(start, stop, strict=True):
        table = table[upper] - table[lower]
    return int(table)
