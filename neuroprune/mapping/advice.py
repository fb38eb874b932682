"""What would make a program take fewer cores: channels that a layer could do without, found with the mapper itself.

Which layers are worth trying is estimated from the tiles of the mapping that there is; what is advised has been mapped.
What goes are the last channels of a layer. Zeros that rounding left are counted as stored, since a network that is
built narrower has others; those of pruning, which are many, stay where they are.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from neuroprune.arrays import FloatArray
from neuroprune.chips.chip import Chip
from neuroprune.errors import CapacityError
from neuroprune.mapping.cores import packed
from neuroprune.mapping.effort import EffortName
from neuroprune.mapping.types import Core
from neuroprune.program.narrow import Coupled, coupled_layers, narrowed
from neuroprune.program.types import IntConnection, IntProgram
from neuroprune.program.zeros import with_zeros_stored

MOST_GONE = 4
"""At most every fourth channel of a layer goes: more is no small change."""
TRIES: dict[EffortName, tuple[int, int, int]] = {"layers": (2, 24, 600), "normal": (0, 8, 150), "high": (0, 2, 0)}
"""How often a program is mapped anew, by effort: as often as its cores are contained in the last of these, within the
others, so that large programs, of which the mapper takes long, are not held up; none is advised where none is mapped.
A number and not a time, so that equal programs get equal advice."""
MOST_TRIES_TO_FIT = 24
"""The same, where a program does not fit."""
MOST_ADVICE = 3
"""Changes that are returned."""
FEW_ZEROS = 0.05
"""Share of zero weights up to which they are of rounding, which leaves 0.01 or less in 8 bits."""
ROUNDING = 1e-9


@dataclass(frozen=True)
class Change:
    """Channels that go, and what the mapper found.

    layers: that lose `removed` of their `channels` together. before, after: cores. resource: that the cores of these
    layers are fullest of. It and `before` are None where the program does not fit.
    """

    layers: Coupled
    removed: int
    resource: str | None
    before: int | None
    after: int

    @property
    def merit(self) -> float:
        """Cores saved for the share of its channels that a layer loses."""
        return (0 if self.before is None else self.before - self.after) * self.layers.channels / self.removed


def changes_that_save(program: IntProgram, cores: Sequence[Core], chip: Chip, effort: EffortName) -> tuple[Change, ...]:
    """The changes that save most cores for what they remove, best first, at most one for each set of coupled layers.

    program: balanced, mapped on `cores` with `effort`. Deterministic. Of two changes that save as many cores of a
    layer, the smaller one is found as long as there are tries left.
    """
    if len(cores) < 2:
        return ()
    fewest, most_tries, by_cores = TRIES[effort]
    oracle = _Oracle(program, chip, effort, tries=min(most_tries, max(fewest, by_cores // len(cores))))
    sets = coupled_layers(program)
    estimate = _Estimate(program, cores, sets, chip)
    queue = [(-merit, number, removed) for number in range(len(sets)) for merit, removed in estimate.best(number)]
    heapq.heapify(queue)
    found: dict[int, Change] = {}
    while queue and oracle.tries:
        merit, number, removed = heapq.heappop(queue)
        if number in found:
            continue
        layers, most = sets[number], _most(sets[number])
        after = oracle.cores(layers, removed)
        if after is not None and after < len(cores):
            removed = _least(lambda k, layers=layers, after=after: oracle.saves(layers, k, after), removed)  # type: ignore[misc]
            found[number] = Change(layers, removed, _fullest(cores, layers, chip), len(cores), after)
        elif removed < most:
            heapq.heappush(queue, (merit / 2, number, min(2 * removed, most)))
    best = sorted(found.values(), key=lambda change: (-change.merit, change.removed))
    return tuple(best[:MOST_ADVICE])


def changes_that_fit(program: IntProgram, chip: Chip, effort: EffortName) -> tuple[Change, ...]:
    """Of each set of coupled layers the least change that lets `program`, which does not fit, be mapped at all.

    Fewest channels first; nothing where no single change is enough, or a core cannot hold a neuron for another reason.
    """
    found = []
    for layers in coupled_layers(program):
        oracle = _Oracle(program, chip, effort, tries=MOST_TRIES_TO_FIT)
        if oracle.cores(layers, layers.channels - 1) is None:
            continue
        removed = _least(lambda k, layers=layers, oracle=oracle: oracle.fits(layers, k), layers.channels - 1)  # type: ignore[misc]
        after = oracle.cores(layers, removed)
        assert after is not None
        found.append(Change(layers, removed, None, None, after))
    return tuple(sorted(found, key=lambda change: change.removed / change.layers.channels)[:MOST_ADVICE])


class _Oracle:
    """The mapper, asked no more than `tries` times; what it said before is known."""

    def __init__(self, program: IntProgram, chip: Chip, effort: EffortName, tries: int) -> None:
        self._program, self._chip, self._effort, self.tries = _without_few_zeros(program), chip, effort, tries
        self._known: dict[tuple[Coupled, int], int | None] = {}

    def cores(self, layers: Coupled, removed: int) -> int | None:
        """Cores without the last `removed` channels of `layers`; None where it does not fit."""
        key = layers, removed
        if key not in self._known:
            self.tries -= 1
            stays = np.arange(layers.channels) < layers.channels - removed
            program = narrowed(self._program, dict.fromkeys(layers.layers, stays))
            try:
                self._known[key] = len(packed(program, self._chip, self._effort).cores)
            except CapacityError:
                self._known[key] = None
        return self._known[key]

    def fits(self, layers: Coupled, removed: int) -> bool:
        return self.cores(layers, removed) is not None

    def saves(self, layers: Coupled, removed: int, most: int) -> bool | None:
        """Whether it takes `most` cores or fewer; None where there are no tries left."""
        if not self.tries and (layers, removed) not in self._known:
            return None
        cores = self.cores(layers, removed)
        return cores is not None and cores <= most


def _without_few_zeros(program: IntProgram) -> IntProgram:
    """`program` with its zeros stored, in connections that have few of them."""

    def stored(connection: IntConnection) -> IntConnection:
        weight = connection.synapse.weight
        few = 0 < np.count_nonzero(weight == 0) <= FEW_ZEROS * weight.size
        return with_zeros_stored(connection) if few else connection

    layers = (replace(layer, connections=tuple(map(stored, layer.connections))) for layer in program.layers)
    return replace(program, layers=tuple(layers))


def _least(holds: Callable[[int], bool | None], known: int) -> int:
    """The least number from 1 to `known`, for which it holds, for which it still does, by halving; `known` or what is
    found so far where `holds` cannot say."""
    low = 0
    while known - low > 1:
        middle = (low + known) // 2
        said = holds(middle)
        if said is None:
            break
        low, known = (low, middle) if said else (middle, known)
    return known


def _most(layers: Coupled) -> int:
    return max(1, layers.channels // MOST_GONE)


def _fullest(cores: Sequence[Core], layers: Coupled, chip: Chip) -> str:
    """The resource of which most cores with tiles of `layers` are fullest."""
    names = [resource.name for resource in chip.core.resources]
    limits = np.array([resource.limit for resource in chip.core.resources])
    binding = Counter(
        names[int(np.argmax(np.array(core.used) / limits))]
        for core in cores
        if any(use.tile.layer in layers.layers for use in core.tiles)
    )
    return binding.most_common(1)[0][0]


class _Estimate:
    """What channels that go save, from the tiles that there are, without the mapper.

    A layer takes so much less of every resource, and what reads it of every one that does not count neurons. Then
    either each layer keeps whole tiles of its own, or all share cores; the truth depends on the mapper.
    """

    def __init__(self, program: IntProgram, cores: Sequence[Core], sets: Sequence[Coupled], chip: Chip) -> None:
        self._sets = sets
        names = [layer.name for layer in program.layers]
        tiles = [(names.index(use.tile.layer), use) for core in cores for use in core.tiles]
        used = np.array([use.used for _, use in tiles], dtype=np.float64)
        of = np.array([number for number, _ in tiles])
        neurons = np.array([use.tile.neurons + use.idle_neurons for _, use in tiles])
        self._counts_neurons = (used == neurons[:, np.newaxis]).all(axis=0)
        shares = used / [resource.limit for resource in chip.core.resources]
        self._tiles = np.bincount(of, minlength=len(names))
        self._worst = np.stack([shares[of == number].max(axis=0) for number in range(len(names))])
        self._total = np.stack([shares[of == number].sum(axis=0) for number in range(len(names))])
        self._cores = len(cores)
        self._own = [np.isin(names, layers.layers) for layers in sets]
        self._reads = [
            np.array([any(each.source in layers.layers for each in layer.connections) for layer in program.layers])
            for layers in sets
        ]

    def best(self, number: int) -> Iterator[tuple[float, int]]:
        """Of the set `number`, by either way to count, the merit and the size of the change that promises most."""
        channels, most = self._sets[number].channels, _most(self._sets[number])
        if channels < 2:
            return
        for count in (self._apart, self._together):
            before = count(number, 0)
            merits = [(before - count(number, removed)) * channels / removed for removed in range(1, most + 1)]
            best = int(np.argmax(merits))
            yield (merits[best], best + 1) if merits[best] > 0 else (0.0, most)

    def _left(self, number: int, removed: int) -> FloatArray:
        """The share that is left of each resource of each layer, float64 [layers, resources]."""
        share = 1 - removed / self._sets[number].channels
        left: FloatArray = np.ones_like(self._total)
        left[self._own[number]] *= share
        left[self._reads[number]] *= np.where(self._counts_neurons, 1.0, share)
        return left

    def _apart(self, number: int, removed: int) -> int:
        need = self._tiles * (self._worst * self._left(number, removed)).max(axis=1)
        return int(np.ceil(need - ROUNDING).sum())

    def _together(self, number: int, removed: int) -> int:
        sums = (self._total * self._left(number, removed)).sum(axis=0)
        return ceil(self._cores * float(sums.max() / self._total.sum(axis=0).max()) - ROUNDING)
