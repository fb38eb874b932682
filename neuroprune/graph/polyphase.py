"""Windows over maps that are held in phases: of every s-th row and column, each phase is a map of its own.

What an upsampling or a transposed convolution gives is no convolution of what it reads, but each of its phases is, and
so is each phase of whatever convolutions make of it. So such layers need no synapses that chips do not have: the
polyphase decomposition (Vaidyanathan, Multirate Systems and Filter Banks, 1993, chapter 4).

Along one axis, phase a of a map held at rate s has its elements s n + a.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd

import numpy as np

from neuroprune.arrays import FloatArray
from neuroprune.graph.nodes import Conv, ConvTranspose, Pair


@dataclass(frozen=True)
class Window:
    """A window along one axis, of `taps` that lie `dilation` apart.

    Output m reads input m stride + j dilation - padding through tap j. Of a `transposed` one, output m is read by input
    i through tap j where m = i stride + j dilation - padding.
    """

    taps: int
    stride: int
    padding: int
    dilation: int
    transposed: bool

    def rate(self, rate: int, extent: int) -> int:
        """The lowest rate at which phases of the output, `extent` long, are convolutions of those of the input."""
        lowest = rate * self.stride if self.transposed else rate // gcd(rate, self.stride)
        return min(lowest, extent)

    def offset(self, tap: int, read: int, rate: int, phase: int) -> int | None:
        """The place in phase `read` of the input, held at `rate`, that the first of phase `phase` reads through `tap`.

        None where it reads another phase.
        """
        if self.transposed:
            place, apart = phase + self.padding - tap * self.dilation - self.stride * read, self.stride * rate
        else:
            place, apart = phase * self.stride + tap * self.dilation - self.padding - read, rate
        return None if place % apart else place // apart

    def step(self, rate: int, given: int, count: int) -> int:
        """By how much the place moves from one of the `count` elements of a phase of the output to the next."""
        return 1 if self.transposed or count == 1 else self.stride * given // rate


def windows_of(conv: Conv | ConvTranspose) -> tuple[Window, Window]:
    """Those down and across."""
    down, across = (
        Window(*sizes, isinstance(conv, ConvTranspose))
        for sizes in zip(conv.weight.shape[2:], conv.stride, conv.padding, conv.dilation, strict=True)
    )
    return down, across


@dataclass(frozen=True, eq=False)
class PhaseKernel:
    """A convolution without dilation from one phase to another; weight [outputs, inputs / groups, height, width]."""

    weight: FloatArray
    stride: Pair
    padding: Pair


def phase_kernel(
    conv: Conv | ConvTranspose, reads: Sequence[Pair], rate: Pair, phase: Pair, given: Pair, extents: Pair, counts: Pair
) -> PhaseKernel | None:
    """How phase `phase` of the output, held at rate `given`, reads the equal phases `reads` of an input at `rate`.

    extents: of those phases. counts: height and width of the phase of the output. None where it reads nothing of them.
    """
    windows = windows_of(conv)
    taps = [
        (tap, (down, across))
        for tap in np.ndindex(*conv.weight.shape[2:])
        for read in reads
        if (down := windows[0].offset(tap[0], read[0], rate[0], phase[0])) is not None
        and (across := windows[1].offset(tap[1], read[1], rate[1], phase[1])) is not None
    ]
    if not taps:
        return None
    steps = tuple(window.step(*each) for window, *each in zip(windows, rate, given, counts, strict=True))
    placed = []
    for axis in (0, 1):
        offsets = [offset[axis] for _, offset in taps]
        placed.append(_padded(min(offsets), max(offsets), extents[axis], counts[axis], steps[axis]))
    (top, height), (left, width) = placed
    weight = np.zeros((*conv.weight.shape[:2], height, width))
    for tap, (down, across) in taps:
        weight[:, :, top + down, left + across] += conv.weight[:, :, tap[0], tap[1]]
    return PhaseKernel(weight, (steps[0], steps[1]), (top, left))


def silent_kernel(conv: Conv | ConvTranspose, extents: Pair, counts: Pair) -> PhaseKernel:
    """The kernel of a phase of the output that reads nothing: a convolution of zeros."""
    (top, height), (left, width) = (_padded(0, 0, *sizes, 1) for sizes in zip(extents, counts, strict=True))
    return PhaseKernel(np.zeros((*conv.weight.shape[:2], height, width)), (1, 1), (top, left))


def _padded(first: int, last: int, extent: int, count: int, step: int) -> Pair:
    """The padding on either side, and the length with zeros at its ends, of a kernel whose taps lie at the places from
    `first` to `last`, so that exactly `count` windows fit into `extent`."""
    padding = max(0, -first)
    missing = step * (count - 1) + last + 1 - extent - padding
    padding += max(0, missing)
    longest = extent + 2 * padding - step * (count - 1)
    return padding, max(last + padding + 1, longest - step + 1)
