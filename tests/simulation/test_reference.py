"""The oracle against single steps worked out by hand and against torch's convolution."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from programs import dense, joined, later, program_of

from neuroprune.errors import InputError
from neuroprune.graph.nodes import Readout
from neuroprune.neurons.cuba_lif import IntCubaLif
from neuroprune.neurons.model import Reset
from neuroprune.program.types import IntConv
from neuroprune.simulation.reference import NeuronState, convolve, decay, run_reference, step

HALF = 2**23
"""Of the range of Lava's registers."""


def neuron(decay_u: int = 4095, decay_v: int = 0, vth: int = 131071, reset: Reset = "zero") -> IntCubaLif:
    return IntCubaLif(decay_u, decay_v, vth, reset)


def test_decay_rounds_toward_zero() -> None:
    assert [decay(value, 2048) for value in (3, -3, 1, -1)] == [1, -1, 0, 0]
    assert decay(-(HALF - 1), 4095) == -8386559  # 8388607 * 4095 / 4096 = 8386559.0002


def test_a_neuron_fires_strictly_above_its_threshold_and_restarts_at_zero() -> None:
    at, above = (step(NeuronState(0, 0), current, neuron(vth=10), 0, 6) for current in (10, 11))
    assert (at.v, at.spike) == (640, False)
    assert (above.v, above.spike) == (0, True)


def test_a_soft_reset_keeps_what_exceeds_the_threshold() -> None:
    first = step(NeuronState(0, 0), 25, neuron(vth=10, reset="subtract"), 0, 6)
    second = step(first, 0, neuron(vth=10, reset="subtract"), 0, 6)
    assert (first.v, first.spike) == (15 * 64, True)
    assert (second.v, second.spike) == (5 * 64, True)


