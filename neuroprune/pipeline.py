"""The whole compile path: a trained module in, a verified and measured program on the chip's cores out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from neuroprune.arrays import FramesLike, Labels
from neuroprune.chips.chip import Chip
from neuroprune.chips.load import load_chip
from neuroprune.choices import check_choice
from neuroprune.deployment import Deployment, FloatReference, Job, check_outputs, run_program
from neuroprune.errors import InputError
from neuroprune.exchange.format import ExchangeFormat, exchange_formats, read_program
from neuroprune.graph.fold import fold
from neuroprune.graph.trace import trace
from neuroprune.mapping.budget import NO_LIMIT, Budget
from neuroprune.mapping.catalog import OPTIMIZE, PLACEMENTS, Optimize, Placement
from neuroprune.mapping.effort import EffortName, effort_of
from neuroprune.neurons.model import NeuronModel
from neuroprune.progress import Progress, silent
from neuroprune.quantization.bits import Bits
from neuroprune.quantization.qat import FramesOf, QatSettings, finetune_quantised
from neuroprune.quantization.quantize import WIDEST, quantize
from neuroprune.report.provenance import Provenance
from neuroprune.report.schema import ExchangeRemark
from neuroprune.sanafe.catalog import EXPORTS
from neuroprune.simulation.module_check import verify_module
from neuroprune.simulation.verification import LavaSettings, lava_for


@dataclass(frozen=True, eq=False)
class Tuning:
    """Fine-tuning in the chip's rounding: how, and the labelled training samples for it."""

    settings: QatSettings
    frames_of: FramesOf
    labels: Labels


def deploy(
    module: nn.Module,
    calibration: FramesLike,
    chip: Chip | str = "loihi-sim",
    frames: FramesLike | None = None,
    labels: Labels | None = None,
    *,
    bits: Bits = WIDEST,
    tuning: Tuning | None = None,
    effort: EffortName = "normal",
    optimize: Optimize = "cores",
    placement: Placement = "search",
    budget: Budget = NO_LIMIT,
    exports: Sequence[str] = (),
    network: str = "network",
    data: str | None = None,
    seed: int | None = None,
    lava: LavaSettings | None = None,
    folder: Path | None = None,
    neurons: Sequence[NeuronModel] | None = None,
    formats: Sequence[ExchangeFormat] | None = None,
    device: str = "cpu",
    progress: Progress = silent,
    provenance: Provenance | None = None,
) -> Deployment:
    """Compile `module` for `chip`, run it there in the chip's integers, verify it against Lava and measure it.

    module: a trained network that takes frames and returns the mean or sum over time of its output spikes, or of what
    its last linear layer delivers.
    calibration: float32 [samples, channels, height, width], frames as the network sees them, that set the scales; or
    sequences [samples, steps, channels, height, width].
    chip: a chip, or its name, or the path of its YAML.
    frames, labels: the samples that are run and measured, and their int64 labels; without frames the calibration
    frames are run, without labels there is no accuracy. Frames are taken a few at a time: from an array, or from
    `CodedFrames`, which makes them then, so that memory holds no more of them.
    bits: of the weights of each layer. tuning: fine-tuning with the chip's rounding before the weights are fixed.
    placement: "search" lets tiles and cores change places until the spikes that were measured take few hops, "curve"
    leaves them in the order of the layers. budget: the cores or chips that the network may take; no limit by default.
    effort: how long is searched for tiles, one of `EFFORTS`. optimize: for what: "cores", or "traffic" or "time", which
    cut once more when spikes have been measured; time is that of a step by the first model of the chip that has it.
    exports: what the mapped network is exported as into `folder`: "sanafe".
    network, data, seed: kept in the report. device: torch device of the exact engine.
    folder: where report.json, cores.csv, layers.csv and a file of each format are written; None writes nothing.
    neurons: models that layers of neurons are read as; formats: file formats that the program is written in; by default
    all that neuroprune has.
    provenance: what the report says of where all this comes from.

    Raises LavaError before any work where Lava is not there; UnsupportedNetwork, InputError, CapacityError,
    OutputError; and at the very end UnverifiedDeployment, which holds the deployment, where Lava fails or differs.

    >>> from neuroprune import LavaSettings, build, deploy, frames_of, load_dataset, load_recipe
    >>> data = load_dataset("digits")
    >>> network = build(load_recipe("digits-conv"), data.input_shape, len(data.classes))
    >>> frames = frames_of(data.train.images[:16], data.coding)
    >>> deployment = deploy(network, frames, "loihi-sim", lava=LavaSettings(samples=0))
    >>> deployment.report.totals.neurons, deployment.report.totals.chips
    (4618, 1)
    """
    chip = load_chip(chip) if isinstance(chip, str) else chip
    formats = exchange_formats() if formats is None else formats
    frames = calibration if frames is None else frames
    job = Job(
        frames,
        labels,
        network,
        data,
        seed,
        lava or LavaSettings(),
        folder,
        formats,
        device,
        progress,
        provenance,
        effort,
        optimize,
        placement,
        budget,
        exports,
    )
    _check_job(job)

    with lava_for(job.lava) as worker:
        with job.clock.stage("read"):
            graph = trace(module, torch.from_numpy(calibration[:1]), neurons)
            floats = rounded = fold(graph)
        with job.clock.stage("verify"):
            verify_module(module, graph, floats, frames)
        with job.clock.stage("quantise"):
            program = quantize(floats, calibration[:], chip, bits)
        if tuning is not None:
            with job.clock.stage("fine-tune"):
                tuned = finetune_quantised(
                    floats, program, tuning.frames_of, tuning.labels, chip, tuning.settings, progress
                )
            rounded, program = tuned.floats, tuned.program
        return run_program(program, chip, job, worker, FloatReference(module, graph, floats, rounded))


