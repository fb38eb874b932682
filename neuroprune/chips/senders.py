"""Which neurons of a source send their spikes to a tile."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neuroprune.chips.receptive_field import receptive_field
from neuroprune.chips.synapse_counts import nonzero_fan_out
from neuroprune.chips.types import Box, Tile, volume
from neuroprune.program.types import IntConnection, IntConv


@dataclass(frozen=True, eq=False)
class Senders:
    """The neurons of a source that send to a tile, inside a box of the source.

    start: channel, row and column at which the box begins. sends: bool [channels, height, width] of the box.
    """

    start: Box
    sends: npt.NDArray[np.bool_]

    @property
    def box(self) -> tuple[slice, slice, slice]:
        """The box as slices of the source's volume."""
        c, y, x = (slice(start, start + size) for start, size in zip(self.start, self.sends.shape, strict=True))
        return c, y, x


def nonzero_senders(connection: IntConnection, tile: Tile) -> Senders:
    """Those that have a weight other than zero into the tile.

    >>> import numpy as np
    >>> from neuroprune import IntConnection, IntConv, Tile, nonzero_senders
    >>> conv = IntConv(np.full((4, 1, 3, 3), 2), stride=(1, 1), padding=(1, 1), dilation=(1, 1), groups=1)
    >>> connection = IntConnection("a", conv, in_shape=(1, 8, 8))
    >>> nonzero_senders(connection, Tile("b", start=(0, 4, 0), stop=(4, 8, 8))).box  # 5 of 8 rows
    (slice(0, 1, None), slice(3, 8, None), slice(0, 8, None))
    """
    fan_out = nonzero_fan_out(connection, tile)
    if isinstance(connection.synapse, IntConv):
        return field_senders(connection, connection.synapse, tile, fan_out > 0)
    return Senders((0, 0, 0), (fan_out > 0).reshape(volume(connection.in_shape)))


def field_senders(
    connection: IntConnection, synapse: IntConv, tile: Tile, sends: npt.NDArray[np.bool_] | bool
) -> Senders:
    """Those of the receptive field of `tile` that `sends` names: bool [channels, rows, columns] of it, or all."""
    field = receptive_field(connection, synapse, tile)
    rows, columns = field.rows.positions, field.columns.positions
    first, last = field.channels
    if not rows.size or not columns.size:  # the tile reads padding alone
        return Senders((first, 0, 0), np.zeros((last - first, 0, 0), dtype=np.bool_))
    top, left = int(rows[0]), int(columns[0])
    box = np.zeros((last - first, int(rows[-1]) - top + 1, int(columns[-1]) - left + 1), dtype=np.bool_)
    box[np.ix_(np.arange(last - first), rows - top, columns - left)] = sends
    return Senders((first, top, left), box)
