"""Scales found on calibration data, for every kind of neuron: the integers fire as the floats do, and none overflow."""

from dataclasses import replace

import numpy as np
import pytest
from float_programs import frames_for, residual_program

from neuroprune.arrays import FloatArray
from neuroprune.chips.load import load_chip
from neuroprune.graph.float_program import FloatConnection, FloatProgram
from neuroprune.graph.nodes import Readout
from neuroprune.neurons.cuba_lif import CubaLif
from neuroprune.program.dequantize import dequantize
from neuroprune.program.frames import quantize_input
from neuroprune.program.types import IntProgram
from neuroprune.quantization.bits import Bits
from neuroprune.quantization.quantize import quantize
from neuroprune.simulation.floats import run_float
from neuroprune.simulation.reference import run_reference
from neuroprune.simulation.types import Trace

CHIP = load_chip("loihi-sim")
LIF = CubaLif(0.5, 1.0)
KINDS = {
    "lif": residual_program(LIF),
    "learned tau": residual_program(CubaLif(0.347, 0.8)),
    "soft reset": residual_program(CubaLif(0.0, 1.0, reset="subtract")),
    "current": residual_program(CubaLif(0.3, 1.0, current_decay=0.4)),
    "spike input": residual_program(LIF, sequence=True),
    "voltage": residual_program(LIF, CubaLif(0.0, np.inf), Readout(of="voltage")),
    "leaky voltage": residual_program(LIF, CubaLif(0.5, np.inf), Readout(of="voltage")),
}


def run(program: IntProgram, frames: np.ndarray) -> Trace:
    _, trace = run_reference(program, quantize_input(program.input, frames)[0])
    return trace


@pytest.mark.parametrize("floats", KINDS.values(), ids=KINDS.keys())
def test_integers_answer_as_the_floats_do_and_no_current_wraps(floats: FloatProgram) -> None:
    frames = frames_for(floats)
    program = quantize(floats, frames, CHIP)
    trace = run(program, frames[:8])
    ran = run_float(floats, frames[:8])
    assert sum(layer.current_wraps for layer in trace.layers) == 0
    assert [connection.source for connection in program.layers[1].connections] == ["a", "a"]
    if floats.readout.of == "voltage":
        assert trace.layers[-1].spikes.sum() == trace.layers[-1].voltage_saturations == 0
        voltages = trace.outputs / program.layers[-1].scale
        assert np.abs(voltages - ran.outputs).mean() < 0.3 * np.abs(ran.outputs).mean()
    for layer in trace.layers:
        difference = abs(layer.spikes.sum() - ran.spikes[layer.name])
        assert difference <= max(5, 0.05 * ran.spikes[layer.name]), layer.name


@pytest.mark.parametrize("floats", KINDS.values(), ids=KINDS.keys())
def test_dequantised_programs_answer_as_the_integers_do(floats: FloatProgram) -> None:
    frames = frames_for(floats, 8)
    program = quantize(floats, frames, CHIP, Bits(4))
    spikes, _ = quantize_input(program.input, frames)
    trace = run(program, frames)
    rounded = run_float(dequantize(program), spikes.astype(np.float32) * np.float32(program.input.unit))
    for layer in trace.layers:
        assert abs(layer.spikes.sum() - rounded.spikes[layer.name]) <= 0.01 * rounded.spikes[layer.name], layer.name
    if floats.readout.of == "voltage":
        np.testing.assert_allclose(trace.outputs / program.layers[-1].scale, rounded.outputs, atol=0.01)


def replaced(floats: FloatProgram, biases: dict[str, FloatArray], **weights: FloatArray) -> FloatProgram:
    """`floats` with other biases in the layers of these names, and other weights in the connections of these."""

    def changed(each: FloatConnection) -> FloatConnection:
        return replace(each, synapse=replace(each.synapse, weight=weights.get(each.name, each.synapse.weight)))

    layers = (
        replace(layer, connections=tuple(map(changed, layer.connections)), bias=biases.get(layer.name, layer.bias))
        for layer in floats.layers
    )
    return replace(floats, layers=tuple(layers))


def differing(floats: FloatProgram, program: IntProgram, frames: np.ndarray) -> float:
    """Mean distance of the output spikes from the float ones."""
    return float(np.abs(run(program, frames).outputs - run_float(floats, frames).outputs).mean())


def test_a_scale_that_outliers_would_set_is_searched_for_instead() -> None:
    """One weight in fifty ten times too large costs 4-bit weights more than three bits, unless it is clipped."""
    floats = KINDS["lif"]
    weight = np.array(floats["out"].connections[0].synapse.weight)
    weight[:, 100] *= 10  # of a channel that is made silent, so that nothing but the scale can suffer from it
    silent = np.where(np.arange(4) == 100 // 36, -50.0, floats["b"].bias)
    floats = replaced(floats, {"b": silent}, fc=weight)
    frames = frames_for(floats, 64)
    program = quantize(floats, frames, CHIP, Bits(4))
    assert program.layers[-1].scale / 64 > 2 * min(224 / weight.max(), 256 / -weight.min())
    assert np.abs(program.layers[-1].connections[0].synapse.weight).max() >= 224


@pytest.mark.parametrize("width", [2, 3, 4, 5, 6, 8])
def test_every_width_is_kept_to_and_more_bits_answer_better(width: int) -> None:
    floats = KINDS["lif"]
    frames = frames_for(floats, 32)
    program = quantize(floats, frames, CHIP, Bits(width))
    step = 1 << (9 - width)
    for layer in program.layers:
        assert layer.weight_bits == width
        for connection in layer.connections:
            weight = connection.synapse.weight
            assert not (weight % step).any()
            assert -256 <= weight.min() < 0 < weight.max() <= 256 - step
    assert differing(floats, program, frames[:8]) <= {2: 2.0, 3: 1.0}.get(width, 0.5)


def test_single_layers_get_widths_of_their_own() -> None:
    floats = KINDS["lif"]
    program = quantize(floats, frames_for(floats), CHIP, Bits(4, {"conv1": 8, "b": 3}))
    assert [layer.weight_bits for layer in program.layers] == [8, 3, 4]


def test_graded_input_gives_up_levels_where_the_weights_need_the_register() -> None:
    """Eighteen large weights of one sign: with 127 levels they would lose bits to the 24 bits of u."""
    floats = KINDS["lif"]
    first = floats["a"]
    weight = np.abs(first.connections[0].synapse.weight) + 0.2
    positive = replaced(floats, {"a": first.bias - 9.0}, conv1=weight)
    bright = np.abs(frames_for(floats, 64))
    program = quantize(positive, bright, CHIP)
    assert np.abs(quantize_input(program.input, bright)[0]).max() <= 63
    assert run(program, bright[:8]).layers[0].current_wraps == 0


def test_a_network_of_zeros_is_quantised_all_the_same() -> None:
    floats = KINDS["voltage"]
    floats = replaced(floats, {"out": np.zeros(6)}, fc=np.zeros((6, 144)))
    frames = frames_for(floats)
    assert not run(quantize(floats, frames, CHIP), frames[:2]).outputs.any()
