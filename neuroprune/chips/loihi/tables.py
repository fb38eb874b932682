"""The tables of a tile on a core of the Loihi family: its runs and blocks of synapses, and the axons that name them.

`loihi.encode` says what the encodings are and counts what they take; here they are written out.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from neuroprune.chips.loihi.blocks import least_blocks
from neuroprune.chips.loihi.core import LoihiCore
from neuroprune.chips.loihi.counting import first_too_wide, index_bits
from neuroprune.chips.loihi.encode import SharedSynapses
from neuroprune.chips.loihi.layout import Layout
from neuroprune.chips.loihi.resets import write_resets
from neuroprune.chips.receptive_field import AxisField, ReceptiveField, receptive_field
from neuroprune.chips.synapse_lists import MemoryWriter, list_synapses
from neuroprune.chips.tables import Numbers, SynapseFormat, TileAxons, TileTables
from neuroprune.chips.types import Tile, TileResources, volume
from neuroprune.neurons.model import IntNeuron
from neuroprune.program.types import IntConv


def tile_tables(
    shared: Sequence[SharedSynapses],
    neuron: IntNeuron,
    delays: Sequence[int],
    use: TileResources,
    stored_bits: int,
    core: LoihiCore,
) -> TileTables:
    """The tables of a tile in the layout and the encodings that `use` says.

    shared: all connections of the layer. neuron: its neurons. delays: steps by which the synapses of each delay.
    stored_bits: of a weight.
    """
    assert isinstance(use.layout, Layout)
    writer = _TileWriter(use.tile, use.layout, stored_bits, core)
    axons: dict[int, TileAxons] = {}
    for each in shared:
        number = each.numbers[0]
        axons |= dict.fromkeys(each.numbers, writer.write(each, use.encodings[number], delays[number]))
    size = core.subtracting_compartments if neuron.reset == "subtract" else 1
    resets = (write_resets(writer.memory, writer.place, neuron.vth, stored_bits, core),) if size > 1 else ()
    formats, memory = writer.memory.written()
    return TileTables(
        use.layout.compartments(use.tile),
        writer.place,
        tuple(replace(form, step=size) for form in formats),
        memory,
        tuple(axons[number] for number in sorted(axons)),
        resets,
        size,
    )


class _TileWriter:
    """Writes the synapses of one tile.

    place: int64 [neurons of the tile], the compartment of each.
    """

    def __init__(self, tile: Tile, layout: Layout, stored_bits: int, core: LoihiCore) -> None:
        self.memory = MemoryWriter()
        self._tile, self._layout, self._weight_bits, self._core = tile, layout, stored_bits, core
        channels, height, width = (stop - start for start, stop in zip(tile.start, tile.stop, strict=True))
        self._pitch, self._first = layout.pitch(tile), layout.first(tile)
        self._channels = layout.channels(tile, channels)
        c, y, x = np.indices((channels, height, width)).reshape(3, -1)
        self.place: Numbers = self._compartment(c, y, x)

    def write(self, shared: SharedSynapses, encoding: str, delay: int) -> TileAxons:
        """The axons of one connection; those of the others with equal synapses are the same."""
        form = SynapseFormat(
            self._weight_bits,
            0 if encoding == "dense" else index_bits(self._layout.compartments(self._tile), self._core),
            self._core.delay_bits * shared.delayed,
            population=encoding == "shared",
        )
        if encoding == "shared":
            return self._blocks(shared, form, delay)
        listed = list_synapses(shared.connection, self._tile)
        count, place = listed.source.size, self.place[listed.neuron]
        if encoding == "dense":
            compartments = self._layout.compartments(self._tile)
            weight = np.zeros((count, compartments), np.int64)
            weight[np.arange(count).repeat(listed.fan_out), place] = listed.weight
            length = np.full(count, compartments)
            run = self.memory.write(form, length, 1, weight.reshape(-1), np.zeros(weight.size, np.int64), delay)
        else:
            run = self.memory.write(form, listed.fan_out, 1, listed.weight, place, delay)
        return TileAxons(run, np.zeros_like(run), listed.source[:, np.newaxis])

    def _blocks(self, shared: SharedSynapses, form: SynapseFormat, delay: int) -> TileAxons:
        """An axon for each pixel of the receptive field, and a block for each that has no equal one before it."""
        connection, synapse = shared.connection, shared.connection.synapse
        assert isinstance(synapse, IntConv)
        field = receptive_field(connection, synapse, self._tile)
        stored_bits = form.weight_bits + form.delay_bits
        _, rows, columns, skip_bits = least_blocks(field, self._tile, self._layout, stored_bits, self._core)
        form = replace(form, skip_bits=skip_bits)
        from_row = _reached(rows, synapse, 0, self._tile.start[1])
        from_column = _reached(columns, synapse, 1, self._tile.start[2])
        atoms = field.channels[1] - field.channels[0]
        if not from_row or not from_column:  # the tile reads padding alone
            none = np.zeros(0, np.int64)
            return TileAxons(
                self.memory.write(form, none, atoms, none, none, delay), none, np.zeros((0, atoms), np.int64)
            )
        y, x = (np.array([output.min() for output, _ in reached]) for reached in (from_row, from_column))
        lowest = self._compartment(0, y[:, np.newaxis], x).reshape(-1)
        base, beyond = lowest % (1 << self._core.axon_base_bits), lowest >> self._core.axon_base_bits
        row, column = np.indices((rows.positions.size, columns.positions.size)).reshape(2, -1)
        alike = np.stack([beyond, rows.kind[row], columns.kind[column]])
        _, example, block = np.unique(alike, axis=1, return_index=True, return_inverse=True)
        written = [
            self._block(synapse, field, from_row[row[pixel]], from_column[column[pixel]], int(base[pixel]))
            for pixel in example
        ]
        columns_of = zip(*(_placed(*each, skip_bits, self._core) for each in written), strict=True)
        weight, index, begins = (np.concatenate([part.reshape(-1) for part in parts]) for parts in columns_of)
        length = np.array([weights.size for weights, _ in written])
        run = self.memory.write(form, length, atoms, weight, index, delay, begins)
        _, height, width = volume(connection.in_shape)
        channel = np.arange(*field.channels)
        source = (channel * height + rows.positions[row][:, np.newaxis]) * width
        return TileAxons(run[block.reshape(-1)], base, source + columns.positions[column][:, np.newaxis])

    def _block(
        self, synapse: IntConv, field: ReceptiveField, rows: Numbers, columns: Numbers, base: int
    ) -> tuple[Numbers, Numbers]:
        """Weights and indices of a block, int64 [source channels, synapses] each.

        rows, columns: [2, taps], output and tap of each along an axis. Channels of groups with fewer neurons in the
        tile are filled up by weights of 0.
        """
        (start, stop), in_group = (self._tile.start[0], self._tile.stop[0]), synapse.weight.shape[1]
        group = synapse.weight.shape[0] // synapse.groups
        first = np.arange(start // group, (stop - 1) // group + 1)[:, np.newaxis, np.newaxis, np.newaxis, np.newaxis]
        read = np.arange(in_group)[:, np.newaxis, np.newaxis, np.newaxis]
        member = np.arange(field.widest)[:, np.newaxis, np.newaxis]
        channel = np.maximum(first * group, start) + member
        there = channel < np.minimum((first + 1) * group, stop)
        channel = np.where(there, channel, start)
        (y, ky), (x, kx) = rows[:, :, np.newaxis], columns
        weight = np.where(there, synapse.weight[channel, read, ky, kx], 0)
        index = np.where(there, self._compartment(channel - start, y, x) - base, 0)
        count = field.channels[1] - field.channels[0]
        index = np.broadcast_to(index, weight.shape)
        return weight.reshape(count, -1), index.reshape(count, -1)

    def _compartment(self, channel: Numbers | int, y: Numbers, x: Numbers) -> Numbers:
        """Of a neuron, or an idle place, at that distance from the first neuron of the tile."""
        return self._first + self._channels[channel] + y * self._pitch + x


def _placed(
    weight: Numbers, index: Numbers, skip_bits: int | None, core: LoihiCore
) -> tuple[Numbers, Numbers, Numbers]:
    """Weights of a block, [source channels, synapses], what says where they lead, and whether that is an index.

    With `skip_bits` synapses are in the order of their indices, and most have the gap to the one before instead; where
    the gap is too wide or the piece full, the next has an index.
    """
    if skip_bits is None:
        return weight, index, np.ones_like(index)
    order = np.argsort(index, axis=1, kind="stable")
    weight, index = np.take_along_axis(weight, order, axis=1), np.take_along_axis(index, order, axis=1)
    gaps = np.diff(index, axis=1, prepend=index[:, :1])
    begins, too_wide = np.zeros_like(index), first_too_wide(skip_bits)
    in_piece = np.full(len(index), core.synapses_per_block)
    for synapse in range(index.shape[1]):
        begins[:, synapse] = (in_piece == core.synapses_per_block) | (gaps[:, synapse] >= too_wide)
        in_piece = np.where(begins[:, synapse], 1, in_piece + 1)
    return weight, np.where(begins, index, gaps), begins


def _reached(field: AxisField, synapse: IntConv, axis: int, start: int) -> list[Numbers]:
    """For each position of `field` the outputs that it reaches, counted from `start`, and their taps: [2, taps]."""
    reached = []
    for position, joined in zip(field.positions, field.taps, strict=True):
        tap = np.flatnonzero(joined)
        output = (position + synapse.padding[axis] - tap * synapse.dilation[axis]) // synapse.stride[axis] - start
        reached.append(np.stack([output, tap]))
    return reached
