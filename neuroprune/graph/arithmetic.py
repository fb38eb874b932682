"""Sums, products, and arithmetic with numbers: element by element."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from neuroprune.arrays import FloatArray, frozen_array
from neuroprune.graph.layout import Layout
from neuroprune.graph.nodes import Add, And, BatchNorm
from neuroprune.graph.operation import Followed, Operation, is_whole, renamed
from neuroprune.graph.signals import Signal, Symbol, TimeSum


def common_layout(signals: list[Signal]) -> tuple[Layout, int | None] | str | None:
    """The layout of what is made of signals element by element, and its step; or why they have none."""
    varying = [signal for signal in signals if not signal.is_constant]
    if not varying:
        return signals[0].layout, None
    first = varying[0]
    if any(signal.layout != first.layout for signal in varying):
        return None
    if first.layout.has_steps and len(varying) < len(signals) and first.layout.time != 0:
        return None  # torch aligns axes from the last on, so [N, ...] meets [T, N, ...] and no other
    if any(signal.at != first.at for signal in varying):
        return "it joins different time steps; join the outputs of one step"
    return first.layout, first.at


def _add(op: Operation) -> Followed:
    if op.kwargs.get("alpha", 1) != 1 or len(op.args) != 2:
        return None
    one, two = op.args
    if not (isinstance(one, Symbol) and isinstance(two, Symbol)):
        return _affine(op)
    steps = _steps(one), _steps(two)
    if (one.node, one.votes) == (two.node, two.votes) and steps[0] and steps[1] and not steps[0] & steps[1]:
        return TimeSum(op.value, op.recorder, one.node, steps[0] | steps[1], 1.0, one.votes)
    return _joined(op, "add", Add())


def _joined(op: Operation, kind: str, join: Add | And) -> Followed:
    """Two signals of one shape, element by element."""
    one, two = op.args
    if not (is_whole(one) and is_whole(two) and one.sample == two.sample):
        return None
    found = common_layout([one, two])
    if not isinstance(found, tuple):
        return found
    name = op.recorder.node(op.recorder.scoped(kind), kind, join, (one.node, two.node), one.sample)
    return Signal(op.value, op.recorder, name, *found)


def _steps(symbol: Any) -> frozenset[int]:
    """The steps of a loop whose sum the symbol is, none if it is no such sum."""
    if isinstance(symbol, TimeSum):
        return symbol.steps if symbol.scale == 1.0 else frozenset()
    return frozenset([] if symbol.at is None else [symbol.at])


def _multiply(op: Operation) -> Followed:
    if len(op.args) == 2 and len(op.symbols) == 2 and op.args[0].node != op.args[1].node:
        return _joined(op, "and", And())  # of spikes: others are refused where the graph is checked
    return _affine(op)


def _affine(op: Operation) -> Followed:
    """Arithmetic with a number, or with one for each channel: y = gain * x + offset."""
    if len(op.symbols) != 1 or op.kwargs or len(op.args) != (1 if "neg" in op.name else 2):
        return None
    is_first = isinstance(op.args[0], Symbol)
    symbol: Any = op.args[0] if is_first else op.args[1]
    other = 1.0 if "neg" in op.name else op.args[1] if is_first else op.args[0]
    if isinstance(symbol, TimeSum):
        return _scaled_sum(op, symbol, other, is_first)
    if op.value.shape != symbol.value.shape:
        return None
    numbers = _by_channel(other, symbol)
    if numbers is None:
        return "it computes with other numbers for each element; use one number, or one for each channel"
    gain, offset = _GAINS[op.name.removeprefix("i")](numbers, is_first != op.name.startswith("r"))
    if not (np.isfinite(gain).all() and np.isfinite(offset).all()):
        return None
    if np.all(gain == 1.0) and not offset.any():
        return renamed(op, symbol)
    if not is_whole(symbol):
        return None
    kind = "shift" if np.all(gain == 1.0) else "shift" if offset.any() else "scale"
    change = BatchNorm(frozen_array(gain, np.float64), frozen_array(offset, np.float64))
    what = (kind, gain.tobytes(), offset.tobytes())
    return op.like(symbol, op.recorder.node(f"{symbol.node}.{kind}", what, change, (symbol.node,), symbol.sample))


def _scaled_sum(op: Operation, symbol: TimeSum, other: Any, is_first: bool) -> Followed:
    """A sum over time, times a number."""
    if isinstance(other, torch.Tensor):
        other = other.item() if other.numel() == 1 else None
    if not isinstance(other, int | float) or not np.isfinite(other):
        return None
    if "add" in op.name or "sub" in op.name:
        return renamed(op, symbol) if other == 0 and is_first else None
    if other == 0 or ("div" in op.name and not is_first) or "neg" in op.name:
        return None
    return renamed(op, symbol, 1.0 / other if "div" in op.name else float(other))


def _by_channel(other: Any, signal: Signal) -> FloatArray | None:
    """`other` for each channel of `signal`, float64 [channels]; None where it differs within one."""
    if not isinstance(other, int | float | torch.Tensor):
        return None
    spread = torch.as_tensor(other).detach().double().cpu().broadcast_to(signal.value.shape)
    channels = spread.movedim(signal.channel_axis, 0).flatten(1)
    if not torch.equal(channels, channels[:, :1].expand_as(channels)):
        return None
    numbers: FloatArray = channels[:, 0].numpy()
    return numbers


Affine = tuple[FloatArray, FloatArray]


def _sum(numbers: FloatArray, is_first: bool) -> Affine:
    return np.ones_like(numbers), numbers


def _difference(numbers: FloatArray, is_first: bool) -> Affine:
    return (np.ones_like(numbers), -numbers) if is_first else (-np.ones_like(numbers), numbers)


def _product(numbers: FloatArray, is_first: bool) -> Affine:
    return numbers, np.zeros_like(numbers)


def _quotient(numbers: FloatArray, is_first: bool) -> Affine:
    with np.errstate(divide="ignore"):
        return (1.0 / numbers if is_first else np.full_like(numbers, np.nan)), np.zeros_like(numbers)


def _negative(numbers: FloatArray, is_first: bool) -> Affine:
    return -numbers, np.zeros_like(numbers)


_GAINS: dict[str, Callable[[FloatArray, bool], Affine]] = {
    **dict.fromkeys(("add", "radd"), _sum),
    **dict.fromkeys(("sub", "rsub", "subtract"), _difference),
    **dict.fromkeys(("mul", "rmul", "multiply"), _product),
    **dict.fromkeys(("div", "truediv", "rtruediv", "divide", "true_divide"), _quotient),
    **dict.fromkeys(("neg", "negative"), _negative),
}
"""Gain and offset by the operation, with numbers that are its second operand, or its first; "i" before a name means in
place."""

ARITHMETIC: dict[str, Callable[[Operation], Followed]] = {
    **dict.fromkeys(("add", "iadd", "radd"), _add),
    **dict.fromkeys(("mul", "imul", "rmul", "multiply"), _multiply),
    **dict.fromkeys(
        """sub isub rsub subtract div truediv itruediv rtruediv divide true_divide neg negative""".split(),  # noqa: SIM905
        _affine,
    ),
}
