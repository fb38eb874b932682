"""The chip's integers in float32 torch, with gradients: what calibration runs and fine-tuning trains through.

Exact as long as sums stay within 24 bits, where float32 holds every integer: a convolution's do not wrap here, unlike
in the exact engine (neuroprune/simulation/engine.py). u and v overflow as the chip's do.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from neuroprune.fixed_point import STATE_SHIFT
from neuroprune.graph.float_program import FloatDense, FloatSynapse
from neuroprune.neurons.model import UNKNOWN, IntNeuron, RegisterBound
from neuroprune.program.types import IntDense, IntSynapse


def deliver(synapse: FloatSynapse | IntSynapse, weight: Tensor, spikes: Tensor) -> Tensor:
    """What `synapse` with `weight` in place of its own delivers: [steps, samples, *source] -> [..., *layer].

    Convolutions that transform their input, as NNPACK does, are kept out, since their intermediates are no integers.
    """
    merged = spikes.flatten(0, 1)
    if isinstance(synapse, FloatDense | IntDense):
        sums = F.linear(merged.flatten(1), weight)
    else:
        with torch.backends.nnpack.flags(enabled=False):
            sums = F.conv2d(merged, weight, None, synapse.stride, synapse.padding, synapse.dilation, synapse.groups)
    return sums.reshape(spikes.shape[:2] + sums.shape[1:])


def fire(current: Tensor, bias: Tensor, neuron: IntNeuron, steps: int) -> tuple[Tensor, Tensor]:
    """Spikes [steps, samples, *shape] and the voltages [samples, *shape] after the last step, from u = v = 0.

    current: [steps, samples, *shape], or [1, ...] where every step receives the same: sums of weights, integers.
    bias: what is added to v each step, integers that broadcast to [samples, *shape].
    Roundings are passed straight through; the gradient of a spike is that of `IntNeuron.gradient`.
    """
    spikes, voltages = _Fire.apply(current, bias, neuron, steps)  # type: ignore[no-untyped-call]
    return spikes, voltages


@torch.no_grad()
def fire_with_feedback(
    current: Tensor, bias: Tensor, neuron: IntNeuron, steps: int, feedback: Callable[[Tensor], Tensor]
) -> Tensor:
    """Spikes as of `fire`, without a gradient, of neurons that read what they fired one step before.

    current: what the other connections deliver. feedback: from spikes, 0.0 or 1.0 [samples, *shape], to what they add.
    """
    run = neuron.start(current, bias, UNKNOWN)
    spikes: list[Tensor] = []
    for step in range(steps):
        arrived = current[step if len(current) == steps else 0]
        if spikes:
            arrived = arrived + feedback(spikes[-1])
        run.integrate(arrived.to(run.v.dtype) * (1 << STATE_SHIFT) + bias)
        fired = (run.v > neuron.vth << STATE_SHIFT).to(run.v.dtype)
        run.reset(fired)
        spikes.append(fired.to(current.dtype))
    return torch.stack(spikes)


def one_step_later(spikes: Tensor) -> Tensor:
    """[steps, ...] as it arrives one step later: nothing in the first, and the last is lost."""
    return torch.cat([torch.zeros_like(spikes[:1]), spikes[:-1]])


def _measured_bound(current: Tensor, bias: Tensor, neuron: IntNeuron, steps: int) -> RegisterBound:
    low, high = torch.aminmax(current)
    largest, largest_bias = float(torch.maximum(-low, high)), float(bias.abs().max())
    if not math.isfinite(largest + largest_bias):  # training diverges
        return UNKNOWN
    return neuron.measured_bound(int(largest * (1 << STATE_SHIFT) + largest_bias), int(largest_bias), steps)


class _Fire(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, current: Tensor, bias: Tensor, neuron: IntNeuron, steps: int) -> tuple[Tensor, Tensor]:
        run = neuron.start(current, bias, _measured_bound(current, bias, neuron, steps))
        drive = current.to(run.v.dtype) * (1 << STATE_SHIFT) + bias
        threshold = neuron.vth << STATE_SHIFT
        potentials = current.new_empty((steps, *current.shape[1:]))
        spikes, fired = torch.empty_like(potentials), torch.empty_like(run.v)
        for step in range(steps):
            run.integrate(drive[step if len(drive) == steps else 0])
            potentials[step] = run.v
            torch.gt(run.v, threshold, out=fired)
            spikes[step] = fired
            run.reset(fired)
        ctx.save_for_backward(potentials, spikes, bias)
        ctx.neuron, ctx.shared = neuron, len(current) < steps
        return spikes, run.v.to(current.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, Tensor, None, None]:
        potentials, spikes, bias = ctx.saved_tensors
        of_spikes, of_v = gradients
        of_current, of_bias = ctx.neuron.gradient(of_spikes, of_v, potentials, spikes, ctx.shared)
        return of_current, of_bias.sum_to_size(bias.shape), None, None
