"""Reading networks from netx files, those that lava-dl trained and those that neuroprune wrote.

A file of lava-dl's holds layers only. The steps of a sample and its input must be given; neuroprune's files state both
in attributes, with names, scales and readout. Layers that the format lists one after the other are read as a chain.
"""

import dataclasses
import math
from pathlib import Path

import numpy as np

from neuroprune.arrays import FramesLike
from neuroprune.errors import InputError, UnsupportedNetwork
from neuroprune.excerpts import excerpt
from neuroprune.exchange.format import ReadProgram
from neuroprune.exchange.netx.fields import AGAIN, Fields, open_fields
from neuroprune.exchange.netx.neurons import read_neurons
from neuroprune.exchange.netx.parts import Notes, Part, note_unsupported, read_parts
from neuroprune.exchange.netx.synapses import LARGEST_MAP, loader_changes, output_shape, read_connections
from neuroprune.fixed_point import STATE_SHIFT, IntegerRules
from neuroprune.graph.nodes import INPUT, Readout, Shape
from neuroprune.program.types import IntInput, IntLayer, IntProgram

LAVA_DL_SCALE = float(1 << 6 + STATE_SHIFT)
"""Units of v for one unit of a slayer neuron's voltage where its scale is the default (slayer/neuron/cuba.py)."""

CHUNK = 64
"""Samples that are looked at together before a file's program runs on them."""


def stated_steps(path: Path) -> int | None:
    """Steps of a sample where neuroprune wrote the file; None for files of others. Raises InputError."""
    with open_fields(path) as file:
        return _stated_steps(file)


def spikes_as_they_are(frames: FramesLike, sequence: bool, rules: IntegerRules) -> IntInput:
    """The input of a network of lava-dl's, whose weights are made for whole numbers: unit 1.

    frames: float32 [samples, *shape], or [samples, steps, *shape] as a `sequence`.
    Raises InputError for frames that are not whole numbers, since rounding would destroy them.
    """
    apart, spikes_alone = 0, True
    for start in range(0, len(frames), CHUNK):
        chunk = frames[start : start + CHUNK]
        apart += int((chunk != np.rint(chunk)).sum())
        spikes_alone = spikes_alone and bool(np.isin(chunk, (0.0, 1.0)).all())
    if apart:
        raise InputError(
            f"{apart} of the {math.prod(frames.shape)} values of the frames are no whole numbers, and a netx file of "
            "lava-dl's reads whole numbers: code them as spikes (--coding poisson or latency), or use event recordings"
        )
    bits = 0 if spikes_alone else rules.input_bits
    return IntInput(frames.shape[2 if sequence else 1 :], 1.0, bits, sequence)


def read_netx(path: Path, rules: IntegerRules, steps: int | None = None, frames: IntInput | None = None) -> ReadProgram:
    """The program of a netx file within the fields of `rules`.

    steps: of a sample; needed where the file does not state them. frames: the input where the file does not state it;
    without it spikes without a value, a frame for each step.
    Raises UnsupportedNetwork for everything that has no counterpart on the chip, by layer; InputError for a file that
    is damaged, contradicts itself or `steps` or the shape of `frames`, or does not say what is needed.
    """
    notes = Notes()
    with open_fields(path) as file:
        parts = read_parts(file)
        note_unsupported(parts, notes)
        _refuse(notes)
        presented = _input(file, parts, frames, rules, notes)
        layers, silent = _layers(parts, presented.shape, rules, notes)
        _refuse(notes)
        program = IntProgram(presented, layers, _steps(file, steps), _readout(file, silent))
    return ReadProgram(program, tuple(notes.remarks))


def _refuse(notes: Notes) -> None:
    if notes.problems:
        raise UnsupportedNetwork(notes.problems)


def _stated_steps(file: Fields) -> int | None:
    steps: int | None = file.attribute("steps", int)
    if steps is not None and steps < 1:
        raise file.error(f"states {steps} steps, and at least 1 is needed: {AGAIN}")
    return steps


def _steps(file: Fields, asked: int | None) -> int:
    stated = _stated_steps(file)
    if stated is None and asked is None:
        raise file.error("does not say how many steps a sample runs, as no file of lava-dl's does: give --steps")
    if None not in (stated, asked) and stated != asked:
        raise file.error(f"was compiled for {stated} steps, not {asked}: leave out --steps, or deploy the network anew")
    steps = asked if stated is None else stated
    if steps is None or steps < 1:
        raise file.error(f"cannot run for {steps} steps, at least 1 is needed: give --steps")
    return steps


