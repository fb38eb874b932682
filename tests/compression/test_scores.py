"""Scores of neurons and channels against NumPy, finite differences and numbers worked out by hand."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy_neurons import currents_of, eq_6, run
from sample_networks import ParametricTau, SoftReset
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import nn

from neuroprune.compression.channels import ChannelGroup, channel_groups
from neuroprune.compression.scores import channels
from neuroprune.compression.scores.channels import criticality, filter_norm, magnitude, scale_gradient
from neuroprune.compression.scores.neurons import Activity, Criticality
from neuroprune.compression.scores.surrogates import atan_slope, trained_slope
from neuroprune.errors import InputError
from neuroprune.graph.trace import trace
from neuroprune.networks.build import SURROGATES, build
from neuroprune.networks.recipe import parse_recipe
from neuroprune.neurons.cuba_lif import CubaLif

RECIPE = {"name": "tiny", "title": "t", "data": "x", "steps": 4, "layers": [{"conv": 6}, {"conv": 8}]}


def by_group(network: nn.Module, groups: tuple[ChannelGroup, ...], scores: Any) -> list[float]:
    """For each group the mean of `scores` (layer) over its layers of neurons."""
    return [float(each) for group in groups for each in np.mean([scores(name) for name in neurons(group)], axis=0)]


def neurons(group: ChannelGroup) -> tuple[str, ...]:
    return channels.neurons_of((group,))


# ---------------------------------------------------------------------------------------------------------------------
# Measures of neurons


@pytest.mark.parametrize("aggregation", ["max", "mean"])
@pytest.mark.parametrize("function", ["trained", "paper"])
def test_criticality_is_eq_6_in_numpy(
    network: nn.Module, frames: torch.Tensor, aggregation: str, function: str
) -> None:
    frames = frames[:3]
    groups = channel_groups(graph := trace(network, frames))
    found = criticality(network, graph, groups, [frames], Criticality(aggregation, function))
    expected = by_group(
        network,
        groups,
        lambda name: eq_6(network.get_submodule(name), currents_of(network, name, frames), aggregation, function),
    )
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert found.min() > 0 and found.max() <= 1


@pytest.mark.parametrize("kind", [SoftReset, ParametricTau])
def test_criticality_with_other_resets_and_learned_time_constants(kind: type[nn.Module]) -> None:
    torch.manual_seed(1)
    network, frames = kind().double().eval(), torch.randn(4, 1, 8, 8, dtype=torch.float64)
    groups = channel_groups(graph := trace(network, frames))
    expected = by_group(
        network, groups, lambda name: eq_6(network.get_submodule(name), currents_of(network, name, frames))
    )
    np.testing.assert_allclose(criticality(network, graph, groups, [frames]), expected, rtol=1e-9)


@pytest.mark.parametrize("kind", SURROGATES)
@pytest.mark.parametrize("alpha", [0.7, 3.0])
def test_each_surrogate_of_recipes_scores_by_its_own_derivative(kind: str, alpha: float) -> None:
    neurons = {"v_threshold": 0.4, "surrogate": kind, "alpha": alpha, "tau": 1.5}
    network = build(parse_recipe({**RECIPE, "neuron": neurons}, "tiny"), (1, 8, 8), 3).double().eval()
    frames = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0)).double()
    groups = channel_groups(graph := trace(network, frames))
    expected = by_group(
        network, groups, lambda name: eq_6(network.get_submodule(name), currents_of(network, name, frames))
    )
    np.testing.assert_allclose(criticality(network, graph, groups, [frames]), expected, rtol=1e-9)


@pytest.mark.parametrize("spikes", [True, False])
def test_activity_is_the_mean_of_spikes_and_of_what_is_left(
    network: nn.Module, frames: torch.Tensor, spikes: bool
) -> None:
    groups = channel_groups(graph := trace(network, frames))

    def expected(name: str) -> np.ndarray:
        _, fired, left = run(network.get_submodule(name), currents_of(network, name, frames))
        return (np.abs(left) + (fired if spikes else 0.0)).mean((0, 1, 3))

    found = criticality(network, graph, groups, [frames], Activity(spikes))
    np.testing.assert_allclose(found, by_group(network, groups, expected), rtol=1e-9, atol=1e-12)


def test_scores_do_not_depend_on_the_batches_and_leave_no_trace(network: nn.Module, frames: torch.Tensor) -> None:
    groups = channel_groups(graph := trace(network, frames))
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
    groups = channel_groups(graph := trace(network, frames))
    expected = criticality(network, graph, groups, [frames])
    repeated = frames.unsqueeze(0).repeat(4, 1, 1, 1, 1)
    assert np.allclose(criticality(network, graph, groups, [repeated]), expected, rtol=1e-5)


# ---------------------------------------------------------------------------------------------------------------------
# Surrogate functions

PEAKED = [
    surrogate.ATan(2.0), surrogate.ATan(0.5), surrogate.Sigmoid(), surrogate.Erf(3.0), surrogate.SoftSign(),
    surrogate.PiecewiseQuadratic(), surrogate.PiecewiseExp(2.0), surrogate.NonzeroSignLogAbs(),
    surrogate.QPseudoSpike(), surrogate.PiecewiseLeakyReLU(), surrogate.SquarewaveFourierSeries(4), surrogate.Rect(),
]  # fmt: skip


@pytest.mark.parametrize("function", PEAKED, ids=str)
def test_the_derivative_is_that_of_the_primitive_function_by_finite_differences(function: nn.Module) -> None:
    u, step = torch.linspace(-1.93, 1.91, 40, dtype=torch.float64), 1e-6
    found = trained_slope("x", neuron.IFNode(surrogate_function=function))(u)
    function.spiking = False
    with torch.no_grad():
        slope = (function(u + step) - function(u - step)) / (2 * step)
        peak = (function(torch.tensor([1e-6], dtype=u.dtype)) - function(torch.tensor([0.0], dtype=u.dtype))) / 1e-6
    np.testing.assert_allclose(found, slope / peak, rtol=1e-4, atol=1e-6)
    as_trained_without_spikes = trained_slope("x", neuron.IFNode(surrogate_function=function))(u)
    np.testing.assert_allclose(as_trained_without_spikes, found, rtol=1e-6, atol=1e-9)
    function.spiking = True


def test_of_atan_with_alpha_2_it_is_the_papers() -> None:
    u = torch.linspace(-2, 2, 41, dtype=torch.float64)
    torch.testing.assert_close(
        trained_slope("x", neuron.IFNode(surrogate_function=surrogate.ATan(2.0)))(u), atan_slope(u)
    )
    assert atan_slope(torch.tensor([0.0, 1 / torch.pi, 1.0])).tolist() == pytest.approx([1.0, 0.5, 1 / (1 + np.pi**2)])


def test_in_units_of_the_threshold_scores_do_not_change_with_the_scale_of_a_network() -> None:
    """A network in which all thresholds, and all that neurons receive, are three times as large fires alike."""
    frames = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(0)).double()
    found = []
    for scale in (1.0, 3.0):
        network = build(parse_recipe(RECIPE, "tiny"), (1, 8, 8), 3).double().eval()
        for module in network.modules():
            if isinstance(module, neuron.BaseNode):
                module.v_threshold *= scale
            elif isinstance(module, nn.BatchNorm2d):
                module.weight.data *= scale
                module.bias.data *= scale
        graph = trace(network, frames)
        found.append(criticality(network, graph, channel_groups(graph), [frames]))
    np.testing.assert_allclose(*found, rtol=1e-9)


class Triangle(torch.autograd.Function):
    """A surrogate as users write it."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return (x >= 0).to(x)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return gradient * 0.3 * (1 - ctx.saved_tensors[0].abs()).clamp(min=0)


