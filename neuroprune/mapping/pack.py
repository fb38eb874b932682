"""Putting tiles together on cores."""

from collections.abc import Sequence

import numpy as np

from neuroprune.chips.types import Resource, TileResources
from neuroprune.mapping.types import Packing


def pack(tiles: Sequence[TileResources], resources: Sequence[Resource]) -> Packing:
    """Each tile on the first core that still has room for it in every resource, in the order of the tiles."""
    cores: list[list[TileResources]] = []
    limits = np.array([resource.limit for resource in resources])
    room = np.empty((len(tiles), limits.size), dtype=np.int64)
    for tile in tiles:
        need = np.array(tile.used)
        number = int(np.argmax((*(room[: len(cores)] >= need).all(axis=1), True)))
        if number == len(cores):
            cores.append([])
            room[number] = limits
        cores[number].append(tile)
        room[number] -= need
    return Packing(tuple(tuple(core) for core in cores))
