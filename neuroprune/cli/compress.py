"""`neuroprune compress`."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from neuroprune.choices import names
from neuroprune.cli.console import next_step, note, progress_bars, show
from neuroprune.cli.networks import data_of, model_argument, open_run, say_how_to_go_on, take_interrupted, take_run
from neuroprune.cli.options import (
    amp_that_pays,
    data_dir_option,
    device_option,
    download_option,
    given,
    json_option,
    out_option,
    refuse_changes,
    resume_option,
    runs_option,
    unfinished_option,
)
from neuroprune.compression.catalog import METHODS
from neuroprune.runs import run_folder

if TYPE_CHECKING:
    from neuroprune.training.checkpoint import Checkpoint
    from neuroprune.training.settings import TrainSettings

DEFAULT_FLOPS = 0.5
EPILOG = """\b
Examples:
  neuroprune compress --structured --flops 0.5
  neuroprune compress --method slimming --flops 0.3 --epochs 20
  neuroprune compress runs/0001-train-digits --flops 0.7 --json
  neuroprune compress --resume"""


@click.command(epilog=EPILOG, short_help="Prune the latest training to a share of its FLOPs.")
@click.argument("run", required=False)
@click.option(
    "--structured", is_flag=True, default=True, help="Remove whole channels: the default, and the only way so far."
)
@click.option("--flops", type=float, help=f"Share of the dense network's FLOPs to keep.  [default: {DEFAULT_FLOPS}]")
@click.option("--method", type=click.Choice(names(METHODS)), help="How channels are chosen.  [default: criticality]")
@click.option("--regenerate", "regeneration", type=float, help="Share of the channels kept for their criticality.")
@click.option("--model", help="file.py:Class, for a run of a class of your own.")
@click.option("--epochs", type=int, help="Epochs of fine-tuning; 0 for none.  [default: the recipe's]")
@click.option("--lr", type=float, help="Learning rate of fine-tuning.  [default: the recipe's]")
@click.option("--seed", type=int, help="Random seed.  [default: the run's]")
@resume_option
@unfinished_option
@data_dir_option
@download_option
@device_option
@runs_option
@out_option
@json_option
def command(
    run: str | None,
    structured: bool,
    model: str | None,
    epochs: int | None,
    lr: float | None,
    seed: int | None,
    resume: str | None,
    unfinished: bool,
    data_dir: Path | None,
    download: bool,
    device: str | None,
    runs_folder: Path,
    out: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Prune the network of RUN, by default the latest training, to a share of its FLOPs and fine-tune it.

    Channels are removed from the network, not only masked, so the result is smaller and computes the same as the masked
    network. It is kept as soon as it is cut, and after every epoch of fine-tuning.
    """
    from neuroprune.compression.compress import compress, resume_compress
    from neuroprune.compression.record import load_compress_record
    from neuroprune.compression.settings import CompressSettings
    from neuroprune.compression.table import render
    from neuroprune.records import record_json

    changes, asked = given(epochs=epochs, lr=lr, seed=seed, device=device), given(**options)
    resumed = None
    if resume is None:
        source = take_run(runs_folder, run, ["train"], unfinished)
        trained = open_run(source, model)
        tuning = _fine_tuning(trained.checkpoint, {"device": "auto", **changes})
        settings = CompressSettings(fine_tune=tuning, **{"flops": DEFAULT_FLOPS, **asked})
    else:
        if run is not None:
            raise click.UsageError(f"{run} and --resume name two runs: give the one to resume after --resume")
        refuse_changes(out=out, unfinished=unfinished or None)
        resumed = take_interrupted(runs_folder, resume or None, "compress")
        trained = open_run(resumed, model)
    checkpoint = trained.checkpoint
    data = data_of(checkpoint, data_dir, download)
    with (
        run_folder(runs_folder, "compress", data.name, out, resumed=resumed) as folder,
        say_how_to_go_on(folder),
        progress_bars(not as_json) as progress,
    ):
        if resumed is None:
            compress(trained.module, data, settings, progress, folder=folder, source=source)
        else:
            tuning = replace(checkpoint.settings, **changes)
            resume_compress(trained.module, data, folder, checkpoint, tuning, asked, progress)
    record = load_compress_record(folder)
    if as_json:
        click.echo(record_json(record))
    else:
        show(render(record))
    note(f"kept in {folder}")
    next_step(f"neuroprune deploy {folder} --target loihi-sim{model_argument(checkpoint.model)}")


def _fine_tuning(checkpoint: "Checkpoint", changes: dict[str, Any]) -> "TrainSettings | None":
    """How the network of `checkpoint` is fine-tuned; not at all where `changes` ask for 0 epochs."""
    from neuroprune.networks.recipe import FineTuning
    from neuroprune.training.settings import fine_tuning_of

    if changes.get("epochs") == 0:
        return None
    usual = FineTuning() if isinstance(checkpoint.model, str) else checkpoint.model.fine_tuning
    amp = amp_that_pays(checkpoint.settings.amp, changes["device"])
    return fine_tuning_of(checkpoint.settings, usual, **changes, amp=amp)
