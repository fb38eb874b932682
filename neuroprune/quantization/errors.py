"""The error that each rounding makes, layer by layer."""

from dataclasses import dataclass

import numpy as np

from neuroprune.arrays import FloatArray
from neuroprune.fixed_point import weight_range, weight_step
from neuroprune.graph.float_program import FloatLayer, FloatProgram
from neuroprune.program.types import IntLayer, IntProgram
from neuroprune.program.units import weight_unit


@dataclass(frozen=True)
class RoundingErrors:
    """How far a layer's registers are from the float values that they stand for; 0 is exact.

    weight: root mean square of the weights' errors, over that of the weights. clipped: share of weights beyond
    the ends of their field. threshold: relative, the larger of what fires and what a reset subtracts; 0 for
    integrators. bias: largest, in units of the threshold; of integrators in units of their largest bias.
    decay_v, decay_u: of the decays of v and u as fractions, absolute.
    """

    weight: float
    clipped: float
    threshold: float
    bias: float
    decay_v: float
    decay_u: float


def rounding_errors(exact: FloatProgram, program: IntProgram) -> dict[str, RoundingErrors]:
    """The errors of each layer of `program`, by its name, against the float program that it was made of.

    >>> import torch
    >>> from neuroprune import (
    ...     build, fold, frames_of, load_chip, load_dataset, load_recipe, quantize, rounding_errors, trace,
    ... )
    >>> data = load_dataset("digits")
    >>> network = build(load_recipe("digits-conv"), data.input_shape, len(data.classes))
    >>> frames = frames_of(data.train.images[:16], data.coding)
    >>> floats = fold(trace(network, torch.from_numpy(frames)))
    >>> program = quantize(floats, frames, load_chip("loihi-sim"))
    >>> errors = rounding_errors(floats, program)
    >>> errors["body.neuron1"].weight < 0.02, errors["body.neuron1"].decay_v
    (True, 0.0)
    """
    return {
        layer.name: _layer_errors(layer, float_layer, program.input.unit)
        for layer, float_layer in zip(program.layers, exact.layers, strict=True)
    }


def _layer_errors(layer: IntLayer, exact: FloatLayer, input_unit: float) -> RoundingErrors:
    low, high = weight_range(layer.weight_bits)
    half = weight_step(layer.weight_bits) / 2
    scaled, stored = [], []
    for connection, float_connection in zip(layer.connections, exact.connections, strict=True):
        scaled.append(float_connection.synapse.weight.ravel() * weight_unit(connection, layer, input_unit))
        stored.append(connection.synapse.weight.ravel().astype(np.float64))
    weight, rounded = np.concatenate(scaled), np.concatenate(stored)
    bias_error = np.abs(layer.bias.mantissa * 2.0**layer.bias.exponent / layer.scale - exact.bias).max()
    largest = float(np.abs(exact.bias).max()) if exact.neuron.integrates else exact.neuron.threshold
    of_neurons = layer.neuron.rounding(exact.neuron, layer.scale)
    return RoundingErrors(
        weight=_relative(_rms(rounded - weight), _rms(weight)),
        clipped=float(np.mean((weight < low - half) | (weight > high + half))),
        threshold=of_neurons.threshold,
        bias=_relative(float(bias_error), largest),
        decay_v=of_neurons.decay_v,
        decay_u=of_neurons.decay_u,
    )


def _rms(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _relative(error: float, size: float) -> float:
    """`error` over `size`, or as it is where the size is 0."""
    return error / size if size > 0.0 else error
