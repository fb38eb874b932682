"""The rules of the registers for whole batches, in floating point that is exact, and their gradient.

Every value is an integer. float64 holds all intermediates of the rules (below 2**53) and is always right; float32 holds
integers up to 2**24 and is taken where a bound proves that nothing is larger. Both give the same integers.

The operations of a step are those that torch vectorises: comparing into floats, multiplying and dividing with
truncation take 0.1 to 0.15 ns an element, masked_fill, where, trunc and comparing into bool 0.4 to 5. That makes the
neurons of a layer 5 times as fast. Looking for the extremes first takes 0.1 ns, counting what lies beyond them 0.8.
"""

import torch
from torch import Tensor

from neuroprune.fixed_point import DECAY_UNITY, FLOAT32_INTEGERS, REGISTER_BITS, STATE_SHIFT, largest_state
from neuroprune.neurons.model import IntegerRun, RegisterBound, Reset

SLOPE = 2.0
"""Of the surrogate gradient: SpikingJelly's default alpha of its ATan (activation_based/surrogate.py)."""


class CubaLifRun(IntegerRun):
    """decay_u, decay_v: what u and v lose in a step, in 4096ths. threshold: in units of v.

    Checks that the bound makes unnecessary are left out: where u keeps nothing and cannot wrap, it is not computed.
    """

    def __init__(
        self,
        drive: Tensor,
        bias: Tensor,
        bound: RegisterBound,
        decay_u: int,
        decay_v: int,
        threshold: int,
        reset: Reset,
        state_bits: int = REGISTER_BITS,
    ) -> None:
        self._state_bits = state_bits
        self._bias, self._bound, self._threshold, self._reset = bias, bound, threshold, reset
        self._kept_u, self._kept_v = _kept(decay_u), _kept(decay_v)
        self._memoryless = decay_u == DECAY_UNITY and bound.current_safe
        largest = min(bound.voltage, largest_state(state_bits) + 1) * self._kept_v[0]
        narrow = self._memoryless and drive.dtype == torch.float32 and largest <= FLOAT32_INTEGERS
        dtype = torch.float32 if narrow else torch.float64
        self._started = False
        self._u, self.v = (drive.new_zeros(drive.shape[1:], dtype=dtype) for _ in range(2))

    def integrate(self, arrived: Tensor) -> None:
        """The rules in the order of lava/proc/lif/models.py."""
        if self._started:
            _decay(self.v, self._kept_v)
        self._started = True
        if self._memoryless:
            self.v.add_(arrived)
        else:
            _decay(self._u, self._kept_u)
            self._u.add_(arrived).sub_(self._bias)
            self.current_wraps += 0 if self._bound.current_safe else _wrap(self._u, self._state_bits)
            self.v.add_(self._u).add_(self._bias)
        self.voltage_saturations += 0 if self._bound.voltage_safe else _saturate(self.v, self._state_bits)

    def reset(self, fired: Tensor) -> None:
        """To 0, or by the threshold."""
        if self._reset == "zero":
            super().reset(fired)
        else:
            self.v.sub_(fired, alpha=self._threshold)

    def registers(self, arrived: Tensor) -> tuple[Tensor, Tensor]:
        """u of a step that keeps nothing is what arrived."""
        return arrived - self._bias if self._memoryless else self._u.clone(), self.v.clone()


def measured_bound(peak: int, largest_bias: int, steps: int, decay_u: int, decay_v: int, limit: int) -> RegisterBound:
    """Bounds of u and v when the input of each step, bias included, is at most `peak`; limit: the registers' own."""
    current = _series(peak + largest_bias, steps, decay_u)
    # A current that wraps comes back with the other sign, and then the bias adds to it.
    as_it_comes = decay_u == DECAY_UNITY and current <= limit
    added = peak if as_it_comes else current + largest_bias
    return RegisterBound(current, _series(added, steps, decay_v), limit)


def fire_gradient(
    of_spikes: Tensor,
    of_v: Tensor,
    potentials: Tensor,
    spikes: Tensor,
    shared: bool,
    decay_u: int,
    decay_v: int,
    threshold: int,
    reset: Reset,
) -> tuple[Tensor, Tensor]:
    """Backward through all steps: of the synaptic current, [steps or 1, ...], and of the bias, [samples, ...].

    The gradient of a spike is that of the arc tangent around the threshold, `SLOPE` wide in units of the threshold.
    """
    fires_at, steps = threshold + 1, len(potentials)
    keep_u, keep_v = ((DECAY_UNITY - decay) / DECAY_UNITY for decay in (decay_u, decay_v))
    of_u, of_bias = torch.zeros_like(of_v), torch.zeros_like(of_v)
    of_current = potentials.new_zeros((1 if shared else steps, *potentials.shape[1:]))
    for step in reversed(range(steps)):
        if reset == "zero":
            of_v = of_v * (1.0 - spikes[step])
        distance = potentials[step].sub(fires_at).mul_(torch.pi / 2 * SLOPE / fires_at)
        surrogate = distance.square_().add_(1.0).reciprocal_().mul_(SLOPE / 2 / fires_at)
        of_v = of_v + surrogate.mul_(of_spikes[step])
        of_bias += of_v
        of_u = of_u * keep_u + of_v
        of_current[0 if shared else step].add_(of_u, alpha=1 << STATE_SHIFT)
        of_v = of_v * keep_v
    return of_current, of_bias


def _series(added: int, steps: int, decay: int) -> int:
    """The largest sum after `steps` steps that each add `added`; rounded up."""
    total = added * steps
    return min(total, -(-added * DECAY_UNITY // decay)) if decay else total


def _kept(decay: int) -> tuple[int, int]:
    """(4096 - decay) / 4096 as a fraction with an odd numerator, or none, and a power of two below."""
    keep = DECAY_UNITY - decay
    shared = keep & -keep if keep else DECAY_UNITY
    return keep // shared, DECAY_UNITY // shared


def _decay(state: Tensor, kept: tuple[int, int]) -> None:
    """In place: state * numerator / denominator, rounded toward zero."""
    numerator, denominator = kept
    if numerator != 1:
        state.mul_(numerator)
    if denominator != 1:
        torch.div(state, denominator, rounding_mode="trunc", out=state)


def _wrap(u: Tensor, state_bits: int) -> int:
    """In place, and how many values did: u is an int32 before it wraps, at 24 bits once as in Lava's model.

    +2**23 itself is kept (lava/proc/lif/models.py, max_uv_val), and so is the end of narrower registers.
    """
    half = largest_state(state_bits) + 1
    low, high = torch.aminmax(u)
    if low > -half and high <= half:
        return 0
    wraps = int(((u > half) | (u <= -half)).sum())
    u.add_(2**31).remainder_(2**32).sub_(2**31)
    turns = u.sub(half).div_(2 * half).ceil_()
    if state_bits == REGISTER_BITS:
        turns.clamp_(-1, 1)
    u.sub_(turns, alpha=2 * half)
    return wraps


def _saturate(v: Tensor, state_bits: int) -> int:
    """In place, and how many values were cut."""
    limit = largest_state(state_bits)
    low, high = torch.aminmax(v)
    if low >= -limit and high <= limit:
        return 0
    saturations = int((v.abs() > limit).sum())
    v.clamp_(-limit, limit)
    return saturations
