"""Every synapse of a connection into a tile, and tables that hold them one by one: what any core can be given."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neuroprune.chips.tables import Numbers, SynapseFormat, SynapseMemory, TileAxons, TileTables
from neuroprune.chips.types import Tile, volume
from neuroprune.fixed_point import IntegerRules
from neuroprune.program.types import IntConnection, IntConv, IntDense, IntLayer


@dataclass(frozen=True, eq=False)
class SynapseList:
    """The synapses of one connection into a tile whose weights are not 0, by their source; int64.

    source: [sources], ascending, neurons of the source in C order. fan_out: [sources], synapses of each, >= 1.
    neuron, weight: [synapses], the neuron of the tile in C order, ascending for each source, and the weight.
    """

    source: Numbers
    fan_out: Numbers
    neuron: Numbers
    weight: Numbers


def list_synapses(connection: IntConnection, tile: Tile) -> SynapseList:
    """See `SynapseList`."""
    synapse, (start, stop) = connection.synapse, (tile.start[0], tile.stop[0])
    if isinstance(synapse, IntDense):
        source, neuron = np.nonzero(synapse.weight[start:stop].T)
        weight = synapse.weight[start + neuron, source].astype(np.int64)
    else:
        source, neuron, weight = _convolved(synapse, connection, tile)
        kept = np.flatnonzero(weight)
        kept = kept[np.lexsort((neuron[kept], source[kept]))]
        source, neuron, weight = source[kept], neuron[kept], weight[kept]
    sources, fan_out = np.unique(source, return_counts=True)
    return SynapseList(sources, fan_out, neuron, weight)


def list_tables(layer: IntLayer, delays: Sequence[int], tile: Tile, rules: IntegerRules) -> TileTables:
    """Tables of a tile without idle compartments, in which each weight that is not 0 has an index and a delay.

    delays: steps by which the synapses of each connection delay.
    """
    memory, axons = MemoryWriter(), []
    widths = ((tile.neurons - 1).bit_length(), max(delays).bit_length())
    form = SynapseFormat(rules.stored_bits(layer.weight_bits), max(1, widths[0]), widths[1], population=False)
    for connection, delay in zip(layer.connections, delays, strict=True):
        listed = list_synapses(connection, tile)
        run = memory.write(form, listed.fan_out, 1, listed.weight, listed.neuron, delay)
        axons.append(TileAxons(run, np.zeros_like(run), listed.source[:, np.newaxis]))
    return TileTables(tile.neurons, np.arange(tile.neurons), *memory.written(), tuple(axons))


class MemoryWriter:
    """Writes runs of synapses one after the other."""

    def __init__(self) -> None:
        self._formats: list[SynapseFormat] = []
        self._parts: list[tuple[Numbers, ...]] = []
        self._runs = 0

    def write(
        self,
        form: SynapseFormat,
        length: Numbers,
        atoms: int,
        weight: Numbers,
        index: Numbers,
        delay: int,
        begins: Numbers | None = None,
    ) -> Numbers:
        """The numbers of new runs, int64 [runs]; length: [runs], synapses of each. weight, index: of all together.

        begins: see `SynapseMemory`; by default each synapse has an index.
        """
        if form not in self._formats:
            self._formats.append(form)
        count = length.size
        number = np.full(count, self._formats.index(form))
        at_each = np.ones_like(index) if begins is None else begins
        self._parts.append((number, length, np.full(count, atoms), weight, index, np.full(weight.size, delay), at_each))
        self._runs += count
        return np.arange(self._runs - count, self._runs)

    def written(self) -> tuple[tuple[SynapseFormat, ...], SynapseMemory]:
        """All formats and runs."""
        columns = (np.concatenate(parts).astype(np.int64) for parts in zip(*self._parts, strict=True))
        return tuple(self._formats), SynapseMemory(*columns)


def _convolved(synapse: IntConv, connection: IntConnection, tile: Tile) -> tuple[Numbers, Numbers, Numbers]:
    """Source, neuron and weight of every synapse, straight from what a convolution is; zeros are among them."""
    outputs, in_group = synapse.weight.shape[:2]
    (c0, y0, x0), (c1, y1, x1) = tile.start, tile.stop
    _, height, width = volume(connection.in_shape)
    y, ky, from_y = _joined(synapse, 0, y0, y1, height)
    x, kx, from_x = _joined(synapse, 1, x0, x1, width)
    channel = np.arange(c0, c1)[:, np.newaxis, np.newaxis, np.newaxis]
    read = channel // (outputs // synapse.groups) * in_group + np.arange(in_group)[:, np.newaxis, np.newaxis]
    source = (read * height + from_y[:, np.newaxis]) * width + from_x
    neuron = ((channel - c0) * (y1 - y0) + (y - y0)[:, np.newaxis]) * (x1 - x0) + (x - x0)
    weight = synapse.weight[c0:c1][:, :, ky[:, np.newaxis], kx].astype(np.int64)
    return source.reshape(-1), np.broadcast_to(neuron, source.shape).reshape(-1), weight.reshape(-1)


def _joined(synapse: IntConv, axis: int, start: int, stop: int, size: int) -> tuple[Numbers, Numbers, Numbers]:
    """Output, tap and position of all that join outputs [start, stop) to positions inside a source of `size`."""
    output, tap = np.mgrid[start:stop, : synapse.weight.shape[axis + 2]].reshape(2, -1)
    position = output * synapse.stride[axis] - synapse.padding[axis] + tap * synapse.dilation[axis]
    inside = (position >= 0) & (position < size)
    return output[inside], tap[inside], position[inside]
