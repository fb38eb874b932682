"""Tiles that take the same of a core change places, so that their messages take few hops.

Which of them lies on which core is free as far as limits go. What the messages of a tile take from each core is known
while all others stay, so those of one layer are assigned at once (linear assignment; `scipy.optimize`), exactly where
they send nothing to each other. That and the search for places of cores take turns.
"""

from itertools import pairwise

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array, csr_array

from neuroprune.chips.chip import Chip
from neuroprune.mapping.mesh import Mesh
from neuroprune.mapping.search import search_places
from neuroprune.mapping.traffic import Numbers, Traffic, cores_of, messages
from neuroprune.mapping.types import Packing

TURNS = 4
"""Of both, at most."""
GAINED = 0.99
"""A turn that leaves a larger share of the hops is the last one."""
MOST = 3000
"""Tiles that are assigned at once; time grows with the cube of it."""


def exchange(packing: Packing, traffic: Traffic, chip: Chip) -> Packing:
    """The same tiles on cores that take the same, with no more hops; see `place` for the places.

    Cores keep their order, which the search for places goes by, and the layers that they have tiles of; those that were
    matched with unequal cores stay where they are. Deterministic.
    """
    if packing.numbers:
        return packing
    mesh = Mesh(chip, -(-len(packing.cores) // chip.cores_per_chip))
    alike = _alike(packing, traffic)
    between = _between_tiles(traffic)
    core_of = cores_of(packing, traffic)
    places = _places(traffic, core_of, mesh)
    best, least = core_of, _hops(traffic, core_of, places, mesh)
    for _ in range(TURNS):
        core_of = _assigned(core_of, alike, between, places, mesh)
        places = _places(traffic, core_of, mesh)
        hops = _hops(traffic, core_of, places, mesh)
        enough = hops > GAINED * least
        if hops < least:
            best, least = core_of, hops
        if enough:
            break
    use_of = {use.tile: use for core in packing.cores for use in core}
    order = np.argsort(best, kind="stable")
    ends = np.searchsorted(best[order], np.arange(len(packing.cores) + 1))
    cores = (order[start:stop].tolist() for start, stop in pairwise(ends))
    return Packing(tuple(tuple(use_of[traffic.tiles[tile]] for tile in core) for core in cores))


def _alike(packing: Packing, traffic: Traffic) -> list[Numbers]:
    """The tiles of one layer that take the same of every resource, where there are several; int64 [tiles] each."""
    use_of = {use.tile: use for core in packing.cores for use in core}
    groups: dict[tuple[str, tuple[int, ...]], list[int]] = {}
    for number, tile in enumerate(traffic.tiles):
        groups.setdefault((tile.layer, use_of[tile].used), []).append(number)
    return [np.array(tiles) for tiles in groups.values() if 1 < len(tiles) <= MOST]


def _between_tiles(traffic: Traffic) -> csr_array:
    """int64 [tiles, tiles], spikes from one to the other and back."""
    source = traffic.source[traffic.net]
    sent = (traffic.spikes[traffic.net] * traffic.times, (source, traffic.tile))
    size = len(traffic.tiles)
    one_way = csr_array(coo_array(sent, shape=(size, size)))
    return csr_array(one_way + one_way.T)


def _assigned(core_of: Numbers, alike: list[Numbers], between: csr_array, places: Numbers, mesh: Mesh) -> Numbers:
    """The core of each tile after those of each group were assigned to their cores anew."""
    core_of = core_of.copy()
    for tiles in alike:
        cores = core_of[tiles]
        if (cores == cores[0]).all():
            continue
        sent = between[tiles]
        partners = np.unique(sent.indices)
        away = mesh.hops(places[core_of[partners]][:, np.newaxis], places[cores][np.newaxis])
        tile, core = linear_sum_assignment(sent[:, partners] @ away)
        core_of[tiles[tile]] = cores[core]
    return core_of


def _places(traffic: Traffic, core_of: Numbers, mesh: Mesh) -> Numbers:
    """int64 [cores, 3], chip, x and y of each core, found by `search_places`."""
    size = int(core_of.max()) + 1
    return mesh.places[search_places(messages(traffic, core_of).matrix(size), mesh)]


def _hops(traffic: Traffic, core_of: Numbers, places: Numbers, mesh: Mesh) -> int:
    """All messages times hops."""
    sent = messages(traffic, core_of)
    return int((mesh.hops(places[sent.source], places[sent.target]) * sent.spikes).sum())
