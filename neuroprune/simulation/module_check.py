"""Holds a network as it was read against the module itself, on real frames and layer by layer.

What enters and leaves each layer of neurons is taken from a run of the untouched module. Each layer of the float
program is then given the module's own spikes, so a difference shows in the layer that it comes from, and roundings do
not add up. What the synapses deliver must be what the module's neurons received, and with that they must fire as the
module's did, except where a potential is as near to the threshold as rounding can bring it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor, nn

from neuroprune.arrays import FramesLike
from neuroprune.errors import VerificationError
from neuroprune.graph.float_program import FloatLayer, FloatProgram
from neuroprune.graph.nodes import INPUT, Graph, Node, Seen
from neuroprune.graph.readout import class_scores
from neuroprune.neurons.model import FloatNeuron, fire_float
from neuroprune.simulation.floats import layer_tensors, run_module

COMPARED_FRAMES = 4
"""Samples that are compared: each brings every neuron at every step."""

TOLERANCE = 1e-4
"""Of the largest value that a layer's neurons receive: about 1000 roundings of float32."""


def verify_module(module: nn.Module, graph: Graph, program: FloatProgram, frames: FramesLike) -> None:
    """Raise VerificationError, naming the first layer that differs, unless `program` computes what `module` does.

    graph: traced from the module. program: folded from the graph. frames: real ones, float32 [samples, channels,
    height, width], or sequences [samples, steps, channels, height, width]; the first `COMPARED_FRAMES` are run, once,
    in evaluation mode. Synapses of neurons that stay silent on them are not compared.

    >>> import torch
    >>> from neuroprune import build, fold, frames_of, load_dataset, load_recipe, trace, verify_module
    >>> data = load_dataset("digits")
    >>> network = build(load_recipe("digits-conv"), data.input_shape, len(data.classes))
    >>> frames = frames_of(data.train.images[:4], data.coding)
    >>> graph = trace(network, torch.from_numpy(frames))
    >>> verify_module(network, graph, fold(graph), frames)
    """
    chosen = frames[:COMPARED_FRAMES]
    with _observed(module, graph) as observed, torch.backends.cudnn.flags(allow_tf32=False):
        output = torch.from_numpy(run_module(module, chosen))
    of_module = next(module.parameters(), output).dtype
    tolerance = max(TOLERANCE, 8 * torch.finfo(of_module).eps)
    dtype = torch.promote_types(of_module, torch.float32)
    presented = torch.from_numpy(chosen).to(dtype)
    values = {INPUT: presented.transpose(0, 1) if program.input.sequence else presented.unsqueeze(0)}
    for tensors in layer_tensors(program, dtype):
        layer = tensors.layer
        node = layer.part.node if layer.part else layer.name
        if node in observed:
            neuron = graph[node].op
            assert isinstance(neuron, FloatNeuron)
            seen = observed[node].joined(graph[node], program.steps, len(chosen), dtype).of(layer, neuron)
            values[layer.name] = seen.fired
        delivered = tensors.deliver(values) + tensors.bias
        allowed = tolerance * max(float(delivered.abs().max()), _finite(layer.neuron.threshold))
        if node in observed:
            _compare_received(layer, seen.received, delivered, allowed)
            voltages = _compare_fired(layer, seen.received, seen.fired, allowed)
        else:  # a pool of spikes, or the integrator behind a last linear layer: no neurons of the module's
            fired, voltages = fire_float(layer.neuron, delivered, torch.zeros(()), program.steps)
            values[layer.name] = torch.stack(fired).to(dtype)
    if program.readout.of == "voltage":
        allowed = allowed * program.steps + layer.neuron.deviation(program.steps)
        _compare_scores(program, voltages.flatten(1), output.to(dtype), allowed)
    else:
        _compare_scores(program, values[layer.name].sum(0).flatten(1), output.to(dtype), tolerance * program.steps)


@dataclass(frozen=True, eq=False)
class _Neurons:
    """What a module of neurons received and fired in each of its calls, and where a layer of neurons is seen in it."""

    seen: Seen
    received: list[Tensor]
    fired: list[Tensor]

    def joined(self, layer: Node, steps: int, samples: int, dtype: torch.dtype) -> "_Observed":
        """[steps, samples, *shape] of both."""
        received, fired = (self._steps(calls, samples) for calls in (self.received, self.fired))
        expected = (steps, samples, *layer.shape)
        if fired.shape != expected or received.shape != expected:
            _refuse(
                f"layer {layer.name}: its neurons gave spikes of shape {tuple(fired.shape)}, where {expected} (steps, "
                "samples, neurons) was read"
            )
        return _Observed(received.to(dtype), fired.to(dtype))

    def _steps(self, calls: list[Tensor], samples: int) -> Tensor:
        layout = self.seen.layout
        if layout.has_steps:
            return layout.steps_first(calls[self.seen.call], samples)
        return torch.cat([layout.steps_first(call, samples) for call in calls])


