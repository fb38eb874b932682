"""Follows the running code of a module: every layer and operation on symbols becomes a node, or a problem."""

from collections.abc import Callable, Hashable
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import torch
from spikingjelly.activation_based import base, layer
from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from neuroprune.arrays import frozen_array
from neuroprune.graph.activations import ACTIVATIONS, does_nothing
from neuroprune.graph.arithmetic import ARITHMETIC
from neuroprune.graph.axes import AXES, vote, voters
from neuroprune.graph.canvas import Canvases
from neuroprune.graph.catalog import ATTENTION, REFUSED_OPERATIONS
from neuroprune.graph.computed import ELEMENTWISE, Computed, Computing, has_computed
from neuroprune.graph.evaluate import acts_alike
from neuroprune.graph.functional import FUNCTIONAL
from neuroprune.graph.hooks import changing_hooks
from neuroprune.graph.joins import JOINS
from neuroprune.graph.layout import FRAMES, SEQUENCE
from neuroprune.graph.neuron_calls import NeuronCalls
from neuroprune.graph.nodes import INPUT, AvgPool, Concat, Flatten, Input, Linear, Node, Op, Seen, Shape
from neuroprune.graph.operation import Followed, Operation
from neuroprune.graph.overrides import patched_methods
from neuroprune.graph.problems import Problems
from neuroprune.graph.read import Readers
from neuroprune.graph.rearrange import rearranged
from neuroprune.graph.recurrence import follow_recurrence, is_recurrent
from neuroprune.graph.signals import SIZES, Signal, Symbol, TimeSum, signals_of, values_of
from neuroprune.neurons.cuba_lif import CubaLif
from neuroprune.neurons.model import FloatNeuron


def _write(op: Operation) -> Followed:
    """A step written into its place of a tensor."""
    tensor, index, signal = op.args
    is_plain = isinstance(tensor, torch.Tensor) and isinstance(signal, Signal)
    return (is_plain and op.recorder.canvases.write(tensor, index, signal)) or None


OPERATIONS = JOINS | AXES | ARITHMETIC | FUNCTIONAL | ACTIVATIONS | {"setitem": _write}

IN_PLACE = frozenset(("iadd", "isub", "imul", "itruediv"))
"""Operations that write their result into their first operand, which may be a plain tensor so far."""

PRODUCTS = frozenset(("matmul", "rmatmul", "bmm", "einsum", "scaled_dot_product_attention"))
"""Operations that multiply computed values by each other, and add up."""

NO_COUNTERPART = "it has no counterpart on the chip; use layers, additions, concatenations, channel selections"

UNREAD_NEURONS = CubaLif(0.0, 1.0)
"""Stands for neurons that could not be read."""


