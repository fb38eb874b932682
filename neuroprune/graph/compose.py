"""Exact products of linear maps: two convolutions as one, a convolution under a dense layer as one dense layer."""

from dataclasses import replace

import numpy as np
import torch
from torch.nn import functional as F

from neuroprune.arrays import FloatArray, frozen_array
from neuroprune.graph.nodes import AvgPool, Conv, IndexArray, Linear, Pair, Shape, Synapse


def identity_kernel(channels: int) -> Conv:
    """The depthwise 1x1 convolution that changes nothing."""
    return depthwise(np.ones((channels, 1, 1, 1)))


def average_kernel(pool: AvgPool, channels: int) -> Conv:
    """Average pooling as a depthwise convolution."""
    height, width = pool.kernel
    box = np.full((channels, 1, height, width), 1.0 / (height * width))
    return depthwise(box, pool.stride, pool.padding)


def depthwise(weight: FloatArray, stride: Pair = (1, 1), padding: Pair = (0, 0), dilation: Pair = (1, 1)) -> Conv:
    """One kernel per channel, without bias; weight [channels, 1, height, width]."""
    channels = weight.shape[0]
    return Conv(
        frozen_array(weight, np.float64),
        frozen_array(np.zeros(channels), np.float64),
        stride,
        padding,
        dilation,
        channels,
    )


def is_depthwise(conv: Synapse) -> bool:
    """Whether each channel has one kernel of its own, and gives one channel."""
    return isinstance(conv, Conv) and conv.weight.shape[1] == 1 and conv.groups == conv.weight.shape[0]


def is_identity(conv: Synapse) -> bool:
    """Whether it changes nothing."""
    if not isinstance(conv, Conv) or not is_depthwise(conv) or conv.weight.shape[2:] != (1, 1):
        return False
    return conv.stride == (1, 1) and conv.padding == (0, 0) and bool(np.all(conv.weight == 1.0))


def ungrouped(conv: Conv) -> Conv:
    """The same convolution in one group, with the weights between groups written out as zeros."""
    if conv.groups == 1:
        return conv
    outputs, inputs = conv.weight.shape[:2]
    weight = np.zeros((outputs, inputs * conv.groups, *conv.weight.shape[2:]))
    weight[np.arange(outputs)[:, None], _inputs(conv)] = conv.weight
    return replace(conv, weight=frozen_array(weight, np.float64), groups=1)


def _inputs(conv: Conv) -> IndexArray:
    """The input channels that each output reads: int64 [out channels, in channels / groups]."""
    outputs, inputs = conv.weight.shape[:2]
    group = np.arange(outputs) // (outputs // conv.groups)
    return group[:, None] * inputs + np.arange(inputs)[None, :]


def scale_outputs(synapse: Synapse, gain: FloatArray, offset: FloatArray) -> Synapse:
    """y -> y * gain + offset for each output channel; gain and offset float64 [out channels]."""
    shape = (-1,) + (1,) * (synapse.weight.ndim - 1)
    weight = frozen_array(synapse.weight * gain.reshape(shape), np.float64)
    bias = frozen_array(synapse.bias * gain + offset, np.float64)
    if isinstance(synapse, Linear):
        return Linear(weight, bias)
    return Conv(weight, bias, synapse.stride, synapse.padding, synapse.dilation, synapse.groups)


def pads_differ(first: Conv, before: Shape, between: Shape) -> bool:
    """Whether zeros padded between `first` and the next map differ from zeros padded before `first`.

    before, between: shapes (channels, height, width) of the input and output of `first`. They agree where each window
    of `first` that lies beyond its output sees padding alone, and `first` adds no bias.
    """
    if np.any(first.bias):
        return True
    for axis in (0, 1):
        extent = first.dilation[axis] * (first.weight.shape[2 + axis] - 1) + 1
        touches_start = extent > first.stride[axis] + first.padding[axis]
        touches_end = between[1 + axis] * first.stride[axis] - first.padding[axis] < before[1 + axis]
        if touches_start or touches_end:
            return True
    return False


