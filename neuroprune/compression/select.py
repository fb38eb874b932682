"""Which channels stay: Algorithm 2 of "Brain-Inspired Efficient Pruning: Exploiting Criticality in Spiking Neural
Networks", with exact counts, and the controls that it is compared with."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Order = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Choice:
    """Masks over all channels: `kept` stay, and `regenerated` are those of them that the second score brought back."""

    kept: Mask
    regenerated: Mask


def rank(scores: npt.NDArray[np.float64]) -> Order:
    """Channel numbers from the highest score to the lowest; of equal scores the earlier channel comes first."""
    return np.argsort(-scores, kind="stable")


def least_kept(layer: Order, floor: float = 0.0) -> npt.NDArray[np.int64]:
    """How many channels each layer keeps at least: one, and the share `floor` of them, rounded up; int64 [layers].

    layer: [n], the number of the layer that each channel belongs to, from 0 on without gaps.
    """
    shares = np.round(np.bincount(layer) * floor, 9)  # 0.1 of 30 channels are 3, which floats put just above
    return np.maximum(1, np.ceil(shares)).astype(np.int64)


def select(
    by_score: Order,
    by_regrowth: Order,
    layer: Order,
    removed: int,
    regeneration: float,
    *,
    floor: float = 0.0,
    uniform: bool = False,
) -> Choice:
    """The channels that stay when `removed` of them go.

    by_score, by_regrowth: all n channels, best first (`rank`); layer: as in `least_kept`.
    removed: k of Algorithm 2, from 0 to n less what `least_kept` keeps.
    regeneration: r, the share of the n - k surviving channels that is chosen by regrowth, in [0, 1).
    floor: the share of its channels that every layer keeps at least, in [0, 1).
    uniform: whether every layer keeps the same share, as nearly as whole channels allow.

    The n - k - g channels of highest score stay, g = int((n - k) * r); then the g best of the others by regrowth are
    added. A layer that would end up with fewer channels than `least_kept` keeps as many of its best by score, as if
    they ranked above all others, so the count stays exact; where so few channels are left that these fill the places, g
    shrinks. With `uniform` the same is done within each layer, whose count is its share of n - k (`quotas`).
    """
    least = least_kept(layer, floor)
    survivors = len(layer) - removed
    assert survivors >= least.sum(), "fewer channels than layers keep"
    if uniform:
        return _uniform(by_score, by_regrowth, layer, quotas(np.bincount(layer), least, survivors), regeneration)
    guarded = np.zeros(len(layer), dtype=np.bool_)
    while True:
        places = min(int(survivors * regeneration), survivors - int(guarded.sum()))
        choice = _fill(by_score, by_regrowth, guarded, survivors - places, places)
        short = np.bincount(layer[choice.kept], minlength=len(least)) < least
        if not short.any():
            return choice
        guarded |= _best(by_score, layer, np.where(short, least, 0))


def quotas(channels: Order, least: npt.NDArray[np.int64], survivors: int) -> npt.NDArray[np.int64]:
    """How many of its `channels` each layer keeps of `survivors` in all, in proportion; int64 [layers].

    Each gets the whole part of its share, and the largest remainders one more, of equal ones the earlier layer. Layers
    whose share is below `least` keep that, and the others share what is left.
    """
    found = np.asarray(least).copy()
    sharing = np.ones(len(channels), dtype=np.bool_)
    while True:
        left, among = survivors - int(found[~sharing].sum()), int(channels[sharing].sum())
        below = sharing & (channels * left < least * among)
        if not below.any():
            break
        sharing &= ~below
    whole, remainders = np.divmod(channels[sharing] * left, among)
    whole[np.argsort(-remainders, kind="stable")[: left - int(whole.sum())]] += 1
    found[sharing] = whole
    return found


def _fill(by_score: Order, by_regrowth: Order, guarded: Mask, scored: int, places: int) -> Choice:
    """The guarded channels and the best others by score, `scored` together, and then `places` more by regrowth."""
    kept = guarded.copy()
    others = by_score[~guarded[by_score]]
    kept[others[: scored - int(guarded.sum())]] = True
    regenerated = np.zeros_like(kept)
    regenerated[by_regrowth[~kept[by_regrowth]][:places]] = True
    return Choice(kept | regenerated, regenerated)


def _uniform(
    by_score: Order, by_regrowth: Order, layer: Order, counts: npt.NDArray[np.int64], regeneration: float
) -> Choice:
    """In each layer as many channels as `counts` says, a share `regeneration` of them by regrowth."""
    places = (counts * regeneration).astype(np.int64)
    kept = _best(by_score, layer, counts - places)
    regenerated = _best(by_regrowth[~kept[by_regrowth]], layer, places)
    return Choice(kept | regenerated, regenerated)


def _best(order: Order, layer: Order, counts: npt.NDArray[np.int64]) -> Mask:
    """A mask over all channels: of each layer, the first of `order` in it, as many as `counts` says."""
    of = layer[order]
    together = np.argsort(of.astype(np.uint16), kind="stable")  # 16 bits are sorted in linear time
    sizes = np.bincount(of, minlength=len(counts))
    place = np.empty_like(together)
    place[together] = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    mask = np.zeros(len(layer), dtype=np.bool_)
    mask[order[place < counts[of]]] = True
    return mask
