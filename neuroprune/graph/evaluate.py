"""Float evaluation: of a user's module as it is, and of a folded graph."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from spikingjelly.activation_based import functional
from torch import nn
from torch.nn import functional as F

from neuroprune.graph.nodes import Conv, FloatArray, Graph, Input, Linear, Neuron, Node
from neuroprune.progress import Progress, silent

Frames = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class FloatRun:
    """A folded graph run on frames.

    outputs: float64 [samples, outputs], output spikes of each sample, or its last voltages, as the readout says.
    spikes: total spikes of each neuron layer, by name.
    """

    outputs: FloatArray
    spikes: dict[str, int]


@dataclass(frozen=True, eq=False)
class FloatLayer:
    """spikes: 0.0 or 1.0 [steps, samples, *shape]. voltages: [samples, *shape], after the last step."""

    name: str
    spikes: torch.Tensor
    voltages: torch.Tensor


def run_module(module: nn.Module, frames: Frames, batch: int = 64, progress: Progress = silent) -> Frames:
    """Outputs of `module` in evaluation mode, [samples, outputs]; sequences [T, N, outputs] are averaged over T.

    frames: [samples, channels, height, width], or sequences [samples, steps, channels, height, width], of which the
    module gets the steps first. It is left as it was found.
    """
    was_training = module.training
    module.eval()
    device = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
    outputs = []
    with torch.inference_mode():
        for start in range(0, len(frames), batch):
            functional.reset_net(module)
            chunk = torch.from_numpy(frames[start : start + batch]).to(device)
            output = module(chunk.transpose(0, 1) if chunk.ndim == 5 else chunk)
            outputs.append((output.mean(0) if output.ndim == 3 else output).float().cpu())
            progress("float", min(start + batch, len(frames)), len(frames))
    functional.reset_net(module)
    module.train(was_training)
    return torch.cat(outputs).numpy()


def run_float(
    graph: Graph, frames: Frames, batch: int = 64, progress: Progress = silent, task: str = "folded"
) -> FloatRun:
    """Run a folded graph on frames [samples, *input shape], or sequences [samples, steps, *input shape].

    It computes in the precision of the frames: float32, or float64 where a spike must not flip.
    """
    spikes = {neuron.name: 0 for neuron, _ in graph.populations()}
    outputs = []
    for start in range(0, len(frames), batch):
        for layer in run_layers(graph, frames[start : start + batch]):
            spikes[layer.name] += int(layer.spikes.sum(dtype=torch.int64))
        last = layer.voltages if graph.readout.of == "voltage" else layer.spikes.sum(0)
        outputs.append(last.flatten(1).double())
        progress(task, min(start + batch, len(frames)), len(frames))
    return FloatRun(torch.cat(outputs).numpy(), spikes)


@torch.inference_mode()
def run_layers(graph: Graph, frames: Frames) -> Iterator[FloatLayer]:
    """The layers of neurons of a folded graph on one batch of frames, each as soon as it has run."""
    chunk = torch.from_numpy(frames)
    values = {graph.nodes[0].name: chunk.transpose(0, 1) if is_sequence(graph) else chunk.unsqueeze(0)}
    for neuron, synapses in graph.populations():
        assert isinstance(neuron.op, Neuron)
        current, bias = _deliver(synapses, values)
        spikes, voltages = fire_float(neuron.op, current, bias, graph.steps)
        values[neuron.name] = spikes
        yield FloatLayer(neuron.name, spikes, voltages)


def is_sequence(graph: Graph) -> bool:
    """Whether samples bring a frame for each step."""
    first = graph.nodes[0].op
    return isinstance(first, Input) and first.sequence


def _deliver(synapses: tuple[Node, ...], values: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """What all synapses of a layer deliver, [T or 1, N, ...], and their bias in a shape that adds to it."""
    current, bias = torch.zeros(()), torch.zeros(())
    for synapse in synapses:
        op, value = synapse.op, values[synapse.inputs[0]]
        assert isinstance(op, Conv | Linear)
        merged = value.flatten(0, 1)
        weight = torch.tensor(op.weight, dtype=value.dtype)
        offset = torch.tensor(op.bias, dtype=value.dtype)
        if isinstance(op, Linear):
            sums = F.linear(merged.flatten(1), weight)
        else:
            sums = F.conv2d(merged, weight, None, op.stride, op.padding, op.dilation, op.groups)
            offset = offset[:, None, None]
        current = current + sums.reshape(value.shape[:2] + sums.shape[1:])
        bias = bias + offset
    return current, bias


def fire_float(
    neuron: Neuron, drive: torch.Tensor, bias: torch.Tensor, steps: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Spikes [T, N, ...] as float32 and the last voltages; a drive of one step is presented at every step."""
    i, v = torch.zeros_like(drive[0]), torch.zeros_like(drive[0])
    spikes = []
    for step in range(steps):
        i = i * (1.0 - neuron.current_decay) + drive[step if len(drive) > 1 else 0]
        h = v * (1.0 - neuron.decay) + i + bias
        fired = h >= neuron.threshold
        v = torch.where(fired, h - neuron.threshold if neuron.reset == "subtract" else 0.0, h)
        spikes.append(fired)
    return torch.stack(spikes).to(drive.dtype), v
