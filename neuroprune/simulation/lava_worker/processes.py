"""What Lava has no process model of, or only a slow one."""

# mypy: disable-error-code="misc, untyped-decorator, no-any-return"

from collections import deque
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
from lava.magma.core.decorator import implements, requires
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.conv.models import PyConvModelFixed
from lava.proc.lif.models import PyLifResetModelBitAcc

Integers = npt.NDArray[Any]

FLOAT32_INTEGERS = 2**24
"""float32 holds all integers up to here."""


class DelayLine(AbstractProcess):
    """Hands spikes on `wait` chip steps later, save those that belong to a step after the end of their sample.

    delay: steps of the sample by which spikes arrive later; the rest of `wait` balances paths of different length.
    first: chip step, counted from 1, at which the source computes the first of the `steps` steps of the first sample.
    """

    def __init__(self, *, shape: tuple[int, ...], wait: int, delay: int, first: int, steps: int) -> None:
        super().__init__(shape=shape, wait=wait, delay=delay, first=first, steps=steps)
        self.s_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)


@implements(proc=DelayLine, protocol=LoihiProtocol)
@requires(CPU)
class PyDelayLine(PyLoihiProcessModel):
    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.line = deque([np.zeros(proc_params["shape"], np.int32)] * proc_params["wait"])

    def run_spk(self) -> None:
        spikes = self.s_in.recv()
        step = (self.time_step - self.proc_params["first"]) % self.proc_params["steps"]
        if step + self.proc_params["delay"] >= self.proc_params["steps"]:
            spikes = np.zeros_like(spikes)
        self.line.append(spikes)
        self.s_out.send(self.line.popleft())


class PySubtractingLIFReset(PyLifResetModelBitAcc):
    """Neurons that keep what exceeds the threshold: Lava's own model except for what a spike does to v."""

    def reset_voltage(self, spike_vector: npt.NDArray[np.bool_]) -> None:
        self.v[spike_vector] -= self.effective_vth


class PyNarrowLIFReset(PyLifResetModelBitAcc):
    """Lava's own model but for the ends of its registers: `state_bits` of the process, fewer than Lava's."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.max_uv_val = 2 ** (proc_params["state_bits"] - 1)

    def subthr_dynamics(self, activation_in: Integers) -> None:
        """Lava wraps u once; what arrives is wrapped before, so that this is enough."""
        half = self.max_uv_val >> self.act_shift
        super().subthr_dynamics(half - (half - activation_in) % (2 * half))


class PyNarrowSubtractingLIFReset(PyNarrowLIFReset, PySubtractingLIFReset):
    """The same with a reset that subtracts."""


class PyMatrixConv(PyConvModelFixed):
    """The integers of Lava's convolution as matrix products, one for each place in the kernel.

    Lava's own is a scipy.signal.convolve2d for each pair of channels. Floating point holds these sums exactly: no
    partial sum exceeds the largest sum of the magnitudes of an output's weights, times the largest value that arrives.
    """

    taps: list[tuple[int, int, npt.NDArray[np.float32]]] | None = None
    largest_sum: int
    a_buf: Integers

    def run_spk(self) -> None:
        self.a_out.send(self.a_buf)
        spikes = self.s_in.recv()
        if not self.num_message_bits.item():
            spikes = spikes.astype(bool)
        self.a_buf = self.clamp_precision(self.convolve(spikes))

    def convolve(self, spikes: Integers) -> npt.NDArray[np.int64]:
        """[x, y, channel] of what arrives -> [x, y, channel] of the sums."""
        peak = int(np.abs(spikes.astype(np.int64)).max())
        if peak == 0:
            return np.zeros(self.a_out.shape, np.int64)
        if self.taps is None:
            self.taps = self.split_kernel()
            self.largest_sum = int(np.abs(self.weight.astype(np.int64)).sum(axis=(1, 2, 3)).max())
        dtype = np.float32 if self.largest_sum * peak <= FLOAT32_INTEGERS else np.float64
        groups, (pad_x, pad_y) = int(self.groups.item()), self.padding.tolist()
        padded = np.pad(spikes.astype(dtype), ((pad_x, pad_x), (pad_y, pad_y), (0, 0)))
        padded = padded.reshape(*padded.shape[:2], groups, -1)
        (size_x, size_y, _), (step_x, step_y) = self.a_out.shape, self.stride.tolist()
        total: Any = 0
        for x, y, weight in self.taps:
            seen = padded[x::step_x, y::step_y][:size_x, :size_y]  # [x, y, group, channel]
            columns = seen.transpose(2, 0, 1, 3).reshape(groups, size_x * size_y, -1)
            total = total + columns @ weight.astype(dtype, copy=False)
        return total.transpose(1, 0, 2).reshape(self.a_out.shape).astype(np.int64)

    def split_kernel(self) -> list[tuple[int, int, npt.NDArray[np.float32]]]:
        """Distances in x and y from an output's first input, and [group, in channel, out channel] of the weights there.

        Lava's weights are [out channel, x, y, in channel / groups] of a true convolution: kernels are flipped.
        """
        outputs, size_x, size_y, inputs = self.weight.shape
        groups, (gap_x, gap_y) = int(self.groups.item()), self.dilation.tolist()
        weight = self.weight[:, ::-1, ::-1].reshape(groups, outputs // groups, size_x, size_y, inputs)
        weight = weight.transpose(2, 3, 0, 4, 1).astype(np.float32)
        return [
            (x * gap_x, y * gap_y, np.ascontiguousarray(weight[x, y])) for x, y in product(range(size_x), range(size_y))
        ]
