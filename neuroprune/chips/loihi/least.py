"""What a layer takes of Loihi-style cores at least, however it is cut and its synapses are stored.

Each amount is proved from the encodings of `loihi.encode`:

- neurons: those of the layer, idle ones left out, of several compartments where the reset takes them;
- input axons: a source with a non-zero weight needs one, alone or shared by the channels of its pixel;
- output axons: a neuron that is read needs an entry for each layer that reads it, or shares a population axon;
- synapse memory: a neuron takes its non-zero weights (dense, sparse) or, where weights are shared, its part of a block:
  that holds each distinct tap of the neuron, for every source channel, and serves at most all pixels of the plane, or
  as many as a core has neurons. Synapses of a row follow each other without gaps for as many neurons as a source
  reaches along it; where no gap leads to the next row either, the tile is no wider than that. Else each has an index,
  a gap, or its part of the header of such a row. Other headers, delays and what is lost to whole words are left out;
- formats: one for each tile.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from neuroprune.chips.loihi.core import LoihiCore
from neuroprune.chips.loihi.encode import share_synapses
from neuroprune.chips.receptive_field import equal_taps
from neuroprune.chips.synapse_counts import nonzero_fan_out
from neuroprune.chips.types import Tile, volume
from neuroprune.program.types import IntConnection, IntConv, IntLayer


def least_taken(
    layer: IntLayer, delays: Sequence[int], readers: Sequence[tuple[IntConnection, Tile]], bits: int, core: LoihiCore
) -> tuple[int, ...]:
    """Amounts of each resource, in the order of the core's.

    layer, readers: dense connections from maps widened; readers with the whole layer that each leads to, none for the
    output layer. bits: of a stored weight.
    """
    whole = whole_layer(layer)
    shared = share_synapses(layer, delays)
    compartments = core.subtracting_compartments if layer.neuron.reset == "subtract" else 1
    return (
        whole.neurons * compartments,
        sum(len(each.numbers) * int(_sources(each.connection, whole, slots=1).sum()) for each in shared),
        sum(int(_sources(connection, tile, core.population_axon_slots).sum()) for connection, tile in readers)
        if readers
        else whole.neurons,
        int(sum(_bits(each.connection, whole, bits, core).sum() for each in shared)),
        -(-whole.neurons // core.neurons_per_core),
    )


def whole_layer(layer: IntLayer) -> Tile:
    """All neurons of `layer`, as a tile."""
    return Tile(layer.name, (0, 0, 0), volume(layer.shape))


def _sources(connection: IntConnection, tile: Tile, slots: int) -> npt.NDArray[np.int64]:
    """The axons that each source needs at least; the channels of a pixel of a map can share `slots` of them."""
    joined = nonzero_fan_out(connection, tile) > 0
    neurons: npt.NDArray[np.int64] = joined.astype(np.int64)
    return neurons if joined.ndim == 1 else np.minimum(neurons.sum(axis=0), slots)


def _bits(connection: IntConnection, whole: Tile, bits: int, core: LoihiCore) -> npt.NDArray[np.int64]:
    """Synapse memory of each neuron, rounded down."""
    synapse = connection.synapse
    if not isinstance(synapse, IntConv):
        return np.asarray(np.count_nonzero(synapse.weight, axis=1) * bits, dtype=np.int64)
    _, height, width = whole.stop
    _, source_height, source_width = volume(connection.in_shape)
    rows = _valid_taps(synapse, 0, height, source_height)
    columns = _valid_taps(synapse, 1, width, source_width)
    nonzero = np.einsum("ckl,yk,xl->cyx", np.count_nonzero(synapse.weight, axis=1), rows, columns)
    of_rows, of_columns = equal_taps(synapse)
    distinct = np.outer(_distinct(rows, of_rows), _distinct(columns, of_columns))
    taps = np.arange(synapse.weight.shape[3])
    reached = min(int(np.bincount(taps * synapse.dilation[1] % synapse.stride[1]).max()), width)
    served = min(height * width, core.neurons_per_core)
    of_channels = distinct * synapse.weight.shape[1]
    if not core.gap_widths:
        return np.minimum(nonzero * bits, of_channels * (bits + core.index_bits_min) // served)
    header_bits = core.block_header_bits + core.index_bits_min
    place_bits = min(reached * min(core.index_bits_min, core.skip_bits_min), header_bits)
    by_rows = of_channels * (bits * reached + place_bits) // (reached * served)
    narrow = of_channels * bits // min(height * reached, core.neurons_per_core)
    return np.minimum(nonzero * bits, np.minimum(by_rows, narrow))


def _valid_taps(synapse: IntConv, axis: int, outputs: int, sources: int) -> npt.NDArray[np.int64]:
    """int64 [outputs, taps]: 1 where the tap of an output is inside the source."""
    taps = np.arange(synapse.weight.shape[2 + axis]) * synapse.dilation[axis] - synapse.padding[axis]
    position = np.arange(outputs)[:, np.newaxis] * synapse.stride[axis] + taps
    return ((position >= 0) & (position < sources)).astype(np.int64)


def _distinct(valid: npt.NDArray[np.int64], kinds: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """For each output its valid taps of different weights; kinds: of each tap the first that is equal."""
    return np.array([len({kinds[tap] for tap in np.flatnonzero(row)}) for row in valid], dtype=np.int64)
