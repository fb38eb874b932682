"""How the neurons of a tile are numbered on their core, idle ones among them.

Rows follow each other with a gap of idle neurons, as do channels, and both ends of a run share the gap before and
after it; a margin stands before the first row and the first column. A few channels may lie side by side: the first row
of each, then the second row of each, and so on, so that what a pixel is joined to has small gaps. Every connection of a
tile names its neurons by these numbers, so one layout serves all of them.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from neuroprune.chips.receptive_field import AxisField, ReceptiveField
from neuroprune.chips.types import Tile

SIDE_BY_SIDE = 4
"""Channels whose rows lie side by side, where any do: with 8 bits of weight and gaps of 2, the 36 synapses of a 3x3
kernel fill six words of 64 bits but for five bits; and the 64 of a 4x4 kernel, into which a pool went, are a block."""


@dataclass(frozen=True)
class Space:
    """Idle rows (or columns) before the first one, and after each run of them."""

    margin: int
    gap: int

    def holds(self, field: AxisField) -> bool:
        """Whether all idle outputs that `field` runs over into have a place here."""
        return field.margin <= self.margin and field.gap <= self.gap


@dataclass(frozen=True)
class Layout:
    """The idle neurons of a tile along both axes, and how many channels lie side by side."""

    rows: Space
    columns: Space
    beside: int = 1

    def row(self, tile: Tile) -> int:
        """From a neuron to that of the channel beside it."""
        return tile.stop[2] - tile.start[2] + self.columns.gap

    def pitch(self, tile: Tile) -> int:
        """From a neuron to the one below it."""
        return self.beside * self.row(tile)

    def first(self, tile: Tile) -> int:
        """The first neuron that is not idle."""
        return self.rows.margin * self.pitch(tile) + self.columns.margin

    def channels(self, tile: Tile, count: int) -> npt.NDArray[np.int64]:
        """int64 [count], from a neuron of the first channel to that of each."""
        group, within = np.divmod(np.arange(count), self.beside)
        return group * self.group(tile) + within * self.row(tile)

    def compartments(self, tile: Tile) -> int:
        """Neurons of the tile and idle ones, among them those of channels that the last ones have not beside them."""
        return self.first(tile) + -(-(tile.stop[0] - tile.start[0]) // self.beside) * self.group(tile)

    def group(self, tile: Tile) -> int:
        """From a neuron to that of the channel after those beside its own."""
        return (tile.stop[1] - tile.start[1] + self.rows.gap) * self.pitch(tile)


CLOSED = Layout(Space(0, 0), Space(0, 0))
"""Without idle neurons."""


def layouts(fields: Iterable[ReceptiveField], besides: Sequence[int] = (1,)) -> Iterator[Layout]:
    """The closed layout first; then what opens the tile to each of the receptive fields, or to all, on each axis.

    besides: how many channels may lie side by side, ascending from 1; more than one only in a tile that is opened along
    both axes, as one with blocks for its edges has many and small ones anyway.
    """
    fields = tuple(fields)
    rows = _spaces([field.open_rows for field in fields])
    columns = _spaces([field.open_columns for field in fields])
    for along_rows, along_columns in product(rows, columns):
        for beside in besides if along_rows.gap and along_columns.gap else (1,):
            yield Layout(along_rows, along_columns, beside)


def _spaces(fields: Iterable[AxisField]) -> list[Space]:
    asked = [CLOSED.rows, *(Space(field.margin, field.gap) for field in fields)]
    widest = Space(max(space.margin for space in asked), max(space.gap for space in asked))
    return list(dict.fromkeys([*asked, widest]))
