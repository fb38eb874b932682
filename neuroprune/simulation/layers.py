"""The layers of a program as tensor operations, run one after the other over all steps of a few samples."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from neuroprune.fixed_point import REGISTER_BITS, STATE_SHIFT, signed_range
from neuroprune.graph.nodes import INPUT
from neuroprune.program.bounds import LayerBound, layer_bounds, sum_range, value_range
from neuroprune.program.types import IntConnection, IntConv, IntInput, IntLayer, IntProgram
from neuroprune.simulation.kernels import exact_dtype, make_kernel
from neuroprune.simulation.map_layout import Kernel
from neuroprune.simulation.neuron import Feedback, Firing, fire


@dataclass(frozen=True, eq=False)
class _Connection:
    """A connection with the kernel that computes it.

    may_wrap: whether a sum can leave 24 bits, where a convolution wraps.
    last_reader: nobody else reads the source's spikes afterwards.
    """

    connection: IntConnection
    kernel: Kernel
    may_wrap: bool
    last_reader: bool

    def deliver(self, spikes: Tensor, steps: int) -> tuple[Tensor, int]:
        """What arrives, [steps or 1, samples, *shape], and how many sums wrapped in all steps."""
        late = min(self.connection.delay, steps)
        if late:
            spikes = spikes.expand(steps, *spikes.shape[1:])
        currents = self.kernel(spikes[: len(spikes) - late].flatten(0, 1))
        wraps = 0
        if self.may_wrap:
            currents, wraps = _wrap_sums(currents)
        currents = currents.view(len(spikes) - late, spikes.shape[1], *currents.shape[1:])
        if late:
            currents = torch.cat([currents.new_zeros(late, *currents.shape[1:]), currents])
        return currents, wraps * (steps if len(spikes) == 1 else 1)


def _wrap_sums(currents: Tensor) -> tuple[Tensor, int]:
    """lava/proc/conv/models.py, PyConvModelFixed.clamp_precision, which is no clamp: sums modulo 2**24."""
    sums, half = currents.double() / 64, 1 << REGISTER_BITS - 1
    wrapped = torch.remainder(sums + half, 2 * half) - half
    return wrapped * 64, int((wrapped != sums).sum())


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer as tensors.

    connections: from other layers. feedback: of those from the layer itself.
    bias: in units of v, for each channel. adds_bias: the first connection's kernel does not add it.
    """

    layer: IntLayer
    connections: tuple[_Connection, ...]
    feedback: Feedback | None
    bias: Tensor
    adds_bias: bool
    bound: LayerBound

    def drive(self, outputs: dict[str, Tensor], steps: int) -> tuple[Tensor, int]:
        """64 * current + bias, [steps or 1, samples, *shape], and how many sums wrapped in all steps."""
        parts, wraps = [], 0
        for each in self.connections:
            source = each.connection.source
            currents, wrapped = each.deliver(outputs.pop(source) if each.last_reader else outputs[source], steps)
            parts.append(currents)
            wraps += wrapped
        drive = parts[0] + self.bias if self.adds_bias else parts[0]
        for currents in parts[1:]:
            drive = drive + currents
        return drive, wraps


def compile_layers(program: IntProgram, device: torch.device) -> list[Layer]:
    """In the order of the program."""
    last_reader = {
        connection.source: (layer.name, number)
        for layer in program.layers
        for number, connection in enumerate(layer.forward)
    }
    bounds = layer_bounds(program)
    compiled = []
    for layer in program.layers:
        dtype, bias = exact_dtype(layer, program.input), layer.bias.values
        may_wrap = [_may_wrap(connection, program.input) for connection in layer.forward]
        adds_bias = may_wrap[0] or layer.forward[0].delay > 0
        connections = tuple(
            _Connection(
                connection,
                make_kernel(connection, program.input, dtype, device, None if number or adds_bias else bias),
                may_wrap[number],
                last_reader[connection.source] == (layer.name, number),
            )
            for number, connection in enumerate(layer.forward)
        )
        feedback = _feedback(layer, program.input, dtype, device)
        tensor = torch.tensor(bias, dtype=dtype, device=device)
        compiled.append(Layer(layer, connections, feedback, tensor, adds_bias, bounds[layer.name]))
    return compiled


def _feedback(layer: IntLayer, spec: IntInput, dtype: torch.dtype, device: torch.device) -> Feedback | None:
    if not layer.recurrent:
        return None
    kernels = [(make_kernel(each, spec, dtype, device), _may_wrap(each, spec)) for each in layer.recurrent]

    def deliver(spikes: Tensor) -> tuple[Tensor, int]:
        parts, wraps = [], 0
        for kernel, may_wrap in kernels:
            currents, wrapped = _wrap_sums(kernel(spikes)) if may_wrap else (kernel(spikes), 0)
            parts.append(currents.view(spikes.shape))
            wraps += wrapped
        return torch.stack(parts).sum(0), wraps

    ranges = [sum_range(each.synapse, value_range(each, spec)) for each in layer.recurrent]
    peak = sum(max(int(-low.min()), int(high.max())) for low, high in ranges)
    return Feedback(deliver, peak << STATE_SHIFT)


def _may_wrap(connection: IntConnection, spec: IntInput) -> bool:
    """Whether a sum can leave 24 bits, where a convolution wraps."""
    least, most = sum_range(connection.synapse, value_range(connection, spec))
    low, high = signed_range(REGISTER_BITS)
    return isinstance(connection.synapse, IntConv) and bool(least.min() < low or most.max() > high)


@torch.inference_mode()
def run_layers(layers: list[Layer], frames: Tensor, steps: int, every_step: bool = False) -> Iterator[Firing]:
    """One batch [steps or 1, samples, ...] through all layers, in their order; later layers read a firing's spikes."""
    outputs = {INPUT: frames}
    for each in layers:
        drive, wrapped = each.drive(outputs, steps)
        firing = fire(drive, steps, each.layer.neuron, each.bias, each.bound, every_step, each.feedback)
        outputs[each.layer.name] = firing.spikes.view(torch.uint8)
        yield replace(firing, current_wraps=firing.current_wraps + wrapped)
