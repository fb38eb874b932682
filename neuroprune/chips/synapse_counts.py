"""How many synapses a connection has into a tile, exactly: what families count with."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from neuroprune.arrays import frozen_array
from neuroprune.chips.receptive_field import receptive_field
from neuroprune.chips.types import Tile
from neuroprune.program.types import IntConnection, IntConv, IntDense

Counts = npt.NDArray[np.int64]


def count_synapses(connection: IntConnection, tile: Tile) -> int:
    """Synapses between the tile and its sources: zero weights count, taps in the padding do not.

    >>> import numpy as np
    >>> from neuroprune import IntConnection, IntConv, Tile, count_synapses
    >>> conv = IntConv(np.full((4, 1, 3, 3), 2), stride=(1, 1), padding=(1, 1), dilation=(1, 1), groups=1)
    >>> connection = IntConnection("input", conv, in_shape=(1, 8, 8))
    >>> tile = Tile("conv1", start=(0, 0, 0), stop=(4, 4, 8))
    >>> count_synapses(connection, tile)  # 4 channels x 11 taps in height x 22 in width
    968
    """
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
