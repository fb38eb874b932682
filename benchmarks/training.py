"""What an epoch of training takes, compared with the same network in a plain loop over frames that lie ready.

    python benchmarks/training.py [--model vgg16] [--images 50000] [--iterations 40] [--device cuda]

A recipe's network is trained with the recipe's batch and optimiser, in float32 and in mixed precision, on random images
of its data set's size. Epochs of `train`, of so many iterations, and of the plain loop alternate; the loop has frames
on the device, neither varies nor counts anything, and reads the loss of each batch, as SpikingJelly's examples do. Both
use the kernels that SpikingJelly has for the device (2.0 fuses the steps of its neurons by Triton on a GPU). Medians of
iterations are given for an epoch of --images. What waits for data is the making of batches alone: choosing, varying
and coding. Memory is the most that torch allocated on a GPU.
"""

import sys
import time
from itertools import islice, pairwise
from statistics import median

import click
import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from spikingjelly.activation_based import functional

from neuroprune.data.catalog import list_datasets
from neuroprune.data.types import Dataset, Split, make_dataset
from neuroprune.errors import NeuropruneError
from neuroprune.networks.build import build
from neuroprune.networks.recipe import load_recipe
from neuroprune.training.loss import loss_of
from neuroprune.training.observer import Observer, Step
from neuroprune.training.samples import Samples
from neuroprune.training.settings import TrainSettings, settings_of
from neuroprune.training.train import train

MODELS = ("vgg16", "resnet19")
ROUNDS = 3
WARM_UP = 5
"""Iterations at the start of each epoch that are not timed."""

HEADINGS = (
    "network",
    "precision",
    "batch",
    "neuroprune\ns/epoch",
    "plain loop\ns/epoch",
    "ratio",
    "waits\nfor data",
    "MiB",
    "plain\nMiB",
)


class Watch(Observer):
    """Seconds from one optimiser step to the next."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.moments: list[float] = []

    def after_step(self, step: Step) -> None:
        synchronize(self.device)
        self.moments.append(time.perf_counter())

    def iterations(self) -> list[float]:
        return differences(self.moments)


def differences(moments: list[float]) -> list[float]:
    return [later - sooner for sooner, later in pairwise(moments)][WARM_UP:]


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def peak_mib(device: torch.device) -> str:
    return f"{torch.cuda.max_memory_allocated(device) / 2**20:.0f}" if device.type == "cuda" else "-"


def plain_loop(
    module: torch.nn.Module, frames: torch.Tensor, labels: torch.Tensor, settings: TrainSettings, iterations: int
) -> list[float]:
    """Seconds of iterations over one batch, again and again."""
    device = frames.device
    optimizer = torch.optim.SGD(
        module.parameters(), lr=settings.lr, momentum=settings.momentum, weight_decay=settings.weight_decay
    )
    module.train()
    moments, total = [], 0.0
    for _ in range(iterations):
        optimizer.zero_grad()
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=settings.amp):
            rates = module(frames)
        loss = loss_of(rates, labels, settings)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        functional.reset_net(module)
        total += loss.item()
        synchronize(device)
        moments.append(time.perf_counter())
    return differences(moments)


def data_seconds(samples: Samples, iterations: int) -> list[float]:
    """Seconds that the making of each batch takes."""
    device, moments = samples.labels.device, []
    for _ in islice(samples.batches(0), iterations):
        synchronize(device)
        moments.append(time.perf_counter())
    return differences(moments)


def random_data(model: str, count: int) -> Dataset:
    (info,) = (info for info in list_datasets() if info.name == load_recipe(model).data)
    random = np.random.default_rng(0)

    def split(size: int) -> Split:
        images = random.integers(0, 256, (size, *info.shape), dtype=np.uint8)
        return Split(images, np.arange(size) % len(info.classes))

    return make_dataset(info.name, split(count), split(20), info.classes, info.augmentation)


def measure(model: str, amp: bool, images: int, iterations: int, device: str) -> list[str]:
    """One row of the table."""
    recipe, place = load_recipe(model), torch.device(device)
    settings = settings_of(recipe, device=device, amp=amp, epochs=1)
    data = random_data(model, iterations * settings.batch)
    ours, plain = [], []
    for _ in range(ROUNDS):
        watch = Watch(place)
        reset_peak(place)
        train(build(recipe, data.input_shape, len(data.classes)), data, settings, observers=[watch])
        of_ours = peak_mib(place)
        ours += watch.iterations()
        samples = Samples.of(data, settings, place)
        batch = next(samples.batches(0))
        module = build(recipe, data.input_shape, len(data.classes)).to(place)
        reset_peak(place)
        plain += plain_loop(module, *batch, settings, iterations)
        memory = (of_ours, peak_mib(place))
    batches = images // settings.batch
    ours_s, plain_s, waits_s = (batches * median(each) for each in (ours, plain, data_seconds(samples, iterations)))
    figures = [f"{ours_s:.1f}", f"{plain_s:.1f}", f"{ours_s / plain_s:.2f}", f"{100 * waits_s / ours_s:.1f} %"]
    return [model, "mixed" if amp else "float32", str(settings.batch), *figures, *memory]


@click.command()
@click.option("--model", "models", multiple=True, default=MODELS, help="Recipe by name or path; may be repeated.")
@click.option("--images", default=50_000, show_default=True, help="Of an epoch.")
@click.option("--iterations", default=40, show_default=True, help="Of each of the three epochs that are timed.")
@click.option("--device", default="cuda", show_default=True, help="cpu, cuda or cuda:<number>.")
def main(models: tuple[str, ...], images: int, iterations: int, device: str) -> None:
    """Measure iterations of training against those of a plain loop, in one run."""
    table = Table(title=f"{device}, torch {torch.__version__}")
    for heading in HEADINGS:
        table.add_column(heading, justify="right" if table.columns else "left")
    for model in models:
        for amp in (False, True):
            table.add_row(*measure(model, amp, images, iterations, device))
    Console(width=110).print(table)


if __name__ == "__main__":
    try:
        main()
    except NeuropruneError as error:
        sys.exit(f"Error: {error}")
