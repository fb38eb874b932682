"""How the neurons of a tile are numbered on their core, idle ones among them.

Rows follow each other with a gap of idle neurons, as do channels, and both ends of a run share the gap before and
after it; a margin stands before the first row and the first column. Every connection of a tile names its neurons by
these numbers, so one layout serves all of them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product

from neuroprune.chips.receptive_field import AxisField, ReceptiveField
from neuroprune.chips.types import Tile


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
    """The idle neurons of a tile along both axes."""

    rows: Space
    columns: Space

    def pitch(self, tile: Tile) -> int:
        """From a neuron to the one below it."""
        return tile.stop[2] - tile.start[2] + self.columns.gap

    def plane(self, tile: Tile) -> int:
        """From a neuron to that of the next channel."""
        return (tile.stop[1] - tile.start[1] + self.rows.gap) * self.pitch(tile)

    def compartments(self, tile: Tile) -> int:
        """Neurons of the tile and idle ones."""
        channels = tile.stop[0] - tile.start[0]
        return self.rows.margin * self.pitch(tile) + self.columns.margin + channels * self.plane(tile)


CLOSED = Layout(Space(0, 0), Space(0, 0))
"""Without idle neurons."""


def layouts(fields: Iterable[ReceptiveField]) -> Iterator[Layout]:
    """The closed layout first; then what opens the tile to each of the receptive fields, or to all, on each axis."""
    fields = tuple(fields)
    rows = _spaces([field.open_rows for field in fields])
    columns = _spaces([field.open_columns for field in fields])
    for along_rows, along_columns in product(rows, columns):
        yield Layout(along_rows, along_columns)


def _spaces(fields: Iterable[AxisField]) -> list[Space]:
    asked = [CLOSED.rows, *(Space(field.margin, field.gap) for field in fields)]
    widest = Space(max(space.margin for space in asked), max(space.gap for space in asked))
    return list(dict.fromkeys([*asked, widest]))
