"""Tiles on cores and cores on places, sought together, so that messages take few hops.

While cores are annealed (see `search`), tiles change cores now and then: what the messages of a tile would take from
each core is known while all others stay, so the tiles of one layer that take the same of a core are assigned at once
(linear assignment; `scipy.optimize`) to the cores they are on and to those that have room for more of them, exactly
where they send nothing to each other.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array, csr_array

from neuroprune.chips.chip import Chip
from neuroprune.chips.types import TileResources
from neuroprune.mapping.mesh import Mesh
from neuroprune.mapping.place import place
from neuroprune.mapping.search import COLDEST, Places
from neuroprune.mapping.traffic import Numbers, Traffic, cores_of, messages
from neuroprune.mapping.types import ChipMapping, Core, Packing
from neuroprune.progress import Progress, silent

SWEEPS = 160
"""Of all cores while the temperature falls."""
HOTTEST = 0.5
"""The first temperature, in the mean cost of a core at the start: what lies far apart still finds together."""
BETWEEN = 8
"""Sweeps from one assignment of tiles to the next."""
MOST = 4000
"""Tiles that are assigned at once; time grows with the cube of it."""
SEED = 0


class Group(NamedTuple):
    """Tiles of one layer that take the same of every resource: int64 [tiles], their numbers, and [resources]."""

    tiles: Numbers
    need: Numbers


def exchange(packing: Packing, traffic: Traffic, chip: Chip, progress: Progress = silent) -> ChipMapping:
    """The same tiles on no more cores, within the same limits, with no more hops than `place` finds for `packing`.

    Those that were matched with unequal cores stay where they are. Deterministic.
    traffic: of the same tiles.
    """
    begin = place(packing, chip, traffic)
    if packing.numbers:
        return begin
    mesh = Mesh(chip, begin.chips)
    tiles = _Tiles(packing, traffic, chip)
    rng = np.random.default_rng(SEED)
    core_of = cores_of(packing, traffic)
    places = tiles.places(core_of, mesh)
    heat = places.cost / places.cores
    for number, temperature in enumerate(heat * np.geomspace(HOTTEST, COLDEST, SWEEPS), 1):
        places.sweep(temperature, rng)
        if number % BETWEEN == 0:
            core_of = tiles.assigned(core_of, places.at, mesh)
            places = tiles.places(core_of, mesh, places.at)
        progress("places", number, SWEEPS)
    places.settle()
    found = places, core_of
    while True:
        core_of = tiles.assigned(core_of, places.at, mesh)
        places = tiles.places(core_of, mesh, places.at.copy())
        places.settle()
        if places.cost >= found[0].cost:
            break
        found = places, core_of
    best, core_of = found
    return min(begin, tiles.mapping(core_of, mesh.places[best.at], begin), key=lambda one: tiles.hops(one, mesh))


class _Tiles:
    """The tiles of a packing by their numbers in `traffic`.

    used: int64 [tiles, resources]. limits: int64 [resources]. cores: how many there are.
    between: int64 [tiles, tiles], spikes from one to the other and back.
    """

    def __init__(self, packing: Packing, traffic: Traffic, chip: Chip) -> None:
        self._traffic = traffic
        use_of = {use.tile: use for core in packing.cores for use in core}
        self._uses = [use_of[tile] for tile in traffic.tiles]
        self._used = np.array([use.used for use in self._uses], dtype=np.int64)
        self._limits = np.array([resource.limit for resource in chip.core.resources])
        self._cores = len(packing.cores)
        self._groups = self._alike()
        sent = (traffic.spikes[traffic.net] * traffic.times, (traffic.source[traffic.net], traffic.tile))
        one_way = csr_array(coo_array(sent, shape=(len(self._uses),) * 2))
        self._between = csr_array(one_way + one_way.T)

    def _alike(self) -> Sequence[Group]:
        groups: dict[tuple[str, tuple[int, ...]], list[int]] = {}
        for number, use in enumerate(self._uses):
            groups.setdefault((use.tile.layer, use.used), []).append(number)
        return [Group(np.array(each), self._used[each[0]]) for each in groups.values() if len(each) <= MOST]

    def places(self, core_of: Numbers, mesh: Mesh, at: Numbers | None = None) -> Places:
        """Of the cores, if tiles lie as `core_of` says; at: int64 [cores], the number of the place of each."""
        return Places(messages(self._traffic, core_of).matrix(self._cores), mesh, at)

    def assigned(self, core_of: Numbers, at: Numbers, mesh: Mesh) -> Numbers:
        """int64 [tiles], the core of each after those of each group were assigned anew."""
        core_of, places = core_of.copy(), mesh.places[at]
        room = np.tile(self._limits, (self._cores, 1))
        np.subtract.at(room, core_of, self._used)
        for tiles, need in self._groups:
            more = np.where(need > 0, room // np.maximum(need, 1), len(tiles)).min(axis=1)
            own, free = core_of[tiles], np.arange(self._cores).repeat(np.clip(more, 0, len(tiles)))
            cores = np.concatenate([own, free])
            if (cores == cores[0]).all():
                continue
            sent = self._between[tiles]
            partners = np.unique(sent.indices)
            away = mesh.hops(places[core_of[partners]][:, np.newaxis], places[np.newaxis])
            tile, chosen = linear_sum_assignment((sent[:, partners] @ away)[:, cores])
            np.add.at(room, own, need)
            core_of[tiles[tile]] = cores[chosen]
            np.subtract.at(room, core_of[tiles], need)
        return core_of

    def mapping(self, core_of: Numbers, places: Numbers, begin: ChipMapping) -> ChipMapping:
        """Cores that have tiles, in the order of these; places: int64 [cores, 3], chip, x and y."""
        on: dict[int, list[TileResources]] = {}
        for core, use in zip(core_of.tolist(), self._uses, strict=True):
            on.setdefault(core, []).append(use)
        cores = tuple(Core(tuple(uses), *places[core].tolist()) for core, uses in on.items())
        return ChipMapping(begin.chip, cores, begin.chips)

    def hops(self, mapping: ChipMapping, mesh: Mesh) -> int:
        """All messages times hops."""
        core = {use.tile: number for number, core in enumerate(mapping.cores) for use in core.tiles}
        sent = messages(self._traffic, np.array([core[use.tile] for use in self._uses]))
        places = np.array([(core.chip, core.x, core.y) for core in mapping.cores])
        return int((mesh.hops(places[sent.source], places[sent.target]) * sent.spikes).sum())
