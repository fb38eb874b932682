"""The float program as a NIR file, and back: the same spikes."""

import math

import nir
import numpy as np
import pytest
import torch

from neuroprune import (
    CubaLif,
    FloatConnection,
    FloatDense,
    FloatInput,
    FloatLayer,
    FloatProgram,
    Programs,
    Readout,
    build,
    fold,
    list_recipes,
    load_network,
    load_recipe,
    trace,
)
from neuroprune.exchange.nir import FORMAT, write_nir
from neuroprune.networks.presentation import Form, Presentation
from neuroprune.networks.recipe import parse_recipe
from neuroprune.simulation.floats import run_layers

WIDEST = 24
SHAPES = {"cifar10": (3, 32, 32), "digits": (1, 8, 8), "fashion-mnist": (1, 28, 28), "n-mnist": (2, 34, 34)}


def narrow(name, **changes):
    """A recipe with at most WIDEST channels, so that the largest are quick, too."""
    made = {**load_recipe(name).model_dump(), **changes}
    for part in made["layers"]:
        for key in ("conv", "channels", "linear"):
            if isinstance(part.get(key), int):
                part[key] = min(part[key], WIDEST)
    return parse_recipe(made, name)


def program_of(recipe):
    """The float program of a recipe with BatchNorm that does something, and random frames for it."""
    network = build(recipe, SHAPES.get(recipe.data, (2, 32, 32)), 10)
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1, generator=generator)
            module.running_var.uniform_(0.01, 0.05, generator=generator)
            torch.nn.init.uniform_(module.bias, -0.1, 0.3, generator=generator)
    frames = torch.rand((2, *SHAPES.get(recipe.data, (2, 32, 32))), generator=generator)
    return fold(trace(network, frames)), frames.numpy()


def again_of(program, frames, folder):
    """The program of the file that is written of `program`, and the sentences for what it does not hold."""
    remarks = write_nir(program, folder / "network.nir")
    network = Presentation(load_network(str(folder / "network.nir")), Form("sequences", steps=program.steps))
    return fold(trace(network, torch.from_numpy(frames))), remarks


def assert_same_spikes(program, again, frames):
    """Layer by layer, at each step."""
    assert again.readout.of == program.readout.of and again.readout.votes == program.readout.votes
    fired = {firing.name.replace(".", "_"): firing for firing in run_layers(again, frames)}
    spikes = 0
    for then in run_layers(program, frames):
        now = fired.pop(then.name.replace(".", "_"))
        assert torch.equal(then.spikes, now.spikes), then.name
        spikes += int(then.spikes.sum())
    assert spikes > 50 and not fired


@pytest.mark.parametrize("name", list_recipes())
def test_recipe_that_was_written_and_read_fires_the_same_spikes(name, tmp_path):
    program, frames = program_of(narrow(name))
    again, remarks = again_of(program, frames, tmp_path)
    assert remarks == ()
    assert_same_spikes(program, again, frames)


def test_votes_and_reset_by_subtraction_are_in_metadata_and_are_said(tmp_path):
    neuron = {"kind": "if", "reset": "subtract"}
    program, frames = program_of(narrow("digits-conv", votes=3, neuron=neuron))
    again, remarks = again_of(program, frames, tmp_path)
    assert len([text for text in remarks if "resets by subtraction, which NIR cannot say" in text]) == 4
    assert any("3 outputs vote for each class, which NIR cannot say" in text for text in remarks)
    assert_same_spikes(program, again, frames)


def dense_program(neuron, bias=0.0, readout=None):
    """Neurons that read 6 pixels, and three that read those."""
    random = np.random.default_rng(0)
    first = FloatConnection("a", "input", FloatDense(random.normal(0, 1, (8, 6))), (1, 2, 3))
    second = FloatConnection("b", "hidden", FloatDense(random.normal(0, 1, (3, 8))), (8,))
    layers = (
        FloatLayer("hidden", (first,), CubaLif(0.25, 1.0), np.full(8, 0.2), (8,)),
        FloatLayer("out", (second,), neuron, np.full(3, bias), (3,)),
    )
    return FloatProgram(FloatInput((1, 2, 3)), layers, 12, readout or Readout())


@pytest.mark.parametrize(
    ("neuron", "kind"),
    [
        (CubaLif(0.0, 0.7), nir.IF),
        (CubaLif(0.5, 0.7), nir.LIF),
        (CubaLif(0.5, 0.7, current_decay=0.25), nir.CubaLIF),
        (CubaLif(0.25, math.inf), nir.LI),
        (CubaLif(0.25, math.inf, current_decay=0.5), nir.CubaLI),
    ],
)
def test_each_kind_of_neurons_is_a_node_of_nir(neuron, kind, tmp_path):
    program = dense_program(neuron, readout=Readout("voltage" if math.isinf(neuron.threshold) else "spikes"))
    frames = np.random.default_rng(1).random((4, 1, 2, 3)).astype(np.float32)
    again, _ = again_of(program, frames, tmp_path)
    assert type(nir.read(tmp_path / "network.nir").nodes["out"]) is kind
    assert_same_spikes(program, again, frames)
    last, then = (list(run_layers(each, frames))[-1].voltages for each in (again, program))
    torch.testing.assert_close(last, then)


def test_bias_beside_a_current_is_a_v_leak_of_the_same_effect(tmp_path):
    write_nir(dense_program(CubaLif(0.5, 0.7, current_decay=0.25), bias=0.3), tmp_path / "network.nir")
    nodes = nir.read(tmp_path / "network.nir").nodes
    np.testing.assert_allclose(nodes["out"].v_leak, 0.3 / 0.5)
    assert type(nodes["b"]) is nir.Linear and type(nodes["a"]) is nir.Affine


def test_neurons_that_nir_does_not_have_are_named_and_no_file_is_written(tmp_path):
    program = dense_program(CubaLif(0.0, 0.7, current_decay=0.25))
    (said,) = FORMAT.write(Programs(None, program), tmp_path / "network.nir")
    assert said == (
        "layer 'out' keeps its voltage and has a current that decays, which NIR does not have: no file was written"
    )
    assert not (tmp_path / "network.nir").exists()
