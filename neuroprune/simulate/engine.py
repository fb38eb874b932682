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
from neuroprune.quantize.types import IntConv, IntNeuron, QuantGraph, QuantLayer
from neuroprune.simulate.frames import check_frames
from neuroprune.simulate.neuron import FLOAT32_INTEGERS, HALF, Firing, fire
from neuroprune.simulate.types import LayerRecord, LayerTrace, Record, Trace


def exact_dtype(layer: QuantLayer, max_input: int) -> torch.dtype:
    """float32 where it provably holds every partial sum of `layer`'s synapses, else float64.

    max_input: largest absolute value that arrives: 1 for spikes, 2**(bits - 1) for the graded input.
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

    frames: int8 [samples, *input shape]. batch: samples run at once; memory grows with it, not with the data set.
    device: torch device. saturated_inputs: input values that the quantisation of `frames` cut, kept in the trace.
    Raises InputError for frames of another kind.
    """
    check_frames(graph, frames)
    layers = _compile(graph, device)
    spikes = [np.zeros(layer.shape, np.int64) for layer in graph.layers]
    wraps, saturations = [0] * len(layers), [0] * len(layers)
    counts = []
    for first in range(0, len(frames), batch):
        for index, firing in enumerate(_run(layers, frames[first : first + batch], graph.steps, device)):
            spikes[index] += firing.spikes.sum(dim=(0, 1)).long().cpu().numpy()
            wraps[index] += firing.current_wraps
            saturations[index] += firing.voltage_saturations
        counts.append(firing.spikes.sum(dim=0).flatten(1).long().cpu().numpy())
        progress("simulate", min(first + batch, len(frames)), len(frames))
    return Trace(
        samples=len(frames),
        steps=graph.steps,
        counts=np.concatenate(counts),
        input_events=np.count_nonzero(frames, axis=0).astype(np.int64) * graph.steps,
        saturated_inputs=saturated_inputs,
        layers=tuple(
            LayerTrace(layer.name, fired, wrapped, saturated)
            for layer, fired, wrapped, saturated in zip(graph.layers, spikes, wraps, saturations, strict=True)
        ),
    )


def record(graph: QuantGraph, frames: npt.NDArray[np.int8], device: str = "cpu") -> Record:
    """Every spike and the last voltages of a few samples, all at once.

    frames: int8 [samples, *input shape]. Raises InputError for frames of another kind.
    """
    check_frames(graph, frames)
    firings = _run(_compile(graph, device), frames, graph.steps, device)
    return Record(
        tuple(
            LayerRecord(
                layer.name,
                firing.spikes.transpose(0, 1).bool().cpu().numpy(),
                firing.voltages.to(torch.int32).cpu().numpy(),
            )
            for layer, firing in zip(graph.layers, firings, strict=True)
        )
    )


@dataclass(frozen=True, eq=False)
class _Layer:
    """A layer as tensors: weight and bias in units of v, in a format that holds all sums.

    may_wrap: whether a sum can leave 24 bits, where a convolution wraps.
    last_reader: nobody else reads the source's spikes afterwards.
    """

    layer: QuantLayer
    weight: Tensor
    bias: Tensor
    may_wrap: bool
    last_reader: bool

    @property
    def bias_map(self) -> Tensor:
        """The bias in a shape that broadcasts over [samples, *shape]."""
        return self.bias.reshape(-1, *(1 for _ in self.layer.shape[1:]))

    def drive(self, spikes: Tensor) -> tuple[Tensor, int]:
        """spikes [samples, *in_shape] -> 64 * current + bias [samples, *shape], and how many sums wrapped."""
        spikes = spikes.to(self.weight.dtype)
        synapse = self.layer.synapse
        if not isinstance(synapse, IntConv):
            return F.linear(spikes.flatten(1), self.weight, self.bias), 0
        with direct_convolutions():
            drive = F.conv2d(
                spikes, self.weight, self.bias, synapse.stride, synapse.padding, synapse.dilation, synapse.groups
            )
        return self._wrap_sums(drive) if self.may_wrap else (drive, 0)

    def _wrap_sums(self, drive: Tensor) -> tuple[Tensor, int]:
        """lava/proc/conv/models.py, PyConvModelFixed.clamp_precision, which is no clamp: sums modulo 2**24."""
        bias = self.bias_map.double()
        sums = (drive.double() - bias) / 64
        wrapped = torch.remainder(sums + HALF, 2 * HALF) - HALF
        return wrapped * 64 + bias, int((wrapped != sums).sum())


def _effective_bias(neuron: IntNeuron) -> npt.NDArray[np.int64]:
    """bias_mant * 2**bias_exp, rounded down."""
    mantissa = neuron.bias_mant.astype(np.int64)
    return mantissa << neuron.bias_exp if neuron.bias_exp >= 0 else mantissa >> -neuron.bias_exp


def _largest_sum(layer: QuantLayer, max_input: int) -> npt.NDArray[np.int64]:
    """For each output channel the largest absolute value of any partial sum of its synapses."""
    weight = layer.synapse.weight.astype(np.int64)
    largest: npt.NDArray[np.int64] = np.abs(weight).reshape(len(weight), -1).sum(axis=1) * max_input
    return largest


def _reach(layer: QuantLayer, max_input: int) -> tuple[int, int]:
    """Largest absolute value of any partial sum in units of v, and the unit that divides all of them."""
    bias = _effective_bias(layer.neuron)
    reach = 64 * _largest_sum(layer, max_input) + np.abs(bias)
    unit = np.gcd.reduce(np.concatenate([layer.synapse.weight.reshape(-1).astype(np.int64) * 64, bias]))
    return int(reach.max()), int(unit)


def _max_input(graph: QuantGraph, layer: QuantLayer) -> int:
    return 2 ** (graph.input.bits - 1) if layer.source == "input" else 1


def _compile(graph: QuantGraph, device: str) -> list[_Layer]:
    compiled = []
    for index, layer in enumerate(graph.layers):
        max_input = _max_input(graph, layer)
        dtype = exact_dtype(layer, max_input)
        compiled.append(
            _Layer(
                layer,
                weight=torch.tensor(layer.synapse.weight, dtype=dtype, device=device) * 64,
                bias=torch.tensor(_effective_bias(layer.neuron), dtype=dtype, device=device),
                may_wrap=isinstance(layer.synapse, IntConv) and int(_largest_sum(layer, max_input).max()) >= HALF,
                last_reader=all(later.source != layer.source for later in graph.layers[index + 1 :]),
            )
        )
    return compiled


@torch.inference_mode()
def _run(layers: list[_Layer], frames: npt.NDArray[np.int8], steps: int, device: str) -> Iterator[Firing]:
    """One batch through all layers, in their order. A firing's spikes are read by later layers: not to be changed."""
    outputs = {"input": torch.tensor(frames, device=device)}
    for compiled in layers:
        layer = compiled.layer
        source = outputs.pop(layer.source) if compiled.last_reader else outputs[layer.source]
        if layer.source == "input":
            drive, wrapped = compiled.drive(source)
            drive, wrapped = drive.unsqueeze(0), wrapped * steps
        else:
            drive, wrapped = compiled.drive(source.flatten(0, 1))
            drive = drive.view(steps, -1, *layer.shape)
        del source
        firing = fire(drive, steps, layer.neuron, compiled.bias_map)
        outputs[layer.name] = firing.spikes
        yield replace(firing, current_wraps=firing.current_wraps + wrapped)
