"""What the host sends in a sample, as neurons of SANA-FE: frames and biases."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neuroprune.arrays import InputSpikes
from neuroprune.fixed_point import STATE_SHIFT
from neuroprune.graph.nodes import INPUT
from neuroprune.program.timing import depths
from neuroprune.program.types import IntProgram
from neuroprune.sanafe.synapses import Synapses, every_synapse


@dataclass(frozen=True, eq=False)
class HostNeurons:
    """Neurons of the host that send something to a layer.

    connection: that of the layer which they stand for; None where they are its biases.
    trains: bool [neurons, chip steps], when each fires. synapses: from these neurons to those of the layer.
    """

    name: str
    connection: int | None
    trains: npt.NDArray[np.bool_]
    synapses: Synapses


def host_neurons(program: IntProgram, frame: InputSpikes) -> dict[str, tuple[HostNeurons, ...]]:
    """By the name of each layer, what it gets from the host in the sample `frame`: [*shape], or [steps, *shape]."""
    depth = depths(program)
    frames = np.broadcast_to(frame, (program.steps, *program.input.shape)).reshape(program.steps, -1)
    found = {}
    for number, layer in enumerate(program.layers):
        before = depth[layer.name] - 1
        parts = [
            _input_neurons(
                f"input{number}_{at}", at, frames, before, connection.delay, every_synapse(connection, layer)
            )
            for at, connection in enumerate(layer.connections)
            if connection.source == INPUT
        ]
        channels = np.repeat(layer.bias.values, np.prod(layer.shape[1:], dtype=int))
        if channels.any():
            trains = np.arange(before + program.steps)[None] >= before
            (biased,) = channels.nonzero()
            synapses = Synapses(np.zeros_like(biased), biased, channels[biased] / (1 << STATE_SHIFT))
            parts.append(HostNeurons(f"bias{number}", None, trains, synapses))
        found[layer.name] = tuple(parts)
    return found


def _input_neurons(
    name: str, at: int, frames: npt.NDArray[np.int8], before: int, delay: int, synapses: Synapses
) -> HostNeurons:
    """A neuron for each input and value other than zero that it has in any of the steps."""
    steps = len(frames)
    values = [int(value) for value in np.unique(frames) if value]
    trains, parts, count = [], [], 0
    for value in values:
        fires = (frames == value).T
        inputs = fires.any(axis=1)
        number = np.full(len(inputs), -1)
        number[inputs] = np.arange(count, count + inputs.sum())
        count += int(inputs.sum())
        late = np.zeros((int(inputs.sum()), before + steps), dtype=np.bool_)
        late[:, before + delay :] = fires[inputs, : steps - delay]
        trains.append(late)
        chosen = synapses.of(inputs[synapses.source])
        parts.append(Synapses(number[chosen.source], chosen.target, chosen.weight * value))
    if not parts:
        return HostNeurons(name, at, np.zeros((0, before + steps), dtype=np.bool_), synapses.of(synapses.source < 0))
    return HostNeurons(
        name, at, np.concatenate(trains), Synapses(*(np.concatenate(each) for each in zip(*parts, strict=True)))
    )
