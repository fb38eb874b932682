"""The engine against the oracle, at the edges of every register, and the proofs behind its float32."""

import dataclasses

import numpy as np
import numpy.typing as npt
import pytest
import torch
from devices import DEVICES
from hypothesis import given, settings
from programs import NEURON, conv, dense, joined, later, program_of, programs, random_frames, random_weights, with_bias

from neuroprune.errors import InputError
from neuroprune.neurons.cuba_lif import IntCubaLif, run
from neuroprune.neurons.model import RegisterBound
from neuroprune.program.bounds import layer_bounds
from neuroprune.program.frames import quantize_input
from neuroprune.program.types import IntInput, IntProgram
from neuroprune.simulation import engine, kernels
from neuroprune.simulation.compare import compare
from neuroprune.simulation.engine import record, simulate
from neuroprune.simulation.kernels import exact_dtype
from neuroprune.simulation.reference import run_reference
from neuroprune.simulation.types import Trace


def assert_same_trace(found: Trace, expected: Trace) -> None:
    np.testing.assert_array_equal(found.outputs, expected.outputs)
    np.testing.assert_array_equal(found.input_events, expected.input_events)
    assert (found.samples, found.steps) == (expected.samples, expected.steps)
    for ours, theirs in zip(found.layers, expected.layers, strict=True):
        np.testing.assert_array_equal(ours.spikes, theirs.spikes)
        assert ours.name == theirs.name
        assert ours.current_wraps == theirs.current_wraps
        assert ours.voltage_saturations == theirs.voltage_saturations


def assert_equals_reference(program: IntProgram, frames: npt.NDArray[np.int8]) -> Trace:
    expected, trace = run_reference(program, frames)
    for device in DEVICES:
        found = record(program, frames, device, every_step=True)
        compare(expected, found)
        for ours, theirs in zip(found.layers, expected.layers, strict=True):
            np.testing.assert_array_equal(ours.u, theirs.u)
            np.testing.assert_array_equal(ours.v, theirs.v)
        assert_same_trace(simulate(program, frames, batch=2, device=device), trace)
    return trace


@settings(max_examples=100, deadline=None)
@given(programs())
def test_engine_equals_reference(case: tuple[IntProgram, npt.NDArray[np.int8]]) -> None:
    assert_equals_reference(*case)


@settings(max_examples=60, deadline=None)
@given(programs(memoryless=True))
def test_engine_equals_reference_where_float32_may_serve(case: tuple[IntProgram, npt.NDArray[np.int8]]) -> None:
    assert_equals_reference(*case)


