"""The float program: nodes by name, edges by name, shapes per sample and time step.

A `Graph` comes in two forms. As *traced* it holds the network layer by layer, additions and concatenations included.
As *folded* it holds synapses (`Conv` or `Linear`, with bias) and `Neuron`s only: each synapse reads spikes or the
input, each layer of neurons adds up one or more synapses. Everything linear between spikes is folded into the
synapses, max pooling of spikes has become a synapse and a memoryless neuron.

All shapes leave out batch and time: (channels, height, width) or (features,). Two-dimensional parameters are
(vertical, horizontal), as in torch.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.int64]
Pair = tuple[int, int]
Shape = tuple[int, ...]
Reset = Literal["zero", "subtract"]

INPUT = "input"
"""The name of what is presented to a network, among the names of its layers."""


@dataclass(frozen=True, eq=False)
class Input:
    """What is presented to the network: one frame at every time step or, as a `sequence`, a frame for each step."""

    sequence: bool = False


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
class Add:
    """Element by element, of two or more maps of one shape."""


@dataclass(frozen=True, eq=False)
class Concat:
    """Along the channels (or features), in the order of the inputs."""


@dataclass(frozen=True, eq=False)
class Select:
    """Gathers channels (or features): output c is input channels[c]; int64 [out channels]."""

    channels: IndexArray


@dataclass(frozen=True, eq=False)
class Neuron:
    """Spiking neurons, with a synaptic current of their own where current_decay is below 1.

    i = i * (1 - current_decay) + gain * x;  h = v * (1 - decay) + i;  s = 1 if h >= threshold else 0;
    where s, v = 0 (reset "zero") or h - threshold (reset "subtract"), else h.
    decay: 1 / tau of a LIF neuron, 0 of an IF neuron; in [0, 1).
    threshold: > 0, in the units of h; infinite for an integrator, which never fires and is read by its voltage.
    gain: 1 / tau where the neuron decays its input too, else 1; 1 in a folded graph.
    current_decay: in (0, 1]; 1 for neurons whose current is that of the step alone. Biases enter h, not i, in a folded
    graph, as on the chip.
    """

    decay: float
    threshold: float
    gain: float = 1.0
    current_decay: float = 1.0
    reset: Reset = "zero"


Synapse = Conv | Linear
Op = Input | Conv | Linear | BatchNorm | AvgPool | MaxPool | Flatten | Add | Concat | Select | Neuron


@dataclass(frozen=True, eq=False)
class Node:
    """One operation. `name` is the module's path in the network ("layers.0"), `shape` that of its output."""

    name: str
    op: Op
    inputs: tuple[str, ...]
    shape: Shape

    @property
    def synapse(self) -> Synapse:
        """The operation of a node that is a synapse."""
        assert isinstance(self.op, Synapse), self.name
        return self.op


@dataclass(frozen=True)
class Readout:
    """How the last neurons become scores, one a class.

    of: their spikes over the steps, or the voltage that an integrator is left with: the sum of what it received.
    over_time: whether that is divided by the steps. votes: neighbouring outputs whose mean is the score of a class.
    """

    of: Literal["spikes", "voltage"] = "spikes"
    over_time: Literal["mean", "sum"] = "mean"
    votes: int = 1


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes in topological order: `Input` first, the output neuron last.

    steps: time steps T that one sample is presented for, >= 1.
    """

    nodes: tuple[Node, ...]
    steps: int
    readout: Readout = Readout()

    def __getitem__(self, name: str) -> Node:
        """The node called `name`; KeyError if there is none."""
        return self._by_name[name]

    def consumers(self, name: str) -> tuple[Node, ...]:
        """The nodes that read the output of `name`, in topological order."""
        return self._consumers.get(name, ())

    @cached_property
    def _by_name(self) -> dict[str, Node]:
        return {node.name: node for node in self.nodes}

    @cached_property
    def _consumers(self) -> dict[str, tuple[Node, ...]]:
        found: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                found.setdefault(name, []).append(node)
        return {name: tuple(readers) for name, readers in found.items()}

    def populations(self) -> tuple[tuple[Node, tuple[Node, ...]], ...]:
        """Of a folded graph: each layer of neurons with its synapses, in topological order."""
        return tuple(
            (node, tuple(self[name] for name in node.inputs)) for node in self.nodes if isinstance(node.op, Neuron)
        )
