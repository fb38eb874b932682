"""The chip's integers in float32 torch, with gradients: what calibration looks at and fine-tuning trains through.

Exact as long as sums, u and v stay within 24 bits, where float32 holds every integer: what leaves a register does not
wrap or saturate here, unlike in the engine (neuroprune/simulate), which is the judge.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from neuroprune.graph.nodes import Linear, Synapse
from neuroprune.program.fixedpoint import DECAY_UNITY, STATE_SHIFT
from neuroprune.program.types import IntDense, IntNeuron, IntSynapse

SLOPE = 2.0
"""Of the surrogate gradient: SpikingJelly's default alpha of its ATan (activation_based/surrogate.py)."""


def deliver(synapse: Synapse | IntSynapse, weight: Tensor, spikes: Tensor) -> Tensor:
    """What `synapse` with `weight` in place of its own delivers: [steps, samples, *source] -> [..., *layer].

    Convolutions that transform their input, as NNPACK does, are kept out, since their intermediates are no integers.
    """
    merged = spikes.flatten(0, 1)
    if isinstance(synapse, Linear | IntDense):
        sums = F.linear(merged.flatten(1), weight)
    else:
        with torch.backends.nnpack.flags(enabled=False):
            sums = F.conv2d(merged, weight, None, synapse.stride, synapse.padding, synapse.dilation, synapse.groups)
    return sums.reshape(spikes.shape[:2] + sums.shape[1:])


def fire(current: Tensor, bias: Tensor, neuron: IntNeuron, steps: int) -> tuple[Tensor, Tensor]:
    """Spikes [steps, samples, *shape] and the voltages [samples, *shape] after the last step, from u = v = 0.

    current: [steps, samples, *shape], or [1, ...] where every step receives the same: sums of weights, integers.
    bias: what is added to v each step, integers that broadcast to [samples, *shape].
    The gradient of a spike is that of the arc tangent around the threshold, `SLOPE` wide in units of the threshold;
    roundings are passed straight through, and the reset is not differentiated.
    """
    spikes, voltages = _Fire.apply(current, bias, neuron, steps)  # type: ignore[no-untyped-call]
    return spikes, voltages


class _Fire(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, current: Tensor, bias: Tensor, neuron: IntNeuron, steps: int) -> tuple[Tensor, Tensor]:
        threshold = neuron.vth << STATE_SHIFT
        u, v = torch.zeros_like(current[0]), torch.zeros_like(current[0])
        potentials = current.new_empty((steps, *current.shape[1:]))
        spikes = torch.empty_like(potentials)
        for step in range(steps):
            drive = current[step if len(current) == steps else 0]
            u = _decayed(u, DECAY_UNITY - 1 - neuron.decay_u).add_(drive, alpha=1 << STATE_SHIFT)
            v = _decayed(v, DECAY_UNITY - neuron.decay_v).add_(u).add_(bias)
            potentials[step] = v
            torch.gt(v, threshold, out=spikes[step])
            if neuron.reset == "zero":
                v = v.masked_fill(spikes[step] > 0, 0.0)
            else:
                v = v.sub_(spikes[step], alpha=threshold)
        ctx.save_for_backward(potentials, spikes, bias)
        ctx.neuron, ctx.current_steps = neuron, len(current)
        return spikes, v

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, Tensor, None, None]:
        potentials, spikes, bias = ctx.saved_tensors
        neuron, steps = ctx.neuron, len(potentials)
        of_spikes, of_v = gradients[0], gradients[1]
        fires_at = (neuron.vth << STATE_SHIFT) + 1
        keep_u = (DECAY_UNITY - 1 - neuron.decay_u) / DECAY_UNITY
        keep_v = (DECAY_UNITY - neuron.decay_v) / DECAY_UNITY
        of_u = torch.zeros_like(of_v)
        of_bias = torch.zeros_like(of_v)
        of_current = potentials.new_zeros((ctx.current_steps, *potentials.shape[1:]))
        for step in reversed(range(steps)):
            if neuron.reset == "zero":
                of_v = of_v * (1.0 - spikes[step])
            distance = potentials[step].sub(fires_at).mul_(torch.pi / 2 * SLOPE / fires_at)
            surrogate = distance.square_().add_(1.0).reciprocal_().mul_(SLOPE / 2 / fires_at)
            of_v = of_v + surrogate.mul_(of_spikes[step])
            of_bias += of_v
            of_u = of_u * keep_u + of_v
            of_current[step if ctx.current_steps == steps else 0].add_(of_u, alpha=1 << STATE_SHIFT)
            of_v = of_v * keep_v
        return of_current, of_bias.sum_to_size(bias.shape), None, None


def _decayed(value: Tensor, keep: int) -> Tensor:
    """value * keep / 4096, rounded toward zero; a new tensor."""
    shared = keep & -keep
    if keep in (0, DECAY_UNITY):
        return value.clone() if keep else torch.zeros_like(value)
    if keep == shared:  # a power of two, exact in float32
        return value.mul(keep / DECAY_UNITY).trunc_()
    return value.double().mul_(keep).div_(DECAY_UNITY).trunc_().to(value.dtype)
