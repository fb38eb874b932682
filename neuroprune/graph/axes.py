"""Operations that move the axes: time and batch, maps and vectors, outputs that vote."""

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from spikingjelly.activation_based import layer
from torch import nn

from neuroprune.graph.nodes import AvgPool, Shape
from neuroprune.graph.operation import Followed, Operation, flat, is_whole, renamed
from neuroprune.graph.signals import Layout, Recorder, Signal, Symbol, TimeSum


def _stack(op: Operation) -> Followed:
    """The steps of a loop, or one frame for every step, as a sequence."""
    signals = op.symbols
    first = signals[0]
    same = all(isinstance(each, Signal) and (each.node, each.votes) == (first.node, first.votes) for each in signals)
    axis = int(op.argument(1, "dim", op.kwargs.get("axis", 0))) % op.value.ndim
    if not same or len(signals) != len(op.args[0]) or axis > 1:
        return None
    in_order = [each.at for each in signals] == list(range(len(signals)))
    layouts = {each.layout for each in signals}
    if layouts == {"constant"} or (layouts == {"step"} and in_order):
        op.recorder.steps = len(signals)
        return Signal(op.value, op.recorder, first.node, BY_TIME_AXIS[axis], 0, first.votes)
    return None


def _permute(op: Operation) -> Followed:
    """Time before the samples, or behind them."""
    symbol = op.args[0]
    if len(op.symbols) != 1 or not isinstance(symbol, Symbol):
        return None
    axes = list(range(symbol.value.ndim))
    sizes = op.function(torch.empty([2 + axis for axis in axes], device="meta"), *op.args[1:], **op.kwargs).shape
    order = [size - 2 for size in sizes]
    if order == axes:
        return renamed(op, symbol)
    if isinstance(symbol, Signal) and symbol.time_axis is not None and order == [1, 0, *axes[2:]]:
        return Signal(op.value, op.recorder, symbol.node, BY_TIME_AXIS[1 - symbol.time_axis], 0, symbol.votes)
    return None


def _average(op: Operation) -> Followed:
    """Mean or sum over time, mean over the map, mean over the outputs that vote for a class."""
    signal = op.args[0]
    dim = op.argument(1, "dim", op.kwargs.get("axis"))
    if len(op.symbols) != 1 or not isinstance(signal, Signal | TimeSum) or dim is None:
        return None
    axes = sorted(int(axis) % signal.value.ndim for axis in (dim if isinstance(dim, tuple | list) else (dim,)))
    keeps = bool(op.argument(2, "keepdim", False))
    last = signal.value.ndim - 1
    if op.name == "mean" and axes == [last] and signal.votes > 1 and len(signal.sample) > 1:
        return None if keeps else renamed(op, signal)
    if not isinstance(signal, Signal):
        return None
    if axes == [signal.time_axis] and not keeps:
        steps = signal.value.shape[axes[0]]
        scale = 1.0 / steps if op.name == "mean" else 1.0
        return TimeSum(op.value, op.recorder, signal.node, frozenset(range(steps)), scale, signal.votes)
    if op.name == "mean" and is_whole(signal) and len(signal.sample) == 3 and axes == [last - 1, last]:
        channels, height, width = signal.sample
        pool = AvgPool((height, width), (height, width))
        name = op.recorder.node(f"{signal.node}.mean", "mean", pool, (signal.node,), (channels, 1, 1))
        return op.like(signal, name if keeps else flat(op, name, channels))
    return None


def vote(recorder: Recorder, symbol: Symbol, value: torch.Tensor, votes: int | None) -> Symbol | None:
    """What a mean over as many neighbouring outputs, from the last axis of `symbol` to that of `value`, gives."""
    before, after = symbol.value.shape[-1], value.shape[-1]
    if votes is None or after * votes != before or symbol.value.shape[:-1] != value.shape[:-1]:
        return None
    if not isinstance(symbol, Signal | TimeSum) or symbol.votes != 1:
        return None
    if before != prod(recorder.nodes[symbol.node].shape):
        return None
    if isinstance(symbol, TimeSum):
        return TimeSum(value, recorder, symbol.node, symbol.steps, symbol.scale, votes)
    return Signal(value, recorder, symbol.node, symbol.layout, symbol.at, votes)


def voters(module: nn.Module) -> int | None:
    """How many outputs vote for a class in a layer that takes their mean; None for other layers."""
    if isinstance(module, layer.VotingLayer):
        return int(module.voting_size)
    if isinstance(module, nn.AvgPool1d):
        return _window(module.kernel_size, module.stride, module.padding)
    return None


def _vote(op: Operation) -> Followed:
    window = _window(op.argument(1, "kernel_size"), op.argument(2, "stride"), op.argument(3, "padding", 0))
    return vote(op.recorder, op.args[0], op.value, window)