@pytest.mark.parametrize("current", [2**17 - 2, 2**17 - 1, 2**17, 2**17 + 1, 2**18, 2**19 + 3])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("bias", [0, 1, -1, 4095])
@pytest.mark.parametrize("steps", [1, 3])
def test_currents_around_the_wrap(current: int, sign: int, bias: int, steps: int) -> None:
    """One neuron whose input adds up to `current`: 2**17 * 64 is the end of u's range."""
    weights = [254] * (current // (254 * 127)) + [current % (254 * 127) // 127, current % (254 * 127) % 127]
    values = [127] * (len(weights) - 1) + [1]
    neuron = with_bias(dataclasses.replace(NEURON, decay_v=0, vth=131071), [bias])
    layer = dense("out", "input", (1, 1, len(weights)), np.array([weights]), neuron)
    frame = (sign * np.array(values)).astype(np.int8).reshape(1, 1, 1, -1)
    trace = assert_equals_reference(program_of(layer, steps=steps), frame)
    beyond = current > 2**17 if sign > 0 else current >= 2**17
    assert trace.layers[0].current_wraps == steps * beyond


def test_voltages_around_the_rails_are_cut_and_counted() -> None:
    neuron = with_bias(dataclasses.replace(NEURON, decay_v=0, vth=131071), [-4096, 4095], 7)
    layer = dense("out", "input", (1, 1, 1), np.array([[-256], [254]]), neuron)
    trace = assert_equals_reference(program_of(layer, steps=9), np.full((1, 1, 1, 1), 127, np.int8))
    assert trace.layers[0].voltage_saturations > 0


def test_sums_of_a_convolution_wrap_at_24_bits_and_are_counted() -> None:
    layer = conv("out", "input", (32, 3, 3), np.full((1, 32, 3, 3), -256), neuron=dataclasses.replace(NEURON, vth=50))
    frames = np.full((2, 32, 3, 3), -128, np.int8)
    frames[1, :4] = 0
    trace = assert_equals_reference(program_of(layer, steps=2), frames)
    assert trace.layers[0].current_wraps > 0


@pytest.mark.parametrize("decay_u", [4095, 0])
@pytest.mark.parametrize("inputs", [1023, 1024, 1025, 2049])
def test_currents_of_a_dense_layer_wrap_at_32_bits_and_are_counted(inputs: int, decay_u: int) -> None:
    """2**10 weights of -256 and graded inputs of -128 are 2**25, which is 2**31 in units of u."""
    neuron = dataclasses.replace(NEURON, decay_u=decay_u)
    layer = dense("out", "input", (1, 1, inputs), np.array([[-256] * inputs, [254] * inputs]), neuron)
    trace = assert_equals_reference(program_of(layer), np.full((1, 1, 1, inputs), -128, np.int8))
    assert trace.layers[0].current_wraps == 8


def test_layers_may_share_a_source() -> None:
    rng = np.random.default_rng(0)
    first = conv("a", "input", (2, 5, 4), random_weights(rng, (3, 2, 3, 3), 256))
    program = program_of(
        first,
        dense("b", "a", first.shape, random_weights(rng, (5, 18), 256)),
        dense("c", "input", (2, 5, 4), random_weights(rng, (4, 40), 60)),
        dense("d", "a", first.shape, random_weights(rng, (3, 18), 256)),
    )
    assert_equals_reference(program, random_frames(rng, 3, (2, 5, 4)))


def test_a_layer_may_hold_one_connection_twice() -> None:
    rng = np.random.default_rng(1)
    first = conv("a", "input", (2, 5, 4), random_weights(rng, (3, 2, 3, 3), 256))
    twice = conv("b", "a", first.shape, random_weights(rng, (4, 3, 2, 2), 256))
    assert_equals_reference(program_of(first, joined(twice, twice)), random_frames(rng, 3, (2, 5, 4)))


def digits_like(rng: np.random.Generator) -> IntProgram:
    first = conv("conv", "input", (1, 8, 8), random_weights(rng, (8, 1, 3, 3), 120), padding=(1, 1))
    return program_of(first, dense("out", "conv", first.shape, random_weights(rng, (10, 512), 60)))


def all_kinds(rng: np.random.Generator) -> IntProgram:
    """A convolution of each kind on spikes, a shortcut that arrives later, and a dense layer."""
    first = conv("first", "input", (2, 9, 7), random_weights(rng, (6, 2, 3, 3), 100), padding=(1, 1))
    strided = conv("strided", "first", first.shape, random_weights(rng, (8, 6, 3, 2), 256), (2, 1), (1, 0), (1, 2))
    grouped = conv(
        "grouped", "strided", strided.shape, random_weights(rng, (4, 4, 1, 3), 256), padding=(0, 3), groups=2
    )
    alone = conv("alone", "grouped", grouped.shape, random_weights(rng, (4, 1, 2, 2), 256), groups=4)
    spread = conv("spread", "alone", alone.shape, random_weights(rng, (8, 1, 2, 2), 256), (1, 2), (3, 1), groups=4)
    flat = [
        dense("out", layer.name, layer.shape, random_weights(rng, (5, int(np.prod(layer.shape))), 60))
        for layer in (spread, strided)
    ]
    return program_of(first, strided, grouped, alone, spread, joined(flat[0], later(flat[1], 2)), steps=5)


@pytest.mark.parametrize("kernel", ["bytes", "float32", "float64"])
def test_every_kernel_equals_the_reference(kernel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if kernel != "bytes":
        monkeypatch.setattr(kernels, "byte_kernel", lambda *_: None)
    if kernel == "float64":
        monkeypatch.setattr(kernels, "FLOAT32_INTEGERS", 0)
        monkeypatch.setattr(run, "FLOAT32_INTEGERS", 0)
    rng = np.random.default_rng(2)
    program = all_kinds(rng)
    trace = assert_equals_reference(program, random_frames(rng, 3, (2, 9, 7)))
    assert all(layer.spikes.any() for layer in trace.layers)


def test_results_do_not_depend_on_batch_or_order() -> None:
    rng = np.random.default_rng(1)
    program, frames = digits_like(rng), random_frames(rng, 7, (1, 8, 8))
    whole = simulate(program, frames, batch=64)
    assert_same_trace(simulate(program, frames, batch=3), whole)
    order = rng.permutation(7)
    np.testing.assert_array_equal(simulate(program, frames[order], batch=2).outputs, whole.outputs[order])


@pytest.mark.parametrize("bytes_at_once", [1, 3 * 4 * 4 * 512, 2**40])
def test_samples_run_at_once_are_bounded_by_memory(bytes_at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest layer takes 4 bytes * 4 steps * 512 neurons: one sample, three of them, all that `batch` allows."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    rng = np.random.default_rng(6)
    program, frames = digits_like(rng), random_frames(rng, 7, (1, 8, 8))
    expected = run_reference(program, frames)[1]
    monkeypatch.setattr(engine, "CPU_BYTES", bytes_at_once)
    done: list[int] = []
    trace = simulate(program, frames, batch=5, progress=lambda _, samples, total, **__: done.append(samples))
    assert_same_trace(trace, expected)
    assert done[0] == {1: 1, 2**40: 5}.get(bytes_at_once, 3)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_share_the_samples_and_leave_torch_as_it_was(threads: int) -> None:
    rng = np.random.default_rng(8)
    program, frames = digits_like(rng), random_frames(rng, 7, (1, 8, 8))
    expected = run_reference(program, frames)[1]
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    done: list[int] = []
    try:
        trace = simulate(program, frames, progress=lambda _, samples, total, **__: done.append(samples))
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert_same_trace(trace, expected)
    assert done == {1: [7], 2: [4, 7], 3: [3, 6, 7]}[threads]


def test_many_spikes_are_counted_in_full() -> None:
    """256 is one more than a byte holds."""
    layer = dense("out", "input", (1, 1, 1), np.array([[100]]), dataclasses.replace(NEURON, vth=0))
    trace = simulate(program_of(layer, steps=3), np.full((100, 1, 1, 1), 1, np.int8), batch=100)
    np.testing.assert_array_equal(trace.layers[0].spikes, [300])


def test_what_is_proved_safe_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    safe = dense("safe", "input", (1, 1, 4), np.full((2, 4), 100))
    program = program_of(safe, dense("unsafe", "input", (1, 1, 4), np.full((2, 4), 254)), steps=2)
    bounds = layer_bounds(program)
    assert [bound.safe for bound in bounds.values()] == [True, False]
    measured: list[int] = []

    def measure(neuron: IntCubaLif, peak: int, *_: int) -> RegisterBound:
        measured.append(peak)
        return bounds["unsafe"].registers

    monkeypatch.setattr(IntCubaLif, "measured_bound", measure)
    simulate(program, np.zeros((1, 1, 1, 4), np.int8))
    assert len(measured) == 1


@pytest.mark.filterwarnings("ignore:TF32 acceleration on top of oneDNN:UserWarning")
def test_no_transform_convolutions_are_used() -> None:
    """Without oneDNN torch takes NNPACK's Winograd for this layer, whose sums are not exact."""
    rng = np.random.default_rng(3)
    layer = conv("out", "input", (3, 16, 16), random_weights(rng, (32, 3, 3, 3), 256), padding=(1, 1))
    program, frames = program_of(layer), random_frames(rng, 20, (3, 16, 16))
    expected = record(program, frames)
    with torch.backends.mkldnn.flags(enabled=False):
        compare(expected, record(program, frames))


GRADED, SPIKES = IntInput((1, 1, 1), 1.0, 8), IntInput((1, 1, 1), 1.0, 0)


@pytest.mark.parametrize(("inputs", "dtype"), [(2**11, torch.float32), (2**11 + 2, torch.float64)])
def test_float32_is_taken_up_to_its_last_exact_integer(inputs: int, dtype: torch.dtype) -> None:
    """2**11 weights of 64 and graded inputs of 128 reach 2**24; odd weights leave the sums no common factor."""
    weight = np.full((1, inputs), 64)
    weight[0, :2] = [63, 65]
    assert exact_dtype(dense("out", "input", (1, 1, inputs), weight), GRADED) == dtype


def test_positive_and_negative_weights_reach_apart() -> None:
    """2**11 of each: as many magnitudes as would need float64."""
    weight = np.tile([63, -63], 2**11).reshape(1, -1)
    assert exact_dtype(dense("out", "input", (1, 1, 2**12), weight), GRADED) == torch.float64
    assert exact_dtype(dense("out", "input", (1, 1, 2**12), weight // 2), GRADED) == torch.float32


@pytest.mark.parametrize(("factor", "dtype"), [(2, torch.float32), (64, torch.float32), (6, torch.float64)])
def test_a_common_power_of_two_of_the_weights_extends_float32(factor: int, dtype: torch.dtype) -> None:
    """2**17 inputs of 128 are 2**24 units; an exponent takes 2 and 64, but the 3 in 6 takes digits."""
    layer = dense("out", "input", (1, 1, 2**17), np.full((1, 2**17), factor))
    assert exact_dtype(layer, GRADED) == dtype


def test_a_bias_out_of_step_with_the_weights_needs_float64() -> None:
    neuron = with_bias(IntCubaLif(4095, 0, 1), [1], 0)
    layer = dense("out", "input", (1, 1, 2**10), np.full((1, 2**10), 128), neuron)
    assert exact_dtype(layer, SPIKES) == torch.float32
    assert exact_dtype(layer, GRADED) == torch.float64


@pytest.mark.parametrize(
    ("frames", "sentence"),
    [
        (np.zeros((2, 1, 8, 8), np.int16), r"the frames are int16, but this program reads int8: quantise them with q"),
        (
            np.zeros((2, 1, 8, 9), np.float32),
            r"the shape \[2, 1, 8, 9\], but this program reads \[samples, 1, 8, 8\]",
        ),
        (np.zeros((0, 1, 8, 8), np.int8), r"with at least one sample: pass samples of that shape"),
    ],
)
def test_frames_of_another_kind_are_refused(frames: npt.NDArray[np.int8], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        simulate(digits_like(np.random.default_rng(0)), frames)


def test_progress_counts_samples() -> None:
    rng = np.random.default_rng(4)
    calls: list[tuple[str, int, int]] = []
    simulate(
        digits_like(rng),
        random_frames(rng, 5, (1, 8, 8)),
        batch=2,
        progress=lambda task, done, total, **_: calls.append((task, done, total)),
    )
    assert calls == [("simulate", 2, 5), ("simulate", 4, 5), ("simulate", 5, 5)]


@pytest.mark.parametrize("batch", [1, 3, 1024])
def test_float_frames_run_as_the_spikes_that_they_are_quantised_to(batch: int) -> None:
    """And the trace counts how many were cut."""
    rng = np.random.default_rng(5)
    program = digits_like(rng)
    program = dataclasses.replace(program, input=dataclasses.replace(program.input, unit=0.03))
    frames = rng.normal(0, 2, (7, 1, 8, 8)).astype(np.float32)
    spikes, cut = quantize_input(program.input, frames)
    expected = simulate(program, spikes)
    found = simulate(program, frames, batch)
    assert_same_trace(found, expected)
    assert found.saturated_inputs == cut > 10
    assert expected.saturated_inputs == 0
