"""The rules of an integer program: every register within its field, every layer fed by those before it."""

import numpy as np

from neuroprune.graph.nodes import INPUT
from neuroprune.program.fixedpoint import signed_range, weight_range, weight_step
from neuroprune.program.rules import IntegerRules
from neuroprune.program.types import IntConnection, IntDense, IntLayer, IntNeuron, IntProgram


def verify_program(program: IntProgram, rules: IntegerRules) -> None:
    """Check all layers against the fields of `rules`; a violation is a mistake of the compiler."""
    assert program.steps >= 1 and program.layers
    shapes = {INPUT: program.input.shape}
    for layer in program.layers:
        assert layer.connections and layer.name not in shapes, layer.name
        for connection in layer.connections:
            assert shapes[connection.source] == connection.in_shape and connection.delay >= 0, layer.name
            _verify_synapse(connection, layer)
        shapes[layer.name] = layer.shape
        _verify_neuron(layer.neuron, layer, rules)


def _verify_synapse(connection: IntConnection, layer: IntLayer) -> None:
    low, high = weight_range(layer.weight_bits)
    weight = connection.synapse.weight
    assert low <= weight.min() and weight.max() <= high, layer.name
    assert not np.any(weight % weight_step(layer.weight_bits)), layer.name
    assert len(weight) == layer.shape[0], layer.name
    if isinstance(connection.synapse, IntDense):
        assert weight.shape[1] == int(np.prod(connection.in_shape)), layer.name
    else:
        assert weight.shape[1] * connection.synapse.groups == connection.in_shape[0], layer.name


def _verify_neuron(neuron: IntNeuron, layer: IntLayer, rules: IntegerRules) -> None:
    assert 2 <= layer.weight_bits <= rules.weight_bits, layer.name
    assert 0 <= neuron.vth < 2**rules.threshold_bits, layer.name
    assert 0 <= neuron.decay_v < 2**rules.decay_bits and 0 <= neuron.decay_u < 2**rules.decay_bits, layer.name
    assert 0 <= neuron.bias_exp <= rules.bias_exponent_max, layer.name
    bias_low, bias_high = signed_range(rules.bias_bits)
    assert bias_low <= neuron.bias_mant.min() and neuron.bias_mant.max() <= bias_high, layer.name
    assert neuron.bias_mant.shape == (layer.shape[0],), layer.name
