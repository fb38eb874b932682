"""Which tiles share a core, so that more of their messages stay on it: local search on exact gains.

The messages between cores are a cost of a hypergraph, known from circuit partitioning as the connectivity metric: a
net of tiles costs its spikes for each core beside the first that it is on (Karypis et al. 1999, "Multilevel hypergraph
partitioning"). Where a family sends a spike once to each core, a net is a tile and all that its spikes go to; where it
sends one to each tile, every pair of tiles is a net of its own.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csr_array

from neuroprune.chips.types import Resource
from neuroprune.mapping.traffic import Traffic, cores_of
from neuroprune.mapping.types import Packing

MOST_SWEEPS = 20
"""Over all tiles; a few are enough, as each follows what the others gained."""


def regroup(packing: Packing, traffic: Traffic, resources: Sequence[Resource]) -> Packing:
    """The same tiles on no more cores, with no more messages between these; every limit of a core is kept.

    Tiles move to cores that have room for them, or change places with a tile there, as long as that gains something.
    Layers that were matched with unequal cores stay where they are. Deterministic.
    """
    if packing.numbers:
        return packing
    search = _Search(packing, traffic, resources)
    for _ in range(MOST_SWEEPS):
        if not sum(search.improve(tile) for tile in range(len(traffic.tiles))):
            break
    use_of = {use.tile: use for core in packing.cores for use in core}
    order = {tile: number for number, tile in enumerate(traffic.tiles)}
    tiles: list[list[int]] = [[] for _ in packing.cores]
    for use in (use for core in packing.cores for use in core):
        tiles[search.core_of[order[use.tile]]].append(order[use.tile])
    kept = sorted(sorted(core) for core in tiles if core)
    return Packing(tuple(tuple(use_of[traffic.tiles[tile]] for tile in core) for core in kept))


def nets(traffic: Traffic) -> tuple[npt.NDArray[np.float64], csr_array]:
    """The hypergraph of `traffic`: float64 [nets], the spikes of each, and bool [nets, tiles], which tiles it has."""
    size = len(traffic.tiles)
    if traffic.once_a_core:
        count = len(traffic.spikes)
        rows, columns = np.r_[traffic.net, np.arange(count)], np.r_[traffic.tile, traffic.source]
        members = csr_array(coo_array((np.ones(rows.size), (rows, columns)), shape=(count, size)))
        spikes = np.asarray(traffic.spikes, dtype=np.float64)
    else:
        sent = (traffic.spikes[traffic.net] * traffic.times).astype(np.float64)
        pair = np.sort(np.stack([traffic.source[traffic.net], traffic.tile]), axis=0)
        pairs, of = np.unique(pair, axis=1, return_inverse=True)
        spikes = np.bincount(of.reshape(-1), weights=sent, minlength=pairs.shape[1]).astype(np.float64)
        rows = np.tile(np.arange(pairs.shape[1]), 2)
        members = csr_array(coo_array((np.ones(rows.size), (rows, pairs.reshape(-1))), shape=(pairs.shape[1], size)))
    several = members.astype(bool).sum(axis=1) > 1
    return spikes[several], members.astype(bool)[several]


def _rows(matrix: csr_array) -> list[npt.NDArray[np.int32]]:
    """The columns of each row that are not zero."""
    return [matrix.indices[first:last] for first, last in pairwise(matrix.indptr)]


class _Search:
    """Tiles on cores, and what moving them gains. Float64 holds all sums exactly: they are whole numbers below 2**53.

    spikes: of each net. nets_of, tiles_of: the nets of a tile, the tiles of a net.
    pins: of each net, how many of its tiles lie on each core. core_of: of each tile. room: what each core has left.
    joins: float64 [tiles, cores], spikes of the nets of a tile that are on a core already.
    """

    def __init__(self, packing: Packing, traffic: Traffic, resources: Sequence[Resource]) -> None:
        use_of = {use.tile: use for core in packing.cores for use in core}
        self.need = np.array([use_of[tile].used for tile in traffic.tiles], dtype=np.int64)
        self.core_of = cores_of(packing, traffic)
        self.tiles_on = [set(np.flatnonzero(self.core_of == core).tolist()) for core in range(len(packing.cores))]
        self.room = np.tile([resource.limit for resource in resources], (len(packing.cores), 1))
        np.subtract.at(self.room, self.core_of, self.need)
        self.spikes, members = nets(traffic)
        self.tiles_of = _rows(members)
        by_tile = csr_array(members.T)
        self.nets_of = _rows(by_tile)
        self.pins = [Counter(self.core_of[tiles].tolist()) for tiles in self.tiles_of]
        self.all = by_tile @ self.spikes
        self.joins = np.zeros((len(traffic.tiles), len(packing.cores)))
        for spikes, tiles, pins in zip(self.spikes, self.tiles_of, self.pins, strict=True):
            self.joins[np.ix_(tiles, list(pins))] += spikes

    def gain(self, tile: int, core: int | slice) -> npt.NDArray[np.float64]:
        """Messages that moving the tile to another core saves, or to each of several."""
        here = int(self.core_of[tile])
        alone = sum(float(self.spikes[net]) for net in self.nets_of[tile] if self.pins[net][here] == 1)
        return np.asarray(alone - self.all[tile] + self.joins[tile, core])

    def move(self, tile: int, core: int) -> None:
        """The tile to the core, whether there is room or not."""
        here = int(self.core_of[tile])
        self.core_of[tile] = core
        self.tiles_on[here].remove(tile)
        self.tiles_on[core].add(tile)
        self.room[here] += self.need[tile]
        self.room[core] -= self.need[tile]
        for net in self.nets_of[tile]:
            pins = self.pins[net]
            pins[here] -= 1
            pins[core] += 1
            if pins[here] == 0:
                self.joins[self.tiles_of[net], here] -= self.spikes[net]
            if pins[core] == 1:
                self.joins[self.tiles_of[net], core] += self.spikes[net]

    def improve(self, tile: int) -> bool:
        """Move the tile where that gains most, or change its place with another's; whether anything was gained."""
        here = int(self.core_of[tile])
        gains = self.gain(tile, slice(None))
        gains[here] = 0
        better = np.flatnonzero(gains > 0)
        for core in better[np.argsort(-gains[better], kind="stable")].tolist():
            if (self.room[core] >= self.need[tile]).all():
                self.move(tile, core)
                return True
            if len(self.tiles_on[here]) == len(self.tiles_on[core]) == 1:
                continue  # two whole cores that change places
            for other in sorted(self.tiles_on[core]):
                if self._fits(tile, other) and gains[core] + self.gain(other, here) > self._in_common(tile, other):
                    self.move(tile, core)
                    self.move(other, here)
                    return True
        return False

    def _fits(self, tile: int, other: int) -> bool:
        """Whether both cores have room if the two change places."""
        more = self.need[tile] - self.need[other]
        there, here = self.room[self.core_of[other]], self.room[self.core_of[tile]]
        return bool((there >= more).all() and (here >= -more).all())

    def _in_common(self, tile: int, other: int) -> float:
        """What the two gain less by changing places than each alone: a net of both is on both cores all the time."""
        cores = (int(self.core_of[tile]), int(self.core_of[other]))
        common = np.intersect1d(self.nets_of[tile], self.nets_of[other], assume_unique=True)
        return float(sum(self.spikes[net] * sum(self.pins[net][core] == 1 for core in cores) for net in common))
