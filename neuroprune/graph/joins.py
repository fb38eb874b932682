"""Operations that join and select."""

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
import torch

from neuroprune.arrays import frozen_array
from neuroprune.graph.arithmetic import common_layout
from neuroprune.graph.axes import in_time, moved
from neuroprune.graph.layout import Layout
from neuroprune.graph.nodes import Concat, Select
from neuroprune.graph.operation import Followed, Operation, is_whole
from neuroprune.graph.signals import Signal, values_of


def _concat(op: Operation) -> Followed:
    signals = op.symbols
    axis = int(op.argument(1, "dim", op.kwargs.get("axis", 0))) % op.value.ndim
    if len(signals) != len(op.args[0]):
        return None
    if (
        axis < signals[0].value.ndim
        and all(each.value.shape[axis] == 1 for each in signals)
        and not is_whole(signals[0])
    ):
        return in_time(op.recorder, op.value, [_without(each, axis) for each in signals], axis)
    first = signals[0]
    if isinstance(first, Signal) and axis == first.layout.batch and not first.layout.has_steps:
        return in_time(op.recorder, op.value, signals, axis)
    if not all(is_whole(each) for each in signals):
        return None
    found = common_layout(signals)
    if not isinstance(found, tuple):
        return found
    if any(axis != signal.channel_axis for signal in signals):
        return None
    shape = (sum(signal.sample[0] for signal in signals), *signals[0].sample[1:])
    name = op.recorder.node(op.recorder.scoped("cat"), "cat", Concat(), tuple(each.node for each in signals), shape)
    return Signal(op.value, op.recorder, name, *found)


def _pick(op: Operation) -> Followed:
    """One step of a sequence, or some channels."""
    signal = op.args[0]
    if len(op.symbols) != 1 or not isinstance(signal, Signal):
        return None
    time = signal.layout.time
    if time is not None and op.name in ("getitem", "select", "unbind"):
        steps = signal.steps
        of_step = Layout(signal.layout.batch).without([time])
        if op.name == "getitem":
            axis, step = single(op.args[1], signal.value.ndim)
        else:
            axis, step = int(op.argument(1, "dim", 0)) % signal.value.ndim, op.argument(2, "index")
        if op.name == "unbind" and axis == time:
            return tuple(
                Signal(value, op.recorder, signal.node, of_step, at, signal.votes) for at, value in enumerate(op.value)
            )
        if axis == time and isinstance(step, int):
            return Signal(op.value, op.recorder, signal.node, of_step, step % steps, signal.votes)
    if op.name == "getitem" and _adds_axes(op.args[1]):
        return moved(op.recorder, signal, op.value, lambda places: op.function(places, op.args[1]))
    if op.name == "select" or not is_whole(signal):
        return None
    places = torch.arange(signal.value.numel(), device=signal.value.device).reshape(signal.value.shape)
    picked = op.function(places, *values_of(op.args[1:]), **values_of(op.kwargs))
    if isinstance(picked, torch.Tensor):
        return _selection(op, signal, places, picked, op.value)
    parts = [_selection(op, signal, places, *pair) for pair in zip(picked, op.value, strict=True)]
    return tuple(parts) if all(part is not None for part in parts) else None


def _adds_axes(index: Any) -> bool:
    """Whether an index such as [None] or [:, None] adds axes of size 1 and takes everything."""
    indices = index if isinstance(index, tuple) else (index,)
    return any(each is None for each in indices) and all(
        each is None or each is Ellipsis or (isinstance(each, slice) and each == slice(None)) for each in indices
    )


def _without(part: Any, axis: int) -> Any:
    """A tensor of one step without `axis`, whose size is 1."""
    if not isinstance(part, Signal) or part.layout.has_steps or axis == part.layout.batch:
        return None
    layout = part.layout.without([axis])
    return Signal(part.value.select(axis, 0), part.recorder, part.node, layout, part.at, part.votes)


def single(index: Any, ndim: int) -> tuple[int | None, Any]:
    """The axis of which an index such as [:, t, ...] takes one place and all of the others, and that place."""
    indices = list(index) if isinstance(index, tuple) else [index]
    if any(each is Ellipsis for each in indices):
        at = next(number for number, each in enumerate(indices) if each is Ellipsis)
        indices[at : at + 1] = [slice(None)] * (ndim - len(indices) + 1)
    taken = [axis for axis, each in enumerate(indices) if not (isinstance(each, slice) and each == slice(None))]
    return (taken[0], indices[taken[0]]) if len(taken) == 1 else (None, None)


def _selection(
    op: Operation, signal: Signal, places: torch.Tensor, picked: torch.Tensor, value: torch.Tensor
) -> Followed:
    """The signal for `picked` of the numbered `places`, if those are whole channels."""
    axis = signal.channel_axis
    if picked.ndim != places.ndim or picked.numel() == 0:
        return None
    channels = picked.movedim(axis, 0).flatten(1)[:, 0] // prod(places.shape[axis + 1 :]) % signal.sample[0]
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


JOINS: dict[str, Callable[[Operation], Followed]] = {
    **dict.fromkeys(("cat", "concat", "concatenate"), _concat),
    **dict.fromkeys(
        ("getitem", "select", "unbind", "index_select", "narrow", "flip", "roll", "chunk", "split", "tensor_split"),
        _pick,
    ),
}
