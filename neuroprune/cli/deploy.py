"""`neuroprune deploy`."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from neuroprune.choices import names
from neuroprune.cli.console import next_step, note, page_width, progress_bars, show, show_json
from neuroprune.cli.gates import check_gates, fail_if_option
from neuroprune.cli.jobs import samples_for, trained_job, untrained_job
from neuroprune.cli.options import (
    GivenWeights,
    data_dir_option,
    device_option,
    download_option,
    effort_option,
    json_option,
    model_options,
    out_option,
    refuse,
    runs_option,
    unfinished_option,
    weights_options,
)
from neuroprune.cli.provenance import provenance_of
from neuroprune.data.codings import CODINGS
from neuroprune.errors import GateFailed
from neuroprune.exchange.catalog import readable_suffixes
from neuroprune.mapping.catalog import OPTIMIZE, PLACEMENTS
from neuroprune.runs import run_folder
from neuroprune.sanafe.catalog import EXPORTS
from neuroprune.simulation.catalog import LAVA_MODELS

if TYPE_CHECKING:
    from neuroprune.data.codings import Kind
    from neuroprune.deployment import Deployment
    from neuroprune.mapping.catalog import Optimize, Placement
    from neuroprune.mapping.effort import EffortName
    from neuroprune.progress import Progress
    from neuroprune.report.gates import Gate
    from neuroprune.simulation.catalog import Models

EPILOG = """\b
Examples:
  neuroprune deploy --target loihi-sim
  neuroprune deploy runs/0002-compress-digits --samples 100 --lava-samples 5
  neuroprune deploy --chips 1 --place curve
  neuroprune deploy --bits default=4 --qat-epochs 2
  neuroprune deploy --fail-if "cores>32" --fail-if "accuracy<90%"
  neuroprune deploy --model my_network.py:Net --weights trained.pth --data cifar10
  neuroprune deploy trained_by_lava_dl.net --data n-mnist --steps 10
  neuroprune deploy net.nir --data mnist --steps 20"""

Work = Callable[[Path, "Progress"], "Deployment"]
"""Deploys into a folder, and reports its progress."""


@click.command(epilog=EPILOG, short_help="Compile the latest network for a chip, run and measure it.")
@click.argument("run", required=False)
@click.option(
    "--target", default="loihi-sim", show_default=True, help="Chip, or its YAML; `neuroprune targets` lists them."
)
@model_options(
    "Recipe or file.py:Class, to deploy with --weights or untrained; with RUN, the class that it was trained from."
)
@weights_options("File of weights for --model: of torch.save, or safetensors.", programs=True)
@click.option("--data", help="Data set to run, by its name or path.  [default: the run's or recipe's, else digits]")
@data_dir_option
@download_option
@click.option("--samples", type=click.IntRange(min=1), help="Test samples to run.  [default: all]")
@click.option("--bits", help="Of weights, 2 to 8: 4, or conv1=8,default=4.  [default: all that the target has]")
@click.option(
    "--qat-epochs",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Epochs of fine-tuning with the chip's exact rounding.",
)
@click.option("--steps", type=click.IntRange(min=1), help="Time steps of a sample, for a .net or a class.")
@click.option(
    "--coding",
    type=click.Choice(names(CODINGS)),
    help="Coding of images for a .net or a network without a run.  [default: direct]",
)
@click.option(
    "--lava-samples", type=click.IntRange(min=0), default=2, show_default=True, help="Samples cross-checked in Lava."
)
@click.option(
    "--lava-models",
    type=click.Choice(names(LAVA_MODELS)),
    default=LAVA_MODELS[0].name,
    show_default=True,
    help="; ".join(f"{each.name}: {each.title}" for each in LAVA_MODELS) + ".",
)
@click.option("--lava-python", help="Interpreter that has Lava.  [default: this one]")
@click.option(
    "--lava-timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=600.0,
    show_default=True,
    help="Seconds after which Lava is ended.",
)
@effort_option("normal")
@click.option(
    "--optimize",
    type=click.Choice(names(OPTIMIZE)),
    default=OPTIMIZE[0].name,
    show_default=True,
    help="; ".join(f"{each.name}: {each.title}" for each in OPTIMIZE) + ".",
)
@click.option("--chips", type=click.IntRange(min=1), help="Chips that the network may take.  [default: all it needs]")
@click.option("--cores", type=click.IntRange(min=1), help="Cores that the network may take.  [default: all it needs]")
@click.option(
    "--place",
    "placement",
    type=click.Choice(names(PLACEMENTS)),
    default=PLACEMENTS[0].name,
    show_default=True,
    help="; ".join(f"{each.name}: {each.title}" for each in PLACEMENTS) + ".",
)
@click.option(
    "--export",
    "exports",
    type=click.Choice(names(EXPORTS)),
    multiple=True,
    help="Write, too, " + "; ".join(f"{each.name}: {each.title}" for each in EXPORTS) + ".",
)
@fail_if_option
@unfinished_option
@device_option
@runs_option
@out_option
@json_option
def command(
    run: str | None,
    target: str,
    model: str | None,
    weights: GivenWeights | None,
    data: str | None,
    data_dir: Path | None,
    download: bool,
    samples: int | None,
    bits: str | None,
    qat_epochs: int,
    steps: int | None,
    coding: "Kind | None",
    lava_samples: int,
    lava_models: "Models",
    lava_python: str | None,
    lava_timeout: float,
    effort: "EffortName",
    optimize: "Optimize",
    chips: int | None,
    cores: int | None,
    placement: "Placement",
    exports: tuple[str, ...],
    gates: "tuple[Gate, ...]",
    unfinished: bool,
    device: str | None,
    runs_folder: Path,
    out: Path | None,
    as_json: bool,
) -> None:
    """Compile the network of RUN, by default the latest, for a chip, run it there in integers, and measure it.

    RUN may also be a .net file, of neuroprune's or of lava-dl's: its program is run and measured as it is. A .nir file,
    also after --model, is a network: it is compiled as it comes.
    The whole test set runs in the exact engine; Lava runs a few samples of it, and every spike and voltage must agree.
    Written are report.json, report.html, cores.csv, layers.csv, program.net (for lava-dl), model.onnx and
    network.nir.
    """
    from neuroprune.chips.load import load_chip

    chip = load_chip(target)  # first, so that a wrong name is reported before the seconds that the rest takes to load

    from neuroprune.mapping.budget import Budget
    from neuroprune.pipeline import deploy, deploy_program
    from neuroprune.quantization.bits import parse_bits
    from neuroprune.quantization.quantize import WIDEST
    from neuroprune.simulation.verification import LavaSettings
    from neuroprune.training.settings import pick_device

    budget = Budget(cores, chips)
    lava = LavaSettings(lava_samples, lava_timeout, lava_python, lava_models)
    engine = str(pick_device(device or "auto"))
    file = Path(run) if run is not None and run.endswith(readable_suffixes()) else None
    if file is not None and weights is not None:
        refuse(
            {"--model": model, "--bits": bits, "--qat-epochs": qat_epochs or None, "--unfinished": unfinished or None},
            f"{file} is a finished program",
        )
        recorded = samples_for(weights, data, data_dir, download, coding, steps, samples)

        def run_file(folder: Path, progress: "Progress") -> "Deployment":
            return deploy_program(
                file,
                recorded.frames,
                recorded.labels,
                chip,
                steps=steps,
                data=recorded.data.name,
                classes=len(recorded.data.classes),
                effort=effort,
                optimize=optimize,
                placement=placement,
                budget=budget,
                exports=exports,
                lava=lava,
                folder=folder,
                device=engine,
                progress=progress,
                provenance=provenance_of(recorded.frames, recorded.labels, target, file),
            )

        _deploy_and_show(run_file, recorded.data.name, runs_folder, out, as_json, gates)
        return
    widths = WIDEST if bits is None else parse_bits(bits)
    if model is not None and run is None:
        refuse({"--unfinished": unfinished or None}, "no run is taken")
        job = untrained_job(model, data, data_dir, download, coding, steps, weights)
    else:
        refuse({"--steps": steps, "--coding": coding}, "a trained network brings its own")
        job = trained_job(runs_folder, run, model, data, data_dir, download, unfinished)
    frames, labels = job.frames(job.data.test.images[:samples]), job.data.test.labels[:samples]

    def run_network(folder: Path, progress: "Progress") -> "Deployment":
        return deploy(
            job.network,
            job.calibration(),
            chip,
            frames,
            labels,
            bits=widths,
            tuning=job.tuning(qat_epochs),
            effort=effort,
            optimize=optimize,
            placement=placement,
            budget=budget,
            exports=exports,
            network=job.name,
            data=job.data.name,
            seed=job.seed,
            lava=lava,
            folder=folder,
            device=engine,
            progress=progress,
            provenance=provenance_of(frames, labels, target, job.checkpoint),
        )

    _deploy_and_show(run_network, job.data.name, runs_folder, out, as_json, gates)


def _deploy_and_show(
    work: Work, data: str, runs_folder: Path, out: Path | None, as_json: bool, gates: "tuple[Gate, ...]"
) -> None:
    """Show the report, of an unverified deployment as well, whose error is raised afterwards, and check `gates`."""
    from neuroprune.deployment import UnverifiedDeployment
    from neuroprune.report.terminal import render

    unverified: UnverifiedDeployment | None = None
    with run_folder(runs_folder, "deploy", data, out) as folder, progress_bars(not as_json) as progress:
        try:
            report = work(folder, progress).report
        except UnverifiedDeployment as error:
            unverified, report = error, error.deployment.report
    if as_json:
        show_json(report.model_dump(mode="json"))
    else:
        show(render(report, page_width()))
    note(f"kept in {folder}")
    try:
        check_gates(report, gates)
    except GateFailed as failed:
        if unverified is None:
            raise
        note(str(failed))
    if unverified is not None:
        raise unverified
    next_step(f"neuroprune report {folder}")
