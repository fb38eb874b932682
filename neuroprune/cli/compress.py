"""`neuroprune compress`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from neuroprune.choices import names
from neuroprune.cli.console import next_step, note, progress_bars, show
from neuroprune.cli.networks import model_argument, open_run
from neuroprune.cli.options import (
    amp_that_pays,
    data_dir_option,
    device_option,
    download_option,
    given,
    json_option,
    out_option,
    runs_option,
)
from neuroprune.compression.catalog import METHODS
from neuroprune.runs import run_folder

if TYPE_CHECKING:
    from neuroprune.training.checkpoint import Checkpoint
    from neuroprune.training.settings import TrainSettings

EPILOG = """\b
Examples:
  neuroprune compress --structured --flops 0.5
  neuroprune compress --method slimming --flops 0.3 --epochs 20
  neuroprune compress runs/0001-train-digits --flops 0.7 --json"""


@click.command(epilog=EPILOG, short_help="Prune the latest training to a share of its FLOPs.")
@click.argument("run", required=False)
@click.option(
    "--structured", is_flag=True, default=True, help="Remove whole channels: the default, and the only way so far."
)
@click.option("--flops", type=float, default=0.5, show_default=True, help="Share of the dense network's FLOPs to keep.")
@click.option("--method", type=click.Choice(names(METHODS)), help="How channels are chosen.  [default: criticality]")
@click.option("--regenerate", "regeneration", type=float, help="Share of the channels kept for their criticality.")
@click.option("--model", help="file.py:Class, for a run of a class of your own.")
@click.option("--epochs", type=int, help="Epochs of fine-tuning; 0 for none.  [default: the recipe's]")
@click.option("--lr", type=float, help="Learning rate of fine-tuning.  [default: the recipe's]")
@click.option("--seed", type=int, help="Random seed.  [default: the run's]")
@data_dir_option
@download_option
@device_option
@runs_option
@out_option
@json_option
def command(
    run: str | None,
    structured: bool,
    flops: float,
    model: str | None,
    epochs: int | None,
    lr: float | None,
    seed: int | None,
    data_dir: Path | None,
    download: bool,
    device: str,
    runs_folder: Path,
    out: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Prune the network of RUN, by default the latest training, to a share of its FLOPs and fine-tune it.

    Channels are removed from the network, not only masked, so the result is smaller and computes the same as the masked
    network.
    """
    from neuroprune.compression.compress import compress
    from neuroprune.compression.record import FILE
    from neuroprune.compression.settings import CompressSettings
    from neuroprune.compression.table import render
    from neuroprune.data.load import load_dataset
    from neuroprune.records import record_json, save_record
    from neuroprune.training.checkpoint import save_checkpoint

    trained = open_run(runs_folder, run, model, ["train"])
    checkpoint = trained.checkpoint
    tuning = _fine_tuning(checkpoint, given(epochs=epochs, lr=lr, seed=seed, device=device))
    settings = CompressSettings(flops, fine_tune=tuning, **given(**options))
    coding = checkpoint.data.coding
    data = load_dataset(checkpoint.data.name, data_dir, download, coding.kind, coding.steps)
    with progress_bars(not as_json) as progress:
        result = compress(trained.module, data, settings, progress)
    history = (*checkpoint.history, *result.history)
    with run_folder(runs_folder, "compress", data.name, out) as folder:
        save_checkpoint(
            folder, result.module, checkpoint.model, checkpoint.data, tuning or checkpoint.settings, history
        )
        record = result.record(str(folder), str(trained.run))
        save_record(record, folder / FILE)
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
