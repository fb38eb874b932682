"""Which neurons a tile reads: receptive fields in closed form, one axis at a time."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from neuroprune.frozen import frozen_array
from neuroprune.graph.nodes import Shape
from neuroprune.mapping.types import Box, Tile
from neuroprune.quantize.types import IntConv, QuantLayer


@dataclass(frozen=True, eq=False)
class Reach:
    """What a run of outputs reads along one axis of a convolution; n source positions in all.

    positions: int64 [n], ascending, inside the source; each is joined to an output of the run by a tap.
    taps: bool [n, kernel], the taps that join the position to an output.
    first: int64 [n], the lowest of these outputs, counted from the start of the run and its margin.
    margin: idle outputs before the run. gap: idle outputs after it, and so between runs that follow each other.
    """

    positions: npt.NDArray[np.int64]
    taps: npt.NDArray[np.bool_]
    first: npt.NDArray[np.int64]
    margin: int
    gap: int


@dataclass(frozen=True, eq=False)
class Field:
    """The receptive field of a tile of a convolution.

    channels: source channels [start, stop) of the groups that the tile has channels of.
    widest: the most channels of the tile that lie in one group.
    rows, columns: as they are; open_rows, open_columns: with every tap, also to outputs beyond the tile.
    """

    channels: tuple[int, int]
    widest: int
    rows: Reach
    columns: Reach
    open_rows: Reach
    open_columns: Reach

    @property
    def key(self) -> bytes:
        """Equal for fields of tiles of one shape that differ by where they lie only."""
        return b"".join(axis.taps.tobytes() + axis.first.tobytes() for axis in (self.rows, self.columns))


def volume(shape: Shape) -> Box:
    """A layer's shape as channels x height x width; features are channels of one pixel."""
    channels, height, width = shape if len(shape) == 3 else (*shape, 1, 1)
    return channels, height, width


def receptive_field(layer: QuantLayer, synapse: IntConv, tile: Tile) -> Field:
    """The field of `tile`, a part of `layer`, whose synapse is the convolution `synapse`."""
    out_channels, channels_in_group = synapse.weight.shape[:2]
    group = out_channels // synapse.groups
    start, stop = tile.start[0], tile.stop[0]
    first, last = start // group, (stop - 1) // group
    rows, columns = (
        (
            tile.start[axis + 1],
            tile.stop[axis + 1],
            volume(layer.in_shape)[axis + 1],
            synapse.weight.shape[axis + 2],
            synapse.stride[axis],
            synapse.padding[axis],
            synapse.dilation[axis],
        )
        for axis in (0, 1)
    )
    return Field(
        channels=(first * channels_in_group, (last + 1) * channels_in_group),
        widest=max(min(stop, (g + 1) * group) - max(start, g * group) for g in range(first, last + 1)),
        rows=reach(*rows),
        columns=reach(*columns),
        open_rows=open_reach(*rows),
        open_columns=open_reach(*columns),
    )


@lru_cache(maxsize=65536)
def reach(start: int, stop: int, size: int, kernel: int, stride: int, padding: int, dilation: int) -> Reach:
    """What the outputs [start, stop) read of a source of `size`: output o reads o * stride - padding + k * dilation."""
    outputs, taps = np.meshgrid(np.arange(start, stop), np.arange(kernel), indexing="ij")
    read = outputs * stride - padding + taps * dilation
    inside = (read >= 0) & (read < size)
    positions, index = np.unique(read[inside], return_inverse=True)
    joined = np.zeros((positions.size, kernel), dtype=np.bool_)
    joined[index, taps[inside]] = True
    first = np.full(positions.size, stop - start, dtype=np.int64)
    np.minimum.at(first, index, outputs[inside] - start)
    return _frozen(positions, joined, first, 0, 0)


@lru_cache(maxsize=65536)
def open_reach(start: int, stop: int, size: int, kernel: int, stride: int, padding: int, dilation: int) -> Reach:
    """The same positions, but with all taps to outputs before and after [start, stop), for which idle ones are added.

    The gap after the run takes what is beyond either end, because runs follow each other; the margin what is before
    the first of them.
    """
    positions = reach(start, stop, size, kernel, stride, padding, dilation).positions
    output, rest = np.divmod(positions[:, np.newaxis] + padding - np.arange(kernel) * dilation, stride)
    joined = rest == 0
    output -= start
    before = max(0, -int(output[joined].min(initial=0)))
    after = max(0, int(output[joined].max(initial=0)) - (stop - start - 1))
    first = np.where(joined, output, stop).min(axis=1) + before
    return _frozen(positions, joined, first, before, max(before, after))


def _frozen(
    positions: npt.NDArray[np.int64], taps: npt.NDArray[np.bool_], first: npt.NDArray[np.int64], margin: int, gap: int
) -> Reach:
    return Reach(
        frozen_array(positions, np.int64), frozen_array(taps, np.bool_), frozen_array(first, np.int64), margin, gap
    )
