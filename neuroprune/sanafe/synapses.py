"""Every synapse of a connection by itself, as SANA-FE keeps them."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from neuroprune.chips.types import volume
from neuroprune.program.types import IntConnection, IntConv, IntLayer

Numbers = npt.NDArray[np.int64]


class Synapses(NamedTuple):
    """int64 [n] each: source and target by their number in C order; and the weight, a whole number or 64ths of one."""

    source: Numbers
    target: Numbers
    weight: Numbers | npt.NDArray[np.float64]

    def of(self, chosen: npt.NDArray[np.bool_]) -> "Synapses":
        """Those that are chosen: bool [n]."""
        return Synapses(self.source[chosen], self.target[chosen], self.weight[chosen])


def every_synapse(connection: IntConnection, layer: IntLayer) -> Synapses:
    """All that `connection` has into the neurons of `layer`; the padding of a convolution holds none."""
    synapse = connection.synapse
    if isinstance(synapse, IntConv):
        return _of_conv(synapse, volume(connection.in_shape), volume(layer.shape))
    target, source = (each.ravel() for each in np.indices(synapse.weight.shape, dtype=np.int64))
    return Synapses(source, target, synapse.weight.ravel().astype(np.int64))


def _of_conv(conv: IntConv, reads: tuple[int, int, int], fills: tuple[int, int, int]) -> Synapses:
    """Tap by tap: the outputs that a tap joins to a place within the source, in all channels at once."""
    out_channels, in_group, height, width = conv.weight.shape
    out = np.arange(out_channels)[:, None, None, None]
    read = np.arange(in_group)[:, None, None] + out // (out_channels // conv.groups) * in_group
    parts = []
    for i, j in np.ndindex(height, width):
        rows, source_rows = _joined(fills[1], reads[1], conv.stride[0], i * conv.dilation[0] - conv.padding[0])
        columns, source_columns = _joined(fills[2], reads[2], conv.stride[1], j * conv.dilation[1] - conv.padding[1])
        source = (read * reads[1] + source_rows[:, None]) * reads[2] + source_columns
        target = (out * fills[1] + rows[:, None]) * fills[2] + columns
        weight = conv.weight[:, :, i, j].astype(np.int64)[:, :, None, None]
        parts.append([each.ravel() for each in np.broadcast_arrays(source, target, weight)])
    return Synapses(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def _joined(outputs: int, inputs: int, stride: int, offset: int) -> tuple[Numbers, Numbers]:
    """The outputs along one axis that a tap joins to a source, and these sources."""
    out = np.arange(outputs, dtype=np.int64)
    source = out * stride + offset
    inside = (source >= 0) & (source < inputs)
    return out[inside], source[inside]
