"""`neuroprune train`: what a training begins with, and what its network is chosen by."""

from pathlib import Path

import pytest
import torch
from command_line import Line

from neuroprune.training import train as training
from neuroprune.training.checkpoint import initial_module, load_checkpoint

RECIPE = """
title: A network that trains in a second
data: digits
steps: 2
layers:
  - {conv: 12}
  - {pool: average}
  - {conv: 16}
training: {epochs: 2, batch: 128, lr: 0.01, l1: 1.0e-4}
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
