"""The jobs of `neuroprune deploy`: a network of a run, recipe or class, or a finished .net file, and its data."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from neuroprune.cli.console import note
from neuroprune.cli.networks import (
    data_of,
    note_form,
    note_own_weights,
    open_run,
    take_run,
    take_weights,
    with_frames_of,
)
from neuroprune.cli.options import GivenWeights
from neuroprune.errors import InputError
from neuroprune.networks.reference import is_reference

if TYPE_CHECKING:
    from torch import nn

    from neuroprune.arrays import Frames, Labels
    from neuroprune.data.coding import CodedFrames
    from neuroprune.data.codings import Kind
    from neuroprune.data.types import Coding, Dataset, Images
    from neuroprune.pipeline import Tuning

CALIBRATION_SAMPLES = 256
"""Training frames, spread evenly over the training set, that set the scales."""


class DeployJob(NamedTuple):
    """A network, its name, how its frames are made, and the file that its weights were read from, if any."""

    network: "nn.Module"
    name: str
    data: "Dataset"
    coding: "Coding"
    seed: int | None
    checkpoint: Path | None = None

    def frames(self, images: "Images") -> "CodedFrames":
        """Raw pixels as the network sees them."""
        from neuroprune.data.coding import CodedFrames

        return CodedFrames(images, self.coding)

    def calibration(self) -> "Frames":
        """Frames that set the scales, evenly over the training set."""
        import numpy as np

        total = len(self.data.train)
        return self.frames(
            self.data.train.images[np.linspace(0, total - 1, min(CALIBRATION_SAMPLES, total)).astype(np.intp)]
        )[:]

    def tuning(self, epochs: int) -> "Tuning | None":
        """Fine-tuning on the training set with the chip's rounding and training's random seed; None for 0 epochs."""
        from neuroprune.pipeline import Tuning
        from neuroprune.quantization.qat import QatSettings
        from neuroprune.training.loss import RATE_SCALE

        if epochs == 0:
            return None
        train, settings = self.data.train, QatSettings(epochs, RATE_SCALE, seed=self.seed or 0)
        return Tuning(settings, lambda chosen: self.frames(train.images[chosen])[:], train.labels)


class Recorded(NamedTuple):
    """Samples for a program that comes as a file."""

    data: "Dataset"
    frames: "CodedFrames"
    labels: "Labels"


def trained_job(
    runs_folder: Path,
    run: str | None,
    model: str | None,
    data: str | None,
    data_dir: Path | None,
    download: bool,
    unfinished: bool,
) -> DeployJob:
    """The network of RUN, by default of the latest run, on the data that it was trained on, or other such data."""
    from neuroprune.training.checkpoint import TENSORS

    trained = open_run(take_run(runs_folder, run, ["train", "compress"], unfinished), model)
    dataset = data_of(trained.checkpoint, data_dir, download, data)
    made_by = trained.checkpoint.model
    name = f"{made_by if isinstance(made_by, str) else made_by.name} ({trained.run.name})"
    weights = trained.run / TENSORS
    return DeployJob(trained.module, name, dataset, dataset.coding, trained.checkpoint.seed, weights)


def untrained_job(
    model: str,
    data: str | None,
    data_dir: Path | None,
    download: bool,
    coding: "Kind | None",
    steps: int | None,
    weights: GivenWeights | None = None,
) -> DeployJob:
    """The network of code, of a NIR file or of a recipe, with the weights of a file.

    Without one, the first two have the weights that they are made with, and a recipe's network initial ones and
    re-estimated BatchNorm.
    """
    import torch

    from neuroprune.data.coding import time_first
    from neuroprune.data.load import load_dataset
    from neuroprune.networks.batchnorm import reestimate_batchnorm
    from neuroprune.networks.build import build, load_network
    from neuroprune.networks.probing import present
    from neuroprune.networks.recipe import load_recipe
    from neuroprune.training.fit import check_fits

    if is_reference(model):
        dataset = load_dataset(data or "digits", data_dir, download, coding or "direct", steps)
        sequence = dataset.coding.steps is not None
        network = present(load_network(model), dataset.input_shape, steps, sequence).eval()
        weights = weights or GivenWeights()
        dataset = with_frames_of(weights, dataset)
        note_form(network)
        check_fits(network, dataset, torch.device("cpu"), to_train=False)
        if weights.path is not None:
            take_weights(network, weights.path)
            return DeployJob(network, f"{model} ({weights.path.name})", dataset, dataset.coding, None)
        note_own_weights(model)
        return DeployJob(network, model, dataset, dataset.coding, None)
    recipe = load_recipe(model)
    if steps is not None and steps != recipe.steps:
        raise InputError(
            f"recipe {recipe.name} has {recipe.steps} steps, not {steps}: leave out --steps, or edit a copy"
        )
    dataset = load_dataset(data or recipe.data, data_dir, download, coding or "direct", recipe.steps)
    if weights is not None:
        dataset = with_frames_of(weights, dataset)
    network = build(recipe, dataset.input_shape, len(dataset.classes))
    if weights is not None and weights.path is not None:
        take_weights(network, weights.path)
        return DeployJob(network.eval(), f"{recipe.name} ({weights.path.name})", dataset, dataset.coding, 0)
    job = DeployJob(network, f"{recipe.name}, untrained", dataset, dataset.coding, 0)
    reestimate_batchnorm(network, time_first(torch.from_numpy(job.calibration())))
    note(f"taking {recipe.name} with initial weights, its BatchNorm re-estimated on {CALIBRATION_SAMPLES} frames")
    return job


def samples_for(
    program: GivenWeights,
    data: str | None,
    data_dir: Path | None,
    download: bool,
    coding: "Kind | None",
    steps: int | None,
    samples: int | None,
) -> Recorded:
    """Test samples for the file of `program`, coded as asked; steps where the file does not state its own.

    A file that does is neuroprune's, and reads frames as neuroprune normalises them.
    """
    from neuroprune.data.coding import CodedFrames
    from neuroprune.data.load import load_dataset
    from neuroprune.exchange.format import format_of

    path = program.path
    assert path is not None  # weights_options
    if data is None:
        raise InputError(f"{path} does not say which data it is for: name a data set with --data")
    stated = format_of(path).stated_steps(path)
    dataset = load_dataset(data, data_dir, download, coding or "direct", stated or steps)
    if stated is None:
        dataset = with_frames_of(program, dataset)
    elif program.mean is not None or program.std is not None:
        raise InputError(f"{path} is of a network of neuroprune's, which brings its own: leave out --mean and --std")
    test = dataset.test
    return Recorded(dataset, CodedFrames(test.images[:samples], dataset.coding), test.labels[:samples])
