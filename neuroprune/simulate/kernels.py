"""Synapses as tensor operations whose results are exact integers, in bytes or in floating point.

Maps lie channels last: [rows, height, width, channels], a row being one step of one sample; the values of dense layers
are [rows, features]. Results are in units of v, 64 times the sum of the weights.

Floating point: a sum of integers is exact, in any order, while no partial sum leaves the integers that the format
holds; `exact_dtype` proves that from the weights.

Bytes: spikes are 0 or 1, and weights divided by what they have in common fit a signed byte (even ones in [-256, 254]
always do), so that oneDNN's convolutions and matrix products of bytes apply. They add up in 32 bits. A CPU without
VNNI first adds two products in 16 bits, which is where such kernels are known to saturate; two products of 0 or 1 and
a signed byte cannot. The float32 that they return is exact where `exact_dtype` proves it. Measured on one core with
VNNI against float32, channels last too: 3 to 6 times as fast in convolutions, 3 in depthwise ones, 3 to 12 in dense
layers. Channels last alone makes float32 up to 1.7 times as fast as channels first.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from neuroprune.graph.nodes import Shape
from neuroprune.quantize.bounds import effective_bias, sum_range, value_range
from neuroprune.quantize.fixedpoint import STATE_SHIFT
from neuroprune.quantize.types import Connection, IntConv, IntSynapse, QuantInput, QuantLayer

FLOAT32_INTEGERS = 2**24
"""Up to here float32 holds every integer."""

Kernel = Callable[[Tensor], Tensor]
"""Rows of integers, uint8 or int8, to rows of sums, float32 or float64."""

ABSENT = (AttributeError, NotImplementedError, RuntimeError, TypeError)
"""What torch raises for operations that it lacks, or has with other arguments: they are no promised interface."""

Bias = npt.NDArray[np.int64] | None
"""For each output channel in units of v, if it is to be added to every sum."""


def exact_dtype(layer: QuantLayer, spec: QuantInput) -> torch.dtype:
    """float32 where it provably holds every partial sum of `layer`'s synapses and bias, else float64."""
    bias = effective_bias(layer.neuron)
    least, most = bias.clip(max=0), bias.clip(min=0)
    for connection in layer.connections:
        low, high = sum_range(connection.synapse, value_range(connection, spec))
        least, most = least + (low << STATE_SHIFT), most + (high << STATE_SHIFT)
    reach = max(int(-least.min()), int(most.max()))
    weights = [
        connection.synapse.weight.reshape(-1).astype(np.int64) << STATE_SHIFT for connection in layer.connections
    ]
    common = int(np.gcd.reduce(np.concatenate([*weights, bias])))
    power_of_two = common & -common  # which the exponents of floats take
    return torch.float32 if reach <= FLOAT32_INTEGERS * power_of_two else torch.float64


@contextmanager
def direct_convolutions() -> Iterator[None]:
    """Keep to convolutions that only multiply and add what the layer holds.

    NNPACK and cuDNN choose Winograd and Fourier transforms for some shapes; their intermediates are not integers. All
    kernels must run within; the setting is one for all threads.
    """
    with torch.backends.nnpack.flags(enabled=False), torch.backends.cudnn.flags(enabled=False):
        yield


def make_kernel(
    connection: Connection, spec: QuantInput, dtype: torch.dtype, device: torch.device, bias: Bias = None
) -> Kernel:
    """The fastest kernel for a connection's synapses; delays and wraps are not its business.

    dtype: of the results, by `exact_dtype` of the layer.
    """
    synapse, in_shape = connection.synapse, connection.in_shape
    in_floats = _float_kernel(synapse, in_shape, dtype, device, bias)
    if value_range(connection, spec) != (0, 1) or dtype != torch.float32 or device.type != "cpu":
        return in_floats
    in_bytes = _byte_kernel(synapse, in_shape, bias)
    return _Tried(in_bytes, in_floats) if in_bytes is not None else in_floats


def _float_kernel(synapse: IntSynapse, in_shape: Shape, dtype: torch.dtype, device: torch.device, bias: Bias) -> Kernel:
    weight = torch.tensor(synapse.weight, dtype=dtype, device=device) * (1 << STATE_SHIFT)
    offset = None if bias is None else torch.tensor(bias, dtype=dtype, device=device)
    if not isinstance(synapse, IntConv):
        weight = _columns(weight, in_shape)
        return lambda rows: F.linear(rows.flatten(1).to(dtype), weight, offset)
    # Where a group has one channel, oneDNN reads beyond maps that lie channels last in some shapes.
    layout = torch.contiguous_format if weight.shape[1] == 1 else torch.channels_last
    weight = weight.contiguous(memory_format=layout)

    def convolve(rows: Tensor) -> Tensor:
        maps = _padded(rows, synapse).to(dtype).permute(0, 3, 1, 2)
        if layout is torch.contiguous_format:
            maps = maps.clone(memory_format=layout)
        sums = F.conv2d(maps, weight, offset, synapse.stride, 0, synapse.dilation, synapse.groups)
        return sums.permute(0, 2, 3, 1).contiguous()

    return convolve


