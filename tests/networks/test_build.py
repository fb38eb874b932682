"""Recipes become plain SpikingJelly modules that torch.fx can trace."""

import pytest
import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import fx, nn

from neuroprune.errors import InputError
from neuroprune.networks.build import SURROGATES, SpikingNetwork, build
from neuroprune.networks.recipe import list_recipes, load_recipe, parse_recipe

SHAPES = {"digits-conv": (1, 8, 8), "fashion-conv": (1, 28, 28), "vgg16": (3, 32, 32)}


def small(layers: list[dict], **changes) -> SpikingNetwork:
    values = {"name": "small", "title": "t", "data": "digits", "steps": 3, "layers": layers, **changes}
    return build(parse_recipe(values, "recipe small"), (2, 9, 7), 5)


class SpikingTracer(fx.Tracer):
    """Takes SpikingJelly's layers as they are."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return m.__module__.startswith("spikingjelly") or super().is_leaf_module(m, module_qualified_name)


@pytest.mark.parametrize("name", list_recipes())
def test_every_recipe_answers_frames_with_rates(name):
    recipe = load_recipe(name)
    network = build(recipe, SHAPES[name], 10)
    rates = network(torch.randn(2, *SHAPES[name]))
    assert rates.shape == (2, 10)
    counts = rates * recipe.steps
    assert torch.allclose(counts, counts.round(), atol=1e-6) and counts.max() <= recipe.steps


@pytest.mark.parametrize("name", list_recipes())
def test_every_recipe_is_traced_by_fx_and_computes_the_same_then(name):
    network = build(load_recipe(name), SHAPES[name], 10).eval()
    traced = fx.GraphModule(network, SpikingTracer().trace(network))
    frames = torch.randn(2, *SHAPES[name])
    expected = network(frames)
    functional.reset_net(network)
    assert torch.equal(traced(frames), expected)


def test_all_layers_come_in_the_order_of_the_recipe():
    network = small(
        [
            {"conv": 3, "kernel": [5, 3], "stride": [2, 1]},
            {"dropout": 0.1},
            {"pool": "max"},
            {"conv": 4, "padding": 0, "kernel": 2},
            {"pool": "average", "size": [1, 2]},
            {"linear": 6},
        ]
    )
    stem = [(name, tuple(m.weight.shape)) for name, m in network.stem.named_children()]
    assert stem == [("conv1", (3, 2, 5, 3)), ("norm1", (3,))]
    kinds = {name: type(module) for name, module in network.body.named_children()}
    assert kinds == {
        "neuron1": neuron.LIFNode,
        "dropout1": layer.Dropout,
        "pool1": layer.MaxPool2d,
        "conv2": layer.Conv2d,
        "norm2": layer.BatchNorm2d,
        "neuron2": neuron.LIFNode,
        "pool2": layer.AvgPool2d,
        "flatten": layer.Flatten,
        "linear3": layer.Linear,
        "neuron3": neuron.LIFNode,
        "classifier": layer.Linear,
        "output": neuron.LIFNode,
    }
    assert list(kinds) == [name for name, _ in network.body.named_children()]
    assert network(torch.randn(4, 2, 9, 7)).shape == (4, 5)
    assert network.body.conv2.bias is None and network.stem.conv1.bias is None


def test_the_stem_sees_a_frame_once_for_all_steps():
    network = small([{"conv": 3}])
    shapes = []
    network.stem.register_forward_hook(lambda module, inputs, output: shapes.append(output.shape))
    network(torch.randn(4, 2, 9, 7))
    assert shapes == [(4, 3, 9, 7)]


def test_a_sequence_brings_a_frame_for_each_step():
    network = small([{"conv": 3}, {"conv": 4}]).eval()
    sequence = torch.randn(3, 4, 2, 9, 7)
    expected = network.body(torch.stack([network.stem(frames) for frames in sequence])).mean(0)
    functional.reset_net(network)
    rates = network(sequence)
    torch.testing.assert_close(rates, expected)
    functional.reset_net(network)
    traced = fx.GraphModule(network, SpikingTracer().trace(network))
    assert torch.equal(traced(sequence), rates)


def test_a_sequence_of_one_frame_again_and_again_is_direct_coding():
    network = small([{"conv": 3}, {"conv": 4}]).eval()
    frames = torch.randn(4, 2, 9, 7)
    expected = network(frames)
    functional.reset_net(network)
    torch.testing.assert_close(network(torch.stack([frames] * 3)), expected)


@pytest.mark.parametrize("name", sorted(SURROGATES))
def test_every_surrogate_gives_gradients(name):
    network = small([{"conv": 3}], neuron={"kind": "if", "surrogate": name, "alpha": 3.0})
    network(torch.randn(4, 2, 9, 7)).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    node = network.body.neuron1
    assert isinstance(node, neuron.IFNode) and node.v_reset == 0.0 and node.surrogate_function.alpha == 3.0


def test_weights_follow_from_the_seed_and_leave_the_global_generator_alone():
    recipe = load_recipe("digits-conv")
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, again, other = (build(recipe, (1, 8, 8), 10, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first.stem.conv1.weight, again.stem.conv1.weight)
    assert not torch.equal(first.stem.conv1.weight, other.stem.conv1.weight)


def test_frames_too_small_for_the_layers_are_refused():
    sentence = (
        "layers.2 of small has a window of 4x4, but only 4x3 pixels are left there of frames of 9x7: "
        "use larger frames or fewer pools and strides"
    )
    with pytest.raises(InputError, match=sentence):
        small([{"conv": 3}, {"pool": "max"}, {"pool": "average", "size": 4}])
