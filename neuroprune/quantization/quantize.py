"""From the float program to the chip's integers."""

from dataclasses import replace

import numpy as np
import torch

from neuroprune.arrays import Frames
from neuroprune.chips.chip import Chip
from neuroprune.errors import InputError
from neuroprune.fixed_point import IntegerRules, WeightArray, signed_range
from neuroprune.graph.float_program import FloatDense, FloatLayer, FloatProgram, FloatSynapse
from neuroprune.graph.nodes import INPUT
from neuroprune.neurons.model import IntNeuron
from neuroprune.program.frames import quantize_input
from neuroprune.program.types import (
    IntConnection,
    IntConv,
    IntDense,
    IntInput,
    IntLayer,
    IntProgram,
    IntSynapse,
)
from neuroprune.program.verify import verify_program
from neuroprune.quantization.bits import Bits, bits_of_layers
from neuroprune.quantization.calibrate import Population, Source, choose_scale, chunks
from neuroprune.quantization.forward import one_step_later
from neuroprune.quantization.scale import Scale

WIDEST = Bits()
"""All layers with the widest weights that the chip has."""
FEWEST_LEVELS = 7
"""The fewest positive levels of a graded input that the search tries."""


def quantize(program: FloatProgram, calibration: Frames, chip: Chip, bits: Bits = WIDEST) -> IntProgram:
    """The integer program of a float program, every register within the fields of `chip`.

    calibration: float32 frames [samples, *input shape] (or [samples, steps, *input shape] where the program reads
    sequences) as the network sees them; a few hundred of the training data. The scale of each layer is chosen on
    the spikes that they cause in the layers before it, which are quantised by then. Layers are named after their
    neurons.
    bits: of the weights of each layer; by default as many as the chip has.
    Raises InputError for frames of another shape or with values that are not finite, for bits that the chip or the
    program does not have, and for neurons of one's own that know no registers as narrow as the chip's.

    >>> import torch
    >>> from neuroprune import (
    ...     build, fold, frames_of, load_chip, load_dataset, load_recipe, parse_bits, quantize, trace,
    ... )
    >>> data = load_dataset("digits")
    >>> network = build(load_recipe("digits-conv"), data.input_shape, len(data.classes))
    >>> frames = frames_of(data.train.images[:16], data.coding)
    >>> floats = fold(trace(network, torch.from_numpy(frames)))
    >>> program = quantize(floats, frames, load_chip("loihi-sim"), parse_bits("body.neuron2=4,default=8"))
    >>> [layer.weight_bits for layer in program.layers]
    [8, 4, 8, 8]
    """
    _check(calibration, program)
    rules = chip.rules
    widths = bits_of_layers(bits, program, rules)
    spec = _choose_input(program, calibration, rules, widths)
    sources = {INPUT: _source(spec, calibration)}
    layers = []
    for number, layer in enumerate(program.layers):
        population = _population(layer, sources, program.steps, widths, rules)
        scale, _ = choose_scale(population)
        _check_registers(layer.name, scale.neuron, rules)
        layers.append(_layer(population, scale))
        sources[layer.name] = _run(population, layers[-1])
        awaited = {each.source for later in program.layers[number + 1 :] for each in later.connections}
        sources = {name: source for name, source in sources.items() if name in awaited}
    quantized = IntProgram(spec, tuple(layers), program.steps, program.readout)
    verify_program(quantized, rules)
    return quantized


def _check_registers(layer: str, neuron: IntNeuron, rules: IntegerRules) -> None:
    if neuron.state_bits != rules.state_bits:
        raise InputError(
            f"layer {layer} has {type(neuron).__name__} neurons with registers of {neuron.state_bits} bits, but those "
            f"of {rules.chip} have {rules.state_bits}: choose a chip with such registers"
        )