def _byte_kernel(synapse: IntSynapse, in_shape: Shape, bias: Bias) -> Kernel | None:
    """For spikes, to float32; None where the weights do not fit bytes, or oneDNN has no kernel to rely on.

    With one channel in each group, and more outputs of it or just one group, oneDNN's sums are wrong for some shapes
    (its issue 5080).
    """
    common = max(int(np.gcd.reduce(synapse.weight.reshape(-1))), 1)
    divided = synapse.weight // common
    if divided.min() < -128 or divided.max() > 127:
        return None
    if isinstance(synapse, IntConv) and divided.shape[1] == 1 and not 1 < synapse.groups == len(divided):
        return None
    weight = torch.tensor(divided, dtype=torch.int8)
    scale = torch.full((len(weight),), float(common << STATE_SHIFT))
    offset = None if bias is None else torch.tensor(bias, dtype=torch.float32)
    try:
        if isinstance(synapse, IntConv):
            return _byte_convolution(synapse, weight, scale, offset)
        return _byte_product(_columns(weight, in_shape), scale, offset)
    except ABSENT:
        return None


def _byte_convolution(synapse: IntConv, weight: Tensor, scale: Tensor, offset: Tensor | None) -> Kernel:
    geometry = (synapse.stride, (0, 0), synapse.dilation, synapse.groups)
    packed = torch.ops.onednn.qconv_prepack(weight, scale, 1.0, 0, *geometry, None)
    zero = torch.zeros(len(scale), dtype=torch.int64)

    def convolve(rows: Tensor) -> Tensor:
        maps = _padded(rows, synapse).permute(0, 3, 1, 2)
        sums: Tensor = torch.ops.onednn.qconv2d_pointwise(
            maps, 1.0, 0, packed, scale, zero, offset, *geometry, 1.0, 0, torch.float32, "none", [], ""
        )
        return sums.permute(0, 2, 3, 1).contiguous()

    return convolve


def _byte_product(weight: Tensor, scale: Tensor, offset: Tensor | None) -> Kernel:
    packed = torch.ops.onednn.qlinear_prepack(weight, None)
    zero = torch.zeros(len(scale), dtype=torch.int64)

    def multiply(rows: Tensor) -> Tensor:
        sums: Tensor = torch.ops.onednn.qlinear_pointwise(
            rows.flatten(1), 1.0, 0, packed, scale, zero, offset, 1.0, 0, torch.float32, "none", [], ""
        )
        return sums

    return multiply


class _Tried:
    """A kernel of bytes; the first time that it runs as many rows, the two with the most spikes are computed in floats.

    oneDNN chooses its code by the shapes; what it gets wrong in one of them, or another release or CPU does, ends here.
    """

    def __init__(self, in_bytes: Kernel, in_floats: Kernel) -> None:
        self.in_bytes, self.in_floats = in_bytes, in_floats
        self.trusted: dict[int, bool] = {}

    def __call__(self, rows: Tensor) -> Tensor:
        trusted = self.trusted.get(len(rows))
        if trusted is None:
            return self._try(rows)
        return self.in_bytes(rows) if trusted else self.in_floats(rows)

    def _try(self, rows: Tensor) -> Tensor:
        if not rows.any():  # which any kernel gets right
            return self.in_floats(rows)
        busiest = rows.flatten(1).sum(1, dtype=torch.int32).topk(min(2, len(rows))).indices
        try:
            sums = self.in_bytes(rows)
            self.trusted[len(rows)] = torch.equal(sums[busiest], self.in_floats(rows[busiest]))
        except ABSENT:
            self.trusted[len(rows)] = False
        return sums if self.trusted[len(rows)] else self.in_floats(rows)


def _padded(rows: Tensor, synapse: IntConv) -> Tensor:
    """With its border of zeros, for a few per cent of the time.

    oneDNN's own padding crashes or gives wrong sums in a few shapes (its issues 5942 and 5080, in releases that torch
    has): in 5 of 3000 random ones. Without it none of 24000 did, apart from the kind that `_byte_kernel` leaves out,
    with and without AVX-512 and VNNI.
    """
    vertical, horizontal = synapse.padding
    return F.pad(rows, (0, 0, horizontal, horizontal, vertical, vertical)) if vertical or horizontal else rows


def _columns(weight: Tensor, in_shape: Shape) -> Tensor:
    """The weights of a dense layer for maps that lie channels last."""
    if len(in_shape) == 1:
        return weight
    return weight.view(-1, *in_shape).permute(0, 2, 3, 1).flatten(1)
