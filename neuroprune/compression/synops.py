"""Synaptic operations, counted while the network runs."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from neuroprune.arrays import FloatArray
from neuroprune.compression.channels import module_path
from neuroprune.errors import InputError
from neuroprune.graph.nodes import Conv, ConvTranspose, Graph, Linear, Node, Shape

Use = tuple[str, Shape]
"""The path of a layer, and the shape of the inputs it is used on."""


class SynopsCounter:
    """Counts the synapses of all non-zero inputs of convolutions and linear layers.

    Zero weights are left out, as by NeuroBench (Yik et al. 2025); without any, SpikingJelly's SynOpCounter counts the
    same. Padding has no synapses. Pools and additions are not folded here: a deployment folds them into the next layer
    and counts the synapses that result, while a sum of two spikes is one input here. The frame counts at every time
    step, as it is presented to a chip, even where the network computes its first layer once.
    """

    def __init__(self, graph: Graph) -> None:
        synapses = [node for node in graph.nodes if isinstance(node.op, Conv | ConvTranspose | Linear)]
        # Two uses of one layer on inputs of one shape have the same fan-out and are counted together.
        uses = [(module_path(node.name), graph[node.inputs[0]].shape) for node in synapses]
        self._steps = graph.steps
        self._uses = Counter(uses)
        self._fan_out = {use: fan_out(node, use[1]) for use, node in zip(uses, synapses, strict=True)}
        self._operations = {use: torch.zeros(use[1][0], dtype=torch.int64) for use in self._uses}
        self._weights = {
            use: node.op.weight.shape
            for use, node in zip(uses, synapses, strict=True)
            if isinstance(node.op, Conv | Linear)
        }
        self._presented = dict.fromkeys(uses, 0)

    @contextmanager
    def attached(self, module: nn.Module) -> Iterator[None]:
        """Within it, all runs of `module`, from which the graph was traced, are counted."""
        layers = dict(module.named_modules(remove_duplicate=False))
        functions = _Functions(self, layers)
        hooks = []
        for use in self._uses:
            if use[0] in layers:
                hooks.append(layers[use[0]].register_forward_pre_hook(self._hook(use)))
        for layer in {layers[path] for path, _ in self._uses if path in layers}:
            hooks.append(layer.register_forward_pre_hook(functions.enter))
            hooks.append(layer.register_forward_hook(functions.leave, always_call=True))
        try:
            with functions:
                yield
        finally:
            for hook in hooks:
                hook.remove()

    @property
    def per_sample(self) -> float:
        """Mean over the samples that ran, all layers and time steps together."""
        return self._steps * sum(
            count * int(self._operations[use].sum()) / self._samples(use) for use, count in self._uses.items()
        )

    @property
    def by_input(self) -> dict[str, FloatArray]:
        """The same for each layer, by its path, and each of its input channels (or features): float64 [channels]."""
        found: dict[str, FloatArray] = {}
        for use, count in self._uses.items():
            path, shape = use
            each = self._operations[use].numpy() * (self._steps * count / self._samples(use))
            found[path] = found.get(path, np.zeros(shape[0])) + each
        return found

    def _samples(self, use: Use) -> int:
        """How many were presented to it, in all steps. Raises InputError for none."""
        path, shape = use
        if not self._presented[use]:
            raise InputError(
                f"layer {path}: none of its inputs has the last axes {shape}, so that its synaptic operations cannot "
                "be counted; put time and samples before them"
            )
        return self._presented[use]

    def _hook(self, use: Use) -> Any:
        return lambda module, args: self.count(use, args[0])

    def count(self, use: Use, inputs: torch.Tensor) -> None:
        """Count `inputs` that are given to a layer, if they are those of `use`."""
        fan = torch.from_numpy(self._fan_out[use])
        if inputs.shape[-fan.ndim :] != fan.shape:
            return
        active = (inputs.detach().reshape(-1, *fan.shape) != 0).sum(0).cpu()
        self._operations[use] += (active * fan).reshape(len(fan), -1).sum(1)
        self._presented[use] += inputs.numel() // fan.numel()

    def use_of(self, weight: torch.Tensor, inputs: torch.Tensor, layers: Mapping[str, nn.Module]) -> Use | None:
        """What code computes with a weight: the use of the layer that has it; of a weight of the code's own, by shapes.

        Where those fit several uses, they take turns.
        """
        fitting = [
            use
            for use, shape in self._weights.items()
            if inputs.shape[-len(use[1]) :] == use[1]
            and weight.shape == shape
            and (use[0] not in layers or getattr(layers[use[0]], "weight", None) is weight)
        ]
        return min(fitting, key=self._presented.__getitem__, default=None)


class _Functions(TorchFunctionMode):
    """Counts convolutions and linear layers that code computes as functions, outside of `layers` that hooks count."""

    def __init__(self, counter: SynopsCounter, layers: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self._counter, self._layers, self._depth = counter, layers, 0

    def enter(self, *_: object) -> None:
        """Begin a layer that is counted."""
        self._depth += 1

    def leave(self, *_: object) -> None:
        """End it."""
        self._depth -= 1

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count, and compute."""
        given = dict(zip(("input", "weight"), args, strict=False)) | (kwargs or {})
        if self._depth == 0 and getattr(func, "__name__", "") in ("conv2d", "linear"):
            use = self._counter.use_of(given["weight"], given["input"], self._layers)
            if use is not None:
                self._counter.count(use, given["input"])
        return func(*args, **(kwargs or {}))


def fan_out(node: Node, source: Shape) -> npt.NDArray[np.int64]:
    """Synapses of non-zero weight from each input of the layer `node`, int64 of the shape `source` of its inputs."""
    op = node.op
    if isinstance(op, Linear):
        return np.broadcast_to(np.count_nonzero(op.weight, axis=0), source).astype(np.int64)
    assert isinstance(op, Conv | ConvTranspose)
    joins = _lands if isinstance(op, ConvTranspose) else _joins
    outputs, inputs, height, width = op.weight.shape
    by_tap = (op.weight != 0).reshape(op.groups, outputs // op.groups, inputs, height, width).sum(1)
    rows, columns = (
        joins(source[1 + axis], node.shape[1 + axis], op.weight.shape[2 + axis],
              op.stride[axis], op.padding[axis], op.dilation[axis])
        for axis in (0, 1)
    )  # fmt: skip
    return rows @ by_tap.reshape(-1, height, width) @ columns.T


def _joins(size: int, outputs: int, kernel: int, stride: int, padding: int, dilation: int) -> npt.NDArray[np.int64]:
    """Whether each of `size` positions along one axis has a synapse by each tap: 0 or 1, int64 [size, kernel]."""
    positions = np.arange(outputs)[:, None] * stride - padding + np.arange(kernel) * dilation
    return (np.arange(size)[:, None, None] == positions).sum(1, dtype=np.int64)


def _lands(size: int, outputs: int, kernel: int, stride: int, padding: int, dilation: int) -> npt.NDArray[np.int64]:
    """The same of a transposed convolution: whether a tap laid at each position lands on one of the `outputs`."""
    positions = np.arange(size)[:, None] * stride - padding + np.arange(kernel) * dilation
    return ((positions >= 0) & (positions < outputs)).astype(np.int64)
