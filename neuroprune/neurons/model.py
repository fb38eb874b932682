"""The protocol of neuron models. Everything else in neuroprune uses neurons through the classes of this file.

A model is a folder (or a file) beside this one that holds

    a `FloatNeuron`   the parameters as training has them, and one step in floats: what tracing reads from a module,
                      what folding keeps, what calibration and ONNX run;
    an `IntNeuron`    the chip's registers, and one step in integers: what the engine runs, what bounds prove, what
                      fine-tuning trains through, what describes them to Lava;
    a `NeuronModel`   its name, and the module classes that it is read from.

It enters `NEURON_MODELS` in neurons/catalog.py, or is passed to `trace`, `compress` and `deploy` as an object of one's
own. Only the reference in simulation/reference.py keeps a copy of the integer rules, as an oracle; a model without a
copy there is not covered by `make fuzz`.

Neurons that keep a potential alone, fire at a threshold and are reset to 0 bring six methods: `integrate` and
`to_integers` in floats, `to_floats` and `start` in integers, `integrate` and `registers` of an `IntegerRun`. All others
have a default that states its assumptions.

Shapes: a population's tensors are [samples, *shape of the layer]; one value per channel broadcasts to them.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from neuroprune.arrays import FloatArray
from neuroprune.errors import InputError
from neuroprune.fixed_point import LARGEST_STATE, REGISTER_BITS, STATE_SHIFT, IntegerRules, largest_state

if TYPE_CHECKING:
    from torch import Tensor, nn

Integers = npt.NDArray[np.int64]
Reset = Literal["zero", "subtract"]

State: TypeAlias = "tuple[Tensor, ...]"
"""What neurons keep from step to step: first the current, where the model keeps one, last the potential."""

Interval = tuple[Integers, Integers]
"""Least and largest value of each channel."""

Registers = tuple[Interval, Interval]
"""The intervals of u and v."""


@dataclass(frozen=True, eq=False)
class WorstDrive:
    """The largest input that neurons can receive, in units of potential.

    current: float64 [channels], the largest magnitude that one step can deliver. bias: float64 [channels].
    peak_current, peak_voltage: largest magnitudes of the current and the potential on calibration data; infinite where
    they were not measured. steps: of a sample.
    """

    current: FloatArray
    bias: FloatArray
    peak_current: float
    peak_voltage: float
    steps: int


@dataclass(frozen=True)
class OnnxStep:
    """One step as ONNX operators on names of tensors; `*` stands for the name of the layer.

    states: what is carried from step to step, as "*/<state>/before" and "*/<state>/after". constants: float32 values by
    name. nodes: (operator, inputs, output, attributes); they read "*/received", what the synapses deliver, and
    "*/bias", and give "*/spikes", 0 or 1 as float32.
    """

    states: tuple[str, ...]
    constants: Mapping[str, float]
    nodes: tuple[tuple[str, tuple[str, ...], str, Mapping[str, Any]], ...]


HEADROOM = 2.0
"""Allowed ratio of currents on unseen data to those of calibration; a choice, so the engine counts each overflow."""


class FloatNeuron(ABC):
    """The neurons of one layer in floats; subclasses are frozen dataclasses that hold at least the threshold.

    threshold: > 0, in the units of the potential; infinite for an integrator, which never fires and is read by its
    voltage. gain: factor of the input, one for all or, in the layer's shape, one for each neuron, as of thresholds that
    differ; folded into the synapses, so 1 in a float program. A field of the subclass where its neurons have one.
    """

    threshold: float
    gain: float | FloatArray = 1.0

    @property
    def integrates(self) -> bool:
        """Whether they never fire."""
        return math.isinf(self.threshold)

    @property
    def filters_input(self) -> bool:
        """Whether they keep a synaptic current from step to step, which biases on the chip do not enter."""
        return False

    def without_gain(self) -> Self:
        """The same neurons with gain 1, for inputs that are multiplied by the gain already."""
        if np.all(self.gain == 1.0):
            return self
        return dataclasses.replace(self, gain=1.0)  # type: ignore[type-var]  # subclasses are dataclasses

    def rest(self, like: Tensor) -> State:
        """The state before the first step, zeros in the shape of `like`; by default the potential alone."""
        return (like.new_zeros(like.shape),)

    @abstractmethod
    def integrate(self, state: State, current: Tensor, bias: Tensor | float) -> State:
        """The state of the next step before a spike; a neuron fires where its last tensor >= threshold."""

    def deviation(self, steps: int) -> float:
        """How far the module's own potential may be from these equations after `steps` steps, beyond float rounding.

        By default 0: the module computes in floats, too.
        """
        return 0.0

    def after_spike(self, state: State, fired: Tensor) -> State:
        """The state of neurons that `fired`, bool, after their spike; that of the others as it is.

        By default the potential is reset to 0.
        """
        return (*state[:-1], state[-1].masked_fill(fired, 0.0))

    def onnx(self) -> OnnxStep | None:
        """The same step in ONNX, for neurons without gain; None, the default, where there is none."""
        return None

    def register_limits(self, drive: WorstDrive, rules: IntegerRules) -> dict[str, float]:
        """Largest scale (units of the weights for one of potential) at which each register holds its values.

        By name: "current" and "voltage" for the registers u and v, "threshold" for that of neurons that fire. By
        default what arrives in one step is within u, by the worst input or by `HEADROOM` times calibration's peak.
        """
        register = largest_state(rules.state_bits) / (1 << STATE_SHIFT)
        worst = limit_ratio(register, float(drive.current.max()))
        limits = {"current": max(worst, limit_ratio(register, drive.peak_current * HEADROOM))}
        if not self.integrates:
            limits["threshold"] = largest_vth(rules) / self.threshold
        return limits

    def fit_threshold(self, scale: float, rules: IntegerRules) -> tuple[float, int]:
        """The nearest scale, at most `scale`, at which the threshold falls on 64 vth + 1 units of v, and vth.

        A neuron that fires at h >= threshold and one that fires at v > 64 vth then agree, since a potential of exactly
        the threshold is the first that fires on either side. Integrators get the largest threshold there is.
        """
        vth = largest_vth(rules)
        if self.integrates:
            return scale, vth
        unit = 1 << STATE_SHIFT
        vth = min(max(int((scale * self.threshold * unit - 1) // unit), 0), vth)
        return (unit * vth + 1) / (unit * self.threshold), vth

    @abstractmethod
    def to_integers(self, scale: float, rules: IntegerRules) -> tuple[float, IntNeuron]:
        """The nearest scale, at most `scale`, that the threshold can be expressed in, and the registers at it.

        See `fit_threshold`.
        """


@dataclass(frozen=True)
class RegisterBound:
    """Magnitudes that u, before it wraps, and v, before it saturates, do not exceed; limit: the registers' largest."""

    current: int
    voltage: int
    limit: int = LARGEST_STATE

    @property
    def current_safe(self) -> bool:
        """Whether u cannot wrap."""
        return self.current <= self.limit

    @property
    def voltage_safe(self) -> bool:
        """Whether v cannot saturate."""
        return self.voltage <= self.limit


