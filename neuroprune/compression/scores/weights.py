"""Scores of single weights, by parameter: tensors of its shape, on its device; higher is more important."""

from collections.abc import Mapping

import torch
from torch import nn

from neuroprune.compression.potentials import Scores
from neuroprune.compression.weights import PrunableWeight

Weights = tuple[PrunableWeight, ...]
WeightScores = dict[str, torch.Tensor]


def magnitude(module: nn.Module, weights: Weights) -> WeightScores:
    """|w| (Eq 8 of the criticality paper; Han et al. 2015)."""
    return {name: parameter.detach().abs() for name, parameter in _parameters(module, weights).items()}


def gradient(module: nn.Module, weights: Weights) -> WeightScores:
    """|dL/dw| as the gradients of `module` stand; 0 where a parameter has none."""
    found = _parameters(module, weights).items()
    return {name: torch.zeros_like(each) if each.grad is None else each.grad.abs() for name, each in found}


def of_neurons(module: nn.Module, weights: Weights, by_layer: Mapping[str, Scores]) -> WeightScores:
    """What a `Recorder` took of layers of neurons: every weight has the score of its output channel.

    It is 0, the lowest, where no neurons score a channel. Views of one value a channel, not to be changed in place.
    """
    scores = {}
    for weight in weights:
        of_channels = torch.zeros(weight.shape[0], dtype=torch.float64)
        if weight.neuron is not None:
            channels = torch.tensor(weight.channels)
            read = channels >= 0
            of_channels[read] = torch.from_numpy(by_layer[weight.neuron])[channels[read]]
        scores[weight.parameter] = of_channels
    return _spread(module, weights, scores)


def random(module: nn.Module, weights: Weights, generator: torch.Generator) -> WeightScores:
    """One draw from 0..1 for each output channel, and all weights of the channel have it; generator: on the CPU."""
    return _spread(module, weights, {w.parameter: torch.rand(w.shape[0], generator=generator) for w in weights})


def neurons_of(weights: Weights) -> tuple[str, ...]:
    """The layers of neurons that a `Recorder` has to record for `of_neurons`: those of all `weights`."""
    return tuple(dict.fromkeys(weight.neuron for weight in weights if weight.neuron is not None))


def _spread(module: nn.Module, weights: Weights, of_channels: WeightScores) -> WeightScores:
    """The score [output channels] of each channel for each of its weights."""
    return {
        name: of_channels[name].to(parameter.device).view(-1, *[1] * (parameter.ndim - 1)).expand_as(parameter)
        for name, parameter in _parameters(module, weights).items()
    }


def _parameters(module: nn.Module, weights: Weights) -> dict[str, nn.Parameter]:
    return {weight.parameter: module.get_parameter(weight.parameter) for weight in weights}
