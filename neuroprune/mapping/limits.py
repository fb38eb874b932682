"""Whether tiles fit a core."""

from collections.abc import Sequence
from typing import NamedTuple

from neuroprune.chips.types import Resource


class Exceeded(NamedTuple):
    """A resource of which more is needed than a core has."""

    resource: Resource
    needed: int


def exceeded(used: Sequence[int], resources: Sequence[Resource]) -> Exceeded | None:
    """The first of `resources` of which more is `used`, amounts in their order, than a core has; None if all fit."""
    for resource, needed in zip(resources, used, strict=True):
        if needed > resource.limit:
            return Exceeded(resource, needed)
    return None
