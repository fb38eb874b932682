"""The static bounds against the oracle on the worst inputs, and against all inputs where they are few."""

import dataclasses
import itertools

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings, strategies as st
from programs import NEURON, Neurons, conv, dense, program_of, programs, with_bias

from neuroprune.fixed_point import LARGEST_STATE
from neuroprune.neurons.cuba_lif import IntCubaLif
from neuroprune.program.bounds import LayerBound, layer_bounds
from neuroprune.program.types import IntBias, IntInput, IntLayer, IntProgram
from neuroprune.simulation.reference import NeuronState, run_reference, step, synaptic_current

Integers = npt.NDArray[np.int64]


def reached(layer: IntLayer, frames: Integers) -> LayerBound:
    """The magnitudes that a layer of one connection reaches in [steps, *input shape], in Python's own integers.

    `step` returns u after its wrap and v after its cut and reset, so both are worked out again before these.
    """
    synapse, neuron = layer.connections[0].synapse, layer.neuron
    biases = np.repeat(layer.bias.mantissa, np.prod(layer.shape[1:], dtype=int)).tolist()
    states = [NeuronState(0, 0)] * len(biases)
    sums = current = voltage = 0
    for frame in frames:
        delivered, _ = synaptic_current(synapse, frame)
        before, states = (
            states,
            [
                step(state, current, neuron, bias, layer.bias.exponent)
                for state, current, bias in zip(states, delivered.reshape(-1).tolist(), biases, strict=True)
            ],
        )
        for old, new, arrived, bias in zip(before, states, delivered.reshape(-1).tolist(), biases, strict=True):
            u = int(old.u * (4095 - neuron.decay_u) / 4096) + 64 * arrived
            v = int(old.v * (4096 - neuron.decay_v) / 4096) + new.u + bias * 2**layer.bias.exponent
            current, voltage = max(current, abs(u)), max(voltage, abs(v))
            sums = max(sums, abs(arrived))
    return LayerBound(sums, current, voltage)


def dense_layer(weight: list[int], neuron: Neurons = NEURON) -> IntLayer:
    return dense("out", "input", (1, 1, len(weight)), np.array([weight]), neuron)


def spiking_input(program: IntProgram, sequence: bool = True) -> IntProgram:
    return dataclasses.replace(program, input=IntInput(program.input.shape, 1.0, 0, sequence))


Biased = tuple[IntCubaLif, IntBias]

REGISTERS = st.tuples(
    st.builds(
        IntCubaLif,
        decay_u=st.sampled_from([4095, 4000, 2048, 1, 0]),
        decay_v=st.sampled_from([4095, 3072, 1000, 1, 0]),
        vth=st.sampled_from([0, 1, 30, 131071]),
        reset=st.sampled_from(["zero", "subtract"]),
    ),
    st.builds(
        IntBias,
        mantissa=st.sampled_from([-4096, -3, 0, 1, 4095]).map(lambda bias: np.array([bias], np.int32)),
        exponent=st.sampled_from([0, 6, 7]),
    ),
)
"""Registers and biases at the ends of their ranges."""

WEIGHTS = st.integers(-128, 127).map(lambda half: 2 * half)


@settings(max_examples=100, deadline=None)
@given(
    REGISTERS, st.lists(st.integers(-128, 127).map(lambda half: 2 * half), min_size=1, max_size=3), st.integers(1, 3)
)
def test_no_pattern_of_spikes_exceeds_the_bound(neuron: Biased, weight: list[int], steps: int) -> None:
    """All inputs of all steps: at most 2**9."""
    layer = dense_layer(weight, neuron)
    bound = layer_bounds(spiking_input(program_of(layer, steps=steps)))["out"]
    for bits in itertools.product((0, 1), repeat=steps * len(weight)):
        found = reached(layer, np.array(bits, np.int64).reshape(steps, 1, 1, -1))
        assert found.current <= bound.current
        assert found.voltage <= bound.voltage


@settings(max_examples=200, deadline=None)
@given(REGISTERS, st.integers(1, 1400), st.integers(1, 12), st.lists(st.sampled_from([-128, 0, 127]), min_size=12))
def test_no_graded_input_exceeds_the_bound(neuron: Biased, inputs: int, steps: int, values: list[int]) -> None:
    """Up to both wraps: 1024 weights of -256 times -128 are 2**31 in units of u."""
    layer = dense_layer([-256] * inputs, neuron)
    bound = layer_bounds(program_of(layer, steps=steps))["out"]
    frames = np.broadcast_to(np.array(values[:steps]).reshape(-1, 1, 1, 1), (steps, 1, 1, inputs))
    found = reached(layer, frames)
    assert found.current <= bound.current
    assert found.voltage <= bound.voltage


