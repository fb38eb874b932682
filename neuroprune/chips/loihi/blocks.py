"""The blocks of a shared encoding: which way to read and to write them takes the least memory; see `loihi.encode`."""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

from neuroprune.chips.loihi.core import LoihiCore
from neuroprune.chips.loihi.counting import index_bits, shared_bits, skipping_blocks
from neuroprune.chips.loihi.layout import Layout, Space
from neuroprune.chips.receptive_field import AxisField, ReceptiveField
from neuroprune.chips.types import Tile


class Blocks(NamedTuple):
    """Memory of the blocks of a shared encoding, in bits, and what its pixels are joined to, idle neurons among it.

    skip_bits: of the gaps between neurons, 0 where each is the next one; None where synapses have indices.
    """

    bits: int
    rows: AxisField
    columns: AxisField
    skip_bits: int | None = None


def least_blocks(field: ReceptiveField, tile: Tile, layout: Layout, stored_bits: int, core: LoihiCore) -> Blocks:
    """The way to read `field` that has a place in `layout` and takes the least memory; among equals one with indices.

    stored_bits: of a weight, with its delay.
    """
    shape, pitch = (field.channels[1] - field.channels[0], field.widest), layout.pitch(tile)
    index = index_bits(layout.compartments(tile), core)
    ways = tuple(
        product(
            _held(layout.rows, field.rows, field.open_rows), _held(layout.columns, field.columns, field.open_columns)
        )
    )

    def memory(way: tuple[AxisField, AxisField], bits: int) -> int:
        return shared_bits(shape, *way, layout, pitch, bits, core)

    best = min((Blocks(memory(way, stored_bits + index), *way) for way in ways), key=lambda blocks: blocks.bits)
    if not field.alike or (layout.beside > 1 and field.widest < tile.stop[0] - tile.start[0]):
        return best  # groups of channels whose gaps differ
    steps = layout.row(tile), pitch, layout.group(tile)
    for least, way in sorted(((memory(way, stored_bits), way) for way in ways), key=lambda each: each[0]):
        if least >= best.bits:
            break  # even without gaps
        skipping = skipping_blocks(shape, *way, layout, steps, (stored_bits, index), core)
        if skipping and skipping.bits < best.bits:
            best = Blocks(skipping.bits, *way, skipping.skip_bits)
    return best


def _held(space: Space, closed: AxisField, opened: AxisField) -> Sequence[AxisField]:
    """The ways to read that have a place in `space`, each once."""
    return (closed, opened) if space.holds(opened) and opened.key != closed.key else (closed,)
