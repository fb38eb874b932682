"""The whole compile path: a trained module in, a verified and weighed program on the chip's cores out."""

import importlib.metadata
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from neuroprune import __version__
from neuroprune.chips.chip import Chip
from neuroprune.chips.load import load_chip
from neuroprune.errors import InputError
from neuroprune.exchange.netx.read import read_netx, spikes_as_they_are, stated_steps
from neuroprune.exchange.netx.write import write_netx
from neuroprune.exchange.onnx import write_onnx
from neuroprune.graph.float_program import FloatProgram, Frames
from neuroprune.graph.fold import fold
from neuroprune.graph.readout import class_scores
from neuroprune.graph.trace import trace
from neuroprune.mapping.map import map_program
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
from neuroprune.report.schema import LavaCheck, Report, save_report
from neuroprune.report.tables import write_tables
from neuroprune.simulation.compare import compare
from neuroprune.simulation.engine import record, simulate
from neuroprune.simulation.ladder import Accuracies, ChangedSpikes, accuracy, accuracy_ladder, changed_spikes
from neuroprune.simulation.lava import Models, own_models, record_with_lava
from neuroprune.simulation.types import Trace

Labels = npt.NDArray[np.int64]
REPORTED_PACKAGES = ("torch", "spikingjelly", "numpy", "lava-nc")


@dataclass(frozen=True)
class LavaSettings:
    """How Lava judges the exact engine.

    samples: run in both, 0 for none. timeout_s: seconds until Lava is given up. python: another interpreter that has
    Lava, or None for this one. models: Lava's own convolutions ("stock") or ours of the same integers ("fast").
    """

    samples: int = 2
    timeout_s: float = 600.0
    python: str | None = None
    models: Models = "fast"


@dataclass(frozen=True, eq=False)
class Tuning:
    """Fine-tuning in the chip's rounding: how, and the labelled training samples for it."""

    settings: QatSettings
    frames_of: FramesOf
    labels: Labels


@dataclass(frozen=True, eq=False)
class Job:
    """Which samples a program is run on, how, and what the report calls it: see `deploy`."""

    frames: Frames
    labels: Labels | None
    network: str
    data: str | None
    seed: int | None
    lava: LavaSettings
    folder: Path | None
    device: str
    progress: Progress


@dataclass(frozen=True, eq=False)
class Floats:
    """What a program was made of: the network as trained, folded, and the folded one whose weights were rounded.

    The last is another where fine-tuning came between.
    """

    module: nn.Module
    folded: FloatProgram
    rounded: FloatProgram


def deploy(
    module: nn.Module,
    calibration: Frames,
    chip: Chip | str = "loihi-sim",
    images: Frames | None = None,
    labels: Labels | None = None,
    *,
    bits: Bits = WIDEST,
    tuning: Tuning | None = None,
    network: str = "network",
    data: str | None = None,
    seed: int | None = None,
    lava: LavaSettings | None = None,
    folder: Path | None = None,
    device: str = "cpu",
    progress: Progress = silent,
) -> Report:
    """Compile `module` for `chip`, run it there in the chip's integers, check it against Lava and weigh it.

    module: a trained network that takes frames and returns the mean or sum over time of its output spikes, or of what
    its last linear layer delivers.
    calibration: float32 [samples, channels, height, width], frames as the network sees them, that set the scales; or
    sequences [samples, steps, channels, height, width].
    chip: a chip, or its name, or the path of its YAML.
    images, labels: the frames that are run and weighed, int64 labels beside them; without images the calibration
    frames are run, without labels there is no accuracy.
    bits: of the weights of each layer. tuning: training in the chip's rounding before the weights are fixed.
    network, data, seed: kept in the report. device: torch device of the exact engine.
    folder: where report.json, cores.csv, layers.csv, program.net and model.onnx are written; None writes nothing.

    Raises UnsupportedNetwork, InputError, CapacityError, VerificationError (LavaError among them), OutputError.
    """
    chip = load_chip(chip) if isinstance(chip, str) else chip
    frames = calibration if images is None else images
    job = Job(frames, labels, network, data, seed, lava or LavaSettings(), folder, device, progress)
    _check_samples(job)

    folded = fold(trace(module, torch.from_numpy(calibration[:1])))
    program = quantize(folded, calibration, chip, bits)
    rounded = folded
    if tuning is not None:
        tuned = finetune_quantised(folded, program, tuning.frames_of, tuning.labels, chip, tuning.settings, progress)
        rounded, program = tuned.floats, tuned.program
    return _run(program, chip, job, Floats(module, folded, rounded))


