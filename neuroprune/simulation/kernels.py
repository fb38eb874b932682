"""Synapses as tensor operations whose results are exact integers, in bytes or in floating point.

They work on batches in the layout of map_layout.py. Results are in units of v, 64 times the sum of the weights.

A sum of integers in floating point is exact, in any order, while no partial sum leaves the integers that the format
holds; `exact_dtype` proves that from the weights. Inputs and weights have 8 significant bits at most, so that even the
shorter formats that torch may be set to multiply in (TF32, bfloat16) hold them. Channels last makes convolutions of
float32 on a CPU up to 1.7 times as fast as channels first; bytes are faster still: see byte_kernels.py.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from neuroprune.fixed_point import FLOAT32_INTEGERS, STATE_SHIFT
from neuroprune.graph.nodes import Shape
from neuroprune.program.bounds import sum_range, value_range
from neuroprune.program.types import IntConnection, IntConv, IntInput, IntLayer, IntSynapse
from neuroprune.simulation.byte_kernels import ABSENT, byte_kernel
from neuroprune.simulation.map_layout import Bias, Kernel, channels_last_weight, padded


def exact_dtype(layer: IntLayer, spec: IntInput) -> torch.dtype:
    """float32 where it provably holds every partial sum of `layer`'s synapses and bias, else float64."""
    bias = layer.bias.values
    least, most = bias.clip(max=0), bias.clip(min=0)
    for connection in layer.connections:
        low, high = sum_range(connection.synapse, value_range(connection, spec))
        least, most = least + (low << STATE_SHIFT), most + (high << STATE_SHIFT)
    largest = max(int(-least.min()), int(most.max()))
    weights = [
        connection.synapse.weight.reshape(-1).astype(np.int64) << STATE_SHIFT for connection in layer.connections
    ]
    common = int(np.gcd.reduce(np.concatenate([*weights, bias])))
    power_of_two = common & -common  # floats hold it in their exponents
    return torch.float32 if largest <= FLOAT32_INTEGERS * power_of_two else torch.float64


@contextmanager
def direct_convolutions() -> Iterator[None]:
    """Keep to convolutions that only multiply and add what the layer holds.

    NNPACK and cuDNN choose Winograd and Fourier transforms for some shapes; their intermediates are not integers. All
    kernels must run within; the setting is one for all threads.
    """
    with torch.backends.nnpack.flags(enabled=False), torch.backends.cudnn.flags(enabled=False):
        yield


def make_kernel(
    connection: IntConnection, spec: IntInput, dtype: torch.dtype, device: torch.device, bias: Bias = None
) -> Kernel:
    """The fastest kernel for a connection's synapses; delays and wraps are applied by layers.py.

    dtype: of the results, by `exact_dtype` of the layer.
    """
    in_floats = _float_kernel(connection.synapse, connection.in_shape, dtype, device, bias)
    in_bytes = byte_kernel(connection, spec, device, bias) if dtype == torch.float32 else None
    return _CheckedKernel(in_bytes, in_floats) if in_bytes is not None else in_floats


def _float_kernel(synapse: IntSynapse, in_shape: Shape, dtype: torch.dtype, device: torch.device, bias: Bias) -> Kernel:
    weight = torch.tensor(synapse.weight, dtype=dtype, device=device) * (1 << STATE_SHIFT)
    offset = None if bias is None else torch.tensor(bias, dtype=dtype, device=device)
    if not isinstance(synapse, IntConv):
        weight = channels_last_weight(weight, in_shape)
        return lambda batch: F.linear(batch.flatten(1).to(dtype), weight, offset)
    # Where a group has one channel, oneDNN reads beyond maps that lie channels last in some shapes.
    layout = torch.contiguous_format if weight.shape[1] == 1 else torch.channels_last
    weight = weight.contiguous(memory_format=layout)

    def convolve(maps: Tensor) -> Tensor:
        channels_first = padded(maps, synapse).to(dtype).permute(0, 3, 1, 2)
        if layout is torch.contiguous_format:
            channels_first = channels_first.clone(memory_format=layout)
        sums = F.conv2d(channels_first, weight, offset, synapse.stride, 0, synapse.dilation, synapse.groups)
        return sums.permute(0, 2, 3, 1).contiguous()

    return convolve


class _CheckedKernel:
    """A kernel of bytes, checked: at the first batch of each size the two maps with most spikes are computed in floats.

    Libraries choose their code by the shapes; where one is wrong, in this or another release, floats are used.
    """

    def __init__(self, in_bytes: Kernel, in_floats: Kernel) -> None:
        self.in_bytes, self.in_floats = in_bytes, in_floats
        self.trusted: dict[int, bool] = {}

    def __call__(self, batch: Tensor) -> Tensor:
        trusted = self.trusted.get(len(batch))
        if trusted is None:
            return self._check(batch)
        return self.in_bytes(batch) if trusted else self.in_floats(batch)

    def _check(self, batch: Tensor) -> Tensor:
        if not batch.any():  # which any kernel gets right
            return self.in_floats(batch)
        busiest = batch.flatten(1).sum(1, dtype=torch.int32).topk(min(2, len(batch))).indices
        try:
            sums = self.in_bytes(batch)
            self.trusted[len(batch)] = torch.equal(sums[busiest], self.in_floats(batch[busiest]))
        except ABSENT:
            self.trusted[len(batch)] = False
        return sums if self.trusted[len(batch)] else self.in_floats(batch)
