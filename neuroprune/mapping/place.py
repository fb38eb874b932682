"""Putting tiles together on cores, and cores along the mesh."""

from collections.abc import Sequence

import numpy as np

from neuroprune.mapping.limits import core_limits, core_load
from neuroprune.mapping.types import Core, TileUse
from neuroprune.targets import Target


def pack(uses: Sequence[TileUse], target: Target) -> tuple[tuple[TileUse, ...], ...]:
    """Each tile on the first core that still has room for it under every limit, in the order of the tiles."""
    cores: list[list[TileUse]] = []
    limits = np.array(list(core_limits(target).values()))
    room = np.empty((len(uses), limits.size), dtype=np.int64)
    for use in uses:
        need = np.array(list(core_load([use]).values()))
        number = int(np.argmax((*(room[: len(cores)] >= need).all(axis=1), True)))
        if number == len(cores):
            cores.append([])
            room[number] = limits
        cores[number].append(use)
        room[number] -= need
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