@pytest.mark.parametrize(
    ("current", "u", "wrapped"),
    [
        (HALF // 64, HALF, False),  # +2**23 itself is kept
        (HALF // 64 + 1, -HALF + 64, True),
        (-HALF // 64 + 1, -HALF + 64, False),
        (-HALF // 64, HALF, True),  # -2**23 is not
        (HALF // 16, HALF * 2, True),  # wraps once, and stays out of range
    ],
)
def test_u_wraps_once(current: int, u: int, wrapped: bool) -> None:
    state = step(NeuronState(0, 0), current, neuron(), 0, 6)
    assert (state.u, state.wrapped) == (u, wrapped)


@pytest.mark.parametrize(
    ("current", "u", "wrapped"),
    [
        (512, 2**15, False),  # the end is kept, as Lava keeps its own
        (513, 64 - 2**15, True),
        (-511, 64 - 2**15, False),
        (-512, 2**15, True),
        (1023, -64, True),
        (5 * 1024 + 3, 192, True),  # as often as it takes
        (2**17 - 1, -64, True),
        (-(2**17), 0, True),
    ],
)
def test_narrower_u_wraps_until_it_is_in_its_register(current: int, u: int, wrapped: bool) -> None:
    """A register of 16 bits holds what is congruent modulo 2**16."""
    state = step(NeuronState(0, 0), current, replace(neuron(), state_bits=16), 0, 6)
    assert (state.u, state.wrapped) == (u, wrapped)
    assert (64 * current - u) % 2**16 == 0


def test_narrower_v_saturates_at_its_own_ends() -> None:
    narrow = replace(neuron(), state_bits=16)
    above, below = (step(NeuronState(0, v), 0, narrow, bias, 0) for v, bias in ((32767, 1), (-32767, -1)))
    assert (above.v, above.saturated, below.v, below.saturated) == (32767, True, -32767, True)


@pytest.mark.parametrize(("bias", "cut"), [(0, False), (1, True), (4095, True)])
def test_v_saturates_at_one_below_the_power_of_two(bias: int, cut: bool) -> None:
    below = step(NeuronState(0, 1 - HALF), 0, neuron(), -bias, 0)
    above = step(NeuronState(0, HALF - 1), 0, neuron(vth=131072), bias, 0)  # no 17-bit threshold is so high
    assert (below.v, below.saturated, above.v, above.saturated) == (1 - HALF, cut, HALF - 1, cut)


def test_a_current_that_decays_is_kept_over_a_spike() -> None:
    first = step(NeuronState(0, 0), 100, neuron(decay_u=2047, vth=0), 0, 6)
    second = step(first, 0, neuron(decay_u=2047, vth=0), 0, 6)
    assert (first.u, first.v, second.u, second.spike) == (6400, 0, 3200, True)


def test_a_bias_is_shifted_by_its_exponent_and_rounded_down_below_zero() -> None:
    assert step(NeuronState(0, 0), 0, neuron(), -5, 3).v == -40
    assert step(NeuronState(0, 0), 0, neuron(), -5, -1).v == -3


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation", "groups"),
    [((3, 3), (1, 1), (1, 1), (1, 1), 1), ((5, 3), (2, 1), (2, 0), (1, 2), 1), ((2, 1), (1, 2), (0, 3), (3, 1), 3)],
)
def test_convolution_is_torchs(
    kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int], dilation: tuple[int, int], groups: int
) -> None:
    rng = np.random.default_rng(0)
    weight = rng.integers(-256, 256, (6, 6 // groups, *kernel)).astype(np.int16)
    spikes = rng.integers(-128, 128, (6, 9, 8))
    ours = convolve(IntConv(weight, stride, padding, dilation, groups), spikes)
    theirs = torch.nn.functional.conv2d(
        torch.from_numpy(spikes).double(), torch.from_numpy(weight).double(), None, stride, padding, dilation, groups
    )
    np.testing.assert_array_equal(ours, theirs.numpy())


def test_a_neuron_counts_its_charge_over_the_steps() -> None:
    layer = dense("out", "input", (1, 1, 2), np.array([[2, 4]]), neuron(vth=20))
    record, trace = run_reference(program_of(layer, steps=5), np.array([[[[3, 1]]]], np.int8))
    # 10 a step and a threshold of 20: above it at the third step, again from 0 afterwards
    assert record.layers[0].spikes[0, :, 0].tolist() == [False, False, True, False, False]
    assert record.layers[0].voltages.tolist() == [[20 * 64]]
    assert trace.outputs.tolist() == [[1]]
    assert trace.input_events.tolist() == [[[5, 5]]]


def test_a_sequence_brings_a_frame_for_each_step() -> None:
    layer = dense("out", "input", (1, 1, 1), np.array([[2]]), neuron())
    frames = np.array([3, 0, -5, 1], np.int8).reshape(1, 4, 1, 1, 1)
    record, trace = run_reference(program_of(layer, sequence=True), frames)
    assert record.layers[0].u is not None and record.layers[0].v is not None
    assert record.layers[0].u[0, :, 0].tolist() == [6 * 64, 0, -10 * 64, 2 * 64]
    assert record.layers[0].v[0, :, 0].tolist() == [6 * 64, 6 * 64, -4 * 64, -2 * 64]
    assert trace.input_events.tolist() == [[[3]]]


def test_delayed_spikes_come_later_and_those_after_the_last_step_never() -> None:
    layer = later(dense("out", "input", (1, 1, 1), np.array([[2]]), neuron()), 2)
    record, _ = run_reference(
        program_of(layer, sequence=True), np.array([[3, 1, 5, 7]], np.int8).reshape(1, 4, 1, 1, 1)
    )
    assert record.layers[0].u is not None
    assert record.layers[0].u[0, :, 0].tolist() == [0, 0, 6 * 64, 2 * 64]
    lost, _ = run_reference(program_of(later(layer, 9)), np.ones((1, 1, 1, 1), np.int8))
    assert not lost.layers[0].voltages.any()


def test_currents_of_all_connections_add_up() -> None:
    first = dense("first", "input", (1, 1, 1), np.array([[254]]), neuron(vth=0))
    out = dense("out", "first", (1,), np.array([[2]]), neuron())
    out = joined(out, out, dense("out", "input", (1, 1, 1), np.array([[4]])))
    record, _ = run_reference(program_of(first, out, steps=2), np.full((1, 1, 1, 1), 3, np.int8))
    assert record.layers[1].u is not None
    assert record.layers[1].u[0, :, 0].tolist() == [(2 + 2 + 12) * 64] * 2


def test_a_readout_of_voltage_is_the_last_one() -> None:
    layer = dense("out", "input", (1, 1, 1), np.array([[2], [-4]]), neuron())
    program = replace(program_of(layer, steps=3), readout=Readout(of="voltage"))
    assert run_reference(program, np.ones((1, 1, 1, 1), np.int8))[1].outputs.tolist() == [[6 * 64, -12 * 64]]


@pytest.mark.parametrize(
    ("bits", "values", "sentence"),
    [
        (
            0,
            [0, 2],
            "the frames hold values from 0 to 2, but this program reads 0 to 1: quantise them",
        ),
        (0, [0, -1], "the frames hold values from -1 to 0, but this program reads 0 to 1"),
        (4, [8, -9], "the frames hold values from -9 to 8, but this program reads -8 to 7"),
    ],
)
def test_frames_beyond_the_bits_of_the_input_are_refused(bits: int, values: list[int], sentence: str) -> None:
    layer = dense("out", "input", (1, 1, 2), np.array([[2, 2]]))
    with pytest.raises(InputError, match=sentence):
        run_reference(program_of(layer, bits=bits), np.array(values, np.int8).reshape(1, 1, 1, 2))
