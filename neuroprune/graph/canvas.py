"""Tensors into which the code of a network writes its steps, one after the other: out[t] = spikes."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree

from neuroprune.graph.axes import in_time
from neuroprune.graph.joins import single
from neuroprune.graph.signals import Recorder, Signal, Symbol, signals_of


@dataclass(eq=False)
class _Canvas:
    """A tensor, and the signal that was written at each place of one of its axes."""

    tensor: torch.Tensor
    axis: int
    written: dict[int, Signal] = field(default_factory=dict)


class Canvases(TorchFunctionMode):
    """Within it, tensors that symbols were written into are given to the code that reads them as symbols."""

    def __init__(self) -> None:
        super().__init__()
        self._canvases: dict[int, _Canvas] = {}
        self._filled: dict[int, tuple[torch.Tensor, Symbol]] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.__name__ == "__setitem__" and isinstance(args[1], Symbol):  # which torch would take for a sequence
            return Symbol.__torch_function__(func, types, args, kwargs)
        if not (self._canvases or self._filled) or func.__name__ in ("__setitem__", "__get__"):
            return func(*args, **kwargs)
        if func.__name__ == "__getitem__" and (place := self._place(args)) is not None:
            return place
        seen_args, seen_kwargs = self.seen((args, kwargs))
        if signals_of((seen_args, seen_kwargs)):
            return Symbol.__torch_function__(func, types, seen_args, seen_kwargs)
        return func(*args, **kwargs)

    def write(self, tensor: torch.Tensor, index: Any, signal: Signal) -> bool:
        """Note that `signal` was written at `index` of `tensor`; False where that is no place of one axis."""
        axis, place = single(index, tensor.ndim)
        if axis is None or not isinstance(place, int) or signal.layout.has_steps:
            return False
        canvas = self._canvases.setdefault(id(tensor), _Canvas(tensor, axis))
        if canvas.axis != axis or tensor[index].shape != signal.value.shape:
            return False
        canvas.written[place % tensor.shape[axis]] = signal
        return True

    def fill(self, tensor: torch.Tensor, symbol: Symbol) -> None:
        """Note that `tensor` holds the numbers of `symbol` from now on."""
        self._filled[id(tensor)] = tensor, symbol

    def seen(self, tree: Any) -> Any:
        """`tree` with a symbol in place of each tensor that symbols were written into."""
        if not (self._canvases or self._filled):
            return tree
        return _pytree.tree_map(self._seen, tree)

    def _seen(self, leaf: Any) -> Any:
        if isinstance(leaf, torch.Tensor) and id(leaf) in self._filled:
            return self._filled[id(leaf)][1]
        canvas = self._canvases.get(id(leaf)) if isinstance(leaf, torch.Tensor) else None
        return leaf if canvas is None else _sequence(canvas)

    def _place(self, args: Any) -> Signal | None:
        """What was written at the place of a canvas that is read."""
        canvas = self._canvases.get(id(args[0]))
        if canvas is None:
            return None
        axis, place = single(args[1], canvas.tensor.ndim)
        if axis != canvas.axis or not isinstance(place, int):
            return None
        return canvas.written.get(place % canvas.tensor.shape[axis])


def _sequence(canvas: _Canvas) -> Symbol:
    """The symbol of a canvas: a sequence where all its steps were written."""
    signals = [canvas.written[place] for place in sorted(canvas.written)]
    recorder: Recorder = signals[0].recorder
    with torch._C.DisableTorchFunction():
        value = canvas.tensor.clone()  # so that the symbol's own tensor is no canvas
    is_full = len(signals) == canvas.tensor.shape[canvas.axis]
    sequence = in_time(recorder, value, signals, canvas.axis) if is_full else None
    if sequence is not None:
        return sequence
    refused: Symbol = recorder.refused(
        "setitem", "not every place was given one step of the same layer, in their order", value, signals
    )
    return refused
