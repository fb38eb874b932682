"""Importance scores of channels: the magnitude of the BatchNorm scale, and the criticality of the neurons.

Equations are those of "Brain-Inspired Efficient Pruning: Exploiting Criticality in Spiking Neural Networks".
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from spikingjelly.activation_based import functional
from torch import nn

from neuroprune.compression.channels import ChannelGroup
from neuroprune.graph.nodes import Graph, Op
from neuroprune.neurons.model import FloatNeuron, State

Scores = npt.NDArray[np.float64]


def magnitude(module: nn.Module, groups: tuple[ChannelGroup, ...]) -> Scores:
    """|gamma| of every channel of all groups, in their order (network slimming, Liu et al. 2017).

    Of a group with several BatchNorms it is the mean over them; each must have one.
    """
    scores = [
        torch.stack([_scale(module, norm, places).abs() for norm, places in group.scales]).mean(0) for group in groups
    ]
    return torch.cat(scores).cpu().numpy()


def criticality(
    module: nn.Module, graph: Graph, groups: tuple[ChannelGroup, ...], batches: Iterable[torch.Tensor]
) -> Scores:
    """Criticality of every channel of all groups, in their order, each in (0, 1].

    module: in evaluation mode; graph: as traced from it; batches: frames [N, C, H, W], or
    sequences [T, N, C, H, W], on the module's device.
    Eq 6: the mean over samples of the maximum over the feature map of the mean over time of g'(h[t] - threshold), with
    h the potential before reset and g' the derivative of the paper's surrogate. Of a group with several layers of
    neurons it is the mean over them.
    """
    totals = [torch.zeros(group.channels, dtype=torch.float64) for group in groups]
    samples = 0
    for frames in batches:
        batch = _batch_criticality(module, graph, groups, frames)
        samples += len(batch[0])
        for total, scores in zip(totals, batch, strict=True):
            total += scores.double().sum(0).cpu()
    return (torch.cat(totals) / samples).numpy()


def _batch_criticality(
    module: nn.Module, graph: Graph, groups: tuple[ChannelGroup, ...], frames: torch.Tensor
) -> list[torch.Tensor]:
    """For each group the scores of its channels for each of `frames`, [N, channels]."""
    recorders = {neuron: _Recorder(graph[neuron].op) for group in groups for neuron in group.neurons}
    hooks = [module.get_submodule(name).register_forward_hook(recorder) for name, recorder in recorders.items()]
    functional.reset_net(module)
    try:
        with torch.no_grad():
            module(frames)
    finally:
        for hook in hooks:
            hook.remove()
        functional.reset_net(module)
    return [torch.stack([recorders[neuron].scores() for neuron in group.neurons]).mean(0) for group in groups]


def surrogate_derivative(u: torch.Tensor) -> torch.Tensor:
    """g'(u) = 1 / (1 + (pi u)^2), of the ATan surrogate with alpha 2 (Eq 4b)."""
    return 1.0 / (1.0 + (torch.pi * u) ** 2)


class _Recorder:
    """A forward hook on neurons that recomputes their potential.

    SpikingJelly keeps the potential after reset only, so h is computed again from the input, and reset where the module
    itself fired. Works for multi-step neurons (one call with [T, N, ...]) and for T calls with [N, ...].
    """

    def __init__(self, neuron: Op) -> None:
        assert isinstance(neuron, FloatNeuron)
        self._neuron = neuron
        self._state: State = neuron.rest(torch.zeros(()))
        self._total = torch.zeros(())
        self._steps = 0

    def __call__(self, module: Any, args: tuple[torch.Tensor, ...], spikes: torch.Tensor) -> None:
        if getattr(module, "step_mode", "s") == "m":
            steps = zip(args[0], spikes, strict=True)
        else:
            steps = zip(args[0][None], spikes[None], strict=True)
        for x, fired in steps:
            state = self._neuron.integrate(self._state, self._neuron.gain * x, 0.0)
            self._total = self._total + surrogate_derivative(state[-1] - self._neuron.threshold)
            self._state = self._neuron.after_spike(state, fired > 0)
            self._steps += 1

    def scores(self) -> torch.Tensor:
        """Scores [N, channels]: mean over time, then maximum over the feature map."""
        mean = self._total / self._steps
        return mean.flatten(2).amax(2) if mean.dim() > 2 else mean


def _scale(module: nn.Module, norm: str, places: tuple[int, ...]) -> torch.Tensor:
    """gamma of a BatchNorm at `places`, float64."""
    scale = module.get_submodule(norm).weight
    assert isinstance(scale, torch.Tensor)
    return scale.detach().double()[list(places)]
