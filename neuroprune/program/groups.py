"""The same convolution in fewer groups."""

import numpy as np

from neuroprune.arrays import frozen_array
from neuroprune.program.types import IntConv

MOST_GROUPS_IN_LAVA = 127
"""lava/proc/conv/models.py keeps the number of groups in an int8, in which more of them overflow silently."""


def merge_groups(conv: IntConv, most: int = MOST_GROUPS_IN_LAVA) -> IntConv:
    """An equal convolution of at most `most` groups: neighbours are merged, and zero weights keep them apart."""
    if conv.groups <= most:
        return conv
    groups = next(count for count in range(most, 0, -1) if conv.groups % count == 0)
    merged = conv.groups // groups
    outputs, inputs, *kernel = conv.weight.shape
    weight = np.zeros((groups, merged, outputs // conv.groups, merged, inputs, *kernel), np.int16)
    apart = conv.weight.reshape(groups, merged, outputs // conv.groups, inputs, *kernel)
    for member in range(merged):
        weight[:, member, :, member] = apart[:, member]
    return IntConv(
        frozen_array(weight.reshape(outputs, merged * inputs, *kernel), np.int16),
        conv.stride,
        conv.padding,
        conv.dilation,
        groups,
    )
