"""Float evaluation: of a user's module as it is, and of a float program."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from spikingjelly.activation_based import functional
from torch import nn
from torch.nn import functional as F

from neuroprune.arrays import FloatArray, Frames, FramesLike
from neuroprune.evaluation import evaluation_mode
from neuroprune.graph.float_program import FloatDense, FloatLayer, FloatProgram, FloatSynapse
from neuroprune.graph.nodes import INPUT
from neuroprune.neurons.model import fire_float
from neuroprune.progress import Progress, silent
from neuroprune.quantization.forward import one_step_later

BATCH = 64
"""Samples that run at once; memory grows with it, not with the number of samples."""


@dataclass(frozen=True, eq=False)
class FloatRun:
    """A float program run on frames.

    outputs: float64 [samples, outputs], output spikes of each sample, or its last voltages, as the readout says.
    spikes: total spikes of each neuron layer, by name.
    """

    outputs: FloatArray
    spikes: dict[str, int]


@dataclass(frozen=True, eq=False)
class FloatFiring:
    """A layer's spikes, 0.0 or 1.0 [steps, samples, *shape], and voltages [samples, *shape] after the last step."""

    name: str
    spikes: torch.Tensor
    voltages: torch.Tensor


def run_module(module: nn.Module, frames: FramesLike, batch: int = BATCH, progress: Progress = silent) -> Frames:
    """Outputs of `module` in evaluation mode, [samples, outputs]; sequences [T, N, outputs] are averaged over T.

    frames: [samples, channels, height, width], or sequences [samples, steps, channels, height, width], of which the
    module gets the steps first. Its training mode is left as it was.

    >>> from neuroprune import build, frames_of, load_dataset, load_recipe, run_module
    >>> data = load_dataset("digits")
    >>> network = build(load_recipe("digits-conv"), data.input_shape, len(data.classes))
    >>> frames = frames_of(data.train.images[:16], data.coding)
    >>> run_module(network, frames).shape
    (16, 10)
    """
    outputs = []
    with evaluation_mode(module), torch.inference_mode():
        for start in range(0, len(frames), batch):
            functional.reset_net(module)
            chunk = torch.from_numpy(frames[start : start + batch])
            chunk = chunk.to(next(module.parameters(), chunk))
            output = module(chunk.transpose(0, 1) if chunk.ndim == 5 else chunk)
            output = output[0] if isinstance(output, tuple | list) else output  # of one, as tracing asks
            outputs.append((output.mean(0) if output.ndim == 3 else output).float().cpu())
            progress("float", min(start + batch, len(frames)), len(frames))
    return torch.cat(outputs).numpy()


def run_float(program: FloatProgram, frames: FramesLike, batch: int = BATCH, progress: Progress = silent) -> FloatRun:
    """Run a float program on frames [samples, *input shape], or sequences [samples, steps, *input shape].

    It computes in the precision of the frames: float32, or float64 where a spike must not flip.

    >>> import torch
    >>> from neuroprune import (
    ...     build, fold, frames_of, load_dataset, load_recipe, reestimate_batchnorm, run_float, trace,
    ... )
    >>> data = load_dataset("digits")
    >>> network = build(load_recipe("digits-conv"), data.input_shape, len(data.classes))
    >>> frames = frames_of(data.train.images[:16], data.coding)
    >>> reestimate_batchnorm(network, torch.from_numpy(frames))
    >>> floats = fold(trace(network, torch.from_numpy(frames)))
    >>> run_float(floats, frames).outputs.shape  # spikes of each output
    (16, 10)
    """
    layers = layer_tensors(program, _dtype(frames))
    spikes = {layer.name: 0 for layer in program.layers}
    outputs = []
    for start in range(0, len(frames), batch):
        for firing in _run(program, layers, frames[start : start + batch]):
            spikes[firing.name] += int(firing.spikes.count_nonzero())
        last = firing.voltages if program.readout.of == "voltage" else firing.spikes.sum(0)
        outputs.append(last.flatten(1).double())
        progress("folded", min(start + batch, len(frames)), len(frames))
    return FloatRun(torch.cat(outputs).numpy(), spikes)


