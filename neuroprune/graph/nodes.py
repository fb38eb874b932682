"""The float program: nodes by name, edges by name, shapes per sample and time step.

A `Graph` comes in two forms. As *traced* it holds the network layer by layer. As *folded* it alternates synapses
(`Conv` or `Linear`, with bias) and `Neuron`s only: BatchNorm, average pooling and the neurons' input gain are folded
into the synapses, max pooling of spikes has become a synapse and a memoryless neuron.

All shapes leave out batch and time: (channels, height, width) or (features,). Two-dimensional parameters are
(vertical, horizontal), as in torch.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Pair = tuple[int, int]
Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Input:
    """The frame that is presented at every time step."""


@dataclass(frozen=True, eq=False)
class Conv:
    """Cross-correlation as torch's Conv2d, zero padding.

    weight: float64 [out channels, in channels / groups, height, width]; bias: float64 [out channels].
    """

    weight: FloatArray
    bias: FloatArray
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1


@dataclass(frozen=True, eq=False)
class Linear:
    """weight: float64 [out features, in features]; bias: float64 [out features]. Input is read in C order."""

    weight: FloatArray
    bias: FloatArray


@dataclass(frozen=True, eq=False)
class BatchNorm:
    """Per-channel affine map of evaluation mode: y = x * gain + offset; both float64 [channels].

    gain = gamma / sqrt(running variance + eps), offset = beta - running mean * gain.
    """

    gain: FloatArray
    offset: FloatArray


@dataclass(frozen=True, eq=False)
class AvgPool:
    """Mean over windows as torch's AvgPool2d without ceil_mode; zeros of the padding are counted."""

    kernel: Pair
    stride: Pair
    padding: Pair = (0, 0)


@dataclass(frozen=True, eq=False)
class MaxPool:
    """Maximum over windows of spikes, as torch's MaxPool2d without ceil_mode: an OR."""

    kernel: Pair
    stride: Pair
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)


@dataclass(frozen=True, eq=False)
class Flatten:
    """(channels, height, width) -> (features,), C order."""


@dataclass(frozen=True, eq=False)
class Neuron:
    """LIF or IF with hard reset to 0.

    h = v * (1 - decay) + gain * x;  s = 1 if h >= threshold else 0;  v = 0 where s, else h.
    decay: 1 / tau of a LIF neuron, 0 of an IF neuron; in [0, 1).
    gain: 1 / tau where the neuron decays its input too, else 1; 1 in a folded graph.
    threshold: > 0, in the units of h.
    """

    decay: float
    threshold: float
    gain: float = 1.0


Synapse = Conv | Linear
Op = Input | Conv | Linear | BatchNorm | AvgPool | MaxPool | Flatten | Neuron


@dataclass(frozen=True, eq=False)
class Node:
    """One operation. `name` is the module's path in the network ("layers.0"), `shape` that of its output."""

    name: str
    op: Op
    inputs: tuple[str, ...]
    shape: Shape


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes in topological order: `Input` first, the output neuron last.

    steps: time steps T that one sample is presented for, >= 1.
    readout: how the network sums its output spikes over time; both have the same argmax.
    """

    nodes: tuple[Node, ...]
    steps: int
    readout: Literal["mean", "sum"] = "mean"

    def __getitem__(self, name: str) -> Node:
        """The node called `name`; KeyError if there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def consumers(self, name: str) -> tuple[Node, ...]:
        """The nodes that read the output of `name`, in topological order."""
        return tuple(node for node in self.nodes if name in node.inputs)
