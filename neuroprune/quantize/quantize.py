"""From the folded float program to the chip's integers, and back to floats to see what rounding alone costs."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from neuroprune.errors import InputError
from neuroprune.frozen import frozen_array
from neuroprune.graph.evaluate import Frames, is_sequence, run_float
from neuroprune.graph.nodes import Conv, FloatArray, Graph, Input, Linear, Neuron, Node, Op, Synapse
from neuroprune.quantize.fixedpoint import (
    DECAY_UNITY,
    STATE_SHIFT,
    round_into,
    round_weights,
    signed_range,
)
from neuroprune.quantize.scale import Incoming, Scale, choose_scale, total_bias
from neuroprune.quantize.types import (
    Connection,
    IntConv,
    IntDense,
    IntNeuron,
    IntSynapse,
    QuantGraph,
    QuantInput,
    QuantLayer,
)
from neuroprune.quantize.verify import verify_quantized
from neuroprune.targets import Target


def quantize(graph: Graph, calibration: Frames, target: Target) -> QuantGraph:
    """The integer program of a folded graph, every register within the fields of `target`.

    calibration: float32 frames [samples, *input shape] (or [samples, steps, *input shape] where the graph reads
    sequences) as the network sees them; a few dozen of the training data. Each layer takes the name of its neurons.
    Raises InputError for frames of another shape or without numbers.
    """
    _check(calibration, graph)
    frames = _quantized_input(graph, calibration, target)
    peaks = run_float(graph, calibration).peak_current
    layers = tuple(
        _quantize_layer(graph, neuron, synapses, frames, peaks[neuron.name], target)
        for neuron, synapses in graph.populations()
    )
    program = QuantGraph(frames, layers, graph.steps, graph.readout)
    verify_quantized(program, target)
    return program


def _quantized_input(graph: Graph, calibration: Frames, target: Target) -> QuantInput:
    """Spikes without a value where the calibration frames hold 0 and 1 only, else graded ones."""
    shape, sequence = graph.nodes[0].shape, is_sequence(graph)
    if sequence and np.isin(calibration, (0.0, 1.0)).all():
        return QuantInput(shape, 1.0, 0, sequence)
    unit = _input_unit(calibration, signed_range(target.input_bits)[1])
    return QuantInput(shape, unit, target.input_bits, sequence)


def _quantize_layer(
    graph: Graph, neuron: Node, synapses: Sequence[Node], frames: QuantInput, peak: float, target: Target
) -> QuantLayer:
    assert isinstance(neuron.op, Neuron)
    sources = [graph[synapse.inputs[0]] for synapse in synapses]
    incoming = [_incoming(synapse.op, source, frames) for synapse, source in zip(synapses, sources, strict=True)]
    scale = choose_scale(incoming, neuron.op, peak, target)
    bias = total_bias([op for op, _ in incoming])
    registers = IntNeuron(
        decay_u=max(round(neuron.op.current_decay * DECAY_UNITY) - 1, 0),
        decay_v=min(round(neuron.op.decay * DECAY_UNITY), (1 << target.decay_bits) - 1),
        vth=scale.vth,
        bias_mant=round_into(bias * scale.voltage / 2**scale.bias_exp, target.bias_bits),
        bias_exp=scale.bias_exp,
        reset=neuron.op.reset,
    )
    connections = tuple(
        Connection(source.name, _rounded(op, scale, target), source.shape)
        for (op, _), source in zip(incoming, sources, strict=True)
    )
    return QuantLayer(
        neuron.name, connections, registers, neuron.shape, scale.voltage, scale.limited_by, target.weight_bits
    )


def _incoming(op: Op, source: Node, frames: QuantInput) -> Incoming:
    """Weights for integer input, and its largest magnitude."""
    assert isinstance(op, Conv | Linear)
    if not isinstance(source.op, Input):
        return op, 1
    return _times(op, frames.unit), signed_range(frames.bits)[1] if frames.bits else 1


def _rounded(op: Synapse, scale: Scale, target: Target) -> IntSynapse:
    weight = round_weights(op.weight * scale.weight, target.weight_bits)
    if isinstance(op, Linear):
        return IntDense(weight)
    return IntConv(weight, op.stride, op.padding, op.dilation, op.groups)


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


def _check(calibration: Frames, graph: Graph) -> None:
    shape = (graph.steps,) * is_sequence(graph) + graph.nodes[0].shape
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
    """Integer spikes of float frames [samples, ..., *shape], and how many values met the end of the range."""
    low, high = signed_range(spec.bits) if spec.bits else (0, 1)
    scaled = np.rint(frames / np.float32(spec.unit))
    return np.clip(scaled, low, high).astype(np.int8), int(((scaled < low) | (scaled > high)).sum())


def dequantize(graph: QuantGraph) -> Graph:
    """The float program that the rounded registers stand for; it reads quantised frames times `graph.input.unit`.

    Only for programs without delays, as `quantize` makes them.
    """
    nodes = [Node("input", Input(graph.input.sequence), (), graph.input.shape)]
    for layer in graph.layers:
        synapses = []
        for number, connection in enumerate(layer.connections):
            assert connection.delay == 0, layer.name
            bias = layer.neuron.bias_mant * 2.0**layer.neuron.bias_exp / layer.scale * (number == 0)
            op = _dequantized(connection, layer.scale, bias, graph.input.unit)
            synapses.append(Node(f"{layer.name}.synapse{number}", op, (connection.source,), layer.shape))
        unit = 1 << STATE_SHIFT
        neuron = Neuron(
            decay=layer.neuron.decay_v / DECAY_UNITY,
            threshold=(layer.neuron.vth * unit + 1) / layer.scale,
            current_decay=(layer.neuron.decay_u + 1) / DECAY_UNITY,
            reset=layer.neuron.reset,
        )
        nodes += [*synapses, Node(layer.name, neuron, tuple(node.name for node in synapses), layer.shape)]
    return Graph(tuple(nodes), graph.steps, graph.readout)


def _dequantized(connection: Connection, scale: float, bias: FloatArray, unit: float) -> Synapse:
    per_input = unit if connection.source == "input" else 1.0
    weight = frozen_array(connection.synapse.weight / (scale / (1 << STATE_SHIFT) * per_input), np.float64)
    bias = frozen_array(bias, np.float64)
    if isinstance(connection.synapse, IntDense):
        return Linear(weight, bias)
    conv = connection.synapse
    return Conv(weight, bias, conv.stride, conv.padding, conv.dilation, conv.groups)
