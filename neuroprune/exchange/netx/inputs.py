"""What the network of a netx file reads: frames of whole numbers, or samples that drive neurons of its own.

lava-dl's input neurons have no synapses. Where it runs a network it writes to their bias, which is added to the voltage
in every step, `weight` times each value of the sample plus `bias` (lava-dl 0.6, lib/dl/netx/blocks/process.py, Input;
hdf5.py, create_input). Here a synapse of that weight for each value does so, behind a current that does not last.
"""

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from neuroprune.arrays import FramesLike, frozen_array
from neuroprune.errors import InputError
from neuroprune.excerpts import excerpt
from neuroprune.exchange.netx.fields import AGAIN, Fields, open_fields
from neuroprune.exchange.netx.parts import Notes, Part, read_parts
from neuroprune.exchange.netx.synapses import LARGEST_MAP
from neuroprune.fixed_point import DECAY_UNITY, IntegerRules, signed_range, weight_range, weight_step
from neuroprune.graph.nodes import INPUT, Shape
from neuroprune.program.types import IntConnection, IntConv, IntInput

UNSTATED_WEIGHT = 64
"""Of input neurons in files that state none, which is 1 in units of a slayer neuron (hdf5.py, create_input)."""

CHUNK = 64
"""Samples that are looked at together before a file's program runs on them."""


def stated_steps(path: Path) -> int | None:
    """Steps of a sample where neuroprune wrote the file; None for files of others. Raises InputError."""
    with open_fields(path) as file:
        return steps_of(file)


def steps_of(file: Fields) -> int | None:
    steps: int | None = file.attribute("steps", int)
    if steps is not None and steps < 1:
        raise file.error(f"states {steps} steps, and at least 1 is needed: {AGAIN}")
    return steps


def stated_weight(path: Path) -> int | None:
    """The weight with which samples drive input neurons; None where the file has none. Raises InputError."""
    with open_fields(path) as file:
        first = read_parts(file)[0]
        return _weight(first) if first.is_driven else None


def spikes_as_they_are(frames: FramesLike, sequence: bool, rules: IntegerRules) -> IntInput:
    """The input of a network of lava-dl's, whose weights are made for whole numbers: unit 1.

    frames: float32 [samples, *shape], or [samples, steps, *shape] as a `sequence`.
    Raises InputError for frames that are not whole numbers, since rounding would destroy them.
    """
    apart, spikes_alone = 0, True
    for chunk in _chunks(frames):
        apart += int((chunk != np.rint(chunk)).sum())
        spikes_alone = spikes_alone and bool(np.isin(chunk, (0.0, 1.0)).all())
    if apart:
        raise InputError(
            f"{apart} of the {math.prod(frames.shape)} values of the frames are no whole numbers, and a netx file of "
            "lava-dl's reads whole numbers: code them as spikes (--coding poisson or latency), or use event recordings"
        )
    bits = 0 if spikes_alone else rules.input_bits
    return IntInput(frames.shape[2 if sequence else 1 :], 1.0, bits, sequence)


def values_that_drive(frames: FramesLike, sequence: bool, rules: IntegerRules, weight: int) -> IntInput:
    """The input of a network whose neurons samples drive with `weight`: any numbers, whole ones as they are.

    Others are rounded to the finest unit whose synaptic weight the chip holds and in which the largest fits.
    frames: as for `spikes_as_they_are`. Raises InputError for frames too large for any unit.
    """
    whole, spikes_alone, peak = True, True, 0.0
    for chunk in _chunks(frames):
        whole = whole and bool((chunk == np.rint(chunk)).all())
        spikes_alone = spikes_alone and bool(np.isin(chunk, (0.0, 1.0)).all())
        peak = max(peak, float(np.abs(chunk).max(initial=0.0)))
    shape, largest = frames.shape[2 if sequence else 1 :], signed_range(rules.input_bits)[1]
    if spikes_alone:
        return IntInput(shape, 1.0, 0, sequence)
    if weight == 0 or (whole and peak <= largest):
        return IntInput(shape, 1.0, rules.input_bits, sequence)
    step = weight_step(rules.weight_bits)
    finest = step * max(math.ceil(peak * abs(weight) / (largest * step)), 1)
    if finest > weight_range(rules.weight_bits)[1]:
        raise InputError(
            f"the frames reach {peak:.6g}, and times {weight}, the weight of the file's input neurons, no graded spike "
            f"of {rules.input_bits} bits carries it: scale the data to at most "
            f"{weight_range(rules.weight_bits)[1] * largest / abs(weight):.6g}"
        )
    return IntInput(shape, finest / abs(weight), rules.input_bits, sequence)


