"""The choice of a layer's scale: as fine as the weights allow, as coarse as the other fields demand.

A layer's scale is the number of weight units for one unit of its float potential. The voltage register counts 64
times finer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neuroprune.graph.nodes import FloatArray, Neuron, Synapse
from neuroprune.quantize.fixedpoint import BIAS_EXPONENT, STATE_SHIFT, signed_range, weight_range
from neuroprune.targets import Target

HEADROOM = 2.0
"""Allowance for currents on unseen data above the calibration's; a choice, so the engine counts each overflow."""


@dataclass(frozen=True)
class Scale:
    """weight: weight units for one unit of potential. vth: threshold mantissa. bias_exp: exponent of the biases.

    limited_by: the field that set the scale.
    """

    weight: float
    vth: int
    bias_exp: int
    limited_by: str

    @property
    def voltage(self) -> float:
        """Units of v for one unit of potential."""
        return self.weight * (1 << STATE_SHIFT)


Incoming = tuple[Synapse, int]
"""A synapse, its weights in units of potential for one unit of integer input, and the largest such input."""


def choose_scale(incoming: Sequence[Incoming], neuron: Neuron, peak_current: float, target: Target) -> Scale:
    """The largest scale at which the weights of all incoming synapses, threshold, bias and current fit their fields.

    peak_current: largest magnitude delivered in one step on calibration data, in units of potential.

    The scale is then lowered a little so that the float threshold falls on 64 vth + 1 units of v: a neuron that fires
    at h >= threshold and one that fires at v > 64 vth then agree, since a potential of exactly the threshold is the
    first that fires on either side.
    """
    bias = total_bias([synapse for synapse, _ in incoming])
    limits = {
        "weight": min(_weight_limit(synapse, target) for synapse, _ in incoming),
        "threshold": (2**target.threshold_bits - 1) / neuron.threshold,
        "bias": _bias_limit(bias, target.bias_exponent_max, target),
        "current": _current_limit(incoming, peak_current, target),
    }
    limited_by = min(limits, key=lambda name: limits[name])
    unit = 1 << STATE_SHIFT
    vth = max(int((limits[limited_by] * neuron.threshold * unit - 1) // unit), 0)
    weight = (unit * vth + 1) / (unit * neuron.threshold)
    bias_exp = BIAS_EXPONENT
    while bias_exp < target.bias_exponent_max and _bias_limit(bias, bias_exp, target) < weight:
        bias_exp += 1
    return Scale(weight, vth, bias_exp, limited_by)


def _weight_limit(synapse: Synapse, target: Target) -> float:
    low, high = weight_range(target.weight_bits)
    return min(_ratio(high, float(synapse.weight.max())), _ratio(-low, -float(synapse.weight.min())))


def total_bias(synapses: Sequence[Synapse]) -> FloatArray:
    """Biases of synapses that feed the same neurons add up."""
    total: FloatArray = np.sum([synapse.bias for synapse in synapses], axis=0)
    return total


def _bias_limit(bias: FloatArray, bias_exp: int, target: Target) -> float:
    largest = signed_range(target.bias_bits)[1] * 2.0 ** (bias_exp - STATE_SHIFT)
    return _ratio(largest, float(np.abs(bias).max(initial=0.0)))


def _current_limit(incoming: Sequence[Incoming], peak_current: float, target: Target) -> float:
    """Scale at which u cannot leave its register: by the worst input there is, or else by what calibration saw."""
    register = signed_range(target.state_bits)[1] / (1 << STATE_SHIFT)
    worst = np.sum([_worst_current(*each) for each in incoming], axis=0)
    return max(_ratio(register, float(worst.max())), _ratio(register, peak_current * HEADROOM))


def _worst_current(synapse: Synapse, peak_input: int) -> FloatArray:
    """Largest current up and down, [2, out channels]: spikes only add, graded input may be negative."""
    rows = synapse.weight.reshape(len(synapse.weight), -1)
    up, down = np.maximum(rows, 0).sum(axis=1), np.maximum(-rows, 0).sum(axis=1)
    return np.stack([up, down]) if peak_input == 1 else np.stack([up + down, up + down]) * peak_input


def _ratio(limit: float, value: float) -> float:
    return limit / value if value > 0.0 else float("inf")
