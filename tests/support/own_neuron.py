"""A neuron model of one's own, through the public API: integrate-and-fire whose potential never falls below a floor.

v = max(v + x + bias, floor);  a spike where v >= threshold, and then v = 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from spikingjelly.activation_based import base, surrogate
from torch import Tensor

import neuroprune


class FloorIF(base.MemoryModule):
    """The module that is trained."""

    def __init__(self, v_threshold: float = 1.0, floor: float = -0.5) -> None:
        super().__init__()
        self.step_mode = "m"
        self.v_threshold, self.floor = v_threshold, floor
        self.surrogate = surrogate.ATan()
        self.register_memory("v", 0.0)

    def single_step_functional_forward(
        self, inputs: tuple[Tensor, ...], states: tuple[object, ...], **options: object
    ) -> tuple[tuple[Tensor, ...], tuple[object, ...]]:
        h = (states[0] + inputs[0]).clamp(min=self.floor)
        spikes = self.surrogate(h - self.v_threshold)
        return (spikes,), ((1.0 - spikes) * h,)


@dataclass(frozen=True, eq=False)
class FloorNeuron(neuroprune.FloatNeuron):
    """floor: at most 0, in units of the potential."""

    threshold: float
    floor: float

    def integrate(self, state: neuroprune.State, current: Tensor, bias: Tensor | float) -> neuroprune.State:
        return ((state[0] + current + bias).clamp(min=self.floor),)

    def onnx(self) -> neuroprune.OnnxStep:
        constants = {"*/floor": self.floor, "*/threshold": self.threshold, "*/zero": 0.0}
        nodes: tuple[tuple[str, tuple[str, ...], str, Mapping[str, int]], ...] = (
            ("Add", ("*/v/before", "*/received"), "*/driven", {}),
            ("Add", ("*/driven", "*/bias"), "*/sum", {}),
            ("Max", ("*/sum", "*/floor"), "*/h", {}),
            ("GreaterOrEqual", ("*/h", "*/threshold"), "*/fires", {}),
            ("Cast", ("*/fires",), "*/spikes", {"to": 1}),
            ("Where", ("*/fires", "*/zero", "*/h"), "*/v/after", {}),
        )
        return neuroprune.OnnxStep(("v",), constants, nodes)

    def register_limits(self, drive: neuroprune.WorstDrive, rules: neuroprune.IntegerRules) -> dict[str, float]:
        """The floor is within v as well."""
        largest = neuroprune.LARGEST_STATE / (1 << neuroprune.STATE_SHIFT)
        return super().register_limits(drive, rules) | {"voltage": largest / max(-self.floor, 1e-30)}

    def to_integers(self, scale: float, rules: neuroprune.IntegerRules) -> "tuple[float, IntFloorNeuron]":
        scale, vth = self.fit_threshold(scale, rules)
        return scale, IntFloorNeuron(vth, round(self.floor * scale * (1 << neuroprune.STATE_SHIFT)))


@dataclass(frozen=True, eq=False)
class IntFloorNeuron(neuroprune.IntNeuron):
    """v = max(v + 64 * current + bias, floor), cut at 2**23 - 1; a spike where v > 64 * vth, and then v = 0.

    floor: at most 0, in units of v.
    """

    vth: int
    floor: int

    def verify(self, rules: neuroprune.IntegerRules) -> None:
        super().verify(rules)
        assert -neuroprune.LARGEST_STATE <= self.floor <= 0, self

    def to_floats(self, scale: float, integrates: bool) -> FloorNeuron:
        assert not integrates
        return FloorNeuron(((self.vth << neuroprune.STATE_SHIFT) + 1) / scale, self.floor / scale)

    def interval_step(
        self, registers: neuroprune.Registers, drive: neuroprune.Interval, bias: np.ndarray
    ) -> tuple[neuroprune.Registers, neuroprune.Registers]:
        (low, high), threshold = registers[1], self.vth << neuroprune.STATE_SHIFT
        low, high = (np.maximum(end + added + bias, self.floor) for end, added in zip((low, high), drive, strict=True))
        fires = high > threshold
        after = np.where(fires, np.minimum(low, 0), low), np.minimum(high, threshold)
        return (drive, (low, high)), (drive, after)

    def start(self, drive: Tensor, bias: Tensor, bound: neuroprune.RegisterBound) -> "FloorRun":
        return FloorRun(drive, bias, self.floor)


class FloorRun(neuroprune.IntegerRun):
    """In float64, which is exact up to 2**53. The floor is what these neurons do; only what is cut is an overflow."""

    def __init__(self, drive: Tensor, bias: Tensor, floor: int) -> None:
        self.v = drive.new_zeros(drive.shape[1:], dtype=torch.float64)
        self._bias, self._floor = bias, floor

    def integrate(self, arrived: Tensor) -> None:
        self.v.add_(arrived)
        self.voltage_saturations += int((self.v > neuroprune.LARGEST_STATE).sum())
        self.v.clamp_(self._floor, neuroprune.LARGEST_STATE)

    def registers(self, arrived: Tensor) -> tuple[Tensor, Tensor]:
        return arrived - self._bias, self.v.clone()


def _read(name: str, module: FloorIF) -> FloorNeuron | str:
    if module.floor > 0.0:
        return f"layer {name}: floor {module.floor:g} cannot be mapped; it must be at most 0"
    return FloorNeuron(module.v_threshold, module.floor)


MODEL = neuroprune.NeuronModel("floor", {FloorIF: _read})


@dataclass(frozen=True, eq=False)
class IntTrainedFloorNeuron(IntFloorNeuron):
    """The same with a gradient, a window around the threshold; roundings pass it on."""

    def gradient(
        self, of_spikes: Tensor, of_v: Tensor, potentials: Tensor, spikes: Tensor, shared: bool
    ) -> tuple[Tensor, Tensor]:
        fires_at = (self.vth << neuroprune.STATE_SHIFT) + 1
        of_bias = torch.zeros_like(of_v)
        of_current = torch.zeros_like(potentials[:1] if shared else potentials)
        for step in reversed(range(len(potentials))):
            v = potentials[step]
            near = (v - fires_at).abs() < fires_at
            of_v = of_v * (1.0 - spikes[step]) + of_spikes[step] * near / fires_at
            of_v = of_v * (v > self.floor)
            of_bias = of_bias + of_v
            of_current[0 if shared else step] += of_v * (1 << neuroprune.STATE_SHIFT)
        return of_current, of_bias