UNKNOWN = RegisterBound(LARGEST_STATE + 1, LARGEST_STATE + 1)
"""The bound where nothing is proved."""


@dataclass(frozen=True)
class NeuronRounding:
    """How far registers are from the floats that they stand for; see `RoundingErrors` of quantization/errors.py."""

    threshold: float
    decay_v: float = 0.0
    decay_u: float = 0.0


class IntegerRun(ABC):
    """The integers of one layer while it runs, in floating point that is exact.

    v: the potential; a neuron fires where v > 64 vth. current_wraps, voltage_saturations: overflows so far.
    """

    v: Tensor
    current_wraps: int = 0
    voltage_saturations: int = 0

    @abstractmethod
    def integrate(self, arrived: Tensor) -> None:
        """One step up to the spike, in place; arrived: 64 * synaptic current + bias, which is not changed."""

    def reset(self, fired: Tensor) -> None:
        """The effect of spikes on v, in place, by default 0; fired: 0 or 1 in the type of v."""
        self.v.addcmul_(self.v, fired, value=-1)

    @abstractmethod
    def registers(self, arrived: Tensor) -> tuple[Tensor, Tensor]:
        """Copies of u and v at the end of the step that received `arrived`."""


class IntNeuron(ABC):
    """The registers of one layer's neurons; subclasses are frozen dataclasses that hold at least the threshold.

    vth: mantissa of the threshold; a neuron fires where v > vth * 64. reset: what a spike does to v, for reports and
    files; where it is not "zero", `FloatNeuron.after_spike` and `IntegerRun.reset` are the subclasses' own.
    state_bits: of u and v, with sign. Neurons with registers of 24 bits alone need not speak of it: they are refused
    for chips that have fewer.
    """

    vth: int
    reset: Reset = "zero"
    state_bits: int = REGISTER_BITS

    def verify(self, rules: IntegerRules) -> None:
        """Assert that every register is within its field; by default the threshold, and that u and v are the chip's."""
        assert 0 <= self.vth <= largest_vth(rules) and self.state_bits == rules.state_bits, self

    @abstractmethod
    def to_floats(self, scale: float, integrates: bool) -> FloatNeuron:
        """The float neurons that the registers stand for; scale: units of v for one of potential."""

    def rounding(self, exact: FloatNeuron, scale: float) -> NeuronRounding:
        """How far they are from `exact`, which they were rounded from; by default of the threshold alone."""
        units = self.vth << STATE_SHIFT
        expressed = (units + 1,) if self.reset == "zero" else (units + 1, units)
        return NeuronRounding(
            0.0 if exact.integrates else max(abs(each / scale / exact.threshold - 1.0) for each in expressed)
        )

    def interval_step(self, registers: Registers, drive: Interval, bias: Integers) -> tuple[Registers, Registers]:
        """One step for intervals: u and v before they overflow, and at the end of the step.

        drive: what the synapses add to u; bias: int64 [channels], what is added to v; both in units of v. By default
        nothing is proved: either register may overflow.
        """
        beyond = np.full_like(bias, LARGEST_STATE + 1)
        anything: Interval = (-beyond, beyond)
        return (anything, anything), (anything, anything)

    def measured_bound(self, peak: int, largest_bias: int, steps: int) -> RegisterBound:
        """Bounds of u and v when the input of each step, bias included, is at most `peak` in magnitude."""
        return UNKNOWN

    @abstractmethod
    def start(self, drive: Tensor, bias: Tensor, bound: RegisterBound) -> IntegerRun:
        """A run from u = v = 0 for drives like `drive`, [steps or 1, samples, *shape].

        bias: the part of the drive that is bias, broadcastable to it. bound: what is proved; overflow checks that it
        makes unnecessary are left out.
        """

    def gradient(
        self, of_spikes: Tensor, of_v: Tensor, potentials: Tensor, spikes: Tensor, shared: bool
    ) -> tuple[Tensor, Tensor]:
        """Gradients of the synaptic current, [steps or 1, ...], and of the bias, for fine-tuning in integers.

        of_spikes: [steps, ...]; of_v: of the last voltages; potentials: v before the reset, in all steps; shared:
        whether every step received the same current. Raises InputError where the model has no gradient.
        """
        raise InputError(f"{type(self).__name__} neurons have no gradient for fine-tuning in integers: leave it out")

    def lava(self) -> dict[str, Any] | None:
        """Parameters, as JSON values, of the process in simulation/lava_worker/network.py; None where Lava has none."""
        return None

    def lava_remark(self) -> str | None:
        """A sentence on what of that process is neuroprune's and not Lava's, None for a process of Lava's."""
        return None


