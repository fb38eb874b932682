"""Finished programs from files: neuroprune's own, and those of lava-dl."""

from pathlib import Path

import numpy as np
import pytest
from lava_dl import sample_net
from sample_networks import Unusual, stir

from neuroprune.errors import InputError
from neuroprune.pipeline import deploy, deploy_program
from neuroprune.report.schema import Report
from neuroprune.simulation.verification import LavaSettings

FRAMES = np.random.default_rng(3).normal(0, 2, (12, 1, 28, 28)).astype(np.float32)
LABELS = np.arange(12) % 10


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("deployment")


@pytest.fixture(scope="module")
def compiled(folder: Path) -> Report:
    network = stir(Unusual()).float()
    return deploy(network, FRAMES, labels=LABELS, lava=LavaSettings(0), folder=folder).report


def test_a_written_file_runs_as_the_network_that_it_was_made_of(compiled: Report, folder: Path) -> None:
    report = deploy_program(folder / "program.net", FRAMES, LABELS, lava=LavaSettings(1)).report
    assert report.lava.differences == 0
    assert report.accuracy.bit_accurate == compiled.accuracy.bit_accurate
    assert report.accuracy.float is None
    assert [layer.spikes_per_neuron_step for layer in report.layers] == [
        layer.spikes_per_neuron_step for layer in compiled.layers
    ]
    assert report.totals.cores == compiled.totals.cores


def test_samples_of_another_shape_are_refused(compiled: Report, folder: Path) -> None:
    with pytest.raises(
        InputError, match=r"program\.net reads samples of shape \(1, 28, 28\), .* have \(1, 20, 28\): name the data"
    ):
        deploy_program(folder / "program.net", FRAMES[:, :, :20])
    with pytest.raises(
        InputError, match=r"program.net has an output for each of \d+ classes, but data set those given"
    ):
        deploy_program(folder / "program.net", FRAMES, np.full(len(FRAMES), 99))


def test_a_file_of_lava_dl_runs_down_the_rest_of_the_line(tmp_path: Path) -> None:
    path = sample_net(tmp_path / "trained.net", in_shape=(2, 6, 5))
    frames = np.random.default_rng(0).integers(0, 2, (4, 5, 2, 6, 5)).astype(np.float32)
    report = deploy_program(path, frames, steps=5, lava=LavaSettings(2), folder=tmp_path / "out").report
    assert report.lava.differences == 0
    assert report.lava.spikes > 0
    assert (tmp_path / "out" / "program.net").exists()
    assert not (tmp_path / "out" / "model.onnx").exists()
