"""What it costs to gather criticality inside training, as unstructured pruning does at each of its steps.

    python benchmarks/scores.py [--model digits-conv] [--pairs 60] [--threads 1] [--device cuda]

A recipe's network is trained on random images of its data set's size, with the recipe's batch and optimiser. Iterations
alternate: one as it is, one in which the potentials of all neurons that score weights are recorded, reduced and spread
to the weights. Their medians are compared, which neither the start of a run nor a slow minute of the machine changes.
Pruning does so every dT iterations, a fortieth of its own, which are taken to be those of the recipe's epochs; so the
share of training time is the extra time of one over dT.
"""

import sys
import time
from statistics import median

import click
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from neuroprune.compression.potentials import Recorder
from neuroprune.compression.scores import weights as scores
from neuroprune.compression.scores.neurons import Criticality
from neuroprune.compression.weights import prunable_weights
from neuroprune.data.catalog import list_datasets
from neuroprune.data.types import Split, make_dataset
from neuroprune.errors import NeuropruneError
from neuroprune.graph.trace import trace
from neuroprune.networks.build import build
from neuroprune.networks.recipe import load_recipe
from neuroprune.training.observer import Observer, Step, TrainingRun
from neuroprune.training.settings import settings_of
from neuroprune.training.train import train

MODELS = ("digits-conv", "fashion-conv")
PRUNING_STEPS = 40
"""Pruning steps of one training: dT is this share of its iterations where the paper's dT is too long for the data."""

WARM_UP = 6
"""Iterations at the start that are not timed."""

HEADINGS = ("network", "batch", "iteration\nms", "recorded\nms", "extra", "dT", "of training\ntime")


class Alternating(Observer):
    """Records every other iteration, and times both kinds from one optimiser step to the next.

    shape: of a frame. seconds: of the iterations that were recorded, and of the others.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.seconds: dict[bool, list[float]] = {False: [], True: []}
        self.records = False
        self.since: float | None = None

    def begin(self, run: TrainingRun) -> None:
        frames = torch.zeros(1, *self.shape, device=next(run.module.parameters()).device)
        graph = trace(run.module, frames)
        weights = prunable_weights(run.module, graph)
        self.weights = tuple(each for each in weights if not each.classifier)
        self.recorder = Recorder(run.module, graph, scores.neurons_of(self.weights), Criticality())

    def before_forward(self, step: Step) -> None:
        if self.records:
            self.recorder.arm()

    def after_backward(self, step: Step) -> None:
        if self.records:
            self.recorder.disarm()
            scores.of_neurons(step.run.module, self.weights, self.recorder.take())

    def after_step(self, step: Step) -> None:
        now = time.perf_counter()
        if self.since is not None:
            self.seconds[self.records].append(now - self.since)
        self.records = not self.records
        self.since = now


def images(count: int, shape: tuple[int, int, int], classes: int, seed: int) -> Split:
    random = np.random.default_rng(seed)
    return Split(random.integers(0, 256, (count, *shape), dtype=np.uint8), np.arange(count) % classes)


def measure(model: str, pairs: int, device: str) -> list[str]:
    """One row of the table."""
    recipe = load_recipe(model)
    (info,) = (info for info in list_datasets() if info.name == recipe.data)
    settings = settings_of(recipe, device=device)
    interval = max(settings.epochs * (info.train_samples // settings.batch) // PRUNING_STEPS, 1)
    samples = images((2 * pairs + WARM_UP) * settings.batch, info.shape, len(info.classes), 0)
    data = make_dataset(model, samples, images(10, info.shape, len(info.classes), 1), info.classes, info.augmentation)
    watch = Alternating(info.shape)
    train(
        build(recipe, info.shape, len(info.classes)),
        data,
        settings_of(recipe, device=device, epochs=1),
        observers=[watch],
    )
    plain, recorded = (1000.0 * median(watch.seconds[kind][WARM_UP // 2 :]) for kind in (False, True))
    extra = recorded / plain - 1.0
    figures = [
        f"{plain:.2f}",
        f"{recorded:.2f}",
        f"{100 * extra:.1f} %",
        str(interval),
        f"{100 * extra / interval:.2f} %",
    ]
    return [model, str(settings.batch), *figures]


@click.command()
@click.option("--model", "models", multiple=True, default=MODELS, help="Recipe by name or path; may be repeated.")
@click.option("--pairs", default=60, show_default=True, help="Pairs of iterations, one recorded and one not.")
@click.option("--threads", default=torch.get_num_threads(), show_default=True, help="Threads of torch.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:<number>.")
def main(models: tuple[str, ...], pairs: int, threads: int, device: str) -> None:
    """Measure iterations of training with and without the criticality of all neurons, in one run."""
    torch.set_num_threads(threads)
    table = Table(title=f"{device}, {threads} threads of torch {torch.__version__}, medians of {pairs} pairs")
    for heading in HEADINGS:
        table.add_column(heading, justify="right" if table.columns else "left")
    for model in models:
        table.add_row(*measure(model, pairs, device))
    Console().print(table)


if __name__ == "__main__":
    try:
        main()
    except NeuropruneError as error:
        sys.exit(f"Error: {error}")
