"""Where accuracy is lost between the float network and the chip: the same samples at each level and in each layer."""

from dataclasses import dataclass

import numpy as np
from torch import nn

from neuroprune.arrays import Frames, FramesLike, InputSpikes, Labels
from neuroprune.graph.float_program import FloatProgram
from neuroprune.graph.readout import class_scores, is_correct, most_frequent
from neuroprune.program.dequantize import dequantize
from neuroprune.program.frames import quantize_input
from neuroprune.program.types import IntInput, IntProgram
from neuroprune.progress import Progress, silent
from neuroprune.simulation.engine import record
from neuroprune.simulation.floats import BATCH, run_float, run_layers, run_module
from neuroprune.simulation.types import Trace

Share = float | None

COMPARED_SAMPLES = 64
"""Enough for a share of each layer: each has hundreds of neuron-steps per sample or more."""
CHUNK = 8
"""Samples held in memory at once: every spike of three runs."""


@dataclass(frozen=True)
class Accuracies:
    """Share of the samples classified correctly at each step down to the chip; None where it is not known.

    float: the network as trained. folded: after BatchNorm, pooling and input gain were folded into the synapses.
    quantised: the folded network with weights, thresholds, decays and biases rounded to the chip's integers.
    bit_accurate: the integer program in the chip's own arithmetic.
    gained, lost: samples that only the chip, and only the network as trained, classifies correctly.
    most_frequent: share of the most frequent class, which always answering it would reach.
    """

    float: Share = None
    folded: Share = None
    quantised: Share = None
    bit_accurate: Share = None
    gained: int | None = None
    lost: int | None = None
    most_frequent: Share = None


@dataclass(frozen=True)
class ChangedSpikes:
    """Shares (0..1) of a layer's neuron-steps whose spike or silence is not that of the folded float network.

    quantised: with the rounded registers in float arithmetic, so by rounding alone. bit_accurate: on the chip.
    """

    quantised: float
    bit_accurate: float


def accuracy_ladder(
    module: nn.Module,
    folded: FloatProgram,
    program: IntProgram,
    frames: FramesLike,
    trace: Trace,
    labels: Labels,
    progress: Progress = silent,
) -> Accuracies:
    """Accuracy at each level.

    module: the network that `folded` was traced from, `program` what was quantised of it. frames: float32 [samples,
    ...] with int64 `labels`, taken a few at a time through all levels. trace: the engine's, of the same samples.

    >>> import torch
    >>> from neuroprune import (
    ...     accuracy_ladder, build, fold, frames_of, load_chip, load_dataset, load_recipe, quantize,
    ...     reestimate_batchnorm, simulate, trace,
    ... )
    >>> data = load_dataset("digits")
    >>> network = build(load_recipe("digits-conv"), data.input_shape, len(data.classes))
    >>> frames = frames_of(data.train.images[:16], data.coding)
    >>> reestimate_batchnorm(network, torch.from_numpy(frames))
    >>> floats = fold(trace(network, torch.from_numpy(frames)))
    >>> program = quantize(floats, frames, load_chip("loihi-sim"))
    >>> labels, activity = data.train.labels[:16], simulate(program, frames)
    >>> ladder = accuracy_ladder(network, floats, program, frames, activity, labels)
    >>> ladder.float == ladder.folded
    True
    """
    dequantised = dequantize(program)
    correct = np.zeros((4, len(frames)), np.bool_)
    for start in range(0, len(frames), BATCH):
        samples = slice(start, start + BATCH)
        batch = frames[samples]
        rounded = _values(quantize_input(program.input, batch)[0], program.input)
        scores = (
            run_module(module, batch),
            class_scores(folded.readout, run_float(folded, batch).outputs),
            class_scores(program.readout, run_float(dequantised, rounded).outputs),
            class_scores(program.readout, trace.outputs[samples]),
        )
        correct[:, samples] = [is_correct(each, labels[samples]) for each in scores]
        progress("accuracy", min(start + BATCH, len(frames)), len(frames))
    first, last = correct[0], correct[-1]
    of_module, of_folded, of_rounded, on_chip = correct.mean(axis=1).tolist()
    return Accuracies(
        float=of_module,
        folded=of_folded,
        quantised=of_rounded,
        bit_accurate=on_chip,
        gained=int(np.count_nonzero(last & ~first)),
        lost=int(np.count_nonzero(first & ~last)),
        most_frequent=most_frequent(labels),
    )


def changed_spikes(
    folded: FloatProgram,
    program: IntProgram,
    frames: FramesLike,
    device: str = "cpu",
    progress: Progress = silent,
) -> dict[str, ChangedSpikes]:
    """Shares of changed spikes in each layer of `folded`, by its name, over the first `COMPARED_SAMPLES` samples.

    frames: float32 [samples, ...]. device: of the exact engine.

    >>> import torch
    >>> from neuroprune import (
    ...     build, changed_spikes, fold, frames_of, load_chip, load_dataset, load_recipe, quantize,
    ...     reestimate_batchnorm, trace,
    ... )
    >>> data = load_dataset("digits")
    >>> network = build(load_recipe("digits-conv"), data.input_shape, len(data.classes))
    >>> frames = frames_of(data.train.images[:16], data.coding)
    >>> reestimate_batchnorm(network, torch.from_numpy(frames))
    >>> floats = fold(trace(network, torch.from_numpy(frames)))
    >>> program = quantize(floats, frames, load_chip("loihi-sim"))
    >>> changed = changed_spikes(floats, program, frames)
    >>> all(share.bit_accurate < 0.1 for share in changed.values())
    True
    """
    samples = min(len(frames), COMPARED_SAMPLES)
    dequantised = dequantize(program)
    different = {layer.name: np.zeros(2) for layer in folded.layers}
    compared = dict.fromkeys(different, 0)
    for start in range(0, samples, CHUNK):
        chunk = frames[start : min(start + CHUNK, samples)]
        spikes, _ = quantize_input(program.input, chunk)
        exact = {layer.name: layer.spikes for layer in record(program, spikes, device).layers}
        rounded = run_layers(dequantised, _values(spikes, program.input))
        for layer, other in zip(run_layers(folded, chunk), rounded, strict=True):
            expected = layer.spikes.numpy() > 0
            on_chip = exact[layer.name].swapaxes(0, 1)
            different[layer.name] += (
                np.count_nonzero((other.spikes.numpy() > 0) != expected),
                np.count_nonzero(on_chip != expected),
            )
            compared[layer.name] += expected.size
        progress("comparing", min(start + CHUNK, samples), samples)
    return {name: ChangedSpikes(*(different[name] / compared[name]).tolist()) for name in different}


def _values(spikes: InputSpikes, spec: IntInput) -> Frames:
    """The float values that input spikes stand for."""
    return spikes.astype(np.float32) * np.float32(spec.unit)
