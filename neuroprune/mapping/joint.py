"""All layers cut together, so that the tiles of the whole network fill the fewest cores.

A layer that is bound by memory leaves room for neurons, and one that is bound by neurons leaves room for memory. Where
they are cut finer than each by itself would be, they share cores; but more tiles of a layer ask its sources for more
output axons. So a cut of the network is judged as a whole, by the cores that its tiles fill, and changed step by step:
simulated annealing (Kirkpatrick, Gelatt and Vecchi, Science 220, 1983) from the best cut of each layer by itself.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from math import prod
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from neuroprune.chips.chip import Chip
from neuroprune.chips.types import Box, TileResources, volume
from neuroprune.mapping.count import Counting
from neuroprune.mapping.effort import Effort
from neuroprune.mapping.kinds import Kinds, cores_filled, kinds_of
from neuroprune.mapping.split import cut_tiles, middle_tile
from neuroprune.program.types import IntLayer, IntProgram
from neuroprune.progress import Progress, silent

HOTTEST = 1.0
"""Cores by which a step may be worse at the beginning; at the end by none."""
OF_LOAD = 0.3
"""What a core's worth of the scarcest resource counts, in cores: fewer cores follow from less load."""
STEPS = (-3, -2, -1, 1, 2, 3)
"""By how many entries of the list of numbers of parts an axis changes."""
BY_PRICES = 0.5
"""Share of the changes that look at all ways to cut a layer."""
LITTLE = 1e-6
"""Shares of a core below this are all the same."""
SEED = 0

Cuts = tuple[Box, ...]
"""For each layer the number of parts along channels, height and width."""


class Judged(NamedTuple):
    """What the tiles of one way to cut the network take. cost: in cores, what the search makes smaller."""

    cores: int
    cost: float


def cut_jointly(
    program: IntProgram, chip: Chip, begin: Cuts, effort: Effort, least: int, progress: Progress = silent
) -> dict[str, tuple[TileResources, ...]]:
    """The tiles of each layer, by its name, of the best way to cut all layers that is found; `begin` is the first.

    effort: how long is searched. least: cores that are needed at least; the search ends where it finds so few.
    Deterministic.
    """
    search = _Search(program, chip)
    random = np.random.default_rng(SEED)
    best = now = begin
    judged = found = search.judge(begin)
    assert judged and found, "a way to begin that does not fit"
    found_at = 0
    for trial in range(effort.trials):
        if found.cores <= least or trial - found_at > effort.patience + found.cores:
            break
        cuts = search.changed(now, random)
        tried = search.judge(cuts)
        heat = HOTTEST * (1 - trial / effort.trials)
        if tried and random.random() < np.exp(min(0.0, (judged.cost - tried.cost) / max(heat, 1e-9))):
            now, judged = cuts, tried
            if tried.cores < found.cores:
                found_at = trial
            if tried < found:
                best, found = cuts, tried
        progress("fewest cores", trial + 1, effort.trials, cores=found.cores)
    return search.tiles(best)