def deploy_program(
    path: Path,
    frames: FramesLike,
    labels: Labels | None = None,
    chip: Chip | str = "loihi-sim",
    *,
    steps: int | None = None,
    data: str | None = None,
    classes: int | None = None,
    effort: EffortName = "normal",
    optimize: Optimize = "cores",
    placement: Placement = "search",
    budget: Budget = NO_LIMIT,
    exports: Sequence[str] = (),
    lava: LavaSettings | None = None,
    folder: Path | None = None,
    formats: Sequence[ExchangeFormat] | None = None,
    device: str = "cpu",
    progress: Progress = silent,
    provenance: Provenance | None = None,
) -> Deployment:
    """Run and measure the integer program of a file as `deploy` does the one that it compiles.

    path: a file in a format that neuroprune reads, given by its suffix. frames: float32 [samples, *shape], or [samples,
    steps, *shape], as the file's program reads them; an array, or `CodedFrames`.
    steps: of a sample, needed where the file does not state them. classes: of the data, by default as many as `labels`
    tell of; there must be an output for each. effort, optimize, placement, budget, exports: as of `deploy`.
    Raises what `deploy` raises.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from neuroprune import LavaSettings, build, deploy, deploy_program, frames_of, load_dataset, load_recipe
    >>> data = load_dataset("digits")
    >>> network = build(load_recipe("digits-conv"), data.input_shape, len(data.classes))
    >>> frames = frames_of(data.train.images[:16], data.coding)
    >>> lava = LavaSettings(samples=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     deployment = deploy(network, frames, lava=lava, folder=Path(folder))
    ...     again = deploy_program(Path(folder, "program.net"), frames, lava=lava)
    >>> again.report.totals.synops_per_sample == deployment.report.totals.synops_per_sample
    True
    """
    chip = load_chip(chip) if isinstance(chip, str) else chip
    formats = exchange_formats() if formats is None else formats
    job = Job(
        frames,
        labels,
        path.name,
        data,
        None,
        lava or LavaSettings(),
        folder,
        formats,
        device,
        progress,
        provenance,
        effort,
        optimize,
        placement,
        budget,
        exports,
    )
    _check_job(job)
    with lava_for(job.lava) as worker:
        with job.clock.stage("read"):
            read = read_program(path, chip.rules, steps, frames, formats)
        shape = (read.program.steps,) * read.program.input.sequence + read.program.input.shape
        if frames.shape[1:] != shape:
            raise InputError(
                f"{path} reads samples of shape {shape}, but those given have {frames.shape[1:]}: name the data that "
                "it was made for, in the same coding"
            )
        if classes is None and labels is not None:
            classes = int(labels.max()) + 1
        check_outputs(read.program, path, classes or 0, data or "those given")
        remarks = tuple(ExchangeRemark(file=path.name, text=text) for text in read.remarks)
        return run_program(read.program, chip, job, worker, remarks=remarks)


def _check_job(job: Job) -> None:
    check_choice("placement", job.placement, PLACEMENTS)
    check_choice("aim of a mapping", job.optimize, OPTIMIZE)
    if job.optimize == "traffic" and effort_of(job.effort).trials == 0:
        raise InputError(
            f"few messages are found by cutting all layers together, but effort {job.effort} cuts each by itself: take "
            "a higher one, or optimize cores"
        )
    for each in job.exports:
        check_choice("export", each, EXPORTS)
    if len(job.frames) == 0:
        raise InputError("there are 0 samples to run, at least 1 is needed: pass frames, or a calibration batch")
    if job.labels is not None and len(job.labels) != len(job.frames):
        raise InputError(
            f"there are {len(job.labels)} labels for {len(job.frames)} frames: pass one label for each sample"
        )
