"""What the Lava worker reads: program.json and arrays.npz."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from neuroprune.arrays import InputSpikes
from neuroprune.errors import LavaError
from neuroprune.graph.nodes import INPUT
from neuroprune.program.groups import merge_groups
from neuroprune.program.timing import depths, wait
from neuroprune.program.types import IntConnection, IntConv, IntLayer, IntProgram, IntSynapse

Case = tuple[IntProgram, InputSpikes]
"""A program, and the frames that it is run on."""


def write_job(cases: Sequence[Case], folder: Path, options: dict[str, Any]) -> None:
    """Write the programs, with the number of each before the names of its arrays.

    options: of the run, as JSON holds them.
    """
    arrays: dict[str, npt.NDArray[Any]] = {}
    programs = []
    for number, (program, frames) in enumerate(cases):
        programs.append(_describe_program(program, len(frames)))
        arrays |= {f"{number}-{name}": array for name, array in _program_arrays(program, frames).items()}
    np.savez(folder / "arrays.npz", **arrays)
    (folder / "program.json").write_text(json.dumps(options | {"programs": programs}), encoding="utf-8")


def _program_arrays(program: IntProgram, frames: InputSpikes) -> dict[str, npt.NDArray[Any]]:
    """The array "stream" is what each step presents: [samples * steps, *input shape]."""
    presented = frames if program.input.sequence else np.repeat(frames, program.steps, axis=0)
    arrays: dict[str, npt.NDArray[Any]] = {"stream": presented.reshape(-1, *program.input.shape)}
    for index, layer in enumerate(program.layers):
        arrays[f"{index}-bias"] = layer.bias.mantissa
        for number, connection in enumerate(layer.connections):
            arrays[f"{index}-weight-{number}"] = _for_lava(connection.synapse).weight.astype(np.int32)
    return arrays


def _for_lava(synapse: IntSynapse) -> IntSynapse:
    """The synapse in no more groups than Lava supports."""
    return merge_groups(synapse) if isinstance(synapse, IntConv) else synapse


def _describe_program(program: IntProgram, samples: int) -> dict[str, Any]:
    depth = depths(program)
    layers = []
    for layer in program.layers:
        connections = [
            _describe_connection(each, program.input.bits if each.source == INPUT else 0, wait(each, layer, depth))
            for each in layer.connections
        ]
        layers.append(_describe_neurons(layer, depth[layer.name]) | {"connections": connections})
    return {"samples": samples, "steps": program.steps, "layers": layers}


def _describe_neurons(layer: IntLayer, depth: int) -> dict[str, Any]:
    """depth: chip steps that the layer computes after the input. Raises LavaError where Lava has no such neurons."""
    process = layer.neuron.lava()
    if process is None:
        raise LavaError(
            f"layer {layer.name} has {type(layer.neuron).__name__} neurons, of which Lava has no process: leave "
            "Lava out with --lava-samples 0"
        )
    described = {"name": layer.name, "shape": layer.shape, "depth": depth, "bias_exp": layer.bias.exponent}
    return described | process


def _describe_connection(connection: IntConnection, input_bits: int, waits: int) -> dict[str, Any]:
    """input_bits: of the graded spikes that arrive, 0 for spikes without a value. waits: chip steps beyond the one
    that every synapse takes."""
    synapse = _for_lava(connection.synapse)
    described: dict[str, Any] = {
        "source": connection.source,
        "kind": "dense",
        "in_shape": connection.in_shape,
        "input_bits": input_bits,
        "wait": waits,
        "delay": connection.delay,
    }
    if isinstance(synapse, IntConv):
        described |= {
            "kind": "conv",
            "stride": synapse.stride,
            "padding": synapse.padding,
            "dilation": synapse.dilation,
            "groups": synapse.groups,
        }
    return described
