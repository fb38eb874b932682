"""Reads the float program from a module itself: torch.fx with the library's layers as leaves.

The traced code is run once on real frames beside symbols that say what each tensor is in the program: which node made
it, and where its time axis lies. So a network may repeat its frames over T and use multi-step layers, or loop over T
and call single-step layers; both give the same graph.
"""

from math import prod
from typing import Any, Literal

import torch
from spikingjelly.activation_based import base, functional, layer
from torch import fx, nn
from torch.nn.modules.dropout import _DropoutNd

from neuroprune.errors import UnsupportedNetwork
from neuroprune.graph import nodes
from neuroprune.graph.nodes import Graph, Input, Node, Op
from neuroprune.graph.read import read_module
from neuroprune.graph.signals import Layout, Readout, Signal, is_one_step, signals_of, values_of
from neuroprune.graph.verify import problems_of_traced

INPUT = "input"


class _LayerTracer(fx.Tracer):
    """Stops at every layer of torch.nn and SpikingJelly; goes into containers and the user's own modules."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        if isinstance(m, nn.Sequential):
            return False
        return isinstance(m, base.StepModule) or m.__module__.startswith(("torch.nn", "spikingjelly"))


class _Reader(fx.Interpreter):
    """Runs the traced code on frames and symbols together, collecting nodes and every problem met."""

    def __init__(self, traced: fx.GraphModule, frames: torch.Tensor) -> None:
        super().__init__(traced)
        self.nodes: dict[str, Node] = {INPUT: Node(INPUT, Input(), (), tuple(frames.shape[1:]))}
        self.problems: list[str] = []
        self.steps: int | None = None
        self.batch = frames.shape[0]
        self.calls: dict[str, int] = {}

    def placeholder(self, target: Any, args: Any, kwargs: Any) -> Any:
        value = super().placeholder(target, args, kwargs)
        return Signal(value, INPUT, "constant") if isinstance(value, torch.Tensor) else value

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        module = self.fetch_attr(target)
        if len(args) != 1 or kwargs or not isinstance(args[0], Signal):
            self.problems.append(f"layer {target}: it takes more than one input; give each layer exactly one")
            return self._unknown(module(*values_of(args), **values_of(kwargs)), signals_of((args, kwargs)))
        signal: Signal = args[0]
        value = module(signal.value)
        if isinstance(module, nn.Identity | _DropoutNd | layer.Dropout):  # nothing, in evaluation mode
            return Signal(value, signal.node, signal.layout, signal.at)
        op, problem = read_module(target, module)
        if problem:
            self.problems.append(problem)
        return self._call(target, op, signal, value, module)

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        return self._operation(getattr(target, "__name__", str(target)), target, args, kwargs)

    def call_method(self, target: Any, args: Any, kwargs: Any) -> Any:
        def method(owner: Any, *rest: Any, **named: Any) -> Any:
            return getattr(owner, str(target))(*rest, **named)

        return self._operation(str(target), method, args, kwargs)

    def _call(self, name: str, op: Op | None, signal: Signal, value: torch.Tensor, module: nn.Module) -> Signal:
        """The signal behind a layer; its node is made at the first call and found again at the later ones."""
        layout, at = signal.layout, signal.at
        if isinstance(module, base.MemoryModule) and layout == "constant" and getattr(module, "step_mode", "s") == "s":
            layout, at = "step", self.calls.get(name, 0)
            self.steps = max(at + 1, self.steps or 0)
        self.calls[name] = self.calls.get(name, 0) + 1
        shape = tuple(value.shape[2:] if layout == "sequence" else value.shape[1:])
        made = self.nodes.get(name)
        if made is None:
            if op is not None:
                self.nodes[name] = Node(name, op, (signal.node,), shape)
            return Signal(value, name if op is not None else signal.node, layout, at)
        if made.inputs != (signal.node,):
            self.problems.append(
                f"layer {name}: it is used on the output of {made.inputs[0]} and again on that of {signal.node}; "
                "give each use a layer of its own"
            )
        return Signal(value, name, layout, at)

    def _operation(self, name: str, function: Any, args: Any, kwargs: Any) -> Any:
        """What an operation between layers does to the symbols; plain sizes and numbers are just computed."""
        signals = signals_of((args, kwargs))
        value = function(*values_of(args), **values_of(kwargs))
        if not signals or not isinstance(value, torch.Tensor):
            return value
        sources = {signal.node for signal in signals}
        found = self._follow(name, args, signals, value) if len(sources) == 1 else None
        if found is None:
            reads = " and ".join(sorted(sources))
            self.problems.append(
                f"operation {name} on the output of {reads}: it has no counterpart on the chip; "
                "use one chain of supported layers"
            )
            return self._unknown(value, signals)
        return found

    def _follow(self, name: str, args: Any, signals: list[Any], value: torch.Tensor) -> Signal | Readout | None:
        """The symbol for `value`, an operation on symbols of one node only; None if it is not understood."""
        first = signals[0]
        adds = name in ("add", "iadd", "__add__", "__radd__")
        if adds and all(is_one_step(each) or (isinstance(each, int | float) and each == 0) for each in args):
            steps = sum(signal.steps if isinstance(signal, Readout) else 1 for signal in signals)
            return Readout(value, first.node, steps, "sum")
        if isinstance(first, Readout):
            divides = name in ("truediv", "div") and first.kind == "sum"
            return Readout(value, first.node, first.steps, "mean") if divides else None
        if name == "stack" and [s.at for s in signals if s.layout == "step"] == list(range(len(signals))):
            self.steps = len(signals)
            return Signal(value, first.node, "sequence")
        if len(signals) != 1:
            return None
        if name in ("mean", "sum") and first.layout == "sequence" and value.shape == first.value.shape[1:]:
            return Readout(value, first.node, first.value.shape[0], "mean" if name == "mean" else "sum")
        if name == "getitem" and first.layout == "sequence" and isinstance(args[1], int):
            return Signal(value, first.node, "step", args[1] % first.value.shape[0])
        if name in ("contiguous", "clone", "float", "to"):
            return Signal(value, first.node, first.layout, first.at)
        if name in ("unsqueeze", "repeat", "expand", "flatten", "unflatten", "reshape", "view", "stack"):
            return self._reshape(first, value)
        return None

    def _reshape(self, signal: Signal, value: torch.Tensor) -> Signal | None:
        """Where time and sample axes lie after a change of shape, told from the sizes."""
        shape = self.nodes[signal.node].shape if signal.node in self.nodes else ()
        flat = (prod(shape),)
        steps = signal.value.shape[0] if signal.layout == "sequence" else self.steps
        if signal.layout == "constant" and value.shape[1:] == signal.value.shape:
            if value.shape[0] > 1 or self.steps == 1:
                self.steps = value.shape[0]
            return Signal(value, signal.node, "sequence")
        if signal.layout == "sequence" and value.shape[0] != steps and value.shape[1:] == signal.value.shape[1:]:
            self.steps = value.shape[0]
            return Signal(value, signal.node, "sequence")
        leads: dict[tuple[int, ...], Layout] = {}
        if steps is not None:
            leads[(steps, self.batch)] = "sequence"
            leads[(steps * self.batch,)] = "merged"
        if signal.layout in ("constant", "step"):
            leads = {(self.batch,): signal.layout}
        for lead, layout in leads.items():
            if tuple(value.shape) == lead + shape:
                return Signal(value, signal.node, layout, signal.at)
            if tuple(value.shape) == lead + flat:
                return self._flatten(signal, value, layout)
        return None

    def _flatten(self, signal: Signal, value: torch.Tensor, layout: Layout) -> Signal:
        name = f"{signal.node}.flatten"
        op, _ = read_module(name, nn.Flatten())
        assert op is not None
        self.nodes.setdefault(name, Node(name, op, (signal.node,), (int(value.shape[-1]),)))
        return Signal(value, name, layout, signal.at)

    def _unknown(self, value: Any, signals: list[Any]) -> Any:
        """Goes on behind something that is not understood, so that all problems are found at once."""
        if not isinstance(value, torch.Tensor) or not signals:
            return value
        first = signals[0]
        layout: Layout = first.layout if isinstance(first, Signal) else "constant"
        return Signal(value, first.node, layout)


def trace(module: nn.Module, frames: torch.Tensor) -> Graph:
    """The program of `module`, layer by layer, as it computes in evaluation mode.

    module: takes frames and returns the mean or sum over time of its output spikes, [N, outputs], or the spikes
    themselves, [T, N, outputs]. It is left as it was found, its neurons reset.
    frames: float [N, channels, height, width] of the size the network is made for; N of 1 is enough.

    Node names are module paths. Raises UnsupportedNetwork listing everything that cannot be mapped, InputError for
    weights that are not finite.
    """
    was_training = module.training
    module.eval()
    functional.reset_net(module)
    frames = frames[:1].to(next(module.parameters(), frames))
    try:
        with torch.no_grad():
            traced = fx.GraphModule(module, _LayerTracer().trace(module))
            functional.reset_net(module)
            reader = _Reader(traced, frames)
            output = reader.run(frames)
    except (
        fx.proxy.TraceError,
        TypeError,
        RuntimeError,
        AttributeError,
        IndexError,
        AssertionError,
        ValueError,
    ) as error:
        raise UnsupportedNetwork(
            [
                f"the forward method of {type(module).__name__} could not be followed on frames of shape "
                f"{tuple(frames.shape[1:])} ({_first_line(error)}): let it take frames [N, C, H, W] of that size and "
                "decide nothing by their values"
            ]
        ) from error
    finally:
        functional.reset_net(module)
        module.train(was_training)
    return _graph(reader, output)


def _graph(reader: _Reader, output: Any) -> Graph:
    """The finished graph, once nothing stands against it."""
    problems = list(reader.problems)
    if isinstance(output, tuple | list) and len(output) == 1:
        output = output[0]
    steps = reader.steps or 1
    kind: Literal["mean", "sum"] = "mean"
    if isinstance(output, Readout):
        kind = output.kind
        if output.steps != steps:
            problems.append(
                f"the readout adds {output.steps} of the {steps} time steps: return the mean or sum over all of them"
            )
    elif not (isinstance(output, Signal) and (output.layout == "sequence" or steps == 1)):
        problems.append("the output is not the spikes of one layer: return their mean or sum over all time steps")
    last = output.node if isinstance(output, Signal | Readout) else INPUT
    graph = Graph(tuple(reader.nodes.values()), steps, nodes.Readout(over_time=kind))
    problems += problems_of_traced(graph, last)
    if problems:
        raise UnsupportedNetwork(list(dict.fromkeys(problems)))
    return graph


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
