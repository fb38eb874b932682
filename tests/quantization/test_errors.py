"""Each rounding error against the plain difference of what was wanted and what is stored."""

from dataclasses import replace

import numpy as np
import pytest
from float_programs import frames_for, residual_program

from neuroprune.chips.load import load_chip
from neuroprune.graph.nodes import Readout
from neuroprune.neurons.cuba_lif import CubaLif
from neuroprune.program.dequantize import dequantize
from neuroprune.quantization.bits import Bits
from neuroprune.quantization.errors import RoundingErrors, rounding_errors
from neuroprune.quantization.quantize import quantize

CHIP = load_chip("loihi-sim")
TAU = CubaLif(1 / 3, 1.0, current_decay=0.3)


def errors_of(floats, bits: int = 8) -> dict[str, RoundingErrors]:
    return rounding_errors(floats, quantize(floats, frames_for(floats), CHIP, Bits(bits)))


@pytest.mark.parametrize("bits", [8, 4, 2])
def test_weights_and_biases_differ_by_what_the_dequantised_network_shows(bits: int) -> None:
    floats = residual_program(CubaLif(0.5, 0.7))
    program = quantize(floats, frames_for(floats), CHIP, Bits(bits))
    errors, back = rounding_errors(floats, program), dequantize(program)
    for exact, rounded in zip(floats.layers, back.layers, strict=True):
        wanted = np.concatenate([each.synapse.weight.ravel() for each in exact.connections])
        stored = np.concatenate([each.synapse.weight.ravel() for each in rounded.connections])
        error = errors[exact.name]
        if exact.name != "a":  # whose weights hold the input's unit, too
            assert error.weight == pytest.approx(np.linalg.norm(stored - wanted) / np.linalg.norm(wanted))
        bias = rounded.bias - exact.bias
        assert error.bias == pytest.approx(np.abs(bias).max() / 0.7, rel=1e-6)
        assert error.threshold < 1e-12
    assert errors["out"].weight < {8: 0.02, 4: 0.2, 2: 0.7}[bits]


def test_clipped_weights_are_counted() -> None:
    floats = residual_program(CubaLif(0.5, 1.0))
    program = quantize(floats, frames_for(floats), CHIP)
    assert rounding_errors(floats, replace(program))["out"].clipped <= 0.05
    finer = replace(program, layers=tuple(replace(layer, scale=layer.scale * 100) for layer in program.layers))
    assert rounding_errors(floats, finer)["out"].clipped > 0.8


def test_decays_are_wrong_by_less_than_half_of_their_unit() -> None:
    for error in errors_of(residual_program(TAU)).values():
        assert error.decay_v == pytest.approx(abs(1365 / 4096 - 1 / 3))
        assert error.decay_u == pytest.approx(abs(1229 / 4096 - 0.3))
        assert max(error.decay_v, error.decay_u) <= 0.5 / 4096


def test_a_reset_by_subtraction_is_wrong_by_one_unit_of_v() -> None:
    floats = residual_program(CubaLif(0.0, 1.0, reset="subtract"))
    program = quantize(floats, frames_for(floats), CHIP)
    for layer in program.layers:
        error = rounding_errors(floats, program)[layer.name]
        assert error.threshold == pytest.approx(1 / (64 * layer.neuron.vth + 1))


def test_integrators_have_no_threshold_to_be_wrong() -> None:
    error = errors_of(residual_program(CubaLif(0.5, 1.0), CubaLif(0.0, np.inf), Readout("voltage")))["out"]
    assert error.threshold == 0.0
    assert 0.0 < error.bias < 0.01