@dataclass(frozen=True)
class NeuronModel:
    """A model's name and its readers, by the class of a module; subclasses of that are not read.

    readers: by the class, or by its full name where importing it should wait. A reader gets the layer's name and the
    module, and returns its neurons or the sentence that says why not.
    """

    name: str
    readers: Mapping[type[nn.Module] | str, Callable[[str, Any], FloatNeuron | str]]

    def reader_of(self, module: nn.Module) -> Callable[[str, Any], FloatNeuron | str] | None:
        """The reader of the exact class of `module`, if there is one."""
        return self.reader_of_class(type(module))

    def reader_of_class(self, kind: type[nn.Module]) -> Callable[[str, Any], FloatNeuron | str] | None:
        """The reader of modules of exactly the class `kind`, if there is one."""
        return self.readers.get(kind) or self.readers.get(f"{kind.__module__}.{kind.__qualname__}")


def fire_float(
    neuron: FloatNeuron,
    drive: Tensor,
    bias: Tensor,
    steps: int,
    feedback: Callable[[Tensor], Tensor] | None = None,
) -> tuple[list[Tensor], Tensor]:
    """Spikes of each step, bool, and the last potentials; a drive of one step is presented at every step.

    feedback: what the spikes of a step, bool, add to the drive of the next, where neurons read themselves.
    """
    state = neuron.rest(drive[0])
    spikes: list[Tensor] = []
    for step in range(steps):
        arrived = drive[step if len(drive) > 1 else 0]
        if feedback is not None and spikes:
            arrived = arrived + feedback(spikes[-1])
        state = neuron.integrate(state, arrived, bias)
        fired = state[-1] >= neuron.threshold
        state = neuron.after_spike(state, fired)
        spikes.append(fired)
    return spikes, state[-1]


def largest_vth(rules: IntegerRules) -> int:
    """The largest mantissa of a threshold: that of its field, or the largest that v can exceed."""
    return min((1 << rules.threshold_bits) - 1, largest_state(rules.state_bits) >> STATE_SHIFT)


def limit_ratio(limit: float, value: float) -> float:
    """`limit` over `value`; infinite where the value is 0."""
    return limit / value if value > 0.0 else math.inf
