"""All that a deployment hands over belongs together, and agrees with its report."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sample_networks import PreactivationResidual, StepLoop, stir

from neuroprune.chips.chip import Chip
from neuroprune.chips.load import load_chip
from neuroprune.deployment import Deployment
from neuroprune.exchange.format import Programs, write_program
from neuroprune.graph.fold import fold
from neuroprune.graph.readout import accuracy, class_scores
from neuroprune.mapping.verify import verify_mapping
from neuroprune.pipeline import deploy, deploy_program
from neuroprune.program.bounds import layer_bounds
from neuroprune.program.timing import balance
from neuroprune.simulation.engine import simulate
from neuroprune.simulation.verification import LavaSettings

FRAMES = np.random.default_rng(2).normal(0, 1.5, (9, 2, 8, 8)).astype(np.float32)
LABELS = np.arange(9) % 5
NO_LAVA = LavaSettings(samples=0)


@pytest.fixture(scope="module")
def chip() -> Chip:
    """Synapses that cannot delay, so that there are relays."""
    return replace(load_chip("loihi-sim"), synaptic_delay_max=0)


@pytest.fixture(scope="module")
def done(chip: Chip) -> Deployment:
    return deploy(stir(PreactivationResidual()).float(), FRAMES, chip, labels=LABELS, lava=NO_LAVA)


def test_levels_hold_the_same_layers_and_only_the_balanced_one_has_relays(done: Deployment, chip: Chip) -> None:
    assert done.graph is not None and done.floats is not None
    names = [layer.name for layer in done.floats.layers]
    assert [layer.name for layer in fold(done.graph).layers] == names
    assert [layer.name for layer in done.program.layers] == names
    assert [layer.name for layer in done.balanced.layers if layer.role == "computes"] == names
    assert len(done.balanced.layers) > len(names)
    assert [layer.name for layer in balance(done.program, 0).layers] == [layer.name for layer in done.balanced.layers]
    assert done.graph.steps == done.floats.steps == done.program.steps == done.balanced.steps == done.report.steps
    assert done.graph.readout == done.floats.readout == done.program.readout == done.balanced.readout


def test_the_mapping_is_of_the_balanced_program_and_is_what_the_report_shows(done: Deployment, chip: Chip) -> None:
    verify_mapping(done.mapping, done.balanced, chip)
    cores = done.mapping.cores
    assert [(core.chip, core.x, core.y) for core in cores] == [
        (each.chip, each.x, each.y) for each in done.report.cores
    ]
    assert [core.used for core in cores] == [tuple(use.used for use in each.resources) for each in done.report.cores]
    assert [[use.tile.layer for use in core.tiles] for core in cores] == [
        [tile.layer for tile in each.tiles] for each in done.report.cores
    ]
    assert done.mapping.chips == done.report.totals.chips


def test_the_trace_is_of_the_balanced_program_and_is_what_the_report_counts(done: Deployment) -> None:
    trace, report = done.trace, done.report
    for program in (done.program, done.balanced):
        np.testing.assert_array_equal(simulate(program, FRAMES).outputs, trace.outputs)
    assert (trace.samples, trace.steps) == (report.samples, report.steps) == (9, done.program.steps)
    for layer, counted, shown in zip(done.balanced.layers, trace.layers, report.layers, strict=True):
        assert layer.name == counted.name == shown.name
        assert (shown.vth, shown.reset, shown.scale) == (layer.neuron.vth, layer.neuron.reset, layer.scale)
        share = counted.spikes.sum() / (counted.spikes.size * trace.samples * trace.steps)
        assert shown.spikes_per_neuron_step == pytest.approx(share)
        assert (shown.current_wraps, shown.voltage_saturations) == (counted.current_wraps, counted.voltage_saturations)
        assert shown.relay == (layer.role == "relay")
    assert report.accuracy.bit_accurate == accuracy(class_scores(done.program.readout, trace.outputs), LABELS)
    bounds = {name: bound.voltage for name, bound in layer_bounds(done.balanced).items()}
    assert {each.name: each.bound.voltage for each in report.layers if each.bound is not None} == bounds


def test_a_finished_program_has_no_levels_above_it(done: Deployment, chip: Chip, tmp_path: Path) -> None:
    frames = np.random.default_rng(3).normal(0, 2, (4, 1, 28, 28)).astype(np.float32)
    made = deploy(stir(StepLoop()).float(), frames, chip, lava=NO_LAVA)
    assert write_program(Programs(made.program), tmp_path / "a.net") == ()
    read = deploy_program(tmp_path / "a.net", frames, chip=chip, lava=NO_LAVA)
    assert read.graph is None and read.floats is None
    np.testing.assert_array_equal(read.trace.outputs, made.trace.outputs)
    assert read.report.network == "a.net" and all(each.changed is None for each in read.report.layers)
    assert [core.used for core in read.mapping.cores] == [core.used for core in made.mapping.cores]
