"""Tiles that take the same of every resource, and how few cores they fill."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Amounts = npt.NDArray[np.int64]

LEAST = 1e-12
"""Shares of a core below this are nothing."""


class Kinds(NamedTuple):
    """used: int64 [kinds, resources], what a tile of each kind takes. counts: int64 [kinds], tiles of it."""

    used: Amounts
    counts: Amounts


class Filled(NamedTuple):
    """Cores that are filled alike. of_kinds: int64 [kinds], tiles of each kind on one. times: how many cores."""

    of_kinds: Amounts
    times: int


def kinds_of(used: Sequence[Sequence[int]]) -> Kinds:
    """The kinds of tiles that take the amounts `used`."""
    amounts, counts = np.unique(np.array(used, dtype=np.int64), axis=0, return_counts=True)
    return Kinds(amounts, counts)


def cores_filled(kinds: Sequence[Kinds], limits: Amounts) -> int:
    """How many cores all tiles of `kinds` fill, as `kinds_of` all of them would; see `fill`."""
    amounts, kind = np.unique(np.concatenate([each.used for each in kinds]), axis=0, return_inverse=True)
    counts = np.zeros(len(amounts), dtype=np.int64)
    np.add.at(counts, kind.reshape(-1), np.concatenate([each.counts for each in kinds]))
    return sum(each.times for each in fill(Kinds(amounts, counts), limits))


def fill(kinds: Kinds, limits: Amounts) -> list[Filled]:
    """Cores filled one after the other with the tile that takes most of what is scarce, as long as one fits.

    Scarce is what the tiles that are left ask most of, and of that what the core still has: the dot product rule of
    vector bin packing (Panigrahy, Talwar, Uyeda and Wieder, "Heuristics for vector bin packing", 2011). A core that was
    filled once is filled again as often as there are tiles for it. Every tile fits an empty core.
    limits: int64 [resources].
    """
    used, left = kinds.used, kinds.counts.copy()
    shares = used / limits
    filled: list[Filled] = []
    while left.any():
        there = np.flatnonzero(left)
        asked = left[there] @ shares[there]
        scarce = asked / max(asked.max(), LEAST)
        core, rest, room = np.zeros_like(left), left[there], limits.copy()
        weight = scarce
        while True:
            rated = np.where((rest > 0) & (used[there] <= room).all(axis=1), shares[there] @ weight, -1.0)
            best = int(rated.argmax())
            if rated[best] < 0:
                break
            core[there[best]] += 1
            rest[best] -= 1
            room = room - used[there[best]]
            weight = scarce * room / limits
        on = core > 0
        times = int((left[on] // core[on]).min())
        left -= times * core
        filled.append(Filled(core, times))
    return filled
