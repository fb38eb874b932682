"""What the operations of torch between layers do to symbols.

One function an operation: it gives the symbol for the result, a sentence that says what stands against it, or None
where the operation is not understood in this form.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from neuroprune.frozen import frozen_array
from neuroprune.graph.nodes import Add, AvgPool, BatchNorm, Concat, Flatten, Select, Shape
from neuroprune.graph.read import read_module
from neuroprune.graph.signals import Layout, Readout, Signal, Symbol, values_of

if TYPE_CHECKING:
    from neuroprune.graph.recorder import Recorder

Followed = Any
"""Symbol, tuple of symbols, sentence or None."""


@dataclass(frozen=True, eq=False)
class Operation:
    """One call of torch. args, kwargs: with symbols in them; value: what it gives on their values."""

    recorder: "Recorder"
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


def _is_whole(signal: Symbol) -> bool:
    """Whether it is the output of its node as it is, so that layers may read it."""
    return (
        isinstance(signal, Signal) and signal.votes == 1 and signal.sample == signal.recorder.nodes[signal.node].shape  # type: ignore[attr-defined]
    )


def _layout(op: Operation, signals: list[Signal]) -> tuple[Layout, int] | str | None:
    """The layout that signals of one shape have together."""
    varying = [signal for signal in signals if signal.layout != "constant"]
    if not varying:
        return "constant", 0
    first = varying[0]
    if any(signal.layout != first.layout for signal in varying):
        return None
    if any(signal.at != first.at for signal in varying):
        return "it joins different time steps; join the outputs of one step"
    return first.layout, first.at


def _add(op: Operation) -> Followed:
    if op.kwargs.get("alpha", 1) != 1 or len(op.args) != 2:
        return None
    terms = [each for each in op.args if isinstance(each, Symbol) or not _is_zero(each)]
    if not all(isinstance(each, Symbol) for each in terms):
        return None
    if len(terms) == 1:
        return _renamed(op, terms[0]) if op.value.shape == terms[0].value.shape else None
    one, two = terms
    if one.node == two.node and all(_is_one_step(each) for each in terms):
        steps = _steps(one), _steps(two)
        if not steps[0] & steps[1]:
            return Readout(op.value, op.recorder, one.node, steps[0] | steps[1], 1.0, one.votes)
    if not (_is_whole(one) and _is_whole(two) and one.sample == two.sample):
        return None
    found = _layout(op, terms)
    if not isinstance(found, tuple):
        return found
    layout, at = found
    name = op.recorder.node(op.recorder.scoped("add"), "add", Add(), (one.node, two.node), one.sample)
    return Signal(op.value, op.recorder, name, layout, at)


def _is_zero(value: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return not bool(value.any())
    return isinstance(value, int | float) and value == 0


def _is_one_step(symbol: Symbol) -> bool:
    return (
        symbol.scale == 1.0 if isinstance(symbol, Readout) else isinstance(symbol, Signal) and symbol.layout == "step"
    )


def _steps(symbol: Any) -> frozenset[int]:
    return symbol.steps if isinstance(symbol, Readout) else frozenset([symbol.at])


def _renamed(op: Operation, symbol: Any, factor: float = 1.0) -> Symbol:
    """The same symbol for a new tensor."""
    if isinstance(symbol, Readout):
        return Readout(op.value, op.recorder, symbol.node, symbol.steps, symbol.scale * factor, symbol.votes)
    return op.like(symbol, symbol.node)


def _scale(op: Operation) -> Followed:
    """Multiplication by a number, or division by one."""
    if len(op.args) != 2 or len(op.symbols) != 1 or op.kwargs:
        return None
    divides = "div" in op.name
    symbol, factor = op.args if isinstance(op.args[0], Symbol) else op.args[::-1]
    if not isinstance(symbol, Symbol) or (divides and symbol is not op.args[0]):
        return None
    if isinstance(factor, torch.Tensor):
        factor = factor.item() if factor.ndim == 0 else None
    if not isinstance(factor, int | float) or factor == 0 or not np.isfinite(factor):
        return None
    factor = 1.0 / factor if divides else float(factor)
    if isinstance(symbol, Readout) or factor == 1.0:
        return _renamed(op, symbol, factor)
    if not _is_whole(symbol):
        return None
    assert isinstance(symbol, Signal)
    channels = symbol.sample[0]
    scaling = BatchNorm(
        frozen_array(np.full(channels, factor), np.float64), frozen_array(np.zeros(channels), np.float64)
    )
    return op.like(
        symbol, op.recorder.node(f"{symbol.node}.scale", ("scale", factor), scaling, (symbol.node,), symbol.sample)
    )


def _concat(op: Operation) -> Followed:
    signals = op.symbols
    axis = int(op.argument(1, "dim", op.kwargs.get("axis", 0))) % op.value.ndim
    if len(signals) != len(op.args[0]) or not all(_is_whole(each) for each in signals):
        return None
    found = _layout(op, signals)
    if not isinstance(found, tuple):
        return found
    if any(signal.layout != signals[0].layout for signal in signals) or axis != signals[0].lead:
        return None
    layout, at = found
    shape = (sum(signal.sample[0] for signal in signals), *signals[0].sample[1:])
    name = op.recorder.node(op.recorder.scoped("cat"), "cat", Concat(), tuple(each.node for each in signals), shape)
    return Signal(op.value, op.recorder, name, layout, at)


def _stack(op: Operation) -> Followed:
    """The steps of a loop, or one frame for every step, as a sequence."""
    signals = op.symbols
    first = signals[0]
    same = all(isinstance(each, Signal) and (each.node, each.votes) == (first.node, first.votes) for each in signals)
    if not same or len(signals) != len(op.args[0]) or op.argument(1, "dim", 0) != 0:
        return None
    in_order = [each.at for each in signals] == list(range(len(signals)))
    if all(each.layout == "constant" for each in signals) or (
        in_order and all(each.layout == "step" for each in signals)
    ):
        op.recorder.steps = len(signals)
        return Signal(op.value, op.recorder, first.node, "sequence", 0, first.votes)
    return None


def _average(op: Operation) -> Followed:
    """Mean or sum over time, mean over the map, mean over the outputs that vote for a class."""
    signal = op.args[0]
    dim = op.argument(1, "dim", op.kwargs.get("axis"))
    if len(op.symbols) != 1 or not isinstance(signal, Symbol) or dim is None:
        return None
    axes = sorted(int(axis) % signal.value.ndim for axis in (dim if isinstance(dim, tuple | list) else (dim,)))
    keeps = bool(op.argument(2, "keepdim", False))
    last = signal.value.ndim - 1
    if op.name == "mean" and axes == [last] and signal.votes > 1 and signal.value.shape[last] == signal.votes:
        return None if keeps else _renamed(op, signal)
    if not isinstance(signal, Signal):
        return None
    if signal.layout == "sequence" and axes == [0] and not keeps:
        steps = signal.value.shape[0]
        scale = 1.0 / steps if op.name == "mean" else 1.0
        return Readout(op.value, op.recorder, signal.node, frozenset(range(steps)), scale, signal.votes)
    if op.name == "mean" and _is_whole(signal) and len(signal.sample) == 3 and axes == [last - 1, last]:
        channels, height, width = signal.sample
        pool = AvgPool((height, width), (height, width))
        name = op.recorder.node(f"{signal.node}.mean", "mean", pool, (signal.node,), (channels, 1, 1))
        return op.like(signal, name if keeps else _flat(op, name, channels))
    return None


def _flat(op: Operation, node: str, features: int) -> str:
    return op.recorder.node(f"{node}.flatten", "flatten", Flatten(), (node,), (features,))


def vote(recorder: "Recorder", symbol: Symbol, value: torch.Tensor) -> Symbol | None:
    """What a mean over neighbouring outputs, from the last axis of `symbol` to that of `value`, gives."""
    before, after = symbol.value.shape[-1], value.shape[-1]
    if symbol.value.shape[:-1] != value.shape[:-1] or before % after or not isinstance(symbol, Signal | Readout):
        return None
    if symbol.votes != 1 or before != prod(recorder.nodes[symbol.node].shape):
        return None
    if isinstance(symbol, Readout):
        return Readout(value, recorder, symbol.node, symbol.steps, symbol.scale, before // after)
    return Signal(value, recorder, symbol.node, symbol.layout, symbol.at, before // after)


def _vote(op: Operation) -> Followed:
    size = _single(op.argument(1, "kernel_size"))
    plain = size == _single(op.argument(2, "stride") or size) and not _single(op.argument(3, "padding", 0))
    return (
        vote(op.recorder, op.args[0], op.value)
        if plain and size == op.args[0].value.shape[-1] // op.value.shape[-1]
        else None
    )


def _single(value: Any) -> int:
    return int(value[0]) if isinstance(value, tuple | list) else int(value)


def _pick(op: Operation) -> Followed:
    """One step of a sequence, or some channels."""
    signal = op.args[0]
    if len(op.symbols) != 1 or not isinstance(signal, Signal):
        return None
    if signal.layout == "sequence" and op.name in ("getitem", "select", "unbind"):
        axis, step = (0, op.args[1]) if op.name == "getitem" else (op.argument(1, "dim", 0), op.argument(2, "index"))
        if op.name == "unbind" and axis == 0:
            return tuple(
                Signal(value, op.recorder, signal.node, "step", at, signal.votes) for at, value in enumerate(op.value)
            )
        if axis == 0 and isinstance(step, int):
            return Signal(op.value, op.recorder, signal.node, "step", step % signal.value.shape[0], signal.votes)
    if op.name == "select" or not _is_whole(signal):
        return None
    places = torch.arange(signal.value.numel(), device=signal.value.device).reshape(signal.value.shape)
    picked = op.function(places, *values_of(op.args[1:]), **values_of(op.kwargs))
    if isinstance(picked, torch.Tensor):
        return _selection(op, signal, places, picked, op.value)
    parts = [_selection(op, signal, places, *pair) for pair in zip(picked, op.value, strict=True)]
    return tuple(parts) if all(part is not None for part in parts) else None


def _selection(
    op: Operation, signal: Signal, places: torch.Tensor, picked: torch.Tensor, value: torch.Tensor
) -> Followed:
    """The signal for `picked` of the numbered `places`, if those are whole channels."""
    axis = signal.lead
    if picked.ndim != places.ndim or picked.numel() == 0:
        return None
    inner = prod(signal.sample[1:])
    channels = picked.movedim(axis, 0).flatten(1)[:, 0] // inner % signal.sample[0]
    if not torch.equal(places.index_select(axis, channels), picked):
        return None
    numbers = frozen_array(channels.cpu().numpy(), np.int64)
    if np.array_equal(numbers, np.arange(signal.sample[0])):
        return op.like(signal, signal.node, value)
    shape = (len(numbers), *signal.sample[1:])
    name = op.recorder.node(
        f"{signal.node}.select", ("select", numbers.tobytes()), Select(numbers), (signal.node,), shape
    )
    return op.like(signal, name, value)


def _pool(op: Operation) -> Followed:
    """Pooling as a function is the layer of that name."""
    kinds = {"avg_pool2d": nn.AvgPool2d, "max_pool2d": nn.MaxPool2d, "adaptive_avg_pool2d": nn.AdaptiveAvgPool2d}
    signal = op.args[0]
    if not _is_whole(signal):
        return None
    parameters = {name: value for name, value in op.kwargs.items() if value is not None}
    found, problem = read_module(op.name, kinds[op.name](*op.args[1:], **parameters), signal.sample)
    if found is None:
        return problem and problem.split(": ", 1)[1]
    what = (op.name, *(repr(value) for value in vars(found).values()))
    return op.like(
        signal, op.recorder.node(f"{signal.node}.pool", what, found, (signal.node,), tuple(op.value.shape[1:]))
    )


def _dropout(op: Operation) -> Followed:
    return None if op.argument(2, "training", True) else _same(op)


def _same(op: Operation) -> Followed:
    """Copies and casts."""
    return _renamed(op, op.args[0]) if len(op.symbols) == 1 and op.value.shape == op.args[0].value.shape else None


def _zeros(op: Operation) -> Followed:
    return op.value


def _reshape(op: Operation) -> Followed:
    """Where time and sample axes lie after a change of shape, told from the sizes."""
    symbol, value = op.args[0], op.value
    if len(op.symbols) != 1 or not isinstance(symbol, Symbol):
        return None
    if value.shape == symbol.value.shape:
        return _renamed(op, symbol)
    if isinstance(symbol, Readout):
        votes = _votes_apart(op, symbol, tuple(value.shape[1:]))
        if value.shape[0] == op.recorder.batch and (votes or value[0].numel() == symbol.value[0].numel()):
            return Readout(value, op.recorder, symbol.node, symbol.steps, symbol.scale, votes or symbol.votes)
        return None
    assert isinstance(symbol, Signal)
    repeated = _repeat(op, symbol)
    if repeated is not None:
        return repeated
    batch = op.recorder.batch
    leads: dict[tuple[int, ...], Layout] = {(batch,): symbol.layout}
    if symbol.layout in ("sequence", "merged"):
        steps = prod(symbol.value.shape[: symbol.lead]) // batch
        leads = {(steps, batch): "sequence", (steps * batch,): "merged"}
    for lead, layout in leads.items():
        sample = tuple(value.shape[len(lead) :])
        if tuple(value.shape[: len(lead)]) == lead and prod(sample) == prod(symbol.sample):
            found = _resample(op, symbol, sample)
            if found is not None:
                return Signal(value, op.recorder, found[0], layout, symbol.at, found[1])
    return None


def _repeat(op: Operation, signal: Signal) -> Signal | None:
    """A frame presented at every step: [N, ...] -> [T, N, ...] or [T * N, ...], [1, N, ...] -> [T, N, ...]."""
    recorder, before, after = op.recorder, tuple(signal.value.shape), tuple(op.value.shape)
    if signal.layout == "constant" and after[1:] == before:
        if after[0] > 1:
            recorder.steps = after[0]
        return Signal(op.value, recorder, signal.node, "sequence", 0, signal.votes)
    if after[1:] != before[1:] or after[0] % before[0]:
        return None
    if signal.layout == "constant" and op.name == "repeat":
        recorder.steps = after[0] // before[0]
        return Signal(op.value, recorder, signal.node, "merged", 0, signal.votes)
    once = signal.layout == "sequence" and before[0] == 1 and not recorder.follows_time(signal.node)
    if once:
        recorder.steps = after[0]
        return Signal(op.value, recorder, signal.node, "sequence", 0, signal.votes)
    return None


def _resample(op: Operation, signal: Signal, sample: Shape) -> tuple[str, int] | None:
    """The node whose output has the shape `sample` in C order, and the votes that its last axis holds apart."""
    shape = op.recorder.nodes[signal.node].shape
    votes = _votes_apart(op, signal, sample)
    if votes:
        return signal.node, votes
    if signal.votes > 1:
        return (signal.node, signal.votes) if sample == signal.sample else None
    if sample == (prod(shape),) and len(shape) > 1:
        return _flat(op, signal.node, prod(shape)), 1
    if [size for size in sample if size != 1] == [size for size in shape if size != 1]:
        return signal.node, 1
    return None


def _votes_apart(op: Operation, symbol: Any, sample: Shape) -> int | None:
    """How many neighbours vote for a class where (classes * votes,) has become (classes, votes)."""
    features = prod(op.recorder.nodes[symbol.node].shape)
    apart = len(sample) == 2 and prod(sample) == features and symbol.value.shape[-1] == features and 1 not in sample
    return sample[1] if apart and symbol.votes == 1 else None


OPERATIONS: dict[str, Callable[[Operation], Followed]] = {
    **dict.fromkeys(("add", "iadd", "radd"), _add),
    **dict.fromkeys(("mul", "imul", "rmul", "multiply", "div", "truediv", "itruediv", "divide", "true_divide"), _scale),
    **dict.fromkeys(("cat", "concat", "concatenate"), _concat),
    **dict.fromkeys(("mean", "sum"), _average),
    **dict.fromkeys(
        ("getitem", "select", "unbind", "index_select", "narrow", "flip", "roll", "chunk", "split", "tensor_split"),
        _pick,
    ),
    **dict.fromkeys(("avg_pool2d", "max_pool2d", "adaptive_avg_pool2d"), _pool),
    **dict.fromkeys(("dropout", "dropout2d", "feature_dropout"), _dropout),
    **dict.fromkeys(("contiguous", "clone", "detach", "float", "double", "to", "type_as", "cpu", "cuda"), _same),
    **dict.fromkeys(("zeros_like", "new_zeros"), _zeros),
    **dict.fromkeys(
        ("unsqueeze", "squeeze", "repeat", "expand", "flatten", "unflatten", "reshape", "view", "ravel"), _reshape
    ),
    "stack": _stack,
    "avg_pool1d": _vote,
}