def run_layers(program: FloatProgram, frames: Frames) -> Iterator[FloatFiring]:
    """The layers of a float program on one batch of frames, each as soon as it has run.

    >>> import torch
    >>> from neuroprune import build, fold, frames_of, load_dataset, load_recipe, run_layers, trace
    >>> data = load_dataset("digits")
    >>> network = build(load_recipe("digits-conv"), data.input_shape, len(data.classes))
    >>> frames = frames_of(data.train.images[:16], data.coding)
    >>> floats = fold(trace(network, torch.from_numpy(frames)))
    >>> [tuple(firing.spikes.shape) for firing in run_layers(floats, frames)][:2]
    [(4, 16, 32, 8, 8), (4, 16, 80, 4, 4)]
    """
    return _run(program, layer_tensors(program, _dtype(frames)), frames)


@dataclass(frozen=True, eq=False)
class LayerTensors:
    """A layer with its weights, one for each connection, and its bias in the precision of the run."""

    layer: FloatLayer
    weights: tuple[torch.Tensor, ...]
    bias: torch.Tensor

    def deliver(self, values: dict[str, torch.Tensor]) -> torch.Tensor:
        """What the connections whose source is among `values` deliver, [T or 1, N, ...]."""
        current = torch.zeros(())
        for connection, weight in zip(self.layer.connections, self.weights, strict=True):
            if connection.source in values:
                value = values[connection.source]
                arriving = one_step_later(value) if connection.delay else value
                current = current + _through(connection.synapse, weight, arriving)
        return current

    def feedback(self, fired: torch.Tensor) -> torch.Tensor:
        """What spikes of the layer itself, [N, ...], add to its drive one step later."""
        current = torch.zeros(())
        for connection, weight in zip(self.layer.connections, self.weights, strict=True):
            if connection.source == self.layer.name:
                current = current + _through(connection.synapse, weight, fired.to(weight.dtype).unsqueeze(0))[0]
        return current


def _through(synapse: FloatSynapse, weight: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """What `synapse` with `weight` delivers, [T or 1, N, ...]."""
    merged = value.flatten(0, 1)
    if isinstance(synapse, FloatDense):
        sums = F.linear(merged.flatten(1), weight)
    else:
        sums = F.conv2d(merged, weight, None, synapse.stride, synapse.padding, synapse.dilation, synapse.groups)
    return sums.reshape(value.shape[:2] + sums.shape[1:])


def layer_tensors(program: FloatProgram, dtype: torch.dtype) -> list[LayerTensors]:
    """The layers of `program` with tensors of `dtype`."""
    return [
        LayerTensors(
            layer,
            tuple(torch.tensor(connection.synapse.weight, dtype=dtype) for connection in layer.connections),
            torch.tensor(layer.bias, dtype=dtype).reshape(-1, *(1 for _ in layer.shape[1:])),
        )
        for layer in program.layers
    ]


def _dtype(frames: FramesLike) -> torch.dtype:
    return torch.from_numpy(frames[:0]).dtype


@torch.inference_mode()
def _run(program: FloatProgram, layers: list[LayerTensors], frames: Frames) -> Iterator[FloatFiring]:
    chunk = torch.from_numpy(frames)
    values = {INPUT: chunk.transpose(0, 1) if program.input.sequence else chunk.unsqueeze(0)}
    for each in layers:
        name, current = each.layer.name, each.deliver(values)
        feedback = each.feedback if each.layer.is_recurrent else None
        fired, voltages = fire_float(each.layer.neuron, current, each.bias, program.steps, feedback)
        values[name] = torch.stack(fired).to(current.dtype)
        yield FloatFiring(name, values[name], voltages)
