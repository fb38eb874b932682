"""Back from integers to floats, to see what rounding alone costs."""

import numpy as np

from neuroprune.frozen import frozen_array
from neuroprune.graph.nodes import INPUT, Conv, FloatArray, Graph, Input, Linear, Neuron, Node, Synapse
from neuroprune.program.fixedpoint import DECAY_UNITY, STATE_SHIFT
from neuroprune.program.types import IntConnection, IntDense, IntProgram
from neuroprune.program.units import weight_unit


def dequantize(graph: IntProgram) -> Graph:
    """The float program that the rounded registers stand for; it reads quantised frames times `graph.input.unit`.

    Only for programs without delays, as `quantize` makes them. Where a spike subtracts from v, the chip subtracts one
    unit of v less than what fires.
    """
    nodes = [Node(INPUT, Input(graph.input.sequence), (), graph.input.shape)]
    for layer in graph.layers:
        synapses = []
        for number, connection in enumerate(layer.connections):
            assert connection.delay == 0, layer.name
            bias = layer.neuron.bias_mant * 2.0**layer.neuron.bias_exp / layer.scale * (number == 0)
            op = _dequantized(connection, weight_unit(connection, layer, graph.input.unit), bias)
            synapses.append(Node(f"{layer.name}.synapse{number}", op, (connection.source,), layer.shape))
        unit = 1 << STATE_SHIFT
        integrates = layer is graph.layers[-1] and graph.readout.of == "voltage"
        neuron = Neuron(
            decay=layer.neuron.decay_v / DECAY_UNITY,
            threshold=np.inf if integrates else (layer.neuron.vth * unit + 1) / layer.scale,
            current_decay=(layer.neuron.decay_u + 1) / DECAY_UNITY,
            reset=layer.neuron.reset,
        )
        nodes += [*synapses, Node(layer.name, neuron, tuple(node.name for node in synapses), layer.shape)]
    return Graph(tuple(nodes), graph.steps, graph.readout)


def _dequantized(connection: IntConnection, unit: float, bias: FloatArray) -> Synapse:
    """unit: of the integer weights for one of the float ones."""
    weight = frozen_array(connection.synapse.weight / unit, np.float64)
    bias = frozen_array(bias, np.float64)
    if isinstance(connection.synapse, IntDense):
        return Linear(weight, bias)
    conv = connection.synapse
    return Conv(weight, bias, conv.stride, conv.padding, conv.dilation, conv.groups)
