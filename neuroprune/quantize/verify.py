"""The rules of an integer program: every register within its field, every layer fed by the one before."""

import numpy as np

from neuroprune.quantize.fixedpoint import signed_range, weight_range, weight_step
from neuroprune.quantize.types import IntDense, QuantGraph, QuantLayer
from neuroprune.targets import Target


def verify_quantized(graph: QuantGraph, target: Target) -> None:
    """Check all layers against the fields of `target`; a violation is a mistake of the compiler."""
    assert graph.steps >= 1 and graph.layers
    shapes = {"input": graph.input.shape}
    for layer in graph.layers:
        assert shapes[layer.source] == layer.in_shape, layer.name
        shapes[layer.name] = layer.shape
        _verify_layer(layer, target)


def _verify_layer(layer: QuantLayer, target: Target) -> None:
    low, high = weight_range(target.weight_bits)
    weight, neuron = layer.synapse.weight, layer.neuron
    assert low <= weight.min() and weight.max() <= high and not np.any(weight % weight_step(target.weight_bits))
    assert 0 <= neuron.vth < 2**target.threshold_bits, layer.name
    assert 0 <= neuron.decay_v < 2**target.decay_bits and 0 <= neuron.decay_u < 2**target.decay_bits, layer.name
    assert 0 <= neuron.bias_exp <= target.bias_exponent_max, layer.name
    bias_low, bias_high = signed_range(target.bias_bits)
    assert bias_low <= neuron.bias_mant.min() and neuron.bias_mant.max() <= bias_high, layer.name
    assert neuron.bias_mant.shape == (layer.shape[0],) == (len(weight),), layer.name
    if isinstance(layer.synapse, IntDense):
        assert weight.shape[1] == int(np.prod(layer.in_shape)), layer.name
    else:
        assert weight.shape[1] * layer.synapse.groups == layer.in_shape[0], layer.name