@dataclass(frozen=True, eq=False)
class _Observed:
    """[steps, samples, *shape] of both."""

    received: Tensor
    fired: Tensor

    def of(self, layer: FloatLayer, neuron: FloatNeuron) -> "_Observed":
        """Those of the neurons that are `layer`, and times the gain of the network's `neuron` what they received."""
        received = torch.tensor(neuron.gain, dtype=self.received.dtype) * self.received
        shape = layer.shape
        part: tuple[Any, ...] = (...,)
        if layer.part is not None:
            shape = layer.part.shape
            part = (..., *(slice(*each) for each in zip(layer.part.start, shape[1:], layer.part.step, strict=True)))
        both = (each.reshape(*each.shape[:2], *shape)[part] for each in (received, self.fired))
        return _Observed(*both)


@contextmanager
def _observed(module: nn.Module, graph: Graph) -> Iterator[dict[str, _Neurons]]:
    """Within it all calls of the module's neurons are kept."""
    modules = dict(module.named_modules())
    calls: dict[str, tuple[list[Tensor], list[Tensor]]] = {}
    neurons: dict[str, _Neurons] = {}
    hooks = []
    for node in graph.nodes:
        if node.seen is None or not isinstance(node.op, FloatNeuron):
            continue
        path = node.seen.path
        if path not in calls:
            calls[path] = [], []
            hooks.append(modules[path].register_forward_hook(_keep(*calls[path])))
        neurons[node.name] = _Neurons(node.seen, *calls[path])
    try:
        yield neurons
    finally:
        for hook in hooks:
            hook.remove()


def _keep(received: list[Tensor], fired: list[Tensor]) -> Any:
    def hook(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        received.append(args[0].detach().cpu().clone())  # later code may write into it
        fired.append(output.detach().cpu().clone())

    return hook


def _compare_received(layer: FloatLayer, received: Tensor, delivered: Tensor, allowed: float) -> None:
    difference = (received - delivered).abs()
    if not difference.max() <= allowed:  # not >, which NaN would pass
        at = np.unravel_index(int(difference.argmax()), difference.shape)
        through = " and ".join(connection.name for connection in layer.connections)
        _refuse(
            f"layer {layer.name}: its neurons receive {float(received[at]):.6g} through {through} where the network as "
            f"it was read delivers {float(delivered.expand_as(received)[at]):.6g}, a difference of "
            f"{float(difference.max()):.3g} in step {at[0] + 1} of sample {at[1] + 1}"
        )


def _compare_fired(layer: FloatLayer, received: Tensor, fired: Tensor, allowed: float) -> Tensor:
    """Compare the spikes; returns the last potentials."""
    state = layer.neuron.rest(received[0])
    for step, current in enumerate(received):
        state = layer.neuron.integrate(state, current, 0.0)
        expected = state[-1] >= layer.neuron.threshold
        near = (state[-1] - layer.neuron.threshold).abs() <= allowed + layer.neuron.deviation(step + 1)
        spikes = (fired[step] == 0.0) | (fired[step] == 1.0)
        wrong = (fired[step] != expected.to(fired.dtype)) & ~(spikes & near)
        if wrong.any():
            at = tuple(wrong.nonzero()[0].tolist())
            _refuse(
                f"layer {layer.name}: a neuron at potential {float(state[-1][at]):.6g} with threshold "
                f"{layer.neuron.threshold:.6g} gives {float(fired[step][at]):.6g} where "
                f"{int(expected[at])} was read, in step {step + 1} of sample {at[0] + 1}"
            )
        state = layer.neuron.after_spike(state, fired[step] > 0.5)
    return state[-1]


def _compare_scores(program: FloatProgram, last: Tensor, output: Tensor, allowed: float) -> None:
    scores = class_scores(program.readout, last) / (program.steps if program.readout.over_time == "mean" else 1)
    if scores.shape != output.shape:
        _refuse(f"the output has shape {tuple(output.shape)}, where {tuple(scores.shape)} was read")
    difference = (scores - output).abs()
    if not difference.max() <= allowed:
        at = np.unravel_index(int(difference.argmax()), difference.shape)
        _refuse(
            f"the output is {float(output[at]):.6g} for class {at[1]} of sample {at[0] + 1} where "
            f"{float(scores[at]):.6g} was read from {program.layers[-1].name}, a difference of "
            f"{float(difference.max()):.3g}"
        )


def _finite(threshold: float) -> float:
    return threshold if np.isfinite(threshold) else 0.0


def _refuse(difference: str) -> NoReturn:
    raise VerificationError(
        f"the network does not compute what was read from it: {difference}; write what its code does there with layers "
        "of torch or SpikingJelly"
    )
