"""Coupled channel groups and their removal against Torch-Pruning, which follows gradients through the network.

It does not follow several time steps at once, so the networks run in single-step mode for one.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from spikingjelly.activation_based import functional
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from neuroprune.compression.channels import channel_groups
from neuroprune.compression.surgery import remove_channels
from neuroprune.graph.trace import trace
from neuroprune.networks.build import build
from neuroprune.networks.recipe import load_recipe

pruning = pytest.importorskip("torch_pruning")


class OneStep(nn.Module):
    """One time step of a recipe's network."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.stem, self.body = network.stem, network.body
        functional.set_step_mode(self, "s")

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return self.body(self.stem(frames))


def recipe_network(name: str) -> tuple[nn.Module, torch.Tensor]:
    """The network of a recipe, and a frame for it."""
    shape = (3, 32, 32) if name.startswith(("vgg", "resnet19")) else (1, 28, 28)
    return build(load_recipe(name), shape, 10).eval(), torch.rand(1, *shape)


def members(network: nn.Module, graph: Any, group: Any) -> tuple[frozenset[str], frozenset[str]]:
    """The layers that lose outputs, and those that lose inputs."""
    names = {module: name for name, module in network.named_modules()}
    sides: tuple[set[str], set[str]] = set(), set()
    for dependency, _ in group:
        if isinstance(dependency.target.module, nn.Conv2d | nn.Linear | _BatchNorm):
            side = 0 if graph.is_out_channel_pruning_fn(dependency.handler) else 1
            sides[side].add(names[dependency.target.module])
    return frozenset(sides[0]), frozenset(sides[1])


def groups_of(graph: Any) -> Iterator[Any]:
    return graph.get_all_groups(root_module_types=[nn.Conv2d, nn.Linear])


@pytest.mark.parametrize(
    "recipe", ["vgg16", "resnet19", "resnet19-preact", "sew-resnet", "ms-resnet", "depthwise-conv"]
)
def test_the_layers_of_every_group_are_those_that_gradients_couple(recipe: str) -> None:
    network, frame = recipe_network(recipe)
    ours = {
        (frozenset((*group.producers, *group.norms)), frozenset(group.consumers))
        for group in channel_groups(trace(network, frame), "coupled")
    }
    one_step = OneStep(network)
    graph = pruning.DependencyGraph().build_dependency(one_step, example_inputs=frame)
    theirs = {members(one_step, graph, group) for group in groups_of(graph)}
    assert theirs - ours == {(frozenset({"body.classifier"}), frozenset())}, "the output of the network"
    assert ours <= theirs


@pytest.mark.parametrize("recipe", ["sew-resnet", "ms-resnet", "depthwise-conv"])
def test_removal_leaves_the_same_weights(recipe: str) -> None:
    network, frame = recipe_network(recipe)
    groups = channel_groups(trace(network, frame), "coupled")
    generator = np.random.default_rng(0)
    kept = {group.name: generator.random(group.channels) < 0.7 for group in groups}
    slim = remove_channels(network, groups, kept).state_dict()
    one_step = OneStep(network)
    graph = pruning.DependencyGraph().build_dependency(one_step, example_inputs=frame)
    for group in groups:
        producer = one_step.get_submodule(group.name)
        gone = (~kept[group.name]).nonzero()[0].tolist()
        graph.get_pruning_group(producer, pruning.prune_conv_out_channels, idxs=gone).prune()
    found = one_step.state_dict()
    assert found.keys() == slim.keys()
    assert all(torch.equal(tensor, slim[name]) for name, tensor in found.items())
