"""Operations that move the axes: time and batch, maps and vectors, outputs that vote."""

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from spikingjelly.activation_based import layer
from torch import nn

from neuroprune.graph.catalog import ATTENTION
from neuroprune.graph.layout import SEQUENCE, Layout
from neuroprune.graph.nodes import AvgPool, Shape
from neuroprune.graph.operation import Followed, Operation, flat, is_whole, renamed
from neuroprune.graph.rearrange import rearranged
from neuroprune.graph.signals import Recorder, Signal, Symbol, TimeSum


def _stack(op: Operation) -> Followed:
    """The steps of a loop, or one frame for every step, as a sequence."""
    axis = int(op.argument(1, "dim", op.kwargs.get("axis", 0))) % op.value.ndim
    return in_time(op.recorder, op.value, list(op.args[0]), axis)


def in_time(recorder: Recorder, value: torch.Tensor, parts: list[Any], axis: int) -> Signal | None:
    """The sequence `value` in which `parts`, each of one step, lie along the new `axis`, or behind each other in an old
    one; None where they are other things."""
    if not parts or not all(isinstance(each, Signal) and not each.layout.has_steps for each in parts):
        return None
    first = parts[0]
    if any((each.node, each.votes, each.layout) != (first.node, first.votes, first.layout) for each in parts):
        return None
    if not (all(each.at is None for each in parts) or [each.at for each in parts] == list(range(len(parts)))):
        return None
    batch = first.layout.batch
    recorder.steps = len(parts)
    if value.ndim == first.value.ndim:
        layout = Layout(batch, merged="time first")
    else:
        layout = Layout(batch + (axis <= batch), axis)
    return Signal(value, recorder, first.node, layout, votes=first.votes)


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
    if axes == [signal.layout.time] and not keeps:
        steps = signal.steps
        scale = 1.0 / steps if op.name == "mean" else 1.0
        return TimeSum(op.value, op.recorder, signal.node, frozenset(range(steps)), scale, signal.votes)
    if op.name == "mean" and is_whole(signal) and axes == list(signal.layout.sample_axes(last + 1)[1:]):
        channels, height, width = signal.sample
        pool = AvgPool((height, width), (height, width))
        name = op.recorder.node(f"{signal.node}.mean", "mean", pool, (signal.node,), (channels, 1, 1))
        if keeps:
            return op.like(signal, name)
        flattened = flat(op.recorder, name, channels)
        return Signal(op.value, op.recorder, flattened, signal.layout.without(axes), signal.at, signal.votes)
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
    if op.argument(2, "training", True):
        return "it drops values at random in evaluation, too; give it training=self.training"
    return _same(op)


def _same(op: Operation) -> Followed:
    """Copies and casts."""
    if not isinstance(op.args[0], Symbol):
        return op.value
    return renamed(op, op.args[0]) if op.value.shape == op.args[0].value.shape else None


def _zeros(op: Operation) -> Followed:
    return op.value


def _rearrange(op: Operation) -> Followed:
    """Where time and sample axes lie after a change of axes."""
    symbol, value = op.args[0], op.value
    if not isinstance(symbol, Symbol):
        return value  # numbers of the network's own, in the shape of a symbol
    if len(op.symbols) != 1 or not isinstance(symbol, Symbol):
        return None
    if isinstance(symbol, TimeSum):
        votes = _votes_apart(op.recorder, symbol, tuple(value.shape[1:]))
        if value.shape[0] == op.recorder.batch and (votes or value[0].numel() == symbol.value[0].numel()):
            return TimeSum(value, op.recorder, symbol.node, symbol.steps, symbol.scale, votes or symbol.votes)
        return None
    assert isinstance(symbol, Signal)

    def change(places: torch.Tensor) -> torch.Tensor:
        changed: torch.Tensor = op.function(places, *op.args[1:], **op.kwargs)
        return changed

    result = moved(op.recorder, symbol, value, change)
    shape, tokens = op.recorder.nodes[symbol.node].shape, tuple(value.shape[-2:])
    if result is None and len(shape) == 3 and tokens in ((shape[0], prod(shape[1:])), (prod(shape[1:]), shape[0])):
        return (
            f"it makes {prod(shape[1:])} tokens of {shape[0]} features of maps of {shape}, as attention reads them; "
            f"{ATTENTION}"
        )
    return result


def moved(
    recorder: Recorder, signal: Signal, value: torch.Tensor, change: Callable[[torch.Tensor], torch.Tensor]
) -> Signal | None:
    """The signal for `value`, in which `change` moves or repeats the elements of that of `signal`."""
    found = rearranged(change, tuple(signal.value.shape), signal.layout, recorder.batch)
    if found is None:
        return None
    layout = found.layout
    if found.steps > signal.steps:
        if not signal.is_constant and recorder.follows_time(signal.node):
            return None
        recorder.steps = found.steps
    elif signal.is_constant and layout.batch == 1 and value.shape[0] == 1:  # [1, N, ...]: a sequence of one step
        layout = SEQUENCE
    resampled = _resample(recorder, signal, layout.sample(tuple(value.shape)))
    if resampled is None:
        return None
    at = None if layout.has_steps else signal.at
    return Signal(value, recorder, resampled[0], layout, at, resampled[1])


def _resample(recorder: Recorder, signal: Signal, sample: Shape) -> tuple[str, int] | None:
    """The node whose output has the shape `sample` in C order, and the votes that its last axis holds apart."""
    shape = recorder.nodes[signal.node].shape
    votes = _votes_apart(recorder, signal, sample)
    if votes:
        return signal.node, votes
    if signal.votes > 1:
        return (signal.node, signal.votes) if _sizes(sample) == _sizes(signal.sample) else None
    if sample == (prod(shape),) and len(shape) > 1:
        return flat(recorder, signal.node, prod(shape)), 1
    return (signal.node, 1) if _sizes(sample) == _sizes(shape) else None


def _sizes(shape: Shape) -> list[int]:
    """The sizes of a shape above 1, which say what lies in it."""
    return [size for size in shape if size != 1]


def _votes_apart(recorder: Recorder, symbol: Any, sample: Shape) -> int | None:
    """How many neighbours vote for a class where (classes * votes,) has become (classes, votes)."""
    features = prod(recorder.nodes[symbol.node].shape)
    apart = len(sample) == 2 and prod(sample) == features and symbol.value.shape[-1] == features and 1 not in sample
    return sample[1] if apart and symbol.votes == 1 else None


AXES: dict[str, Callable[[Operation], Followed]] = {
    **dict.fromkeys(("mean", "sum"), _average),
    **dict.fromkeys(("dropout", "dropout2d", "feature_dropout"), _dropout),
    **dict.fromkeys(
        ("contiguous", "clone", "detach", "data", "float", "double", "to", "type_as", "cpu", "cuda"), _same
    ),
    **dict.fromkeys(("zeros_like", "new_zeros"), _zeros),
    **dict.fromkeys(
        """unsqueeze squeeze repeat expand flatten unflatten reshape view ravel permute transpose swapaxes swapdims
        movedim moveaxis repeat_interleave expand_as view_as reshape_as T mT""".split(),  # noqa: SIM905
        _rearrange,
    ),
    "stack": _stack,
    "avg_pool1d": _vote,
}
