"""`neuroprune deploy`."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from neuroprune.cli.console import next_step, note, page_width, progress_bars, show, show_json
from neuroprune.cli.networks import is_class, open_run
from neuroprune.cli.options import (
    data_dir_option,
    device_option,
    download_option,
    json_option,
    out_option,
    runs_option,
)
from neuroprune.errors import InputError
from neuroprune.runs import run_folder

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import nn

    from neuroprune.data.types import Coding, Dataset, Frames, Images

CALIBRATION_SAMPLES = 256
"""Training frames, spread evenly over the training set, that set the scale of the input."""

EPILOG = """\b
Examples:
  neuroprune deploy --target loihi-sim
  neuroprune deploy runs/0002-compress-digits --samples 100 --lava-samples 5
  neuroprune deploy --model my_network.py:Net --data cifar10"""


class Job(NamedTuple):
    """A network, what it is called, and how its frames are made."""

    network: "nn.Module"
    name: str
    data: "Dataset"
    coding: "Coding"
    seed: int | None

    def frames(self, images: "Images") -> "Frames":
        """Raw pixels as the network sees them."""
        from neuroprune.data.coding import frames_of

        return frames_of(images, self.coding)


@click.command(epilog=EPILOG, short_help="Compile the latest network for a chip, run and weigh it.")
@click.argument("run", required=False)
@click.option(
    "--target", default="loihi-sim", show_default=True, help="Chip, or its YAML; `neuroprune targets` lists them."
)
@click.option(
    "--model", help="Recipe or file.py:Class, to deploy it untrained; with RUN, the class that it was trained from."
)
@click.option("--data", help="Data set to run.  [default: the run's or recipe's, else digits]")
@data_dir_option
@download_option
@click.option("--samples", type=click.IntRange(min=1), help="Test samples to run.  [default: all]")
@click.option(
    "--lava-samples", type=click.IntRange(min=0), default=2, show_default=True, help="Of these, how many Lava checks."
)
@click.option("--lava-python", help="Interpreter that has Lava.  [default: this one]")
@click.option(
    "--lava-timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=600.0,
    show_default=True,
    help="Seconds until Lava is given up.",
)
@device_option
@runs_option
@out_option
@json_option
def command(
    run: str | None,
    target: str,
    model: str | None,
    data: str | None,
    data_dir: Path | None,
    download: bool,
    samples: int | None,
    lava_samples: int,
    lava_python: str | None,
    lava_timeout: float,
    device: str,
    runs_folder: Path,
    out: Path | None,
    as_json: bool,
) -> None:
    """Compile the network of RUN, by default the latest, for a chip, run it there in integers, and weigh it.

    The whole test set runs in the exact engine; Lava runs a few samples of it, and every spike and voltage must agree.
    Written are report.json, cores.csv, layers.csv, program.net (for lava-dl) and model.onnx.
    """
    from neuroprune.targets import load_target

    chip = load_target(target)  # first, so that a wrong name costs nobody the seconds that the rest takes to load

    from neuroprune.deploy import LavaSettings, deploy
    from neuroprune.report.terminal import render
    from neuroprune.train.settings import pick_device

    if model is not None and run is None:
        job = _untrained(model, data, data_dir, download)
    else:
        job = _trained(runs_folder, run, model, data, data_dir, download)
    test = job.data.test
    with run_folder(runs_folder, "deploy", job.data.name, out) as folder, progress_bars(not as_json) as progress:
        report = deploy(
            job.network,
            job.frames(job.data.train.images[_spread(job.data)]),
            chip,
            job.frames(test.images[:samples]),
            test.labels[:samples],
            network=job.name,
            data=job.data.name,
            seed=job.seed,
            lava=LavaSettings(lava_samples, lava_timeout, lava_python),
            folder=folder,
            device=str(pick_device(device)),
            progress=progress,
        )
    if as_json:
        show_json(report.model_dump(mode="json"))
    else:
        show(render(report, page_width()))
    note(f"kept in {folder}")
    next_step(f"neuroprune report {folder}")


def _trained(
    runs_folder: Path, run: str | None, model: str | None, data: str | None, data_dir: Path | None, download: bool
) -> Job:
    from neuroprune.data.load import load_dataset

    trained = open_run(runs_folder, run, model, ["train", "compress"])
    facts = trained.checkpoint.data
    dataset = load_dataset(data or facts.name, data_dir, download, facts.coding.kind, facts.coding.steps)
    if dataset.input_shape != facts.input_shape:
        raise InputError(
            f"{trained.run} was trained on frames of {facts.input_shape} (channels, height, width), but those of "
            f"{dataset.name} are {dataset.input_shape}: name data of the same size with --data"
        )
    made_by = trained.checkpoint.model
    name = f"{made_by if isinstance(made_by, str) else made_by.name} ({trained.run.name})"
    return Job(trained.module, name, dataset, facts.coding, trained.checkpoint.seed)


def _untrained(model: str, data: str | None, data_dir: Path | None, download: bool) -> Job:
    """A class's network as the class makes it, or a recipe's with initial weights and settled normalisation."""
    import torch

    from neuroprune.data.coding import time_first
    from neuroprune.data.load import load_dataset
    from neuroprune.networks.build import build
    from neuroprune.networks.recipe import load_recipe
    from neuroprune.networks.settle import settle_norms
    from neuroprune.networks.user import load_class

    if is_class(model):
        dataset = load_dataset(data or "digits", data_dir, download)
        note(f"taking {model} as it is made, without a run")
        return Job(load_class(model).eval(), model, dataset, dataset.coding, None)
    recipe = load_recipe(model)
    dataset = load_dataset(data or recipe.data, data_dir, download, steps=recipe.steps)
    network = build(recipe, dataset.input_shape, len(dataset.classes))
    job = Job(network, f"{recipe.name}, untrained", dataset, dataset.coding, 0)
    settle_norms(network, time_first(torch.from_numpy(job.frames(dataset.train.images[_spread(dataset)]))))
    note(f"taking {recipe.name} with initial weights, its normalisation settled on {CALIBRATION_SAMPLES} frames")
    return job


def _spread(data: "Dataset") -> "npt.NDArray[np.intp]":
    """Numbers of the calibration samples, evenly over the training set."""
    import numpy as np

    total = len(data.train)
    return np.linspace(0, total - 1, min(CALIBRATION_SAMPLES, total)).astype(np.intp)
