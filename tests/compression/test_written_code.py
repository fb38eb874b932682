"""Pruning networks whose code computes with functions, numbers and products: what goes is what would be masked."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from masking import mask_channels
from spikingjelly.activation_based import functional, neuron
from torch import nn
from torch.nn import functional as F

from neuroprune.compression.channels import channel_groups
from neuroprune.compression.surgery import removable, remove_channels, trace_pruned
from neuroprune.compression.synops import SynopsCounter
from neuroprune.compression.weights import prunable_weights
from neuroprune.errors import InputError
from neuroprune.graph.trace import trace

FRAMES = torch.rand(4, 2, 6, 6, generator=torch.Generator().manual_seed(3)).mul(3)
STEPS = 3


class Net(nn.Module):
    """Two convolutions and a linear layer, with neurons behind each; `hidden` is what comes behind the first."""

    def __init__(self, hidden: Callable[["Net", torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.hidden = hidden
        self.conv1, self.norm, self.conv2, self.fc = (
            nn.Conv2d(2, 6, 3, bias=False), nn.BatchNorm2d(6), nn.Conv2d(6, 8, 3), nn.Linear(32, 3)
        )  # fmt: skip
        self.same = nn.Conv2d(6, 6, 3, padding=1)
        self.one, self.two, self.three, self.four = (neuron.IFNode(v_threshold=0.1) for _ in range(4))
        self.by_channel = nn.Parameter(torch.rand(6) + 0.5)
        self.weight = nn.Parameter(torch.randn(8, 6, 3, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return sum(self.three(self.fc(self.two(self.hidden(self, x)).flatten(1))) for _ in range(STEPS)) / STEPS


def function(net: Net, x: torch.Tensor) -> torch.Tensor:
    return F.conv2d(net.one(net.conv1(x)), net.conv2.weight, net.conv2.bias)


def number(net: Net, x: torch.Tensor) -> torch.Tensor:
    return net.conv2(net.one(net.conv1(x) * 2.0))


def shift(net: Net, x: torch.Tensor) -> torch.Tensor:
    return net.conv2(net.one(net.norm(net.conv1(x)) + 0.9))


def shifted_spikes(net: Net, x: torch.Tensor) -> torch.Tensor:
    return net.conv2(net.one(net.conv1(x)) - 0.5)


def numbers_by_channel(net: Net, x: torch.Tensor) -> torch.Tensor:
    return net.conv2(net.one(net.conv1(x) * net.by_channel[None, :, None, None]))


def weight_of_the_code(net: Net, x: torch.Tensor) -> torch.Tensor:
    return F.conv2d(net.one(net.conv1(x)), net.weight / net.weight.abs().mean())


def both(net: Net, x: torch.Tensor) -> torch.Tensor:
    x = net.one(net.conv1(x))
    return net.conv2(x * net.four(net.same(x)))


def one_and_not_the_other(net: Net, x: torch.Tensor) -> torch.Tensor:
    x = net.one(net.conv1(x))
    return net.conv2(x * (1 - net.four(net.same(x))))


def neither(net: Net, x: torch.Tensor) -> torch.Tensor:
    x = net.one(net.conv1(x))
    return net.conv2((1 - x) * (1 - net.four(net.same(x))))


def plain(net: Net, x: torch.Tensor) -> torch.Tensor:
    return net.conv2(net.one(net.conv1(x)))


LAST = {"conv2"}


def run(network: nn.Module) -> torch.Tensor:
    functional.reset_net(network)
    with torch.no_grad():
        return network(FRAMES)


@pytest.mark.parametrize(
    ("hidden", "residual", "prunable"),
    [
        (function, "gather", {"conv1"} | LAST),
        (number, "gather", {"conv1"} | LAST),
        (shift, "gather", LAST),
        (shifted_spikes, "gather", LAST),
        (numbers_by_channel, "gather", LAST),
        (weight_of_the_code, "gather", set()),
        (both, "gather", LAST),
        (both, "coupled", {"conv1"} | LAST),
        (one_and_not_the_other, "coupled", {"conv1"} | LAST),
        (neither, "coupled", LAST),
    ],
)
def test_channels_are_those_that_code_can_do_without(hidden: Any, residual: Any, prunable: set[str]) -> None:
    network = Net(hidden).eval()
    groups = removable(network, channel_groups(trace(network, FRAMES), residual))
    assert {group.name for group in groups} == prunable
    kept = {group.name: (torch.arange(group.channels) % 2 == 0).numpy() for group in groups}
    expected = run(mask_channels(network, groups, kept))
    assert torch.equal(run(remove_channels(network, groups, kept)), expected)
    assert expected.any()


def test_weights_that_code_computes_with_are_pruned_where_a_layer_has_them() -> None:
    found = {}
    for hidden in (function, weight_of_the_code):
        network = Net(hidden).eval()
        weights = prunable_weights(network, trace(network, FRAMES))
        found[hidden] = {weight.parameter: weight.neuron for weight in weights}
    assert found[function] == {"conv1.weight": "one", "conv2.weight": "two", "fc.weight": "three"}
    assert found[weight_of_the_code] == {"conv1.weight": "one", "fc.weight": "three"}


def spent(network: nn.Module) -> float:
    counter = SynopsCounter(trace(network, FRAMES))
    with counter.attached(network):
        run(network)
    return counter.per_sample


def test_operations_of_functions_are_those_of_layers() -> None:
    expected = spent(Net(plain).eval())
    assert spent(Net(function).eval()) == expected > 0
    own = Net(weight_of_the_code).eval()
    own.conv2.bias.data.zero_()
    same = Net(plain).eval()
    same.conv2.weight.data, same.conv2.bias = own.weight.data / own.weight.data.abs().mean(), None
    assert spent(own) == spent(same)


def test_operations_that_cannot_be_counted_are_named() -> None:
    network = Net(plain).eval()
    counter = SynopsCounter(trace(network, FRAMES))
    expected = (
        r"^layer conv1: none of its inputs has the last axes \(2, 6, 6\), so that its synaptic operations cannot be "
        r"counted; put time and samples before them$"
    )
    with pytest.raises(InputError, match=expected):
        _ = counter.per_sample


def test_code_that_does_not_follow_its_widths_is_told_so() -> None:
    network = Net(plain).eval()
    network.conv1 = nn.Conv2d(2, 5, 3)
    with pytest.raises(InputError, match=r"^Net does not run with fewer channels \(.*such as flatten\(1\)"):
        trace_pruned(network, FRAMES, None)
