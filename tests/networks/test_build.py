"""Recipes become plain SpikingJelly modules that torch.fx can trace."""

import pytest
import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import fx, nn

from neuroprune.errors import InputError
from neuroprune.networks.build import SURROGATES, SpikingNetwork, build
from neuroprune.networks.recipe import list_recipes, load_recipe, parse_recipe

SHAPES = {
    "digits": (1, 8, 8),
    "fashion-mnist": (1, 28, 28),
    "cifar10": (3, 32, 32),
    "n-mnist": (2, 34, 34),
    "poker-dvs": (2, 32, 32),
}


def small(layers: list[dict], **changes) -> SpikingNetwork:
    values = {"name": "small", "title": "t", "data": "digits", "steps": 3, "layers": layers, **changes}
    return build(parse_recipe(values, "recipe small"), (2, 9, 7), 5)


class SpikingTracer(fx.Tracer):
    """Takes SpikingJelly's layers as they are."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return m.__module__.startswith("spikingjelly") or super().is_leaf_module(m, module_qualified_name)


@pytest.mark.parametrize("name", list_recipes())
def test_every_recipe_answers_frames_with_scores_and_is_traced_by_fx(name):
    recipe = load_recipe(name)
    network = build(recipe, SHAPES[recipe.data], 10).eval()
    frames = torch.randn(1, *SHAPES[recipe.data])
    with torch.no_grad():
        scores = network(frames)
        functional.reset_net(network)
        traced = fx.GraphModule(network, SpikingTracer().trace(network))
        assert torch.equal(traced(frames), scores)
    assert scores.shape == (1, 10)
    if recipe.readout == "spikes":
        counts = scores * recipe.steps * recipe.votes
        assert torch.allclose(counts, counts.round(), atol=1e-5) and scores.max() <= 1


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


def test_a_depthwise_layer_convolves_each_channel_by_itself():
    network = small([{"conv": 3}, {"depthwise": [3, 5], "stride": 2}])
    conv = network.body.conv2
    assert tuple(conv.weight.shape) == (3, 1, 3, 5) and conv.groups == 3 and conv.bias is None
    assert (conv.stride, conv.padding) == ((2, 2), (1, 2))
    assert network(torch.randn(4, 2, 9, 7)).shape == (4, 5)


def test_a_global_pool_is_the_mean_of_the_whole_map():
    network = small([{"conv": 3}, {"pool": "global"}])
    seen = {}
    for name in ("neuron1", "pool1"):
        network.body.get_submodule(name).register_forward_hook(
            lambda module, inputs, output, name=name: seen.update({name: output})
        )
    network(torch.randn(4, 2, 9, 7))
    torch.testing.assert_close(seen["pool1"], seen["neuron1"].mean((3, 4), keepdim=True))
    assert network.body.classifier.in_features == 3


def test_two_pools_behind_one_layer_are_both_kept():
    network = small([{"conv": 3}, {"pool": "max"}, {"pool": "average", "size": [2, 1]}])
    assert isinstance(network.body.pool1, layer.MaxPool2d)
    assert isinstance(network.body.pool1_2, layer.AvgPool2d)
    assert network.body.classifier.in_features == 3 * 2 * 3


def test_neighbouring_outputs_vote_for_a_class():
    network = small([{"conv": 3}], votes=4)
    votes = []
    network.body.output.register_forward_hook(lambda module, inputs, output: votes.append(output))
    scores = network(torch.randn(4, 2, 9, 7))
    torch.testing.assert_close(scores, votes[0].reshape(3, 4, 5, 4).mean((0, 3)))


def test_the_voltage_of_a_class_is_the_mean_of_its_current():
    network = small([{"conv": 3}], readout="voltage")
    currents = []
    network.body.classifier.register_forward_hook(lambda module, inputs, output: currents.append(output))
    scores = network(torch.randn(4, 2, 9, 7))
    assert "output" not in dict(network.body.named_children())
    torch.testing.assert_close(scores, currents[0].mean(0))


def test_the_neuron_is_that_of_the_recipe():
    learned = small([{"conv": 3}], neuron={"kind": "plif", "tau": 3.0}).body.neuron1
    assert isinstance(learned, neuron.ParametricLIFNode) and learned.v_reset == 0.0
    torch.testing.assert_close(learned.w.sigmoid().item(), 1 / 3)
    soft = small([{"conv": 3}], neuron={"reset": "subtract", "tau": 3.0}).body.output
    assert isinstance(soft, neuron.LIFNode) and soft.v_reset is None and soft.tau == 3.0


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


@pytest.mark.parametrize(
    ("width", "sentence"),
    [
        (
            10**8,
            r"^the network of recipe small has \d+ parameters, and at most 1073741824 are built: make its layers smal",
        ),
        (2**62, r"^the network of recipe small is not one that can be built \(.*\): make its layers smaller$"),
    ],
)
def test_a_network_that_no_memory_holds_is_refused_before_it_is_built(width, sentence):
    values = {"name": "small", "title": "t", "data": "digits", "steps": 2, "layers": [{"conv": width}]}
    with pytest.raises(InputError, match=sentence):
        build(parse_recipe(values, "recipe f"), (1, 8, 8), 10)