def _window(*sizes: Any) -> int | None:
    """The size of windows of an average pooling that lie side by side, of (kernel, stride, padding)."""
    kernel, stride, padding = (size[0] if isinstance(size, tuple | list) and size else size for size in sizes)
    return int(kernel) if (stride or kernel) == kernel and padding == 0 else None


def _dropout(op: Operation) -> Followed:
    return None if op.argument(2, "training", True) else _same(op)


def _same(op: Operation) -> Followed:
    """Copies and casts."""
    if not isinstance(op.args[0], Symbol):
        return op.value
    return renamed(op, op.args[0]) if op.value.shape == op.args[0].value.shape else None


def _zeros(op: Operation) -> Followed:
    return op.value


def _reshape(op: Operation) -> Followed:
    """Where time and sample axes lie after a change of shape, inferred from the sizes."""
    symbol, value = op.args[0], op.value
    if len(op.symbols) != 1 or not isinstance(symbol, Symbol):
        return None
    if value.shape == symbol.value.shape:
        return renamed(op, symbol)
    if isinstance(symbol, TimeSum):
        votes = _votes_apart(op, symbol, tuple(value.shape[1:]))
        if value.shape[0] == op.recorder.batch and (votes or value[0].numel() == symbol.value[0].numel()):
            return TimeSum(value, op.recorder, symbol.node, symbol.steps, symbol.scale, votes or symbol.votes)
        return None
    assert isinstance(symbol, Signal)
    repeated = _repeat(op, symbol)
    if repeated is not None:
        return repeated
    batch = op.recorder.batch
    leads: dict[tuple[int, ...], Layout] = {(batch,): symbol.layout}
    steps = prod(symbol.value.shape[: symbol.lead]) // batch
    if symbol.layout in ("sequence", "merged"):
        leads = {(steps, batch): "sequence", (steps * batch,): "merged"}
    elif symbol.layout in ("batch-first", "batch-merged"):
        leads = {(batch, steps): "batch-first", (batch * steps,): "batch-merged"}
    for lead, layout in leads.items():
        sample = tuple(value.shape[len(lead) :])
        if tuple(value.shape[: len(lead)]) == lead and prod(sample) == prod(symbol.sample):
            resampled = _resample(op, symbol, sample)
            if resampled is not None:
                return Signal(value, op.recorder, resampled[0], layout, symbol.at, resampled[1])
    return None


def _repeat(op: Operation, signal: Signal) -> Signal | None:
    """A frame presented at every step: [N, ...] -> [T, N, ...] or [T * N, ...], [1, N, ...] -> [T, N, ...], and
    [N, 1, ...] -> [N, T, ...]."""
    recorder, before, after = op.recorder, tuple(signal.value.shape), tuple(op.value.shape)
    if signal.layout == "constant" and after[1:] == before:
        if after[0] > 1:
            recorder.steps = after[0]
        return Signal(op.value, recorder, signal.node, "sequence", 0, signal.votes)
    was_added = signal.sample == (1, *recorder.nodes[signal.node].shape)
    if signal.layout == "constant" and was_added and after == (before[0], after[1], *before[2:]):
        recorder.steps = after[1]
        return Signal(op.value, recorder, signal.node, "batch-first", 0, signal.votes)
    if after[1:] != before[1:] or after[0] % before[0]:
        return None
    if signal.layout == "constant" and op.name == "repeat":
        recorder.steps = after[0] // before[0]
        return Signal(op.value, recorder, signal.node, "merged", 0, signal.votes)
    if signal.layout == "sequence" and before[0] == 1 and not recorder.follows_time(signal.node):
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
        return flat(op, signal.node, prod(shape)), 1
    if [size for size in sample if size != 1] == [size for size in shape if size != 1]:
        return signal.node, 1
    return None


def _votes_apart(op: Operation, symbol: Any, sample: Shape) -> int | None:
    """How many neighbours vote for a class where (classes * votes,) has become (classes, votes)."""
    features = prod(op.recorder.nodes[symbol.node].shape)
    apart = len(sample) == 2 and prod(sample) == features and symbol.value.shape[-1] == features and 1 not in sample
    return sample[1] if apart and symbol.votes == 1 else None


BY_TIME_AXIS: tuple[Layout, Layout] = ("sequence", "batch-first")

AXES: dict[str, Callable[[Operation], Followed]] = {
    **dict.fromkeys(("mean", "sum"), _average),
    **dict.fromkeys(("dropout", "dropout2d", "feature_dropout"), _dropout),
    **dict.fromkeys(
        ("contiguous", "clone", "detach", "data", "float", "double", "to", "type_as", "cpu", "cuda"), _same
    ),
    **dict.fromkeys(("zeros_like", "new_zeros"), _zeros),
    **dict.fromkeys(
        ("unsqueeze", "squeeze", "repeat", "expand", "flatten", "unflatten", "reshape", "view", "ravel"), _reshape
    ),
    **dict.fromkeys(("permute", "transpose", "swapaxes", "swapdims", "movedim", "moveaxis"), _permute),
    "stack": _stack,
    "avg_pool1d": _vote,
}
