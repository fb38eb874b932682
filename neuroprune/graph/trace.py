"""Traces the graph of a module: its own code is run once, with symbols in place of tensors.

The layers of torch and SpikingJelly are the leaves. A symbol knows which node made its tensor, and where the time axis
of that lies. So a network may repeat its frames over T and use multi-step layers, or loop over T
and call single-step layers; both give the same graph. Each symbol carries a real tensor, so sizes are known.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
from spikingjelly.activation_based import base
from torch import nn

from neuroprune.evaluation import evaluation_mode
from neuroprune.graph import nodes
from neuroprune.graph.nodes import INPUT, Flatten, Graph, MaxPool, Node, Select
from neuroprune.graph.read import Readers
from neuroprune.graph.recorder import Recorder
from neuroprune.graph.restoring import restored
from neuroprune.graph.signals import Signal, Symbol, TimeSum, ValueNeeded, signals_of
from neuroprune.graph.verify import problems_of_traced
from neuroprune.neurons.catalog import neuron_models
from neuroprune.neurons.cuba_lif import CubaLif
from neuroprune.neurons.model import FloatNeuron, NeuronModel

BATCH = 2  # more than one, so that shapes show where a network mistakes the time axis for the batch


def trace(module: nn.Module, frames: torch.Tensor, neurons: Sequence[NeuronModel] | None = None) -> Graph:
    """The graph of `module`, layer by layer, as it computes in evaluation mode.

    module: takes frames [N, C, H, W], or sequences [T, N, C, H, W], and returns, over time, the mean or sum of the
    output of its last layer, [N, outputs], or that output itself, [T, N, outputs]. A layer without neurons at the end
    is read by an integrator, "<layer>.integrator". The module stays as it is, but its neurons are reset.
    frames: float [N, channels, height, width] of the size the network is made for, or sequences [N, T, channels,
    height, width]; N of 1 is enough.
    neurons: the models that layers of neurons are read as; by default all that neuroprune has.

    Node names are module paths. Raises UnsupportedNetwork listing everything that cannot be mapped, InputError for
    weights that are not finite.

    >>> import torch
    >>> from neuroprune import build, frames_of, load_dataset, load_recipe, trace
    >>> data = load_dataset("digits")
    >>> network = build(load_recipe("digits-conv"), data.input_shape, len(data.classes))
    >>> frames = frames_of(data.train.images[:16], data.coding)
    >>> graph = trace(network, torch.from_numpy(frames))
    >>> graph.steps, [node.name for node in graph.nodes][:4]
    (4, ['input', 'stem.conv1', 'stem.norm1', 'body.neuron1'])
    """
    sequence = frames.ndim == 5
    frames = frames[:1].to(next(module.parameters(), frames)).repeat_interleave(BATCH, 0)
    readers = Readers(neuron_models() if neurons is None else tuple(neurons))
    recorder = Recorder(module, frames.transpose(0, 1) if sequence else frames, sequence, readers)
    try:
        with (
            evaluation_mode(module),
            restored(module),
            torch.no_grad(),
            _leaves_recorded(module, recorder),
            recorder.canvases,
        ):
            returned = recorder.canvases.seen(module(recorder.frames))
            output = _output(recorder.computing.returned(returned), module, recorder)
    except (TypeError, RuntimeError, AttributeError, IndexError, AssertionError, ValueError) as error:
        form = "sequences [T, N, C, H, W]" if sequence else "frames [N, C, H, W]"
        recorder.problems.add_end(
            f"the forward method of {type(module).__name__} could not be followed on frames of shape "
            f"{tuple(frames.shape[1:])} ({_first_line(error)}): let it take {form} of that size and decide nothing by "
            "their values",
            is_cause=isinstance(error, ValueNeeded),
        )
        raise recorder.problems.error() from error
    return _graph(recorder, output)


@contextmanager
def _leaves_recorded(root: nn.Module, recorder: Recorder) -> Iterator[None]:
    """Within it, calls of the layers of `root` with symbols go to the recorder."""
    paths = {module: path for path, module in root.named_modules()}
    call = nn.Module.__call__

    def record(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        path = paths.get(module)
        args, kwargs = recorder.canvases.seen((args, kwargs))
        if path is None or not signals_of((args, kwargs)):
            return call(module, *args, **kwargs)
        if module is not root and (
            _is_leaf(module, recorder.readers) or recorder.neurons.are(path, module, args, kwargs)
        ):
            return recorder.call(path, module, args, kwargs)
        recorder.scope.append(path)
        try:
            return call(module, *args, **kwargs)
        finally:
            recorder.scope.pop()

    nn.Module.__call__ = record  # type: ignore[method-assign]
    try:
        yield
    finally:
        nn.Module.__call__ = call  # type: ignore[method-assign]


def _is_leaf(module: nn.Module, readers: Readers) -> bool:
    """Whether it is a layer or keeps state; the code of containers and of the user's own modules is followed."""
    if isinstance(module, nn.Sequential):
        return False
    if isinstance(module, base.MemoryModule) or readers.know(module):
        return True
    library = type(module).__module__
    if any(readers.know(child) for child in module.children()):
        return False  # a container of layers
    return library.startswith(("torch.nn", "spikingjelly")) and ".model." not in library


