"""An untrained network whose normalisation is settled fires in every layer."""

import numpy as np
import torch
from torch import nn

from neuroprune.data.load import load_dataset
from neuroprune.data.types import normalise
from neuroprune.graph.evaluate import run_float
from neuroprune.graph.fold import fold
from neuroprune.graph.trace import trace
from neuroprune.networks.build import build
from neuroprune.networks.recipe import load_recipe
from neuroprune.networks.settle import settle_norms


def test_every_layer_of_a_deep_untrained_network_fires_and_its_weights_stay() -> None:
    data = load_dataset("digits")
    frames = normalise(data.train.images[:64], data.mean, data.std)
    network = build(load_recipe("digits-conv"), data.input_shape, 10)
    weights = {name: value.clone() for name, value in network.named_parameters()}
    settle_norms(network, torch.from_numpy(frames))
    assert not network.training
    assert all(torch.equal(weights[name], value) for name, value in network.named_parameters())
    spikes = run_float(fold(trace(network, torch.from_numpy(frames))), frames).spikes
    hidden = list(spikes.values())[:-1]
    assert min(hidden) > 0


def test_statistics_are_those_of_the_batch() -> None:
    network = nn.Sequential(nn.BatchNorm2d(3))
    frames = torch.from_numpy(np.random.default_rng(0).normal(2.0, 3.0, (50, 3, 4, 4))).float()
    settle_norms(network, frames)
    torch.testing.assert_close(network[0].running_mean, frames.mean(dim=(0, 2, 3)))
    torch.testing.assert_close(network[0].running_var, frames.var(dim=(0, 2, 3)))
    assert network[0].momentum == 0.1
