"""What accuracies over several seeds say, and what is no more than chance.

Variants are compared in pairs: on the same seed they begin with the same trained network and see the same samples in
the same order, so that the differences vary less than the accuracies do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.stats import t as student

LEVEL = 0.05
"""Chance, at most, that a difference is called one that is none, over all that the best variant is compared with."""


@dataclass(frozen=True)
class Difference:
    """Of one variant from another, mean over the `seeds` that both have.

    low, high: its 95 % interval; p: how likely a difference of this size or more is between equals. All None for one
    seed, which says nothing of chance.
    """

    seeds: int
    mean: float
    low: float | None
    high: float | None
    p: float | None


def paired_difference(values: Sequence[float], others: Sequence[float], resolution: float = 0.0) -> Difference:
    """How far `values` lie above `others`, of the same seeds in the same order: Student's t of their differences.

    resolution: the least that a value can change by, 1/samples of an accuracy. Equal differences on few seeds are no
    proof of certainty, so that their deviation is taken as that at least.
    """
    differences = np.subtract(values, others)
    seeds, mean = len(differences), float(np.mean(differences))
    if seeds < 2:
        return Difference(seeds, mean, None, None, None)
    error = max(float(np.std(differences, ddof=1)), resolution) / sqrt(seeds)
    if error == 0.0:
        return Difference(seeds, mean, mean, mean, 1.0 if mean == 0.0 else 0.0)
    half = float(student.ppf(0.975, seeds - 1)) * error
    p = 2.0 * float(student.sf(abs(mean) / error, seeds - 1))
    return Difference(seeds, mean, mean - half, mean + half, p)


def holm(chances: Mapping[str, float], level: float = LEVEL) -> frozenset[str]:
    """The names of those that are significant at `level` together.

    From the smallest p on, each is held against level / (how many are left), up to the first that is not below
    (Holm 1979, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6).
    """
    found: set[str] = set()
    for name in sorted(chances, key=lambda each: chances[each]):
        if chances[name] > level / (len(chances) - len(found)):
            break
        found.add(name)
    return frozenset(found)


@dataclass(frozen=True)
class Verdict:
    """Which variants are best as far as can be told: one that all others fall behind, or several, among which is none.

    best: the names of those of which no one can be called worse than the one of highest mean, that one first.
    """

    best: tuple[str, ...]

    @property
    def winner(self) -> str | None:
        """The variant that all others are worse than; None where chance may be the reason."""
        return self.best[0] if len(self.best) == 1 else None


def judge(accuracies: Mapping[str, Mapping[int, float]], resolution: float = 0.0) -> Verdict:
    """Which of the variants are best: those that the one of highest mean is not significantly above.

    accuracies: by variant and seed. Each is compared with the best on the seeds that both have, by a paired t test,
    corrected for their number by Holm's method. One seed tells none apart. Since the best is chosen by the same
    figures, some of six to eleven equals on five seeds are called worse in 8 to 12 % of cases rather than 5 %; that
    one of them is called the winner was not seen in 1500 (`test_equals_seldom_have_a_winner`).
    """
    means = {name: float(np.mean(list(values.values()))) for name, values in accuracies.items()}
    first = max(means, key=lambda name: means[name])
    chances: dict[str, float] = {}
    for name, values in accuracies.items():
        seeds = [seed for seed in values if seed in accuracies[first]]
        if name != first and seeds:
            top, below = ([accuracies[each][seed] for seed in seeds] for each in (first, name))
            difference = paired_difference(top, below, resolution)
            is_below = difference.p is not None and difference.mean > 0.0
            chances[name] = difference.p if is_below and difference.p is not None else 1.0
    worse = holm(chances)
    rest = sorted((name for name in means if name != first and name not in worse), key=lambda name: -means[name])
    return Verdict((first, *rest))
