"""`neuroprune train`."""

import dataclasses
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from neuroprune.choices import names
from neuroprune.cli.console import next_step, note, progress_bars, show_json, show_text
from neuroprune.cli.networks import (
    choose_recipe,
    data_of,
    model_argument,
    note_form,
    open_run,
    say_how_to_go_on,
    take_interrupted,
    take_weights,
    with_frames_of,
)
from neuroprune.cli.options import (
    GivenWeights,
    amp_that_pays,
    data_dir_option,
    device_option,
    download_option,
    given,
    json_option,
    model_options,
    out_option,
    refuse_changes,
    resume_option,
    runs_option,
    weights_options,
)
from neuroprune.data.codings import CODINGS
from neuroprune.networks.catalog import LOSSES, OPTIMIZERS, SCHEDULES
from neuroprune.networks.reference import is_reference
from neuroprune.runs import run_folder

if TYPE_CHECKING:
    from torch import nn

    from neuroprune.data.codings import Kind
    from neuroprune.data.types import Dataset
    from neuroprune.training.checkpoint import Model, WeightsFacts
    from neuroprune.training.settings import TrainSettings

DEFAULT_DATA = "digits"
EPILOG = """\b
Examples:
  neuroprune train
  neuroprune train --data fashion-mnist --data-dir ~/data --epochs 30
  neuroprune train --data n-mnist --steps 8
  neuroprune train --coding poisson --steps 12
  neuroprune train --model my_network.py:Net --data cifar10 --l1 1e-4
  neuroprune train --model my_network.py:Net --weights trained.pth --data cifar10 --lr 1e-4
  neuroprune train --model my_network.py:Net --data my_images.npz --samples 1000
  neuroprune train --validation 0.1
  neuroprune train --resume"""


class TrainingJob(NamedTuple):
    """A network, its training data and its settings."""

    network: "nn.Module"
    model: "Model"
    data: "Dataset"
    settings: "TrainSettings"

    @property
    def name(self) -> str:
        """What the network is called."""
        return self.model if isinstance(self.model, str) else self.model.name


@click.command(epilog=EPILOG, short_help="Train a network, by default on the embedded digits.")
@click.option(
    "--data",
    help="Data set, which `neuroprune data` lists, or your own by its path: a .npz file or a folder of classes.  "
    f"[default: the recipe's, else {DEFAULT_DATA}]",
)
@data_dir_option
@download_option
@model_options("Recipe, its YAML file, or file.py:Class.  [default: the recipe for the data]")
@weights_options("File of weights that the training begins with: of torch.save, or safetensors.")
@click.option("--epochs", type=int, help="Passes over the training set.")
@click.option("--batch", type=int, help="Samples per optimiser step.")
@click.option("--lr", type=float, help="Learning rate at the start.")
@click.option("--optimizer", type=click.Choice(names(OPTIMIZERS)), help="Optimiser.")
@click.option("--schedule", type=click.Choice(names(SCHEDULES)), help="Schedule of the learning rate.")
@click.option(
    "--milestones",
    callback=lambda context, option, value: None if value is None else _epochs(value),
    help="With --schedule step: epochs, such as 80,120, at which the rate falls to a tenth.",
)
@click.option("--steps", type=click.IntRange(min=1), help="Time steps T, in place of the recipe's.")
@click.option(
    "--coding",
    type=click.Choice(names(CODINGS)),
    help="Coding of images: as they are, rate (poisson), time-to-first-spike (latency), a row a step (rows).  "
    "[default: direct]",
)
@click.option("--loss", type=click.Choice(names(LOSSES)), help="Loss.")
@click.option("--l1", type=float, help="L1 penalty on BatchNorm scales, which prepares the network for pruning.")
@click.option("--label-smoothing", type=float, help="Share of the target that is spread evenly over all classes.")
@click.option(
    "--validation",
    type=float,
    help="Share of the training samples, such as 0.1, that is held out to choose by; the test set is then read once.",
)
@click.option(
    "--samples", type=click.IntRange(min=1), help="Training samples to take, as many of each class.  [default: all]"
)
@click.option("--seed", type=int, help="Random seed.  [default: 0]")
@device_option
@click.option("--amp", is_flag=True, default=None, help="bfloat16 autocast, where the device has it.")
@resume_option
@runs_option
@out_option
@json_option
def command(
    data: str | None,
    data_dir: Path | None,
    download: bool,
    model: str | None,
    weights: GivenWeights | None,
    steps: int | None,
    coding: "Kind | None",
    samples: int | None,
    resume: str | None,
    runs_folder: Path,
    out: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Train a network; without options, a small one on the embedded digits.

    A checkpoint is kept after every epoch, so Ctrl-C loses no more than the epoch under way. Options that are left out
    take the recipe's values.
    """
    from neuroprune.data.hold_out import hold_out
    from neuroprune.data.load import load_dataset
    from neuroprune.data.subset import take_samples
    from neuroprune.training.train import train

    load = partial(load_dataset, folder=data_dir, download=download)
    settings = given(**options | {"amp": amp_that_pays(options["amp"], options["device"])})
    resumed, began_with = None, None
    if resume is None:
        job = new_job(load, data, model, coding or "direct", steps, settings, weights)
        if weights is not None and weights.path is not None:
            began_with = take_weights(job.network, weights.path).facts
        taken = job.data if samples is None else take_samples(job.data, samples)
        job = job._replace(data=hold_out(taken, job.settings.validation))
    else:
        refuse_changes(data=data, steps=steps, coding=coding, samples=samples, out=out)
        resumed = take_interrupted(runs_folder, resume or None, "train")
        job, began_with = _interrupted_job(data_dir, download, resumed, model, settings)
    with (
        run_folder(runs_folder, "train", job.data.name, out, resumed=resumed) as folder,
        say_how_to_go_on(folder),
        progress_bars(not as_json) as progress,
    ):
        note(f"training {job.name} on {job.data.name} for {job.settings.epochs} epochs, into {folder}")
        result = train(
            job.network,
            job.data,
            job.settings,
            folder,
            job.model,
            resume=resume is not None,
            progress=progress,
            weights=began_with,
        )
    last = result.history[-1]
    if as_json:
        show_json({"run": str(folder), "history": [dataclasses.asdict(record) for record in result.history]})
    else:
        after = f"after epoch {last.epoch}"
        if job.data.validation is not None:
            held = len(job.data.validation)
            show_text(f"{measured('validation', last.validation_accuracy, held)} on {held} samples held out, {after}")
            after = "read once, at the end"
        show_text(f"{measured('test', last.test_accuracy, len(job.data.test))} {after}, kept in {folder}")
    next_step(f"neuroprune compress {folder} --structured --flops 0.5{model_argument(job.model)}")


def measured(split: str, accuracy: float | None, samples: int) -> str:
    """An accuracy with its interval; the last epoch has that of every split."""
    from neuroprune.intervals import share_interval

    assert accuracy is not None
    low, high = share_interval(accuracy, samples)
    return f"{split} accuracy {100 * accuracy:.2f} % (95 % interval {100 * low:.1f} to {100 * high:.1f})"


def _epochs(text: str) -> tuple[int, ...]:
    """Epochs written with commas between them."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a list of epochs such as 80,120") from None


