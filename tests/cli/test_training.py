"""`neuroprune train`: what a training begins with, and what its network is chosen by."""

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import Line, ended

from neuroprune.cli.jobs import trained_job
from neuroprune.data import coding
from neuroprune.data.hold_out import hold_out
from neuroprune.data.load import load_dataset
from neuroprune.training import train as training
from neuroprune.training.checkpoint import initial_module, load_checkpoint

RECIPE = """
title: A network that trains in a second
data: digits
steps: 2
layers:
  - {conv: 24}
  - {pool: average}
  - {conv: 120}
training: {epochs: 2, batch: 128, lr: 0.01, l1: 1.0e-4, augment: false}
fine_tuning: {epochs: 1, lr: 0.01}
"""
CLASS = """
from torch import nn
from spikingjelly.activation_based import neuron

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(64, 10), nn.BatchNorm1d(10), neuron.IFNode())
"""


@pytest.fixture
def line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Line:
    return Line(tmp_path / "runs", capsys)


@pytest.mark.parametrize("kind", ["recipe", "class"])
def test_the_network_that_a_training_began_with_can_be_made_again(
    line: Line, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    (tmp_path / "own.py").write_text(CLASS)
    model = {"recipe": str(tmp_path / "tiny.yaml"), "class": f"{tmp_path / 'own.py'}:Net"}[kind]
    begun: dict[str, torch.Tensor] = {}
    original = training.train

    def watched(network: torch.nn.Module, *arguments: object, **options: object) -> object:
        begun.update({name: tensor.clone() for name, tensor in network.state_dict().items()})
        return original(network, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(training, "train", watched)
    assert line("train", "--model", model, "--epochs", "1", "--seed", "3", "--device", "cpu").code == 0
    checkpoint = load_checkpoint(line.runs / "0001-train-digits")
    made = initial_module(checkpoint, model if kind == "class" else None).state_dict()
    assert made.keys() == begun.keys() == checkpoint.tensors.keys()
    assert all(torch.equal(made[name], tensor) for name, tensor in begun.items())
    assert not all(torch.equal(made[name], tensor) for name, tensor in checkpoint.tensors.items())


def test_the_loss_is_the_recipes_or_the_one_that_is_given_and_is_kept(line: Line, tmp_path: Path) -> None:
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(RECIPE.replace("epochs: 2", "loss: mse, epochs: 1"))
    assert line("train", "--model", str(recipe)).code == 0
    assert load_checkpoint(line.runs / "0001-train-digits").settings.loss == "mse"
    assert line("train", "--model", str(recipe), "--loss", "cross-entropy").code == 0
    assert load_checkpoint(line.runs / "0002-train-digits").settings.loss == "cross-entropy"
    refused = line("train", "--model", str(recipe), "--label-smoothing", "0.1")
    assert refused.code == 2
    assert "label_smoothing is 0.1, but must be 0 with the loss mse, since only the cross-entropy" in refused.err


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A training of frames that are not varied and that held samples out, which tests only read."""
    folder = tmp_path_factory.mktemp("held")
    (folder / "tiny.yaml").write_text(RECIPE)
    given = ("--model", str(folder / "tiny.yaml"), "--validation", "0.2", "--device", "cpu", "--epochs", "2")
    assert ended("train", *given, "--runs", str(folder / "runs")) == 0
    yield folder / "runs" / "0001-train-digits"
    assert len(list((folder / "runs").iterdir())) == 2


def held_out() -> tuple[set[bytes], set[bytes]]:
    """The training samples of the digits without those held out, and those held out, as their bytes."""
    data = hold_out(load_dataset("digits"), 0.2)
    assert data.validation is not None
    learned, chosen = ({image.tobytes() for image in split.images} for split in (data.train, data.validation))
    assert not learned & chosen
    return learned, chosen


def test_training_says_what_was_held_out_and_that_the_test_set_was_read_once(line: Line, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    answer = line("train", "--model", str(tmp_path / "tiny.yaml"), "--validation", "0.2", "--device", "cpu")
    assert answer.code == 0, answer.err
    figures = r"accuracy \d+\.\d\d % \(95 % interval \d+\.\d to \d+\.\d\)"
    first, second = answer.out.splitlines()
    assert re.fullmatch(rf"validation {figures} on 287 samples held out, after epoch 2", first)
    assert re.fullmatch(rf"test {figures} read once, at the end, kept in .*0001-train-digits", second)
    assert re.search(r"^training .*  epoch 2  loss \S+  accuracy \S+  validation \S+  images/s ", answer.err, re.M)
    assert not re.search(r"epoch 1 .*validation", answer.err)
    history = load_checkpoint(line.runs / "0001-train-digits").history
    assert [record.test_accuracy is None for record in history] == [True, False]


@pytest.mark.parametrize("more", [("--epochs", "0"), ("--epochs", "1", "--seed", "5")])
def test_a_compression_learns_and_chooses_nothing_by_the_samples_held_out(
    line: Line, held: Path, more: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[bytes] = set()
    importlib.import_module("neuroprune.compression.compress")
    for original in (coding.encode, coding.frames_on, coding.frames_of):

        def watched(*arguments: Any, original: Callable[..., object] = original) -> object:
            images = next(argument for argument in arguments if isinstance(argument, torch.Tensor | np.ndarray))
            seen.update(image.tobytes() for image in np.asarray(images))
            return original(*arguments)

        for name, module in list(sys.modules.items()):
            if name not in ("neuroprune.data.coding", "neuroprune.training.evaluate"):
                for known, value in list(vars(module).items()):
                    if value is original:
                        monkeypatch.setattr(module, known, watched)
    answer = line("compress", str(held), "--device", "cpu", *more)
    assert answer.code == 0, answer.err
    learned, chosen = held_out()
    assert learned <= seen and not chosen & seen
    checkpoint = load_checkpoint(line.runs / "0001-compress-digits")
    assert checkpoint.settings.validation == 0.2
    assert checkpoint.history[-1].validation_accuracy is not None


def test_a_deployment_sets_its_scales_without_the_samples_held_out(held: Path) -> None:
    job = trained_job(held.parent, held.name, None, None, None, download=False, unfinished=False)
    learned, _ = held_out()
    assert {image.tobytes() for image in job.data.train.images} == learned
    assert len(job.data.test) == 360


def test_a_training_with_samples_held_out_is_resumed_and_reported_by_them(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(task: str, done: int, total: int, **figures: float) -> None:
        if figures.get("epoch") == 2:
            raise KeyboardInterrupt

    (tmp_path / "tiny.yaml").write_text(RECIPE)
    with monkeypatch.context() as patch:
        patch.setattr("neuroprune.cli.train.progress_bars", lambda _: nullcontext(interrupt))
        broken = line(
            "train", "--model", str(tmp_path / "tiny.yaml"), "--validation", "0.2", "--device", "cpu", "--epochs", "2"
        )
    assert broken.code == 130
    shown = line("report", str(line.runs / "0001-train-digits"))
    assert re.match(r"unfinished: 1 of 2 epochs of training tiny on digits, validation accuracy \d+\.\d\d%$", shown.out)
    other = line("train", "--resume", "--validation", "0.1")
    assert other.code == 2
    assert "was started with validation = 0.2, but resuming asks for 0.1: give the same settings" in other.err
    resumed = line("train", "--resume")
    assert resumed.code == 0, resumed.err
    assert "on 287 samples held out, after epoch 2" in resumed.out


def test_a_share_that_cannot_be_held_out_is_said_before_any_work(line: Line) -> None:
    for share, sentence in (
        ("0.9", "a share of 0.9 of the training samples cannot be held out for validation: it must be at least 0"),
        ("0.0001", "a share of 0.0001 of the 1437 training samples of digits holds out none of them, but needs at"),
    ):
        answer = line("train", "--validation", share)
        assert answer.code == 2
        assert sentence in answer.err
    assert not line.runs.exists()
