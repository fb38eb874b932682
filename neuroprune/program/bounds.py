"""Bounds of the registers of each layer for any input: a static proof from the integer weights.

Interval arithmetic, for every output channel apart: positive and negative weights are added up separately, then the
neurons' rules for intervals are followed for as many steps as a sample has.
"""

from dataclasses import dataclass

import numpy as np

from neuroprune.fixed_point import LARGEST_STATE, REGISTER_BITS, STATE_SHIFT, largest_state, signed_range
from neuroprune.graph.nodes import INPUT
from neuroprune.neurons.model import Interval, RegisterBound, Registers
from neuroprune.program.types import IntConnection, IntConv, IntInput, IntLayer, IntProgram, IntSynapse


@dataclass(frozen=True)
class LayerBound:
    """Magnitudes that no input makes larger; above the largest that it holds a register may overflow.

    sums: what a convolution alone adds up, in units of the weights; it wraps at 24 bits. 0 without convolutions.
    current: u before it wraps. voltage: v before it saturates. limit: the largest magnitude that u and v hold.
    """

    sums: int
    current: int
    voltage: int
    limit: int = LARGEST_STATE

    @property
    def sums_safe(self) -> bool:
        """Whether no sum of a convolution can wrap."""
        return self.sums <= LARGEST_STATE

    @property
    def registers(self) -> RegisterBound:
        """The bounds of u and v alone."""
        return RegisterBound(self.current, self.voltage, self.limit)

    @property
    def safe(self) -> bool:
        """Whether the layer is proved free of overflows."""
        return self.sums_safe and self.registers.current_safe and self.registers.voltage_safe

    @property
    def sums_ratio(self) -> float:
        """Largest sum over the limit; above 1 by how much it is not safe."""
        return self.sums / LARGEST_STATE

    @property
    def current_ratio(self) -> float:
        """Largest u over the limit."""
        return self.current / self.limit

    @property
    def voltage_ratio(self) -> float:
        """Largest v over the limit."""
        return self.voltage / self.limit


def layer_bounds(program: IntProgram) -> dict[str, LayerBound]:
    """The bound of every layer by its name.

    It holds for all frames within the input's bits. Sources are assumed to spike in any pattern, so a layer that is not
    proved safe may still be.

    >>> import torch
    >>> from neuroprune import (
    ...     build, fold, frames_of, layer_bounds, load_chip, load_dataset, load_recipe, quantize, trace,
    ... )
    >>> data = load_dataset("digits")
    >>> network = build(load_recipe("digits-conv"), data.input_shape, len(data.classes))
    >>> frames = frames_of(data.train.images[:16], data.coding)
    >>> floats = fold(trace(network, torch.from_numpy(frames)))
    >>> program = quantize(floats, frames, load_chip("loihi-sim"))
    >>> bounds = layer_bounds(program)
    >>> bounds["body.neuron2"].sums_safe  # no sum of this convolution can overflow
    True
    """
    return {layer.name: _layer_bound(layer, program.input, program.steps) for layer in program.layers}


def value_range(connection: IntConnection, spec: IntInput) -> tuple[int, int]:
    """Least and largest value that the connection's source sends: of spikes 0 and 1, or graded input's field."""
    return signed_range(spec.bits) if connection.source == INPUT and spec.bits else (0, 1)


def sum_range(synapse: IntSynapse, values: tuple[int, int]) -> Interval:
    """What each output channel of `synapse` can add up, in any order and at any stage of the addition."""
    weight = synapse.weight.astype(np.int64).reshape(len(synapse.weight), -1)
    positive, negative = weight.clip(min=0).sum(axis=1), weight.clip(max=0).sum(axis=1)
    low, high = values
    return positive * low + negative * high, positive * high + negative * low


def _layer_bound(layer: IntLayer, spec: IntInput, steps: int) -> LayerBound:
    bias = layer.bias.values
    sums, drive = _drive(layer, spec)
    zero = (np.zeros_like(bias), np.zeros_like(bias))
    registers: Registers = (zero, zero)
    current = voltage = 0
    for step in range(steps):
        before, after = layer.neuron.interval_step(registers, drive, bias)
        current, voltage = max(current, _magnitude(before[0])), max(voltage, _magnitude(before[1]))
        if step > 0 and np.array_equal(registers, after):
            break  # no later step changes anything
        registers = after
    return LayerBound(sums, current, voltage, largest_state(layer.neuron.state_bits))


def _drive(layer: IntLayer, spec: IntInput) -> tuple[int, Interval]:
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


def _wrapped_sums(sums: Interval) -> Interval:
    """A channel whose sums can wrap may deliver anything in 24 bits (proc/conv/models.py, clamp_precision)."""
    least, most = signed_range(REGISTER_BITS)
    wraps = (sums[0] < least) | (sums[1] > most)
    return np.where(wraps, least, sums[0]), np.where(wraps, most, sums[1])


def _sum(one: Interval, other: Interval) -> Interval:
    return one[0] + other[0], one[1] + other[1]


def _magnitude(values: Interval) -> int:
    return max(int(-values[0].min()), int(values[1].max()), 0)
