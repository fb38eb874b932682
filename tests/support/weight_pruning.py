"""Small trainings under an algorithm that prunes weights: frames of 6x6, two convolutions, a classifier."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from neuroprune.compression.job import PruningJob
from neuroprune.compression.methods import algorithm_of
from neuroprune.compression.pruning import WeightPruning
from neuroprune.compression.settings import CompressSettings
from neuroprune.compression.strategy import strategy_of
from neuroprune.compression.weights import prunable_weights
from neuroprune.data.types import Augmentation, Dataset, Split, make_dataset
from neuroprune.graph.trace import trace
from neuroprune.networks.build import build
from neuroprune.networks.recipe import parse_recipe
from neuroprune.training.observer import Observer, Step
from neuroprune.training.resume import Keeping
from neuroprune.training.settings import TrainSettings
from neuroprune.training.train import TrainResult, train_unfinished

PER_EPOCH = 6
TUNING = TrainSettings(batch=16, lr=0.2, optimizer="sgd", device="cpu")
RECIPE = parse_recipe(
    {
        "name": "tiny",
        "title": "t",
        "data": "bars",
        "steps": 3,
        "layers": [{"conv": 4}, {"pool": "max"}, {"dropout": 0.1}, {"conv": 6}],
    },
    "tiny",
)


def _bars(count: int, seed: int) -> Split:
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 90, (count, 1, 6, 6), dtype=np.uint8)
    labels = np.arange(count) % 3
    images[labels == 0, :, 2:4, :] = 255
    images[labels == 1, :, :, 2:4] = 255
    return Split(images, labels)


DATA: Dataset = make_dataset(
    "bars", _bars(16 * PER_EPOCH, 0), _bars(30, 1), ("across", "down", "none"), Augmentation(1, flip=True)
)


def make_job(method: str, sparsity: float, prune_epochs: int, epochs: int, seed: int = 0, **changes: Any) -> PruningJob:
    """What the algorithm of `method` is told about a new network; changes: of CompressSettings."""
    settings = CompressSettings(
        sparsity=sparsity, method=method, prune_epochs=prune_epochs, fine_tune=replace(TUNING, epochs=epochs), **changes
    )
    module = build(RECIPE, DATA.input_shape, 3, seed=seed)
    graph = trace(module.eval(), torch.zeros(1, *DATA.input_shape))
    weights = prunable_weights(module, graph)
    strategy = strategy_of(settings, "plain")
    return PruningJob(module, graph, DATA, strategy, epochs, weights=weights, sparsity=sparsity, seed=seed)


def make_algorithm(job: PruningJob) -> WeightPruning:
    """The algorithm that the job's strategy names."""
    algorithm = algorithm_of(job.strategy.algorithm)(job)
    assert isinstance(algorithm, WeightPruning)
    return algorithm


def run(
    algorithm: WeightPruning,
    watchers: Sequence[Observer] = (),
    folder: Path | None = None,
    *,
    resume: bool = False,
    progress: Callable[..., None] = lambda *args, **figures: None,
    **tuning: Any,
) -> TrainResult:
    """The whole training; watchers see each step after the algorithm; tuning: changes of `TUNING`."""
    keeping = None if folder is None else Keeping(folder, RECIPE, "compress", from_start=True)
    settings = replace(TUNING, epochs=algorithm.epochs, **tuning)
    return train_unfinished(algorithm.job.module, DATA, settings, keeping, resume, progress, (algorithm, *watchers))


class StopError(Exception):
    """Stands for whatever ends a training early."""


def same_bytes_after_a_kill(make: Callable[[], WeightPruning], folder: Path, batches: int) -> None:
    """A training that is ended after `batches`, and gone on with by a new algorithm, ends as an unbroken one does."""

    def stop(task: str, done: int, total: int, **figures: float) -> None:
        if done > batches:
            raise StopError

    whole = make()
    run(whole, folder=folder / "whole")
    with pytest.raises(StopError):
        run(make(), folder=folder / "broken", progress=stop)
    resumed = make()
    with torch.no_grad():
        for parameter in resumed.job.module.parameters():
            parameter.add_(1.0)
    run(resumed, folder=folder / "broken", resume=True)
    checkpoint = "checkpoint.safetensors"
    assert (folder / "whole" / checkpoint).read_bytes() == (folder / "broken" / checkpoint).read_bytes()
    for first, second in ((whole.masks, resumed.masks), (whole.regenerated, resumed.regenerated)):
        assert all(torch.equal(mask, second[name]) for name, mask in first.items())
    assert whole.survival == resumed.survival


class Watch(Observer):
    """Asserts after each step that what is masked is zero, and writes down figures of each step."""

    def __init__(self, algorithm: WeightPruning) -> None:
        self._algorithm = algorithm
        self.alive: list[int] = []
        self.rates: list[float] = []

    def after_step(self, step: Step) -> None:
        for name, mask in self._algorithm.masks.items():
            assert not self._algorithm.parameters[name][~mask].any()
        self.alive.append(sum(int(mask.sum()) for mask in self._algorithm.masks.values()))
        self.rates.append(step.run.optimizer.param_groups[0]["lr"])
