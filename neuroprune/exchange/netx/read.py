"""Reading networks from netx files, those that lava-dl trained and those that neuroprune wrote.

A file of lava-dl's holds layers only. The steps of a sample and its input must be given; neuroprune's files state both
in attributes, with names, scales and readout. Layers that the format lists one after the other are read as a chain.
"""

import math
from pathlib import Path

from neuroprune.errors import UnsupportedNetwork
from neuroprune.exchange.format import ReadProgram
from neuroprune.exchange.netx.fields import AGAIN, Fields, open_fields
from neuroprune.exchange.netx.inputs import read_drive, read_input, steps_of
from neuroprune.exchange.netx.neurons import read_neurons
from neuroprune.exchange.netx.parts import Notes, Part, note_unsupported, read_parts
from neuroprune.exchange.netx.synapses import loader_changes, output_shape, read_connections, read_recurrence
from neuroprune.fixed_point import STATE_SHIFT, IntegerRules
from neuroprune.graph.nodes import INPUT, Readout, Shape
from neuroprune.program.types import IntInput, IntLayer, IntProgram

LAVA_DL_SCALE = float(1 << 6 + STATE_SHIFT)
"""Units of v for one unit of a slayer neuron's voltage where its scale is the default (slayer/neuron/cuba.py)."""


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
        presented = read_input(file, parts, frames, rules, notes)
        layers, silent = _layers(parts, presented, rules, notes)
        _refuse(notes)
        program = IntProgram(presented, layers, _steps(file, steps), _readout(file, silent, notes))
    return ReadProgram(program, tuple(notes.remarks))


def _refuse(notes: Notes) -> None:
    if notes.problems:
        raise UnsupportedNetwork(notes.problems)


def _steps(file: Fields, asked: int | None) -> int:
    stated = steps_of(file)
    if stated is None and asked is None:
        raise file.error("does not say how many steps a sample runs, as no file of lava-dl's does: give --steps")
    if None not in (stated, asked) and stated != asked:
        raise file.error(f"was compiled for {stated} steps, not {asked}: leave out --steps, or deploy the network anew")
    steps = asked if stated is None else stated
    if steps is None or steps < 1:
        raise file.error(f"cannot run for {steps} steps, at least 1 is needed: give --steps")
    return steps


def _layers(
    parts: tuple[Part, ...], presented: IntInput, rules: IntegerRules, notes: Notes
) -> tuple[tuple[IntLayer, ...], str | None]:
    """The chain, and the name of its last layer in sentences where that never fires."""
    layers: list[IntLayer] = []
    source, shape, flat, silent = INPUT, presented.shape, True, False
    last = [part for part in parts if part.computes][-1]
    for part in parts:
        if part.kind == "input" and part.number > 0:
            raise part.fields.error(f"is not the first: {AGAIN}")
        if not part.computes:
            flat = flat or part.kind == "flatten"
            continue
        if part.kind == "input":
            connections, bits = read_drive(part, presented, rules, notes), rules.weight_bits
        else:
            _check_order(part, shape, flat)
            connections, bits = read_connections(part, source, shape, rules, notes)
            shape = output_shape(part, connections[0])
        name, scale, limit = (part.fields.attribute(*stated) for stated in LAYER_ATTRIBUTES)
        source = name or f"{part.kind}{part.number}"
        if part.kind == "dense_rec":
            connections += (read_recurrence(part, source, shape[0], bits, notes),)
        neuron, bias, silent = read_neurons(part, shape[0], part is last, rules, notes)
        if part.kind == "dense" and len(connections) == 1:
            change = loader_changes(connections[0].synapse.weight)
            notes.remarks.extend([f"{part.place} {change}; here they are as the file has them"] if change else [])
        if source in (INPUT, *(layer.name for layer in layers)):
            raise part.fields.error(f"has the name {source!r} of another layer: {AGAIN}")
        if scale is not None and not (math.isfinite(scale) and scale > 0):
            raise part.fields.error(f"states a scale of {scale}: {AGAIN}")
        scale, limit = scale or LAVA_DL_SCALE, limit or "weight"
        layers.append(IntLayer(source, connections, neuron, bias, shape, scale, limit, bits))
        flat = part.is_dense or (part.kind == "input" and part.fields.integers("shape").size == 1)
    return tuple(layers), last.place if silent else None


LAYER_ATTRIBUTES = (("name", str), ("scale", float), ("limited_by", str))


def _check_order(part: Part, shape: Shape, flat: bool) -> None:
    if part.is_dense and not flat:
        raise part.fields.error(f"reads channels without a flatten layer before it, which lava-dl cannot load: {AGAIN}")
    if not part.is_dense and len(shape) != 3:
        raise part.fields.error(f"reads a dense layer, which has no channels, height and width: {AGAIN}")


def _readout(file: Fields, silent: str | None, notes: Notes) -> Readout:
    kinds = Readout.__annotations__
    if silent and file.attribute("readout_of", str) is None:
        notes.remarks.append(f"{silent} never fires: its voltages after the last step are the scores")
    of = file.choice("readout_of", kinds["of"], "voltage" if silent else "spikes")
    over_time = file.choice("readout_over_time", kinds["over_time"], "mean")
    votes = file.attribute("readout_votes", int)
    if votes is not None and votes < 1:
        raise file.error(f"states {votes} votes for a class, and at least 1 is needed: {AGAIN}")
    return Readout(of, over_time, 1 if votes is None else votes)