def _input(
    file: Fields, parts: tuple[Part, ...], frames: IntInput | None, rules: IntegerRules, notes: Notes
) -> IntInput:
    shape = _input_shape(file, parts, frames)
    if _stated_steps(file) is None:
        if frames is None:
            notes.remarks.append(
                "the file does not say what its input is: spikes without a value, a frame for each step, are assumed"
            )
            return IntInput(shape, 1.0, 0, sequence=True)
        return dataclasses.replace(frames, shape=shape)
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


def _input_shape(file: Fields, parts: tuple[Part, ...], frames: IntInput | None) -> Shape:
    """Frames of another shape but as many values are taken where only a dense layer reads them."""
    first = parts[0]
    reader = next((part for part in parts if part.computes), None)
    if reader is None:
        raise file.error(f"has no layer of neurons: {AGAIN}")
    if first.kind == "input":
        sizes = first.fields.integers("shape").reshape(-1).tolist()
    elif reader.kind == "dense":
        sizes = list(reader.fields.size_of("weight")[1:])
    elif frames is not None:
        return frames.shape
    else:
        raise file.error("does not say the shape of its input, which a convolution reads: name data with --data")
    if not 1 <= len(sizes) <= 3 or min(sizes) < 1 or math.prod(sizes) > LARGEST_MAP:
        raise file.error(
            f"has an input of shape {excerpt(sizes)}, not 1 to {LARGEST_MAP} values in 1 to 3 dimensions: {AGAIN}"
        )
    if _stated_steps(file) is not None or len(sizes) == 3:
        stated: Shape = tuple(sizes)
    else:
        stated = (1, *sizes) if len(sizes) == 2 else (sizes[0], 1, 1)
    if frames is None or frames.shape == stated:
        return stated
    if reader.kind == "dense" and math.prod(frames.shape) == math.prod(stated):
        return frames.shape
    raise file.error(
        f"reads frames of {stated} (channels, height, width), but those given are {frames.shape}: name data of the "
        "same size with --data"
    )


def _layers(
    parts: tuple[Part, ...], shape: Shape, rules: IntegerRules, notes: Notes
) -> tuple[tuple[IntLayer, ...], bool]:
    """The chain, and whether its last layer never fires."""
    layers: list[IntLayer] = []
    source, flat, silent = INPUT, True, False
    last = max(part.number for part in parts if part.computes)
    for part in parts:
        if part.kind == "input" and part.number > 0:
            raise part.fields.error(f"is not the first: {AGAIN}")
        if not part.computes:
            flat = flat or part.kind == "flatten"
            continue
        _check_order(part, shape, flat)
        connections, bits = read_connections(part, source, shape, rules, notes)
        shape = output_shape(part, connections[0])
        neuron, bias, silent = read_neurons(part, shape[0], part.number == last, rules, notes)
        if part.kind == "dense" and len(connections) == 1:
            change = loader_changes(connections[0].synapse.weight)
            notes.remarks.extend([f"{part.place} {change}; here they are as the file has them"] if change else [])
        if silent:
            notes.remarks.append(f"{part.place} never fires: its voltages after the last step are the scores")
        name, scale, limit = (part.fields.attribute(*stated) for stated in LAYER_ATTRIBUTES)
        source = name or f"{part.kind}{part.number}"
        if source in (INPUT, *(layer.name for layer in layers)):
            raise part.fields.error(f"has the name {source!r} of another layer: {AGAIN}")
        if scale is not None and not (math.isfinite(scale) and scale > 0):
            raise part.fields.error(f"states a scale of {scale}: {AGAIN}")
        scale, limit = scale or LAVA_DL_SCALE, limit or "weight"
        layers.append(IntLayer(source, connections, neuron, bias, shape, scale, limit, bits))
        flat = part.kind == "dense"
    return tuple(layers), silent


LAYER_ATTRIBUTES = (("name", str), ("scale", float), ("limited_by", str))


def _check_order(part: Part, shape: Shape, flat: bool) -> None:
    if part.kind == "dense" and not flat:
        raise part.fields.error(f"reads channels without a flatten layer before it, which lava-dl cannot load: {AGAIN}")
    if part.kind != "dense" and len(shape) != 3:
        raise part.fields.error(f"reads a dense layer, which has no channels, height and width: {AGAIN}")


def _readout(file: Fields, silent: bool) -> Readout:
    kinds = Readout.__annotations__
    of = file.choice("readout_of", kinds["of"], "voltage" if silent else "spikes")
    over_time = file.choice("readout_over_time", kinds["over_time"], "mean")
    votes = file.attribute("readout_votes", int)
    if votes is not None and votes < 1:
        raise file.error(f"states {votes} votes for a class, and at least 1 is needed: {AGAIN}")
    return Readout(of, over_time, 1 if votes is None else votes)
