"""The layout of maps that kernels work on: batches of one map for each step of each sample, channels last.

Maps are [batch, height, width, channels]; the values of dense layers are [batch, features].
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch.nn.functional as F
from torch import Tensor

from neuroprune.graph.nodes import Shape
from neuroprune.program.types import IntConv

Kernel = Callable[[Tensor], Tensor]
"""From a batch of integers, uint8 or int8, to a batch of sums, float32 or float64."""

Bias = npt.NDArray[np.int64] | None
"""For each output channel in units of v, if it is to be added to every sum."""


def padded(maps: Tensor, synapse: IntConv) -> Tensor:
    """Maps with their border of zeros, for a few per cent of the time of a convolution.

    oneDNN's own padding crashes or gives wrong sums in a few shapes (its issues 5942 and 5080, in releases that torch
    has): in 5 of 3000 random ones. Without it none of 24000 did, apart from the kind that `byte_kernels` leaves out,
    with and without AVX-512 and VNNI.
    """
    vertical, horizontal = synapse.padding
    return F.pad(maps, (0, 0, horizontal, horizontal, vertical, vertical)) if vertical or horizontal else maps


def windows(maps: Tensor, synapse: IntConv) -> Tensor:
    """What each neuron of a convolution without groups reads, [batch, height, width, kernel * channels]."""
    maps = padded(maps, synapse).contiguous()
    gaps = synapse.dilation
    sizes = synapse.weight.shape[2:]
    height, width = (
        (total - gap * (size - 1) - 1) // stride + 1
        for total, gap, size, stride in zip(maps.shape[1:3], gaps, sizes, synapse.stride, strict=True)
    )
    map_stride, row, column, channel = maps.stride()
    views = maps.as_strided(
        (len(maps), height, width, *sizes, maps.shape[3]),
        (map_stride, row * synapse.stride[0], column * synapse.stride[1], row * gaps[0], column * gaps[1], channel),
    )
    return views.reshape(len(maps), height, width, -1)


def channels_last_weight(weight: Tensor, in_shape: Shape) -> Tensor:
    """The weights of a dense layer, [outputs, features], for maps that lie channels last."""
    if len(in_shape) == 1:
        return weight
    return weight.view(-1, *in_shape).permute(0, 2, 3, 1).flatten(1)
