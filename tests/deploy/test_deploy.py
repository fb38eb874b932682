"""The whole compile path on networks that no recipe holds, down to Lava's own answer."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from sample_networks import StepLoop, Unusual, stir
from torch import nn

from neuroprune.chips.load import load_chip
from neuroprune.errors import CapacityError, InputError, UnsupportedNetwork
from neuroprune.pipeline import deploy
from neuroprune.program.frames import quantize_input
from neuroprune.report.schema import Report, load_report
from neuroprune.simulation.engine import record
from neuroprune.simulation.floats import run_module
from neuroprune.simulation.verification import LavaSettings
from tests.support.reports import measured

FRAMES = np.random.default_rng(3).normal(0, 2, (20, 1, 28, 28)).astype(np.float32)
NO_LAVA = LavaSettings(samples=0)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return stir(Unusual()).float()


@pytest.fixture(scope="module")
def labels(network: nn.Module) -> np.ndarray:
    """What the network itself says, so that its float accuracy is 1."""
    return run_module(network, FRAMES).argmax(axis=1).astype(np.int64)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("deployment")


@pytest.fixture(scope="module")
def report(network: nn.Module, labels: np.ndarray, folder: Path) -> Report:
    return deploy(network, FRAMES, frames=FRAMES, labels=labels, network="unusual", folder=folder).report


def test_an_unusual_network_agrees_with_lava_in_every_spike(report: Report) -> None:
    assert report.lava.samples == 2
    assert report.lava.differences == 0
    assert report.lava.spikes > 100
    assert report.lava.voltages == 2 * sum(layer.neurons for layer in report.layers)


def test_registers_that_lava_does_not_have_are_compared_by_a_model_of_ours_and_it_is_said(
    network: nn.Module, labels: np.ndarray
) -> None:
    loihi = load_chip("loihi-sim")
    narrow = replace(loihi, rules=replace(loihi.rules, state_bits=18))
    deployment = deploy(network, FRAMES, narrow, labels=labels)
    lava = deployment.report.lava
    assert (lava.samples, lava.differences, lava.not_run) == (2, 0, None)
    expected = "Registers wrap and saturate at 18 bits, where those of Lava's model have 24"
    assert any(sentence.startswith(expected) for sentence in lava.own_models)
    found = record(deployment.balanced, quantize_input(deployment.program.input, FRAMES[:1])[0], every_step=True)
    assert all(layer.v is not None and abs(layer.v).max() < 2**17 for layer in found.layers)


def test_the_ladder_leads_from_float_to_the_chip(report: Report) -> None:
    assert report.accuracy.float == 1.0
    assert report.accuracy.folded == 1.0
    assert report.accuracy.quantised is not None
    assert report.accuracy.bit_accurate is not None
    assert report.accuracy.bit_accurate >= 0.6  # of random weights, whose scores are mostly ties
    assert all(layer.changed is not None and layer.changed.bit_accurate < 0.1 for layer in report.layers)


def test_all_files_are_written_and_agree(report: Report, folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {
        "report.json", "report.html", "cores.csv", "layers.csv", "program.net", "model.onnx", "network.nir",
    }  # fmt: skip
    assert load_report(folder) == report
    assert json.loads((folder / "report.json").read_text())["schema_version"] == 4
    with (folder / "cores.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == len(report.cores) == report.totals.cores
    with (folder / "layers.csv").open(newline="") as file:
        assert [row["name"] for row in csv.DictReader(file)] == ["lif1", "if2", "most", "lif3"]


def test_the_onnx_model_counts_as_the_network_does(report: Report, network: nn.Module, folder: Path) -> None:
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    (counts,) = session.run(["counts"], {session.get_inputs()[0].name: FRAMES})
    assert np.mean(np.asarray(counts) == run_module(network, FRAMES) * report.steps) > 0.98


def test_every_neuron_is_on_a_core_within_the_limits(report: Report) -> None:
    assert sum(core.neurons for core in report.cores) == report.totals.neurons
    for core in report.cores:
        assert [each.name for each in core.resources] == [each.name for each in report.target.resources]
        assert max(each.percent for each in core.resources) <= 100


def test_the_order_of_samples_does_not_matter(network: nn.Module, labels: np.ndarray) -> None:
    forward = deploy(network, FRAMES, frames=FRAMES, labels=labels, lava=NO_LAVA).report
    backward = deploy(network, FRAMES, frames=FRAMES[::-1].copy(), labels=labels[::-1].copy(), lava=NO_LAVA).report
    assert measured(forward) == measured(backward)
    assert forward.lava.not_run == "no samples were asked for"


def test_without_frames_the_calibration_frames_are_measured() -> None:
    report = deploy(stir(StepLoop()).float(), FRAMES[:3], lava=NO_LAVA).report
    assert report.samples == 3
    assert report.accuracy.float is None


def test_a_label_for_each_sample_is_asked_for(network: nn.Module) -> None:
    with pytest.raises(InputError, match=r"there are 3 labels for 20 frames: pass one label for each sample"):
        deploy(network, FRAMES, frames=FRAMES, labels=np.zeros(3, np.int64), lava=NO_LAVA)
    with pytest.raises(InputError, match=r"there are 0 samples to run, at least 1 is needed"):
        deploy(network, FRAMES[:0], lava=NO_LAVA)


def test_nothing_is_written_for_a_network_that_cannot_be_mapped(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedNetwork):
        deploy(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()), FRAMES, folder=tmp_path / "out", lava=NO_LAVA)
    assert not (tmp_path / "out").exists()


def test_a_chip_too_small_for_one_neuron_is_named(tmp_path: Path, network: nn.Module) -> None:
    small = tmp_path / "small.yaml"
    small.write_text(
        "extends: loihi-sim\ntitle: Small\n"
        "input_axons_per_core: {value: 8, unit: axons, source: this test, grade: assumed}\n"
    )
    with pytest.raises(CapacityError, match=r"small") as caught:
        deploy(network, FRAMES, chip=str(small), lava=NO_LAVA)
    assert caught.value.exit_code == 3


def test_progress_covers_every_long_stage(network: nn.Module, labels: np.ndarray) -> None:
    finished: dict[str, tuple[int, int]] = {}
    deploy(
        network,
        FRAMES,
        frames=FRAMES,
        labels=labels,
        lava=NO_LAVA,
        progress=lambda task, done, total, **_: finished.update({task: (done, total)}),
    )
    assert finished == dict.fromkeys(("simulate", "comparing", "accuracy"), (20, 20))


def test_deploying_leaves_the_network_as_it_was(network: nn.Module) -> None:
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.train()
    deploy(network, FRAMES[:2], lava=NO_LAVA)
    assert network.training
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    network.eval()
