"""The neurons in floats and in the chip's registers, and the conversions between them."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neuroprune.arrays import FloatArray
from neuroprune.fixed_point import (
    DECAY_UNITY,
    REGISTER_BITS,
    STATE_SHIFT,
    IntegerRules,
    decay_step,
    largest_state,
)
from neuroprune.neurons.cuba_lif.intervals import after_reset, decayed, wrapped_current
from neuroprune.neurons.cuba_lif.run import CubaLifRun, fire_gradient, measured_bound
from neuroprune.neurons.model import (
    HEADROOM,
    FloatNeuron,
    IntegerRun,
    Integers,
    Interval,
    IntNeuron,
    NeuronRounding,
    OnnxStep,
    RegisterBound,
    Registers,
    Reset,
    State,
    WorstDrive,
    largest_vth,
    limit_ratio,
)


@dataclass(frozen=True, eq=False)
class CubaLif(FloatNeuron):
    """Leaky integrate-and-fire neurons, with a synaptic current of their own where current_decay is below 1.

    i = i * (1 - current_decay) + gain * x;  h = v * (1 - decay) + i + bias;  s = 1 if h >= threshold else 0;
    where s, v = 0 (reset "zero") or h - threshold (reset "subtract"), else h.
    decay: 1 / tau of a LIF neuron, 0 of an IF neuron; in [0, 1).
    threshold: > 0, in the units of h; infinite for an integrator, which never fires and is read by its voltage.
    gain: 1 / tau where the neuron decays its input too, else 1; for each neuron where thresholds differ, in units of
    which its potential then is; 1 in a float program.
    current_decay: in (0, 1]; 1 for neurons that keep no current from step to step. Biases enter h, not i, in a float
    program, as on the chip.
    resolution: the steps in which the module cuts its current and its potential; 0 where it computes in floats.
    """

    decay: float
    threshold: float
    gain: float | FloatArray = 1.0
    current_decay: float = 1.0
    reset: Reset = "zero"
    resolution: float = 0.0

    @property
    def filters_input(self) -> bool:
        """Whether a current is kept from step to step."""
        return self.current_decay < 1.0

    def rest(self, like: Tensor) -> State:
        """Current i and potential v."""
        return torch.zeros_like(like), torch.zeros_like(like)

    def integrate(self, state: State, current: Tensor, bias: Tensor | float) -> State:
        """i and h."""
        i, v = state
        i = i * (1.0 - self.current_decay) + current if self.filters_input else current
        return i, v * (1.0 - self.decay) + i + bias

    def deviation(self, steps: int) -> float:
        """The module cuts what it receives, and what the decays leave of current and potential."""
        i = v = 0.0
        for _ in range(steps):
            i = i * (1.0 - self.current_decay) + 2.0 * self.resolution
            v = v * (1.0 - self.decay) + i + self.resolution
        return v

    def after_spike(self, state: State, fired: Tensor) -> State:
        """i stays, h becomes v."""
        i, h = state
        return i, torch.where(fired, h - self.threshold if self.reset == "subtract" else 0.0, h)

    def onnx(self) -> OnnxStep:
        """i is carried from step to step only where it does not decay at once."""
        assert np.all(self.gain == 1.0), "a float program has no gains"
        constants = {"*/v/keep": 1.0 - self.decay, "*/threshold": self.threshold, "*/zero": 0.0}
        current = "*/received"
        nodes: list[tuple[str, tuple[str, ...], str, dict[str, Any]]] = []
        if self.filters_input:
            constants["*/i/keep"] = 1.0 - self.current_decay
            current = "*/i/after"
            nodes += [
                ("Mul", ("*/i/before", "*/i/keep"), "*/i/kept", {}),
                ("Add", ("*/i/kept", "*/received"), current, {}),
            ]
        nodes += [
            ("Mul", ("*/v/before", "*/v/keep"), "*/v/kept", {}),
            ("Add", ("*/v/kept", current), "*/driven", {}),
            ("Add", ("*/driven", "*/bias"), "*/h", {}),
            ("GreaterOrEqual", ("*/h", "*/threshold"), "*/fires", {}),
            ("Cast", ("*/fires",), "*/spikes", {"to": 1}),  # onnx.TensorProto.FLOAT
        ]
        rest = "*/zero"
        if self.reset == "subtract":
            rest = "*/beyond"
            nodes.append(("Sub", ("*/h", "*/threshold"), rest, {}))
        nodes.append(("Where", ("*/fires", rest, "*/h"), "*/v/after", {}))
        return OnnxStep(("v", "i") if self.filters_input else ("v",), constants, tuple(nodes))

    def register_limits(self, drive: WorstDrive, rules: IntegerRules) -> dict[str, float]:
        """u within its register, by the worst input or by `HEADROOM` times calibration's peak; v of integrators too.

        "voltage", of integrators: v stays below the chip's largest threshold, by either of the two.
        """
        worst = drive.current * _geometric(1.0 - self.current_decay, drive.steps)
        limits = super().register_limits(replace(drive, current=worst), rules)
        if self.integrates:
            largest = float(largest_vth(rules))
            highest = float((worst + abs(drive.bias)).max()) * _geometric(1.0 - self.decay, drive.steps)
            limits["voltage"] = max(limit_ratio(largest, highest), limit_ratio(largest, drive.peak_voltage * HEADROOM))
        return limits

    def to_integers(self, scale: float, rules: IntegerRules) -> "tuple[float, IntCubaLif]":
        """A neuron that resets by subtraction keeps one unit of v more than its float version; see `fit_threshold`."""
        scale, vth = self.fit_threshold(scale, rules)
        step = decay_step(rules.decay_bits)
        decay_u, decay_v = (round(decay * DECAY_UNITY / step) * step for decay in (self.current_decay, self.decay))
        return scale, IntCubaLif(
            decay_u=max(decay_u, step) - 1,
            decay_v=min(decay_v, DECAY_UNITY - step),
            vth=vth,
            reset=self.reset,
            state_bits=rules.state_bits,
        )


@dataclass(frozen=True, eq=False)
class IntCubaLif(IntNeuron):
    """u = decay(u) + 64 * current, v = decay(v) + u + bias, a spike where v > 64 * vth (lava/proc/lif/models.py).

    decay_u, decay_v: 12-bit decays; decay_u = 4095 keeps no current, decay_v = 0 keeps all voltage.
    vth: 17-bit mantissa.
    reset: what a spike does to v: "zero" as in Lava's model, or "subtract" vth * 64, which Lava has no model of.
    state_bits: u wraps and v saturates at so many bits; 24 as in Lava's model, where u wraps once and may stay beyond
    them, or fewer, of which Lava has no model: then u wraps around into (-2**(bits-1), 2**(bits-1)].
    """

    decay_u: int
    decay_v: int
    vth: int
    reset: Reset = "zero"
    state_bits: int = REGISTER_BITS

    def verify(self, rules: IntegerRules) -> None:
        """Threshold and decays within their fields."""
        super().verify(rules)
        step = decay_step(rules.decay_bits)
        lost_u, lost_v = self._decays
        assert step <= lost_u <= DECAY_UNITY and 0 <= lost_v < DECAY_UNITY, self
        assert lost_u % step == lost_v % step == 0, self

    def to_floats(self, scale: float, integrates: bool) -> CubaLif:
        """Where a spike subtracts from v, the chip subtracts one unit of v less than what fires."""
        return CubaLif(
            decay=self.decay_v / DECAY_UNITY,
            threshold=math.inf if integrates else ((self.vth << STATE_SHIFT) + 1) / scale,
            current_decay=(self.decay_u + 1) / DECAY_UNITY,
            reset=self.reset,
        )

    def rounding(self, exact: FloatNeuron, scale: float) -> NeuronRounding:
        """threshold: relative, the larger of what fires and what a reset subtracts. decays: absolute."""
        assert isinstance(exact, CubaLif)
        return replace(
            super().rounding(exact, scale),
            decay_v=abs(self.decay_v / DECAY_UNITY - exact.decay),
            decay_u=abs((self.decay_u + 1) / DECAY_UNITY - exact.current_decay),
        )

    def interval_step(self, registers: Registers, drive: Interval, bias: Integers) -> tuple[Registers, Registers]:
        """Decays round toward zero, which keeps the order of values: ends of an interval lead to ends of the next."""
        u, v = (decayed(ends, DECAY_UNITY - decay) for ends, decay in zip(registers, self._decays, strict=True))
        u = u[0] + drive[0], u[1] + drive[1]
        wrapped = wrapped_current(u, self.state_bits)
        v = v[0] + wrapped[0] + bias, v[1] + wrapped[1] + bias
        limit = largest_state(self.state_bits)
        saturated = v[0].clip(-limit, limit), v[1].clip(-limit, limit)
        return (u, v), (wrapped, after_reset(saturated, self.vth << STATE_SHIFT, self.reset))

    def measured_bound(self, peak: int, largest_bias: int, steps: int) -> RegisterBound:
        """Geometric series, which rounding toward zero and a reset only shorten."""
        return measured_bound(peak, largest_bias, steps, *self._decays, largest_state(self.state_bits))

    def start(self, drive: Tensor, bias: Tensor, bound: RegisterBound) -> IntegerRun:
        """In float32 where the bound proves that it holds every value, else in float64."""
        return CubaLifRun(drive, bias, bound, *self._decays, self.vth << STATE_SHIFT, self.reset, self.state_bits)

    def gradient(
        self, of_spikes: Tensor, of_v: Tensor, potentials: Tensor, spikes: Tensor, shared: bool
    ) -> tuple[Tensor, Tensor]:
        """That of the arc tangent around the threshold; roundings pass it on, the reset is not differentiated."""
        threshold = self.vth << STATE_SHIFT
        return fire_gradient(of_spikes, of_v, potentials, spikes, shared, *self._decays, threshold, self.reset)

    def lava(self) -> dict[str, Any] | None:
        """Lava's LIFReset, or ours that subtracts the threshold or has narrower registers."""
        return {
            "decay_u": self.decay_u,
            "decay_v": self.decay_v,
            "vth": self.vth,
            "reset": self.reset,
            "state_bits": self.state_bits,
        }

    def lava_remark(self) -> str | None:
        """For the soft reset and for narrower registers, which Lava does not have."""
        if self.state_bits < REGISTER_BITS:
            soft = "; a soft reset subtracts the threshold" if self.reset == "subtract" else ""
            return (
                f"Registers wrap and saturate at {self.state_bits} bits, where those of Lava's model have "
                f"{REGISTER_BITS}{soft}; the rest of it is Lava's own."
            )
        if self.reset == "zero":
            return None
        return "Soft reset subtracts the threshold, which Lava has no model of; the rest of it is Lava's own."

    @property
    def _decays(self) -> tuple[int, int]:
        """What u and v lose in a step, in 4096ths."""
        return self.decay_u + 1, self.decay_v


def _geometric(ratio: float, terms: int) -> float:
    """1 + ratio + ... over so many terms."""
    return float(terms) if ratio == 1.0 else (1.0 - ratio**terms) / (1.0 - ratio)
