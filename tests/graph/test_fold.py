"""Folding changes the form of a program and nothing of what it computes."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from sample_networks import MergedTime, StepLoop, Unusual, branching_networks, stir
from spikingjelly.activation_based import neuron
from torch import nn
from torch.nn import functional as F

from neuroprune.arrays import frozen_array
from neuroprune.errors import UnsupportedNetwork
from neuroprune.graph.compose import average_kernel, convolve_after, dense_after, pads_differ
from neuroprune.graph.float_program import FloatConv
from neuroprune.graph.fold import fold
from neuroprune.graph.nodes import AvgPool, Conv, Linear
from neuroprune.graph.trace import trace
from neuroprune.neurons.cuba_lif import CubaLif
from neuroprune.simulation.floats import run_float, run_module


@pytest.mark.parametrize("network", [Unusual(), StepLoop(), MergedTime()], ids=lambda network: type(network).__name__)
def test_the_folded_program_fires_as_the_network_does(network: nn.Module) -> None:
    stir(network)
    frames = np.random.default_rng(1).normal(0, 2, (24, 1, 28, 28))
    graph = fold(trace(network, torch.from_numpy(frames)))
    run = run_float(graph, frames.astype(np.float32))
    outputs = run_module(network, frames) * graph.steps
    assert 0 < run.outputs.sum() < run.outputs.size * graph.steps
    assert np.mean(outputs.round() == run.outputs) > 0.99  # float32 may move a potential across the threshold
    assert min(run.spikes.values()) > 0


BRANCHING = branching_networks()


@pytest.mark.parametrize("name", BRANCHING)
def test_branches_and_neurons_of_every_kind_fold_to_what_the_network_computes(name: str) -> None:
    network, shape = BRANCHING[name]
    stir(network)
    if name == "Cuba":  # computes in float32 and cuts to 4096ths, which halves survive for four steps
        network.float()
        for parameter in network.parameters():
            parameter.data = (4 * parameter).round() / 2
    precision = next(network.parameters()).dtype
    sequence = (4,) if name == "SequenceInput" else ()
    frames = (
        torch.randn(16, *sequence, *shape, generator=torch.Generator().manual_seed(1), dtype=precision).mul(2).numpy()
    )
    frames = np.rint(2 * frames) / 2 if name == "Cuba" else frames
    graph = fold(trace(network, torch.from_numpy(frames)))
    run = run_float(graph, frames)
    counted: Counter[str] = Counter()
    for path, module in network.named_modules():
        if path in run.spikes:
            module.register_forward_hook(lambda _, __, fired, path=path: counted.update({path: int(fired.sum())}))
    scores = run.outputs.reshape(len(frames), -1, graph.readout.votes).mean(-1)
    scores /= graph.steps if graph.readout.over_time == "mean" else 1
    assert len(np.unique(scores)) > 1
    np.testing.assert_allclose(scores, run_module(network, frames), rtol=0, atol=1e-6)
    of_neurons = {path: spikes for path, spikes in run.spikes.items() if path in counted}
    assert of_neurons and min(of_neurons.values()) > 0
    assert of_neurons == counted


def test_synapses_and_neurons_alternate_and_keep_their_names() -> None:
    graph = fold(trace(Unusual(), torch.zeros(1, 1, 28, 28)))
    names = [[*(each.name for each in layer.connections), layer.name] for layer in graph.layers]
    assert names == [["conv1", "lif1"], ["conv2", "if2"], ["most.sum", "most"], ["fc", "lif3"]]
    assert graph["if2"].connections[0].synapse.weight.shape == (
        10,
        6,
        6,
        6,
    )  # a 2x2 pool of stride 2 under a 3x3 kernel spans 6x6


def test_maximum_pooling_of_spikes_is_an_or() -> None:
    network = nn.Sequential(nn.Conv2d(1, 3, 1), neuron.IFNode(), nn.MaxPool2d(3, 2, 1), nn.Flatten(), nn.Linear(75, 2))
    graph = fold(trace(nn.Sequential(*network, neuron.IFNode()), torch.zeros(1, 1, 9, 9)))
    ones, memoryless = graph["2"].connections[0].synapse, graph["2"].neuron
    assert isinstance(ones, FloatConv) and isinstance(memoryless, CubaLif)
    spikes = (torch.rand(5, 3, 9, 9, generator=torch.Generator().manual_seed(2)) < 0.2).double()
    summed = F.conv2d(spikes, torch.from_numpy(ones.weight.copy()), None, ones.stride, ones.padding, groups=3)
    assert torch.equal(summed >= memoryless.threshold, F.max_pool2d(spikes, 3, 2, 1) > 0)


def test_pooling_straight_into_neurons_needs_no_weights() -> None:
    network = nn.Sequential(
        nn.Conv2d(1, 2, 1), neuron.IFNode(), nn.AvgPool2d(2), neuron.LIFNode(), nn.Flatten(), nn.Linear(32, 2)
    )
    graph = fold(trace(nn.Sequential(*network, neuron.IFNode()), torch.zeros(1, 1, 8, 8)))
    assert graph["3"].connections[0].name == "3.sum"
    pooled = graph["3"].connections[0].synapse
    assert isinstance(pooled, FloatConv) and pooled.groups == 2 and np.all(pooled.weight == 0.25 * 0.5)


@pytest.mark.parametrize("size", [7, 9])
def test_padding_behind_pooling_that_does_not_tile_is_refused(size: int) -> None:
    network = nn.Sequential(
        nn.Conv2d(1, 2, 1), neuron.IFNode(), nn.AvgPool2d(2), nn.Conv2d(2, 2, 3, padding=1), neuron.IFNode()
    )
    graph = trace(network, torch.zeros(1, 1, size, size))
    with pytest.raises(UnsupportedNetwork, match=rf"layer 3: it pads the output of 2, whose .* {size}x{size} exactly"):
        fold(graph)


sizes = st.tuples(st.integers(1, 3), st.integers(1, 3))


@settings(max_examples=60, deadline=None)
@given(
    kernel=sizes,
    stride=sizes,
    kernel2=sizes,
    stride2=sizes,
    pad2=st.sampled_from([(0, 0), (1, 0), (1, 2)]),
    seed=st.integers(0, 99),
)
def test_pool_then_convolution_is_one_convolution(kernel, stride, kernel2, stride2, pad2, seed) -> None:
    generator = torch.Generator().manual_seed(seed)
    pool = average_kernel(AvgPool(kernel, stride), 4)
    weight = torch.randn(6, 2, *kernel2, generator=generator).double()
    bias = torch.randn(6, generator=generator).double()
    conv = Conv(frozen_array(weight, np.float64), frozen_array(bias, np.float64), stride2, pad2, (1, 1), groups=2)
    x = torch.randn(2, 4, 12, 12, generator=generator).double()
    pooled = F.avg_pool2d(x, kernel, stride)
    if pad2 != (0, 0) and pads_differ(pool, (4, 12, 12), tuple(pooled.shape[1:])):
        return
    expected = F.conv2d(pooled, weight, bias, stride2, pad2, groups=2)
    one = convolve_after(pool, conv)
    found = F.conv2d(
        x,
        torch.from_numpy(one.weight.copy()),
        torch.from_numpy(one.bias.copy()),
        one.stride,
        one.padding,
        1,
        one.groups,
    )
    torch.testing.assert_close(found[:, :, : expected.shape[2], : expected.shape[3]], expected)
    assert found.shape == expected.shape


@settings(max_examples=40, deadline=None)
@given(kernel=sizes, stride=sizes, padding=st.integers(0, 1), seed=st.integers(0, 99))
def test_convolution_then_pool_is_one_convolution(kernel, stride, padding, seed) -> None:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(6, 2, *kernel, generator=generator).double()
    bias = torch.randn(6, generator=generator).double()
    conv = Conv(
        frozen_array(weight, np.float64), frozen_array(bias, np.float64), stride, (padding, padding), (2, 1), groups=2
    )
    x = torch.randn(2, 4, 13, 11, generator=generator).double()
    expected = F.avg_pool2d(F.conv2d(x, weight, bias, stride, padding, (2, 1), 2), 2)
    one = convolve_after(conv, average_kernel(AvgPool((2, 2), (2, 2)), 6))
    found = F.conv2d(
        x,
        torch.from_numpy(one.weight.copy()),
        torch.from_numpy(one.bias.copy()),
        one.stride,
        one.padding,
        1,
        one.groups,
    )
    torch.testing.assert_close(found, expected)


@settings(max_examples=60, deadline=None)
@given(
    kernel=sizes,
    stride=sizes,
    padded=st.booleans(),
    height=st.integers(3, 9),
    width=st.integers(3, 9),
    seed=st.integers(0, 99),
)
def test_pool_then_dense_is_one_dense_at_every_border(kernel, stride, padded, height, width, seed) -> None:
    generator = torch.Generator().manual_seed(seed)
    padding = (kernel[0] // 2, kernel[1] // 2) if padded else (0, 0)
    x = torch.randn(3, 2, height, width, generator=generator).double()
    pooled = F.avg_pool2d(x, kernel, stride, padding)
    weight = torch.randn(4, pooled[0].numel(), generator=generator).double()
    linear = Linear(frozen_array(weight, np.float64), frozen_array(np.arange(4), np.float64))
    one = dense_after(
        average_kernel(AvgPool(kernel, stride, padding), 2), linear, tuple(x.shape[1:]), tuple(pooled.shape[1:])
    )
    expected = pooled.flatten(1) @ weight.T + torch.arange(4)
    torch.testing.assert_close(
        x.flatten(1) @ torch.from_numpy(one.weight.copy()).T + torch.from_numpy(one.bias.copy()), expected
    )