def convolve_after(first: Synapse, second: Conv) -> Conv:
    """The convolution that equals `first` followed by `second`; in one group unless one of the two is depthwise.

    With zero padding in `second` this holds only where `pads_differ` is False. Output m of the pair reads input
    m s1 s2 - (p2 s1 + p1) + b d2 s1 + a d1 with weight w2[b] w1[a], so the kernels multiply like polynomials.
    """
    assert isinstance(first, Conv)
    one = _spread(first.weight, first.dilation)
    apart = (second.dilation[0] * first.stride[0], second.dilation[1] * first.stride[1])
    two = _spread(second.weight, apart)
    reads = _inputs(second)
    if is_depthwise(first):
        weight, groups = _product(two, one[reads, 0]), second.groups
    elif is_depthwise(second):
        weight, groups = _product(one, np.broadcast_to(two, (*one.shape[:2], *two.shape[2:]))), first.groups
    else:
        weight, groups = (
            _chained(_spread(ungrouped(second).weight, apart), _spread(ungrouped(first).weight, first.dilation)),
            1,
        )
    carried = (second.weight.sum(axis=(2, 3)) * first.bias[reads]).sum(axis=1)
    return Conv(
        frozen_array(weight, np.float64),
        frozen_array(carried + second.bias, np.float64),
        (first.stride[0] * second.stride[0], first.stride[1] * second.stride[1]),
        (
            second.padding[0] * first.stride[0] + first.padding[0],
            second.padding[1] * first.stride[1] + first.padding[1],
        ),
        (1, 1),
        groups,
    )


def dense_after(first: Synapse, linear: Linear, before: Shape, between: Shape) -> Linear:
    """The dense layer that equals `first`, flattening in C order, then `linear`, on inputs of shape `before`.

    Each row of the result is the adjoint of `first` applied to a row of `linear`, so it is exact at every border;
    `rest` are the rows and columns of the input that no window of `first` reaches.
    """
    assert isinstance(first, Conv)
    rows = torch.from_numpy(linear.weight.reshape(-1, *between).copy())
    kernel = torch.from_numpy(first.weight.copy())
    rest = tuple(
        before[1 + axis]
        - (
            (between[1 + axis] - 1) * first.stride[axis]
            - 2 * first.padding[axis]
            + first.dilation[axis] * (first.weight.shape[2 + axis] - 1)
            + 1
        )
        for axis in (0, 1)
    )
    back = F.conv_transpose2d(rows, kernel, None, first.stride, first.padding, rest, first.groups, first.dilation)
    bias = (linear.weight.reshape(-1, *between).sum(axis=(2, 3)) * first.bias).sum(axis=1) + linear.bias
    return Linear(frozen_array(back.reshape(len(rows), -1).numpy(), np.float64), frozen_array(bias, np.float64))


def _spread(kernel: FloatArray, dilation: tuple[int, int]) -> FloatArray:
    """The kernel with its dilation written out as zeros."""
    height, width = kernel.shape[2:]
    spread = np.zeros((*kernel.shape[:2], (height - 1) * dilation[0] + 1, (width - 1) * dilation[1] + 1))
    spread[:, :, :: dilation[0], :: dilation[1]] = kernel
    return spread


def _chained(second: FloatArray, first: FloatArray) -> FloatArray:
    """Kernels [O, M, h2, w2] after kernels [M, I, h1, w1], summed over M: [O, I, h1+h2-1, w1+w2-1]."""
    height, width = first.shape[2:]
    total = np.zeros((len(second), first.shape[1], second.shape[2] + height - 1, second.shape[3] + width - 1))
    for y, x in np.ndindex(*second.shape[2:]):
        total[:, :, y : y + height, x : x + width] += np.tensordot(second[:, :, y, x], first, axes=(1, 0))
    return total


def _product(left: FloatArray, right: FloatArray) -> FloatArray:
    """Full 2-D convolution of each pair of kernels: [O, I, h1, w1] and [O, I, h2, w2] -> [O, I, h1+h2-1, w1+w2-1]."""
    height, width = right.shape[2:]
    total = np.zeros((*left.shape[:2], left.shape[2] + height - 1, left.shape[3] + width - 1))
    for y in range(height):
        for x in range(width):
            total[:, :, y : y + left.shape[2], x : x + left.shape[3]] += left * right[:, :, y : y + 1, x : x + 1]
    return total
