"""The exact engine: the chip's integers for whole data sets, in batches, on a CPU or a GPU.

The network is feed-forward, so it is run layer by layer over all time steps at once: synapses as one convolution of
[steps * samples], then the neurons step by step. A layer that reads the input does its synapses once a sample, since
the frame is the same at every step.

Synapses are floating-point operations on integers. A sum is exact, in any order, while no partial sum leaves the
integers that the format holds; `exact_dtype` proves that from the weights.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from neuroprune.progress import Progress, silent
from neuroprune.quantize.types import Connection, IntConv, IntNeuron, IntSynapse, QuantGraph, QuantLayer
from neuroprune.simulate.frames import check_frames, count_events
from neuroprune.simulate.neuron import FLOAT32_INTEGERS, HALF, Firing, fire
from neuroprune.simulate.types import LayerRecord, LayerTrace, Record, Trace


def exact_dtype(layer: QuantLayer, max_input: int) -> torch.dtype:
    """float32 where it provably holds every partial sum of `layer`'s synapses, else float64.

    max_input: largest absolute value of the input: 1 for spikes, 2**(bits - 1) where it is graded.
    """
    reach, unit = _reach(layer, max_input)
    return torch.float32 if reach <= FLOAT32_INTEGERS * unit else torch.float64


@contextmanager
def direct_convolutions() -> Iterator[None]:
    """Keep to convolutions that only multiply and add what the layer holds.

    NNPACK and cuDNN choose Winograd and Fourier transforms for some shapes; their intermediates are not integers.
    """
    with torch.backends.nnpack.flags(enabled=False), torch.backends.cudnn.flags(enabled=False):
        yield


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
    batch: samples run at once; memory grows with it, not with the data set.
    device: torch device. saturated_inputs: input values that the quantisation of `frames` cut, kept in the trace.
    Raises InputError for frames of another kind.
    """
    check_frames(graph, frames)
    layers = _compile(graph, device)
    spikes = [np.zeros(layer.shape, np.int64) for layer in graph.layers]
    wraps, saturations = [0] * len(layers), [0] * len(layers)
    outputs = []
    for first in range(0, len(frames), batch):
        for index, firing in enumerate(
            _run(layers, _on_device(graph, frames[first : first + batch], device), graph.steps)
        ):
            spikes[index] += firing.spikes.sum(dim=(0, 1)).long().cpu().numpy()
            wraps[index] += firing.current_wraps
            saturations[index] += firing.voltage_saturations
        last = firing.voltages if graph.readout.of == "voltage" else firing.spikes.sum(dim=0)
        outputs.append(last.flatten(1).long().cpu().numpy())
        progress("simulate", min(first + batch, len(frames)), len(frames))
    return Trace(
        samples=len(frames),
        steps=graph.steps,
        outputs=np.concatenate(outputs),
        input_events=count_events(graph, frames),
        saturated_inputs=saturated_inputs,
        layers=tuple(
            LayerTrace(layer.name, fired, wrapped, saturated)
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
    firings = _run(_compile(graph, device), _on_device(graph, frames, device), graph.steps, every_step)
    return Record(
        tuple(
            LayerRecord(
                layer.name,
                firing.spikes.transpose(0, 1).bool().cpu().numpy(),
                _integers(firing.voltages),
                *(_integers(state.transpose(0, 1)) for state in firing.states or ()),
            )
            for layer, firing in zip(graph.layers, firings, strict=True)
        )
    )


def _integers(values: Tensor) -> npt.NDArray[np.int32]:
    integers: npt.NDArray[np.int32] = values.to(torch.int32).cpu().numpy()
    return integers


@dataclass(frozen=True, eq=False)
class _Connection:
    """Synapses as a tensor in units of v, in a format that holds all sums of the layer.

    may_wrap: whether a sum can leave 24 bits, where a convolution wraps.
    last_reader: nobody else reads the source's spikes afterwards.
    """

    connection: Connection
    weight: Tensor
    may_wrap: bool
    last_reader: bool

    def deliver(self, spikes: Tensor) -> tuple[Tensor, int]:
        """spikes [samples, *in_shape] -> 64 * current [samples, *shape], and how many sums wrapped."""
        spikes = spikes.to(self.weight.dtype)
        synapse = self.connection.synapse
        if not isinstance(synapse, IntConv):
            return F.linear(spikes.flatten(1), self.weight), 0
        with direct_convolutions():
            sums = F.conv2d(
                spikes, self.weight, None, synapse.stride, synapse.padding, synapse.dilation, synapse.groups
            )
        return _wrap_sums(sums) if self.may_wrap else (sums, 0)


def _wrap_sums(currents: Tensor) -> tuple[Tensor, int]:
    """lava/proc/conv/models.py, PyConvModelFixed.clamp_precision, which is no clamp: sums modulo 2**24."""
    sums = currents.double() / 64
    wrapped = torch.remainder(sums + HALF, 2 * HALF) - HALF
    return wrapped * 64, int((wrapped != sums).sum())


@dataclass(frozen=True, eq=False)
class _Layer:
    """A layer as tensors; `bias` in a shape that broadcasts over [samples, *shape]."""

    layer: QuantLayer
    connections: tuple[_Connection, ...]
    bias: Tensor

    def drive(self, outputs: dict[str, Tensor], steps: int) -> tuple[Tensor, int]:
        """64 * current + bias, [steps or 1, samples, *shape], and how many sums wrapped in all steps."""
        drive, wraps = self.bias, 0
        for each in self.connections:
            source = each.connection.source
            spikes = outputs.pop(source) if each.last_reader else outputs[source]
            current, wrapped = each.deliver(spikes.flatten(0, 1))
            current = current.view(len(spikes), -1, *self.layer.shape)
            delay = each.connection.delay
            if delay:
                current = current.expand(steps, *current.shape[1:])
                current = torch.cat([torch.zeros_like(current[:delay]), current])[:steps]
            wraps += wrapped * (steps if len(spikes) == 1 else 1)
            drive = current + drive
        return drive, wraps


def _effective_bias(neuron: IntNeuron) -> npt.NDArray[np.int64]:
    """bias_mant * 2**bias_exp, rounded down."""
    mantissa = neuron.bias_mant.astype(np.int64)
    return mantissa << neuron.bias_exp if neuron.bias_exp >= 0 else mantissa >> -neuron.bias_exp


def _largest_sum(synapse: IntSynapse, max_input: int) -> npt.NDArray[np.int64]:
    """For each output channel the largest absolute value of any partial sum of the synapses."""
    weight = synapse.weight.astype(np.int64)
    largest: npt.NDArray[np.int64] = np.abs(weight).reshape(len(weight), -1).sum(axis=1) * max_input
    return largest


def _reach(layer: QuantLayer, max_input: int) -> tuple[int, int]:
    """Largest absolute value of any partial sum in units of v, and the unit that divides all of them."""
    bias = _effective_bias(layer.neuron)
    sums = [_largest_sum(connection.synapse, _largest_input(connection, max_input)) for connection in layer.connections]
    reach = 64 * np.sum(sums, axis=0) + np.abs(bias)
    weights = [connection.synapse.weight.reshape(-1).astype(np.int64) * 64 for connection in layer.connections]
    unit = np.gcd.reduce(np.concatenate([*weights, bias]))
    return int(reach.max()), int(unit)


def _largest_input(connection: Connection, max_input: int) -> int:
    return max_input if connection.source == "input" else 1


def _compile(graph: QuantGraph, device: str) -> list[_Layer]:
    max_input = 2 ** (graph.input.bits - 1) if graph.input.bits else 1
    last_reader = {connection.source: id(connection) for layer in graph.layers for connection in layer.connections}
    compiled = []
    for layer in graph.layers:
        dtype = exact_dtype(layer, max_input)
        connections = tuple(
            _Connection(
                connection,
                weight=torch.tensor(connection.synapse.weight, dtype=dtype, device=device) * 64,
                may_wrap=isinstance(connection.synapse, IntConv)
                and int(_largest_sum(connection.synapse, _largest_input(connection, max_input)).max()) >= HALF,
                last_reader=last_reader[connection.source] == id(connection),
            )
            for connection in layer.connections
        )
        bias = torch.tensor(_effective_bias(layer.neuron), dtype=dtype, device=device)
        compiled.append(_Layer(layer, connections, bias.reshape(-1, *(1 for _ in layer.shape[1:]))))
    return compiled


@torch.inference_mode()
def _run(layers: list[_Layer], frames: Tensor, steps: int, every_step: bool = False) -> Iterator[Firing]:
    """One batch [steps or 1, samples, ...] through all layers, in their order; later layers read a firing's spikes."""
    outputs = {"input": frames}
    for compiled in layers:
        drive, wrapped = compiled.drive(outputs, steps)
        firing = fire(drive, steps, compiled.layer.neuron, compiled.bias, every_step)
        outputs[compiled.layer.name] = firing.spikes
        yield replace(firing, current_wraps=firing.current_wraps + wrapped)


def _on_device(graph: QuantGraph, frames: npt.NDArray[np.int8], device: str) -> Tensor:
    """[steps, samples, *shape] of sequences, [1, samples, *shape] of frames that every step presents."""
    tensor = torch.tensor(frames, device=device)
    return tensor.transpose(0, 1) if graph.input.sequence else tensor.unsqueeze(0)
