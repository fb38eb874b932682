"""Networks of every kind down the whole compile path, verified against Lava: no spike and no voltage may differ."""

import numpy as np
import pytest
import sample_networks
from torch import nn

from neuroprune.pipeline import deploy
from neuroprune.report.schema import Report
from neuroprune.simulation.floats import run_module
from neuroprune.simulation.verification import LavaSettings


def deployed(name: str, target: str = "loihi-sim", lava_samples: int = 2) -> Report:
    network: nn.Module = sample_networks.stir(getattr(sample_networks, name)()).float()
    frames = np.random.default_rng(5).normal(0, 1, (32, *sample_networks.SHAPES[name])).astype(np.float32)
    labels = run_module(network, frames).argmax(axis=1)
    return deploy(network, frames, target, labels=labels, lava=LavaSettings(lava_samples)).report


@pytest.mark.parametrize("name", sample_networks.SHAPES)
def test_lava_agrees_and_accuracy_is_kept(name: str) -> None:
    report = deployed(name)
    assert (report.lava.samples, report.lava.differences) == (2, 0)
    assert report.lava.spikes > 20
    assert report.accuracy.folded == 1.0
    assert report.accuracy.bit_accurate is not None
    assert report.accuracy.bit_accurate >= 0.8
    assert all(layer.rounding is not None and layer.changed is not None for layer in report.layers)


@pytest.mark.parametrize("name", ["SewResidual", "MembraneResidual", "Concatenating"])
def test_relays_change_no_spike_and_are_counted(name: str) -> None:
    with_delays, with_relays = deployed(name, lava_samples=0), deployed(name, "loihi-sim-relay")
    assert with_relays.lava.differences == 0
    assert with_delays.totals.delayed_synapses > 0
    assert with_delays.totals.relay_neurons == 0
    assert with_relays.totals.delayed_synapses == 0
    assert with_relays.accuracy == with_delays.accuracy
    kept = {layer.name: layer.spikes_per_neuron_step for layer in with_delays.layers}
    found = {layer.name: layer.spikes_per_neuron_step for layer in with_relays.layers if not layer.relay}
    assert found == kept


def test_what_lava_has_no_model_of_is_said() -> None:
    sentences = deployed("SoftReset", lava_samples=1).lava.own_models
    assert any(sentence.startswith("Soft reset subtracts the threshold") for sentence in sentences)


def test_sequences_of_events_go_all_the_way() -> None:
    network = sample_networks.stir(sample_networks.SequenceInput()).float()
    frames = np.random.default_rng(6).poisson(0.4, (16, 4, 2, 8, 8)).astype(np.float32)
    report = deploy(network, frames, lava=LavaSettings(2)).report
    assert report.lava.differences == 0
    assert report.lava.spikes > 20
    assert report.input.unit == 1.0
    assert report.input.saturated_share == 0.0
