"""What an operation of the traced graph computes, to hold against what the code of a network does."""

from collections.abc import Callable

import torch
from torch.nn import functional as F

from neuroprune.graph.nodes import AvgPool, BatchNorm, Conv, Linear, MaxPool, Op, Resample
from neuroprune.graph.signals import Signal

TOLERANCE = 1e-4
"""Of the largest result: about 1000 roundings of float32."""


def acts_alike(op: Op, function: Callable[[torch.Tensor], torch.Tensor], signal: Signal) -> bool:
    """Whether `function` does to tensors like that of `signal` what `op` does to each step of each sample.

    It is tried on random numbers, since those of a network's own frames may be zeros.
    """
    if not isinstance(op, Conv | Linear | BatchNorm | AvgPool | Resample | MaxPool):
        return True
    value, batch = signal.value, signal.recorder.batch
    numbers = torch.randn(value.shape, generator=torch.Generator().manual_seed(0)).to(value)
    given = function(numbers)
    if given.ndim != value.ndim:
        return False
    rows = signal.layout.steps_first(numbers, batch).double().cpu()
    expected = _apply(op, rows.flatten(0, 1))
    expected = expected.reshape(rows.shape[:2] + expected.shape[1:])
    found = signal.layout.steps_first(given, batch).double().cpu()
    if found.shape != expected.shape:
        return False
    return bool((found - expected).abs().max() <= TOLERANCE * max(1.0, float(expected.abs().max())))


def _apply(op: Conv | Linear | BatchNorm | AvgPool | Resample | MaxPool, samples: torch.Tensor) -> torch.Tensor:
    """[samples, *shape] in float64, before and after."""
    match op:
        case Conv():
            weight, bias = torch.tensor(op.weight), torch.tensor(op.bias)
            return F.conv2d(samples, weight, bias, op.stride, op.padding, op.dilation, op.groups)
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
