"""The neurons of one layer, all samples at once, in floating point that is exact.

Every value is an integer. float64 holds all intermediates of the chip's rules (below 2**53) and is always right;
float32 holds integers up to 2**24 and is taken where a bound proves that nothing is larger. Where no bound proves u
and v free of overflows, the drive that really arrived gives a closer one; what may overflow even so is run by the
rules in full and counted. All loops give the same integers.

The operations of a step are those that torch vectorises: comparing into floats, multiplying and dividing with
truncation take 0.1 to 0.15 ns an element, masked_fill, where, trunc and comparing into bool 0.4 to 5. That makes the
neurons of a layer 5 times as fast. Looking for the extremes first takes 0.1 ns, counting what lies beyond them 0.8.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from neuroprune.program.bounds import LIMIT, LayerBound
from neuroprune.program.fixedpoint import DECAY_UNITY, STATE_SHIFT
from neuroprune.program.types import IntNeuron
from neuroprune.simulate.kernels import FLOAT32_INTEGERS

HALF = 2**23
"""u and v are registers of 24 bits with sign (lava/proc/lif/models.py, max_uv_val)."""


@dataclass(frozen=True, eq=False)
class Firing:
    """spikes: bool [steps, samples, *shape]; voltages [samples, *shape] after the last step; counts of overflows.

    states: u and v at the end of every step, [steps, samples, *shape] each, where they were asked for.
    """

    spikes: Tensor
    voltages: Tensor
    current_wraps: int
    voltage_saturations: int
    states: tuple[Tensor, Tensor] | None = None


def fire(
    drive: Tensor, steps: int, neuron: IntNeuron, bias: Tensor, bound: LayerBound, every_step: bool = False
) -> Firing:
    """Run `steps` time steps from u = v = 0.

    drive: [steps, samples, *shape], or [1, samples, *shape] where every step receives the same: 64 * synaptic current
    + bias in units of v, exact.
    bias: what of the drive is bias, broadcastable to it. bound: what is proved of the layer; where it is safe, nothing
    is counted. every_step: keep u and v of each step.
    """
    if not bound.safe:
        bound = _measured_bound(drive, steps, neuron, bias)
    memoryless = neuron.decay_u == DECAY_UNITY - 1 and bound.current_safe
    largest = min(bound.voltage, HALF) * _kept(neuron.decay_v)[0]
    narrow = memoryless and drive.dtype == torch.float32 and largest <= FLOAT32_INTEGERS
    return _run(drive, steps, neuron, bias, torch.float32 if narrow else torch.float64, bound, every_step)


def _measured_bound(drive: Tensor, steps: int, neuron: IntNeuron, bias: Tensor) -> LayerBound:
    """How far u and v can go with this drive: geometric series, which rounding toward zero and a reset only shorten."""
    low, high = (int(value) for value in torch.aminmax(drive))
    peak, largest_bias = max(-low, high), int(bias.abs().max())
    current = _series(peak + largest_bias, steps, neuron.decay_u + 1)
    # A current that wraps comes back with the other sign, and then the bias adds to it.
    as_it_comes = neuron.decay_u == DECAY_UNITY - 1 and current < HALF
    added = peak if as_it_comes else current + largest_bias
    return LayerBound(0, current, _series(added, steps, neuron.decay_v))


def _series(added: int, steps: int, decay: int) -> int:
    """What adding as much in every step comes to, at most; rounded up."""
    total = added * steps
    return min(total, -(-added * DECAY_UNITY // decay)) if decay else total


def _run(
    drive: Tensor,
    steps: int,
    neuron: IntNeuron,
    bias: Tensor,
    dtype: torch.dtype,
    bound: LayerBound,
    every_step: bool,
) -> Firing:
    """The rules in the order of lava/proc/lif/models.py; what the bound excludes is left out."""
    memoryless = neuron.decay_u == DECAY_UNITY - 1 and bound.current_safe
    threshold = neuron.vth << STATE_SHIFT
    u, v = (drive.new_zeros(drive.shape[1:], dtype=dtype) for _ in range(2))
    fired = torch.empty_like(v)
    spikes = drive.new_empty((steps, *drive.shape[1:]), dtype=torch.bool)
    states: list[tuple[Tensor, Tensor]] = []
    wraps = saturations = 0
    for t in range(steps):
        arrived = drive[t if len(drive) == steps else 0]
        if t > 0:
            _decay(v, neuron.decay_v)
        if memoryless:
            v.add_(arrived)
        else:
            _decay(u, neuron.decay_u + 1)
            u.add_(arrived).sub_(bias)
            wraps += 0 if bound.current_safe else _wrap(u)
            v.add_(u).add_(bias)
        saturations += 0 if bound.voltage_safe else _saturate(v)
        torch.gt(v, threshold, out=fired)
        spikes[t].copy_(fired)
        if neuron.reset == "zero":
            v.addcmul_(v, fired, value=-1)
        else:
            v.sub_(fired, alpha=threshold)
        if every_step:
            states.append((arrived - bias if memoryless else u.clone(), v.clone()))
    kept = (torch.stack([u for u, _ in states]), torch.stack([v for _, v in states])) if every_step else None
    return Firing(spikes, v, wraps, saturations, kept)


def _decay(state: Tensor, decay: int) -> None:
    """In place: state * (4096 - decay) / 4096, rounded toward zero."""
    numerator, denominator = _kept(decay)
    if numerator != 1:
        state.mul_(numerator)
    if denominator != 1:
        torch.div(state, denominator, rounding_mode="trunc", out=state)


def _kept(decay: int) -> tuple[int, int]:
    """(4096 - decay) / 4096 as a fraction with an odd numerator, or none, and a power of two below."""
    keep = DECAY_UNITY - decay
    shared = keep & -keep if keep else DECAY_UNITY
    return keep // shared, DECAY_UNITY // shared


def _wrap(u: Tensor) -> int:
    """In place, and how many values did: u is an int32 before it wraps, once, at 24 bits."""
    low, high = torch.aminmax(u)
    if low > -HALF and high <= HALF:
        return 0
    wraps = int(((u > HALF) | (u <= -HALF)).sum())
    u.add_(2**31).remainder_(2**32).sub_(2**31)
    above, below = u > HALF, u <= -HALF
    u.add_(above, alpha=-2 * HALF).add_(below, alpha=2 * HALF)
    return wraps


def _saturate(v: Tensor) -> int:
    """In place, and how many values were cut."""
    low, high = torch.aminmax(v)
    if low >= -LIMIT and high <= LIMIT:
        return 0
    saturations = int((v.abs() > LIMIT).sum())
    v.clamp_(-LIMIT, LIMIT)
    return saturations