class NoSlope(Triangle):
    """One whose slope vanishes."""

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return gradient * 0.0


def test_functions_of_the_users_own_score_alike_by_whatever_name() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mine = surrogate.Sigmoid(2.0)

    u = torch.tensor([-2.0, -0.5, 0.0, 0.25, 1.0])
    by_hand = trained_slope("x", neuron.IFNode(surrogate_function=Triangle.apply))(u)
    assert by_hand.tolist() == pytest.approx([0.0, 0.5, 1.0, 0.75, 0.0])
    found, same = trained_slope("x", Own())(u), neuron.IFNode(surrogate_function=surrogate.Sigmoid(2.0))
    torch.testing.assert_close(found, trained_slope("x", same)(u))


def test_neurons_whose_surrogate_cannot_score_are_refused() -> None:
    without = (
        r"^layer body\.1: ReLU has no surrogate function to score by; call it surrogate_function, or score by the "
        r"paper's surrogate function \(--surrogate paper\)$"
    )
    with pytest.raises(InputError, match=without):
        trained_slope("body.1", nn.ReLU())
    flat = (
        r"^layer body\.1: the derivative of its surrogate function LogTailedReLU is 0 at the threshold, but scores "
        r"are in units of that; score by the paper's surrogate function \(--surrogate paper\)$"
    )
    with pytest.raises(InputError, match=flat):
        trained_slope("body.1", neuron.IFNode(surrogate_function=surrogate.LogTailedReLU()))
    with pytest.raises(InputError, match=r"of its surrogate function Sigmoid is -0\.25 at the threshold"):
        trained_slope("body.1", neuron.IFNode(surrogate_function=surrogate.Sigmoid(-1.0)))
    with pytest.raises(InputError, match=r"of its surrogate function NoSlope is 0 at the threshold"):
        trained_slope("body.1", neuron.IFNode(surrogate_function=NoSlope.apply))
    with pytest.raises(InputError, match=r"of its surrogate function heaviside is 0 at the threshold"):
        trained_slope("body.1", neuron.IFNode(surrogate_function=surrogate.heaviside))
    Criticality(surrogate="paper").begin(None, CubaLif(0.0, 1.0))  # type: ignore[arg-type]  # needs none


