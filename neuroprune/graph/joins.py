"""Operations that join, scale, select and pool."""

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
import torch
from torch import nn

from neuroprune.arrays import frozen_array
from neuroprune.graph.nodes import Add, BatchNorm, Concat, Select
from neuroprune.graph.operation import Followed, Operation, is_whole, renamed
from neuroprune.graph.read import read_layer
from neuroprune.graph.signals import Layout, Signal, Symbol, TimeSum, values_of


def _layout(signals: list[Signal]) -> tuple[Layout, int] | str | None:
    """The common layout of signals of one shape, and their step; or why they have none."""
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
        return renamed(op, terms[0]) if op.value.shape == terms[0].value.shape else None
    one, two = terms
    steps = _steps(one), _steps(two)
    if (one.node, one.votes) == (two.node, two.votes) and steps[0] and steps[1] and not steps[0] & steps[1]:
        return TimeSum(op.value, op.recorder, one.node, steps[0] | steps[1], 1.0, one.votes)
    if not (is_whole(one) and is_whole(two) and one.sample == two.sample):
        return None
    found = _layout(terms)
    if not isinstance(found, tuple):
        return found
    layout, at = found
    name = op.recorder.node(op.recorder.scoped("add"), "add", Add(), (one.node, two.node), one.sample)
    return Signal(op.value, op.recorder, name, layout, at)


def _is_zero(value: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return not bool(value.any())
    return isinstance(value, int | float) and value == 0


def _steps(symbol: Any) -> frozenset[int]:
    """The steps of a loop whose sum the symbol is, none if it is no such sum."""
    if isinstance(symbol, TimeSum):
        return symbol.steps if symbol.scale == 1.0 else frozenset()
    return frozenset([symbol.at] if symbol.layout == "step" else [])


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
    if isinstance(symbol, TimeSum) or factor == 1.0:
        return renamed(op, symbol, factor)
    if not is_whole(symbol):
        return None
    assert isinstance(symbol, Signal)
    gain = np.full(symbol.sample[0], factor)
    scaling = BatchNorm(frozen_array(gain, np.float64), frozen_array(np.zeros_like(gain), np.float64))
    name = op.recorder.node(f"{symbol.node}.scale", ("scale", factor), scaling, (symbol.node,), symbol.sample)
    return op.like(symbol, name)


def _concat(op: Operation) -> Followed:
    signals = op.symbols
    axis = int(op.argument(1, "dim", op.kwargs.get("axis", 0))) % op.value.ndim
    if len(signals) != len(op.args[0]) or not all(is_whole(each) for each in signals):
        return None
    found = _layout(signals)
    if not isinstance(found, tuple):
        return found
    layout, at = found
    if any(axis != signal.lead for signal in signals):
        return None
    shape = (sum(signal.sample[0] for signal in signals), *signals[0].sample[1:])
    name = op.recorder.node(op.recorder.scoped("cat"), "cat", Concat(), tuple(each.node for each in signals), shape)
    return Signal(op.value, op.recorder, name, layout, at)


def _pick(op: Operation) -> Followed:
    """One step of a sequence, or some channels."""
    signal = op.args[0]
    if len(op.symbols) != 1 or not isinstance(signal, Signal):
        return None
    if signal.time_axis is not None and op.name in ("getitem", "select", "unbind"):
        steps = signal.value.shape[signal.time_axis]
        if op.name == "getitem":
            axis, step = _single(op.args[1])
        else:
            axis, step = int(op.argument(1, "dim", 0)) % signal.value.ndim, op.argument(2, "index")
        if op.name == "unbind" and axis == signal.time_axis:
            return tuple(
                Signal(value, op.recorder, signal.node, "step", at, signal.votes) for at, value in enumerate(op.value)
            )
        if axis == signal.time_axis and isinstance(step, int):
            return Signal(op.value, op.recorder, signal.node, "step", step % steps, signal.votes)
    if op.name == "select" or not is_whole(signal):
        return None
    places = torch.arange(signal.value.numel(), device=signal.value.device).reshape(signal.value.shape)
    picked = op.function(places, *values_of(op.args[1:]), **values_of(op.kwargs))
    if isinstance(picked, torch.Tensor):
        return _selection(op, signal, places, picked, op.value)
    parts = [_selection(op, signal, places, *pair) for pair in zip(picked, op.value, strict=True)]
    return tuple(parts) if all(part is not None for part in parts) else None


def _single(index: Any) -> tuple[int | None, Any]:
    """The axis of which an index such as [:, t, ...] takes one place and all of the others, and that place."""
    indices = index if isinstance(index, tuple) else (index,)
    while indices and (indices[-1] is Ellipsis or indices[-1] == slice(None)):
        indices = indices[:-1]
    whole = all(isinstance(each, slice) and each == slice(None) for each in indices[:-1])
    return (len(indices) - 1, indices[-1]) if indices and whole else (None, None)


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
    if not is_whole(signal):
        return None
    parameters = {name: value for name, value in op.kwargs.items() if value is not None}
    found, problem = read_layer(op.name, kinds[op.name](*op.args[1:], **parameters), signal.sample)
    if found is None:
        return problem and problem.split(": ", 1)[1]
    what = (op.name, *(repr(value) for value in vars(found).values()))
    shape = tuple(op.value.shape[1:])
    return op.like(signal, op.recorder.node(f"{signal.node}.pool", what, found, (signal.node,), shape))


JOINS: dict[str, Callable[[Operation], Followed]] = {
    **dict.fromkeys(("add", "iadd", "radd"), _add),
    **dict.fromkeys(("mul", "imul", "rmul", "multiply", "div", "truediv", "itruediv", "divide", "true_divide"), _scale),
    **dict.fromkeys(("cat", "concat", "concatenate"), _concat),
    **dict.fromkeys(
        ("getitem", "select", "unbind", "index_select", "narrow", "flip", "roll", "chunk", "split", "tensor_split"),
        _pick,
    ),
    **dict.fromkeys(("avg_pool2d", "max_pool2d", "adaptive_avg_pool2d"), _pool),
}
