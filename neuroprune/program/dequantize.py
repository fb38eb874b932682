"""From the integer program back to a float program, to measure the effect of rounding alone."""

import numpy as np

from neuroprune.arrays import frozen_array
from neuroprune.graph.float_program import (
    FloatConnection,
    FloatConv,
    FloatDense,
    FloatInput,
    FloatLayer,
    FloatProgram,
    FloatSynapse,
)
from neuroprune.program.types import IntDense, IntLayer, IntProgram, IntSynapse
from neuroprune.program.units import weight_unit


def dequantize(program: IntProgram) -> FloatProgram:
    """The float program that the rounded registers stand for; it reads quantised frames times `program.input.unit`.

    Only for programs without delays but those of recurrence, as `quantize` makes them.

    >>> import torch
    >>> from neuroprune import (
    ...     build, dequantize, fold, frames_of, load_chip, load_dataset, load_recipe, quantize, trace,
    ... )
    >>> data = load_dataset("digits")
    >>> network = build(load_recipe("digits-conv"), data.input_shape, len(data.classes))
    >>> frames = frames_of(data.train.images[:16], data.coding)
    >>> floats = fold(trace(network, torch.from_numpy(frames)))
    >>> program = quantize(floats, frames, load_chip("loihi-sim"))
    >>> round(dequantize(program)["body.neuron1"].neuron.threshold, 2)  # 1.0 before it was rounded
    1.0
    """
    integrators = program.layers[-1:] if program.readout.of == "voltage" else ()
    layers = tuple(_layer(layer, layer in integrators, program.input.unit) for layer in program.layers)
    presented = FloatInput(program.input.shape, program.input.sequence)
    return FloatProgram(presented, layers, program.steps, program.readout)


def _layer(layer: IntLayer, integrates: bool, input_unit: float) -> FloatLayer:
    connections = []
    for number, connection in enumerate(layer.connections):
        assert connection.delay == (connection.source == layer.name), layer.name
        synapse = _synapse(connection.synapse, weight_unit(connection, layer, input_unit))
        name = f"{layer.name}.synapse{number}"
        connections.append(FloatConnection(name, connection.source, synapse, connection.in_shape, connection.delay))
    bias = frozen_array(layer.bias.mantissa * 2.0**layer.bias.exponent / layer.scale, np.float64)
    neuron = layer.neuron.to_floats(layer.scale, integrates)
    return FloatLayer(layer.name, tuple(connections), neuron, bias, layer.shape)


def _synapse(synapse: IntSynapse, unit: float) -> FloatSynapse:
    """unit: of the integer weights for one of the float ones."""
    weight = frozen_array(synapse.weight / unit, np.float64)
    if isinstance(synapse, IntDense):
        return FloatDense(weight)
    return FloatConv(weight, synapse.stride, synapse.padding, synapse.dilation, synapse.groups)
