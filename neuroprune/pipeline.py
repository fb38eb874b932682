"""The whole compile path: a trained module in, a verified and measured program on the chip's cores out."""

import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from neuroprune.arrays import FramesLike, Labels
from neuroprune.chips.chip import Chip
from neuroprune.chips.load import load_chip
from neuroprune.errors import InputError, VerificationError
from neuroprune.exchange.format import ExchangeFormat, Programs, exchange_formats, read_program
from neuroprune.graph.float_program import FloatProgram
from neuroprune.graph.fold import fold
from neuroprune.graph.nodes import Graph
from neuroprune.graph.readout import accuracy, class_scores, most_frequent
from neuroprune.graph.trace import trace
from neuroprune.mapping.map import map_program
from neuroprune.mapping.types import ChipMapping
from neuroprune.neurons.model import NeuronModel
from neuroprune.program.bounds import layer_bounds
from neuroprune.program.frames import quantize_input
from neuroprune.program.timing import balance
from neuroprune.program.types import IntProgram
from neuroprune.progress import Progress, silent
from neuroprune.quantization.bits import Bits
from neuroprune.quantization.errors import rounding_errors
from neuroprune.quantization.qat import FramesOf, QatSettings, finetune_quantised
from neuroprune.quantization.quantize import WIDEST, quantize
from neuroprune.report.measure import measure
from neuroprune.report.schema import ExchangeRemark, LavaCheck, Report, save_report
from neuroprune.report.tables import write_tables
from neuroprune.report.zeros import map_zeros_stored
from neuroprune.simulation.engine import simulate
from neuroprune.simulation.ladder import Accuracies, ChangedSpikes, accuracy_ladder, changed_spikes
from neuroprune.simulation.lava_process import LavaWorker
from neuroprune.simulation.module_check import verify_module
from neuroprune.simulation.types import Trace
from neuroprune.simulation.verification import LavaSettings, lava_for, verify_with_lava
from neuroprune.version import __version__

REPORTED_PACKAGES = ("torch", "spikingjelly", "numpy", "lava-nc")


@dataclass(frozen=True, eq=False)
class Tuning:
    """Fine-tuning in the chip's rounding: how, and the labelled training samples for it."""

    settings: QatSettings
    frames_of: FramesOf
    labels: Labels


@dataclass(frozen=True, eq=False)
class Deployment:
    """What each stage of a deployment produced.

    graph, floats: the network as traced and folded, None where a finished program was deployed. program: the integers
    that it was quantised to; balanced: the same program with relays, the one that `mapping` and `trace` are of.
    report: all measures of it.
    """

    graph: Graph | None
    floats: FloatProgram | None
    program: IntProgram
    balanced: IntProgram
    mapping: ChipMapping
    trace: Trace
    report: Report


class UnverifiedDeployment(VerificationError):
    """A deployment that is whole, and written where it should be, but that Lava differs from or did not finish.

    deployment: all that `deploy` would have returned; `deployment.report.lava` says how much was compared and what
    differs or failed, and so does the message.

    >>> from neuroprune import (
    ...     LavaSettings, UnverifiedDeployment, build, deploy, frames_of, load_dataset, load_recipe
    ... )
    >>> data = load_dataset("digits")
    >>> network = build(load_recipe("digits-conv"), data.input_shape, len(data.classes))
    >>> frames = frames_of(data.train.images[:16], data.coding)
    >>> try:
    ...     deploy(network, frames, lava=LavaSettings(timeout_s=0.001))
    ... except UnverifiedDeployment as error:
    ...     error.deployment.report.lava.samples, error.deployment.report.totals.neurons
    (0, 4618)
    """

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        super().__init__(f"{deployment.report.lava.unverified}; all else is done, and its report says so")


@dataclass(frozen=True, eq=False)
class _Job:
    """The samples that a program is run on, how it is run, and its names in the report: see `deploy`."""

    frames: FramesLike
    labels: Labels | None
    network: str
    data: str | None
    seed: int | None
    lava: LavaSettings
    folder: Path | None
    formats: Sequence[ExchangeFormat]
    device: str
    progress: Progress


@dataclass(frozen=True, eq=False)
class _FloatReference:
    """The float reference of an integer program: the network as trained, traced, folded, and as it was rounded.

    rounded: differs from `folded` where fine-tuning changed the weights.
    """

    module: nn.Module
    graph: Graph
    folded: FloatProgram
    rounded: FloatProgram


