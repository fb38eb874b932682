"""Putting tiles together on cores, and cores along the mesh."""

from collections.abc import Iterable, Sequence

from neuroprune.mapping.split import exceeded
from neuroprune.mapping.types import Core, TileUse
from neuroprune.targets import Target


def pack(uses: Iterable[TileUse], target: Target) -> tuple[tuple[TileUse, ...], ...]:
    """Each tile on the first core that still has room for it under every limit, in the order of the tiles."""
    cores: list[list[TileUse]] = []
    for use in uses:
        for core in cores:
            if exceeded((*core, use), target) is None:
                core.append(use)
                break
        else:
            cores.append([use])
    return tuple(tuple(core) for core in cores)


def place(packed: Sequence[tuple[TileUse, ...]], target: Target) -> tuple[Core, ...]:
    """Cores one after the other along the mesh, there and back row by row, so that neighbours in the pipeline are
    neighbours on the chip; the next chip follows when one is full.
    """
    columns, _ = target.mesh
    cores = []
    for number, tiles in enumerate(packed):
        chip, on_chip = divmod(number, target.cores_per_chip)
        y, x = divmod(on_chip, columns)
        cores.append(Core(tiles=tiles, chip=chip, x=x if y % 2 == 0 else columns - 1 - x, y=y))
    return tuple(cores)
