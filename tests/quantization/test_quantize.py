"""Rounding into the chip's fields: nothing leaves its field, and the threshold falls where the float one does."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from sample_networks import StepLoop, Unusual, stir
from torch import nn

from neuroprune.arrays import FloatArray
from neuroprune.chips.load import load_chip
from neuroprune.errors import InputError
from neuroprune.fixed_point import round_into, round_weights, weight_range, weight_step
from neuroprune.graph.fold import fold
from neuroprune.graph.trace import trace
from neuroprune.neurons.cuba_lif import CubaLif
from neuroprune.program.dequantize import dequantize
from neuroprune.program.frames import quantize_input
from neuroprune.program.types import IntProgram
from neuroprune.quantization.quantize import quantize
from neuroprune.quantization.scale import Peaks, Scale, bias_exponent, fit_scale, scale_limits
from neuroprune.simulation.floats import run_float
from neuroprune.simulation.reference import reference_record

CHIP = load_chip("loihi-sim")


def program_of(network: nn.Module, samples: int = 8) -> tuple[IntProgram, np.ndarray]:
    frames = np.random.default_rng(0).normal(0, 2, (samples, 1, 28, 28)).astype(np.float32)
    return quantize(fold(trace(stir(network), torch.from_numpy(frames))), frames, CHIP), frames


@pytest.mark.parametrize("bits", range(2, 9))
def test_weights_of_every_width_are_rounded_to_its_grid_and_saturate_at_its_ends(bits: int) -> None:
    low, high = weight_range(bits)
    assert (high - low) // weight_step(bits) + 1 == 2**bits
    values = np.array([-1e9, low, low + 0.49 * weight_step(bits), 0.0, 0.51 * weight_step(bits), high, 1e9])
    assert round_weights(values, bits).tolist() == [low, low, low, 0, weight_step(bits), high, high]


def test_signed_fields_saturate() -> None:
    assert round_into(np.array([-5000.0, -4096.4, 0.5, 1.5, 4095.4, 5000.0]), 13).tolist() == [
        -4096, -4096, 0, 2, 4095, 4095,
    ]  # fmt: skip


def scale_of(weight, bias, neuron: CubaLif, peaks: Peaks, bits: int = 8, steps: int = 4) -> tuple[Scale, FloatArray]:
    """The largest scale that all fields allow, and the bias in its place."""
    bias = np.array([bias])
    limits = scale_limits([(np.array(weight), (0, 1))], bias, neuron, peaks, steps, bits, CHIP.rules)
    limited_by = min(limits, key=lambda name: limits[name])
    return fit_scale(limits[limited_by], limited_by, neuron, CHIP.rules), bias


@pytest.mark.parametrize(
    ("weight", "bias", "threshold", "peak", "limited_by", "exponent"),
    [
        (1.0, 0.0, 1.0, 1.0, "weight", 6),
        (1e-6, 0.0, 1.0, 1e-6, "threshold", 6),
        (0.1, 1.5, 1.0, 0.1, "weight", 6),
        (0.1, 3.0, 1.0, 0.1, "weight", 7),
        (0.1, 40.0, 1.0, 0.1, "bias", 7),
    ],
)
def test_the_nearest_limit_sets_the_scale(weight, bias, threshold, peak, limited_by, exponent) -> None:
    scale, biases = scale_of([[weight]], bias, CubaLif(0.0, threshold), Peaks(peak, 0.0))
    assert (scale.limited_by, bias_exponent(biases, scale, CHIP.rules)) == (limited_by, exponent)
    assert 0 <= scale.neuron.vth < 2**17
    assert scale.weight * weight <= 254
    assert scale.voltage * bias <= 4095 * 2**exponent


def test_current_is_held_within_its_register_by_the_worst_input_where_that_is_nearer() -> None:
    scale, _ = scale_of(np.ones((1, 4000)), 0.0, CubaLif(0.0, 1.0), Peaks(3000.0, 0.0))
    assert scale.limited_by == "current"
    assert 0.95 * 2**23 < scale.voltage * 4000 < 2**23
    scale, _ = scale_of(np.ones((1, 4000)), 0.0, CubaLif(0.0, 1.0), Peaks(1000.0, 0.0))
    assert 0.95 * 2**23 < scale.voltage * 2000 < 2**23  # else by twice what calibration saw


def test_currents_that_neurons_keep_add_up_as_a_geometric_series() -> None:
    kept = sum(0.75**step for step in range(4))
    scale, _ = scale_of(np.ones((1, 4000)), 0.0, CubaLif(0.0, 50.0, current_decay=0.25), Peaks(1e6, 0.0))
    assert 0.95 * 2**23 < scale.voltage * 4000 * kept < 2**23


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_an_integrator_gets_the_largest_threshold_and_a_scale_at_which_it_cannot_reach_it(decay: float) -> None:
    steps, most = 4, sum((1.0 - decay) ** step for step in range(4))
    neuron = CubaLif(decay, np.inf)
    scale, _ = scale_of(np.ones((1, 4000)), 3.0, neuron, Peaks(1e6, 1e6), steps=steps)
    assert (scale.neuron.vth, scale.limited_by) == (2**17 - 1, "voltage")
    assert scale.voltage * 4003 * most == pytest.approx(scale.neuron.vth * 64)
    scale, _ = scale_of(np.ones((1, 4000)), 3.0, neuron, Peaks(100.0, 300.0), steps=steps)
    assert scale.voltage * 300 * 2 == pytest.approx(scale.neuron.vth * 64)


@settings(max_examples=200, deadline=None)
@given(threshold=st.floats(0.01, 10), weight=st.floats(0.01, 10))
def test_a_potential_of_exactly_the_threshold_is_the_first_that_fires(threshold: float, weight: float) -> None:
    """The scale puts the float threshold on 64 vth + 1 units of v, the first value above 64 vth."""
    scale, _ = scale_of([[weight]], 0.0, CubaLif(0.0, threshold), Peaks(weight, 0.0))
    assert threshold * scale.voltage == pytest.approx(64 * scale.neuron.vth + 1, rel=1e-12)


def test_leaks_count_in_4096ths() -> None:
    program, _ = program_of(Unusual())
    assert [layer.neuron.decay_v for layer in program.layers] == [2048, 0, 0, 3072]
    assert {layer.neuron.decay_u for layer in program.layers} == {4095}


def test_layers_are_named_after_their_neurons_and_chained() -> None:
    program, _ = program_of(Unusual())
    assert [(layer.name, layer.connections[0].source) for layer in program.layers] == [
        ("lif1", "input"), ("if2", "lif1"), ("most", "if2"), ("lif3", "most"),
    ]  # fmt: skip


@pytest.mark.parametrize("network", [Unusual(), StepLoop()], ids=lambda network: type(network).__name__)
def test_integers_fire_nearly_as_the_floats_they_stand_for(network: nn.Module) -> None:
    program, frames = program_of(network)
    spikes, _ = quantize_input(program.input, frames)
    exact = reference_record(program, spikes)
    floats = run_float(dequantize(program), spikes.astype(np.float32) * np.float32(program.input.unit))
    for layer in exact.layers:
        total = int(layer.spikes.sum())
        assert abs(total - floats.spikes[layer.name]) <= max(3, 0.005 * total), layer.name


def test_input_is_graded_and_saturates_countably() -> None:
    program, frames = program_of(StepLoop())
    spikes, saturated = quantize_input(program.input, frames)
    assert spikes.dtype == np.int8
    assert saturated == 0
    assert 64 <= np.abs(spikes).max() <= 127
    assert np.abs(spikes * program.input.unit - frames).max() <= program.input.unit / 2 * 1.0001
    louder, cut = quantize_input(program.input, frames * 4)
    assert louder.min() == -128
    assert cut == int((np.abs(np.rint(frames * 4 / np.float32(program.input.unit)) - -0.5) > 127.5).sum())


def test_frames_of_few_grey_levels_are_quantised_without_loss() -> None:
    pixels = np.random.default_rng(0).integers(0, 17, (8, 1, 28, 28))
    frames = ((pixels - 5.0) / 6.0).astype(np.float32)
    graph = fold(trace(stir(StepLoop()), torch.from_numpy(frames)))
    spec = quantize(graph, frames, CHIP).input
    spikes, _ = quantize_input(spec, frames)
    np.testing.assert_allclose(spikes * spec.unit, frames, atol=1e-6)


def test_a_dark_calibration_batch_still_gives_a_unit() -> None:
    graph = fold(trace(stir(StepLoop()), torch.zeros(1, 1, 28, 28)))
    assert quantize(graph, np.zeros((2, 1, 28, 28), np.float32), CHIP).input.unit == 1.0


def test_calibration_of_another_shape_is_refused() -> None:
    graph = fold(trace(StepLoop(), torch.zeros(1, 1, 28, 28)))
    with pytest.raises(
        InputError, match=r"has shape \(2, 3, 28, 28\), the network reads frames of shape \(1, 28, 28\)"
    ):
        quantize(graph, np.zeros((2, 3, 28, 28), np.float32), CHIP)
    with pytest.raises(InputError, match=r"pass at least one frame"):
        quantize(graph, np.zeros((0, 1, 28, 28), np.float32), CHIP)


def test_calibration_without_numbers_is_refused() -> None:
    graph = fold(trace(StepLoop(), torch.zeros(1, 1, 28, 28)))
    with pytest.raises(InputError, match=r"has 784 values that are not finite numbers: remove those frames"):
        quantize(graph, np.full((1, 1, 28, 28), np.inf, np.float32), CHIP)
