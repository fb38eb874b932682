"""Ways to cut all layers of a program: what their tiles take together, and changes worth trying."""

from collections.abc import Mapping, Sequence
from itertools import product
from math import prod
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from neuroprune.chips.chip import Chip
from neuroprune.chips.types import Box, TileResources, volume
from neuroprune.mapping.count import Counting
from neuroprune.mapping.hops import Cuts, Hops, Spikes, spread
from neuroprune.mapping.kinds import Kinds, cores_filled, kinds_of
from neuroprune.mapping.split import cut_tiles, middle_tile
from neuroprune.program.types import IntLayer, IntProgram

STEPS = (-3, -2, -1, 1, 2, 3)
"""By how many entries of the list of numbers of parts an axis changes."""
BY_PRICES = 0.5
"""Share of the changes that look at all ways to cut a layer."""
MOST_TILES = 2048
"""Ways to cut a layer into more are not priced where there are coarser ones: they take long, and are of no use."""
LITTLE = 1e-6
"""Shares of a core below this are all the same."""


class Weighed(NamedTuple):
    """What the tiles of one way take. cores: that they fill. load: cores' worth of the scarcest resource.

    hops: of all spikes that are sent to tiles, over all samples, as they are estimated before cores have places; 0
    where no spikes are known.
    """

    cores: int
    load: float
    hops: float


class Options(NamedTuple):
    """All ways to cut one layer, n of them, as its largest tile has it.

    costs: float64 [n, costs], logarithms of multiples of the least: what all tiles take of each resource, the largest
    share of a core that one takes, the tiles that read a source, and the copies of spikes that they ask for.
    cores: float64 [n], the largest shares of all tiles. spread: float64 [n], cores that they lie on.
    sources: the layers whose spikes arrive, a connection each. extent: float64 [n, connections, 3], the box of the
    source that sends to a tile. copies: float64 [n, connections], spikes, each as often as it is sent to a tile.
    """

    cuts: Cuts
    costs: npt.NDArray[np.float64]
    cores: npt.NDArray[np.float64]
    spread: npt.NDArray[np.float64]
    sources: tuple[int, ...]
    extent: npt.NDArray[np.float64]
    copies: npt.NDArray[np.float64]


class Ways:
    """Ways to cut a program: what they take, and what else might be tried. What was counted once is kept."""

    def __init__(self, program: IntProgram, chip: Chip, spikes: Spikes | None = None) -> None:
        """spikes: of each layer by its name, int64 [layer shape], where copies are to be counted."""
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
        self._hops = Hops(program, chip, spikes or {}, self._stored_tiles)
        self._priced: dict[int, Options] = {}

    def changed(self, cuts: Cuts, random: np.random.Generator) -> Cuts:
        """`cuts` with one or two layers cut another way: one that is good at random prices, or one that is near."""
        new = list(cuts)
        for _ in range(random.integers(1, 3)):
            layer = int(random.integers(len(new)))
            if random.random() < BY_PRICES:
                options = self.options(layer)
                priced = options.costs @ random.exponential(size=options.costs.shape[1])
                new[layer] = options.cuts[int(priced.argmin())]
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

    def options(self, number: int) -> Options:
        """All ways to cut a layer whose largest tile fits a core."""
        if number not in self._priced:
            layer = self._layers[number]
            counter = self._counting.counter(layer, {})
            options: list[Box] = []
            costs, cores, wide, sent = [], [], [], []
            shape = volume(layer.shape)
            for cut in product(self._parts[number][0], self._parts[number][1], self._parts[number][2]):
                tile = middle_tile(layer, cut)
                if tile.neurons > self._most_neurons or (options and prod(cut) > MOST_TILES):
                    continue
                use = counter(tile)
                shares = np.array(use.used) / self._limits
                if shares.max() > 1:
                    continue
                tiles = prod(shape) / tile.neurons
                options.append(cut)
                readers = shape[0] / (tile.stop[0] - tile.start[0])
                through = self._hops.sent_to(layer, [use])
                copies = [tiles * each.copies for each in through]
                costs.append([*(tiles * shares), shares.max(), readers, sum(copies)])
                cores.append(tiles * shares.max())
                wide.append(tiles * float(spread(shares.max())))
                sent.append([(*(each.stop - each.start)[0], of) for each, of in zip(through, copies, strict=True)])
            table = np.maximum(costs, LITTLE)
            received = np.array(sent, dtype=np.float64).reshape(len(options), -1, 4)
            self._priced[number] = Options(
                tuple(options),
                np.log(table / table.min(axis=0)),
                np.array(cores),
                np.array(wide),
                tuple(each.source for each in through),
                received[:, :, :3],
                received[:, :, 3],
            )
        return self._priced[number]

    def weigh(self, cuts: Cuts) -> Weighed | None:
        """What the tiles of `cuts` take; None where one does not fit a core."""
        kinds = []
        for number in reversed(range(len(cuts))):
            of_layer = self._of_layer(number, cuts)
            if of_layer is None:
                return None
            kinds.append(of_layer)
        load = sum(each.counts @ each.used for each in kinds) / self._limits
        cores = [float(each.counts @ spread((each.used / self._limits).max(axis=1))) for each in reversed(kinds)]
        return Weighed(cores_filled(kinds, self._limits), float(load.max()), self._hops.of(cuts, cores))

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
