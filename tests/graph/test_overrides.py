"""What changes a layer that is otherwise known is refused by name: hooks, inner methods, surrogate functions."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from spikingjelly.activation_based import neuron, surrogate
from torch import Tensor, nn

from neuroprune.errors import UnsupportedNetwork
from neuroprune.graph.hooks import changing_hooks
from neuroprune.graph.trace import trace

FRAMES = torch.rand(1, 1, 8, 8)


class Net(nn.Module):
    def __init__(self, conv: nn.Module | None = None, lif: nn.Module | None = None) -> None:
        super().__init__()
        self.conv = conv or nn.Conv2d(1, 4, 3, 2, 1)
        self.lif = lif or neuron.LIFNode()
        self.fc = nn.Linear(64, 3)

    def forward(self, x: Tensor) -> Tensor:
        return sum(self.fc(self.lif(self.conv(x)).flatten(1)) for _ in range(4)) / 4


def problems(net: nn.Module) -> tuple[str, ...]:
    with pytest.raises(UnsupportedNetwork) as caught:
        trace(net, FRAMES)
    return caught.value.problems


class Double(nn.Conv2d):
    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return super()._conv_forward(x, weight * -3.0, bias)


class Mixin:
    def __call__(self, x: Tensor) -> Tensor:
        return super().__call__(x) * 2


class Called(Mixin, nn.Conv2d):
    """The change lies in a class between."""


class Frozen(nn.Conv2d):
    """Changes nothing that is computed."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.note = "frozen"

    def train(self, mode: bool = True) -> "Frozen":
        return super().train(False)

    def extra_repr(self) -> str:
        return self.note


class Keep(neuron.LIFNode):
    def neuronal_charge(self, x: Tensor) -> None:
        super().neuronal_charge(x)


def test_a_class_that_overrides_a_method_of_a_layer_is_refused_by_name() -> None:
    rest = "of Conv2d, so it may compute something else; use Conv2d as it is"
    assert problems(Net(Double(1, 4, 3, 2, 1))) == (f"layer conv: Double overrides _conv_forward {rest}",)
    assert problems(Net(Called(1, 4, 3, 2, 1))) == (f"layer conv: Called overrides __call__ {rest}",)
    assert trace(Net(Frozen(1, 4, 3, 2, 1)), FRAMES).steps == 4


def test_neurons_with_methods_of_their_own_are_refused_by_name_alone() -> None:
    """Whether SpikingJelly calls such a method depends on its release; nothing that follows is blamed."""
    assert problems(Net(lif=Keep())) == (
        "layer lif: Keep is a LIFNode with neuronal_charge of its own, so its dynamics may be others; use LIFNode as "
        "it is",
    )


def test_a_method_that_was_replaced_in_a_layer_is_refused_by_name() -> None:
    net = Net()
    net.conv.forward = lambda x: nn.Conv2d.forward(net.conv, x) * 2
    (problem,) = problems(net)
    assert problem == (
        "layer conv: its forward was replaced after it was made, so it may compute another thing than Conv2d; write "
        "that as code of the network, or use the layer as it is"
    )


def grow(module: nn.Module, args: Any, output: Tensor) -> Tensor:
    return output * 2


def grow_in_place(module: nn.Module, args: Any, output: Tensor) -> None:
    output.mul_(2)


def shift(module: nn.Module, args: tuple[Tensor]) -> Tensor:
    return args[0] + 1


class Scale:
    def __call__(self, module: nn.Module, args: Any, kwargs: Any, output: Tensor) -> Tensor:
        return output * 2


@pytest.mark.parametrize("layer", ["conv", "lif", "fc"])
@pytest.mark.parametrize(
    ("register", "name"),
    [
        (lambda module: module.register_forward_hook(grow), "grow"),
        (lambda module: module.register_forward_hook(grow_in_place), "grow_in_place"),
        (lambda module: module.register_forward_pre_hook(shift), "shift"),
        (lambda module: module.register_forward_hook(Scale(), with_kwargs=True), "Scale"),
    ],
)
def test_a_hook_that_changes_a_layer_is_refused_by_name(
    layer: str, register: Callable[[nn.Module], Any], name: str
) -> None:
    net = Net()
    register(net.get_submodule(layer))
    assert (
        f"layer {layer}: its hook {name} changes what it computes; remove the hook, or write it as a layer"
    ) in problems(net)


def test_hooks_are_left_as_they_were_and_those_that_look_are_none() -> None:
    net, seen = Net(), []
    net.conv.register_forward_hook(lambda module, args, output: seen.append(output.shape))
    net.conv.register_forward_pre_hook(lambda module, args: args)
    before = [dict(net.conv._forward_hooks), dict(net.conv._forward_pre_hooks)]
    with changing_hooks(net.conv) as found:
        net.conv(FRAMES)
    assert found == [] and len(seen) == 1
    assert [dict(net.conv._forward_hooks), dict(net.conv._forward_pre_hooks)] == before
    trace(net, FRAMES)


class Late(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        return (x > 0).float()


class Early(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        return (x > -0.5).float()


class Moved(surrogate.Sigmoid):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x - 0.4)


def broken(x: Tensor) -> Tensor:
    if x.shape[1:] == (1, 1, 1):
        raise ValueError("no maps of 1x1")
    return (x >= 0).float()


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (Late.apply, "Late gives 0 for a potential of threshold +0, but"),
        (Early.apply, "Early gives 1 for a potential of threshold -1e-06, but"),
        (Moved(), "Moved gives 0 for a potential of threshold +0, but"),
        (surrogate.Sigmoid(spiking=False), "Sigmoid gives 0.5 for a potential of threshold +0, but"),
        (surrogate.ATan(spiking=False), "ATan gives 0.5 for a potential of threshold +0, but"),
        (broken, "broken cannot be tried (no maps of 1x1); use one of SpikingJelly's"),
    ],
)
def test_a_surrogate_function_with_a_rule_of_its_own_is_refused_by_name(function: Any, says: str) -> None:
    rest = " neurons of the chip give 1 from the threshold on and 0 below; use one of SpikingJelly's, with spiking=True"
    sentence = f"layer lif: its surrogate function {says}" + rest * says.endswith("but")
    for lif in (neuron.LIFNode(surrogate_function=function), neuron.ParametricLIFNode(surrogate_function=function)):
        assert sentence in problems(Net(lif=lif))
