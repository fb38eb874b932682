"""Float evaluation: of a user's module as it is, and of a folded graph."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from spikingjelly.activation_based import functional
from torch import nn
from torch.nn import functional as F

from neuroprune.graph.nodes import Conv, Graph, Linear, Neuron
from neuroprune.progress import Progress, silent

Frames = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class FloatRun:
    """A folded graph run on frames.

    counts: int64 [samples, outputs], output spikes of each sample.
    spikes: total spikes of each neuron layer, by name.
    peak_current: largest magnitude of what the synapse of each neuron layer delivers in one step, bias left out.
    """

    counts: npt.NDArray[np.int64]
    spikes: dict[str, int]
    peak_current: dict[str, float]


def run_module(module: nn.Module, frames: Frames, batch: int = 64, progress: Progress = silent) -> Frames:
    """Outputs of `module` in evaluation mode, [samples, outputs]; sequences [T, N, outputs] are averaged over T.

    frames: [samples, channels, height, width], as the module expects them. The module is left as it was found.
    """
    was_training = module.training
    module.eval()
    device = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
    outputs = []
    with torch.inference_mode():
        for start in range(0, len(frames), batch):
            functional.reset_net(module)
            output = module(torch.from_numpy(frames[start : start + batch]).to(device))
            outputs.append((output.mean(0) if output.ndim == 3 else output).float().cpu())
            progress("float", min(start + batch, len(frames)), len(frames))
    functional.reset_net(module)
    module.train(was_training)
    return torch.cat(outputs).numpy()


def run_float(
    graph: Graph, frames: Frames, batch: int = 64, progress: Progress = silent, task: str = "folded"
) -> FloatRun:
    """Run a folded graph in float32 on frames [samples, channels, height, width]."""
    pairs = list(zip(graph.nodes[1::2], graph.nodes[2::2], strict=True))
    spikes = {neuron.name: 0 for _, neuron in pairs}
    peaks = {neuron.name: 0.0 for _, neuron in pairs}
    counts = []
    with torch.inference_mode():
        for start in range(0, len(frames), batch):
            value = torch.from_numpy(frames[start : start + batch]).unsqueeze(0)
            for synapse, neuron in pairs:
                assert isinstance(synapse.op, Conv | Linear) and isinstance(neuron.op, Neuron)
                current, bias = _deliver(synapse.op, value)
                peaks[neuron.name] = max(peaks[neuron.name], float(current.abs().max()))
                value = _fire(neuron.op, current + bias, graph.steps)
                spikes[neuron.name] += int(value.sum(dtype=torch.int64))
            counts.append(value.sum(0, dtype=torch.int64).flatten(1))
            progress(task, min(start + batch, len(frames)), len(frames))
    return FloatRun(torch.cat(counts).numpy(), spikes, peaks)


def _deliver(synapse: Conv | Linear, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """[T or 1, N, ...] through the weights, and the bias in a shape that adds to it."""
    merged = value.flatten(0, 1)
    weight = torch.from_numpy(synapse.weight.astype(np.float32))
    bias = torch.from_numpy(synapse.bias.astype(np.float32))
    if isinstance(synapse, Linear):
        current = F.linear(merged.flatten(1), weight)
    else:
        current = F.conv2d(merged, weight, None, synapse.stride, synapse.padding, synapse.dilation, synapse.groups)
        bias = bias[:, None, None]
    return current.reshape(value.shape[:2] + current.shape[1:]), bias


def _fire(neuron: Neuron, current: torch.Tensor, steps: int) -> torch.Tensor:
    """Spikes [T, N, ...] as float32; a current of one step is presented at every step."""
    v = torch.zeros_like(current[0])
    spikes = []
    for step in range(steps):
        h = v * (1.0 - neuron.decay) + current[step if len(current) > 1 else 0]
        fired = h >= neuron.threshold
        v = h.masked_fill(fired, 0.0)
        spikes.append(fired)
    return torch.stack(spikes).float()
