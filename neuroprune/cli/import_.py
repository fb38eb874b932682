"""`neuroprune import`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from neuroprune.choices import names
from neuroprune.cli.console import next_step, show_json, show_text
from neuroprune.cli.imports import import_run
from neuroprune.cli.networks import model_argument
from neuroprune.cli.options import (
    GivenWeights,
    data_dir_option,
    device_option,
    download_option,
    json_option,
    model_options,
    out_option,
    runs_option,
    weights_options,
)
from neuroprune.cli.train import measured
from neuroprune.data.codings import CODINGS

if TYPE_CHECKING:
    from neuroprune.data.codings import Kind

EPILOG = """\b
Examples:
  neuroprune import --model my_network.py:Net --weights trained.pth --data mnist
  neuroprune import --model my_network.py:Net --args T=4 --weights best.ckpt --data cifar10 --mean 0.5 --std 0.25
  neuroprune import --model my_network.py:Net --weights net.safetensors --data n-mnist --steps 8
  neuroprune import --model net.nir --data mnist --steps 20
  neuroprune import --model my_network.py:trained --data cifar10"""


@click.command("import", epilog=EPILOG, short_help="Take a network that was trained elsewhere, with its weights.")
@model_options("file.py:Class of the network, or a recipe.")
@weights_options("File of its weights: of torch.save, or safetensors.  [default: those that it is made with]")
@click.option("--data", help="Data set that it was trained on.  [default: the recipe's, else digits]")
@data_dir_option
@download_option
@click.option("--steps", type=click.IntRange(min=1), help="Time steps of a sample.")
@click.option("--coding", type=click.Choice(names(CODINGS)), help="Coding of images.  [default: direct]")
@device_option
@runs_option
@out_option
@json_option
def command(
    model: str | None,
    weights: GivenWeights | None,
    data: str | None,
    data_dir: Path | None,
    download: bool,
    steps: int | None,
    coding: "Kind | None",
    device: str | None,
    runs_folder: Path,
    out: Path | None,
    as_json: bool,
) -> None:
    """Make a run of a network that was trained elsewhere, which compress and deploy take up as one of `train`.

    Without --weights it keeps those that it has when it is made: of a .nir file, or of code that loads them itself.
    Nothing in the file of weights is run. The network is shown pixels from 0 to 1, as torchvision's ToTensor makes
    them, or normalised by --mean and --std, as its training did it; the test accuracy shows whether that is right.
    """
    if model is None:
        raise click.UsageError("no network is named: add --model file.py:Class, or --model net.nir")
    run = import_run(
        model, weights or GivenWeights(), data, data_dir, download, coding, steps, device, runs_folder, out
    )
    if as_json:
        show_json({"run": str(run.folder), "test_accuracy": run.test_accuracy})
    else:
        show_text(f"{measured('test', run.test_accuracy, len(run.data.test))} as imported, kept in {run.folder}")
    next_step(f"neuroprune compress {run.folder} --structured --flops 0.5{model_argument(run.model)}")
