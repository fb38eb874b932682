"""The error that each rounding makes, layer by layer."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neuroprune.graph.nodes import FloatArray, Graph, Neuron, Node, Synapse
from neuroprune.program.fixedpoint import DECAY_UNITY, STATE_SHIFT, weight_range, weight_step
from neuroprune.program.types import IntLayer, IntProgram
from neuroprune.program.units import weight_unit
from neuroprune.quantize.scale import total_bias


@dataclass(frozen=True)
class RoundingErrors:
    """How far a layer's registers are from the floats that they stand for.

    weight: root mean square of what the weights differ by, over that of the weights. clipped: share of weights beyond
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


def rounding_errors(graph: Graph, program: IntProgram) -> dict[str, RoundingErrors]:
    """The errors of each layer of `program`, by its name, against the folded graph that it was made of."""
    return {
        layer.name: _layer_errors(layer, neuron, [node.synapse for node in synapses], program.input.unit)
        for layer, (neuron, synapses) in zip(program.layers, graph.populations(), strict=True)
    }


def _layer_errors(layer: IntLayer, node: Node, synapses: Sequence[Synapse], input_unit: float) -> RoundingErrors:
    assert isinstance(node.op, Neuron)
    neuron, registers = node.op, layer.neuron
    low, high = weight_range(layer.weight_bits)
    half = weight_step(layer.weight_bits) / 2
    wanted, stored = [], []
    for connection, synapse in zip(layer.connections, synapses, strict=True):
        wanted.append(synapse.weight.ravel() * weight_unit(connection, layer, input_unit))
        stored.append(connection.synapse.weight.ravel().astype(np.float64))
    weight, rounded = np.concatenate(wanted), np.concatenate(stored)
    bias = total_bias(synapses)
    bias_error = np.abs(registers.bias_mant * 2.0**registers.bias_exp / layer.scale - bias).max()
    integrates = math.isinf(neuron.threshold)
    return RoundingErrors(
        weight=_relative(_rms(rounded - weight), _rms(weight)),
        clipped=float(np.mean((weight < low - half) | (weight > high + half))),
        threshold=0.0 if integrates else _threshold_error(layer, neuron),
        bias=_relative(float(bias_error), float(np.abs(bias).max()) if integrates else neuron.threshold),
        decay_v=abs(registers.decay_v / DECAY_UNITY - neuron.decay),
        decay_u=abs((registers.decay_u + 1) / DECAY_UNITY - neuron.current_decay),
    )


def _threshold_error(layer: IntLayer, neuron: Neuron) -> float:
    units = layer.neuron.vth << STATE_SHIFT
    expressed = [units + 1] if neuron.reset == "zero" else [units + 1, units]
    return max(abs(each / layer.scale / neuron.threshold - 1.0) for each in expressed)


def _rms(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _relative(error: float, size: float) -> float:
    """Over the size; nothing is wrong with zeros that are zeros."""
    return error / size if size > 0.0 else error
