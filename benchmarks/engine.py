"""The speed of the exact engine, compared with the float forward pass of the same network and with Lava.

    python benchmarks/engine.py [--model fashion-conv] [--batch 64] [--rounds 5] [--threads 1] [--device cuda]

Networks have random weights, and a BatchNorm fitted to the random frames so that every hidden layer fires. Engine and
float pass run in turn on the same frames with the same batch; the best round of each is reported. Lava's own process
models run once with one sample and once with three: half the difference is a sample in their pipeline, without
start-up. Lava's records are compared with the engine's, so a figure stands for equal results. Memory is how much a
process of its own grows when the engine runs in it; on a GPU, the most that torch allocated there.
"""

import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.table import Table

from neuroprune.arrays import Frames
from neuroprune.chips.load import load_chip
from neuroprune.data.catalog import list_datasets
from neuroprune.errors import NeuropruneError
from neuroprune.graph.fold import fold
from neuroprune.graph.trace import trace
from neuroprune.networks.batchnorm import reestimate_batchnorm
from neuroprune.networks.build import SpikingNetwork, build
from neuroprune.networks.recipe import load_recipe
from neuroprune.program.frames import quantize_input
from neuroprune.program.types import IntProgram
from neuroprune.quantization.quantize import quantize
from neuroprune.simulation.compare import compare
from neuroprune.simulation.engine import record, simulate
from neuroprune.simulation.floats import run_module
from neuroprune.simulation.lava import record_with_lava

MODELS = ("fashion-conv", str(Path(__file__).with_name("vgg6.yaml")))
HEADINGS = (
    "network",
    "T",
    "float\nimg/s",
    "engine\nimg/s",
    "engine /\nfloat",
    "Lava\ns/img",
    "Lava /\nengine",
    "engine\nMiB",
)


def firing_network(model: str, frames_of: Callable[[tuple[int, int, int]], Frames]) -> tuple[SpikingNetwork, Frames]:
    """The network of a recipe and frames for it; gain and offset of its BatchNorm keep the spikes going."""
    recipe = load_recipe(model)
    (shape,) = (info.shape for info in list_datasets() if info.name == recipe.data)
    module, frames = build(recipe, shape, 10), frames_of(shape)
    for norm in module.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            torch.nn.init.constant_(norm.weight, 2.0)
            torch.nn.init.constant_(norm.bias, 0.5)
    reestimate_batchnorm(module, torch.from_numpy(frames[:16]))
    return module, frames


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def lava_seconds(program: IntProgram, spikes: npt.NDArray[np.int8]) -> float:
    """Seconds of a whole run of Lava; raises VerificationError unless it equals the engine."""
    expected = record(program, spikes)
    start = time.perf_counter()
    found = record_with_lava(program, spikes, timeout_s=1800, models="stock")
    elapsed = time.perf_counter() - start
    compare(expected, found)
    return elapsed


def peak_mib() -> float:
    """Largest resident memory of this process so far. On Linux getrusage would count what its parent had, too."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2  # macOS, which counts in bytes
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def growth_mib(program: IntProgram, spikes: npt.NDArray[np.int8], batch: int, threads: int) -> float:
    """For a fresh process: by how much the engine raises its peak."""
    torch.set_num_threads(threads)
    before = peak_mib()
    simulate(program, spikes, batch)
    return peak_mib() - before


def engine_mib(program: IntProgram, spikes: npt.NDArray[np.int8], batch: int, device: str) -> float:
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats(device)
        simulate(program, spikes, batch, device)
        return torch.cuda.max_memory_allocated(device) / 2**20
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
        return fresh.submit(growth_mib, program, spikes, batch, torch.get_num_threads()).result()


def measure(model: str, samples: int, batch: int, rounds: int, device: str, with_lava: bool) -> list[str]:
    """One row of the table."""
    rng = np.random.default_rng(0)
    module, frames = firing_network(model, lambda shape: rng.standard_normal((samples, *shape), dtype=np.float32))
    program = quantize(fold(trace(module, torch.from_numpy(frames[:1]))), frames[:32], load_chip("loihi-sim"))
    spikes, _ = quantize_input(program.input, frames)
    module.to(device)
    float_times, engine_times = [], []
    for _ in range(rounds):
        float_times.append(seconds(lambda: run_module(module, frames, batch)))
        engine_times.append(seconds(lambda: simulate(program, spikes, batch, device)))
    float_rate, engine_rate = (samples / min(times) for times in (float_times, engine_times))
    memory = engine_mib(program, spikes, batch, device)
    by_lava = ["-", "-"]
    if with_lava:
        one, three = (lava_seconds(program, some) for some in (spikes[:1], spikes[:3]))
        by_lava = [f"{(three - one) / 2:.2f}", f"{(three - one) / 2 * engine_rate:.0f}"]
    rates = [f"{float_rate:.1f}", f"{engine_rate:.1f}", f"{engine_rate / float_rate:.2f}"]
    return [Path(model).stem, str(program.steps), *rates, *by_lava, f"{memory:.0f}"]


@click.command()
@click.option("--model", "models", multiple=True, default=MODELS, help="Recipe by name or path; may be repeated.")
@click.option("--samples", default=64, show_default=True, help="Frames run by engine and float pass.")
@click.option("--batch", default=64, show_default=True)
@click.option("--rounds", default=5, show_default=True, help="Turns of float pass and engine.")
@click.option("--threads", default=torch.get_num_threads(), show_default=True, help="Threads of torch.")
@click.option(
    "--device", default="cpu", show_default=True, help="Of engine and float pass: cpu, cuda or cuda:<number>."
)
@click.option("--lava/--no-lava", default=True, help="Run Lava, too: minutes for the VGG-like network.")
def main(models: tuple[str, ...], samples: int, batch: int, rounds: int, threads: int, device: str, lava: bool) -> None:
    """Measure the exact engine against the float forward pass and Lava, in one run."""
    torch.set_num_threads(threads)
    table = Table(
        title=f"{device}, batch {batch}, {threads} threads of torch {torch.__version__}, best of {rounds} rounds"
    )
    for heading in HEADINGS:
        table.add_column(heading, justify="right" if table.columns else "left")
    for model in models:
        table.add_row(*measure(model, samples, batch, rounds, device, lava))
    Console().print(table)


if __name__ == "__main__":
    try:
        main()
    except NeuropruneError as error:
        sys.exit(f"Error: {error}")
