"""Removing channels is the same as silencing them, on every kind of network and in both modes."""

from typing import Any, get_args

import numpy as np
import pytest
import torch
from masking import mask_channels
from sample_networks import (
    Concatenating,
    DepthwiseSeparable,
    GlobalPool,
    MembraneReadout,
    MembraneResidual,
    ParametricTau,
    PreactivationResidual,
    SewResidual,
    SharedModule,
    SoftReset,
    TdResidual,
    Voting,
    stir,
)
from spikingjelly.activation_based import base, functional, layer, neuron
from torch import nn
from torch.nn.utils import parametrizations

from neuroprune.compression.channels import ChannelGroup, Residual, channel_groups
from neuroprune.compression.select import Mask
from neuroprune.compression.surgery import duplicate, removable, remove_channels, silence_channels
from neuroprune.graph.nodes import Graph
from neuroprune.graph.trace import trace
from neuroprune.selection import ChannelSelection
from neuroprune.training.tensors import load_tensors

MODES: tuple[Residual, ...] = get_args(Residual)

BRANCHING = (
    *(TdResidual, SewResidual, MembraneResidual, PreactivationResidual, Concatenating, SharedModule, ParametricTau),
    *(SoftReset, DepthwiseSeparable, GlobalPool, MembraneReadout, Voting),
)


@pytest.fixture
def graph(network: nn.Module, frames: torch.Tensor) -> Graph:
    return trace(network, frames)


@pytest.fixture(params=MODES)
def groups(graph: Graph, request: pytest.FixtureRequest) -> tuple[ChannelGroup, ...]:
    return channel_groups(graph, request.param)


def spikes_of(network: nn.Module, frames: torch.Tensor) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Every neuron layer's spikes, over all time steps, and the output."""
    seen: dict[str, list[torch.Tensor]] = {}

    def record(name: str) -> Any:
        return lambda module, args, spikes: seen.setdefault(name, []).append(spikes)

    hooks = [
        module.register_forward_hook(record(name))
        for name, module in network.named_modules()
        if isinstance(module, base.MemoryModule) and hasattr(module, "v_threshold")
    ]
    functional.reset_net(network)
    with torch.no_grad():
        output = network(frames)
    functional.reset_net(network)
    for hook in hooks:
        hook.remove()
    return {name: torch.stack(calls) for name, calls in seen.items()}, output


