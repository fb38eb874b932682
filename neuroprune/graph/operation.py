"""One call of torch on symbols, as the functions that follow it see it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from neuroprune.graph.nodes import Flatten
from neuroprune.graph.signals import Recorder, Signal, Symbol, TimeSum

Followed = Any
"""The symbol for the result, or a tuple of them; a sentence that says why the operation is not supported; None where
it is not understood with these arguments."""


@dataclass(frozen=True, eq=False)
class Operation:
    """One call of torch. args, kwargs: with symbols in them; value: what it gives on their values."""

    recorder: Recorder
    name: str
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    symbols: list[Any]
    value: Any

    def argument(self, position: int, name: str, default: Any = None) -> Any:
        return self.args[position] if len(self.args) > position else self.kwargs.get(name, default)

    def like(self, signal: Signal, node: str, value: Any = None) -> Signal:
        """The signal of `node` in the layout of `signal`."""
        value = self.value if value is None else value
        return Signal(value, self.recorder, node, signal.layout, signal.at, signal.votes)


def is_whole(signal: Symbol) -> bool:
    """Whether it is the whole output of its node, so that layers may read it."""
    node = signal.recorder.nodes[signal.node]
    return isinstance(signal, Signal) and signal.votes == 1 and signal.sample == node.shape


def renamed(op: Operation, symbol: Any, factor: float = 1.0) -> Symbol:
    """The same symbol for a new tensor."""
    if isinstance(symbol, TimeSum):
        return TimeSum(op.value, op.recorder, symbol.node, symbol.steps, symbol.scale * factor, symbol.votes)
    return op.like(symbol, symbol.node)


def flat(recorder: Recorder, node: str, features: int) -> str:
    """The node that makes a vector of the maps of `node`."""
    return recorder.node(f"{node}.flatten", "flatten", Flatten(), (node,), (features,))
