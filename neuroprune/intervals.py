"""How far measured accuracies may lie from the true ones, since a test set is a sample: 95 % intervals."""

from math import sqrt

Z = 1.959963984540054
"""Quantile of the normal distribution that leaves 2.5 % on either side."""

Interval = tuple[float, float]


def share_interval(share: float, samples: int) -> Interval:
    """The 95 % interval of a share, 0..1, measured on `samples` >= 1 independent samples.

    Wilson's score interval (Wilson 1927, "Probable Inference, the Law of Succession, and Statistical Inference", JASA
    22), which holds its level for few samples and for shares near 0 and 1.

    >>> from neuroprune import share_interval
    >>> [round(end, 3) for end in share_interval(0.9, 100)]
    [0.826, 0.945]
    """
    centre = share + Z * Z / (2 * samples)
    spread = Z * sqrt(share * (1 - share) / samples + Z * Z / (4 * samples * samples))
    whole = 1 + Z * Z / samples
    return max((centre - spread) / whole, 0.0), min((centre + spread) / whole, 1.0)


def difference_interval(gained: int, lost: int, samples: int) -> Interval:
    """The 95 % interval of the difference of two accuracies on the same `samples` >= 1 samples.

    gained, lost: samples that only the second, or only the first, classifies correctly; those on which both agree say
    nothing. The interval of Agresti and Min 2005, "Simple improved confidence intervals for comparing matched
    proportions", Statistics in Medicine 24: half a sample is added to each of the four cells.

    >>> from neuroprune import difference_interval
    >>> [round(end, 3) for end in difference_interval(gained=4, lost=12, samples=1000)]  # within the noise
    [-0.016, 0.0]
    """
    total, difference, differing = samples + 2, gained - lost, gained + lost + 1
    spread = Z * sqrt(differing - difference * difference / total)
    return (difference - spread) / total, (difference + spread) / total
