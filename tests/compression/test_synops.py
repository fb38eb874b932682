"""Synaptic operations against counts that follow every single input."""

from math import prod

import numpy as np
import pytest
import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import nn
from torch.nn import functional as F

from neuroprune.compression.synops import SynopsCounter, fan_out
from neuroprune.graph.nodes import Conv, ConvTranspose, Linear, Node
from neuroprune.graph.trace import trace


def delivered(module: nn.Module, x: torch.Tensor) -> float:
    """How often a non-zero input meets a weight in one call of a layer: what arrives if both are 1."""
    events = (x != 0).double()
    if isinstance(module, nn.Linear):
        return float(F.linear(events, torch.ones_like(module.weight, dtype=torch.float64)).sum())
    ones = torch.ones_like(module.weight, dtype=torch.float64)
    events = events.reshape(-1, *events.shape[-3:])
    return float(F.conv2d(events, ones, None, module.stride, module.padding, module.dilation, module.groups).sum())


def test_operations_are_events_times_the_weights_they_meet(network: nn.Module, frames: torch.Tensor) -> None:
    graph = trace(network, frames)
    layers = {name: module for name, module in network.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)}
    calls: dict[str, list[torch.Tensor]] = {name: [] for name in layers}
    for name, module in layers.items():
        module.register_forward_pre_hook(lambda module, args, name=name: calls[name].append(args[0]))
    counter = SynopsCounter(graph)
    with counter.attached(network), torch.no_grad():
        network(frames)
    stem = graph.nodes[1].name
    if calls[stem][0].shape == frames.shape:
        # The frame is presented at every step, whether the network computes its stem once or in a loop.
        calls[stem] = [frames] * graph.steps
    expected = sum(delivered(layers[name], x) for name, inputs in calls.items() for x in inputs)
    assert counter.per_sample == pytest.approx(expected / len(frames), rel=1e-12)
    assert all(len(module._forward_pre_hooks) == 1 for module in layers.values()), "hooks of the counter were left"


class Shared(nn.Module):
    """One convolution on maps of one size twice, and once more on smaller ones."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = layer.Conv2d(1, 1, 3, padding=1, step_mode="m")
        self.fire1, self.fire2, self.fire3 = (neuron.IFNode(v_threshold=1.5, step_mode="m") for _ in range(3))
        self.pool = layer.MaxPool2d(2, step_mode="m")

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        x = self.fire1(self.conv(frames.unsqueeze(0).repeat(3, 1, 1, 1, 1)))
        return self.fire3(self.conv(self.pool(self.fire2(self.conv(x)))).flatten(2)).mean(0)


def test_every_use_of_a_shared_layer_counts() -> None:
    torch.manual_seed(0)
    network, frames = Shared().eval(), torch.rand(4, 1, 8, 8)
    nn.init.uniform_(network.conv.weight, 0.0, 0.5)
    counter = SynopsCounter(trace(network, frames))
    calls: list[torch.Tensor] = []
    network.conv.register_forward_pre_hook(lambda module, args: calls.append(args[0]))
    with counter.attached(network), torch.no_grad():
        network(frames)
    assert [call.shape[-1] for call in calls] == [8, 8, 4]
    assert calls[2].any() and not calls[1].all()
    expected = sum(delivered(network.conv, call) for call in calls)
    assert counter.per_sample == pytest.approx(expected / len(frames), rel=1e-12)


def test_counts_add_up_over_batches(network: nn.Module, frames: torch.Tensor) -> None:
    def count(batches: list[torch.Tensor]) -> float:
        counter = SynopsCounter(trace(network, frames))
        with counter.attached(network), torch.no_grad():
            for batch in batches:
                functional.reset_net(network)
                network(batch)
        return counter.per_sample

    assert count([frames]) == pytest.approx(count([frames[:2], frames[2:]]), rel=1e-12)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation", "groups"),
    [((3, 3), (1, 1), (1, 1), (1, 1), 1), ((5, 3), (2, 1), (2, 0), (1, 1), 1), ((2, 3), (3, 2), (0, 2), (1, 2), 2)],
)
def test_fan_out_of_each_input_is_how_often_windows_hold_it(
    kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int], dilation: tuple[int, int], groups: int
) -> None:
    """The gradient of the sum of all outputs, with weights of 1, is each input's number of synapses."""
    x = torch.zeros(1, 4, 9, 7, dtype=torch.float64, requires_grad=True)
    weight = torch.ones(6, 4 // groups, *kernel, dtype=torch.float64)
    output = F.conv2d(x, weight, None, stride, padding, dilation, groups)
    output.sum().backward()
    node = Node(
        "conv", Conv(weight.numpy(), np.zeros(6), stride, padding, dilation, groups), (), tuple(output.shape[1:])
    )
    np.testing.assert_array_equal(fan_out(node, (4, 9, 7)), x.grad[0].numpy())


def test_a_transposed_convolution_lands_on_outputs_as_often_as_torch_says() -> None:
    x = torch.zeros(1, 4, 5, 7, dtype=torch.float64, requires_grad=True)
    weight = torch.ones(4, 3, 3, 2, dtype=torch.float64)
    sizes = (2, 1), (1, 0), (1, 3)
    output = F.conv_transpose2d(x, weight, None, *sizes[:2], (1, 0), 2, sizes[2])
    output.sum().backward()
    op = ConvTranspose(np.ones((6, 2, 3, 2)), np.zeros(6), *sizes, groups=2)
    np.testing.assert_array_equal(fan_out(Node("up", op, (), tuple(output.shape[1:])), (4, 5, 7)), x.grad[0].numpy())


def test_fan_out_of_a_linear_layer_is_its_width_less_its_zeros() -> None:
    weight = np.ones((3, 5))
    weight[0, 1] = weight[:, 4] = 0.0
    node = Node("linear", Linear(weight, np.zeros(3)), (), (3,))
    assert fan_out(node, (5,)).tolist() == [3, 2, 3, 3, 0]


def test_operations_by_input_are_those_that_each_channel_alone_causes(network: nn.Module, frames: torch.Tensor) -> None:
    graph = trace(network, frames)
    sources = {node.name: graph[node.inputs[0]].shape for node in graph.nodes if isinstance(node.op, Conv | Linear)}
    calls: dict[str, list[torch.Tensor]] = {name: [] for name in sources}
    for name, inputs in calls.items():
        module = network.get_submodule(name)
        module.register_forward_pre_hook(lambda module, args, inputs=inputs: inputs.append(args[0]))
    counter = SynopsCounter(graph)
    with counter.attached(network), torch.no_grad():
        network(frames)
    assert counter.by_input.keys() == sources.keys()
    assert sum(each.sum() for each in counter.by_input.values()) == pytest.approx(counter.per_sample, rel=1e-12)
    for name, shape in sources.items():
        found = counter.by_input[name]
        assert found.shape == (shape[0],)
        presented = sum(x.numel() for x in calls[name]) // prod(shape)
        for channel in (0, shape[0] - 1):
            expected = 0.0
            for x in calls[name]:
                alone = torch.zeros_like(x)
                alone.select(-len(shape), channel).copy_(x.select(-len(shape), channel))
                expected += delivered(network.get_submodule(name), alone) * graph.steps / presented
            assert found[channel] == pytest.approx(expected, rel=1e-12)
