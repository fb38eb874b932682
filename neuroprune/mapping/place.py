"""Putting cores along the mesh."""

from collections.abc import Sequence

from neuroprune.chips.chip import Chip
from neuroprune.chips.types import TileResources
from neuroprune.mapping.types import Core


def place(packed: Sequence[tuple[TileResources, ...]], chip: Chip) -> tuple[Core, ...]:
    """Cores one after the other along the mesh, there and back row by row, so that neighbours in the pipeline are
    neighbours on the chip; the next chip follows when one is full.
    """
    columns, _ = chip.mesh
    cores = []
    for number, tiles in enumerate(packed):
        on, at = divmod(number, chip.cores_per_chip)
        y, x = divmod(at, columns)
        cores.append(Core(tiles=tiles, chip=on, x=x if y % 2 == 0 else columns - 1 - x, y=y))
    return tuple(cores)
