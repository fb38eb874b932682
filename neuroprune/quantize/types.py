"""The integer program: what the chip's registers hold, and the scales that lead back to floats."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neuroprune.graph.nodes import Pair, Shape

WeightArray = npt.NDArray[np.int16]
IntArray = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class IntConv:
    """weight: int16 [out channels, in channels / groups, height, width], even, in [-256, 254]."""

    weight: WeightArray
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int


@dataclass(frozen=True, eq=False)
class IntDense:
    """weight: int16 [out features, in features], even, in [-256, 254]; input is the source in C order."""

    weight: WeightArray


@dataclass(frozen=True, eq=False)
class IntNeuron:
    """Registers of a current-based LIF neuron, in Lava 0.10's fixed-point rules (proc/lif/models.py).

    decay_u, decay_v: 12-bit decays; decay_u = 4095 keeps no current, decay_v = 0 keeps all voltage.
    vth: 17-bit mantissa; a neuron fires where v > vth * 64.
    bias_mant: int32 [channels of the layer] (features of a dense layer), 13 bits with sign; added to v each step as
    bias_mant * 2**bias_exp.
    """

    decay_u: int
    decay_v: int
    vth: int
    bias_mant: IntArray
    bias_exp: int


@dataclass(frozen=True, eq=False)
class QuantLayer:
    """A synapse and the neurons it feeds.

    source: name of the layer whose spikes it reads, or "input".
    in_shape, shape: of the source and of these neurons, without batch and time.
    scale: units of v for one unit of the float potential.
    limited_by: which limit of the chip set the scale: "weight", "threshold", "bias" or "current".
    """

    name: str
    source: str
    synapse: IntConv | IntDense
    neuron: IntNeuron
    in_shape: Shape
    shape: Shape
    scale: float
    limited_by: str


@dataclass(frozen=True, eq=False)
class QuantInput:
    """Graded input spikes: integer = round(value / unit), saturating at +-(2**(bits-1) - 1)."""

    shape: Shape
    unit: float
    bits: int


@dataclass(frozen=True, eq=False)
class QuantGraph:
    """The whole integer program; layers in the order of the pipeline, the output layer last.

    The input frame is presented at each of `steps` time steps; the result is the spike count of the last layer.
    """

    input: QuantInput
    layers: tuple[QuantLayer, ...]
    steps: int
