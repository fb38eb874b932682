"""The number of channels to remove so that a given share of the costs remains, or a chip can hold what is left."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count as numbers
from typing import Protocol

import numpy as np

from neuroprune.arrays import FloatArray
from neuroprune.compression.catalog import Currency
from neuroprune.compression.cost_model import CostModel
from neuroprune.compression.select import Choice, Mask, Order, least_kept, select
from neuroprune.errors import InputError
from neuroprune.progress import Progress, silent

TOLERANCE = 0.01
"""Largest difference between the share reached and the one asked for, both relative to the dense network."""

NAMES: dict[Currency, str] = {"flops": "FLOPs", "params": "parameters", "synops": "SynOps"}
"""What sentences call the currencies."""

AT_ONCE = 1 << 20
"""Channels of all selections whose costs are computed together, so that memory stays small."""


PROBED, PROBES = 64, 4
"""Of so many parts of all counts, so many are tried below the count that halving has found."""


class Limits(Protocol):
    """What is to hold beside shares; masks are over the channels of all groups."""

    def hold(self, kept: Mask) -> bool:
        """Whether it holds with the channels `kept`."""

    def no_need(self, kept: Mask) -> str:
        """Why nothing needs to be removed, since it holds with `kept`, which are all."""

    def out_of_reach(self, kept: Mask, floor: float) -> str:
        """Why it cannot hold, since it does not with `kept`, the fewest; floor: the share that layers keep."""


@dataclass(frozen=True, eq=False)
class Selection:
    """The channels that stay, and the share of each currency that remains, in 0..1, as far as it is known.

    kept: by name of the group, a bool mask over its channels, True for those that stay, of which there must be one;
    regenerated: likewise, True for those of them that regrowth brought back.
    """

    kept: dict[str, Mask]
    regenerated: dict[str, Mask]
    shares: dict[Currency, float] = field(default_factory=dict)

    @property
    def p(self) -> float:
        """The share of channels that is removed."""
        masks = np.concatenate(list(self.kept.values()))
        return 1.0 - float(masks.mean())


def search(
    costs: CostModel,
    by_score: Order,
    by_regrowth: Order,
    targets: Mapping[Currency, float],
    regeneration: float,
    *,
    floor: float = 0.0,
    uniform: bool = False,
    tolerance: float = TOLERANCE,
    limits: Limits | None = None,
    progress: Progress = silent,
) -> Selection:
    """The selection that comes nearest to `targets`, the shares that may remain; of two equally near the larger one.

    by_score, by_regrowth: the channels of all groups of `costs`, numbered in their order, best first; regeneration,
    floor, uniform: as in `select`. targets: some, which all hold, so the largest difference between what remains
    and its target is brought nearest to 0. Every count of removed channels is tried, since guarding layers makes the
    shares fall unevenly. limits: which hold too: further channels go until they do (`fewest_removed`), and then, unless
    layers are to be uniform, some of these are given back (`give_back`).
    Raises InputError when no count comes within `tolerance`, or none within the limits.
    """
    layer = costs.layer

    def choose(removed: int) -> Choice:
        return select(by_score, by_regrowth, layer, removed, regeneration, floor=floor, uniform=uniform)

    counts = range(len(layer) - int(least_kept(layer, floor).sum()) + 1)
    batch = max(1, AT_ONCE // len(layer))
    reached = _joined(
        costs.shares(np.stack([choose(removed).kept for removed in counts[start : start + batch]]))
        for start in range(0, len(counts), batch)
    )
    excess = np.max([reached[currency] - target for currency, target in targets.items()] or [np.zeros(len(counts))], 0)
    removed = int(np.argmin(np.abs(excess)))
    if abs(excess[removed]) > tolerance:
        shares = {currency: float(share[removed]) for currency, share in reached.items()}
        raise InputError(out_of_reach(targets, shares, floor))
    choice = choose(removed)
    if limits is not None and not (targets and limits.hold(choice.kept)):
        choice = _within(limits, choose, removed, counts[-1], floor, progress)
        if not uniform:

            def may_return(kept: Mask) -> bool:
                shares = costs.shares(kept[np.newaxis])
                return all(shares[currency][0] <= target for currency, target in targets.items()) and limits.hold(kept)

            choice = Choice(give_back(choice.kept, by_score, layer, may_return, progress), choice.regenerated)
    shares = {currency: float(share[0]) for currency, share in costs.shares(choice.kept[np.newaxis]).items()}
    kept, regenerated = (
        {group.name: mask[layer == number] for number, group in enumerate(costs.groups)}
        for mask in (choice.kept, choice.regenerated)
    )
    return Selection(kept, regenerated, shares)


def _within(
    limits: Limits, choose: Callable[[int], Choice], removed: int, most: int, floor: float, progress: Progress
) -> Choice:
    """The choice that removes more than `removed` channels, as many as `limits` ask for."""
    if limits.hold(choose(removed).kept):
        raise InputError(limits.no_need(choose(removed).kept))
    found = fewest_removed(lambda count: limits.hold(choose(count).kept), removed, most, progress)
    if found is None:
        raise InputError(limits.out_of_reach(choose(most).kept, floor))
    return choose(found)


def fewest_removed(holds: Callable[[int], bool], least: int, most: int, progress: Progress = silent) -> int | None:
    """The least count from `least` to `most` for which `holds`, by halving; None where it does not for `most`.

    Cores fall in steps as channels go, and since tiles of a layer are cut alike, a channel less may take a core more.
    So some counts below the one that halving finds are tried as well.
    """
    if holds(least):
        return least
    if not holds(most):
        return None
    tries, most_tries = numbers(1), (most - least).bit_length() + PROBES

    def tried(count: int) -> bool:
        held = holds(count)
        progress("channels to remove", next(tries), most_tries)
        return held

    low, high = least, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if tried(middle) else (middle, high)
    step = max(1, (most - least) // PROBED)
    below = (count for count in range(high - PROBES * step, high, step) if count > least)
    found = next((count for count in below if tried(count)), high)
    progress("channels to remove", most_tries, most_tries)
    return found


def give_back(
    kept: Mask, by_score: Order, layer: Order, holds: Callable[[Mask], bool], progress: Progress = silent
) -> Mask:
    """`kept` and those of the other channels, best first, with which it still `holds`.

    by_score: all channels, best first; layer: of each channel, as in `select`. A layer of which a channel cannot come
    back gets none after it.
    """
    kept, waits = kept.copy(), np.ones(int(layer.max()) + 1, dtype=np.bool_)

    def with_best(count: int) -> Mask:
        more = kept.copy()
        more[waiting[:count]] = True
        return more

    while True:
        waiting = by_score[~kept[by_score] & waits[layer[by_score]]]
        count = 0
        while count < len(waiting):  # twice as many each time, until it does not hold
            more = min(max(1, 2 * count), len(waiting))
            if not holds(with_best(more)):
                while more - count > 1:
                    middle = (count + more) // 2
                    count, more = (middle, more) if holds(with_best(middle)) else (count, middle)
                break
            count = more
        kept = with_best(count)
        if count == len(waiting):
            progress("channels to give back", waits.size, waits.size)
            return kept
        waits[layer[waiting[count]]] = False
        progress("channels to give back", int((~waits).sum()), waits.size)


def _joined(parts: Iterator[dict[Currency, FloatArray]]) -> dict[Currency, FloatArray]:
    found = list(parts)
    return {currency: np.concatenate([part[currency] for part in found]) for currency in found[0]}


def out_of_reach(targets: Mapping[Currency, float], shares: Mapping[Currency, float], floor: float) -> str:
    """Why the `targets` cannot be met, of which `shares` come nearest."""
    asked = " and ".join(f"{target:.1%} of its {NAMES[currency]}" for currency, target in targets.items())
    binding = max(targets, key=lambda currency: shares[currency] - targets[currency])
    nearest = f"{shares[binding]:.1%}" + (f" of its {NAMES[binding]}, which bind here" if len(targets) > 1 else "")
    kept = f" while every layer keeps {floor:.1%} of them" if floor else ""
    return (
        f"removing whole channels of this network{kept} cannot leave {asked}: the nearest share it can reach is "
        f"{nearest}, more than {TOLERANCE:.0%} away; ask for {shares[binding]:.3f} instead"
    )
