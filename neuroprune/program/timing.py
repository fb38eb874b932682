"""When each layer computes on a chip, where every synapse takes one step and layers work as a pipeline.

Layer l of a chain computes step t of a sample l chip steps after the input presented it. Where paths of different
length meet, spikes of the shorter one must wait, so that all that belongs to one step of the sample arrives together.
Synapses delay them where those of the chip can, else relay neurons do, which pass each spike on one step later. Neither
changes what a layer computes: programs count the steps of the sample, not those of the chip.

The input needs neither: the host injects the frames into the axons of each layer that reads them, when they are due.
Nor does a layer that reads what it fired one step before, since that is the step that every synapse takes.
"""

from dataclasses import replace
from math import prod

import numpy as np

from neuroprune.arrays import frozen_array
from neuroprune.fixed_point import STATE_SHIFT
from neuroprune.graph.nodes import INPUT, Shape
from neuroprune.neurons.cuba_lif import IntCubaLif
from neuroprune.program.types import (
    IntBias,
    IntConnection,
    IntConv,
    IntDense,
    IntLayer,
    IntProgram,
    IntSynapse,
)

RELAY_WEIGHT, RELAY_WEIGHT_BITS = 128, 2
"""The positive weight of the narrowest mixed-sign field."""


def depths(program: IntProgram) -> dict[str, int]:
    """Chip steps that each layer computes after the input, by name: as early as its sources allow; 0 for "input".

    A connection whose spikes belong to a later step of the sample lets its layer compute so much earlier.
    """
    found = {INPUT: 0}
    for layer in program.layers:
        found[layer.name] = max(1, *(found[each.source] + 1 - each.delay for each in layer.forward))
    return found


def wait(connection: IntConnection, layer: IntLayer, depth: dict[str, int]) -> int:
    """Chip steps that spikes of `connection` into `layer` wait beyond the one that every synapse takes."""
    return depth[layer.name] - depth[connection.source] - 1 + connection.delay


def synaptic_delay(connection: IntConnection, layer: IntLayer, depth: dict[str, int]) -> int:
    """Steps by which the synapses of `connection` delay spikes: the whole wait, but none of the input's."""
    return 0 if connection.source == INPUT else wait(connection, layer, depth)


def balance(program: IntProgram, delay_max: int) -> IntProgram:
    """The same program with relay layers wherever a wait exceeds the `delay_max` steps that a synapse can delay spikes.

    A source has one chain of relays, as long as its longest wait needs; each layer that waits reads the relay that is
    early enough, so no shorter chain of relays would do. All other layers compute the same as before. Relays of a layer
    follow it, and the output layer stays the last.

    >>> import numpy as np
    >>> from neuroprune import IntBias, IntConnection, IntCubaLif, IntDense, IntInput, IntLayer, IntProgram, balance
    >>> def layer(name, *sources):
    ...     one = IntDense(np.array([[64]]))
    ...     connections = tuple(IntConnection(source, one, in_shape=(1,)) for source in sources)
    ...     neuron, bias = IntCubaLif(decay_u=4095, decay_v=0, vth=32), IntBias(np.array([0]), exponent=6)
    ...     return IntLayer(name, connections, neuron, bias, shape=(1,), scale=4096.0, limited_by="weight")
    >>> layers = (layer("a", "input"), layer("b", "a"), layer("c", "a", "b"))
    >>> program = IntProgram(IntInput((1,), unit=1.0, bits=8), layers, steps=4)
    >>> [layer.name for layer in balance(program, delay_max=0).layers]  # "c" reads "a" late
    ['a', 'a relay 1', 'b', 'c']
    """
    depth = depths(program)
    length = dict.fromkeys(depth, 0)
    layers = []
    for layer in program.layers:
        connections = []
        for connection in layer.connections:
            relays = max(0, synaptic_delay(connection, layer, depth) - delay_max)
            length[connection.source] = max(length[connection.source], relays)
            connections.append(replace(connection, source=_name(connection.source, relays)))
        layers.append(replace(layer, connections=tuple(connections)))
    relayed = [each for layer in layers for each in (layer, *_relays(layer, length[layer.name]))]
    return replace(program, layers=tuple(relayed))


def _name(source: str, number: int) -> str:
    """Of a relay of `source`, counted from 1; 0 is the source itself."""
    return f"{source} relay {number}" if number else source


def _relays(layer: IntLayer, count: int) -> list[IntLayer]:
    """A chain of layers of memoryless neurons; each fires one step after the neuron that it reads did."""
    synapse = _one_to_one(layer.shape)
    drive = RELAY_WEIGHT << STATE_SHIFT
    neuron = IntCubaLif(decay_u=4095, decay_v=0, vth=RELAY_WEIGHT // 2, state_bits=layer.neuron.state_bits)
    bias = IntBias(frozen_array(np.zeros(layer.shape[0]), np.int32), layer.bias.exponent)
    return [
        IntLayer(
            name=_name(layer.name, number),
            connections=(IntConnection(_name(layer.name, number - 1), synapse, layer.shape),),
            neuron=neuron,
            bias=bias,
            shape=layer.shape,
            scale=float(drive),
            limited_by="weight",
            weight_bits=RELAY_WEIGHT_BITS,
            role="relay",
        )
        for number in range(1, count + 1)
    ]


def _one_to_one(shape: Shape) -> IntSynapse:
    """A synapse of weight RELAY_WEIGHT from each neuron to the one at the same place."""
    if len(shape) == 3:
        weight = frozen_array(np.full((shape[0], 1, 1, 1), RELAY_WEIGHT), np.int16)
        return IntConv(weight, (1, 1), (0, 0), (1, 1), shape[0])
    return IntDense(frozen_array(np.diag(np.full(prod(shape), RELAY_WEIGHT)), np.int16))
