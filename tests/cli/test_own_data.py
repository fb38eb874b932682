"""Data of one's own through the commands: train, compress and deploy find them again, or say what changed."""

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import Line, ended, interrupted

from neuroprune.training.checkpoint import load_checkpoint

NETWORK = """
from torch import nn
from spikingjelly.activation_based import layer, neuron, functional

class Net(nn.Module):
    def __init__(self, inputs=64, classes=2):
        super().__init__()
        self.layers = nn.Sequential(
            layer.Flatten(), layer.Linear(inputs, 8), neuron.LIFNode(), layer.Linear(8, classes), neuron.LIFNode()
        )
        functional.set_step_mode(self, "m")

    def forward(self, sequence):
        return self.layers(sequence).mean(0)
"""


def write(path: Path, seed: int = 0, classes: int = 2, side: int = 8) -> None:
    """Images whose upper or lower half is lit, and noise."""
    random = np.random.default_rng(seed)
    images, labels = random.integers(0, 90, (60, side, side), dtype=np.uint8), np.arange(60) % classes
    images[labels == 0, : side // 2] += 150
    images[labels == 1, side // 2 :] += 150
    np.savez(path, images=images, labels=labels)


@pytest.fixture
def line(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Line:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NETWORK)
    write(tmp_path / "halves.npz")
    return Line(tmp_path / "runs", capsys)


TRAIN = ("train", "--data", "halves.npz", "--epochs", "3", "--batch", "8", "--device", "cpu")


def test_a_run_finds_its_data_again_where_they_are_and_where_they_moved(line: Line, tmp_path: Path) -> None:
    assert line(*TRAIN, "--samples", "40").code == 0
    facts = load_checkpoint(line.runs / "0001-train-halves").data
    assert facts.origin.path == str(tmp_path / "halves.npz") and facts.origin.samples == 40
    assert line("compress", "--epochs", "1", "--device", "cpu").code == 0
    (tmp_path / "moved").mkdir()
    (tmp_path / "halves.npz").rename(tmp_path / "moved" / "halves.npz")
    deploy = ("deploy", "--samples", "4", "--lava-samples", "0", "--device", "cpu")
    lost = line(*deploy)
    assert lost.code == 2 and "there is no file or folder" in lost.err and "--data-dir" in lost.err
    for found in (("--data-dir", "moved"), ("--data", "moved/halves.npz")):
        answer = line(*deploy, *found)
        assert answer.code == 0 and "other samples" not in answer.err


def test_other_samples_in_the_same_place_are_said_and_end_a_resumed_training(line: Line, tmp_path: Path) -> None:
    interrupted(*TRAIN, "--runs", str(line.runs))
    write(tmp_path / "halves.npz", seed=1)
    answer = line("train", "--resume")
    assert answer.code == 2
    assert "other samples than those that the network was trained on, so that the training cannot go" in answer.err
    write(tmp_path / "halves.npz")
    assert line("train", "--resume").code == 0
    write(tmp_path / "halves.npz", seed=1)
    answer = line("deploy", "--samples", "4", "--lava-samples", "0", "--device", "cpu")
    assert answer.code == 0 and "halves.npz holds other samples than those that the network was" in answer.err
    write(tmp_path / "halves.npz", classes=3)
    answer = line("compress", "--device", "cpu")
    assert (
        answer.code == 2 and "of 2 classes, but those of halves are (1, 8, 8), of 3: name data that fit" in answer.err
    )


def test_sequences_and_rows_bring_their_own_number_of_steps(line: Line, tmp_path: Path) -> None:
    arrays = dict(np.load(tmp_path / "halves.npz"))
    moving = np.stack([arrays["images"] // 200] * 3, axis=1)[:, :, None]
    np.savez(tmp_path / "moving.npz", images=moving, labels=arrays["labels"])
    train = ("train", "--model", "net.py:Net", "--epochs", "1", "--device", "cpu")
    assert line(*train, "--data", "moving.npz").code == 0
    assert line(*train, "--data", "halves.npz", "--coding", "rows", "--args", "inputs=8").code == 0
    coding = load_checkpoint(line.runs / "0002-train-halves").data.coding
    assert (coding.kind, coding.steps) == ("rows", 8)
    run = ("--samples", "4", "--lava-samples", "0", "--device", "cpu")
    assert line("deploy", "--model", "net.py:Net", *run, "--data", "moving.npz").code == 0


def test_classes_that_a_network_has_no_outputs_for_are_refused(line: Line, tmp_path: Path) -> None:
    write(tmp_path / "halves.npz", classes=3)
    for command in ("train", "deploy"):
        answer = line(command, "--model", "net.py:Net", "--data", "halves.npz", "--steps", "4", "--device", "cpu")
        assert answer.code == 2
        assert "returns the shape (2, 2) for 2 samples, but data set halves needs (2, 3)" in answer.err


def test_what_is_in_a_path_is_shown(line: Line, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended("data", "halves.npz") == 0
    said = capsys.readouterr()
    assert "1x8x8" in said.out and "classes: 0, 1" in said.out and "48" in said.out
    assert "neuroprune train --data halves.npz" in said.err
    assert ended("data", "halves.npz", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["name"], facts["shape"], facts["test_samples"]) == ("halves", [1, 8, 8], 12)
    assert ended("data", "other.npz") == 2


@pytest.mark.parametrize("command", ["train", "deploy", "data"])
def test_each_command_refuses_a_damaged_file_in_a_sentence(
    line: Line, tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "halves.npz").write_bytes((tmp_path / "halves.npz").read_bytes()[:500])
    arguments = {
        "train": ("train", "--data", "halves.npz"),
        "deploy": ("deploy", "--model", "net.py:Net", "--data", "halves.npz"),
        "data": ("data", "halves.npz"),
    }
    assert ended(*arguments[command]) == 2
    assert "halves.npz is not a whole .npz file of arrays" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