class Recorder:
    """Collects nodes by name, in the order of the code, and every problem found.

    A node is reused where the same layer or operation reads the same sources: at the next step of a loop over time. A
    layer without state that reads other sources gives one more node, "conv@2".
    """

    def __init__(self, root: nn.Module, frames: torch.Tensor, sequence: bool, readers: Readers) -> None:
        shape = tuple(frames.shape[2:] if sequence else frames.shape[1:])
        self.nodes: dict[str, Node] = {INPUT: Node(INPUT, Input(sequence), (), shape)}
        self.readers = readers
        self.problems = Problems()
        self.steps: int | None = frames.shape[0] if sequence else None
        self.batch = frames.shape[1] if sequence else frames.shape[0]
        self.scope: list[str] = []
        self.frames = Signal(frames, self, INPUT, SEQUENCE if sequence else FRAMES)
        self.canvases = Canvases()
        self.computing = Computing(self)
        self.no_counterpart = NO_COUNTERPART
        tensors = (*root.named_parameters(), *root.named_buffers())
        self.owners = {id(tensor): name.rpartition(".")[0] for name, tensor in tensors}
        self._made: dict[Hashable, str] = {}
        self.neurons = NeuronCalls(readers)

    def node(
        self, name: str, what: Hashable, op: Op, inputs: tuple[str, ...], shape: Shape, seen: Seen | None = None
    ) -> str:
        """The name of the node that does `what` to `inputs`; `name` is what it would be called if it were new."""
        key = (what, inputs)
        if key not in self._made:
            number, free = 1, name
            while free in self.nodes:
                number += 1
                free = f"{name}@{number}"
            self.nodes[free] = Node(free, op, inputs, shape, seen)
            self.problems.spread(free, inputs)
            self._made[key] = free
        return self._made[key]

    def scoped(self, kind: str) -> str:
        """A name for an operation of the module that is running."""
        return f"{self.scope[-1]}.{kind}" if self.scope and self.scope[-1] else kind

    def call(self, path: str, module: nn.Module, args: Any, kwargs: Any) -> Any:
        """The symbol for the output of the layer at `path`."""
        args, kwargs = self.computing.settled((args, kwargs))
        symbols = signals_of((args, kwargs))
        if len(args) != 1 or kwargs or not isinstance(args[0], Symbol):
            reads = [each.node for each in symbols]
            self.problems.add(f"layer {path}: it takes more than one input; give each layer exactly one", *reads)
            return self._unknown(path, module(*values_of(args), **values_of(kwargs)), symbols)
        symbol = args[0]
        if is_recurrent(module) and isinstance(symbol, Signal):
            return self._recurrent(path, module, symbol)
        is_idle = isinstance(module, nn.Identity | _DropoutNd | layer.Dropout)  # in evaluation mode
        is_idle = is_idle or does_nothing(module, self, symbol.node)
        with changing_hooks(module) as changed_by:
            keeps = is_idle and getattr(module, "inplace", False)  # what it is given, for others that read it
            value = module(symbol.value.clone() if keeps else symbol.value)
        if not isinstance(value, torch.Tensor):
            self.problems.add(self.neurons.read(path, module, symbol)[1] or _across(path), symbol.node)
            return self._unknown(path, value, symbols)
        for hook in changed_by:
            self.problems.add(
                f"layer {path}: its hook {hook} changes what it computes; remove the hook, or write it as a layer"
            )
        patched = patched_methods(module)
        if patched:
            self.problems.add(
                f"layer {path}: its {' and '.join(patched)} was replaced after it was made, so it may compute another "
                f"thing than {type(module).__name__}; write that as code of the network, or use the layer as it is"
            )
        if symbol.is_stale:
            self.problems.add(_stale(f"layer {path}", symbol), symbol.node)
        voted = vote(self, symbol, value, voters(module))
        if voted is not None:
            return voted
        if isinstance(symbol, TimeSum):
            total = self.after_time(path, module, symbol, value)
            if total is not None:
                return total
            self.problems.add(f"layer {path}: it reads a sum or mean over time; put it before that", symbol.node)
            return self._unknown(path, value, symbols)
        if is_idle:
            return replace(symbol, value=value)
        assert isinstance(symbol, Signal)
        return self._layer(path, module, symbol, value)

    def operation(self, name: str, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """The symbols for the result of an operation between layers; plain sizes are just computed."""
        args, kwargs = self.canvases.seen((args, kwargs)) if name != "setitem" else (args, kwargs)
        if name == "setitem" and isinstance(args[1], Computed) and self._masked(*args):
            return None
        computed = has_computed((args, kwargs))
        if computed and (name not in ELEMENTWISE and name not in SIZES):
            args, kwargs = self.computing.settled((args, kwargs))
        symbols = signals_of((args, kwargs))
        stale = [symbol for symbol in symbols if symbol.is_stale]
        before = args
        if name in IN_PLACE and isinstance(args[0], torch.Tensor):  # numbers so far, such as the zeros of a sum
            before = (args[0].clone(), *args[1:])
        value = function(*values_of(args), **values_of(kwargs))
        if name in SIZES or (name in ("eq", "ne") and not isinstance(value, torch.Tensor)):  # compared with None
            return value
        for symbol in stale:
            self.problems.add(_stale(f"operation {name}", symbol), symbol.node)
        operation = Operation(self, name, function, before, kwargs, symbols, value)
        if computed and (found := self.computing.follow(operation)) is not None:
            return found
        if has_computed((before, kwargs)):
            settled = self.computing.settled((before, kwargs))
            operation = replace(operation, args=settled[0], kwargs=settled[1], symbols=signals_of(settled))
            symbols = operation.symbols
        follow = OPERATIONS.get(name)
        result = follow(operation) if follow else None
        if result is not None and not isinstance(result, str):
            self.computing.note(operation, result)
            return result
        if (found := self.computing.follow(operation)) is not None:
            return found
        of_both = ATTENTION if name in PRODUCTS and len(symbols) > 1 else NO_COUNTERPART
        reason = result or REFUSED_OPERATIONS.get(name, of_both)
        return self.refused(name, reason, value, symbols, is_cause=follow is None)

    def _masked(self, tensor: Any, mask: Computed, number: Any) -> bool:
        """out[mask] = number, as surrogate functions write their spikes; whether it is followed."""
        before = self.canvases.seen(tensor)
        if not isinstance(number, int | float) or not isinstance(before, torch.Tensor | Computed):
            return False
        base = before if isinstance(before, Computed) else before.clone()
        function = torch.where
        args = (mask, float(number), base)
        value = function(*values_of(args))
        symbols = signals_of(args)
        after = self.computing.follow(Operation(self, "where", function, args, {}, symbols, value))
        if after is None:
            return False
        if isinstance(tensor, Symbol):
            vars(tensor).update(vars(after))
        else:
            tensor[mask.value] = number
            self.canvases.fill(tensor, after)
        return True

    def refused(self, name: str, reason: str, value: Any, symbols: list[Any], is_cause: bool = False) -> Any:
        """A symbol for the result of an operation that is not understood, and the problem noted."""
        reads = list(dict.fromkeys(symbol.node for symbol in symbols))
        sentence = f"operation {name} on the output of {' and '.join(reads)}: {reason}"
        self.problems.add(sentence, *([] if is_cause else reads))
        made = self._unknown(self.scoped(name), value, symbols)
        names = {symbol.node for symbol in signals_of(made)}
        self.computing.by_the_way |= names
        self.problems.concerns(sentence, names)
        return made

    def _recurrent(self, path: str, module: nn.Module, signal: Signal) -> Any:
        self.scope.append(path)
        try:
            found = follow_recurrence(self, path, module, signal)
        finally:
            self.scope.pop()
        if isinstance(found, str):
            self.problems.add(found, signal.node)
            return self._unknown(path, module(signal.value), [signal])
        return found

    def _layer(self, path: str, module: nn.Module, signal: Signal, value: torch.Tensor) -> Any:
        source = self.nodes[signal.node]
        if signal.sample != source.shape:
            self.problems.add(
                f"layer {path}: it reads the output of {source.name} as shape {signal.sample} instead of "
                f"{source.shape}; use a Flatten or a global pooling layer",
                source.name,
            )
            return self._unknown(path, value, [signal])
        known = self._made.get((path, (signal.node,)))
        op, problem = (self.nodes[known].op, None) if known else self.neurons.read(path, module, signal)
        if isinstance(op, Flatten):
            return self._flattened(path, module, signal, value)
        layout, at = signal.layout, signal.at
        kept = value.ndim == signal.value.ndim and all(
            value.shape[axis] == signal.value.shape[axis] for axis in (layout.batch, layout.time) if axis is not None
        )
        by_steps = layout.time is not None and getattr(module, "step_mode", "s") != "m"
        if not kept or (by_steps and op is not None and not acts_alike(op, module, signal)):
            self.problems.add(_across(path), signal.node)
            return self._unknown(path, value, [signal])
        seen, turn = None, None
        if isinstance(module, base.MemoryModule) or isinstance(op, FloatNeuron):
            seen = self.neurons.seen(path, layout)
            turn = self.neurons.advance(path, module, signal)
            if isinstance(turn, str):
                self.problems.add(turn, signal.node)
            else:
                self.steps, at = max(turn.steps, self.steps or 0), turn.at
        if problem:
            self.problems.add(problem)
        # After a layer that is not understood tracing goes on as if it passed its input on, or fired, to find all
        # problems.
        passing = UNREAD_NEURONS if isinstance(module, base.MemoryModule) else Concat()
        name = self.node(path, path, op or passing, (signal.node,), layout.sample(tuple(value.shape)), seen)
        if problem or isinstance(turn, str):
            self.problems.unread.add(name)
        self.computing.called(name)
        return Signal(value, self, name, layout, at)

    def _flattened(self, path: str, module: nn.Module, signal: Signal, value: torch.Tensor) -> Any:
        """The symbol for the output of a layer that flattens."""
        sample = self.nodes[signal.node].shape
        found = rearranged(module, tuple(signal.value.shape), signal.layout, self.batch)
        if found is None:
            self.problems.add(_across(path), signal.node)
            return self._unknown(path, value, [signal])
        shape = found.layout.sample(tuple(value.shape))
        if shape != (prod(sample),):
            self.problems.add(f"layer {path}: it flattens {sample} to {shape}; flatten all of it", signal.node)
            return self._unknown(path, value, [signal])
        return Signal(value, self, self.node(path, path, Flatten(), (signal.node,), shape), found.layout, signal.at)

    def after_time(self, path: str, module: nn.Module, total: TimeSum, value: torch.Tensor) -> TimeSum | None:
        """What a linear layer makes of a sum over all steps: the same over what it makes of each; None for others.

        W (s sum x) + b is the mean over T steps of s T W x + b.
        """
        steps, source = len(total.steps), self.nodes[total.node]
        op, _ = self.readers.read(path, module, total.sample)
        if not isinstance(op, Linear | Flatten | AvgPool) or total.is_voltage or total.votes > 1:
            return None
        if total.steps != frozenset(range(self.steps or 1)):
            return None
        if total.sample != source.shape:
            if total.sample != (prod(source.shape),):
                return None
            source = self.nodes[self.node(f"{source.name}.flatten", "flatten", Flatten(), (source.name,), total.sample)]
        factor, scale = total.scale * steps, total.scale
        if isinstance(op, Linear):
            op, scale = replace(op, weight=frozen_array(op.weight * factor, np.float64)), 1.0 / steps
        shape = tuple(value.shape[1:])
        name = self.node(path, (path, factor), op, (source.name,), shape)
        return TimeSum(value, self, name, total.steps, scale)

    def _unknown(self, name: str, value: Any, symbols: list[Any]) -> Any:
        """A symbol for the result of something that is not understood, so that all problems are found at once."""
        if isinstance(value, tuple | list):
            return type(value)(self._unknown(name, each, symbols) for each in value)
        if not isinstance(value, torch.Tensor):
            return value
        first = symbols[0]
        layout = first.layout if isinstance(first, Signal) else FRAMES
        if max(layout.batch, layout.time or 0) >= value.ndim:
            layout = FRAMES
        sample = layout.sample(tuple(value.shape))
        inputs = tuple(dict.fromkeys(symbol.node for symbol in symbols))
        made = self.node(name, (name, "unknown", sample), Concat(), inputs, sample)
        self.problems.unread.add(made)
        return Signal(value, self, made, layout, first.at if isinstance(first, Signal) else None)

    def follows_time(self, name: str) -> bool:
        """Whether the output of `name` may differ from step to step: after neurons, or for a sequence of frames."""
        seen, open_ends = {name}, [name]
        while open_ends:
            node = self.nodes[open_ends.pop()]
            if isinstance(node.op, FloatNeuron) or (isinstance(node.op, Input) and node.op.sequence):
                return True
            open_ends += [source for source in node.inputs if source not in seen]
            seen.update(node.inputs)
        return False


def _across(path: str) -> str:
    return (
        f"layer {path}: it works across the time or batch axis of [T, N, ...]; use spikingjelly's layers in step mode "
        "'m'"
    )


def _stale(user: str, symbol: Symbol) -> str:
    return (
        f"{user}: the output of {symbol.node} was changed in place before it is read here; write x = x + y, not x += y"
    )
