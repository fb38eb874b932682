"""The float program: populations of neurons, each with a bias and the synapses that feed it.

It is built like the integer program (neuroprune/program/types.py): everything linear between spikes is folded into the
synapses, maximum pooling of spikes has become a synapse and memoryless neurons.

All shapes leave out batch and time: (channels, height, width) or (features,). Two-dimensional parameters are
(vertical, horizontal), as in torch.
"""

from dataclasses import dataclass, field

import numpy as np

from neuroprune.arrays import FloatArray
from neuroprune.graph.nodes import INPUT, Pair, Readout, Shape
from neuroprune.neurons.model import FloatNeuron


@dataclass(frozen=True, eq=False)
class FloatConv:
    """Cross-correlation as torch's Conv2d, zero padding, no bias.

    weight: float64 [out channels, in channels / groups, height, width].
    """

    weight: FloatArray
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1


@dataclass(frozen=True, eq=False)
class FloatDense:
    """weight: float64 [out features, in features]; input is the source in C order."""

    weight: FloatArray


FloatSynapse = FloatConv | FloatDense


@dataclass(frozen=True, eq=False)
class FloatConnection:
    """Synapses from one layer, or the input, to the neurons that hold the connection.

    name: of the module that holds the weights ("conv", "conv@source"), or "<neurons>.sum" where none does.
    source: name of the layer whose spikes it reads, or "input". in_shape: that of the source.
    delay: steps by which its spikes arrive later: 1 where the source is the layer itself, else 0.
    """

    name: str
    source: str
    synapse: FloatSynapse
    in_shape: Shape
    delay: int = 0


@dataclass(frozen=True)
class Part:
    """Every step-th row and column, from `start` on, of the layer of neurons `node`, whose `shape` is a map's."""

    node: str
    shape: Shape
    start: Pair
    step: Pair

    @property
    def name(self) -> str:
        """As Python writes it: "neuron[0::2,1::2]"."""
        down, across = (f"{start}::{step}" for start, step in zip(self.start, self.step, strict=True))
        return f"{self.node}[{down},{across}]"


@dataclass(frozen=True, eq=False)
class FloatLayer:
    """Neurons, and the connections whose currents they add up.

    At least one reads a layer before it, or the input; recurrent ones, from the layer to itself, come last.
    name: of the neurons in the network. shape: of these neurons; every connection delivers a map of it.
    bias: float64 [channels], added to the potential each step. part: what of the network's layer they are, where maps
    were made larger before; None for all of it.
    """

    name: str
    connections: tuple[FloatConnection, ...]
    neuron: FloatNeuron
    bias: FloatArray
    shape: Shape
    part: Part | None = None

    @property
    def is_recurrent(self) -> bool:
        """Whether it reads what it fired one step before."""
        return any(each.source == self.name for each in self.connections)


@dataclass(frozen=True, eq=False)
class FloatInput:
    """The input: one frame of `shape` presented at every time step or, as a `sequence`, a frame for each step."""

    shape: Shape
    sequence: bool = False


@dataclass(frozen=True, eq=False)
class FloatProgram:
    """The whole float program; layers in topological order, the output layer last.

    steps: time steps T that one sample is presented for, >= 1.
    """

    input: FloatInput
    layers: tuple[FloatLayer, ...]
    steps: int
    readout: Readout = field(default_factory=Readout)

    def __getitem__(self, name: str) -> FloatLayer:
        """The layer called `name`; KeyError if there is none."""
        return {layer.name: layer for layer in self.layers}[name]


def verify_float_program(program: FloatProgram) -> None:
    """Each connection reads the input, an earlier layer or, last, its own, and delivers a map of its layer's shape."""
    assert program.steps >= 1 and program.layers
    shapes = {INPUT: program.input.shape}
    names = set(shapes)
    for layer in program.layers:
        assert np.all(layer.neuron.gain == 1.0), layer.name
        assert layer.connections and layer.bias.shape == (layer.shape[0],), layer.name
        own = [each.source == layer.name for each in layer.connections]
        assert own == sorted(own) and not own[0], layer.name
        assert [each.delay for each in layer.connections] == [int(each) for each in own], layer.name
        shapes[layer.name] = layer.shape
        for connection in layer.connections:
            assert shapes[connection.source] == connection.in_shape, connection.name
            assert len(connection.synapse.weight) == layer.shape[0], connection.name
            assert connection.name not in names, connection.name
            names.add(connection.name)
        assert layer.name not in names, layer.name
        names.add(layer.name)
