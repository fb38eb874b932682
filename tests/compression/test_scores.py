"""Criticality against loops over single neurons in plain Python."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from spikingjelly.activation_based import functional, neuron
from torch import nn

from neuroprune.compression.channels import channel_groups
from neuroprune.compression.scores import criticality, magnitude, surrogate_derivative
from neuroprune.graph.trace import trace
from neuroprune.networks.build import build
from neuroprune.networks.recipe import parse_recipe

RECIPE = {"name": "tiny", "title": "t", "data": "x", "steps": 4, "layers": [{"conv": 6}, {"conv": 8}]}


def inputs_of(network: nn.Module, name: str, frames: torch.Tensor) -> torch.Tensor:
    """What the neurons of a layer receive: [T, N, ...]."""
    seen: list[torch.Tensor] = []
    layer = network.get_submodule(name)
    hook = layer.register_forward_hook(lambda module, args, output: seen.append(args[0]))
    functional.reset_net(network)
    with torch.no_grad():
        network(frames)
    functional.reset_net(network)
    hook.remove()
    return seen[0] if len(seen) == 1 else torch.stack(seen)


def score_of_channel(layer: Any, currents: np.ndarray) -> float:
    """Eq 6 for currents [T, N, positions] of one channel, neuron by neuron, with LIFNode's and IFNode's equations."""
    steps, samples, positions = currents.shape
    tau = 1 + math.exp(-layer.w.item()) if isinstance(layer, neuron.ParametricLIFNode) else getattr(layer, "tau", None)
    per_sample = []
    for sample in range(samples):
        over_time = []
        for position in range(positions):
            v, total = 0.0, 0.0
            for t in range(steps):
                x = float(currents[t, sample, position])
                if isinstance(layer, neuron.IFNode):
                    h = v + x
                elif layer.decay_input:
                    h = v + (x - v) / tau
                else:
                    h = v - v / tau + x
                total += 1 / (1 + (math.pi * (h - layer.v_threshold)) ** 2)
                after = h - layer.v_threshold if layer.v_reset is None else 0.0
                v = after if h >= layer.v_threshold else h
            over_time.append(total / steps)
        per_sample.append(max(over_time))
    return sum(per_sample) / samples


def test_criticality_is_eq_6_neuron_by_neuron(network: nn.Module, frames: torch.Tensor) -> None:
    frames = frames[:2]
    graph = trace(network, frames)
    groups = channel_groups(graph)
    expected = []
    for group in groups:
        of_neurons = []
        for name in group.neurons:
            received = inputs_of(network, name, frames)
            currents = received.reshape(*received.shape[:3], -1).numpy()
            layer = network.get_submodule(name)
            of_neurons.append([score_of_channel(layer, currents[:, :, channel]) for channel in range(group.channels)])
        expected += np.mean(of_neurons, axis=0).tolist()
    found = criticality(network, graph, groups, [frames])
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert found.min() > 0 and found.max() <= 1


def test_scores_do_not_depend_on_the_batches_and_leave_no_trace(network: nn.Module, frames: torch.Tensor) -> None:
    graph = trace(network, frames)
    groups = channel_groups(graph)
    whole = criticality(network, graph, groups, [frames])
    parts = criticality(network, graph, groups, [frames[:1], frames[1:4], frames[4:]])
    np.testing.assert_allclose(whole, parts, rtol=1e-12)
    for module in network.modules():
        assert not module._forward_hooks
        if isinstance(module, neuron.BaseNode):
            assert module.v == 0.0


def test_scores_of_a_sequence_are_means_over_its_samples() -> None:
    """A frame repeated by hand is what a network that repeats it itself sees."""
    frames = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    network = build(parse_recipe(RECIPE, "tiny"), (1, 8, 8), 3).eval()
    graph = trace(network, frames)
    groups = channel_groups(graph)
    expected = criticality(network, graph, groups, [frames])
    repeated = frames.unsqueeze(0).repeat(4, 1, 1, 1, 1)
    assert np.allclose(criticality(network, graph, groups, [repeated]), expected, rtol=1e-5)


def test_the_derivative_is_that_of_spikingjellys_atan_surrogate() -> None:
    from spikingjelly.activation_based import surrogate

    u = torch.linspace(-2, 2, 41, dtype=torch.float64, requires_grad=True)
    surrogate.ATan(alpha=2.0)(u).sum().backward()
    torch.testing.assert_close(surrogate_derivative(u.detach()), u.grad)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_magnitude_is_the_size_of_each_scale_in_the_order_of_the_groups(
    network: nn.Module, frames: torch.Tensor, sign: float
) -> None:
    groups = tuple(group for group in channel_groups(trace(network, frames)) if group.scales)
    expected = []
    for number, group in enumerate(groups):
        values = [number + (channel + 1) / 100 for channel in range(group.channels)]
        for behind, (norm, _) in enumerate(group.scales):
            network.get_submodule(norm).weight.data[:] = sign * (1 + behind) * torch.tensor(values)
        expected += [value * np.mean(range(1, len(group.scales) + 1)) for value in values]
    np.testing.assert_allclose(magnitude(network, groups), expected)
