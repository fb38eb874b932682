"""The traced network: operations by name, edges by name, shapes per sample and time step.

A `Graph` holds the network layer by layer as traced, BatchNorm, pools, additions and concatenations included; pruning
reads it, and folding makes the program of graph/float_program.py from it.

All shapes leave out batch and time: (channels, height, width) or (features,). Two-dimensional parameters are
(vertical, horizontal), as in torch.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from neuroprune.arrays import FloatArray
from neuroprune.graph.layout import Layout
from neuroprune.neurons.model import FloatNeuron

IndexArray = npt.NDArray[np.int64]
Pair = tuple[int, int]
Shape = tuple[int, ...]

INPUT = "input"
"""The name of a network's input among the names of its layers."""


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
class Resample:
    """Each channel as rows @ map @ columns.T: adaptive pooling whose windows differ, or overlap.

    rows: float64 [height of the output, that of the input]; columns: likewise of the widths.
    """

    rows: FloatArray
    columns: FloatArray


@dataclass(frozen=True, eq=False)
class ConvTranspose:
    """Transposed convolution as torch's ConvTranspose2d; the shape of its node says how far its output reaches.

    weight: float64 [out channels, in channels / groups, height, width], those of a Conv and not those of torch, whose
    kernels lie input by input; bias: float64 [out channels].
    """

    weight: FloatArray
    bias: FloatArray
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1


@dataclass(frozen=True, eq=False)
class Upsample:
    """Each value repeated `factors` times, down and across."""

    factors: Pair


@dataclass(frozen=True, eq=False)
class PixelShuffle:
    """As torch's: of `factor` x `factor` neighbouring channels one that is so much higher and wider."""

    factor: int


@dataclass(frozen=True, eq=False)
class MaxPool:
    """Maximum over windows of spikes, as torch's MaxPool2d without ceil_mode: an OR."""

    kernel: Pair
    stride: Pair
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)


@dataclass(frozen=True)
class Delay:
    """What the neurons `source` fired one step before, nothing at the first; no input, as they may come later."""

    source: str


@dataclass(frozen=True, eq=False)
class Flatten:
    """(channels, height, width) -> (features,), C order."""


@dataclass(frozen=True, eq=False)
class Add:
    """Element by element, of two or more maps of one shape."""


@dataclass(frozen=True, eq=False)
class And:
    """Element by element, the product of two maps of one shape, each of spikes or of 1 - spikes."""


@dataclass(frozen=True, eq=False)
class Concat:
    """Along the channels (or features), in the order of the inputs."""


@dataclass(frozen=True, eq=False)
class Select:
    """Gathers channels (or features): output c is input channels[c]; int64 [out channels]."""

    channels: IndexArray


Synapse = Conv | Linear
Op = (
    Input
    | Conv
    | Linear
    | BatchNorm
    | AvgPool
    | Resample
    | ConvTranspose
    | Upsample
    | PixelShuffle
    | MaxPool
    | Delay
    | Flatten
    | Add
    | And
    | Concat
    | Select
    | FloatNeuron
)


@dataclass(frozen=True)
class Seen:
    """Where in a run of the module a layer of neurons is seen.

    path: of its module. layout: of the tensors that it takes and gives. call: the number of its call, from 0, which has
    all steps; every call where each has one.
    """

    path: str
    layout: Layout
    call: int = 0


@dataclass(frozen=True, eq=False)
class Node:
    """One operation. `name` is the module's path in the network ("layers.0"), `shape` that of its output.

    seen: where a run of the module shows it, of neurons; None where the module has none, as of a final integrator.
    """

    name: str
    op: Op
    inputs: tuple[str, ...]
    shape: Shape
    seen: Seen | None = None


@dataclass(frozen=True)
class Readout:
    """How the output of the last neurons becomes scores, one for each class.

    of: their spikes over the steps, or the last voltage of an integrator: the sum of what it received.
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

    @property
    def is_sequence(self) -> bool:
        """Whether samples bring a frame for each step."""
        first = self.nodes[0].op
        return isinstance(first, Input) and first.sequence

    def consumers(self, name: str) -> tuple[Node, ...]:
        """The nodes that read the output of `name`, in topological order."""
        return self._consumers.get(name, ())

    @cached_property
    def _by_name(self) -> dict[str, Node]:
        return {node.name: node for node in self.nodes}

    @cached_property
    def _consumers(self) -> dict[str, tuple[Node, ...]]:
        readers: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                readers.setdefault(name, []).append(node)
        return {name: tuple(nodes) for name, nodes in readers.items()}
