"""The rules of the registers for intervals: the range of u and v, separately for every channel.

All arithmetic is int64: a sum of 2**32 synapses stays below 2**47, and u and v are cut to their registers each step.
"""

import numpy as np

from neuroprune.fixed_point import DECAY_UNITY, REGISTER_BITS, largest_state
from neuroprune.neurons.model import Interval, Reset


def decayed(values: Interval, keep: int) -> Interval:
    """values * keep / 4096, rounded toward zero."""
    low, high = (np.sign(end) * (np.abs(end) * keep // DECAY_UNITY) for end in values)
    return low, high


def wrapped_current(u: Interval, state_bits: int) -> Interval:
    """u is an int32 that wraps once at 24 bits, so that a very large one stays out of its range; narrower u do not."""
    half = largest_state(state_bits) + 1
    largest = np.maximum(-u[0], u[1])
    beyond = np.minimum(largest, 2**31) - 2 * half if state_bits == REGISTER_BITS else 0
    after = np.maximum(half, beyond)
    wraps = largest >= half
    return np.where(wraps, -after, u[0]), np.where(wraps, after, u[1])


def after_reset(v: Interval, threshold: int, reset: Reset) -> Interval:
    """The values at or below the threshold, and what those above it are reset to."""
    low, high = v
    if reset == "subtract":
        reset_low, reset_high = np.maximum(low - threshold, 1), high - threshold
    else:
        reset_low = reset_high = np.zeros_like(low)
    rests, fires = low <= threshold, high > threshold
    return (
        np.where(rests & fires, np.minimum(low, reset_low), np.where(fires, reset_low, low)),
        np.where(rests & fires, np.maximum(threshold, reset_high), np.where(fires, reset_high, high)),
    )
