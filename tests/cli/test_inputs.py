"""Images coded to spikes and event recordings, from training on through the line."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from neuroprune.cli.main import main
from neuroprune.training.checkpoint import load_checkpoint

RECIPE = """
title: A network that trains in a second
data: {data}
steps: 3
layers:
  - {{conv: 60, kernel: 5, stride: {stride}}}
training: {{epochs: 1, batch: 10, lr: 0.02}}
fine_tuning: {{epochs: 1, lr: 0.01}}
"""
CLASS = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2 * 34 * 34, 10)

    def forward(self, frames):
        return self.linear(frames.mean(0).flatten(1))
"""


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """A folder with recordings of N-MNIST's format: each digit crosses the sensor in a row of its own."""
    for part, count in (("Train", 4), ("Test", 1)):
        for digit in range(10):
            folder = tmp_path / "data" / "N-MNIST" / part / str(digit)
            folder.mkdir(parents=True)
            for number in range(count):
                records = [struct.pack(">BBBH", x, 3 * digit + number, 0x80 * (x % 2), 900 * x) for x in range(34)]
                (folder / f"{number:05}.bin").write_bytes(b"".join(records))
    return tmp_path / "data"


def run(*arguments: str | Path) -> int | str | None:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    return stopped.value.code


def recipe(tmp_path: Path, data: str, stride: int) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(RECIPE.format(data=data, stride=stride))
    return path


def test_recordings_go_through_training_and_compression(tmp_path: Path, events: Path) -> None:
    runs, model = tmp_path / "runs", recipe(tmp_path, "n-mnist", 4)
    assert run("train", "--model", model, "--data-dir", events, "--steps", "5", "--runs", runs, "--device", "cpu") == 0
    facts = load_checkpoint(runs / "0001-train-n-mnist").data
    assert (facts.input_shape, facts.coding.kind, facts.coding.steps) == ((2, 34, 34), "direct", 5)
    assert facts.coding.mean == (0.0, 0.0) and facts.coding.std == (1.0, 1.0)
    assert run("compress", "--flops", "0.6", "--data-dir", events, "--runs", runs) == 0
    figures = json.loads((runs / "0002-compress-n-mnist" / "compress.json").read_text())
    macs = 5 * 9 * 9 * 60 * (2 * 25 + 10)
    assert figures["dense"]["flops"] == 2 * macs
    assert load_checkpoint(runs / "0002-compress-n-mnist").data == facts


@pytest.mark.parametrize("coding", ["poisson", "latency"])
def test_coded_images_go_through_training_and_compression(tmp_path: Path, coding: str) -> None:
    runs, model = tmp_path / "runs", recipe(tmp_path, "digits", 2)
    assert run("train", "--model", model, "--coding", coding, "--batch", "20", "--runs", runs, "--device", "cpu") == 0
    coded = load_checkpoint(runs / "0001-train-digits").data.coding
    assert (coded.kind, coded.steps, coded.mean, coded.std) == (coding, 3, (0.0,), (16.0,))
    assert run("compress", "--flops", "0.6", "--epochs", "0", "--runs", runs) == 0
    figures = json.loads((runs / "0002-compress-digits" / "compress.json").read_text())
    trained = load_checkpoint(runs / "0001-train-digits").history[-1].test_accuracy
    assert figures["dense"]["accuracy"] == trained > 0.3
    assert load_checkpoint(runs / "0002-compress-digits").data.coding == coded


def test_a_class_takes_recordings_of_as_many_steps_as_are_asked_for(tmp_path: Path, events: Path) -> None:
    file, out = tmp_path / "own.py", tmp_path / "out"
    file.write_text(CLASS)
    common = ("train", "--model", f"{file}:Net", "--data", "n-mnist", "--data-dir", events, "--epochs", "1")
    assert run(*common, "--out", out) == 2
    assert run(*common, "--steps", "4", "--out", out) == 0
    assert load_checkpoint(out).data.coding.steps == 4


def test_recordings_cannot_be_coded(tmp_path: Path, events: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("train", "--data", "n-mnist", "--data-dir", events, "--coding", "poisson", "--runs", tmp_path) == 2
    assert "data set n-mnist is recorded in events, which are spikes already and cannot be coded as poisson ones" in (
        capsys.readouterr().err
    )


def test_an_interrupted_training_on_coded_images_goes_on_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from neuroprune.training import train as training

    model = recipe(tmp_path, "digits", 2)
    common = ("--batch", "400", "--epochs", "2", "--device", "cpu")
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert run("train", "--model", model, "--coding", "poisson", *common, "--out", whole) == 0

    original = training._train_epoch

    def interrupted(*arguments: object) -> object:
        if arguments[2] == 1:
            raise KeyboardInterrupt
        return original(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(training, "_train_epoch", interrupted)
        assert run("train", "--model", model, "--coding", "poisson", *common, "--out", broken) == 130
    assert run("train", "--resume", broken, "--coding", "latency") == 2
    assert "--coding cannot change in a run that is resumed: leave it out" in capsys.readouterr().err
    assert run("train", "--resume", broken) == 0
    tensors, expected = load_checkpoint(broken).tensors, load_checkpoint(whole).tensors
    assert all(np.array_equal(tensors[name], expected[name]) for name in expected)


def test_the_list_of_data_tells_recordings_by_their_steps(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("data") == 0
    said = capsys.readouterr().out
    assert "Tx2x34x34" in said and "Tx2x35x35" in said


@pytest.mark.parametrize(
    "arguments",
    [
        ("report", "x" * 5000),
        ("compress", "x" * 300),
        ("deploy", "--model", f"{'x' * 5000}.py:Net"),
        ("deploy", "x\x1b[2J", "--colour\x1b[2J"),
        ("train", "--model", "x" * 5000),
        ("deploy", "--target", "x" * 5000),
    ],
)
def test_names_that_no_file_can_have_are_one_short_sentence(
    arguments: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.startswith("Error: ") and len(said) < 800 and said.rstrip("\n").isprintable()
