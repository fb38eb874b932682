"""The limits of a layer's scale: the largest at which each field still holds its values.

A layer's scale is the number of weight units for one unit of its float potential. The voltage register is 64
times finer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neuroprune.arrays import FloatArray
from neuroprune.fixed_point import BIAS_EXPONENT, STATE_SHIFT, IntegerRules, signed_range, weight_range
from neuroprune.neurons.model import FloatNeuron, IntNeuron, WorstDrive, limit_ratio


@dataclass(frozen=True)
class Scale:
    """weight: weight units for one unit of potential. neuron: registers at it. limited_by: the field that set it."""

    weight: float
    neuron: IntNeuron
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
    neuron: FloatNeuron,
    peaks: Peaks,
    steps: int,
    weight_bits: int,
    rules: IntegerRules,
) -> dict[str, float]:
    """The largest scale at which each field of a layer holds its values.

    "weight": no weight is clipped. "bias": the biases fit. The others are those of the neurons: see
    `FloatNeuron.register_limits`.
    """
    worst = np.sum([_worst_current(*each) for each in incoming], axis=0).max(axis=0)
    drive = WorstDrive(worst, bias, peaks.current, peaks.voltage, steps)
    return {
        "weight": min(_weight_limit(weight, weight_bits) for weight, _ in incoming),
        "bias": _bias_limit(bias, rules.bias_exponent_max, rules),
        **neuron.register_limits(drive, rules),
    }


def fit_scale(scale: float, limited_by: str, neuron: FloatNeuron, rules: IntegerRules) -> Scale:
    """The nearest scale, at most `scale`, that the threshold can be expressed in."""
    fitted, registers = neuron.to_integers(scale, rules)
    return Scale(fitted, registers, limited_by)


def bias_exponent(bias: FloatArray, scale: Scale, rules: IntegerRules) -> int:
    """lava-dl's exponent of biases, or the chip's largest, where they fit with it, else the smallest that fits them."""
    exponent = min(BIAS_EXPONENT, rules.bias_exponent_max)
    while exponent < rules.bias_exponent_max and _bias_limit(bias, exponent, rules) < scale.weight:
        exponent += 1
    return exponent


def _weight_limit(weight: FloatArray, weight_bits: int) -> float:
    low, high = weight_range(weight_bits)
    return min(limit_ratio(high, float(weight.max())), limit_ratio(-low, -float(weight.min())))


def _bias_limit(bias: FloatArray, exponent: int, rules: IntegerRules) -> float:
    largest = signed_range(rules.bias_bits)[1] * 2.0 ** (exponent - STATE_SHIFT)
    return limit_ratio(largest, float(np.abs(bias).max(initial=0.0)))


def _worst_current(weight: FloatArray, values: tuple[int, int]) -> FloatArray:
    """Largest current up and down, [2, out channels], for inputs from values[0] <= 0 to values[1] >= 0."""
    rows = weight.reshape(len(weight), -1)
    up, down = np.maximum(rows, 0).sum(axis=1), np.maximum(-rows, 0).sum(axis=1)
    low, high = values
    return np.stack([up * high - down * low, down * high - up * low])