# ---------------------------------------------------------------------------------------------------------------------
# Scores of channels


def set_scales(network: nn.Module, groups: tuple[ChannelGroup, ...], sign: float, gradients: bool) -> list[float]:
    """Give all BatchNorms scales, or gradients of scales, by the number of group, norm and channel; their means."""
    expected = []
    for number, group in enumerate(groups):
        values = [number + (channel + 1) / 100 for channel in range(group.channels)]
        scales = channels._scales(group)
        for behind, (norm, places) in enumerate(scales):
            weight = network.get_submodule(norm).weight
            tensor = torch.full_like(weight, 99.0) if gradients else weight.data
            tensor[places] = sign * (1 + behind) * torch.tensor(values, dtype=tensor.dtype)
            if gradients:
                weight.grad = tensor
        expected += [value * np.mean(range(1, len(scales) + 1)) for value in values]
    return expected


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_magnitude_is_the_size_of_each_scale_in_the_order_of_the_groups(
    network: nn.Module, frames: torch.Tensor, sign: float
) -> None:
    groups = tuple(group for group in channel_groups(trace(network, frames)) if group.scales)
    expected = set_scales(network, groups, sign, gradients=False)
    np.testing.assert_allclose(magnitude(network, groups), expected)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_gradient_score_is_that_of_the_scales_as_it_stands(
    network: nn.Module, frames: torch.Tensor, sign: float
) -> None:
    groups = tuple(group for group in channel_groups(trace(network, frames)) if group.scales)
    expected = set_scales(network, groups, sign, gradients=True)
    np.testing.assert_allclose(scale_gradient(network, groups), expected)


def two_layers() -> tuple[nn.Module, tuple[ChannelGroup, ...]]:
    """Two groups, of 2 channels from 1x1x1 filters and of 3 from 2x1x1 filters."""
    parts = [layer.Conv2d(1, 2, 1), layer.BatchNorm2d(2), neuron.IFNode(), layer.Conv2d(2, 3, 1)]
    parts += [layer.BatchNorm2d(3), neuron.IFNode(), layer.Flatten(), layer.Linear(3 * 4, 2), neuron.IFNode()]
    network = nn.Sequential(*parts).eval()
    return network, channel_groups(trace(network, torch.zeros(1, 1, 2, 2)))


def test_filters_compare_by_their_l1_norm_over_the_mean_of_their_layer() -> None:
    network, groups = two_layers()
    network[0].weight.data = torch.tensor([-1.0, 3.0]).view(2, 1, 1, 1)
    network[3].weight.data = torch.tensor([[1.0, -1.0], [0.0, 6.0], [-3.0, 1.0]]).view(3, 2, 1, 1)
    assert filter_norm(network, groups).tolist() == pytest.approx([0.5, 1.5, 0.5, 1.5, 1.0])
    network[3].weight.data *= 100.0  # BatchNorm undoes it
    assert filter_norm(network, groups).tolist() == pytest.approx([0.5, 1.5, 0.5, 1.5, 1.0])
    network[0].weight.data.zero_()
    assert filter_norm(network, groups).tolist() == pytest.approx([0.0, 0.0, 0.5, 1.5, 1.0])


