"""The exact engine: the chip's integers for whole data sets, in batches, on a CPU or a GPU.

The network is feed-forward, so it is run layer by layer over all time steps at once: synapses as one operation on
[steps * samples] rows, then the neurons step by step. A layer that reads frames does its synapses once a sample, since
the frame is the same at every step. Maps lie channels last, spikes are bytes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from neuroprune.graph.nodes import Shape
from neuroprune.progress import Progress, silent
from neuroprune.quantize.bounds import LayerBound, effective_bias, layer_bounds, sum_range, value_range
from neuroprune.quantize.fixedpoint import signed_range
from neuroprune.quantize.types import Connection, IntConv, QuantGraph, QuantInput, QuantLayer
from neuroprune.simulate.frames import check_frames, count_events
from neuroprune.simulate.kernels import Kernel, exact_dtype, make_kernel
from neuroprune.simulate.neuron import HALF, Firing, fire
from neuroprune.simulate.types import LayerRecord, LayerTrace, Record, Trace

CPU_BYTES, DEVICE_BYTES = 16 * 2**20, 2**30
"""Memory for the largest layer's currents in all steps: as many samples run at once as fit.

On a CPU more of them fall out of the caches, and above 32 MiB the C library asks the system for new pages each time:
the layers of benchmarks/vgg6.yaml then take 10 to 30 % longer.
"""


def simulate(
    graph: QuantGraph,
    frames: npt.NDArray[np.int8],
    batch: int = 64,
    device: str = "cpu",
    saturated_inputs: int = 0,
    progress: Progress = silent,
) -> Trace:
    """Run a whole data set and sum up its activity.

    frames: int8 [samples, *input shape], or [samples, steps, *input shape] of sequences.
    batch: samples run at once at most; fewer where the layers are large, so that memory is bounded for any batch.
    device: torch device. saturated_inputs: input values that the quantisation of `frames` cut, kept in the trace.
    Raises InputError for frames of another kind.
    """
    check_frames(graph, frames)
    layers = _compile(graph, torch.device(device))
    spikes = [torch.zeros(_channels_last(layer.shape), dtype=torch.int64, device=device) for layer in graph.layers]
    wraps, saturations = [0] * len(layers), [0] * len(layers)
    outputs = []
    batch = min(batch, _samples_at_once(graph, device))
    for first in range(0, len(frames), batch):
        for index, firing in enumerate(
            _run(layers, _on_device(graph, frames[first : first + batch], device), graph.steps)
        ):
            spikes[index] += _count(firing.spikes)
            wraps[index] += firing.current_wraps
            saturations[index] += firing.voltage_saturations
        last = firing.voltages if graph.readout.of == "voltage" else firing.spikes.sum(dim=0)
        outputs.append(_array(last.long(), graph.layers[-1].shape).reshape(len(last), -1))
        progress("simulate", min(first + batch, len(frames)), len(frames))
    return Trace(
        samples=len(frames),
        steps=graph.steps,
        outputs=np.concatenate(outputs),
        input_events=count_events(graph, frames),
        saturated_inputs=saturated_inputs,
        layers=tuple(
            LayerTrace(layer.name, _array(fired, layer.shape), wrapped, saturated)
            for layer, fired, wrapped, saturated in zip(graph.layers, spikes, wraps, saturations, strict=True)
        ),
    )


def record(graph: QuantGraph, frames: npt.NDArray[np.int8], device: str = "cpu", every_step: bool = False) -> Record:
    """Every spike and the last voltages of a few samples, all at once.

    frames: int8 [samples, *input shape], or [samples, steps, *input shape] of sequences.
    every_step: keep u and v of each step, too.
    Raises InputError for frames of another kind.
    """
    check_frames(graph, frames)
    firings = _run(_compile(graph, torch.device(device)), _on_device(graph, frames, device), graph.steps, every_step)
    return Record(
        tuple(
            LayerRecord(
                layer.name,
                _array(firing.spikes.transpose(0, 1), layer.shape),
                _array(firing.voltages.int(), layer.shape),
                *(_array(state.transpose(0, 1).int(), layer.shape) for state in firing.states or ()),
            )
            for layer, firing in zip(graph.layers, firings, strict=True)
        )
    )


@dataclass(frozen=True, eq=False)
class _Connection:
    """A connection with the kernel that computes it.

    may_wrap: whether a sum can leave 24 bits, where a convolution wraps.
    last_reader: nobody else reads the source's spikes afterwards.
    """

    connection: Connection
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
    sums = currents.double() / 64
    wrapped = torch.remainder(sums + HALF, 2 * HALF) - HALF
    return wrapped * 64, int((wrapped != sums).sum())


@dataclass(frozen=True, eq=False)
class _Layer:
    """A layer as tensors.

    bias: in units of v, for each channel. adds_bias: the first connection's kernel does not add it.
    """

    layer: QuantLayer
    connections: tuple[_Connection, ...]
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


def _compile(graph: QuantGraph, device: torch.device) -> list[_Layer]:
    last_reader = {connection.source: id(connection) for layer in graph.layers for connection in layer.connections}
    bounds = layer_bounds(graph)
    compiled = []
    for layer in graph.layers:
        dtype, bias = exact_dtype(layer, graph.input), effective_bias(layer.neuron)
        may_wrap = [_may_wrap(connection, graph.input) for connection in layer.connections]
        adds_bias = may_wrap[0] or layer.connections[0].delay > 0
        connections = tuple(
            _Connection(
                connection,
                make_kernel(connection, graph.input, dtype, device, None if number or adds_bias else bias),
                may_wrap[number],
                last_reader[connection.source] == id(connection),
            )
            for number, connection in enumerate(layer.connections)
        )
        tensor = torch.tensor(bias, dtype=dtype, device=device)
        compiled.append(_Layer(layer, connections, tensor, adds_bias, bounds[layer.name]))
    return compiled


def _may_wrap(connection: Connection, spec: QuantInput) -> bool:
    """Whether a sum can leave 24 bits, where a convolution wraps."""
    least, most = sum_range(connection.synapse, value_range(connection, spec))
    low, high = signed_range(24)
    return isinstance(connection.synapse, IntConv) and bool(least.min() < low or most.max() > high)


def _samples_at_once(graph: QuantGraph, device: str) -> int:
    largest = max(int(np.prod(layer.shape)) for layer in graph.layers)
    return max((CPU_BYTES if device == "cpu" else DEVICE_BYTES) // (4 * graph.steps * largest), 1)


@torch.inference_mode()
def _run(layers: list[_Layer], frames: Tensor, steps: int, every_step: bool = False) -> Iterator[Firing]:
    """One batch [steps or 1, samples, ...] through all layers, in their order; later layers read a firing's spikes."""
    outputs = {"input": frames}
    for each in layers:
        drive, wrapped = each.drive(outputs, steps)
        firing = fire(drive, steps, each.layer.neuron, each.bias, each.bound, every_step)
        outputs[each.layer.name] = firing.spikes.view(torch.uint8)
        yield replace(firing, current_wraps=firing.current_wraps + wrapped)


