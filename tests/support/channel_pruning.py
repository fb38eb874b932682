"""A small network with channels to prune, data for it, the job of an algorithm on them, and what a run leaves."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from spikingjelly.activation_based import layer, neuron
from torch import nn

from neuroprune.compression.catalog import Currency
from neuroprune.compression.channels import channel_groups
from neuroprune.compression.pruning import PruningJob
from neuroprune.compression.settings import CompressSettings
from neuroprune.compression.strategy import strategy_of
from neuroprune.data.types import Dataset, Split, make_dataset
from neuroprune.graph.trace import trace
from neuroprune.training.checkpoint import load_checkpoint
from neuroprune.training.settings import TrainSettings

TRAIN = TrainSettings(epochs=3, batch=16, lr=0.02, momentum=0.0, weight_decay=0.0, optimizer="sgd", device="cpu")


class Small(nn.Module):
    """Two convolutions with BatchNorm and a classifier, on 4x4 frames of 3 classes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = layer.Conv2d(1, 20, 3, padding=1, bias=False, step_mode="m")
        self.norm1 = layer.BatchNorm2d(20, step_mode="m")
        self.fire1 = neuron.LIFNode(tau=2.0, v_threshold=0.4, step_mode="m")
        self.conv2 = layer.Conv2d(20, 30, 3, padding=1, stride=2, bias=False, step_mode="m")
        self.norm2 = layer.BatchNorm2d(30, step_mode="m")
        self.fire2 = neuron.LIFNode(tau=2.0, v_threshold=0.4, step_mode="m")
        self.linear = layer.Linear(30 * 4, 3, step_mode="m")
        self.output = neuron.IFNode(v_threshold=0.5, step_mode="m")

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        x = frames.unsqueeze(0).repeat(2, 1, 1, 1, 1)
        x = self.fire2(self.norm2(self.conv2(self.fire1(self.norm1(self.conv1(x))))))
        return self.output(self.linear(x.flatten(2))).mean(0)


def small_network(seed: int = 0) -> Small:
    """One whose scales differ, from `seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = Small()
        for norm in (made.norm1, made.norm2):
            nn.init.uniform_(norm.weight, 0.3, 1.5)
    return made


def stripes() -> Dataset:
    """Three classes of 4x4 frames that differ in which part is bright."""
    generator = np.random.default_rng(0)

    def split(count: int) -> Split:
        labels = np.arange(count) % 3
        images = generator.integers(0, 120, (count, 1, 4, 4))
        images[np.arange(count), 0, labels] += 120
        return Split(images, labels)

    return make_dataset("stripes", split(96), split(48), ("top", "middle", "bottom"))


def outcome(folder: Path) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Tensors of the run in `folder` as bytes, and its record apart from folders and wall times."""
    tensors = {name: tensor.numpy().tobytes() for name, tensor in load_checkpoint(folder).tensors.items()}
    record = json.loads((folder / "compress.json").read_text())
    for epoch in record["history"]:
        del epoch["seconds"]
    return tensors, {name: value for name, value in record.items() if name not in ("run", "from")}


def job_for(
    module: nn.Module, data: Dataset, method: str, targets: Mapping[Currency, float], **settings: Any
) -> PruningJob:
    """What an algorithm is told to prune `module`, in evaluation mode or not, to `targets`."""
    chosen = CompressSettings(method=method, fine_tune=TRAIN, **targets, **settings)
    training = module.training
    graph = trace(module.eval(), torch.zeros(1, *data.input_shape))
    module.train(training)
    return PruningJob(
        module=module,
        graph=graph,
        data=data,
        strategy=strategy_of(chosen, "plain"),
        epochs=TRAIN.epochs,
        groups=channel_groups(graph),
        targets=targets,
    )
