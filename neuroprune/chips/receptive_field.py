"""Which neurons a tile reads: receptive fields in closed form, one axis at a time."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from neuroprune.arrays import frozen_array
from neuroprune.chips.types import Tile, volume
from neuroprune.program.types import IntConnection, IntConv


@dataclass(frozen=True, eq=False)
class AxisField:
    """The receptive field of a range of outputs along one axis of a convolution; n source positions in all.

    positions: int64 [n], ascending, inside the source; each is joined to an output of the range by a tap.
    taps: bool [n, kernel], the taps that join the position to an output.
    first: int64 [n], the lowest of these outputs, counted from the start of the range and its margin.
    kind: int64 [n], equal for positions whose outputs follow each other alike through taps of equal weights.
    sizes: int64 [kinds], taps of a position of each kind.
    outputs: of each kind the outputs of its positions, ascending, counted from the lowest.
    margin: idle outputs before the range. gap: idle outputs after it, and so between ranges that follow each other.
    """

    positions: npt.NDArray[np.int64]
    taps: npt.NDArray[np.bool_]
    first: npt.NDArray[np.int64]
    kind: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    outputs: tuple[tuple[int, ...], ...]
    margin: int
    gap: int

    @cached_property
    def key(self) -> bytes:
        """Equal for ranges of one length that differ by where they lie only."""
        return self.taps.tobytes() + self.first.tobytes()


@dataclass(frozen=True, eq=False)
class ReceptiveField:
    """The receptive field of a tile of a convolution.

    channels: source channels [start, stop) of the groups that the tile has channels of.
    widest: the most channels of the tile that lie in one group. alike: whether as many lie in each of its groups.
    rows, columns: as they are; open_rows, open_columns: with every tap, also to outputs beyond the tile.
    """

    channels: tuple[int, int]
    widest: int
    alike: bool
    rows: AxisField
    columns: AxisField
    open_rows: AxisField
    open_columns: AxisField

    @property
    def key(self) -> tuple[bytes, bytes]:
        """Equal for fields of tiles of one shape that differ by where they lie only."""
        return self.rows.key, self.columns.key


def receptive_field(connection: IntConnection, synapse: IntConv, tile: Tile) -> ReceptiveField:
    """The field of `tile` in the source of `connection`, whose synapse is the convolution `synapse`.

    >>> import numpy as np
    >>> from neuroprune import IntConnection, IntConv, Tile, receptive_field
    >>> conv = IntConv(np.full((4, 1, 3, 3), 2), stride=(1, 1), padding=(1, 1), dilation=(1, 1), groups=1)
    >>> connection = IntConnection("input", conv, in_shape=(1, 8, 8))
    >>> tile = Tile("conv1", start=(0, 0, 0), stop=(4, 4, 8))
    >>> receptive_field(connection, conv, tile).rows.positions  # for 4 rows, 5 rows of the source
    array([0, 1, 2, 3, 4])
    """
    out_channels, channels_in_group = synapse.weight.shape[:2]
    group = out_channels // synapse.groups
    start, stop = tile.start[0], tile.stop[0]
    first, last = start // group, (stop - 1) // group
    (rows, open_rows), (columns, open_columns) = (
        axis_fields(
            OutputRange(
                start=tile.start[axis + 1],
                stop=tile.stop[axis + 1],
                size=volume(connection.in_shape)[axis + 1],
                stride=synapse.stride[axis],
                padding=synapse.padding[axis],
                dilation=synapse.dilation[axis],
                equal_taps=equal_taps(synapse)[axis],
            )
        )
        for axis in (0, 1)
    )
    widths = {min(stop, (number + 1) * group) - max(start, number * group) for number in (first, last)}
    if last - first > 1:
        widths.add(group)
    return ReceptiveField(
        channels=(first * channels_in_group, (last + 1) * channels_in_group),
        widest=max(widths),
        alike=len(widths) == 1,
        rows=rows,
        columns=columns,
        open_rows=open_rows,
        open_columns=open_columns,
    )


class OutputRange(NamedTuple):
    """The outputs [start, stop) of a convolution along one axis, over a source of `size`.

    Output o reads o * stride - padding + k * dilation through tap k.
    equal_taps: for each tap the first one that has the same weights.
    """

    start: int
    stop: int
    size: int
    stride: int
    padding: int
    dilation: int
    equal_taps: tuple[int, ...]


@lru_cache(maxsize=32768)
def axis_fields(outputs: OutputRange) -> tuple[AxisField, AxisField]:
    """What `outputs` read; then with every tap of the same positions, also to outputs before and after the range."""
    return _axis_field(outputs, opened=False), _axis_field(outputs, opened=True)


def _axis_field(outputs: OutputRange, *, opened: bool) -> AxisField:
    """See `axis_fields`.

    Idle outputs are added for these. The gap after the range takes what is beyond either end, because ranges follow
    each other; the margin what is before the first of them.
    """
    length, taps = outputs.stop - outputs.start, np.arange(len(outputs.equal_taps))
    output, rest = np.divmod(
        np.arange(outputs.size)[:, np.newaxis] + outputs.padding - taps * outputs.dilation, outputs.stride
    )
    output -= outputs.start
    inside = (rest == 0) & (output >= 0) & (output < length)
    positions = np.flatnonzero(inside.any(axis=1))
    output, joined = output[positions], ((rest == 0) if opened else inside)[positions]
    before = max(0, -int(output[joined].min(initial=0)))
    after = max(0, int(output[joined].max(initial=0)) - (length - 1))
    first = np.where(joined, output, length).min(axis=1, initial=length)
    followed = np.zeros((positions.size, length + before + after + 1), dtype=np.int64)
    position, tap = np.nonzero(joined)
    followed[position, (output - first[:, np.newaxis])[joined]] = np.array(outputs.equal_taps)[tap] + 1
    kinds, kind = np.unique(followed, axis=0, return_inverse=True)
    return AxisField(
        positions=frozen_array(positions, np.int64),
        taps=frozen_array(joined, np.bool_),
        first=frozen_array(first + before, np.int64),
        kind=frozen_array(kind.reshape(-1), np.int64),
        sizes=frozen_array((kinds > 0).sum(axis=1), np.int64),
        outputs=tuple(tuple(np.flatnonzero(each).tolist()) for each in kinds),
        margin=before,
        gap=max(before, after),
    )


@lru_cache(maxsize=256)
def equal_taps(synapse: IntConv) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """For each row of the kernel the first row of equal weights, and for each column the first column.

    Average pooling that has become part of a convolution makes such rows and columns.
    """
    first_row: dict[bytes, int] = {}
    first_column: dict[bytes, int] = {}
    height, width = synapse.weight.shape[2:]
    return (
        tuple(first_row.setdefault(synapse.weight[:, :, y].tobytes(), y) for y in range(height)),
        tuple(first_column.setdefault(synapse.weight[:, :, :, x].tobytes(), x) for x in range(width)),
    )
