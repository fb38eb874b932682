"""Mapping problems as small JSON files, and the best known results: what `benchmarks/mapping/README.md` documents."""

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import numpy as np
from pydantic import Field

from neuroprune import IntBias, IntConnection, IntConv, IntCubaLif, IntDense, IntInput, IntLayer, IntProgram
from neuroprune.arrays import frozen_array
from neuroprune.chips.types import Box
from neuroprune.documents import read_json, validate
from neuroprune.fixed_point import WeightArray, weight_step
from neuroprune.graph.nodes import Shape
from neuroprune.program.timing import depths, synaptic_delay
from neuroprune.records import Record, save_record

FOLDER = Path(__file__).parent / "mapping"
BEST = FOLDER / "best.json"
REMEDY = "write it again with benchmarks/write_mapping_problems.py"

Size = Annotated[int, Field(ge=1)]
Sizes: TypeAlias = tuple[Size, Size]
Offsets: TypeAlias = tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]]


class Synapses(Record):
    """What all connections state. seed, density, repeat: how weights are drawn. delay: steps beyond the one of each."""

    source: str
    delay: Annotated[int, Field(ge=0)]
    seed: Annotated[int, Field(ge=0)]
    density: Annotated[float, Field(gt=0, le=1)]
    repeat: Sizes


class Dense(Synapses):
    """From every neuron of the source to every neuron of the layer."""

    kind: Literal["dense"] = "dense"


class Conv(Synapses):
    """Cross-correlation with zero padding; kernel: after repeating."""

    kind: Literal["conv"] = "conv"
    kernel: Sizes
    stride: Sizes
    padding: Offsets
    dilation: Sizes
    groups: Size


class Layer(Record):
    """Neurons of one shape: (channels, height, width) or (features,)."""

    name: str
    shape: tuple[Size, ...]
    weight_bits: Annotated[int, Field(ge=2, le=8)]
    connections: tuple[Annotated[Dense | Conv, Field(discriminator="kind")], ...]


class Problem(Record):
    """One network. neurons: of all its layers together."""

    schema_version: Literal[1] = 1
    name: str
    title: str
    neurons: Size
    input: tuple[Size, ...]
    layers: tuple[Layer, ...]


class Best(Record):
    """The fewest cores that are known for a problem.

    cuts: for each layer the parts along channels, height and width; these tiles are packed as `how` says.
    """

    cores: Size
    bound: Size
    date: str
    how: str
    cuts: tuple[Box, ...]


class BestKnown(Record):
    """The results of all problems by name, on one chip."""

    schema_version: Literal[1] = 1
    chip: str
    results: dict[str, Best]


def problem_names() -> list[str]:
    """All problems, in alphabetical order."""
    return sorted(path.stem for path in FOLDER.glob("*.json") if path != BEST)


def read_problem(name: str) -> Problem:
    """The problem of that name. Raises InputError."""
    return validate(Problem, read_json(FOLDER / f"{name}.json", REMEDY))


def read_best() -> BestKnown:
    """The best results that are known. Raises InputError."""
    return validate(BestKnown, read_json(BEST, "take it from the repository"))


def write_best(best: BestKnown) -> None:
    """Replace the best results that are known."""
    save_record(best, BEST)


def program_of(problem: Problem) -> IntProgram:
    """The integer program of `problem`. Its neurons integrate; what they take does not depend on their numbers."""
    shapes: dict[str, Shape] = {"input": problem.input}
    layers = []
    for layer in problem.layers:
        shapes[layer.name] = layer.shape
        connections = tuple(
            IntConnection(
                each.source, _synapse(each, layer, shapes[each.source]), shapes[each.source], _late(each, layer)
            )
            for each in layer.connections
        )
        bias = IntBias(frozen_array(np.zeros(layer.shape[0]), np.int32), exponent=0)
        neuron = IntCubaLif(decay_u=4095, decay_v=0, vth=1)
        layers.append(IntLayer(layer.name, connections, neuron, bias, layer.shape, 1.0, "weight", layer.weight_bits))
    program = IntProgram(IntInput(problem.input, unit=1.0, bits=8), tuple(layers), steps=1)
    _check_delays(problem, program)
    return program


def weights(synapses: Synapses, bits: int, shape: Shape) -> WeightArray:
    """Those of a connection: [out, in] or [out, in, height, width], drawn as README.md says."""
    random = np.random.default_rng(synapses.seed)
    down, across = synapses.repeat
    drawn = shape if len(shape) == 2 else (*shape[:2], shape[2] // down, shape[3] // across)
    most = 2 ** (bits - 1) - 1
    values = random.integers(-most, most, drawn)
    values += values >= 0
    values *= random.random(drawn) < synapses.density
    if len(shape) == 4:
        values = values.repeat(down, axis=2).repeat(across, axis=3)
    return frozen_array(values * weight_step(bits), np.int16)


def _synapse(synapses: Dense | Conv, layer: Layer, source: Shape) -> IntConv | IntDense:
    channels = layer.shape[0]
    if isinstance(synapses, Conv):
        shape = (channels, source[0] // synapses.groups, *synapses.kernel)
        return IntConv(
            weights(synapses, layer.weight_bits, shape),
            synapses.stride,
            synapses.padding,
            synapses.dilation,
            synapses.groups,
        )
    return IntDense(
        frozen_array(weights(synapses, layer.weight_bits, (channels, *source)).reshape(channels, -1), np.int16)
    )


def _late(synapses: Synapses, layer: Layer) -> int:
    """Steps of the sample: 1 for what a layer fired itself."""
    return int(synapses.source == layer.name)


def _check_delays(problem: Problem, program: IntProgram) -> None:
    """The delays that a file states for the chip are those of a pipeline in which all paths meet."""
    depth = depths(program)
    for stated, layer in zip(problem.layers, program.layers, strict=True):
        found = [synaptic_delay(connection, layer, depth) for connection in layer.connections]
        assert [each.delay for each in stated.connections] == found, f"{problem.name}: delays into {layer.name}"
