"""Memory of a deployment of coded images, for different numbers of them.

    python benchmarks/memory.py [--samples 1000 --samples 10000 --samples 60000] [--steps 16] [--threads 2]

Random images of 28x28 pixels with labels, rate coded over the steps, are deployed from Python on a small network:
module, folded, rounded and integer program run on all of them. Each number of images has a process of its own. Its peak
without the bytes of the images is what should not grow with their number; "before" is the peak when all but the images
was made, and a few of them had been deployed.
"""

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import click
import numpy as np
import torch
from engine import peak_mib
from rich.console import Console
from rich.table import Table
from spikingjelly.activation_based import layer, neuron
from torch import nn

from neuroprune.data.coding import CodedFrames, frames_of
from neuroprune.data.types import Coding, Images
from neuroprune.pipeline import deploy
from neuroprune.simulation.verification import LavaSettings

SIZE, CLASSES = 28, 10
FEW = 64
HEADINGS = ("images", "seconds", "images\nMiB", "before\nMiB", "peak\nMiB", "peak - images\nMiB", "of the\nfirst")


class Network(nn.Module):
    """A convolution and a dense layer, which fire often enough for every stage to have work."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(
            layer.Conv2d(1, 4, 3, stride=2, padding=1, step_mode="m"),
            neuron.LIFNode(v_threshold=0.2, step_mode="m"),
            layer.Flatten(step_mode="m"),
            layer.Linear(4 * (SIZE // 2) ** 2, CLASSES, step_mode="m"),
            neuron.LIFNode(v_threshold=0.2, step_mode="m"),
        )

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return self.body(frames).mean(0)


class Measured(NamedTuple):
    seconds: float
    before: float
    images: float
    peak: float


def images_of(samples: int) -> Images:
    return np.random.default_rng(samples).integers(0, 256, (samples, 1, SIZE, SIZE), dtype=np.uint8)


def measure(samples: int, steps: int, threads: int) -> Measured:
    """For a fresh process."""
    torch.set_num_threads(threads)
    coding, module = Coding((0.0,), (255.0,), "poisson", steps), Network()
    calibration = frames_of(images_of(FEW), coding)

    def run(images: Images) -> None:
        labels = np.arange(len(images)) % CLASSES
        frames = CodedFrames(images, coding)
        deploy(module, calibration, "loihi-sim", frames, labels, lava=LavaSettings(samples=0))

    run(images_of(FEW))
    before, start = peak_mib(), time.perf_counter()
    images = images_of(samples)
    run(images)
    return Measured(time.perf_counter() - start, before, images.nbytes / 2**20, peak_mib())


@click.command()
@click.option(
    "--samples", multiple=True, default=(1000, 10000, 60000), show_default=True, help="Images; may be repeated."
)
@click.option("--steps", default=16, show_default=True, help="T of the coding.")
@click.option("--threads", default=torch.get_num_threads(), show_default=True, help="Threads of torch.")
def main(samples: tuple[int, ...], steps: int, threads: int) -> None:
    """Measure the peak memory of `deploy` for each number of images."""
    table = Table(title=f"rate coding, T = {steps}, {threads} threads of torch {torch.__version__}")
    for heading in HEADINGS:
        table.add_column(heading, justify="right")
    first = None
    for count in samples:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
            found = fresh.submit(measure, count, steps, threads).result()
        beyond = found.peak - found.images
        first = first or beyond
        table.add_row(
            f"{count:,}",
            f"{found.seconds:.0f}",
            *(f"{each:.0f}" for each in (found.images, found.before, found.peak, beyond)),
            f"{beyond / first:.3f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
