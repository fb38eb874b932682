"""The whole compile path: a trained module in, a verified and weighed program on the chip's cores out."""

import importlib.metadata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from neuroprune import __version__
from neuroprune.errors import InputError
from neuroprune.graph.evaluate import Frames, run_float, run_module
from neuroprune.graph.fold import fold
from neuroprune.graph.nodes import Graph
from neuroprune.graph.onnx import write_onnx
from neuroprune.graph.trace import trace
from neuroprune.mapping.map import map_graph
from neuroprune.progress import Progress, silent
from neuroprune.quantize.netx import write_netx
from neuroprune.quantize.quantize import dequantize, quantize, quantize_input
from neuroprune.quantize.types import QuantGraph
from neuroprune.report.measure import measure
from neuroprune.report.schema import AccuracyLadder, LavaCheck, Report, save_report
from neuroprune.report.tables import write_tables
from neuroprune.simulate.compare import compare
from neuroprune.simulate.engine import record, simulate
from neuroprune.simulate.lava import record_with_lava
from neuroprune.simulate.types import Trace
from neuroprune.targets import Target, load_target

Labels = npt.NDArray[np.int64]
REPORTED_PACKAGES = ("torch", "spikingjelly", "numpy", "lava-nc")


@dataclass(frozen=True)
class LavaSettings:
    """How Lava judges the exact engine.

    samples: run in both, 0 for none. timeout_s: seconds until Lava is given up. python: another interpreter that has
    Lava, or None for this one.
    """

    samples: int = 2
    timeout_s: float = 600.0
    python: str | None = None


def deploy(
    module: nn.Module,
    calibration: Frames,
    target: Target | str = "loihi-sim",
    images: Frames | None = None,
    labels: Labels | None = None,
    *,
    network: str = "network",
    data: str | None = None,
    seed: int | None = None,
    lava: LavaSettings | None = None,
    folder: Path | None = None,
    device: str = "cpu",
    progress: Progress = silent,
) -> Report:
    """Compile `module` for `target`, run it there in the chip's integers, check it against Lava and weigh it.

    module: a trained network that takes frames and returns the mean or sum of its output spikes over time.
    calibration: float32 [samples, channels, height, width], frames as the network sees them, that set the scales.
    target: a chip, or its name, or the path of its YAML.
    images, labels: the frames that are run and weighed, int64 labels beside them; without images the calibration
    frames are run, without labels there is no accuracy.
    network, data, seed: kept in the report. device: torch device of the exact engine.
    folder: where report.json, cores.csv, layers.csv, program.net and model.onnx are written; None writes nothing.

    Raises UnsupportedNetwork, InputError, CapacityError, VerificationError (LavaError among them), OutputError.
    """
    lava = lava or LavaSettings()
    chip = load_target(target) if isinstance(target, str) else target
    frames = calibration if images is None else images
    _check_samples(frames, labels)

    traced = trace(module, torch.from_numpy(calibration[:1]))
    folded = fold(traced)
    program = quantize(folded, calibration, chip)
    mapping = map_graph(program, chip)
    spikes, saturated = quantize_input(program.input, frames)
    happened = simulate(program, spikes, device=device, saturated_inputs=saturated, progress=progress)
    check = _judge(program, spikes[: lava.samples], lava, progress)
    ladder = _ladder(module, folded, program, frames, spikes, happened, labels, progress)

    remarks: tuple[str, ...] = ()
    if folder is not None:
        remarks = write_netx(program, folder / "program.net")
        write_onnx(folded, folder / "model.onnx")
    report = measure(
        program,
        mapping,
        happened,
        chip,
        network=network,
        data=data,
        accuracy=ladder,
        lava=check,
        netx_remarks=remarks,
        versions=_versions(),
        seed=seed,
    )
    if folder is not None:
        write_tables(report, folder)
        save_report(report, folder / "report.json")
    return report


def _check_samples(frames: Frames, labels: Labels | None) -> None:
    if len(frames) == 0:
        raise InputError("there are 0 samples to run, at least 1 is needed: pass images, or a calibration batch")
    if labels is not None and len(labels) != len(frames):
        raise InputError(f"there are {len(labels)} labels for {len(frames)} images: pass one label for each image")


def _judge(program: QuantGraph, spikes: npt.NDArray[np.int8], lava: LavaSettings, progress: Progress) -> LavaCheck:
    """Run the same samples through Lava; any difference in a spike or a last voltage raises VerificationError."""
    if len(spikes) == 0:
        return LavaCheck(samples=0, not_run="no samples were asked for")
    progress("lava", 0, len(spikes))
    expected = record(program, spikes)
    compare(expected, record_with_lava(program, spikes, timeout_s=lava.timeout_s, python=lava.python))
    progress("lava", len(spikes), len(spikes))
    return LavaCheck(
        samples=len(spikes),
        neuron_steps=sum(layer.spikes.size for layer in expected.layers),
        spikes=sum(int(layer.spikes.sum()) for layer in expected.layers),
        voltages=sum(layer.voltages.size for layer in expected.layers),
    )


def _ladder(
    module: nn.Module,
    folded: Graph,
    program: QuantGraph,
    frames: Frames,
    spikes: npt.NDArray[np.int8],
    happened: Trace,
    labels: Labels | None,
    progress: Progress,
) -> AccuracyLadder:
    """Accuracy at each level, the same samples at each; None without labels."""
    if labels is None:
        return AccuracyLadder()
    rounded = spikes.astype(np.float32) * np.float32(program.input.unit)
    return AccuracyLadder(
        float=_accuracy(run_module(module, frames, progress=progress), labels),
        folded=_accuracy(run_float(folded, frames, progress=progress).outputs, labels),
        quantised=_accuracy(
            run_float(dequantize(program), rounded, progress=progress, task="quantised").outputs, labels
        ),
        bit_accurate=_accuracy(happened.outputs, labels),
    )


def _accuracy(outputs: npt.NDArray[np.floating[Any]] | npt.NDArray[np.int64], labels: Labels) -> float:
    """Share of samples whose largest output is their label; the first of equal outputs counts as the largest."""
    return float(np.mean(outputs.argmax(axis=1) == labels))


def _versions() -> dict[str, str]:
    """Versions of what the figures depend on, as far as it is installed."""
    found = {"neuroprune": __version__}
    for package in REPORTED_PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
