"""The blocks of a shared encoding: which way to read and to write them takes the least memory; see `loihi.encode`."""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

from neuroprune.chips.loihi.core import LoihiCore
from neuroprune.chips.loihi.counting import index_bits, shared_bits, skipping_blocks
from neuroprune.chips.loihi.layout import Layout, Space
from neuroprune.chips.receptive_field import AxisField, ReceptiveField
from neuroprune.chips.types import Tile


class Blocks(NamedTuple):
    """Memory of the blocks of a shared encoding, in bits, and what its pixels are joined to, idle neurons among it.

    skip_bits: of the gaps between neurons; 0 where synapses have indices.
    """

    bits: int
    rows: AxisField
    columns: AxisField
    skip_bits: int = 0


def least_blocks(field: ReceptiveField, tile: Tile, layout: Layout, stored_bits: int, core: LoihiCore) -> Blocks:
    """The way to read `field` that has a place in `layout` and takes the least memory; among equals the closed one,
    with indices.

    stored_bits: of a weight, with its delay.
    """
    ways = product(
        _held(layout.rows, field.rows, field.open_rows), _held(layout.columns, field.columns, field.open_columns)
    )
    stored = (each for rows, columns in ways for each in _blocks(field, rows, columns, tile, layout, stored_bits, core))
    return min(stored, key=lambda blocks: blocks.bits)


def _blocks(
    field: ReceptiveField,
    rows: AxisField,
    columns: AxisField,
    tile: Tile,
    layout: Layout,
    stored_bits: int,
    core: LoihiCore,
) -> Iterator[Blocks]:
    """Blocks with indices, and with gaps where source channels are joined to as many channels of the tile each."""
    shape, pitch = (field.channels[1] - field.channels[0], field.widest), layout.pitch(tile)
    index = index_bits(layout.compartments(tile), core)
    yield Blocks(shared_bits(shape, rows, columns, layout, pitch, stored_bits + index, core), rows, columns)
    steps = pitch, layout.plane(tile)
    skipping = skipping_blocks(shape, rows, columns, layout, steps, (stored_bits, index), core) if field.alike else None
    if skipping:
        yield Blocks(skipping.bits, rows, columns, skipping.skip_bits)


def _held(space: Space, closed: AxisField, opened: AxisField) -> Sequence[AxisField]:
    """The ways to read that have a place in `space`, each once."""
    return (closed, opened) if space.holds(opened) and opened.key != closed.key else (closed,)
