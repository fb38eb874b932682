"""How many output axons a tile takes: one entry for each place that its spikes must be sent to.

As in nengo-loihi (`split_axon`, `Axon.axon_slots`), entries count for each tile that reads, whatever core it is on:

    dense, sparse   a neuron takes one slot for each tile of the next layers that has a synapse from it.
    shared          the neurons of one pixel share one population axon, two slots, for each tile that reads the pixel.

The output layer's spikes leave the chip: one slot for each neuron, which is assumed.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neuroprune.mapping.counting import nonzero_fan_out
from neuroprune.mapping.reach import receptive_field, volume
from neuroprune.mapping.types import Encoding, Tile
from neuroprune.program.types import IntConnection, IntConv, IntLayer
from neuroprune.targets import Target

Sums = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Readers:
    """Who reads a layer, as sums over its boxes (summed-area tables, one longer than the layer along each axis).

    by_neuron: readers of each neuron [channels + 1, height + 1, width + 1].
    by_pixel: for source channels [start, stop), readers of each pixel [height + 1, width + 1].
    """

    by_neuron: Sums
    by_pixel: tuple[tuple[tuple[int, int], Sums], ...]


def read_by(layer: IntLayer, consumers: Iterable[tuple[IntConnection, Iterable[tuple[Tile, Encoding]]]]) -> Readers:
    """The readers of `layer`, given the connections that read it, the tiles behind them and how these store them."""
    shape = volume(layer.shape)
    by_neuron = np.zeros(shape, dtype=np.int64)
    by_pixel: dict[tuple[int, int], Sums] = {}
    off_chip = True
    for consumer, tiles in consumers:
        off_chip = False
        for tile, encoding in tiles:
            if not isinstance(consumer.synapse, IntConv):
                by_neuron += (nonzero_fan_out(consumer, tile) > 0).reshape(shape)
                continue
            field = receptive_field(consumer, consumer.synapse, tile)
            rows, columns = field.rows.positions, field.columns.positions
            if encoding == "shared":
                by_pixel.setdefault(field.channels, np.zeros(shape[1:], dtype=np.int64))[np.ix_(rows, columns)] += 1
            else:
                by_neuron[np.ix_(np.arange(*field.channels), rows, columns)] += nonzero_fan_out(consumer, tile) > 0
    if off_chip:
        by_neuron += 1
    return Readers(_sums(by_neuron), tuple((channels, _sums(counts)) for channels, counts in sorted(by_pixel.items())))


def output_axons(tile: Tile, readers: Readers, target: Target) -> int:
    """Output axon slots of `tile`, a part of the layer that `readers` read."""
    slots = _box(readers.by_neuron, tile.start, tile.stop)
    for (start, stop), counts in readers.by_pixel:
        if start < tile.stop[0] and tile.start[0] < stop:
            slots += target.population_axon_slots * _box(counts, tile.start[1:], tile.stop[1:])
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
