"""Synaptic operations, counted while the network runs."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from neuroprune.arrays import FloatArray
from neuroprune.compression.channels import module_path
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
        self._presented = dict.fromkeys(uses, 0)

    @contextmanager
    def attached(self, module: nn.Module) -> Iterator[None]:
        """Within it, all runs of `module`, from which the graph was traced, are counted."""
        hooks = [
            module.get_submodule(path).register_forward_pre_hook(self._hook((path, shape)))
            for path, shape in self._uses
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    @property
    def per_sample(self) -> float:
        """Mean over the samples that ran, all layers and time steps together."""
        return self._steps * sum(
            count * int(self._operations[use].sum()) / self._presented[use] for use, count in self._uses.items()
        )

    @property
    def by_input(self) -> dict[str, FloatArray]:
        """The same for each layer, by its path, and each of its input channels (or features): float64 [channels]."""
        found: dict[str, FloatArray] = {}
        for use, count in self._uses.items():
            path, shape = use
            each = self._operations[use].numpy() * (self._steps * count / self._presented[use])
            found[path] = found.get(path, np.zeros(shape[0])) + each
        return found

    def _hook(self, use: Use) -> Any:
        fan = torch.from_numpy(self._fan_out[use])

        def count(module: nn.Module, args: tuple[torch.Tensor, ...]) -> None:
            if args[0].shape[-fan.ndim :] != fan.shape:
                return
            active = (args[0].detach().reshape(-1, *fan.shape) != 0).sum(0).cpu()
            self._operations[use] += (active * fan).reshape(len(fan), -1).sum(1)
            self._presented[use] += args[0].numel() // fan.numel()

        return count


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
