"""The choice of a layer's scale: as fine as the weights allow, as coarse as the other fields demand.

A layer's scale is the number of weight units for one unit of its float potential. The voltage register counts 64
times finer.
"""

from dataclasses import dataclass

import numpy as np

from neuroprune.graph.nodes import Neuron, Synapse
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


def choose_scale(synapse: Synapse, neuron: Neuron, peak_current: float, peak_input: int, target: Target) -> Scale:
    """The largest scale at which weights, threshold, bias and current fit their fields.

    synapse: its weights already in units of potential for one unit of integer input.
    peak_current: largest magnitude delivered in one step on calibration data, in units of potential.
    peak_input: largest magnitude of an integer input, 1 for spikes.

    The scale is then lowered a little so that the float threshold falls on 64 vth + 1 units of v: a neuron that fires
    at h >= threshold and one that fires at v > 64 vth then agree, since a potential of exactly the threshold is the
    first that fires on either side.
    """
    limits = {
        "weight": _weight_limit(synapse, target),
        "threshold": (2**target.threshold_bits - 1) / neuron.threshold,
        "bias": _bias_limit(synapse, target.bias_exponent_max, target),
        "current": _current_limit(synapse, peak_current, peak_input, target),
    }
    limited_by = min(limits, key=lambda name: limits[name])
    unit = 1 << STATE_SHIFT
    vth = max(int((limits[limited_by] * neuron.threshold * unit - 1) // unit), 0)
    weight = (unit * vth + 1) / (unit * neuron.threshold)
    bias_exp = BIAS_EXPONENT
    while bias_exp < target.bias_exponent_max and _bias_limit(synapse, bias_exp, target) < weight:
        bias_exp += 1
    return Scale(weight, vth, bias_exp, limited_by)


def _weight_limit(synapse: Synapse, target: Target) -> float:
    low, high = weight_range(target.weight_bits)
    return min(_ratio(high, float(synapse.weight.max())), _ratio(-low, -float(synapse.weight.min())))


def _bias_limit(synapse: Synapse, bias_exp: int, target: Target) -> float:
    largest = signed_range(target.bias_bits)[1] * 2.0 ** (bias_exp - STATE_SHIFT)
    return _ratio(largest, float(np.abs(synapse.bias).max(initial=0.0)))


def _current_limit(synapse: Synapse, peak_current: float, peak_input: int, target: Target) -> float:
    """Scale at which u cannot leave its register: by the worst input there is, or else by what calibration saw."""
    register = signed_range(target.state_bits)[1] / (1 << STATE_SHIFT)
    rows = synapse.weight.reshape(len(synapse.weight), -1)
    if peak_input == 1:
        worst = float(max(np.maximum(rows, 0).sum(axis=1).max(), np.maximum(-rows, 0).sum(axis=1).max()))
    else:
        worst = float(np.abs(rows).sum(axis=1).max()) * peak_input
    return max(_ratio(register, worst), _ratio(register, peak_current * HEADROOM))


def _ratio(limit: float, value: float) -> float:
    return limit / value if value > 0.0 else float("inf")