def some_kept(groups: tuple[ChannelGroup, ...], seed: int = 0) -> dict[str, Mask]:
    """Three quarters of each group, taken at random."""
    generator = np.random.default_rng(seed)
    return {group.name: generator.permutation(group.channels) < 3 * group.channels // 4 for group in groups}


def check_removal(
    network: nn.Module, frames: torch.Tensor, groups: tuple[ChannelGroup, ...], kept: dict[str, Mask]
) -> None:
    """Masked channels never fire, and without them all neurons fire as before."""
    graph = trace(network, frames)
    masked, masked_output = spikes_of(mask_channels(network, groups, kept), frames)
    slim, slim_output = spikes_of(remove_channels(network, groups, kept), frames)
    by_neuron = {name: group for group in groups for name in group.neurons}
    assert masked.keys() == slim.keys()
    for name, spikes in masked.items():
        if name in by_neuron:
            axis = spikes.dim() - len(graph[name].shape)
            stays = torch.from_numpy(kept[by_neuron[name].name])
            gone = spikes.index_select(axis, (~stays).nonzero().flatten())
            assert not gone.any(), f"{name} fires in a masked channel"
            spikes = spikes.index_select(axis, stays.nonzero().flatten())
        assert 0 < spikes.mean() < 1, f"{name} shows nothing"
        assert torch.equal(spikes, slim[name]), name
    torch.testing.assert_close(masked_output, slim_output, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("seed", range(2))
def test_a_slimmed_network_fires_exactly_as_the_masked_one(
    network: nn.Module, frames: torch.Tensor, groups: tuple[ChannelGroup, ...], seed: int
) -> None:
    check_removal(network, frames, groups, some_kept(groups, seed))


@pytest.mark.parametrize("residual", MODES)
@pytest.mark.parametrize("kind", BRANCHING)
def test_removal_equals_masking_wherever_networks_branch(kind: type[nn.Module], residual: Residual) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = stir(kind())
        channels = 2 if kind in (PreactivationResidual, DepthwiseSeparable) else 1
        frames = torch.randn(4, channels, 8, 8, dtype=torch.float64)
    groups = removable(network, channel_groups(trace(network, frames), residual))
    kept = some_kept(groups)
    masked, masked_output = spikes_of(mask_channels(network, groups, kept), frames)
    slim, slim_output = spikes_of(remove_channels(network, groups, kept), frames)
    torch.testing.assert_close(masked_output, slim_output, rtol=1e-12, atol=1e-12)
    assert groups or kind in (Concatenating, SharedModule)
    assert all(masked[name].sum() == spikes.sum() for name, spikes in slim.items())


class Scaled(nn.Module):
    """A stream with everything that may lie on it: factors, norms after neurons, a bare depthwise layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.fire1, self.fire2, self.fire3, self.fire4 = (neuron.IFNode(v_threshold=0.6) for _ in range(4))
        self.joined = neuron.LIFNode(tau=2.0)
        self.after, self.again = nn.BatchNorm2d(8), nn.BatchNorm2d(8)
        self.conv = nn.Conv2d(8, 8, 3, padding=1)
        self.each = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.shortcut = nn.Conv2d(8, 8, 1)
        self.linear, self.head = nn.Linear(8 * 16, 6), nn.Linear(6, 4)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        total = 0.0
        for _ in range(3):
            spikes = self.fire1(0.5 * self.norm(self.stem(frames)) * 1.5)
            current = self.conv(spikes) + 0.7 * self.again(self.after(spikes))
            spikes = self.fire2(self.each(self.fire3(current)) * 0.9)
            pooled = nn.functional.avg_pool2d(self.joined(spikes + self.shortcut(spikes)), 2)
            total = total + self.head(self.fire4(self.linear(pooled.flatten(1))))
        return total / 3


def test_whatever_lies_on_a_stream_is_silenced_and_cut() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network, frames = stir(Scaled()), torch.randn(6, 1, 8, 8, dtype=torch.float64)
    stream, linear = removable(network, channel_groups(trace(network, frames), "coupled"))
    assert (stream.producers, stream.bare) == (("stem", "conv", "each", "shortcut"), ("conv", "each", "shortcut"))
    assert (stream.norms, stream.consumers) == (("norm", "after", "again"), ("conv", "shortcut", "linear"))
    assert (linear.producers, linear.bare, linear.consumers) == (("linear",), ("linear",), ("head",))
    check_removal(network, frames, (stream, linear), some_kept((stream, linear)))


def test_masks_are_equal_along_a_stream(
    network: nn.Module, frames: torch.Tensor, graph: Graph, groups: tuple[ChannelGroup, ...]
) -> None:
    kept = some_kept(groups)
    masked = mask_channels(network, groups, kept)
    for group in groups:
        gone = ~kept[group.name]
        for producer in group.bare:
            rows = masked.get_submodule(producer).weight.flatten(1)
            assert np.array_equal(~rows.any(1).numpy(), gone)
        for norm, places in group.scales:
            scale, shift = (getattr(masked.get_submodule(norm), name)[list(places)] for name in ("weight", "bias"))
            assert np.array_equal((scale == 0).numpy(), gone) and not shift[torch.from_numpy(gone)].any()


def test_the_slimmed_network_states_its_new_widths_everywhere(
    network: nn.Module, groups: tuple[ChannelGroup, ...]
) -> None:
    kept = some_kept(groups)
    slim = remove_channels(network, groups, kept)
    for group in groups:
        width = int(kept[group.name].sum())
        for producer in map(slim.get_submodule, group.producers):
            assert len(producer.weight) == width == getattr(producer, "out_channels", width)
            if getattr(producer, "groups", 1) > 1:
                assert producer.groups == producer.in_channels == width
        for norm in map(slim.get_submodule, group.norms):
            assert norm.num_features == len(norm.running_var) == len(norm.weight) == width
        for gather in group.gathers:
            selection = slim.get_submodule(gather.selection)
            assert torch.equal(selection.channels, torch.tensor(gather.channels)[torch.from_numpy(kept[group.name])])
            assert slim.get_submodule(gather.norm).num_features == selection.width
        for selection in map(slim.get_submodule, group.selections):
            assert torch.equal(selection.channels, torch.arange(width)) and selection.width == width
        for consumer in group.consumers:
            after, before = slim.get_submodule(consumer), network.get_submodule(consumer)
            inputs = after.in_channels if isinstance(after, nn.Conv2d) else after.in_features
            assert inputs == after.weight.shape[1] < before.weight.shape[1]


def test_surgery_leaves_the_given_network_as_it_was(network: nn.Module, groups: tuple[ChannelGroup, ...]) -> None:
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    remove_channels(network, groups, some_kept(groups))
    mask_channels(network, groups, some_kept(groups))
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_silencing_changes_the_network_itself_and_keeps_its_parameters(
    network: nn.Module, groups: tuple[ChannelGroup, ...]
) -> None:
    parameters = dict(network.named_parameters())
    silence_channels(network, groups, some_kept(groups))
    assert all(network.get_parameter(name) is parameter for name, parameter in parameters.items())
    expected = mask_channels(network, groups, some_kept(groups)).state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in network.state_dict().items())


def test_a_network_whose_neurons_still_hold_gradients_can_be_copied(network: nn.Module, frames: torch.Tensor) -> None:
    functional.reset_net(network)
    network.train()(frames).sum().backward()
    assert duplicate(network).training


def test_the_slimmed_network_can_be_trained(
    network: nn.Module, frames: torch.Tensor, groups: tuple[ChannelGroup, ...]
) -> None:
    slim = remove_channels(network, groups, some_kept(groups)).train()
    slim(frames).sum().backward()
    assert all(
        parameter.grad is not None and parameter.grad.shape == parameter.shape for parameter in slim.parameters()
    )


def test_a_layer_held_under_two_names_is_cut_under_both(network: nn.Module, frames: torch.Tensor) -> None:
    for group in channel_groups(trace(network, frames)):
        for path in (*group.producers[:1], *group.norms[:1], group.consumers[0]):
            network.add_module(f"again_{path.replace('.', '_')}", network.get_submodule(path))
    groups = channel_groups(trace(network, frames))
    check_removal(network, frames, groups, some_kept(groups))


def test_a_slimmed_network_is_restored_by_the_code_that_built_the_dense_one(
    network: nn.Module, frames: torch.Tensor, groups: tuple[ChannelGroup, ...]
) -> None:
    slim = remove_channels(network, groups, some_kept(groups))
    restored = duplicate(network)
    load_tensors(restored, slim.state_dict())
    assert torch.equal(spikes_of(restored, frames)[1], spikes_of(slim, frames)[1])


@pytest.mark.parametrize("second", MODES)
def test_a_slimmed_network_can_be_slimmed_again(
    network: nn.Module, frames: torch.Tensor, groups: tuple[ChannelGroup, ...], second: Residual
) -> None:
    once = remove_channels(network, groups, some_kept(groups))
    fewer = channel_groups(trace(once, frames), second)
    kept = some_kept(fewer, seed=1)
    masked_output = spikes_of(mask_channels(once, fewer, kept), frames)[1]
    slim_output = spikes_of(remove_channels(once, fewer, kept), frames)[1]
    torch.testing.assert_close(masked_output, slim_output, rtol=1e-12, atol=1e-12)


class Joined(nn.Module):
    """Two selections of a stream and a convolution, added up; the stream itself is read by another convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.conv = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(1, 4, 3, padding=1)
        self.norm1, self.norm2 = nn.BatchNorm2d(8), nn.BatchNorm2d(8)
        self.pick1, self.pick2 = ChannelSelection(8), ChannelSelection(8)
        self.pick1.channels, self.pick2.channels = torch.tensor([0, 2, 3, 6]), torch.tensor([1, 2, 5, 7])
        self.fire1, self.fire2, self.output = (neuron.IFNode() for _ in range(3))
        self.two = nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4 * 64 + 8 * 64, 3)
        self.fire_stem = neuron.IFNode()

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        total = 0.0
        for _ in range(3):
            stream = self.stem(frames)
            added = self.pick1(self.norm1(stream)) + self.pick2(self.norm2(stream)) + self.conv(frames)
            spikes = self.fire2(self.two(self.fire1(added)))
            total = total + self.output(self.head(torch.cat([spikes, self.fire_stem(stream)], 1).flatten(1)))
        return total / 3


def test_selections_that_are_added_up_lose_their_channels_together() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network, frames = stir(Joined()), torch.randn(4, 1, 8, 8, dtype=torch.float64)
    (group,) = removable(network, channel_groups(trace(network, frames), "coupled"))
    assert [gather.selection for gather in group.gathers] == ["pick1", "pick2"]
    assert (group.producers, group.bare, group.consumers) == (("conv",), ("conv",), ("two",))
    kept = {group.name: np.array([True, False, True, False])}
    check_removal(network, frames, (group,), kept)
    slim = remove_channels(network, (group,), kept)
    assert (slim.pick1.channels.tolist(), slim.pick2.channels.tolist()) == ([0, 3], [1, 5])


class Plain(nn.Module):
    """Two convolutions, where tests put layers that do not let channels go."""

    def __init__(self, one: nn.Module, norm: nn.Module, two: nn.Module) -> None:
        super().__init__()
        self.one, self.norm, self.two = one, norm, two
        self.fire1, self.fire2 = neuron.IFNode(), neuron.IFNode()

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return sum(self.fire2(self.two(self.fire1(self.norm(self.one(frames)))).flatten(1)) for _ in range(2)) / 2


def removable_names(network: nn.Module) -> list[str]:
    groups = channel_groups(trace(network, torch.rand(1, 4, 5, 5)))
    assert [group.name for group in groups] == ["one"]
    return [group.name for group in removable(network, groups)]


def test_channels_are_left_alone_where_a_layer_does_not_let_them_go() -> None:
    def conv() -> nn.Module:
        return nn.Conv2d(4, 4, 3)

    assert removable_names(Plain(conv(), nn.BatchNorm2d(4), conv())) == ["one"]
    assert removable_names(Plain(conv(), nn.BatchNorm2d(4, affine=False), conv())) == []
    assert removable_names(Plain(conv(), nn.BatchNorm2d(4), layer.WSConv2d(4, 4, 3))) == []
    assert removable_names(Plain(parametrizations.weight_norm(conv()), nn.BatchNorm2d(4), conv())) == []
    tied = Plain(conv(), nn.BatchNorm2d(4), conv())
    tied.two.weight = tied.one.weight
    assert removable_names(tied) == []


def test_a_producer_with_standardised_weights_is_cut_with_its_gains() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Plain(layer.WSConv2d(4, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3)).double().eval()
        nn.init.uniform_(network.one.gain, 2.0, 6.0)
        nn.init.constant_(network.two.bias, 1.0)
        frames = torch.randn(6, 4, 5, 5, dtype=torch.float64)
    groups = removable(network, channel_groups(trace(network, frames)))
    check_removal(network, frames, groups, {"one": np.array([True, False, True, True])})
