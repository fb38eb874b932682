"""How far measured accuracies may lie from the true ones, since a test set is a sample: 95 % intervals."""

from math import sqrt
from typing import Annotated

from pydantic import Field

from neuroprune.records import Record

Share = Annotated[float, Field(ge=0, le=1)]
ShareInterval = tuple[Share, Share]

Z = 1.959963984540054
"""Quantile of the normal distribution that leaves 2.5 % on either side."""


def share_interval(share: float, samples: int) -> ShareInterval:
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


def difference_interval(gained: int, lost: int, samples: int) -> tuple[float, float]:
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


class AccuracyChange(Record):
    """From one accuracy to another on the same samples.

    gained, lost: samples that only the second, and only the first, classifies correctly.
    low, high: the 95 % interval of the change of the share (`difference_interval`).
    """

    gained: Annotated[int, Field(ge=0)]
    lost: Annotated[int, Field(ge=0)]
    low: float
    high: float

    @property
    def is_noise(self) -> bool:
        """Whether a change of 0 lies within the interval, so that both may be equally accurate."""
        return self.low <= 0.0 <= self.high


def accuracy_change(gained: int, lost: int, samples: int) -> AccuracyChange:
    """The change that these counts of `samples` say; see `AccuracyChange`."""
    low, high = difference_interval(gained, lost, samples)
    return AccuracyChange(gained=gained, lost=lost, low=low, high=high)


def chance_warning(share: float, samples: int, most_frequent: float) -> str | None:
    """A sentence where an accuracy on `samples` is not above that of always answering the most frequent class."""
    low, high = share_interval(share, samples)
    if low > most_frequent:
        return None
    return (
        f"the accuracy of {share:.2%} ({low:.1%} to {high:.1%}) is not above the {most_frequent:.2%} of always "
        "answering the most frequent class: train the network, or prune and quantise it less"
    )
