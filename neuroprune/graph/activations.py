"""Activations that leave spikes, and sums and means of spikes, as they are."""

from collections.abc import Callable

from torch import nn

from neuroprune.graph.nodes import (
    Add,
    And,
    AvgPool,
    Concat,
    Flatten,
    MaxPool,
    PixelShuffle,
    Resample,
    Select,
    Upsample,
)
from neuroprune.graph.operation import Followed, Operation, renamed
from neuroprune.graph.signals import Recorder, Symbol
from neuroprune.neurons.model import FloatNeuron


def does_nothing(module: nn.Module, recorder: Recorder, source: str) -> bool:
    """Whether a layer is an activation that leaves all that `source` gives as it is."""
    return type(module) is nn.ReLU and _is_never_negative(recorder, source)


def _activation(op: Operation) -> Followed:
    symbol = op.args[0]
    if isinstance(symbol, Symbol) and len(op.symbols) == 1 and _is_never_negative(op.recorder, symbol.node):
        return renamed(op, symbol)
    return None


def _is_never_negative(recorder: Recorder, source: str) -> bool:
    """Whether the node `source` gives spikes, or what is made of spikes without weights."""
    node = recorder.nodes[source]
    if isinstance(node.op, FloatNeuron):
        return not node.op.integrates
    made = Add | And | AvgPool | Concat | Flatten | MaxPool | PixelShuffle | Resample | Select | Upsample
    return isinstance(node.op, made) and all(_is_never_negative(recorder, name) for name in node.inputs)


ACTIVATIONS: dict[str, Callable[[Operation], Followed]] = dict.fromkeys(("relu", "abs", "absolute"), _activation)
