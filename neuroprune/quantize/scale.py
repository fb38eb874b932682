"""The limits of a layer's scale: as fine as the weights allow, as coarse as the other fields demand.

A layer's scale is the number of weight units for one unit of its float potential. The voltage register counts 64
times finer.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neuroprune.graph.nodes import FloatArray, Neuron, Synapse
from neuroprune.program.fixedpoint import BIAS_EXPONENT, STATE_SHIFT, signed_range, weight_range
from neuroprune.program.rules import IntegerRules

HEADROOM = 2.0
"""Allowance for currents on unseen data above the calibration's; a choice, so the engine counts each overflow."""


@dataclass(frozen=True)
class Scale:
    """weight: weight units for one unit of potential. vth: threshold mantissa. limited_by: the field that set it."""

    weight: float
    vth: int
    limited_by: str

    @property
    def voltage(self) -> float:
        """Units of v for one unit of potential."""
        return self.weight * (1 << STATE_SHIFT)


@dataclass(frozen=True)
class Peaks:
    """Largest magnitudes on calibration data, in units of potential: of the current i of a step, and of h."""

    current: float
    voltage: float


Incoming = tuple[FloatArray, tuple[int, int]]
"""Weights [out channels, ...] in units of potential for one unit of integer input, and the range of that input."""


def scale_limits(
    incoming: Sequence[Incoming],
    bias: FloatArray,
    neuron: Neuron,
    peaks: Peaks,
    steps: int,
    weight_bits: int,
    rules: IntegerRules,
) -> dict[str, float]:
    """The largest scale at which each field of a layer holds what it must.

    "weight": no weight is clipped. "threshold", "bias": both fit. "current": u cannot leave its register, by the worst
    input within its range, or else by `HEADROOM` times what calibration saw. "voltage", of integrators: v cannot reach
    the chip's largest threshold, by the same two.
    """
    unit = 1 << STATE_SHIFT
    register = signed_range(rules.state_bits)[1] / unit
    kept_current = _geometric(1.0 - neuron.current_decay, steps)
    worst = np.sum([_worst_current(*each) for each in incoming], axis=0).max(axis=0) * kept_current
    limits = {
        "weight": min(_weight_limit(weight, weight_bits) for weight, _ in incoming),
        "bias": _bias_limit(bias, rules.bias_exponent_max, rules),
        "current": max(_ratio(register, float(worst.max())), _ratio(register, peaks.current * HEADROOM)),
    }
    if math.isinf(neuron.threshold):
        highest = float((worst + np.abs(bias)).max()) * _geometric(1.0 - neuron.decay, steps)
        largest = float(_largest_vth(rules))
        limits["voltage"] = max(_ratio(largest, highest), _ratio(largest, peaks.voltage * HEADROOM))
    else:
        limits["threshold"] = _largest_vth(rules) / neuron.threshold
    return limits


def fit_scale(scale: float, limited_by: str, neuron: Neuron, rules: IntegerRules) -> Scale:
    """The nearest scale, at most `scale`, that the threshold can be expressed in.

    It is lowered a little so that the float threshold falls on 64 vth + 1 units of v: a neuron that fires at
    h >= threshold and one that fires at v > 64 vth then agree, since a potential of exactly the threshold is the first
    that fires on either side. A neuron that resets by subtraction keeps one unit of v more than its float twin.
    Integrators get the largest threshold there is.
    """
    if math.isinf(neuron.threshold):
        return Scale(scale, _largest_vth(rules), limited_by)
    unit = 1 << STATE_SHIFT
    vth = min(max(int((scale * neuron.threshold * unit - 1) // unit), 0), _largest_vth(rules))
    return Scale((unit * vth + 1) / (unit * neuron.threshold), vth, limited_by)


def bias_exponent(bias: FloatArray, scale: Scale, rules: IntegerRules) -> int:
    """The exponent that lava-dl has wherever the biases fit it, else the least that they fit."""
    exponent = BIAS_EXPONENT
    while exponent < rules.bias_exponent_max and _bias_limit(bias, exponent, rules) < scale.weight:
        exponent += 1
    return exponent


def total_bias(synapses: Sequence[Synapse]) -> FloatArray:
    """Biases of synapses that feed the same neurons add up."""
    total: FloatArray = np.sum([synapse.bias for synapse in synapses], axis=0)
    return total


def _largest_vth(rules: IntegerRules) -> int:
    return (1 << rules.threshold_bits) - 1


def _weight_limit(weight: FloatArray, weight_bits: int) -> float:
    low, high = weight_range(weight_bits)
    return min(_ratio(high, float(weight.max())), _ratio(-low, -float(weight.min())))


def _bias_limit(bias: FloatArray, exponent: int, rules: IntegerRules) -> float:
    largest = signed_range(rules.bias_bits)[1] * 2.0 ** (exponent - STATE_SHIFT)
    return _ratio(largest, float(np.abs(bias).max(initial=0.0)))


def _worst_current(weight: FloatArray, values: tuple[int, int]) -> FloatArray:
    """Largest current up and down, [2, out channels], for inputs from values[0] <= 0 to values[1] >= 0."""
    rows = weight.reshape(len(weight), -1)
    up, down = np.maximum(rows, 0).sum(axis=1), np.maximum(-rows, 0).sum(axis=1)
    low, high = values
    return np.stack([up * high - down * low, down * high - up * low])


def _geometric(ratio: float, terms: int) -> float:
    """1 + ratio + ... over so many terms."""
    return float(terms) if ratio == 1.0 else (1.0 - ratio**terms) / (1.0 - ratio)


def _ratio(limit: float, value: float) -> float:
    return limit / value if value > 0.0 else float("inf")
