"""Putting cores along the mesh."""

from neuroprune.chips.chip import Chip
from neuroprune.mapping.match import place_matched
from neuroprune.mapping.types import ChipMapping, Core, Packing


def place(packing: Packing, chip: Chip) -> ChipMapping:
    """Cores one after the other along the mesh, there and back row by row, so that neighbours in the pipeline are
    neighbours on the chip; the next chip follows when one is full.
    """
    if packing.numbers:
        return place_matched(packing, chip)
    columns, _ = chip.mesh
    cores = []
    for number, tiles in enumerate(packing.cores):
        on, at = divmod(number, chip.cores_per_chip)
        y, x = divmod(at, columns)
        cores.append(Core(tiles=tiles, chip=on, x=x if y % 2 == 0 else columns - 1 - x, y=y))
    return ChipMapping(chip=chip.name, cores=tuple(cores), chips=-(-len(cores) // chip.cores_per_chip))