def read_input(
    file: Fields, parts: tuple[Part, ...], frames: IntInput | None, rules: IntegerRules, notes: Notes
) -> IntInput:
    """The input that the file states, or `frames`. Raises InputError where they contradict each other."""
    shape = _input_shape(file, parts, frames)
    if steps_of(file) is None:
        if frames is None:
            notes.remarks.append(
                "the file does not say what its input is: spikes without a value, a frame for each step, are assumed"
            )
            return IntInput(shape, 1.0, 0, sequence=True)
        return dataclasses.replace(frames, shape=shape)
    if parts[0].is_driven:
        raise file.error(
            f"states its steps as neuroprune's files do, but has input neurons, as they never have: {AGAIN}"
        )
    unit, bits = file.attribute("input_unit", float), file.attribute("input_bits", int)
    sequence = bool(file.attribute("input_sequence", int))
    if unit is None or bits is None or not (math.isfinite(unit) and unit > 0) or bits not in (0, *range(2, 9)):
        raise file.error(f"states an input of {bits} bits in units of {unit}: {AGAIN}")
    if bits > rules.input_bits:
        notes.problems.append(
            f"the input has {bits} bits, and graded spikes on {rules.chip} {rules.input_bits}: deploy the network anew "
            "for it"
        )
    return IntInput(shape, unit, bits, sequence)


def read_drive(part: Part, presented: IntInput, rules: IntegerRules, notes: Notes) -> tuple[IntConnection, ...]:
    """What the samples do to input neurons: a synapse for each value, of the weight that one unit of it has."""
    weight, (low, high) = _weight(part), weight_range(rules.weight_bits)
    if weight == 0:
        notes.problems.append(f"{part.place} has a weight of 0, so that no sample reaches its neurons: train it anew")
    elif not low <= weight <= high or weight % weight_step(rules.weight_bits):
        notes.problems.append(
            f"{part.place} has a weight of {weight}, which {rules.weight_bits} bits do not hold: they hold the "
            f"multiples of {weight_step(rules.weight_bits)} from {low} to {high}, so train it with lava-dl's 8-bit "
            "quantisation"
        )
    used = int(np.clip(round(weight * presented.unit), low, high))
    if presented.unit != 1:
        notes.remarks.append(
            f"{part.place} takes samples in steps of {presented.unit:.3g}, {abs(used)} of a weight each: lava-dl "
            f"rounds {weight} times a sample to a whole number"
        )
    decay = part.fields.group("neuron", f"the neuron of {part.place}").integer("iDecay")
    if decay != DECAY_UNITY:
        notes.remarks.append(
            f"{part.place} has a current decay (iDecay) of {decay}, which counts in training and not in lava-dl's "
            "loader, where samples are added to the voltage: here they are, too"
        )
    channels = presented.shape[0]
    synapse = IntConv(frozen_array(np.full((channels, 1, 1, 1), used), np.int16), (1, 1), (0, 0), (1, 1), channels)
    return (IntConnection(INPUT, synapse, presented.shape),)


def _weight(part: Part) -> int:
    return part.fields.integer("weight") if part.fields.has("weight") else UNSTATED_WEIGHT


def _chunks(frames: FramesLike) -> Iterator[npt.NDArray[Any]]:
    return (frames[start : start + CHUNK] for start in range(0, len(frames), CHUNK))


def _input_shape(file: Fields, parts: tuple[Part, ...], frames: IntInput | None) -> Shape:
    """Frames of another shape but as many values are taken where only a dense layer reads them."""
    first = parts[0]
    reader = next((part for part in parts if part.computes and part.kind != "input"), None)
    if reader is None:
        raise file.error(f"has no layer of neurons behind its input: {AGAIN}")
    if first.kind == "input":
        sizes = first.fields.integers("shape").reshape(-1).tolist()
    elif reader.is_dense:
        sizes = list(reader.fields.size_of("weight")[1:])
    elif frames is not None:
        return frames.shape
    else:
        raise file.error("does not say the shape of its input, which a convolution reads: name data with --data")
    if not 1 <= len(sizes) <= 3 or min(sizes) < 1 or math.prod(sizes) > LARGEST_MAP:
        raise file.error(
            f"has an input of shape {excerpt(sizes)}, not 1 to {LARGEST_MAP} values in 1 to 3 dimensions: {AGAIN}"
        )
    if steps_of(file) is not None or len(sizes) == 3:
        stated: Shape = tuple(sizes)
    else:
        stated = (1, *sizes) if len(sizes) == 2 else (sizes[0], 1, 1)
    if frames is None or frames.shape == stated:
        return stated
    if reader.is_dense and math.prod(frames.shape) == math.prod(stated):
        return frames.shape
    raise file.error(
        f"reads frames of {stated} (channels, height, width), but those given are {frames.shape}: name data of the "
        "same size with --data"
    )