def deploy_program(
    path: Path,
    frames: Frames,
    labels: Labels | None = None,
    chip: Chip | str = "loihi-sim",
    *,
    steps: int | None = None,
    data: str | None = None,
    lava: LavaSettings | None = None,
    folder: Path | None = None,
    device: str = "cpu",
    progress: Progress = silent,
) -> Report:
    """Run and weigh the integer program of a netx file as `deploy` does the one that it compiles.

    frames: float32 [samples, *shape], or [samples, steps, *shape]. A file of neuroprune's reads what its network saw;
    one of lava-dl's reads whole numbers.
    steps: of a sample, needed where the file does not state them.
    Raises what `deploy` raises.
    """
    chip = load_chip(chip) if isinstance(chip, str) else chip
    job = Job(frames, labels, path.name, data, None, lava or LavaSettings(), folder, device, progress)
    _check_samples(job)
    foreign = stated_steps(path) is None
    presented = spikes_as_they_are(frames, frames.ndim == 5, chip.rules) if foreign else None
    read = read_netx(path, chip.rules, steps, presented)
    wanted = (read.program.steps,) * read.program.input.sequence + read.program.input.shape
    if frames.shape[1:] != wanted:
        raise InputError(
            f"{path} reads samples of shape {wanted}, but those given have {frames.shape[1:]}: name the data that it "
            "was made for, coded alike"
        )
    return _run(read.program, chip, job, remarks=read.remarks)


def _check_samples(job: Job) -> None:
    if len(job.frames) == 0:
        raise InputError("there are 0 samples to run, at least 1 is needed: pass images, or a calibration batch")
    if job.labels is not None and len(job.labels) != len(job.frames):
        raise InputError(
            f"there are {len(job.labels)} labels for {len(job.frames)} images: pass one label for each image"
        )


def _run(
    program: IntProgram,
    chip: Chip,
    job: Job,
    floats: Floats | None = None,
    remarks: tuple[str, ...] = (),
) -> Report:
    """Map, simulate, judge and weigh `program`."""
    balanced = balance(program, chip.synaptic_delay_max)
    mapping = map_program(balanced, chip)
    spikes, saturated = quantize_input(program.input, job.frames)
    happened = simulate(balanced, spikes, device=job.device, saturated_inputs=saturated, progress=job.progress)
    check = _judge(balanced, spikes[: job.lava.samples], job)
    ladder, changed = _ladder(program, spikes, happened, job, floats)
    if job.folder is not None:
        remarks += write_netx(program, job.folder / "program.net")
        if floats is not None:
            write_onnx(floats.folded, job.folder / "model.onnx")
    report = measure(
        balanced,
        mapping,
        happened,
        chip,
        network=job.network,
        data=job.data,
        accuracy=ladder,
        lava=check,
        netx_remarks=remarks,
        versions=_versions(),
        seed=job.seed,
        bounds=layer_bounds(balanced),
        rounding=rounding_errors(floats.rounded, program) if floats is not None else None,
        changed=changed,
    )
    if job.folder is not None:
        write_tables(report, job.folder)
        save_report(report, job.folder / "report.json")
    return report


def _ladder(
    program: IntProgram,
    spikes: npt.NDArray[np.int8],
    happened: Trace,
    job: Job,
    floats: Floats | None,
) -> tuple[Accuracies, dict[str, ChangedSpikes] | None]:
    """Accuracy as far as there are labels, and the spikes that changed as far as there are floats."""
    if floats is None:
        if job.labels is None:
            return Accuracies(), None
        scores = class_scores(program.readout, happened.outputs)
        return Accuracies(bit_accurate=accuracy(scores, job.labels)), None
    folded = floats.folded
    changed = changed_spikes(folded, program, job.frames, spikes, job.device, job.progress)
    if job.labels is None:
        return Accuracies(), changed
    ladder = accuracy_ladder(floats.module, folded, program, job.frames, spikes, happened, job.labels, job.progress)
    return ladder, changed


def _judge(program: IntProgram, spikes: npt.NDArray[np.int8], job: Job) -> LavaCheck:
    """Run the same samples through Lava; any difference in a spike or a last voltage raises VerificationError."""
    if len(spikes) == 0:
        return LavaCheck(samples=0, not_run="no samples were asked for")
    job.progress("lava", 0, len(spikes))
    expected = record(program, spikes)
    found = record_with_lava(program, spikes, job.lava.timeout_s, job.lava.python, models=job.lava.models)
    compare(expected, found)
    job.progress("lava", len(spikes), len(spikes))
    return LavaCheck(
        samples=len(spikes),
        neuron_steps=sum(layer.spikes.size for layer in expected.layers),
        spikes=sum(int(layer.spikes.sum()) for layer in expected.layers),
        voltages=sum(layer.voltages.size for layer in expected.layers),
        models=job.lava.models,
        own_models=own_models(program, job.lava.models),
    )


def _versions() -> dict[str, str]:
    """Versions of what the figures depend on, as far as it is installed."""
    found = {"neuroprune": __version__}
    for package in REPORTED_PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