def _data_of(model: str | None) -> str:
    """The data set that a recipe is meant for; digits for a class, or where no network is named."""
    from neuroprune.networks.recipe import load_recipe

    return DEFAULT_DATA if model is None or is_reference(model) else load_recipe(model).data


def new_job(
    load: "partial[Dataset]",
    data_name: str | None,
    model: str | None,
    coding: "Kind",
    steps: int | None,
    changes: dict[str, Any],
    weights: GivenWeights | None = None,
) -> TrainingJob:
    """The job that options ask for; with frames as `weights` were trained on, whose file is not yet read."""
    from neuroprune.data.load import describe_dataset
    from neuroprune.networks.build import initial_network
    from neuroprune.training.settings import TrainSettings, settings_of

    info = describe_dataset(data_name or _data_of(model), load.keywords["folder"])
    if steps is None:
        steps = info.steps_of(coding)
    if model is not None and is_reference(model):
        made_by: Model = model
        data = load(info, coding=coding, steps=steps)
        settings = TrainSettings(**changes)
    else:
        made_by = recipe = choose_recipe(model, info, steps)
        settings = settings_of(recipe, **changes)
        data = load(info, coding=coding, steps=recipe.steps)
    sequence = data.coding.steps is not None
    network = initial_network(made_by, data.input_shape, len(data.classes), settings.seed, steps, sequence)
    if weights is not None:
        data = with_frames_of(weights, data)
    note_form(network)
    return TrainingJob(network, made_by, data, settings)


def _interrupted_job(
    data_dir: Path | None, download: bool, run: Path, model: str | None, changes: dict[str, Any]
) -> "tuple[TrainingJob, WeightsFacts | None]":
    """The job of a run that is resumed, and the weights that it began with."""
    trained = open_run(run, model)
    checkpoint = trained.checkpoint
    settings = dataclasses.replace(checkpoint.settings, **changes)
    data = data_of(dataclasses.replace(checkpoint, settings=settings), data_dir, download, resumed=True)
    return TrainingJob(trained.module, checkpoint.model, data, settings), checkpoint.weights
