"""The integer program: the contents of the chip's registers, and the scales from them back to float values."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from neuroprune.fixed_point import IntArray, WeightArray
from neuroprune.graph.nodes import Pair, Readout, Shape
from neuroprune.neurons.model import IntNeuron


@dataclass(frozen=True, eq=False)
class IntConv:
    """weight: int16 [out channels, in channels / groups, height, width], even, in [-256, 254].

    Cross-correlation with zero padding, as torch's Conv2d; pairs are (vertical, horizontal).
    """

    weight: WeightArray
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int


@dataclass(frozen=True, eq=False)
class IntDense:
    """weight: int16 [out features, in features], even, in [-256, 254]; input is the source in C order."""

    weight: WeightArray


IntSynapse = IntConv | IntDense


@dataclass(frozen=True, eq=False)
class IntBias:
    """What neurons add to v each step: mantissa * 2**exponent, rounded down.

    mantissa: int32 [channels of the layer] (features of a dense layer), 13 bits with sign.
    """

    mantissa: IntArray
    exponent: int

    @property
    def values(self) -> npt.NDArray[np.int64]:
        """int64 [channels], in units of v."""
        mantissa = self.mantissa.astype(np.int64)
        return mantissa << self.exponent if self.exponent >= 0 else mantissa >> -self.exponent


@dataclass(frozen=True, eq=False)
class IntConnection:
    """Synapses from one layer, or the input, to the neurons that hold the connection.

    source: name of the layer whose spikes it reads, or "input"; of the layer itself where it is recurrent. in_shape:
    that of the source.
    delay: steps of the sample by which spikes arrive later, >= 0, and 1 where it is recurrent; those of the last
    `delay` steps never arrive.
    """

    source: str
    synapse: IntSynapse
    in_shape: Shape
    delay: int = 0


@dataclass(frozen=True, eq=False)
class IntLayer:
    """Neurons, and the connections whose currents they add up, in the order of their sources.

    At least one reads a layer before it, or the input; recurrent ones, from the layer to itself, come last.

    shape: of these neurons, without batch and time; every connection delivers a map of it.
    scale: units of v for one unit of the float potential.
    limited_by: the field of the chip that limited the scale: "weight", "threshold", "bias", "current" or "voltage".
    weight_bits: of a stored weight of its connections, 2 to 8.
    role: "relay" for neurons that only pass spikes on, so that they arrive later; they have no float counterpart.
    """

    name: str
    connections: tuple[IntConnection, ...]
    neuron: IntNeuron
    bias: IntBias
    shape: Shape
    scale: float
    limited_by: str
    weight_bits: int = 8
    role: Literal["computes", "relay"] = "computes"

    @property
    def forward(self) -> tuple[IntConnection, ...]:
        """The connections that read layers before this one, or the input."""
        return tuple(each for each in self.connections if each.source != self.name)

    @property
    def recurrent(self) -> tuple[IntConnection, ...]:
        """The connections that read what this layer fired one step before."""
        return tuple(each for each in self.connections if each.source == self.name)


@dataclass(frozen=True, eq=False)
class IntInput:
    """Graded input spikes: integer = round(value / unit), saturating at -2**(bits-1) and 2**(bits-1) - 1.

    bits: 0 where all values are 0 or 1: spikes without a value.
    sequence: whether samples bring a frame for each step; else one frame is presented at every step.
    """

    shape: Shape
    unit: float
    bits: int
    sequence: bool = False


@dataclass(frozen=True, eq=False)
class IntProgram:
    """The whole integer program; layers in topological order, the output layer last.

    A sample runs for `steps` time steps from u = v = 0. In every step each layer reads the spikes of its sources in the
    same step (or `delay` steps before); the result is the spike count of the last layer or, by `readout`, its last
    voltage.
    """

    input: IntInput
    layers: tuple[IntLayer, ...]
    steps: int
    readout: Readout = field(default_factory=Readout)
