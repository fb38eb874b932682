"""Which channels stay: Algorithm 2 of "Brain-Inspired Efficient Pruning: Exploiting Criticality in Spiking Neural
Networks", with exact counts."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Order = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Choice:
    """Masks over all channels: `kept` stay, and `regenerated` are those of them that stay for their criticality."""

    kept: Mask
    regenerated: Mask


def rank(scores: npt.NDArray[np.float64]) -> Order:
    """Channel numbers from the highest score to the lowest; of equal scores the earlier channel comes first."""
    return np.argsort(-scores, kind="stable")


def select(by_magnitude: Order, by_criticality: Order, layer: Order, removed: int, regeneration: float) -> Choice:
    """The channels that stay when `removed` of them go.

    by_magnitude, by_criticality: all n channels, best first (`rank`); layer: [n], the layer each channel belongs to.
    removed: k of Algorithm 2, in 0 .. n - number of layers.
    regeneration: r, the share of the n - k surviving channels that is chosen by criticality, in [0, 1).

    The n - k - g channels of largest magnitude stay, g = int((n - k) * r); then the g most critical of the others
    are added. A layer that would end up empty keeps its channel of largest magnitude, as if it ranked above all others,
    so the count stays exact; where so few channels are left that these fill the places, g shrinks.
    """
    total = len(layer)
    survivors = total - removed
    layers = np.unique(layer)
    assert survivors >= len(layers), "fewer channels than layers"
    guarded = np.zeros(total, dtype=np.bool_)
    while True:
        places = min(int(survivors * regeneration), survivors - int(guarded.sum()))
        guarded_first = by_magnitude[np.argsort(~guarded[by_magnitude], kind="stable")]
        kept = np.zeros(total, dtype=np.bool_)
        kept[guarded_first[: survivors - places]] = True
        regenerated = np.zeros(total, dtype=np.bool_)
        regenerated[by_criticality[~kept[by_criticality]][:places]] = True
        kept |= regenerated
        empty = np.setdiff1d(layers, layer[kept])
        if not len(empty):
            return Choice(kept, regenerated)
        for number in empty:
            guarded[by_magnitude[layer[by_magnitude] == number][0]] = True
