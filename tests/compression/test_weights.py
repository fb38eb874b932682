"""Which weights can be pruned, which neurons score them, and the scores of single weights."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from sample_networks import Concatenating, DepthwiseSeparable, MembraneReadout, PreactivationResidual, SharedModule
from spikingjelly.activation_based import functional, layer, neuron
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from neuroprune.compression.scores import weights as scores
from neuroprune.compression.weights import DROPPED, PrunableWeight, prunable_weights
from neuroprune.graph.nodes import Conv, FloatNeuron, Graph
from neuroprune.graph.trace import trace

B2, B3, B4 = "body.block2", "body.block3", "body.block4"
ENDS = {"body.linear5": "body.neuron5"}
OF_KINDS: dict[str, dict[str, str | None]] = {
    "td": {
        "stem.conv1": "body.neuron1",
        f"{B2}.conv1": f"{B2}.neuron1", f"{B2}.conv2": f"{B2}.neuron2",
        f"{B3}.conv1": f"{B3}.neuron1", f"{B3}.conv2": f"{B3}.neuron2", f"{B3}.shortcut.conv": f"{B3}.neuron2",
        f"{B4}.conv1": f"{B4}.neuron1", f"{B4}.conv2": f"{B4}.neuron2",
        **ENDS, "body.classifier": None,
    },
    "sew": {
        "stem.conv1": "body.neuron1",
        f"{B2}.conv1": f"{B2}.neuron1", f"{B2}.conv2": f"{B2}.neuron2",
        f"{B3}.conv1": f"{B3}.neuron1", f"{B3}.conv2": f"{B3}.neuron2",
        f"{B3}.shortcut.conv": f"{B3}.shortcut.neuron",
        f"{B4}.conv1": f"{B4}.neuron1", f"{B4}.conv2": f"{B4}.neuron2",
        **ENDS, "body.classifier": "body.output",
    },
    "ms": {
        "stem.conv1": f"{B2}.neuron1",
        f"{B2}.conv1": f"{B2}.neuron2", f"{B2}.conv2": f"{B3}.neuron1",
        f"{B3}.conv1": f"{B3}.neuron2", f"{B3}.conv2": f"{B4}.neuron1", f"{B3}.shortcut.conv": f"{B4}.neuron1",
        f"{B4}.conv1": f"{B4}.neuron2", f"{B4}.conv2": "body.neuron4",
        **ENDS, "body.classifier": "body.output",
    },
    "preact": {
        "stem.conv1": f"{B2}.neuron1",
        f"{B2}.conv1": f"{B2}.neuron2", f"{B2}.conv2": f"{B3}.neuron1",
        f"{B3}.conv1": f"{B3}.neuron2", f"{B3}.conv2": f"{B4}.neuron1", f"{B3}.shortcut": f"{B4}.neuron1",
        f"{B4}.conv1": f"{B4}.neuron2", f"{B4}.conv2": "body.neuron4",
        **ENDS, "body.classifier": "body.output",
    },
    "depthwise": {
        "stem.conv1": "body.neuron1", "body.conv2": "body.neuron2", "body.conv3": "body.neuron3",
        "body.conv4": "body.neuron4", "body.conv5": "body.neuron5", "body.linear6": "body.neuron6",
        "body.classifier": "body.output",
    },
    "multi-step": {"stem.0": "body.0", "body.2": "body.4", "body.8": "body.9", "body.10": "body.11"},
    "single-step": {"conv1": "fire1", "conv2": "fire2", "conv3": "fire3", "classifier": "output"},
    "unusual": {"conv1": "lif1", "conv2": "if2", "fc": "lif3"},
    "merged-time": {"conv": "lif1", "conv2": "if2", "fc": "if3"},
}  # fmt: skip
"""For each kind of network its layers with weights, in order, and the neurons that score them."""


def test_every_weight_has_the_neurons_that_come_first_after_it(
    network: nn.Module, frames: torch.Tensor, request: pytest.FixtureRequest
) -> None:
    make = request.node.callspec.params["made"][0]
    found = prunable_weights(network, trace(network, frames))
    expected = OF_KINDS[make]
    assert {weight.parameter: weight.neuron for weight in found} == {
        f"{path}.weight": neurons for path, neurons in expected.items()
    }
    assert [weight.parameter for weight in found if weight.classifier] == [f"{list(expected)[-1]}.weight"]
    graph = trace(network, frames)
    order = [[node.name for node in graph.nodes].index(each.parameter.removesuffix(".weight")) for each in found]
    assert all(one < other for one, other in pairwise(order))
    for weight in found:
        assert weight.shape == tuple(network.get_parameter(weight.parameter).shape)
        assert weight.channels == (tuple(range(weight.shape[0])) if weight.neuron else ())


def of(network: nn.Module, shape: tuple[int, ...] = (1, 8, 8)) -> dict[str, PrunableWeight]:
    found = prunable_weights(network.eval(), trace(network, torch.zeros(1, *shape)))
    return {weight.parameter.removesuffix(".weight"): weight for weight in found}


def test_selections_say_which_channels_they_drop_and_where_the_others_are() -> None:
    """The first block reads channels 0, 2, 3 and 5 of a stream of 6, the second one 5, 1 and 4."""
    found = of(PreactivationResidual(), (2, 8, 8))
    assert found["body.0"].neuron == "body.1.lif1" and found["body.0"].channels == (0, DROPPED, 1, 2, DROPPED, 3)
    assert found["body.1.conv2"].neuron == "body.2.lif1"
    assert found["body.1.conv2"].channels == (DROPPED, 1, DROPPED, DROPPED, 2, 0)
    assert found["body.2.conv2"].neuron == "body.4" and found["body.2.conv2"].channels == tuple(range(6))


class Joined(nn.Module):
    """Two convolutions whose outputs are concatenated before neurons, and a third whose maps are flattened first."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = nn.Conv2d(1, 2, 1), nn.Conv2d(1, 3, 1), nn.Conv2d(5, 2, 1)
        self.fire, self.fire_flat, self.fc, self.out = (
            neuron.IFNode(),
            neuron.IFNode(),
            nn.Linear(128, 5),
            neuron.IFNode(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        total = 0.0
        for _ in range(2):
            spikes = self.fire(torch.cat([self.two(x), self.one(x)], 1))
            total = total + self.out(self.fc(self.fire_flat(self.three(spikes).flatten(1))))
        return total / 2


def test_concatenated_channels_are_found_behind_each_other_and_flattened_maps_have_none() -> None:
    found = of(Joined())
    assert (found["two"].neuron, found["two"].channels) == ("fire", (0, 1, 2))
    assert (found["one"].neuron, found["one"].channels) == ("fire", (3, 4))
    assert (found["three"].neuron, found["three"].channels, found["three"].classifier) == (None, (), False)
    joined = of(Concatenating())
    assert {name: each.neuron for name, each in joined.items()} == {
        "stem.conv": "if0", "one.conv": "if1", "two.conv": "if2", "mixed": "if3", "fc": "if4",
    }  # fmt: skip


def test_grouped_convolutions_count_and_weights_that_are_mixed_before_neurons_have_no_score() -> None:
    found = of(DepthwiseSeparable(), (2, 8, 8))
    assert {name: each.neuron for name, each in found.items()} == {
        "body.0": "body.1", "body.2": None, "body.4": "body.5", "body.6": "body.8", "body.9": "body.10",
        "body.12": "body.13",
    }  # fmt: skip
    assert not found["body.2"].classifier
    parts = [layer.Conv2d(1, 4, 3), neuron.IFNode(), layer.Conv2d(4, 6, 3), layer.Conv2d(6, 5, 1), layer.AvgPool2d(4)]
    found = of(nn.Sequential(*parts, layer.Flatten(), neuron.IFNode()))
    assert {name for name, each in found.items() if each.classifier} == {"2", "3"}
    assert (found["2"].neuron, found["3"].neuron, found["3"].channels) == (None, "6", (0, 1, 2, 3, 4))


def test_a_layer_that_is_used_twice_is_there_once_scored_by_what_follows_first() -> None:
    found = of(SharedModule())
    assert list(found) == ["stem", "conv", "fc"] and found["conv"].neuron == "if1"
    tied = nn.Sequential(layer.Linear(4, 4), neuron.IFNode(), layer.Linear(4, 4), neuron.IFNode())
    tied[2].weight = tied[0].weight
    assert of(nn.Sequential(nn.Flatten(), *tied), (1, 2, 2)) == {
        "1": PrunableWeight("1.weight", (4, 4), False, "2", (0, 1, 2, 3))
    }


def test_weights_that_are_computed_from_parameters_are_left_out() -> None:
    parts = [
        layer.WSConv2d(1, 2, 3, padding=1),
        neuron.IFNode(),
        layer.Conv2d(2, 3, 1),
        neuron.IFNode(),
        layer.Flatten(),
    ]
    network = nn.Sequential(
        *parts, weight_norm(layer.Linear(12, 6)), neuron.IFNode(), layer.Linear(6, 2), neuron.IFNode()
    )
    assert list(of(network, (1, 2, 2))) == ["2", "7"]


def test_a_network_read_by_its_voltage_has_a_classifier_without_neurons() -> None:
    found = of(MembraneReadout())
    assert [(each.classifier, each.neuron) for each in found.values()] == [(False, "body.1"), (True, None)]


# ---------------------------------------------------------------------------------------------------------------------
# Scores of single weights


def pair() -> tuple[nn.Module, tuple[PrunableWeight, ...]]:
    parts = [layer.Conv2d(1, 2, 1), neuron.IFNode(), layer.Flatten(), layer.Linear(8, 2), neuron.IFNode()]
    network = nn.Sequential(*parts).eval()
    return network, prunable_weights(network, trace(network, torch.zeros(1, 1, 2, 2)))


def test_magnitude_and_gradient_are_those_of_each_weight() -> None:
    network, weights = pair()
    network[0].weight.data = torch.tensor([-2.0, 0.5]).view(2, 1, 1, 1)
    network[0].weight.grad = torch.tensor([0.25, -3.0]).view(2, 1, 1, 1)
    by_size, by_gradient = scores.magnitude(network, weights), scores.gradient(network, weights)
    assert list(by_size) == list(by_gradient) == ["0.weight", "3.weight"]
    assert by_size["0.weight"].flatten().tolist() == [2.0, 0.5] and not by_size["0.weight"].requires_grad
    assert by_gradient["0.weight"].flatten().tolist() == [0.25, 3.0]
    assert torch.equal(by_size["3.weight"], network[3].weight.abs())
    assert torch.equal(by_gradient["3.weight"], torch.zeros(2, 8)), "it has no gradient"


def test_every_weight_has_the_score_of_its_channel_and_0_where_no_neurons_score_it() -> None:
    network = nn.Sequential(layer.Conv2d(1, 3, 3), layer.Linear(4, 2))
    weights = (
        PrunableWeight("0.weight", (3, 1, 3, 3), False, "x", (1, DROPPED, 0)),
        PrunableWeight("1.weight", (2, 4), True, None, ()),
    )
    assert scores.neurons_of(weights) == ("x",)
    found = scores.of_neurons(network, weights, {"x": np.array([0.25, 0.75])})
    assert found["0.weight"].shape == (3, 1, 3, 3) and found["1.weight"].shape == (2, 4)
    assert found["0.weight"].flatten(1).unique(dim=1).flatten().tolist() == [0.75, 0.0, 0.25]
    assert not found["1.weight"].any()


def test_random_scores_are_one_for_each_channel_and_repeat_with_the_seed() -> None:
    network, weights = pair()
    one, same, other = (scores.random(network, weights, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    for name, found in one.items():
        assert torch.equal(found, same[name]) and not torch.equal(found, other[name])
        assert found.flatten(1).unique(dim=1).shape[1] == 1 and found.min() > 0 and found.max() < 1


def test_the_neurons_that_score_a_channel_receive_nothing_but_what_its_weights_made(
    network: nn.Module, frames: torch.Tensor
) -> None:
    """An oracle that runs the network: a filter's bias shifts what its neurons receive, in the channel it has there."""
    graph: Graph = trace(network, frames)
    seen: dict[str, torch.Tensor] = {}
    names = [node.name for node in graph.nodes if isinstance(node.op, FloatNeuron) and not node.op.integrates]
    hooks = [
        network.get_submodule(name).register_forward_hook(
            lambda module, args, output, name=name: seen.setdefault(name, args[0])
        )
        for name in names
    ]

    def run() -> dict[str, torch.Tensor]:
        seen.clear()
        functional.reset_net(network)
        with torch.no_grad():
            network(frames)
        functional.reset_net(network)
        return dict(seen)

    before = run()
    for weight in prunable_weights(network, graph):
        if weight.neuron is None:
            continue
        at = network.get_submodule(weight.parameter.removesuffix(".weight"))
        channel = weight.shape[0] - 1
        shift = torch.zeros(weight.shape[0], dtype=torch.float64)
        shift[channel] = 1.0
        hook = at.register_forward_hook(
            lambda module, args, output, shift=shift: output
            + shift.view(*([1] * (output.ndim - 3)), -1, 1, 1) if isinstance(module, nn.Conv2d) else output + shift
        )  # fmt: skip
        after = run()
        hook.remove()
        axis = -3 if isinstance(graph[weight.parameter.removesuffix(".weight")].op, Conv) else -1
        moved = (after[weight.neuron] != before[weight.neuron]).movedim(axis, 0).flatten(1).any(1)
        assert moved.nonzero().flatten().tolist() == [weight.channels[channel]]
    for hook in hooks:
        hook.remove()