def _choose_input(program: FloatProgram, calibration: Frames, rules: IntegerRules, widths: dict[str, int]) -> IntInput:
    """Spikes without a value where the calibration frames hold 0 and 1 only, else graded ones of the best unit.

    Large graded values leave less of u's register to the weights, so a coarser unit may be better. Units for half as
    many levels, and half again, are tried on the layers that read the input; the fewest spikes that differ decide.
    """
    shape, sequence = program.input.shape, program.input.sequence
    if sequence and np.isin(calibration, (0.0, 1.0)).all():
        return IntInput(shape, 1.0, 0, sequence)
    readers = [
        layer for layer in program.layers if all(each.source in (INPUT, layer.name) for each in layer.connections)
    ]
    best, least = None, np.inf
    peak = signed_range(rules.input_bits)[1]
    halvings = range(max((peak // FEWEST_LEVELS).bit_length(), 1))
    for unit in dict.fromkeys(_input_unit(calibration, peak >> halving) for halving in halvings):
        spec = IntInput(shape, unit, rules.input_bits, sequence)
        sources = {INPUT: _source(spec, calibration)}
        error = sum(choose_scale(_population(layer, sources, program.steps, widths, rules))[1] for layer in readers)
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
    layer: FloatLayer, known: dict[str, Source], steps: int, widths: dict[str, int], rules: IntegerRules
) -> Population:
    silence = Source(torch.zeros(()), torch.zeros(()))
    sources = tuple(known.get(connection.source, silence) for connection in layer.connections)
    population = Population(layer, sources, steps, widths[layer.name], rules)
    if not population.recurrent:
        return population
    fired = torch.cat([population.fire_float_alone(samples) for samples in chunks(population.samples)], dim=1)
    late = one_step_later(fired.to(torch.int8))
    own = Source(late, late)
    return replace(population, sources=tuple(own if each is silence else each for each in sources))


def _layer(population: Population, scale: Scale) -> IntLayer:
    layer = population.layer
    connections = tuple(
        IntConnection(connection.source, int_synapse(connection.synapse, weight), connection.in_shape, connection.delay)
        for connection, weight in zip(layer.connections, population.weights(scale), strict=True)
    )
    return IntLayer(
        name=layer.name,
        connections=connections,
        neuron=scale.neuron,
        bias=population.int_bias(scale),
        shape=layer.shape,
        scale=scale.voltage,
        limited_by=scale.limited_by,
        weight_bits=population.weight_bits,
    )


def int_synapse(like: FloatSynapse, weight: WeightArray) -> IntSynapse:
    """Integer weights that are connected as `like`."""
    if isinstance(like, FloatDense):
        return IntDense(weight)
    return IntConv(weight, like.stride, like.padding, like.dilation, like.groups)


@torch.inference_mode()
def _run(population: Population, layer: IntLayer) -> Source:
    """The spikes of a quantised layer on the calibration samples."""
    spikes = torch.cat(
        [population.fire_alone(layer, samples).to(torch.int8) for samples in chunks(population.samples)], dim=1
    )
    return Source(spikes, spikes)


def _input_unit(calibration: Frames, peak_input: int) -> float:
    """The float value of one integer step: all of the frames fit, and the sum of squared rounding errors is least.

    Images have few levels, and a unit that represents them exactly loses nothing; so every peak from half the range on
    is tried.
    """
    levels, share = np.unique(calibration.astype(np.float64), return_counts=True)
    peak = float(np.abs(levels).max())
    if peak <= peak_input and np.array_equal(levels, np.rint(levels)):
        return 1.0  # whole numbers, such as event counts, as they are
    units = peak / np.arange(peak_input, peak_input // 2, -1)
    errors = [float((share * (levels - np.rint(levels / unit) * unit) ** 2).sum()) for unit in units]
    return float(units[int(np.argmin(errors))])


def _check(calibration: Frames, program: FloatProgram) -> None:
    shape = (program.steps,) * program.input.sequence + program.input.shape
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
