"""The rules of an integer program: every register within its field, every layer fed by those before it."""

import numpy as np

from neuroprune.fixed_point import IntegerRules, signed_range, weight_range, weight_step
from neuroprune.graph.nodes import INPUT
from neuroprune.program.types import IntConnection, IntDense, IntLayer, IntProgram


def verify_program(program: IntProgram, rules: IntegerRules) -> None:
    """Check all layers against the fields of `rules`; a violation is a mistake of neuroprune."""
    assert program.steps >= 1 and program.layers and program.input.bits <= rules.input_bits
    shapes = {INPUT: program.input.shape}
    for layer in program.layers:
        assert layer.forward and layer.connections == layer.forward + layer.recurrent, layer.name
        assert layer.name not in shapes, layer.name
        shapes[layer.name] = layer.shape
        for connection in layer.connections:
            assert shapes[connection.source] == connection.in_shape and connection.delay >= 0, layer.name
            assert connection.source != layer.name or connection.delay == 1, layer.name
            _verify_synapse(connection, layer)
        _verify_neurons(layer, rules)


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


def _verify_neurons(layer: IntLayer, rules: IntegerRules) -> None:
    assert 2 <= layer.weight_bits <= rules.weight_bits, layer.name
    layer.neuron.verify(rules)
    bias = layer.bias
    assert 0 <= bias.exponent <= rules.bias_exponent_max, layer.name
    low, high = signed_range(rules.bias_bits)
    assert low <= bias.mantissa.min() and bias.mantissa.max() <= high, layer.name
    assert bias.mantissa.shape == (layer.shape[0],), layer.name
