"""How many cores and chips a program may take."""

from collections import Counter
from dataclasses import dataclass

from neuroprune.chips.chip import Chip
from neuroprune.errors import CapacityError, InputError
from neuroprune.mapping.types import Packing


@dataclass(frozen=True)
class Budget:
    """The cores that there are for a program, in all or by whole chips; None sets no limit.

    Raises InputError for less than one.

    >>> from neuroprune import Budget
    >>> Budget(chips=2).cores_of(128)
    256
    """

    cores: int | None = None
    chips: int | None = None

    def __post_init__(self) -> None:
        for name, value in (("cores", self.cores), ("chips", self.chips)):
            if value is not None and value < 1:
                raise InputError(f"the {name} that a program may take are {value}, but must be at least 1: give more")

    def cores_of(self, cores_per_chip: int) -> int | None:
        """How many cores that is on chips of so many."""
        limits = [] if self.cores is None else [self.cores]
        if self.chips is not None:
            limits.append(self.chips * cores_per_chip)
        return min(limits, default=None)


NO_LIMIT = Budget()


def check_budget(packing: Packing, chip: Chip, budget: Budget) -> None:
    """Raise CapacityError where `packing` has more cores than `budget` allows on `chip`."""
    needed, allowed = len(packing.cores), budget.cores_of(chip.cores_per_chip)
    if allowed is None or needed <= allowed:
        return
    chips = -(-needed // chip.cores_per_chip)
    room = [f"--cores {needed}"] if budget.cores is not None and budget.cores < needed else []
    room += [f"--chips {chips}"] if budget.chips is not None and budget.chips < chips else []
    on = Counter(name for core in packing.cores for name in {use.tile.layer: None for use in core})
    layer, most = on.most_common(1)[0]
    raise CapacityError(
        f"the network needs {needed} cores of {chip.name}, {needed - allowed} more than the {allowed} that it may "
        f"take: give it {' and '.join(room)}, or prune it, above all layer {layer}, which is on {most} of these cores"
    )
