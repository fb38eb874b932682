"""The number of channels to remove so that a given share of the costs remains."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from neuroprune.arrays import FloatArray
from neuroprune.compression.catalog import Currency
from neuroprune.compression.cost_model import CostModel
from neuroprune.compression.select import Choice, Mask, Order, least_kept, select
from neuroprune.errors import InputError

TOLERANCE = 0.01
"""Largest difference between the share reached and the one asked for, both relative to the dense network."""

NAMES: dict[Currency, str] = {"flops": "FLOPs", "params": "parameters", "synops": "SynOps"}
"""What sentences call the currencies."""

AT_ONCE = 1 << 20
"""Channels of all selections whose costs are computed together, so that memory stays small."""


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
) -> Selection:
    """The selection that comes nearest to `targets`, the shares that may remain; of two equally near the larger one.

    by_score, by_regrowth: the channels of all groups of `costs`, numbered in their order, best first; regeneration,
    floor, uniform: as in `select`. targets: one or more, which all hold, so the largest difference between what remains
    and its target is brought nearest to 0. Every count of removed channels is tried, since guarding layers makes the
    shares fall unevenly. Raises InputError when none comes within `tolerance`.
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
    excess = np.max([reached[currency] - target for currency, target in targets.items()], axis=0)
    removed = int(np.argmin(np.abs(excess)))
    shares = {currency: float(share[removed]) for currency, share in reached.items()}
    if abs(excess[removed]) > tolerance:
        raise InputError(out_of_reach(targets, shares, floor))
    choice = choose(removed)
    kept, regenerated = (
        {group.name: mask[layer == number] for number, group in enumerate(costs.groups)}
        for mask in (choice.kept, choice.regenerated)
    )
    return Selection(kept, regenerated, shares)


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