def _output(output: Any, module: nn.Module, recorder: Recorder) -> Any:
    """What the module returned; the voltage of a layer of neurons, taken from its memory, as a symbol."""
    if isinstance(output, tuple | list) and len(output) == 1:
        output = output[0]
    if not isinstance(output, torch.Tensor):
        return output
    for path, each in module.named_modules():
        is_neuron = path in recorder.nodes and isinstance(recorder.nodes[path].op, FloatNeuron)
        voltage: torch.Tensor | None = getattr(each, "v", None) if is_neuron else None
        if voltage is output:
            return TimeSum(voltage, recorder, path, frozenset(range(recorder.steps or 1)), is_voltage=True)
    return output


def _graph(recorder: Recorder, output: Any) -> Graph:
    """The finished graph. Raises UnsupportedNetwork where there are problems."""
    steps = recorder.steps or 1
    over_time, problem = _over_time(output, steps)
    problems = recorder.problems
    if problem:
        problems.add(problem, *([output.node] if isinstance(output, Symbol) else []))
    traced = dict(recorder.nodes)
    last = output.node if isinstance(output, Symbol) else INPUT
    while isinstance(traced[last].op, Flatten):  # scores are flat anyway
        last = traced[last].inputs[0]
    is_voltage = isinstance(output, TimeSum) and output.is_voltage
    if not isinstance(traced[last].op, FloatNeuron | MaxPool):
        name = f"{last}.integrator"
        traced[name] = Node(name, CubaLif(0.0, math.inf), (last,), traced[last].shape)
        last, is_voltage = name, True
    votes = output.votes if isinstance(output, Signal | TimeSum) else 1
    readout = nodes.Readout("voltage" if is_voltage else "spikes", over_time, votes)
    used = {node.name: node for node in _used(traced, last, recorder.computing.by_the_way)}
    problems.forget({*traced} - _ancestors(traced, last))
    for unlike, name in recorder.computing.resolve(used):
        problems.add(unlike)
        problems.unread.add(name)
    graph = Graph(tuple(used.values()), steps, readout)
    problems.spread(last, graph[last].inputs)
    for found, node in problems_of_traced(graph, last):
        if node is None:
            problems.add_end(found)
        else:
            problems.add(found, node)
    if problems:
        raise problems.error()
    return graph


def _ancestors(traced: dict[str, Node], last: str) -> set[str]:
    """The nodes that the output of `last` depends on, and itself."""
    found: set[str] = set()
    open_ends = [last]
    while open_ends:
        name = open_ends.pop()
        if name not in found:
            found.add(name)
            open_ends += traced[name].inputs
    return found


def _used(traced: dict[str, Node], last: str, by_the_way: set[str]) -> tuple[Node, ...]:
    """The nodes without those that nothing reads: views, such as the other parts of a split, and `by_the_way`."""
    read = {last}
    kept = []
    for node in reversed(traced.values()):
        if node.name in read or not (isinstance(node.op, Select | Flatten) or node.name in by_the_way):
            kept.append(node)
            read.update(node.inputs)
    return tuple(reversed(kept))


def _over_time(output: Any, steps: int) -> tuple[Literal["mean", "sum"], str | None]:
    """How the output is read over time, and the problem with it, if any."""
    if isinstance(output, Signal | TimeSum) and output.votes > 1 and len(output.sample) > 1:
        return "mean", f"the outputs of {output.node} that vote for one class are returned apart: return their mean"
    if isinstance(output, TimeSum):
        if output.steps != frozenset(range(steps)):
            return "mean", (
                f"the readout adds {len(output.steps)} of the {steps} time steps: return the mean or sum over all of "
                "them"
            )
        if math.isclose(output.scale * steps, 1.0):
            return "mean", None
        if math.isclose(output.scale, 1.0):
            return "sum", None
        return "mean", f"the readout is {output.scale:g} times the sum over {steps} time steps: return the mean or sum"
    if isinstance(output, Signal) and (output.layout.time == 0 or (output.at is not None and steps == 1)):
        return "mean", None
    return "mean", "the output is not that of one layer over time: return its mean or sum over all time steps"


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
