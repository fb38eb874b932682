"""The CUBA neurons against their equations: floats in numpy, integers against the oracle, intervals, ONNX."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings, strategies as st
from onnx import TensorProto, helper, numpy_helper

from neuroprune.chips.load import load_chip
from neuroprune.fixed_point import LARGEST_STATE
from neuroprune.neurons.cuba_lif import CubaLif, IntCubaLif
from neuroprune.neurons.model import UNKNOWN, FloatNeuron, RegisterBound, fire_float
from neuroprune.simulation.reference import NeuronState, step

RULES = load_chip("loihi-sim").rules
STEPS = 6
HALF = 2**23

FLOATS = [
    CubaLif(0.0, 1.0),
    CubaLif(0.5, 0.75, reset="subtract"),
    CubaLif(0.25, 1.5, current_decay=0.5),
    CubaLif(0.125, 1.0, current_decay=0.25, reset="subtract"),
    CubaLif(0.0, math.inf),
]


def by_equations(neuron: CubaLif, x: np.ndarray, bias: float) -> tuple[np.ndarray, np.ndarray]:
    """Spikes [steps, ...] and the last potentials, of x [steps, ...]."""
    i, v = np.zeros(x.shape[1:]), np.zeros(x.shape[1:])
    spikes = np.zeros(x.shape, bool)
    for now, arrived in enumerate(x):
        i = i * (1 - neuron.current_decay) + arrived
        h = v * (1 - neuron.decay) + i + bias
        spikes[now] = h >= neuron.threshold
        v = np.where(spikes[now], h - neuron.threshold if neuron.reset == "subtract" else 0.0, h)
    return spikes, v


@pytest.mark.parametrize("neuron", FLOATS, ids=repr)
def test_floats_follow_their_equations(neuron: CubaLif) -> None:
    """In sixteenths, which double precision adds and halves without rounding."""
    x = np.random.default_rng(0).integers(-12, 20, (STEPS, 3, 2, 4)) / 16
    expected, last = by_equations(neuron, x, 0.0625)
    spikes, v = fire_float(neuron, torch.from_numpy(x), torch.tensor(0.0625, dtype=torch.float64), STEPS)
    np.testing.assert_array_equal(torch.stack(spikes), expected)
    np.testing.assert_array_equal(v, last)
    assert neuron.integrates or 0 < expected.sum() < expected.size


def test_a_potential_of_just_the_threshold_fires() -> None:
    neuron = CubaLif(0.0, 1.0, reset="subtract")
    for value, fired, after in ((1.0, True, 0.0), (np.nextafter(1.0, 0.0), False, np.nextafter(1.0, 0.0))):
        state = neuron.integrate(neuron.rest(torch.zeros(1)), torch.tensor([value], dtype=torch.float64), 0.0)
        assert (state[-1] >= neuron.threshold).item() is fired
        assert neuron.after_spike(state, state[-1] >= neuron.threshold)[-1].item() == after


@pytest.mark.parametrize("shape", [(), (3,), (2, 4, 5, 5)])
def test_neurons_rest_at_zero_in_the_shape_and_type_they_are_asked_for(shape: tuple[int, ...]) -> None:
    class Plain(FloatNeuron):
        """What a model gets that says nothing."""

        def integrate(self, *_: Any) -> Any: ...
        def to_integers(self, *_: Any) -> Any: ...

    for neuron, states in ((CubaLif(0.0, 1.0), 2), (Plain(), 1)):
        rest = neuron.rest(torch.ones(shape, dtype=torch.float64))
        assert len(rest) == states
        assert all(each.shape == shape and each.dtype == torch.float64 and not each.any() for each in rest)
    assert Plain().gain == 1.0 and Plain().without_gain().gain == 1.0 and not Plain().filters_input
    assert Plain().after_spike((torch.ones(2),), torch.tensor([True, False]))[0].tolist() == [0.0, 1.0]


def test_a_gain_is_taken_out() -> None:
    neuron = CubaLif(0.5, 1.0, gain=0.5, current_decay=0.25, reset="subtract")
    assert vars(neuron.without_gain()) == vars(neuron) | {"gain": 1.0}
    with pytest.raises(AssertionError, match="a float program has no gains"):
        neuron.onnx()


@pytest.mark.parametrize("scale", [0.011, 3.7, 60.0, 1e9])
@pytest.mark.parametrize("threshold", [0.02, 1.0, 7.3])
def test_the_threshold_falls_on_the_first_integer_that_fires(threshold: float, scale: float) -> None:
    fitted, registers = CubaLif(0.3, threshold, current_decay=0.6).to_integers(scale, RULES)
    assert fitted * threshold * 64 == pytest.approx(64 * registers.vth + 1, rel=1e-12)
    assert fitted <= scale or registers.vth == 0
    assert 0 <= registers.vth < 2**RULES.threshold_bits
    if 0 < registers.vth < 2**RULES.threshold_bits - 1:  # the next one would be above the scale asked for
        assert (64 * (registers.vth + 1) + 1) / (64 * threshold) > scale
    assert (registers.decay_v, registers.decay_u) == (round(0.3 * 4096), round(0.6 * 4096) - 1)
    back = registers.to_floats(fitted * 64, integrates=False)
    assert back.threshold == pytest.approx(threshold, rel=1e-12)
    errors = registers.rounding(CubaLif(0.3, threshold, current_decay=0.6), fitted * 64)
    assert errors.threshold < 1e-12 and errors.decay_v == abs(back.decay - 0.3) < 1 / 8192
    assert errors.decay_u == abs(back.current_decay - 0.6) < 1 / 8192


def test_integrators_keep_their_scale_and_get_the_largest_threshold() -> None:
    scale, registers = CubaLif(0.0, math.inf).to_integers(12.5, RULES)
    assert (scale, registers.vth) == (12.5, 2**RULES.threshold_bits - 1)
    assert registers.to_floats(800.0, integrates=True).integrates
    assert registers.rounding(CubaLif(0.0, math.inf), 800.0).threshold == 0.0


def test_what_a_reset_subtracts_is_a_unit_less_than_what_fires() -> None:
    exact = CubaLif(0.0, 1.0, reset="subtract")
    scale, registers = exact.to_integers(10.0, RULES)
    fires_at = 64 * registers.vth + 1
    assert registers.rounding(exact, scale * 64).threshold == pytest.approx(1 / fires_at, rel=1e-9)


@pytest.mark.parametrize("decay_bits", range(1, 13))
@pytest.mark.parametrize("decay", [0.0, 0.001, 0.3, 0.5, 0.77, 0.9999])
def test_decays_are_the_nearest_of_their_field(decay: float, decay_bits: int) -> None:
    rules = replace(RULES, decay_bits=decay_bits)
    _, registers = CubaLif(decay, 1.0, current_decay=1.0 - decay).to_integers(10.0, rules)
    registers.verify(rules)
    field = [step / 2**decay_bits for step in range(2**decay_bits)]
    nearest = min(abs(decay - each) for each in field)
    assert abs(registers.decay_v / 4096 - decay) == pytest.approx(nearest)
    assert abs((registers.decay_u + 1) / 4096 - (1.0 - decay)) == pytest.approx(nearest)
    if decay_bits < 12:
        with pytest.raises(AssertionError):
            replace(registers, decay_v=registers.decay_v + 1).verify(rules)
        with pytest.raises(AssertionError):
            replace(registers, decay_u=registers.decay_u - 1).verify(rules)


def test_a_threshold_is_no_higher_than_the_potential_can_rise() -> None:
    rules = replace(RULES, state_bits=16)
    _, registers = CubaLif(0.0, math.inf).to_integers(10.0, rules)
    assert (registers.vth, registers.state_bits) == (511, 16)
    registers.verify(rules)
    with pytest.raises(AssertionError):
        registers.verify(RULES)


@pytest.mark.parametrize(
    "wrong", [{"vth": -1}, {"vth": 2**17}, {"decay_v": -1}, {"decay_v": 4096}, {"decay_u": -1}, {"decay_u": 4096}]
)
def test_registers_beyond_their_fields_are_a_mistake(wrong: dict[str, int]) -> None:
    right = IntCubaLif(4095, 4095, 2**17 - 1)
    right.verify(RULES)
    with pytest.raises(AssertionError):
        replace(right, **wrong).verify(RULES)


REGISTERS = st.builds(
    IntCubaLif,
    decay_u=st.sampled_from([4095, 4094, 2048, 1, 0]),
    decay_v=st.sampled_from([4095, 3072, 1000, 1, 0]),
    vth=st.sampled_from([0, 1, 30, 131071]),
    reset=st.sampled_from(["zero", "subtract"]),
    state_bits=st.sampled_from([24, 24, 23, 17, 16]),
)
EDGES = [0, 1, -1, 30, 31, 131071, 131072, HALF // 64, HALF // 64 - 1, -(HALF // 64), -(HALF // 64) + 1, HALF // 32]
EDGES += [512, -512, 511, 513, 1536, -1536, 1024, -1023]  # of u of 16 and 17 bits
CURRENTS = st.lists(st.one_of(st.sampled_from(EDGES), st.integers(-(2**19), 2**19)), min_size=STEPS, max_size=STEPS)
BIASES = st.sampled_from([0, -1, 1, 3, -4096 * 128, 4095 * 128])


def by_reference(neuron: IntCubaLif, currents: list[int], bias: int) -> list[NeuronState]:
    states = [NeuronState(0, 0)]
    for current in currents:
        states.append(step(states[-1], current, neuron, bias, 0))
    return states[1:]


@settings(max_examples=300)
@given(REGISTERS, CURRENTS, BIASES)
def test_a_run_is_the_references_at_the_edges_of_the_registers(
    neuron: IntCubaLif, currents: list[int], bias: int
) -> None:
    """With nothing proved, and with what the drive that arrives proves."""
    expected = by_reference(neuron, currents, bias)
    drive = torch.tensor([64 * current + bias for current in currents], dtype=torch.float64)[:, None]
    peak = int(drive.abs().max())
    for bound in (UNKNOWN, neuron.measured_bound(peak, abs(bias), STEPS)):
        run = neuron.start(drive, torch.tensor(float(bias), dtype=torch.float64), bound)
        for arrived, state in zip(drive, expected, strict=True):
            run.integrate(arrived)
            fired = (run.v > 64 * neuron.vth).to(run.v.dtype)
            run.reset(fired)
            u, v = run.registers(arrived)
            assert (int(u), int(v), bool(fired)) == (state.u, state.v, state.spike)
        counts = sum(state.wrapped for state in expected), sum(state.saturated for state in expected)
        assert (run.current_wraps, run.voltage_saturations) == counts
        if bound.current_safe:
            assert counts[0] == 0 and all(abs(state.u) <= bound.current for state in expected)
        if bound.voltage_safe:
            assert counts[1] == 0 and all(abs(state.v) <= bound.voltage for state in expected)


@settings(max_examples=300)
@given(REGISTERS, st.lists(CURRENTS, min_size=2, max_size=4), BIASES)
def test_intervals_hold_all_runs(neuron: IntCubaLif, runs: list[list[int]], bias: int) -> None:
    """The drive of the intervals is from the least to the largest of the runs, step by step."""
    zero = np.zeros(1, np.int64)
    registers = ((zero, zero), (zero, zero))
    states = [NeuronState(0, 0)] * len(runs)
    for now in range(STEPS):
        currents = [run[now] for run in runs]
        drive = np.array([64 * min(currents)]), np.array([64 * max(currents)])
        before, registers = neuron.interval_step(registers, drive, np.array([bias]))
        unlimited = [_unlimited(state, current, neuron, bias) for state, current in zip(states, currents, strict=True)]
        states = [step(state, current, neuron, bias, 0) for state, current in zip(states, currents, strict=True)]
        for held, values in (
            (before[0], [u for u, _ in unlimited]),
            (before[1], [v for _, v in unlimited]),
            (registers[0], [state.u for state in states]),
            (registers[1], [state.v for state in states]),
        ):
            assert held[0][0] <= min(values) and max(values) <= held[1][0]


def _unlimited(state: NeuronState, current: int, neuron: IntCubaLif, bias: int) -> tuple[int, int]:
    """u before it wraps and v before it is cut, after a step from `state`."""
    u = _towards_zero(state.u, 4095 - neuron.decay_u) + 64 * current
    return u, _towards_zero(state.v, 4096 - neuron.decay_v) + step(state, current, neuron, bias, 0).u + bias


def _towards_zero(value: int, keep: int) -> int:
    return int(np.sign(value)) * (abs(value) * keep // 4096)


def test_a_bound_that_is_proved_narrows_the_floats_that_are_used() -> None:
    """float32 where 24 bits hold all that is computed, else float64."""
    neuron, drive = IntCubaLif(4095, 0, 30), torch.zeros(1, 2, dtype=torch.float32)
    assert neuron.start(drive, torch.tensor(0.0), RegisterBound(1000, 1000)).v.dtype == torch.float32
    assert neuron.start(drive, torch.tensor(0.0), UNKNOWN).v.dtype == torch.float64
    assert neuron.start(drive, torch.tensor(0.0), RegisterBound(1000, LARGEST_STATE)).v.dtype == torch.float32
    leaky = replace(neuron, decay_v=1)  # 4095 times the potential
    assert leaky.start(drive, torch.tensor(0.0), RegisterBound(1000, LARGEST_STATE)).v.dtype == torch.float64


@pytest.mark.parametrize("neuron", FLOATS, ids=repr)
def test_a_step_in_onnx_is_a_step_of_the_floats(neuron: CubaLif) -> None:
    x = np.random.default_rng(1).integers(-12, 20, (STEPS, 7)).astype(np.float32) / 16
    bias = np.float32(0.0625)
    session = onnxruntime.InferenceSession(_one_step(neuron, x.shape[1:]), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    states = {name: np.zeros(7, np.float32) for name in neuron.onnx().states}
    expected, last = by_equations(neuron, x.astype(np.float64), float(bias))
    for now, arrived in enumerate(x):
        feed = {"n/received": arrived} | {f"n/{name}/before": value for name, value in states.items()}
        found = dict(zip(names, session.run(None, feed), strict=True))
        states = {name: found[f"n/{name}/after"] for name in states}
        np.testing.assert_array_equal(found["n/spikes"], expected[now])
    np.testing.assert_array_equal(states["v"], last)
    assert ("i" in states) == neuron.filters_input


def _one_step(neuron: CubaLif, shape: tuple[int, ...]) -> bytes:
    """A model of one layer "n" in one step."""
    made = neuron.onnx()

    def named(name: str) -> str:
        return name.replace("*", "n")

    def values(*names: str) -> list[Any]:
        return [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in names]

    constants = {named(name): value for name, value in made.constants.items()} | {"n/bias": 0.0625}
    model = helper.make_model(
        helper.make_graph(
            [
                helper.make_node(kind, [named(each) for each in inputs], [named(output)], **attributes)
                for kind, inputs, output, attributes in made.nodes
            ],
            "step",
            values("n/received", *(f"n/{state}/before" for state in made.states)),
            values("n/spikes", *(f"n/{state}/after" for state in made.states)),
            initializer=[numpy_helper.from_array(np.float32(value), name) for name, value in constants.items()],
        ),
        ir_version=8,
        opset_imports=[helper.make_opsetid("", 18)],
    )
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()