def deploy(
    module: nn.Module,
    calibration: FramesLike,
    chip: Chip | str = "loihi-sim",
    frames: FramesLike | None = None,
    labels: Labels | None = None,
    *,
    bits: Bits = WIDEST,
    tuning: Tuning | None = None,
    network: str = "network",
    data: str | None = None,
    seed: int | None = None,
    lava: LavaSettings | None = None,
    folder: Path | None = None,
    neurons: Sequence[NeuronModel] | None = None,
    formats: Sequence[ExchangeFormat] | None = None,
    device: str = "cpu",
    progress: Progress = silent,
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
    network, data, seed: kept in the report. device: torch device of the exact engine.
    folder: where report.json, cores.csv, layers.csv and a file of each format are written; None writes nothing.
    neurons: models that layers of neurons are read as; formats: file formats that the program is written in; by default
    all that neuroprune has.

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
    job = _Job(frames, labels, network, data, seed, lava or LavaSettings(), folder, formats, device, progress)
    _check_samples(job)

    with lava_for(job.lava) as worker:
        graph = trace(module, torch.from_numpy(calibration[:1]), neurons)
        floats = rounded = fold(graph)
        verify_module(module, graph, floats, frames)
        program = quantize(floats, calibration[:], chip, bits)
        if tuning is not None:
            tuned = finetune_quantised(
                floats, program, tuning.frames_of, tuning.labels, chip, tuning.settings, progress
            )
            rounded, program = tuned.floats, tuned.program
        return _run(program, chip, job, worker, _FloatReference(module, graph, floats, rounded))


def deploy_program(
    path: Path,
    frames: FramesLike,
    labels: Labels | None = None,
    chip: Chip | str = "loihi-sim",
    *,
    steps: int | None = None,
    data: str | None = None,
    lava: LavaSettings | None = None,
    folder: Path | None = None,
    formats: Sequence[ExchangeFormat] | None = None,
    device: str = "cpu",
    progress: Progress = silent,
) -> Deployment:
    """Run and measure the integer program of a file as `deploy` does the one that it compiles.

    path: a file in a format that neuroprune reads, given by its suffix. frames: float32 [samples, *shape], or [samples,
    steps, *shape], as the file's program reads them; an array, or `CodedFrames`.
    steps: of a sample, needed where the file does not state them.
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
    job = _Job(frames, labels, path.name, data, None, lava or LavaSettings(), folder, formats, device, progress)
    _check_samples(job)
    with lava_for(job.lava) as worker:
        read = read_program(path, chip.rules, steps, frames, formats)
        shape = (read.program.steps,) * read.program.input.sequence + read.program.input.shape
        if frames.shape[1:] != shape:
            raise InputError(
                f"{path} reads samples of shape {shape}, but those given have {frames.shape[1:]}: name the data that "
                "it was made for, in the same coding"
            )
        remarks = tuple(ExchangeRemark(file=path.name, text=text) for text in read.remarks)
        return _run(read.program, chip, job, worker, remarks=remarks)


def _check_samples(job: _Job) -> None:
    if len(job.frames) == 0:
        raise InputError("there are 0 samples to run, at least 1 is needed: pass frames, or a calibration batch")
    if job.labels is not None and len(job.labels) != len(job.frames):
        raise InputError(
            f"there are {len(job.labels)} labels for {len(job.frames)} frames: pass one label for each sample"
        )


def _run(
    program: IntProgram,
    chip: Chip,
    job: _Job,
    worker: LavaWorker | None,
    reference: _FloatReference | None = None,
    remarks: tuple[ExchangeRemark, ...] = (),
) -> Deployment:
    """Map, simulate, verify and measure `program`."""
    balanced = balance(program, chip.synaptic_delay_max)
    mapping = map_program(balanced, chip)
    activity = simulate(balanced, job.frames, device=job.device, progress=job.progress)
    spikes, _ = quantize_input(program.input, job.frames[: job.lava.samples])
    check = verify_with_lava(worker, balanced, spikes, job.lava, job.progress)
    ladder, changed = _ladder(program, activity, job, reference)
    if job.folder is not None:
        remarks += _write(Programs(program, reference.folded if reference else None), job.folder, job.formats)
    report = measure(
        balanced,
        mapping,
        activity,
        chip,
        network=job.network,
        data=job.data,
        accuracy=ladder,
        lava=LavaCheck.model_validate(check, from_attributes=True),
        exchange_remarks=remarks,
        versions=_versions(),
        seed=job.seed,
        bounds=layer_bounds(balanced),
        rounding=rounding_errors(reference.rounded, program) if reference is not None else None,
        changed=changed,
        zeros=map_zeros_stored(balanced, chip),
    )
    if job.folder is not None:
        write_tables(report, job.folder)
        save_report(report, job.folder / "report.json")
    graph, floats = (reference.graph, reference.folded) if reference is not None else (None, None)
    deployment = Deployment(graph, floats, program, balanced, mapping, activity, report)
    if check.error is not None:
        raise UnverifiedDeployment(deployment) from check.error
    return deployment


def _write(programs: Programs, folder: Path, formats: Sequence[ExchangeFormat]) -> tuple[ExchangeRemark, ...]:
    """Write a file of each format that can hold one of `programs`; returns what the files cannot hold."""
    return tuple(
        ExchangeRemark(file=each.info.file, text=text)
        for each in formats
        if each.holds(programs)
        for text in each.write(programs, folder / each.info.file)
    )


def _ladder(
    program: IntProgram,
    activity: Trace,
    job: _Job,
    reference: _FloatReference | None,
) -> tuple[Accuracies, dict[str, ChangedSpikes] | None]:
    """Accuracy where there are labels, and changed spikes where there is a float reference."""
    if reference is None:
        if job.labels is None:
            return Accuracies(), None
        scores = class_scores(program.readout, activity.outputs)
        share, chance = accuracy(scores, job.labels), most_frequent(job.labels)
        return Accuracies(bit_accurate=share, most_frequent=chance), None
    folded = reference.folded
    changed = changed_spikes(folded, program, job.frames, job.device, job.progress)
    if job.labels is None:
        return Accuracies(), changed
    ladder = accuracy_ladder(reference.module, folded, program, job.frames, activity, job.labels, job.progress)
    return ladder, changed


def _versions() -> dict[str, str]:
    """Versions of the packages that the figures depend on, where they are installed."""
    versions = {"neuroprune": __version__}
    for package in REPORTED_PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
