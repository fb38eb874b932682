"""Putting tiles together on cores."""

from collections.abc import Sequence

import numpy as np

from neuroprune.chips.types import Resource, TileResources
from neuroprune.mapping.kinds import Kinds, fill
from neuroprune.mapping.types import Packing


def pack(tiles: Sequence[TileResources], resources: Sequence[Resource]) -> Packing:
    """All of `tiles` on few cores, every limit of `resources` kept; see `fill`.

    Cores are in the order of their first tiles. Each tile fits a core by itself.
    """
    limits = np.array([resource.limit for resource in resources])
    used, kind, counts = np.unique(
        np.array([tile.used for tile in tiles], dtype=np.int64), axis=0, return_inverse=True, return_counts=True
    )
    of_kind = [iter(np.flatnonzero(kind.reshape(-1) == number)) for number in range(counts.size)]
    cores = []
    for filled in fill(Kinds(used, counts), limits):
        each_kind = np.repeat(np.arange(counts.size), filled.of_kinds)
        cores += [sorted(int(next(of_kind[number])) for number in each_kind) for _ in range(filled.times)]
    return Packing(tuple(tuple(tiles[number] for number in core) for core in sorted(cores)))