def _count(spikes: Tensor) -> Tensor:
    """Spikes of each neuron, int64; bytes are added as bytes as long as they hold the sum, 10 times as fast."""
    rows = torch.split(spikes.view(torch.uint8).flatten(0, 1), 255)
    return torch.stack([part.sum(0, dtype=torch.uint8) for part in rows]).sum(0, dtype=torch.int64)


def _on_device(graph: QuantGraph, frames: npt.NDArray[np.int8], device: str) -> Tensor:
    """[steps, samples, *shape] of sequences, [1, samples, *shape] of frames that every step presents; channels last."""
    maps = np.moveaxis(frames, -3, -1) if len(graph.input.shape) == 3 else frames
    tensor = torch.tensor(maps, dtype=torch.int8 if graph.input.bits else torch.uint8, device=device)
    return tensor.transpose(0, 1) if graph.input.sequence else tensor.unsqueeze(0)


def _channels_last(shape: Shape) -> Shape:
    return (*shape[1:], shape[0])


def _array(values: Tensor, shape: Shape) -> npt.NDArray[Any]:
    """[..., height, width, channels] -> [..., channels, height, width], the layer's `shape`."""
    maps = values.movedim(-1, -3) if len(shape) == 3 else values
    array: npt.NDArray[Any] = maps.contiguous().cpu().numpy()
    return array
