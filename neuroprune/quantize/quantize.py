"""From the folded float program to the chip's integers, and back to floats to see what rounding alone costs."""

import numpy as np
import numpy.typing as npt

from neuroprune.errors import InputError
from neuroprune.frozen import frozen_array
from neuroprune.graph.evaluate import Frames, run_float
from neuroprune.graph.nodes import Conv, Graph, Input, Linear, Neuron, Node, Synapse
from neuroprune.quantize.fixedpoint import (
    DECAY_UNITY,
    NO_CURRENT_DECAY,
    STATE_SHIFT,
    round_into,
    round_weights,
    signed_range,
)
from neuroprune.quantize.scale import choose_scale
from neuroprune.quantize.types import IntConv, IntDense, IntNeuron, QuantGraph, QuantInput, QuantLayer
from neuroprune.quantize.verify import verify_quantized
from neuroprune.targets import Target


def quantize(graph: Graph, calibration: Frames, target: Target) -> QuantGraph:
    """The integer program of a folded graph, every register within the fields of `target`.

    calibration: float32 frames [samples, *input shape] as the network sees them; a few dozen of the training data.
    Each layer takes the name of its neurons. Raises InputError for frames of another shape or without numbers.
    """
    _check(calibration, graph.nodes[0].shape)
    peak_input = signed_range(target.input_bits)[1]
    unit = _input_unit(calibration, peak_input)
    quantized_input = QuantInput(graph.nodes[0].shape, unit, target.input_bits)
    peaks = run_float(graph, calibration).peak_current
    layers = []
    for synapse, neuron in zip(graph.nodes[1::2], graph.nodes[2::2], strict=True):
        source = graph[synapse.inputs[0]]
        first = source is graph.nodes[0]
        layers.append(
            _quantize_layer(synapse, neuron, source, unit if first else 1.0, peaks, peak_input if first else 1, target)
        )
    program = QuantGraph(quantized_input, tuple(layers), graph.steps)
    verify_quantized(program, target)
    return program


def _quantize_layer(
    synapse: Node, neuron: Node, source: Node, unit: float, peaks: dict[str, float], peak_input: int, target: Target
) -> QuantLayer:
    """unit: float value of one unit of integer input."""
    assert isinstance(synapse.op, Conv | Linear) and isinstance(neuron.op, Neuron)
    op = _times(synapse.op, unit)
    scale = choose_scale(op, neuron.op, peaks[neuron.name], peak_input, target)
    weight = round_weights(op.weight * scale.weight, target.weight_bits)
    largest_decay = (1 << target.decay_bits) - 1
    registers = IntNeuron(
        decay_u=NO_CURRENT_DECAY,
        decay_v=min(round(neuron.op.decay * DECAY_UNITY), largest_decay),
        vth=scale.vth,
        bias_mant=round_into(op.bias * scale.voltage / 2**scale.bias_exp, target.bias_bits),
        bias_exp=scale.bias_exp,
    )
    integer = (
        IntConv(weight, op.stride, op.padding, op.dilation, op.groups) if isinstance(op, Conv) else IntDense(weight)
    )
    return QuantLayer(
        name=neuron.name,
        source=source.name,
        synapse=integer,
        neuron=registers,
        in_shape=source.shape,
        shape=neuron.shape,
        scale=scale.voltage,
        limited_by=scale.limited_by,
    )


def _input_unit(calibration: Frames, peak_input: int) -> float:
    """The float value of one integer step: all of the frames fit, and the sum of squared rounding errors is least.

    Images have few levels, and a unit that meets them loses nothing; so every peak from half the range is tried.
    """
    levels, share = np.unique(calibration.astype(np.float64), return_counts=True)
    peak = float(np.abs(levels).max())
    if peak == 0.0:
        return 1.0
    units = peak / np.arange(peak_input, peak_input // 2, -1)
    errors = [float((share * (levels - np.rint(levels / unit) * unit) ** 2).sum()) for unit in units]
    return float(units[int(np.argmin(errors))])


def _times(op: Synapse, unit: float) -> Synapse:
    """The same synapse for integer inputs of `unit` each; the bias does not depend on the input."""
    weight = frozen_array(op.weight * unit, np.float64)
    if isinstance(op, Linear):
        return Linear(weight, op.bias)
    return Conv(weight, op.bias, op.stride, op.padding, op.dilation, op.groups)


def _check(calibration: Frames, shape: tuple[int, ...]) -> None:
    if calibration.shape[1:] != shape or len(calibration) == 0:
        raise InputError(
            f"the calibration batch has shape {calibration.shape}, the network reads frames of shape {shape}: pass "
            f"at least one frame as an array of shape (samples, {', '.join(map(str, shape))})"
        )
    if not np.isfinite(calibration).all():
        raise InputError(
            f"the calibration batch has {int((~np.isfinite(calibration)).sum())} values that are not finite numbers: "
            "remove those frames"
        )


def quantize_input(spec: QuantInput, frames: Frames) -> tuple[npt.NDArray[np.int8], int]:
    """Graded integer spikes of float frames [samples, *shape], and how many values met the end of the range."""
    low, high = signed_range(spec.bits)
    scaled = np.rint(frames / np.float32(spec.unit))
    return np.clip(scaled, low, high).astype(np.int8), int(((scaled < low) | (scaled > high)).sum())


def dequantize(graph: QuantGraph) -> Graph:
    """The float program that the rounded registers stand for; it reads quantised frames times `graph.input.unit`."""
    nodes = [Node("input", Input(), (), graph.input.shape)]
    for layer in graph.layers:
        unit = graph.input.unit if layer.source == "input" else 1.0
        weight_scale = layer.scale / (1 << STATE_SHIFT)
        weight = frozen_array(layer.synapse.weight / (weight_scale * unit), np.float64)
        bias = frozen_array(layer.neuron.bias_mant * 2.0**layer.neuron.bias_exp / layer.scale, np.float64)
        synapse: Synapse
        if isinstance(layer.synapse, IntConv):
            conv = layer.synapse
            synapse = Conv(weight, bias, conv.stride, conv.padding, conv.dilation, conv.groups)
        else:
            synapse = Linear(weight, bias)
        threshold = (layer.neuron.vth * (1 << STATE_SHIFT) + 1) / layer.scale
        neuron = Neuron(layer.neuron.decay_v / DECAY_UNITY, threshold)
        nodes.append(Node(f"{layer.name}.synapse", synapse, (layer.source,), layer.shape))
        nodes.append(Node(layer.name, neuron, (f"{layer.name}.synapse",), layer.shape))
    return Graph(tuple(nodes), graph.steps)
