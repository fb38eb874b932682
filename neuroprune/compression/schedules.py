"""When is pruned and how much: pure functions of iterations and epochs, counted from 0."""

from dataclasses import dataclass
from math import ceil, cos, log, pi

from neuroprune.errors import InputError

LONGEST_INTERVAL = 2000
"""dT of "Brain-Inspired Efficient Pruning: Exploiting Criticality in Spiking Neural Networks", Table 5, for CIFAR."""

PRUNINGS = 40
"""How often is pruned where that interval is too long: about as often as in that paper, 200 * 391 / 2000 times."""


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


def cubic_schedule(target: float, interval: int | None, iterations: int) -> CubicSchedule:
    """The schedule that has reached `target` within that many iterations of pruning.

    interval: dT; None for the paper's, or for a fortieth of the iterations where that is shorter. Raises InputError for
    an interval longer than all iterations of pruning.
    """
    if interval is None:
        interval = min(LONGEST_INTERVAL, max(1, iterations // PRUNINGS))
    if interval > iterations:
        raise InputError(
            f"pruning every {interval} iterations never begins, since pruning has {iterations}: give an interval of at "
            f"most {iterations}, or more prune_epochs"
        )
    return CubicSchedule(target, interval, iterations // interval)


def cosine_drop(number: int, prunings: int, first: float = 0.5, last: float = 0.005) -> float:
    """The share of the living weights that GraNet exchanges at pruning i = `number` in 1..N (Liu et al. 2021)."""
    return last + (first - last) * (1.0 + cos(pi * number / prunings)) / 2.0


def rounds(sparsity: float, rate: float = 0.25) -> tuple[float, ...]:
    """The sparsity after each round in which at most the share `rate` of the living weights goes, up to `sparsity`.

    The fewest rounds that get there, all of the same share. Kim et al. 2022 take a quarter.
    """
    count = ceil(log(1.0 - sparsity) / log(1.0 - rate) - 1e-9)
    return tuple(1.0 - (1.0 - sparsity) ** (number / count) for number in range(1, count + 1))
