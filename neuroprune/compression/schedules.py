"""When is pruned and how much: pure functions of iterations and epochs, counted from 0."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, cos, log, pi

from neuroprune.errors import InputError

PAPER_INTERVAL, PAPER_PRUNINGS = 2000, 39
"""dT of "Brain-Inspired Efficient Pruning: Exploiting Criticality in Spiking Neural Networks", Table 5, for CIFAR, and
how often that prunes in its 200 epochs of 390 whole batches."""

PRUNINGS = 40
"""How often is pruned where a training is too short for that."""


@dataclass(frozen=True)
class CubicSchedule:
    """A sparsity that grows from 0 to `target`, fast at first (Zhu and Gupta 2017, To prune, or not to prune).

    interval: dT, iterations between prunings. prunings: N, how many there are.
    """

    target: float
    interval: int
    prunings: int

    def number(self, iteration: int) -> int | None:
        """The number, from 1, of the pruning that follows the optimiser's step `iteration`; None where none does."""
        number, rest = divmod(iteration + 1, self.interval)
        return number if rest == 0 and number <= self.prunings else None

    def sparsity(self, number: int) -> float:
        """s_i = s_f (1 - (1 - i/N)^3), Eq 9: the sparsity from pruning i = `number` in 1..N on."""
        return self.target * (1.0 - (1.0 - number / self.prunings) ** 3)


def cubic_schedule(target: float, interval: int | None, iterations: int, prunings: int = PRUNINGS) -> CubicSchedule:
    """The schedule that has reached `target` within that many iterations of pruning.

    interval: dT; None for the paper's, or where the iterations are fewer than the paper's for as many `prunings`.
    Raises InputError for an interval longer than all iterations of pruning.
    """
    if interval is None:
        long_enough = iterations >= PAPER_INTERVAL * PAPER_PRUNINGS
        interval = PAPER_INTERVAL if long_enough else max(1, iterations // prunings)
    if interval > iterations:
        raise InputError(
            f"pruning every {interval} iterations never begins, since pruning has {iterations}: give an interval of at "
            f"most {iterations}, or more prune_epochs"
        )
    return CubicSchedule(target, interval, iterations // interval)


def cosine_drop(number: int, prunings: int, first: float = 0.5, last: float = 0.005) -> float:
    """The share of the living weights that GraNet exchanges at pruning i = `number` in 1..N (Liu et al. 2021).

    From `first` it falls to `last`; a `first` that is less stays.
    """
    last = min(first, last)
    return last + (first - last) * (1.0 + cos(pi * number / prunings)) / 2.0


def rounds(sparsity: float, milestones: Sequence[float] = (), rate: float = 0.25) -> tuple[float, ...]:
    """The sparsity after each round in which at most the share `rate` of the living weights goes, up to `sparsity`.

    The fewest rounds that get there, all of the same share. Kim et al. 2022 take a quarter. milestones: rising
    sparsities on the way, each of which is met exactly, and up to each of which the same holds; those not below
    `sparsity` are left out.
    """
    reached: tuple[float, ...] = (0.0,)
    for goal in (*(milestone for milestone in milestones if milestone < sparsity), sparsity):
        begun, left = reached[-1], (1.0 - goal) / (1.0 - reached[-1])
        count = ceil(log(left) / log(1.0 - rate) - 1e-9)
        on_the_way = (1.0 - (1.0 - begun) * left ** (number / count) for number in range(1, count))
        reached = (*reached, *on_the_way, goal)
    return reached[1:]


@dataclass(frozen=True)
class Round:
    """A round of training in the search for a lottery ticket, at one sparsity.

    start, end: its epochs of all epochs, counted from 0, `end` excluded: so `end` is the number, from 1, of the epoch
    in the history whose accuracy is that of the trained round. course: the epochs of the course of the learning rate
    that the round follows; skipped: those of them that it leaves out, since it begins with the weights after them.
    """

    sparsity: float
    start: int
    end: int
    course: int
    skipped: int


LOTTERY_MILESTONES = (0.90, 0.95)
"""Sparsities of the tables of "Brain-Inspired Efficient Pruning: Exploiting Criticality in Spiking Neural Networks"
below its highest, 98 %: one search for that has a round at each, and is read at all three."""

REWIND = 20 / 300
"""The share of a round after which the weights are kept that the others begin with (Kim et al. 2022)."""


def lottery_rounds(
    sparsity: float, prune_epochs: int, final_epochs: int, milestones: Sequence[float] = LOTTERY_MILESTONES
) -> tuple[Round, ...]:
    """The dense round, then one after each pruning; Kim et al. 2022 train 300 epochs, then 280 a round.

    The courses are of `prune_epochs`, that of the last round, at `sparsity`, of `final_epochs`. All rounds but the
    first begin with the weights after 20/300 of its epochs, or after fewer, so that the last has epochs of its own.
    """
    rewind = min(round(prune_epochs * REWIND), final_epochs - 1)
    found = [Round(0.0, 0, prune_epochs, prune_epochs, 0)]
    reached = rounds(sparsity, milestones)
    for number, each in enumerate(reached, 1):
        start, course = found[-1].end, final_epochs if number == len(reached) else prune_epochs
        found.append(Round(each, start, start + course - rewind, course, rewind))
    return tuple(found)
