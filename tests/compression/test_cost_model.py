"""What a selection is predicted to cost against what the slimmed network really has."""

from typing import Any, get_args

import numpy as np
import pytest
import torch
from masking import mask_channels
from spikingjelly.activation_based import layer, neuron
from torch import nn

from neuroprune.compression.channels import ChannelGroup, Residual, channel_groups
from neuroprune.compression.cost import count_macs, synapse_work
from neuroprune.compression.cost_model import CostModel, cost_model
from neuroprune.compression.select import Mask
from neuroprune.compression.surgery import remove_channels
from neuroprune.compression.synops import SynopsCounter
from neuroprune.graph.nodes import Graph
from neuroprune.graph.trace import trace


@pytest.fixture
def graph(network: nn.Module, frames: torch.Tensor) -> Graph:
    return trace(network, frames)


@pytest.fixture(params=get_args(Residual))
def groups(graph: Graph, request: pytest.FixtureRequest) -> tuple[ChannelGroup, ...]:
    return channel_groups(graph, request.param)


def some_masks(groups: tuple[ChannelGroup, ...], count: int) -> Mask:
    """Random masks [count, channels of all groups] that keep at least a channel of each group."""
    generator = np.random.default_rng(0)
    parts = []
    for group in groups:
        order = generator.permuted(np.tile(np.arange(group.channels), (count, 1)), axis=1)
        parts.append(order < generator.integers(1, group.channels + 1, (count, 1)))
    return np.concatenate(parts, axis=1)


def by_group(groups: tuple[ChannelGroup, ...], mask: Mask) -> dict[str, Mask]:
    ends = np.cumsum([group.channels for group in groups])
    return dict(zip([group.name for group in groups], np.split(mask, ends[:-1]), strict=True))


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_flops_and_parameters_are_exactly_those_of_the_slimmed_network(
    network: nn.Module, frames: torch.Tensor, graph: Graph, groups: tuple[ChannelGroup, ...]
) -> None:
    masks = some_masks(groups, 3)
    shares = cost_model(network, graph, groups).shares(masks)
    assert set(shares) == {"flops", "params"}
    for number, mask in enumerate(masks):
        slim = remove_channels(network, groups, by_group(groups, mask))
        assert shares["params"][number] == parameters(slim) / parameters(network)
        macs = count_macs(synapse_work(trace(slim, frames)))
        assert shares["flops"][number] == macs / count_macs(synapse_work(graph))


def test_everything_remains_where_every_channel_is_kept(
    network: nn.Module, frames: torch.Tensor, graph: Graph, groups: tuple[ChannelGroup, ...]
) -> None:
    model = cost_model(network, graph, groups, measured(network, graph, frames))
    everything = np.ones((1, len(model.layer)), dtype=np.bool_)
    assert {currency: share.tolist() for currency, share in model.shares(everything).items()} == {
        "flops": [1.0], "params": [1.0], "synops": [1.0]
    }  # fmt: skip
    assert np.array_equal(np.bincount(model.layer), [group.channels for group in groups])


def measured(network: nn.Module, graph: Graph, frames: torch.Tensor) -> dict[str, Any]:
    counter = SynopsCounter(graph)
    with counter.attached(network), torch.no_grad():
        network(frames)
    return counter.by_input


def test_synops_are_those_of_neurons_that_fire_as_before(
    network: nn.Module, frames: torch.Tensor, graph: Graph, groups: tuple[ChannelGroup, ...]
) -> None:
    """The masked network, while it is dense, fires as the slimmed one: its own activity predicts that one's exactly."""
    (mask,) = some_masks(groups, 1)
    kept = by_group(groups, mask)
    dense = measured(mask_channels(network, groups, kept), graph, frames)
    model = cost_model(network, graph, groups, dense)
    slim = remove_channels(network, groups, kept)
    expected = measured(slim, trace(slim, frames), frames)
    share = sum(each.sum() for each in expected.values()) / sum(each.sum() for each in dense.values())
    assert model.shares(mask[None])["synops"][0] == pytest.approx(share, rel=1e-12)


class Tiny(nn.Module):
    """One hidden layer of four channels, two steps."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.fire = nn.Conv2d(1, 4, 1), nn.BatchNorm2d(4), neuron.IFNode(step_mode="m")
        self.linear, self.output = layer.Linear(16, 2, step_mode="m"), neuron.IFNode(step_mode="m")

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        current = self.norm(self.conv(frames)).unsqueeze(0).repeat(2, 1, 1, 1, 1)
        return self.output(self.linear(self.fire(current).flatten(2))).mean(0)


def test_a_hand_worked_case() -> None:
    """Frames 1x2x2 through a 1x1 convolution of 4, its norm, and a linear layer of 16 x 2, for two steps."""
    network = Tiny().eval()
    graph = trace(network, torch.rand(1, 1, 2, 2))
    synops = {"conv": np.array([32.0]), "linear": np.arange(16.0)}
    model: CostModel = cost_model(network, graph, channel_groups(graph), synops)
    shares = model.shares(np.array([[True, False, False, True]]))
    macs, kept_macs = 4 * 4 + 2 * 16 * 2, 4 * 2 + 2 * 8 * 2
    numbers, kept_numbers = (4 + 4) + (4 + 4) + (32 + 2), (2 + 2) + (2 + 2) + (16 + 2)
    events, kept_events = 32 + 120, 16 + (0 + 1 + 2 + 3) + (12 + 13 + 14 + 15)
    assert (shares["flops"][0], shares["params"][0], shares["synops"][0]) == (
        kept_macs / macs, kept_numbers / numbers, kept_events / events
    )  # fmt: skip
