"""The number of channels to remove so that a given share of the operations remains."""

from dataclasses import dataclass

import numpy as np

from neuroprune.compression.channels import ChannelGroup
from neuroprune.compression.cost import SynapseWork, count_macs
from neuroprune.compression.select import Choice, Mask, Order, select
from neuroprune.errors import InputError

TOLERANCE = 0.01
"""Largest difference between the share reached and the one asked for, both relative to the dense network."""


@dataclass(frozen=True, eq=False)
class Selection:
    """The channels that stay, and the share of the operations that remains, in 0..1.

    kept: by name of the group, a mask over its channels, True for those that stay; regenerated: likewise, True for
    those of them that stay for their criticality.
    """

    kept: dict[str, Mask]
    regenerated: dict[str, Mask]
    share: float

    @property
    def p(self) -> float:
        """The share of channels that is removed."""
        masks = np.concatenate(list(self.kept.values()))
        return 1.0 - float(masks.mean())


def search(
    groups: tuple[ChannelGroup, ...],
    work: tuple[SynapseWork, ...],
    by_magnitude: Order,
    by_criticality: Order,
    flops: float,
    regeneration: float,
) -> Selection:
    """The selection whose share of operations comes nearest to `flops`; of two equally near the one that keeps more.

    by_magnitude, by_criticality: the channels of all groups, numbered in the order of `groups`, best first.
    Every count of removed channels is tried, since guarding layers against emptying makes the share fall unevenly.
    Raises InputError when none comes within TOLERANCE.
    """
    layer = np.repeat(np.arange(len(groups)), [group.channels for group in groups])
    dense = count_macs(work)

    def choose(removed: int) -> Choice:
        return select(by_magnitude, by_criticality, layer, removed, regeneration)

    def share(choice: Choice) -> float:
        counts = np.bincount(layer[choice.kept], minlength=len(groups)).tolist()
        return count_macs(work, {group.name: count for group, count in zip(groups, counts, strict=True)}) / dense

    def by_group(mask: Mask) -> dict[str, Mask]:
        return {group.name: mask[layer == number] for number, group in enumerate(groups)}

    reached = [share(choose(removed)) for removed in range(len(layer) - len(groups) + 1)]
    removed = int(np.argmin(np.abs(np.array(reached) - flops)))
    if abs(reached[removed] - flops) > TOLERANCE:
        raise InputError(
            f"removing whole channels of this network cannot leave {flops:.1%} of its FLOPs: the nearest share it can "
            f"reach is {reached[removed]:.1%}, more than {TOLERANCE:.0%} away; ask for {reached[removed]:.3f} instead"
        )
    choice = choose(removed)
    return Selection(by_group(choice.kept), by_group(choice.regenerated), reached[removed])
