"""How far the registers of each layer can go on any input: a static proof from the integer weights.

Interval arithmetic, for every output channel apart: positive and negative weights are added up by themselves, then the
chip's rules (Lava 0.10, proc/lif/models.py) are followed for as many steps as a sample has. Decays round toward zero,
which keeps the order of values, so that the ends of an interval lead to the ends of the next one.
All arithmetic is int64: a sum of 2**32 synapses stays below 2**47, and u and v are cut to their registers each step.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neuroprune.graph.nodes import INPUT
from neuroprune.program.fixedpoint import DECAY_UNITY, STATE_SHIFT, signed_range
from neuroprune.program.types import IntConnection, IntConv, IntInput, IntLayer, IntNeuron, IntProgram, IntSynapse

LIMIT = 2**23 - 1
"""Up to this magnitude u, v and the sums of a convolution are what they should be: 24 bits with sign."""

Range = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
"""Least and largest value of each output channel."""


@dataclass(frozen=True)
class LayerBound:
    """Magnitudes that no input makes larger; above LIMIT the register may overflow.

    sums: what a convolution alone adds up, in units of the weights; it wraps at 24 bits. 0 without convolutions.
    current: u before it wraps. voltage: v before it saturates.
    """

    sums: int
    current: int
    voltage: int

    @property
    def sums_safe(self) -> bool:
        """Whether no sum of a convolution can wrap."""
        return self.sums <= LIMIT

    @property
    def current_safe(self) -> bool:
        """Whether u cannot wrap."""
        return self.current <= LIMIT

    @property
    def voltage_safe(self) -> bool:
        """Whether v cannot saturate."""
        return self.voltage <= LIMIT

    @property
    def safe(self) -> bool:
        """Whether the layer is proved free of overflows."""
        return self.sums_safe and self.current_safe and self.voltage_safe

    @property
    def sums_ratio(self) -> float:
        """Largest sum over the limit; above 1 by how much it is not safe."""
        return self.sums / LIMIT

    @property
    def current_ratio(self) -> float:
        """Largest u over the limit."""
        return self.current / LIMIT

    @property
    def voltage_ratio(self) -> float:
        """Largest v over the limit."""
        return self.voltage / LIMIT


def layer_bounds(program: IntProgram) -> dict[str, LayerBound]:
    """The bound of every layer by its name.

    It holds for all frames within the input's bits. Sources are taken to spike in any pattern, so a layer may be safe
    that is not proved so.
    """
    return {layer.name: _layer_bound(layer, program.input, program.steps) for layer in program.layers}


def effective_bias(neuron: IntNeuron) -> npt.NDArray[np.int64]:
    """bias_mant * 2**bias_exp of each channel, rounded down, in units of v."""
    mantissa = neuron.bias_mant.astype(np.int64)
    return mantissa << neuron.bias_exp if neuron.bias_exp >= 0 else mantissa >> -neuron.bias_exp


def value_range(connection: IntConnection, spec: IntInput) -> tuple[int, int]:
    """Least and largest value that the connection's source sends: of spikes 0 and 1, or graded input's field."""
    return signed_range(spec.bits) if connection.source == INPUT and spec.bits else (0, 1)


def sum_range(synapse: IntSynapse, values: tuple[int, int]) -> Range:
    """What each output channel of `synapse` can add up, in any order and at any stage of the addition."""
    weight = synapse.weight.astype(np.int64).reshape(len(synapse.weight), -1)
    positive, negative = weight.clip(min=0).sum(axis=1), weight.clip(max=0).sum(axis=1)
    low, high = values
    return positive * low + negative * high, positive * high + negative * low


def _layer_bound(layer: IntLayer, spec: IntInput, steps: int) -> LayerBound:
    neuron, bias = layer.neuron, effective_bias(layer.neuron)
    sums, drive = _drive(layer, spec)
    u = v = (np.zeros_like(bias), np.zeros_like(bias))
    current = voltage = 0
    previous: tuple[npt.NDArray[np.int64], ...] = ()
    for _ in range(steps):
        u = _sum(_decayed(u, DECAY_UNITY - 1 - neuron.decay_u), drive)
        current = max(current, _magnitude(u))
        u = _wrapped_current(u)
        v = _sum(_sum(_decayed(v, DECAY_UNITY - neuron.decay_v), u), (bias, bias))
        voltage = max(voltage, _magnitude(v))
        v = _after_reset((v[0].clip(-LIMIT, LIMIT), v[1].clip(-LIMIT, LIMIT)), neuron)
        if previous and np.array_equal(previous, (*u, *v)):
            break  # as in every step from here on
        previous = (*u, *v)
    return LayerBound(sums, current, voltage)


def _drive(layer: IntLayer, spec: IntInput) -> tuple[int, Range]:
    """Largest sum of a convolution, and what all connections together deliver to u in one step."""
    zero = np.zeros(layer.shape[0], np.int64)
    largest, drive = 0, (zero, zero)
    for connection in layer.connections:
        sums = sum_range(connection.synapse, value_range(connection, spec))
        if isinstance(connection.synapse, IntConv):
            largest = max(largest, _magnitude(sums))
            sums = _wrapped_sums(sums)
        drive = _sum(drive, (sums[0] << STATE_SHIFT, sums[1] << STATE_SHIFT))
    return largest, drive


def _wrapped_sums(sums: Range) -> Range:
    """A channel whose sums can wrap may deliver anything in 24 bits (proc/conv/models.py, clamp_precision)."""
    least, most = signed_range(24)
    wraps = (sums[0] < least) | (sums[1] > most)
    return np.where(wraps, least, sums[0]), np.where(wraps, most, sums[1])


def _wrapped_current(u: Range) -> Range:
    """u is an int32 that wraps once at 24 bits, so that a very large one stays out of its range."""
    half = LIMIT + 1
    largest = np.maximum(-u[0], u[1])
    after = np.maximum(half, np.minimum(largest, 2**31) - 2 * half)
    return np.where(largest > LIMIT, -after, u[0]), np.where(largest > LIMIT, after, u[1])


def _after_reset(v: Range, neuron: IntNeuron) -> Range:
    """The values at or below the threshold, and what those above it are reset to."""
    threshold = neuron.vth << STATE_SHIFT
    low, high = v
    if neuron.reset == "subtract":
        reset_low, reset_high = np.maximum(low - threshold, 1), high - threshold
    else:
        reset_low = reset_high = np.zeros_like(low)
    rests, fires = low <= threshold, high > threshold
    return (
        np.where(rests & fires, np.minimum(low, reset_low), np.where(fires, reset_low, low)),
        np.where(rests & fires, np.maximum(threshold, reset_high), np.where(fires, reset_high, high)),
    )


def _decayed(values: Range, keep: int) -> Range:
    """values * keep / 4096, rounded toward zero."""
    low, high = (np.sign(end) * (np.abs(end) * keep // DECAY_UNITY) for end in values)
    return low, high


def _sum(one: Range, other: Range) -> Range:
    return one[0] + other[0], one[1] + other[1]


def _magnitude(values: Range) -> int:
    return max(int(-values[0].min()), int(values[1].max()), 0)
