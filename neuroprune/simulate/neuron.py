"""The neurons of one layer, all samples at once, in floating point that is exact.

Every value is an integer. float64 holds all intermediates of the chip's rules (below 2**53) and is always right;
float32 holds integers up to 2**24 and is taken where the drive that really arrived proves that u does not wrap and
that nothing can be larger. So the two loops below give the same integers.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from neuroprune.quantize.types import IntNeuron

HALF = 2**23
"""u and v are registers of 24 bits with sign (lava/proc/lif/models.py, max_uv_val)."""

FLOAT32_INTEGERS = 2**24
"""Up to here float32 holds every integer."""


@dataclass(frozen=True, eq=False)
class Firing:
    """spikes: 0 or 1 [steps, samples, *shape]; voltages [samples, *shape] after the last step; counts of overflows.

    states: u and v at the end of every step, [steps, samples, *shape] each, where they were asked for.
    """

    spikes: Tensor
    voltages: Tensor
    current_wraps: int
    voltage_saturations: int
    states: tuple[Tensor, Tensor] | None = None


def fire(drive: Tensor, steps: int, neuron: IntNeuron, bias: Tensor, every_step: bool = False) -> Firing:
    """Run `steps` time steps from u = v = 0.

    drive: [steps, samples, *shape], or [1, samples, *shape] where every step receives the same: 64 * synaptic current
    + bias in units of v, exact. It may be overwritten.
    bias: what of the drive is bias, broadcastable to the drive. every_step: keep u and v of each step.
    """
    low, high = (value.item() for value in torch.aminmax(drive))
    peak = max(-low, high)
    wraps = neuron.decay_u != 4095 or peak + bias.abs().max().item() >= HALF
    # v adds up at most so many drives, for a reset and rounding toward zero only shrink it
    reach = peak * min(steps, 4096 / max(neuron.decay_v, 1))
    numerator, _ = _kept(neuron.decay_v)
    if wraps or min(reach, HALF) * numerator > FLOAT32_INTEGERS:
        return _fire_any(drive, steps, neuron, bias, every_step)
    currents = (drive - bias).expand(steps, *drive.shape[1:]) if every_step else None
    return _fire_without_wrap(drive, steps, neuron, reach >= HALF, currents)


def _kept(decay_v: int) -> tuple[int, int]:
    """(4096 - decay_v) / 4096 as a fraction with an odd numerator and a power of two below."""
    keep = 4096 - decay_v
    shared = keep & -keep
    return keep // shared, 4096 // shared


def _fire_without_wrap(
    drive: Tensor, steps: int, neuron: IntNeuron, saturates: bool, currents: Tensor | None
) -> Firing:
    """The rules where u is the current of the step: v and drive are below 2**23, so that their sum is exact, too.

    In place: the spikes of a step replace its drive. currents: of every step, where its states are to be kept.
    """
    numerator, denominator = _kept(neuron.decay_v)
    spikes = drive if len(drive) == steps else drive.new_empty((steps, *drive.shape[1:]))
    v = drive[0].clone()
    voltages = []
    saturations = 0
    for t in range(steps):
        if t > 0:
            if numerator != 1:
                v.mul_(numerator)
            if denominator != 1:
                torch.div(v, denominator, rounding_mode="trunc", out=v)
            v.add_(drive[t if len(drive) == steps else 0])
        if saturates:
            saturations += int((v.abs() >= HALF).sum())
            v.clamp_(1 - HALF, HALF - 1)
        torch.gt(v, neuron.vth * 64, out=spikes[t])
        if neuron.reset == "zero":
            v.addcmul_(v, spikes[t], value=-1)
        else:
            v.sub_(spikes[t], alpha=neuron.vth * 64)
        if currents is not None:
            voltages.append(v.clone())
    return Firing(spikes, v, 0, saturations, None if currents is None else (currents, torch.stack(voltages)))


def _fire_any(drive: Tensor, steps: int, neuron: IntNeuron, bias: Tensor, every_step: bool) -> Firing:
    """The rules in full, in the order of lava/proc/lif/models.py: u is an int32 before it wraps, once, at 24 bits."""
    spikes = drive.new_empty((steps, *drive.shape[1:]))
    drive, bias = drive.double(), bias.double()
    u, v = torch.zeros_like(drive[0]), torch.zeros_like(drive[0])
    wraps = saturations = 0
    states: tuple[list[Tensor], list[Tensor]] = ([], [])
    for t in range(steps):
        u.mul_(4095 - neuron.decay_u).div_(4096).trunc_().add_(drive[t if len(drive) == steps else 0] - bias)
        wraps += int(((u > HALF) | (u <= -HALF)).sum())
        u.add_(2**31).remainder_(2**32).sub_(2**31)
        above, below = u > HALF, u <= -HALF
        u.add_(above, alpha=-2 * HALF).add_(below, alpha=2 * HALF)
        v.mul_(4096 - neuron.decay_v).div_(4096).trunc_().add_(u).add_(bias)
        saturations += int((v.abs() >= HALF).sum())
        v.clamp_(1 - HALF, HALF - 1)
        torch.gt(v, neuron.vth * 64, out=spikes[t])
        if neuron.reset == "zero":
            v.masked_fill_(spikes[t] > 0, 0)
        else:
            v.sub_(spikes[t], alpha=neuron.vth * 64)
        if every_step:
            states[0].append(u.clone())
            states[1].append(v.clone())
    kept = (torch.stack(states[0]), torch.stack(states[1])) if every_step else None
    return Firing(spikes, v, wraps, saturations, kept)