@settings(max_examples=100, deadline=None)
@given(programs())
def test_a_layer_that_is_proved_safe_never_overflows(case: tuple[IntProgram, npt.NDArray[np.int8]]) -> None:
    program, frames = case
    record, trace = run_reference(program, frames)
    bounds = layer_bounds(program)
    assert list(bounds) == [layer.name for layer in program.layers]
    for states, counts in zip(record.layers, trace.layers, strict=True):
        bound = bounds[states.name]
        assert states.u is not None and states.v is not None
        if bound.safe:
            assert np.abs(states.u).max() <= bound.current
            assert np.abs(states.v).max() <= bound.voltage
        assert counts.current_wraps == 0 or not (bound.sums_safe and bound.registers.current_safe)
        assert counts.voltage_saturations == 0 or not bound.registers.voltage_safe


@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_the_bound_is_reached_where_nothing_fires_or_wraps(reset: str) -> None:
    """The same worst input at every step: two geometric series, rounded at every step."""
    neuron = with_bias(IntCubaLif(1000, 300, 131071, reset), [-7])  # type: ignore[arg-type]
    layer = dense_layer([-256, 100, -34], neuron)
    bound = layer_bounds(spiking_input(program_of(layer, steps=9)))["out"]
    found = reached(layer, np.broadcast_to(np.array([1, 0, 1]).reshape(1, 1, 1, 3), (9, 1, 1, 3)))
    assert (bound.current, bound.voltage) == (found.current, found.voltage)
    assert bound.safe


@pytest.mark.parametrize(("spikes", "voltage"), [(1, 64 * 100), (2, 64 * 200), (3, 64 * 250), (9, 64 * 250)])
def test_a_soft_reset_leaves_what_is_above_the_threshold(spikes: int, voltage: int) -> None:
    """Threshold 150, input 100 a step: v can be 150 before a step, 250 after it, and then 100 once reset."""
    neuron = dataclasses.replace(NEURON, decay_v=0, vth=150, reset="subtract")
    assert layer_bounds(spiking_input(program_of(dense_layer([100], neuron), steps=spikes)))["out"].voltage == voltage


def test_a_soft_reset_does_not_keep_up_with_a_larger_input() -> None:
    neuron = dataclasses.replace(NEURON, decay_v=0, vth=40, reset="subtract")
    bound = layer_bounds(spiking_input(program_of(dense_layer([100], neuron), steps=10)))["out"]
    assert bound.voltage == 64 * (10 * 100 - 9 * 40)


@pytest.mark.parametrize(("inputs", "safe"), [(511, True), (513, False)])
def test_sums_of_a_convolution_are_bounded_at_24_bits(inputs: int, safe: bool) -> None:
    """512 weights of -128 and inputs of -128 are 2**23, one more than the largest value of 24 bits."""
    layer = conv("out", "input", (inputs, 1, 1), np.full((1, inputs, 1, 1), -128))
    bound = layer_bounds(program_of(layer, steps=1))["out"]
    assert bound.sums == inputs * 128 * 128
    assert bound.sums_safe == safe
    assert (bound.sums_ratio > 1) != safe
    assert bound.current == 64 * (bound.sums if safe else 2**23)


def test_signs_are_added_apart_and_channels_too() -> None:
    layer = dense("out", "input", (1, 1, 3), np.array([[200, -256, 100], [-256, -200, 0]]))
    assert layer_bounds(spiking_input(program_of(layer)))["out"].current == 64 * 456
    assert layer_bounds(program_of(layer, steps=1))["out"].current == 64 * (300 * 128 + 256 * 127)


def test_connections_add_up_and_later_layers_read_spikes() -> None:
    first = dense("a", "input", (1, 1, 1), np.array([[254]]))
    second = dense("b", "a", (1,), np.array([[-100]]))
    both = dataclasses.replace(second, connections=(*second.connections, first.connections[0]))
    assert layer_bounds(program_of(first, both))["b"].current == 64 * (100 + 254 * 128)


def test_ratios_say_by_how_much_a_layer_is_not_safe() -> None:
    neuron = with_bias(dataclasses.replace(NEURON, decay_v=0, vth=131071), [0])
    bound = layer_bounds(program_of(dense_layer([-256] * 8, neuron), steps=4))["out"]
    assert bound.current == 2**24
    assert (bound.registers.current_safe, bound.safe) == (False, False)
    assert bound.current_ratio == 2**24 / LARGEST_STATE
    assert bound.voltage_ratio == bound.voltage / LARGEST_STATE > 1
    assert not bound.registers.voltage_safe


def test_many_steps_cost_nothing_once_the_state_is_periodic() -> None:
    assert layer_bounds(program_of(dense_layer([100]), steps=10**12))["out"].safe
