"""Synapses in bytes that add up in 32 bits, on CPUs by oneDNN and on GPUs by cuBLAS.

Spikes are 0 or 1, graded inputs fit a signed byte, and so do weights divided by their greatest common divisor
(even ones in [-256, 254] always). The float32 sums are exact where `kernels.exact_dtype` proves it.

CPU: convolutions and matrix products of spikes. Without VNNI a CPU first adds two products in 16 bits, which is where
such kernels are known to saturate; two products of 0 or 1 and a signed byte cannot. Measured on one core with VNNI
against float32, channels last too: 3 to 6 times as fast in convolutions, 3 in depthwise ones, 3 to 12 in dense layers.

GPU: cuDNN offers torch no convolution of bytes, and its own of float32 may be Winograd's, which is not exact; what
torch has beside it runs row by row. So each neuron's window is laid out in bytes, and one product does the rest.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from neuroprune.fixed_point import STATE_SHIFT, signed_range
from neuroprune.program.bounds import value_range
from neuroprune.program.types import IntConnection, IntConv, IntInput, IntSynapse
from neuroprune.simulation.map_layout import Bias, Kernel, channels_last_weight, padded, windows

ABSENT = (AttributeError, NotImplementedError, RuntimeError, TypeError)
"""What torch raises for operations that it lacks, or has with other arguments: they are not a stable interface."""

LEAST_ROWS, MULTIPLE = 17, 8
"""Of the matrices of torch's product of bytes on GPUs, which refuses fewer rows and other numbers of columns."""


def byte_kernel(connection: IntConnection, spec: IntInput, device: torch.device, bias: Bias) -> Kernel | None:
    """A kernel to float32; None where inputs or weights do not fit bytes, or this device has no reliable kernel."""
    synapse, in_shape, values = connection.synapse, connection.in_shape, value_range(connection, spec)
    if not _are_bytes(*values) or (device.type == "cpu" and values != (0, 1)):
        return None
    common = max(int(np.gcd.reduce(synapse.weight.reshape(-1))), 1)
    divided = synapse.weight // common
    if not _are_bytes(int(divided.min()), int(divided.max())):
        return None
    weight = torch.tensor(divided, dtype=torch.int8, device=device)
    scale = torch.full((len(weight),), float(common << STATE_SHIFT), device=device)
    offset = None if bias is None else torch.tensor(bias, dtype=torch.float32, device=device)
    if not isinstance(synapse, IntConv):
        weight = channels_last_weight(weight, in_shape)
    if device.type == "cuda":
        return product_of_windows(synapse, weight, scale, offset)
    try:
        if isinstance(synapse, IntConv):
            return _convolution(synapse, weight, scale, offset)
        return _product(weight, scale, offset)
    except ABSENT:
        return None


def _are_bytes(least: int, most: int) -> bool:
    low, high = signed_range(8)
    return low <= least and most <= high


def _convolution(synapse: IntConv, weight: Tensor, scale: Tensor, offset: Tensor | None) -> Kernel | None:
    """None where each group has one channel but several outputs, or where there is just one group.

    oneDNN's sums are wrong then for some shapes (oneDNN issue 5080).
    """
    if weight.shape[1] == 1 and not 1 < synapse.groups == len(weight):
        return None
    geometry = (synapse.stride, (0, 0), synapse.dilation, synapse.groups)
    packed = torch.ops.onednn.qconv_prepack(weight, scale, 1.0, 0, *geometry, None)
    zero = torch.zeros(len(scale), dtype=torch.int64)

    def convolve(maps: Tensor) -> Tensor:
        channels_first = padded(maps, synapse).permute(0, 3, 1, 2)
        sums: Tensor = torch.ops.onednn.qconv2d_pointwise(
            channels_first, 1.0, 0, packed, scale, zero, offset, *geometry, 1.0, 0, torch.float32, "none", [], ""
        )
        return sums.permute(0, 2, 3, 1).contiguous()

    return convolve


def _product(weight: Tensor, scale: Tensor, offset: Tensor | None) -> Kernel:
    packed = torch.ops.onednn.qlinear_prepack(weight, None)
    zero = torch.zeros(len(scale), dtype=torch.int64)

    def multiply(batch: Tensor) -> Tensor:
        sums: Tensor = torch.ops.onednn.qlinear_pointwise(
            batch.flatten(1), 1.0, 0, packed, scale, zero, offset, 1.0, 0, torch.float32, "none", [], ""
        )
        return sums

    return multiply


def product_of_windows(synapse: IntSynapse, weight: Tensor, scale: Tensor, offset: Tensor | None) -> Kernel | None:
    """A kernel for int8 by torch's product of bytes; None for convolutions in groups, which would be many small ones.

    weight: int8. scale and offset: for each output, float32.
    """
    if isinstance(synapse, IntConv):
        if synapse.groups > 1:
            return None
        weight = weight.permute(0, 2, 3, 1).flatten(1)
    outputs, inputs = weight.shape
    more_inputs = -inputs % MULTIPLE
    weight = F.pad(weight, (0, more_inputs, 0, -outputs % MULTIPLE)).t()

    def multiply(batch: Tensor) -> Tensor:
        read = windows(batch, synapse) if isinstance(synapse, IntConv) else batch.flatten(1)
        values = read.reshape(-1, inputs).view(torch.int8)
        more_rows = max(LEAST_ROWS - len(values), 0)
        sums = torch._int_mm(F.pad(values, (0, more_inputs, 0, more_rows)), weight)[: len(values), :outputs] * scale
        return (sums if offset is None else sums.add_(offset)).view(*read.shape[:-1], outputs)

    return multiply
