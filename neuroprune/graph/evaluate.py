"""What an operation of the traced graph computes, to hold against what the code of a network does."""

from collections.abc import Callable

import torch
from torch.nn import functional as F

from neuroprune.graph.nodes import (
    AvgPool,
    BatchNorm,
    Conv,
    ConvTranspose,
    Linear,
    MaxPool,
    Op,
    PixelShuffle,
    Resample,
    Upsample,
)
from neuroprune.graph.signals import Signal

TOLERANCE = 1e-4
"""Of the largest result: about 1000 roundings of float32."""


Spatial = Conv | ConvTranspose | Linear | BatchNorm | AvgPool | Resample | Upsample | PixelShuffle | MaxPool


def acts_alike(op: Op, function: Callable[[torch.Tensor], torch.Tensor], signal: Signal) -> bool:
    """Whether `function` does to tensors like that of `signal` what `op` does to each step of each sample.

    It is tried on random numbers, since those of a network's own frames may be zeros.
    """
    if not isinstance(op, Spatial):
        return True
    value, batch = signal.value, signal.recorder.batch
    numbers = torch.randn(value.shape, generator=torch.Generator().manual_seed(0)).to(value)
    given = function(numbers)
    if given.ndim != value.ndim:
        return False
    rows = signal.layout.steps_first(numbers, batch).double().cpu()
    found = signal.layout.steps_first(given, batch).double().cpu()
    expected = _apply(op, rows.flatten(0, 1), tuple(found.shape[-2:]))
    expected = expected.reshape(rows.shape[:2] + expected.shape[1:])
    if found.shape != expected.shape:
        return False
    return bool((found - expected).abs().max() <= TOLERANCE * max(1.0, float(expected.abs().max())))


def _apply(op: Spatial, samples: torch.Tensor, extents: tuple[int, ...]) -> torch.Tensor:
    """[samples, *shape] in float64, before and after; extents: of the maps that a transposed convolution gives."""
    match op:
        case Conv():
            weight, bias = torch.tensor(op.weight), torch.tensor(op.bias)
            return F.conv2d(samples, weight, bias, op.stride, op.padding, op.dilation, op.groups)
        case ConvTranspose():
            return _transposed(op, samples, extents)
        case Upsample():
            return F.interpolate(samples, scale_factor=op.factors)
        case PixelShuffle():
            return F.pixel_shuffle(samples, op.factor)
        case Linear():
            return F.linear(samples, torch.tensor(op.weight), torch.tensor(op.bias))
        case BatchNorm():
            shape = (-1,) + (1,) * (samples.ndim - 2)
            return samples * torch.tensor(op.gain).reshape(shape) + torch.tensor(op.offset).reshape(shape)
        case AvgPool():
            return F.avg_pool2d(samples, op.kernel, op.stride, op.padding)
        case Resample():
            return torch.tensor(op.rows) @ samples @ torch.tensor(op.columns).T
        case MaxPool():
            return F.max_pool2d(samples, op.kernel, op.stride, op.padding, op.dilation)


def _transposed(op: ConvTranspose, samples: torch.Tensor, extents: tuple[int, ...]) -> torch.Tensor:
    inputs = op.weight.shape[1]
    by_group = torch.tensor(op.weight).reshape(op.groups, -1, *op.weight.shape[1:]).transpose(1, 2)
    smallest = [
        (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + 1
        for size, stride, padding, dilation, kernel in zip(
            samples.shape[2:], op.stride, op.padding, op.dilation, op.weight.shape[2:], strict=True
        )
    ]
    more = [extent - least for extent, least in zip(extents, smallest, strict=True)]
    weight, bias = by_group.reshape(op.groups * inputs, -1, *op.weight.shape[2:]), torch.tensor(op.bias)
    return F.conv_transpose2d(samples, weight, bias, op.stride, op.padding, more, op.groups, op.dilation)
