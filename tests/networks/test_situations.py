"""Small networks in the situations that published code shows: read as they are meant, or refused with the reason."""

from typing import Any

import pytest
import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import nn

from neuroprune.errors import InputError, UnsupportedNetwork
from neuroprune.graph.fold import fold
from neuroprune.graph.trace import trace
from neuroprune.networks.probing import present
from neuroprune.simulation.module_check import verify_module

T = 4
FRAMES = 3 * torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(1))


class Net(nn.Module):
    """A convolution, neurons, a linear layer over 4 time steps, joined by `code`."""

    def __init__(self, code: Any, mode: str = "s", conv: type[nn.Module] = layer.Conv2d, **of_neurons: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.code = code
        kind = of_neurons.pop("kind", neuron.LIFNode)
        self.conv, self.lif = conv(1, 4, 3, 2, 1), kind(**of_neurons)
        self.flat, self.fc, self.votes = layer.Flatten(), layer.Linear(64, 10), layer.VotingLayer(10)
        self.wide, self.out = layer.Linear(64, 110), neuron.LIFNode(v_threshold=0.1)
        functional.set_step_mode(self, mode)

    def forward(self, x: torch.Tensor) -> Any:
        return self.code(self, x)

    def step(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.flat(self.lif(self.conv(x))))


def in_a_loop(net: Net, x: torch.Tensor) -> torch.Tensor:
    return sum(net.step(x) for _ in range(T)) / T


def repeated(x: torch.Tensor) -> torch.Tensor:
    return x.unsqueeze(0).repeat(T, 1, 1, 1, 1)


def in_place(net: Net, x: torch.Tensor) -> torch.Tensor:
    x = x.clone()
    x.unsqueeze_(0)
    return net.step(x.repeat(T, 1, 1, 1, 1)).mean(0)


READ = {
    "a list over time": (lambda net, x: [net.step(x) for _ in range(T)], "s"),
    "a list and what was seen on the way": (lambda net, x: ([net.step(x) for _ in range(T)], {"seen": x}), "s"),
    "one step a call": (lambda net, x: net.step(x), "s"),
    "samples before steps": (lambda net, x: net.step(x.permute(1, 0, 2, 3, 4)).mean(0), "m"),
    "sequences": (lambda net, x: net.step(x), "m"),
    "votes of ten for each of eleven": (
        lambda net, x: net.votes(net.out(net.wide(net.flat(net.lif(net.conv(repeated(x))))))),
        "m",
    ),
    "an axis added in place": (in_place, "m"),
    "a linear head behind the mean over time": (
        lambda net, x: nn.functional.linear(
            net.flat(net.lif(net.conv(repeated(x)))).mean(0), net.fc.weight, net.fc.bias
        ),
        "m",
    ),
}


@pytest.mark.parametrize("name", READ)
def test_read_as_meant(name: str) -> None:
    code, mode = READ[name]
    network = present(Net(code, mode), (1, 8, 8), T)
    graph = trace(network, FRAMES[:1])
    verify_module(network, graph, fold(graph), FRAMES.numpy())
    assert graph.steps == T


class Keeps(neuron.LIFNode):
    def neuronal_charge(self, x: torch.Tensor) -> None:
        super().neuronal_charge(x)
        self.kept = self.v.clone()


class Other(neuron.LIFNode):
    def neuronal_charge(self, x: torch.Tensor) -> None:
        self.v = self.v * 0.1 + 5 * x


class Own(neuron.BaseNode):
    def neuronal_charge(self, x: torch.Tensor) -> None:
        self.v = self.v + (x - self.v) * 0.5


class Wrong(nn.Conv2d):
    def _conv_forward(self, x: torch.Tensor, weight: torch.Tensor, bias: Any) -> torch.Tensor:
        return super()._conv_forward(x, -3.0 * weight, bias)


def below(x: torch.Tensor) -> torch.Tensor:
    return (x > -0.5).float()


REFUSED = {
    "methods that the installed release does not call": ({"kind": Keeps}, "neuronal_charge"),
    "other dynamics in them": ({"kind": Other}, "neuronal_charge"),
    "neurons of one's own on BaseNode": ({"kind": Own}, "use LIFNode, IFNode or ParametricLIFNode"),
    "a convolution with another inside": ({"conv": Wrong}, "Wrong overrides _conv_forward of Conv2d"),
    "a surrogate that fires elsewhere": ({"surrogate_function": below}, "its surrogate function below gives 1 for"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_never_read_as_what_it_is_not(name: str) -> None:
    parts, reason = REFUSED[name]
    network = Net(in_a_loop, **parts)
    with pytest.raises(InputError, match=reason) as caught:
        trace(present(network, (1, 8, 8)), FRAMES[:1])
    assert isinstance(caught.value, UnsupportedNetwork) or name == "neurons of one's own on BaseNode"
