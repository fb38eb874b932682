"""From the folded float program to the chip's integers, and back to floats to see what rounding alone costs."""

from collections.abc import Sequence

import numpy as np
import torch

from neuroprune.chips.chip import Chip
from neuroprune.errors import InputError
from neuroprune.graph.evaluate import Frames, is_sequence
from neuroprune.graph.nodes import Graph, Linear, Neuron, Node, Synapse
from neuroprune.program.fixedpoint import signed_range
from neuroprune.program.frames import quantize_input
from neuroprune.program.rules import IntegerRules
from neuroprune.program.types import (
    IntConnection,
    IntConv,
    IntDense,
    IntInput,
    IntLayer,
    IntProgram,
    IntSynapse,
    WeightArray,
)
from neuroprune.program.verify import verify_program
from neuroprune.quantize.bits import Bits, bits_of_layers
from neuroprune.quantize.calibrate import Population, Source, choose_scale, chunks
from neuroprune.quantize.scale import Scale

WIDEST = Bits()
"""All layers as the chip has them."""
FEWEST_LEVELS = 7
"""Least positive levels of a graded input that the search tries."""


def quantize(graph: Graph, calibration: Frames, chip: Chip, bits: Bits = WIDEST) -> IntProgram:
    """The integer program of a folded graph, every register within the fields of `chip`.

    calibration: float32 frames [samples, *input shape] (or [samples, steps, *input shape] where the graph reads
    sequences) as the network sees them; a few hundred of the training data. Layer by layer, what those send through
    the layers before it, already quantised, chooses its scale. Each layer takes the name of its neurons.
    bits: of the weights of each layer; by default as many as the chip has.
    Raises InputError for frames of another shape or without numbers, and for bits that `bits_of_layers` refuses.
    """
    _check(calibration, graph)
    widths = bits_of_layers(bits, graph, chip.rules)
    populations = graph.populations()
    spec = _choose_input(graph, calibration, chip.rules, widths)
    sent = {graph.nodes[0].name: _source(spec, calibration)}
    layers = []
    for number, (node, synapses) in enumerate(populations):
        population = _population(node, synapses, sent, graph.steps, widths, chip.rules)
        scale, _ = choose_scale(population)
        layers.append(_layer(node, synapses, population, scale, graph))
        sent[node.name] = _run(population, layers[-1])
        awaited = {synapse.inputs[0] for _, later in populations[number + 1 :] for synapse in later}
        sent = {name: source for name, source in sent.items() if name in awaited}
    program = IntProgram(spec, tuple(layers), graph.steps, graph.readout)
    verify_program(program, chip.rules)
    return program


def _choose_input(graph: Graph, calibration: Frames, rules: IntegerRules, widths: dict[str, int]) -> IntInput:
    """Spikes without a value where the calibration frames hold 0 and 1 only, else graded ones of the best unit.

    Large graded values leave less of u's register to the weights: a coarser unit may pay. So the layers that read the
    input are tried with units for half as many levels, and again half; the fewest spikes that differ decide.
    """
    first, sequence = graph.nodes[0], is_sequence(graph)
    if sequence and np.isin(calibration, (0.0, 1.0)).all():
        return IntInput(first.shape, 1.0, 0, sequence)
    readers = [
        (node, synapses)
        for node, synapses in graph.populations()
        if all(synapse.inputs[0] == first.name for synapse in synapses)
    ]
    best, least = None, np.inf
    peak = signed_range(rules.input_bits)[1]
    halvings = range((peak // FEWEST_LEVELS).bit_length())
    for unit in dict.fromkeys(_input_unit(calibration, peak >> halving) for halving in halvings):
        spec = IntInput(first.shape, unit, rules.input_bits, sequence)
        sent = {first.name: _source(spec, calibration)}
        error = sum(
            choose_scale(_population(node, synapses, sent, graph.steps, widths, rules))[1] for node, synapses in readers
        )
        if error < least:
            best, least = spec, error
    assert best is not None
    return best


def _source(spec: IntInput, frames: Frames) -> Source:
    """Frames as the first layers read them."""
    integers, _ = quantize_input(spec, frames)
    values = min(int(integers.min()), 0), max(int(integers.max()), 0)
    tensors = [torch.from_numpy(array) for array in (frames, integers)]
    floats, whole = (each.transpose(0, 1) if spec.sequence else each.unsqueeze(0) for each in tensors)
    return Source(floats, whole, spec.unit, values)


def _population(
    node: Node,
    synapses: Sequence[Node],
    sent: dict[str, Source],
    steps: int,
    widths: dict[str, int],
    rules: IntegerRules,
) -> Population:
    assert isinstance(node.op, Neuron)
    return Population(
        node.op,
        tuple(each.synapse for each in synapses),
        tuple(sent[synapse.inputs[0]] for synapse in synapses),
        steps,
        widths[node.name],
        rules,
    )


def _layer(node: Node, synapses: Sequence[Node], population: Population, scale: Scale, graph: Graph) -> IntLayer:
    connections = tuple(
        IntConnection(synapse.inputs[0], int_synapse(op, weight), graph[synapse.inputs[0]].shape)
        for synapse, op, weight in zip(synapses, population.synapses, population.weights(scale), strict=True)
    )
    registers = population.registers(scale)
    return IntLayer(
        node.name, connections, registers, node.shape, scale.voltage, scale.limited_by, population.weight_bits
    )


def int_synapse(like: Synapse, weight: WeightArray) -> IntSynapse:
    """Integer weights that are connected as `like`."""
    if isinstance(like, Linear):
        return IntDense(weight)
    return IntConv(weight, like.stride, like.padding, like.dilation, like.groups)


@torch.inference_mode()
def _run(population: Population, layer: IntLayer) -> Source:
    """The spikes of a quantised layer on the calibration samples."""
    weights = [connection.synapse.weight for connection in layer.connections]
    spikes = torch.cat(
        [
            population.fire(population.integer_currents(weights, samples), layer.neuron)[0].to(torch.int8)
            for samples in chunks(population.samples)
        ],
        dim=1,
    )
    return Source(spikes, spikes)


def _input_unit(calibration: Frames, peak_input: int) -> float:
    """The float value of one integer step: all of the frames fit, and the sum of squared rounding errors is least.

    Images have few levels, and a unit that meets them loses nothing; so every peak from half the range is tried.
    """
    levels, share = np.unique(calibration.astype(np.float64), return_counts=True)
    peak = float(np.abs(levels).max())
    if peak <= peak_input and np.array_equal(levels, np.rint(levels)):
        return 1.0  # whole numbers, such as events that were counted, as they are
    units = peak / np.arange(peak_input, peak_input // 2, -1)
    errors = [float((share * (levels - np.rint(levels / unit) * unit) ** 2).sum()) for unit in units]
    return float(units[int(np.argmin(errors))])


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
