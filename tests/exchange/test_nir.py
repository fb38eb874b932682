"""The float program as a NIR file, and back: the same spikes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from neuroprune import CubaLif, build, fold, list_recipes, load_network, load_recipe, present, run_float, trace
from neuroprune.data.catalog import find_dataset
from neuroprune.exchange.nir import nir_graph, write_nir
from neuroprune.simulation.floats import run_layers


def program_of(name):
    """The float program of a recipe with BatchNorm that does something, and random frames for it."""
    recipe = load_recipe(name)
    info = find_dataset(recipe.data)
    network = build(recipe, info.shape, len(info.classes))
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d | torch.nn.BatchNorm1d):
            module.running_mean.uniform_(-0.1, 0.1, generator=generator)
            module.running_var.uniform_(0.01, 0.05, generator=generator)
            torch.nn.init.uniform_(module.bias, -0.1, 0.3, generator=generator)
    frames = torch.rand((2, *info.shape), generator=generator)
    return recipe, fold(trace(network, frames)), frames.numpy()


@pytest.mark.parametrize("name", list_recipes())
def test_recipe_that_was_written_and_read_fires_the_same_spikes(name, tmp_path):
    recipe, program, frames = program_of(name)
    remarks = write_nir(program, tmp_path / "network.nir")
    assert bool(remarks) == (recipe.neuron.reset == "subtract" or recipe.votes > 1)
    network = present(load_network(str(tmp_path / "network.nir")), frames.shape[1:], steps=recipe.steps)
    again = fold(trace(network, torch.from_numpy(frames)))
    assert len(again.layers) == len(program.layers)
    now = {firing.name: firing.spikes for firing in run_layers(again, frames)}
    spikes = 0
    for then in run_layers(program, frames):
        assert torch.equal(then.spikes, now.pop(then.name.replace(".", "_"), now.get(f"x"))), then.name
        spikes += int(then.spikes.sum())
    assert spikes > 100 and not now
    assert again.readout.of == program.readout.of and again.readout.votes == program.readout.votes
