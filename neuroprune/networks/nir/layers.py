"""Makes the layers of nodes without neurons, and the shapes of what they give."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from spikingjelly.activation_based import layer
from torch import nn

from neuroprune.errors import InputError
from neuroprune.excerpts import capped
from neuroprune.networks.nir.file import Array, NirNode

Shape = tuple[int, ...]


class Layers:
    """Makes layers for the nodes of the file at `path`, with which its errors begin."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def error(self, node: NirNode, text: str) -> InputError:
        """An error about a node; `text` follows its name and kind."""
        return InputError(f"{self.path}: node {capped(node.name)} ({node.kind}) {text}")

    def weights(self, node: NirNode, shape: Shape) -> tuple[nn.Module, Shape]:
        """The layer of a node with weights, and the shape of its output for inputs of `shape`. Raises InputError."""
        weight = node.arrays["weight"]
        if node.kind in ("Linear", "Affine"):
            if weight.ndim != 2:
                raise self.error(node, f"has a weight of shape {weight.shape}, and one of [outputs, inputs] is read")
            if shape != (weight.shape[1],):
                raise self.error(
                    node, f"takes {weight.shape[1]} values, and gets those of shape {shape}: correct the file"
                )
            made = layer.Linear(weight.shape[1], weight.shape[0], bias=self._has_bias(node, len(weight)))
            return self._filled(node, made, weight), (len(weight),)
        axes = 1 if node.kind == "Conv1d" else 2
        if weight.ndim != 2 + axes:
            raise self.error(node, f"has a weight of shape {weight.shape}, and one of {2 + axes} axes is read")
        weight = weight.reshape(*weight.shape[:2], *((1,) * (2 - axes)), *weight.shape[2:])
        kernel = (weight.shape[2], weight.shape[3])
        stride, dilation = self.pair(node, "stride", 1, axes), self.pair(node, "dilation", 1, axes)
        padding = self._padding(node, kernel, stride, dilation, axes)
        groups = self.whole(node, "groups", 1)[0]
        if len(shape) != 3 or shape[0] != weight.shape[1] * groups or len(weight) % groups:
            raise self.error(
                node, f"takes maps of {weight.shape[1] * groups} channels, and gets the shape {shape}: correct the file"
            )
        out = self.window(node, shape, kernel, stride, padding, dilation)
        conv = layer.Conv2d(
            shape[0], len(weight), kernel, stride, padding, dilation, groups, bias=self._has_bias(node, len(weight))
        )
        return self._filled(node, conv, weight), (len(weight), *out)

    def pool(self, node: NirNode, shape: Shape) -> tuple[nn.Module, Shape, float]:
        """The average pool of a node, the shape of its output, and its factor: a sum is the area times the mean."""
        if len(shape) != 3:
            raise self.error(node, f"pools maps, and gets the shape {shape}: correct the file")
        kernel, stride = self.pair(node, "kernel_size", 1), self.pair(node, "stride", 1)
        padding = self.pair(node, "padding", 0)
        if any(2 * pad > size for pad, size in zip(padding, kernel, strict=True)):
            raise self.error(node, f"pads by {padding}, more than half of its window of {kernel}: correct the file")
        out = self.window(node, shape, kernel, stride, padding, (1, 1))
        area = float(kernel[0] * kernel[1]) if node.kind == "SumPool2d" else 1.0
        return layer.AvgPool2d(kernel, stride, padding), (shape[0], *out), area

    def flattens_all(self, node: NirNode, shape: Shape) -> bool:
        """Whether a Flatten makes one vector of `shape`; its axes are those of a sample, -1 the last."""
        start, end = self.whole(node, "start_dim")[0], self.whole(node, "end_dim")[0]
        first, last = start % len(shape) if abs(start) <= len(shape) else start, end % len(shape)
        return all(size == 1 for size in (*shape[:first], *shape[last + 1 :]))

    def whole(self, node: NirNode, field: str, least: int | None = None) -> tuple[int, ...]:
        """The whole numbers of a field, at least one of them."""
        values = np.asarray(node.arrays[field]).reshape(-1) if field in node.arrays else np.zeros(0)
        if not 1 <= values.size <= 8 or np.any(values != np.floor(values)) or np.any(np.abs(values) > 1 << 20):
            raise self.error(node, f"has a {field} that is no small whole number: correct the file")
        numbers = tuple(int(value) for value in values)
        if least is not None and min(numbers) < least:
            raise self.error(
                node, f"has a {field} of {min(numbers)}, and it must be at least {least}: correct the file"
            )
        return numbers

    def pair(self, node: NirNode, field: str, least: int, axes: int = 2) -> tuple[int, int]:
        """(vertical, horizontal); of one axis the vertical one is 1, or 0 of a padding."""
        numbers = self.whole(node, field, least)
        if len(numbers) > 2 or (axes == 1 and len(numbers) > 1):
            raise self.error(
                node, f"has {len(numbers)} values of {field}, and {axes} at most are read: correct the file"
            )
        if axes == 1:
            return (0 if field == "padding" else 1, numbers[0])
        return (numbers[0], numbers[-1])

    def window(
        self,
        node: NirNode,
        shape: Shape,
        kernel: tuple[int, int],
        stride: tuple[int, int],
        padding: tuple[int, int],
        dilation: tuple[int, int],
    ) -> tuple[int, int]:
        """The extent of maps after a window moved over them."""
        sizes = zip(shape[1:], kernel, stride, padding, dilation, strict=True)
        out = [(size + 2 * pad - wide * (window - 1) - 1) // step + 1 for size, window, step, pad, wide in sizes]
        if min(out) < 1:
            raise self.error(
                node, f"has a window of {kernel}, which is larger than maps of {shape[1:]}: correct the file"
            )
        return out[0], out[1]

    def _padding(
        self, node: NirNode, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int], axes: int
    ) -> tuple[int, int]:
        spans = [wide * (window - 1) for wide, window in zip(dilation, kernel, strict=True)]
        word = node.texts.get("padding")
        if word is None:
            padding = self.pair(node, "padding", 0, axes)
            if any(pad > span + 1 for pad, span in zip(padding, spans, strict=True)):
                raise self.error(node, f"pads by {padding}, more than its kernel of {kernel} reaches: correct the file")
            return padding
        if word == "valid":
            return (0, 0)
        if word != "same" or stride != (1, 1) or any(span % 2 for span in spans):
            raise self.error(
                node,
                f"has the padding {capped(word)!r} with a kernel of {kernel} and a stride of {stride}, which pads "
                "one side more than the other: give it in pixels",
            )
        return (spans[0] // 2, spans[1] // 2)

    def _has_bias(self, node: NirNode, outputs: int) -> bool:
        """Whether it adds anything; exporters write zeros for layers without a bias."""
        bias = node.arrays.get("bias")
        if bias is not None and bias.shape != (outputs,):
            raise self.error(
                node, f"has a bias of shape {bias.shape}, and one of ({outputs},) is read: correct the file"
            )
        return bias is not None and bool(np.any(bias))

    def _filled(self, node: NirNode, module: Any, weight: Array) -> nn.Module:
        with torch.no_grad():
            module.weight.copy_(torch.from_numpy(np.array(weight, np.float32)))
            if module.bias is not None:
                module.bias.copy_(torch.from_numpy(np.array(node.arrays["bias"], np.float32)))
        made: nn.Module = module
        return made