def test_channels_that_a_selection_gathers_have_no_filters_to_rank() -> None:
    layers = [{"conv": 8}, {"block": "preact", "channels": 8}, {"linear": 6}]
    network = build(parse_recipe({**RECIPE, "layers": layers}, "tiny"), (1, 8, 8), 3).eval()
    groups = channel_groups(trace(network, torch.zeros(1, 1, 8, 8)))
    expected = (
        r"^the channels of body\.block2\.selection are gathered from a residual stream, so 0 filters make them, and "
        r"none can be ranked by its norm: choose another score, or couple the layers of the stream$"
    )
    with pytest.raises(InputError, match=expected):
        filter_norm(network, groups)


@pytest.mark.parametrize("kind", ["td", "sew", "ms"])
def test_layers_of_a_residual_stream_that_are_coupled_count_alike(kind: str) -> None:
    """Every score of a channel is the mean over the stream's layers, each by itself."""
    layers = [{"conv": 8}, {"block": kind, "channels": 8, "repeat": 2}, {"linear": 6}]
    network = build(parse_recipe({**RECIPE, "layers": layers}, "tiny"), (1, 8, 8), 3).double().eval()
    frames = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0)).double()
    graph = trace(network, frames)
    (stream,) = (group for group in channel_groups(graph, "coupled") if len(group.producers) > 1)
    assert len(stream.neurons) > 1 and len(stream.norms) == len(stream.producers) == 3

    def mean(paths: tuple[str, ...], score: Any) -> np.ndarray:
        return np.mean([score(path) for path in paths], axis=0)

    def filters(path: str) -> np.ndarray:
        sizes = network.get_submodule(path).weight.detach().abs().sum((1, 2, 3)).numpy()
        return sizes / sizes.mean()

    for number, norm in enumerate(stream.norms):
        network.get_submodule(norm).weight.data.uniform_(-1.0 - number, 1.0)
    expected = mean(stream.norms, lambda path: network.get_submodule(path).weight.detach().abs().numpy())
    np.testing.assert_allclose(magnitude(network, (stream,)), expected)
    np.testing.assert_allclose(filter_norm(network, (stream,)), mean(stream.producers, filters))
    expected = mean(stream.neurons, lambda path: eq_6(network.get_submodule(path), currents_of(network, path, frames)))
    np.testing.assert_allclose(criticality(network, graph, (stream,), [frames]), expected, rtol=1e-9)


def test_random_scores_repeat_with_the_seed_and_are_spread_over_0_to_1() -> None:
    _, groups = two_layers()
    one, same, other = (channels.random(groups, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert one.shape == (5,) and (one == same).all() and (one != other).any()
    many = channels.random(groups * 400, torch.Generator().manual_seed(0))
    assert many.min() >= 0 and many.max() < 1 and abs(many.mean() - 0.5) < 0.03 and len(set(many)) == 2000


def test_gradients_of_scales_are_those_of_the_loss() -> None:
    """Accumulated over batches they are the gradient of the sum of their losses: finite differences."""
    torch.manual_seed(0)
    network, groups = two_layers()
    network.double()
    for index in (2, 5, 8):  # a smooth stand-in for spikes, whose slope can be measured
        network[index].surrogate_function = surrogate.Sigmoid(spiking=False)
    batches = [torch.rand(3, 1, 2, 2, dtype=torch.float64) for _ in range(2)]

    def loss(frames: torch.Tensor) -> torch.Tensor:
        functional.reset_net(network)
        return network(frames).square().sum()

    for frames in batches:
        loss(frames).backward()
    expected = []
    for norm in (network[1], network[4]):
        for channel in range(norm.num_features):
            sides = []
            for step in (1e-6, -1e-6):
                with torch.no_grad():
                    norm.weight[channel] += step
                    sides.append(sum(loss(frames).item() for frames in batches))
                    norm.weight[channel] -= step
            expected.append(abs(sides[0] - sides[1]) / 2e-6)
    np.testing.assert_allclose(scale_gradient(network, groups), expected, rtol=1e-5)
