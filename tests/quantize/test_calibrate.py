"""Scales found on calibration data, for every kind of neuron: the integers fire as the floats do, and none overflow."""

from dataclasses import replace

import numpy as np
import pytest
from float_graphs import frames_for, residual_graph

from neuroprune.chips.load import load_chip
from neuroprune.graph.evaluate import run_float
from neuroprune.graph.nodes import Conv, Graph, Linear, Neuron, Readout, Synapse
from neuroprune.program.dequantize import dequantize
from neuroprune.program.frames import quantize_input
from neuroprune.program.types import IntProgram
from neuroprune.quantize.bits import Bits
from neuroprune.quantize.quantize import quantize
from neuroprune.simulate.reference import run_reference
from neuroprune.simulate.types import Trace

CHIP = load_chip("loihi-sim")
LIF = Neuron(0.5, 1.0)
KINDS = {
    "lif": residual_graph(LIF),
    "learned tau": residual_graph(Neuron(0.347, 0.8)),
    "soft reset": residual_graph(Neuron(0.0, 1.0, reset="subtract")),
    "current": residual_graph(Neuron(0.3, 1.0, current_decay=0.4)),
    "spike input": residual_graph(LIF, sequence=True),
    "voltage": residual_graph(LIF, Neuron(0.0, np.inf), Readout(of="voltage")),
    "leaky voltage": residual_graph(LIF, Neuron(0.5, np.inf), Readout(of="voltage")),
}


def run(program: IntProgram, frames: np.ndarray) -> Trace:
    _, trace = run_reference(program, quantize_input(program.input, frames)[0])
    return trace


@pytest.mark.parametrize("graph", KINDS.values(), ids=KINDS.keys())
def test_integers_answer_as_the_floats_do_and_no_current_wraps(graph: Graph) -> None:
    frames = frames_for(graph)
    program = quantize(graph, frames, CHIP)
    trace = run(program, frames[:8])
    floats = run_float(graph, frames[:8])
    assert sum(layer.current_wraps for layer in trace.layers) == 0
    assert [connection.source for connection in program.layers[1].connections] == ["a", "a"]
    if graph.readout.of == "voltage":
        assert trace.layers[-1].spikes.sum() == trace.layers[-1].voltage_saturations == 0
        voltages = trace.outputs / program.layers[-1].scale
        assert np.abs(voltages - floats.outputs).mean() < 0.3 * np.abs(floats.outputs).mean()
    for layer in trace.layers:
        difference = abs(layer.spikes.sum() - floats.spikes[layer.name])
        assert difference <= max(5, 0.05 * floats.spikes[layer.name]), layer.name


@pytest.mark.parametrize("graph", KINDS.values(), ids=KINDS.keys())
def test_dequantised_programs_answer_as_the_integers_do(graph: Graph) -> None:
    frames = frames_for(graph, 8)
    program = quantize(graph, frames, CHIP, Bits(4))
    spikes, _ = quantize_input(program.input, frames)
    trace = run(program, frames)
    floats = run_float(dequantize(program), spikes.astype(np.float32) * np.float32(program.input.unit))
    for layer in trace.layers:
        assert abs(layer.spikes.sum() - floats.spikes[layer.name]) <= 0.01 * floats.spikes[layer.name], layer.name
    if graph.readout.of == "voltage":
        np.testing.assert_allclose(trace.outputs / program.layers[-1].scale, floats.outputs, atol=0.01)


def replaced(graph: Graph, **synapses: Synapse) -> Graph:
    """`graph` with other synapses in place of those of these names."""
    nodes = (replace(node, op=synapses.get(node.name, node.op)) for node in graph.nodes)
    return Graph(tuple(nodes), graph.steps, graph.readout)


def differing(graph: Graph, program: IntProgram, frames: np.ndarray) -> float:
    """Mean distance of the output spikes from the float ones."""
    return float(np.abs(run(program, frames).outputs - run_float(graph, frames).outputs).mean())


def test_a_scale_that_outliers_would_set_is_searched_for_instead() -> None:
    """One weight in fifty ten times too large costs 4-bit weights more than three bits, unless it is clipped."""
    graph = KINDS["lif"]
    conv2, fc = graph["conv2"].op, graph["fc"].op
    weight = np.array(fc.weight)
    weight[:, 100] *= 10  # of a channel that is made silent, so that nothing but the scale can suffer from it
    silent = np.where(np.arange(4) == 100 // 36, -50.0, conv2.bias)
    graph = replaced(graph, fc=Linear(weight, fc.bias), conv2=Conv(conv2.weight, silent, padding=(1, 1)))
    frames = frames_for(graph, 64)
    program = quantize(graph, frames, CHIP, Bits(4))
    assert program.layers[-1].scale / 64 > 2 * min(224 / weight.max(), 256 / -weight.min())
    assert np.abs(program.layers[-1].connections[0].synapse.weight).max() >= 224


@pytest.mark.parametrize("width", [2, 3, 4, 5, 6, 8])
def test_every_width_is_kept_to_and_more_bits_answer_better(width: int) -> None:
    graph = KINDS["lif"]
    frames = frames_for(graph, 32)
    program = quantize(graph, frames, CHIP, Bits(width))
    step = 1 << (9 - width)
    for layer in program.layers:
        assert layer.weight_bits == width
        for connection in layer.connections:
            weight = connection.synapse.weight
            assert not (weight % step).any()
            assert -256 <= weight.min() < 0 < weight.max() <= 256 - step
    assert differing(graph, program, frames[:8]) <= {2: 2.0, 3: 1.0}.get(width, 0.5)


def test_single_layers_get_widths_of_their_own() -> None:
    graph = KINDS["lif"]
    program = quantize(graph, frames_for(graph), CHIP, Bits(4, {"conv1": 8, "b": 3}))
    assert [layer.weight_bits for layer in program.layers] == [8, 3, 4]


def test_graded_input_gives_up_levels_where_the_weights_need_the_register() -> None:
    """Eighteen large weights of one sign: with 127 levels they would lose bits to the 24 bits of u."""
    graph = KINDS["lif"]
    conv1 = graph["conv1"].op
    positive = replaced(graph, conv1=Conv(np.abs(conv1.weight) + 0.2, conv1.bias - 9.0, padding=(1, 1)))
    bright = np.abs(frames_for(graph, 64))
    program = quantize(positive, bright, CHIP)
    assert np.abs(quantize_input(program.input, bright)[0]).max() <= 63
    assert run(program, bright[:8]).layers[0].current_wraps == 0


def test_a_network_of_zeros_is_quantised_all_the_same() -> None:
    graph = KINDS["voltage"]
    graph = replaced(graph, fc=Linear(np.zeros((6, 144)), np.zeros(6)))
    frames = frames_for(graph)
    assert not run(quantize(graph, frames, CHIP), frames[:2]).outputs.any()
