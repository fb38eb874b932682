"""`neuroprune compress`."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from neuroprune.choices import Named, names
from neuroprune.cli.console import next_step, note, progress_bars, show, show_text
from neuroprune.cli.imports import import_run
from neuroprune.cli.networks import data_of, model_argument, open_run, say_how_to_go_on, take_interrupted, take_run
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
    refuse,
    refuse_changes,
    resume_option,
    runs_option,
    unfinished_option,
    weights_options,
)
from neuroprune.compression.catalog import (
    AGGREGATIONS,
    CURRENCIES,
    KINDS,
    LIMITS,
    METHODS,
    REGROWTHS,
    RESIDUALS,
    SCORES,
    STARTS,
    SURROGATES,
    Preset,
    Start,
    find_method,
    methods_of,
)
from neuroprune.errors import InputError
from neuroprune.excerpts import capped
from neuroprune.networks.nir.catalog import path_of
from neuroprune.networks.reference import is_reference, parse_reference
from neuroprune.runs import run_folder

if TYPE_CHECKING:
    from torch import nn

    from neuroprune.chips.chip import Chip
    from neuroprune.compression.settings import CompressSettings
    from neuroprune.training.checkpoint import Model
    from neuroprune.training.settings import TrainSettings

DEFAULT_FLOPS, DEFAULT_SPARSITY, DEFAULT_TARGET = 0.5, 0.9, "loihi-sim"
EPILOG = """\b
Examples:
  neuroprune compress --structured --flops 0.5
  neuroprune compress --structured --params 0.4 --synops 0.5 --residual coupled
  neuroprune compress --structured --cores 16 --target loihi-sim
  neuroprune compress --structured --step-time 80 --target loihi-sim
  neuroprune compress --unstructured --sparsity 0.95 --method gmp
  neuroprune compress --method uniform --flops 0.3 --regenerate-by random
  neuroprune compress --model my_network.py:Net --weights trained.pth --data cifar10
  neuroprune compress --model my_network.py:trained --data cifar10 --flops 0.5
  neuroprune compress net.nir --data mnist --steps 20 --flops 0.5
  neuroprune compress --resume"""


def _methods() -> str:
    return "; ".join(f"{kind.name}: {', '.join(names(methods_of(kind.name)))}" for kind in KINDS)


def _choice(catalogue: Iterable[Named]) -> click.Choice[str]:
    return click.Choice(names(catalogue))


@click.command(epilog=EPILOG, short_help="Prune the latest training to a share of its cost.")
@click.argument("run", required=False)
@click.option("--structured", is_flag=True, help="Remove whole channels.  [default]")
@click.option("--unstructured", is_flag=True, help="Hold single weights at zero.")
@click.option("--flops", type=float, help=f"Structured: share of the FLOPs to keep.  [default: {DEFAULT_FLOPS}]")
@click.option("--params", type=float, help="Structured: share of the parameters to keep.")
@click.option("--synops", type=float, help="Structured: share of the synaptic operations to keep.")
@click.option("--cores", type=int, help="Structured: cores of the target to take at most.")
@click.option("--kib", type=float, help="Structured: KiB of memory to take at most on cores of the target.")
@click.option(
    "--step-time", type=float, help="Structured: us of a step on the target at most, at the dense network's activity."
)
@click.option("--sparsity", type=float, help=f"Unstructured: share of zero weights.  [default: {DEFAULT_SPARSITY}]")
@click.option("--method", type=_choice(METHODS), help=f"{_methods()}.  [default: criticality]")
@click.option(
    "--score",
    type=_choice(SCORES),
    help="What ranks.  [default: the method's; without --method l1, where there is no BatchNorm]",
)
@click.option(
    "--regenerate-by", type=_choice(REGROWTHS), help="What brings pruned ones back, in place of the method's."
)
@click.option("--regenerate", "regeneration", type=float, help="r, the share of what stays that is brought back.")
@click.option("--layer-floor", type=float, help="Share of each layer that stays at least.  [default: 0]")
@click.option("--aggregation", type=_choice(AGGREGATIONS), help="Criticality of a map.  [default: max]")
@click.option("--surrogate", type=_choice(SURROGATES), help="Whose derivative criticality is.  [default: trained]")
@click.option("--residual", type=_choice(RESIDUALS), help="Channels of residual streams.  [default: gather]")
@click.option("--start", type=_choice(STARTS), help="Unstructured: weights to begin with.  [default: the method's]")
@click.option("--prune-epochs", type=int, help="N_p, epochs in which is pruned.  [default: the method's share]")
@click.option("--interval", type=int, help="dT, iterations between prunings.  [default: the method's]")
@click.option("--mask-momentum", is_flag=True, default=None, help="Forget what the optimiser holds for pruned weights.")
@click.option("--target", help=f"Chip whose cores are counted, or its YAML.  [default: {DEFAULT_TARGET}]")
@model_options(
    "Code that made the network of the run, as file.py:Class; with --weights or --data, and of a .nir file always, the "
    "network itself, which is imported first."
)
@weights_options("File of weights for --model: of torch.save, or safetensors.  [default: those that it is made with]")
@click.option("--data", help="Data set, without a run.  [default: the recipe's, else digits]")
@click.option("--steps", type=click.IntRange(min=1), help="Time steps of a sample, without a run.")
@click.option("--epochs", type=int, help="N_f, epochs of fine-tuning; 0 for none.  [default: the recipe's]")
@click.option("--lr", type=float, help="Learning rate.  [default: the recipe's]")
@click.option("--seed", type=int, help="Of training and of random scores.  [default: the run's]")
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
    unstructured: bool,
    target: str | None,
    model: str | None,
    weights: GivenWeights | None,
    data: str | None,
    steps: int | None,
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
    """Prune the network of RUN, by default the latest training, to a share of its cost, and train what remains.

    Structured, channels are removed from the network, so the result is smaller and computes the same as one in which
    they are masked. Unstructured, the smallest weights are held at zero while the network trains. The result is kept at
    the start of every training and after each of its epochs. RUN may also be a .nir file, whose network is imported
    first, as `neuroprune import` does it.
    """
    from neuroprune.chips.load import load_chip
    from neuroprune.compression.compress import compress, resume_compress
    from neuroprune.compression.record import load_compress_record
    from neuroprune.compression.table import render
    from neuroprune.records import record_json
    from neuroprune.training.checkpoint import initial_module

    brought = _brought(run, model, weights, data, steps, resume)
    kind = _kind(structured, unstructured)
    chip = None if target is None and resume is not None else load_chip(target or DEFAULT_TARGET)
    changes, asked = given(epochs=epochs, lr=lr, seed=seed, device=device), given(**options)
    resumed, initial = None, None
    if resume is None:
        if brought is None:
            source = take_run(runs_folder, run, ["train"], unfinished)
        else:
            refuse({"--unfinished": unfinished or None}, "no run is taken")
            assert model is not None  # weights_options and _brought ask for it
            _check_before_import(model, kind, asked, changes, chip)
            imported = import_run(model, brought, data, data_dir, download, None, steps, device, runs_folder)
            source = imported.folder
            note(f"imported into {source}, test accuracy {100 * imported.test_accuracy:.2f} %")
        trained = open_run(source, model)
        before = trained.checkpoint
        settings = _settings(before.model, before.settings, kind, asked, changes)
        settings = _with_score(settings, asked, trained.module)
        if settings.begins_with == "initial":
            initial = initial_module(trained.checkpoint, model)
            note("beginning with the initial weights of that run, as the method does: --start trained goes on from it")
    else:
        if run is not None:
            raise click.UsageError(f"{run} and --resume name two runs: give the one to resume after --resume")
        refuse_changes(out=out, unfinished=unfinished or None)
        resumed = take_interrupted(runs_folder, resume or None, "compress")
        trained = open_run(resumed, model)
    checkpoint = trained.checkpoint
    dataset = data_of(checkpoint, data_dir, download, resumed=resumed is not None)
    with (
        run_folder(runs_folder, "compress", dataset.name, out, resumed=resumed) as folder,
        say_how_to_go_on(folder),
        progress_bars(not as_json) as progress,
    ):
        if resumed is None:
            compress(
                trained.module, dataset, settings, progress, initial=initial, chip=chip, folder=folder, source=source
            )
        else:
            asked = asked | given(kind=kind)
            resume_compress(trained.module, dataset, folder, checkpoint, asked, changes, progress, chip=chip)
    record = load_compress_record(folder)
    if as_json:
        show_text(record_json(record))
    else:
        show(render(record))
    note(f"kept in {folder}")
    timed = "" if record.timed_on is None else f" --optimize time --cores {record.timed_on}"
    next_step(
        f"neuroprune deploy {folder} --target {target or DEFAULT_TARGET}{model_argument(checkpoint.model)}{timed}"
    )


def _brought(
    run: str | None,
    model: str | None,
    weights: GivenWeights | None,
    data: str | None,
    steps: int | None,
    resume: str | None,
) -> GivenWeights | None:
    """The weights of the network that `model` names in place of a run; None where a run is taken."""
    if weights is not None:
        return weights
    asked = given(data=data, steps=steps)
    if model is not None and run is None and resume is None:
        is_file = is_reference(model) and path_of(parse_reference(model)) is not None
        if asked or is_file:
            return GivenWeights()
    for name in asked:
        raise click.UsageError(f"--{name} is for a network without a run, since a run brings its own: leave it out")
    return None


def _kind(structured: bool, unstructured: bool) -> str | None:
    """The kind of pruning that is asked for; None where targets and method are to tell."""
    if structured and unstructured:
        raise click.UsageError("--structured and --unstructured contradict each other: give one of the two")
    return "structured" if structured else "unstructured" if unstructured else None


def _check_before_import(
    model: str, kind: str | None, asked: dict[str, Any], changes: dict[str, Any], chip: "Chip | None"
) -> None:
    """Raise for settings with which no network of `model` can be pruned, so that none is imported for nothing."""
    from neuroprune.compression.chip_limits import check_limits
    from neuroprune.training.settings import TrainSettings

    settings = _settings(model, TrainSettings(), kind, asked, changes)
    check_limits(settings.limits, chip)
    if settings.begins_with == "initial":
        raise InputError(
            f"what the training of {capped(model)} began with is not known, and this method begins with it: go on from "
            "its weights (--start trained), or take a method that does"
        )


def _settings(
    model: "Model", before: "TrainSettings", kind: str | None, asked: dict[str, Any], changes: dict[str, Any]
) -> "CompressSettings":
    """What is asked for, with the targets and the training that are meant where none are named.

    before: the settings that the network of `model` was trained with.
    """
    from neuroprune.compression.settings import CompressSettings

    method = asked.get("method", "criticality")
    targets = [name for name in (*names(CURRENCIES), *names(LIMITS), "sparsity") if name.replace("-", "_") in asked]
    kinds = [each for each in names(KINDS) if method in names(methods_of(each))]
    if kind is None:
        if "sparsity" in targets and len(targets) > 1:
            raise click.UsageError(
                f"--sparsity and --{targets[0]} contradict each other, since --sparsity belongs to --unstructured and "
                f"--{targets[0]} to --structured: give one of the two"
            )
        kind = ("unstructured" if "sparsity" in targets else "structured") if targets else kinds[0]
    for target in targets:
        if (target == "sparsity") != (kind == "unstructured"):
            other, fitting = (
                ("--unstructured", "--flops, --params, --synops, --cores, --kib or --step-time")
                if target == "sparsity"
                else ("--structured", "--sparsity")
            )
            raise click.UsageError(
                f"--{kind} and --{target} contradict each other, since --{target} belongs to {other}: give {fitting}"
            )
    if changes.get("epochs") == 0:
        for name in given(lr=changes.get("lr"), seed=changes.get("seed")):
            raise click.UsageError(f"--{name} cannot apply here, since --epochs 0 trains nothing: leave it out")
    if not targets:
        asked = {"flops": DEFAULT_FLOPS} | asked if kind == "structured" else {"sparsity": DEFAULT_SPARSITY} | asked
    _, preset = find_method(method, kind)
    start = asked.get("start", preset.start)
    tuning = _tuning(model, before, preset, start, {"device": "auto", **changes})
    return CompressSettings(fine_tune=tuning, **asked)


def _with_score(settings: "CompressSettings", asked: dict[str, Any], network: "nn.Module") -> "CompressSettings":
    """`settings` with a score that `network` has, where neither a method nor a score was asked for."""
    from torch import nn

    norms = (each for each in network.modules() if isinstance(each, nn.modules.batchnorm._BatchNorm))
    if settings.kind != "structured" or {"method", "score"} & set(asked) or any(each.affine for each in norms):
        return settings
    note("ranking channels by l1, since there is no BatchNorm whose scale would rank them (--score names others)")
    return replace(settings, score="l1")


def _tuning(
    model: "Model", before: "TrainSettings", preset: Preset, start: Start, changes: dict[str, Any]
) -> "TrainSettings | None":
    """How the network of `model` is trained; not at all where `changes` ask for 0 epochs."""
    from neuroprune.compression.settings import usual_training
    from neuroprune.networks.recipe import FineTuning
    from neuroprune.training.settings import fine_tuning_of

    if changes.get("epochs") == 0:
        return None
    fine_tuning = FineTuning() if isinstance(model, str) else model.fine_tuning
    usual = usual_training(preset, start, before, fine_tuning)
    amp = amp_that_pays(before.amp, changes["device"])
    return fine_tuning_of(before, usual, **changes, amp=amp)