class _Search:
    """Judges ways to cut a program; what was counted once is kept."""

    def __init__(self, program: IntProgram, chip: Chip) -> None:
        self._counting = Counting(program, chip)
        self._layers = program.layers
        self._limits = np.array([resource.limit for resource in chip.core.resources])
        self._most_neurons = chip.core.most_neurons
        self._parts = [
            [sorted({-(-size // part) for part in range(1, size + 1)}) for size in volume(layer.shape)]
            for layer in program.layers
        ]
        numbers = {layer.name: number for number, layer in enumerate(program.layers)}
        self._readers: list[list[int]] = [[] for _ in program.layers]
        for number, layer in enumerate(program.layers):
            for source in dict.fromkeys(each.source for each in layer.forward if each.source in numbers):
                self._readers[numbers[source]].append(number)
        self._stored: dict[tuple[int, Box], tuple[TileResources, ...]] = {}
        self._kinds: dict[tuple[int, Box, Cuts], Kinds | None] = {}
        self._priced: dict[int, tuple[list[Box], npt.NDArray[np.float64]]] = {}

    def changed(self, cuts: Cuts, random: np.random.Generator) -> Cuts:
        """`cuts` with one or two layers cut another way: one that is good at random prices, or one that is near."""
        new = list(cuts)
        for _ in range(random.integers(1, 3)):
            layer = int(random.integers(len(new)))
            if random.random() < BY_PRICES:
                options, costs = self._options(layer)
                new[layer] = options[int((costs @ random.exponential(size=costs.shape[1])).argmin())]
            else:
                new[layer] = self._near(layer, new[layer], random)
        return tuple(new)

    def _near(self, layer: int, cut: Box, random: np.random.Generator) -> Box:
        """Other numbers of parts along one or two axes."""
        new = list(cut)
        for _ in range(random.integers(1, 3)):
            axis = int(random.integers(3))
            parts = self._parts[layer][axis]
            at = parts.index(new[axis]) + int(random.choice(STEPS))
            new[axis] = parts[min(max(at, 0), len(parts) - 1)]
        return new[0], new[1], new[2]

    def _options(self, number: int) -> tuple[list[Box], npt.NDArray[np.float64]]:
        """All ways to cut a layer, and what each costs, as logarithms of multiples of the least: float64 [ways, costs].

        Costs: what all tiles take of each resource, the largest share of a core that a tile takes, and the tiles that
        read a source; all as the tile in the middle has it.
        """
        if number not in self._priced:
            layer = self._layers[number]
            counter = self._counting.counter(layer, {})
            options: list[Box] = []
            costs = []
            shape = volume(layer.shape)
            for cut in product(self._parts[number][0], self._parts[number][1], self._parts[number][2]):
                tile = middle_tile(layer, cut)
                if tile.neurons > self._most_neurons:
                    continue
                shares = np.array(counter(tile).used) / self._limits
                if shares.max() > 1:
                    continue
                tiles = prod(shape) / tile.neurons
                options.append(cut)
                costs.append([*(tiles * shares), shares.max(), shape[0] / (tile.stop[0] - tile.start[0])])
            table = np.maximum(costs, LITTLE)
            self._priced[number] = options, np.log(table / table.min(axis=0))
        return self._priced[number]

    def judge(self, cuts: Cuts) -> Judged | None:
        """The cores that the tiles of `cuts` fill; None where a tile does not fit a core."""
        kinds = []
        for number in reversed(range(len(cuts))):
            of_layer = self._of_layer(number, cuts)
            if of_layer is None:
                return None
            kinds.append(of_layer)
        cores = cores_filled(kinds, self._limits)
        load = sum(each.counts @ each.used for each in kinds) / self._limits
        return Judged(cores, cores + OF_LOAD * float(load.max()))

    def tiles(self, cuts: Cuts) -> dict[str, tuple[TileResources, ...]]:
        """What the tiles of `cuts` take, by layer."""
        return self._counting.count(
            {layer.name: tuple(cut_tiles(layer, of_layer)) for layer, of_layer in zip(self._layers, cuts, strict=True)}
        )

    def _of_layer(self, number: int, cuts: Cuts) -> Kinds | None:
        key = (number, cuts[number], tuple(cuts[each] for each in self._readers[number]))
        if key not in self._kinds:
            self._kinds[key] = self._count(number, cuts)
        return self._kinds[key]

    def _count(self, number: int, cuts: Cuts) -> Kinds | None:
        layer, cut = self._layers[number], cuts[number]
        if (
            np.prod([-(-size // parts) for size, parts in zip(volume(layer.shape), cut, strict=True)])
            > self._most_neurons
        ):
            return None
        split = {self._layers[each].name: self._stored_tiles(each, cuts[each]) for each in self._readers[number]}
        itself = self._stored_tiles(number, cut) if layer.recurrent else ()
        counter = self._counting.counter(layer, split, itself)
        used = []
        for tile in cut_tiles(layer, cut):
            used.append(counter(tile).used)
            if any(amount > limit for amount, limit in zip(used[-1], self._limits, strict=True)):
                return None
        return kinds_of(used)

    def _stored_tiles(self, number: int, cut: Box) -> tuple[TileResources, ...]:
        """The tiles of a layer as they are stored, whoever reads them: what sources of theirs have to know."""
        key = (number, cut)
        if key not in self._stored:
            layer = self._layers[number]
            counter = self._counting.counter(layer, {})
            self._stored[key] = tuple(counter(tile) for tile in cut_tiles(layer, cut))
        return self._stored[key]


def cuts_of(layers: Sequence[IntLayer], split: Mapping[str, Sequence[TileResources]]) -> Cuts:
    """The numbers of parts along each axis of tiles that cut layers evenly."""

    def parts(name: str, axis: int) -> int:
        return len({each.tile.start[axis] for each in split[name]})

    return tuple((parts(layer.name, 0), parts(layer.name, 1), parts(layer.name, 2)) for layer in layers)
