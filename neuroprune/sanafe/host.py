"""What the host sends in a sample, as neurons of SANA-FE: frames and biases."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neuroprune.arrays import InputSpikes
from neuroprune.fixed_point import DECAY_UNITY, STATE_SHIFT
from neuroprune.graph.nodes import INPUT
from neuroprune.neurons.cuba_lif import IntCubaLif
from neuroprune.program.timing import depths
from neuroprune.program.types import IntLayer, IntProgram
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

    @property
    def synops(self) -> int:
        """In the whole sample."""
        return int(self.trains.sum(axis=1)[self.synapses.source].sum())


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
        if layer.bias.values.any():
            parts.append(_bias_neurons(f"bias{number}", layer, before, program.steps))
        found[layer.name] = tuple(parts)
    return found


def _bias_neurons(name: str, layer: IntLayer, before: int, steps: int) -> HostNeurons:
    """One for the first step of the sample, and one for the others, which adds what u has lost of the bias since."""
    biases = np.repeat(layer.bias.values, np.prod(layer.shape[1:], dtype=int)) / (1 << STATE_SHIFT)
    (biased,) = biases.nonzero()
    step = np.arange(before + steps)
    weights = np.outer([1.0, lost_of_u(layer)], biases[biased])
    return HostNeurons(
        name,
        None,
        np.stack([step == before, step > before]),
        Synapses(np.repeat([0, 1], len(biased)), np.tile(biased, 2), weights.ravel()).of(weights.ravel() != 0),
    )


def lost_of_u(layer: IntLayer) -> float:
    """The share of u that neurons of `layer` lose in a step."""
    assert isinstance(layer.neuron, IntCubaLif), "`check_sanafe` says so"
    return (layer.neuron.decay_u + 1) / DECAY_UNITY


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
