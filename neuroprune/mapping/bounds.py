"""Cores that a program needs at least, however it is mapped."""

from typing import NamedTuple

from neuroprune.chips.chip import Chip
from neuroprune.mapping.count import Counting
from neuroprune.program.types import IntProgram


class Bound(NamedTuple):
    """Cores that a program needs at least for one resource, by the resource's name."""

    resource: str
    cores: int


def resource_bounds(program: IntProgram, chip: Chip) -> tuple[Bound, ...]:
    """For each resource of `chip` the cores that it alone asks for: no mapping of `program` takes fewer.

    It is what all layers take at least by the family's proof (`Family.least`), parted among cores without a remainder.
    """
    counting = Counting(program, chip)
    taken = zip(*(counting.least(layer) for layer in program.layers), strict=True)
    return tuple(
        Bound(resource.name, max(1, -(-sum(amounts) // resource.limit)))
        for resource, amounts in zip(chip.core.resources, taken, strict=True)
    )


def least_cores(program: IntProgram, chip: Chip) -> int:
    """Cores that no mapping of `program` on `chip` can do with fewer than."""
    return max(each.cores for each in resource_bounds(program, chip))
