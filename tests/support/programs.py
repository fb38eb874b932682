"""Random integer programs, with weights, states and registers at the ends of their ranges."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from neuroprune.arrays import frozen_array
from neuroprune.fixed_point import STATE_SHIFT, largest_state, signed_range, weight_range, weight_step
from neuroprune.graph.nodes import Pair, Readout, Shape
from neuroprune.neurons.cuba_lif import IntCubaLif
from neuroprune.neurons.model import Reset
from neuroprune.program.types import IntBias, IntConnection, IntConv, IntDense, IntInput, IntLayer, IntProgram

NEURON = IntCubaLif(decay_u=4095, decay_v=2048, vth=300)

Neurons = IntCubaLif | tuple[IntCubaLif, IntBias]
"""Neurons without biases, or with them."""


def with_bias(
    neuron: IntCubaLif, mantissas: Sequence[int] | npt.NDArray[np.integer], exponent: int = 6
) -> tuple[IntCubaLif, IntBias]:
    """Neurons with these biases, one for each channel or one for all."""
    return neuron, IntBias(frozen_array(mantissas, np.int32), exponent)


def spread(neurons: Neurons, channels: int) -> tuple[IntCubaLif, IntBias]:
    """One bias for all channels is spread over them."""
    neuron, bias = neurons if isinstance(neurons, tuple) else with_bias(neurons, [0])
    return with_bias(neuron, np.broadcast_to(bias.mantissa, channels), bias.exponent)


def conv(
    name: str,
    source: str,
    in_shape: Shape,
    weight: npt.NDArray[np.integer],
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
    neuron: Neurons = NEURON,
) -> IntLayer:
    """A layer whose output shape follows from its parameters; one bias for all channels is spread over them."""
    height, width = (
        (size + 2 * pad - gap * (kernel - 1) - 1) // step + 1
        for size, pad, gap, kernel, step in zip(in_shape[1:], padding, dilation, weight.shape[2:], stride, strict=True)
    )
    synapse = IntConv(frozen_array(weight, np.int16), stride, padding, dilation, groups)
    registers, bias = spread(neuron, len(weight))
    return IntLayer(
        name, (IntConnection(source, synapse, in_shape),), registers, bias, (len(weight), height, width), 1.0, "weight"
    )


def dense(
    name: str, source: str, in_shape: Shape, weight: npt.NDArray[np.integer], neuron: Neurons = NEURON
) -> IntLayer:
    synapse = IntDense(frozen_array(weight, np.int16))
    registers, bias = spread(neuron, len(weight))
    return IntLayer(name, (IntConnection(source, synapse, in_shape),), registers, bias, (len(weight),), 1.0, "weight")


def program_of(*layers: IntLayer, steps: int = 4, bits: int = 8, sequence: bool = False) -> IntProgram:
    """The program of these layers, whose first one reads the input."""
    return IntProgram(IntInput(layers[0].connections[0].in_shape, 1.0, bits, sequence), layers, steps)


def joined(layer: IntLayer, *others: IntLayer) -> IntLayer:
    """The layer with the connections of others of its shape as well."""
    connections = [connection for part in (layer, *others) for connection in part.connections]
    return replace(layer, connections=tuple(connections))


def later(layer: IntLayer, delay: int) -> IntLayer:
    """The layer with spikes that arrive `delay` steps later on all its connections."""
    return replace(layer, connections=tuple(replace(connection, delay=delay) for connection in layer.connections))


def random_weights(rng: np.random.Generator, shape: Shape, peak: int) -> npt.NDArray[np.int16]:
    """Even weights of at most `peak`, a fifth of them at the rails where `peak` allows them."""
    weight = rng.integers(-peak // 2, peak // 2 + 1, shape) * 2
    rail = rng.choice([-256, 254], shape)
    weight = np.where((rng.random(shape) < 0.2) & (peak == 256), rail, weight)
    return np.clip(weight, -256, 254).astype(np.int16)


def random_frames(rng: np.random.Generator, samples: int, shape: Shape, bits: int = 8) -> npt.NDArray[np.int8]:
    """Graded input of `bits` with many values at the rails."""
    low, high = signed_range(bits)
    frames = rng.integers(low, high + 1, (samples, *shape))
    return np.where(rng.random(frames.shape) < 0.2, rng.choice([low, high], frames.shape), frames).astype(np.int8)


Case = tuple[IntProgram, npt.NDArray[np.int8]]

EDGES = (2**10, 2**16, 2**18)
"""Weights of this sum, times -128, are 2**17, beyond which u wraps, 2**23, where a convolution does, and 2**25, where
the current leaves an int32."""


def programs(memoryless: bool = False) -> st.SearchStrategy[Case]:
    """`random_program` of every seed."""
    return st.integers(0, 2**32 - 1).map(lambda seed: random_program(seed, memoryless))


def random_program(seed: int, memoryless: bool = False, largest: int = 6) -> Case:
    """A program of one to four layers and one to three samples for it, the same for the same seed.

    memoryless: u keeps nothing, as in all that we compile. largest: height and width of the input, at most.
    A layer has up to three connections, from layers of any depth, the input among them, and some arrive later, or after
    the last step; one layer of five reads itself, too. In one program of five the sums of the first layers are at, or
    one above, the ends of a convolution's or of u's registers, in another u and v have fewer than 24 bits; some weights
    and inputs have fewer than 8.
    """
    rng = np.random.default_rng(seed)
    edges = rng.random() < 0.2
    height, width = rng.integers(1, largest + 1, 2).tolist()
    channels = int(rng.choice([5, 29, 57, 116])) if edges else int(rng.integers(1, 5))
    shape = (channels, min(height, 4), min(width, 4)) if edges else (channels, height, width)
    binary, sequence = bool(rng.random() < 0.3 and not edges), bool(rng.random() < 0.3)
    steps = int(rng.integers(1, 6))
    state_bits = 24 if edges or rng.random() < 0.75 else int(rng.integers(16, 24))
    input_bits = 0 if binary else 8 if edges or rng.random() < 0.75 else int(rng.integers(2, 8))
    layers: list[IntLayer] = []
    shapes = {"input": shape}
    for index in range(int(rng.integers(1, 5))):
        name = f"layer{index}"
        layer = _random_layer(rng, name, shapes, _neuron(rng, memoryless, state_bits), steps, edges and index < 2)
        layers.append(layer)
        shapes[name] = layer.shape
    layers = [_perhaps_recurrent(np.random.default_rng((seed, index)), layer) for index, layer in enumerate(layers)]
    program = IntProgram(
        IntInput(shape, 1.0, input_bits, sequence),
        tuple(layers),
        steps,
        Readout(of="voltage" if rng.random() < 0.2 else "spikes"),
    )
    samples = int(rng.integers(1, 4))
    wanted = (steps, *shape) if sequence else shape
    if binary:
        return program, (rng.random((samples, *wanted)) < rng.random()).astype(np.int8)
    frames = random_frames(rng, samples, wanted, input_bits)
    if edges:
        frames[0] = rng.choice([-128, -128, 127])
        if rng.random() < 0.5:
            frames[0].flat[rng.integers(frames[0].size)] = rng.integers(-128, 128)
    return program, frames


def _neuron(rng: np.random.Generator, memoryless: bool, state_bits: int) -> tuple[IntCubaLif, IntBias]:
    """Registers at the ends of their ranges, and between; biases are added with the weights."""
    decay_u = 4095 if memoryless else int(rng.choice([4095, 4095, 4094, 2048, 100, 0, int(rng.integers(4096))]))
    decay_v = int(rng.choice([0, 0, 1, 1000, 1024, 2048, 3072, 4095, int(rng.integers(4096))]))
    vth = min(int(rng.choice([0, 1, 37, 900, 20000, 131070, 131071])), largest_state(state_bits) >> STATE_SHIFT)
    exponent = int(rng.choice([6, 6, 0, 3, 7]))
    reset: Reset = "subtract" if rng.random() < 0.4 else "zero"
    return with_bias(IntCubaLif(decay_u, decay_v, vth, reset, state_bits), [0], exponent)


def _random_layer(
    rng: np.random.Generator,
    name: str,
    shapes: dict[str, Shape],
    neuron: tuple[IntCubaLif, IntBias],
    steps: int,
    edges: bool,
) -> IntLayer:
    """A layer on the newest source, or another, and on more of them where a convolution meets its shape."""
    sources = list(shapes)
    source = "input" if edges else sources[-1] if rng.random() < 0.7 else str(rng.choice(sources))
    if len(shapes[source]) == 3 and rng.random() < 0.6:
        layer = _random_conv(rng, name, source, shapes[source], None, edges)
        assert layer is not None
    else:
        layer = _random_dense(rng, name, source, shapes[source], int(rng.integers(1, 6)), edges)
    biases = rng.choice([-4096, -1, 0, 3, 4095, int(rng.integers(-4096, 4096))], layer.shape[0])
    registers, bias = neuron
    registers, bias = with_bias(registers, biases * (rng.random() < 0.8), bias.exponent)
    layer = replace(layer, neuron=registers, bias=bias)
    others = []
    for _ in range(int(rng.choice([0, 0, 1, 2]))):
        source = str(rng.choice(sources))
        if len(layer.shape) == 1:
            others.append(_random_dense(rng, name, source, shapes[source], layer.shape[0], False))
        elif len(shapes[source]) == 3:
            other = _random_conv(rng, name, source, shapes[source], layer.shape, False)
            others += [other] if other is not None else []
    delays = [int(rng.integers(0, steps + 2)) if rng.random() < 0.25 else 0 for _ in (layer, *others)]
    if rng.random() < 0.05:
        delays[-1] = int(rng.integers(steps, 80))
    bits = 8 if edges or rng.random() < 0.7 else int(rng.integers(2, 8))
    return coarser(joined(*(later(part, delay) for part, delay in zip((layer, *others), delays, strict=True))), bits)


def _perhaps_recurrent(rng: np.random.Generator, layer: IntLayer) -> IntLayer:
    """The layer, one in five with one or two connections from itself."""
    if rng.random() > 0.2:
        return layer
    others = []
    for _ in range(int(rng.integers(1, 3))):
        if len(layer.shape) == 1:
            others.append(_random_dense(rng, layer.name, layer.name, layer.shape, layer.shape[0], False))
        elif other := _random_conv(rng, layer.name, layer.name, layer.shape, layer.shape, False):
            others.append(other)
    return coarser(joined(layer, *(later(other, 1) for other in others)), layer.weight_bits)


def coarser(layer: IntLayer, bits: int) -> IntLayer:
    """The layer with weights of `bits`: each the next lower one of the field."""
    step, (low, high) = weight_step(bits), weight_range(bits)
    connections = []
    for each in layer.connections:
        weight = frozen_array((each.synapse.weight // step * step).clip(low, high), np.int16)
        connections.append(replace(each, synapse=replace(each.synapse, weight=weight)))
    return replace(layer, connections=tuple(connections), weight_bits=bits)


def _random_conv(
    rng: np.random.Generator, name: str, source: str, in_shape: Shape, shape: Shape | None, edges: bool
) -> IntLayer | None:
    """A convolution, to `shape` if it is given; None if there is none."""
    ways = [_axis_ways(size, None if shape is None else shape[axis]) for axis, size in enumerate(in_shape) if axis]
    if not all(ways):
        return None
    vertical, horizontal = (options[int(rng.integers(len(options)))] for options in ways)
    kernel, stride, padding, dilation = zip(vertical, horizontal, strict=True)
    common = [g for g in range(1, in_shape[0] + 1) if in_shape[0] % g == 0 and (shape is None or shape[0] % g == 0)]
    groups = 1 if edges else int(rng.choice(common))
    outputs = shape[0] if shape is not None else groups * int(rng.integers(1, 4 if groups < 5 else 2))
    weight = _layer_weights(rng, (outputs, in_shape[0] // groups, *kernel), edges)
    return conv(name, source, in_shape, weight, stride, padding, dilation, groups)


def _axis_ways(size: int, wanted: int | None) -> list[tuple[int, int, int, int]]:
    """(kernel, stride, padding, dilation) that lead from an axis of `size` to one of `wanted`, or to any of up to 9."""
    ways = []
    for kernel, stride, padding, dilation in product((1, 2, 3), (1, 2), (0, 1, 2), (1, 2)):
        reach = size + 2 * padding - dilation * (kernel - 1) - 1
        reached = reach // stride + 1
        if reached >= 1 and (reached <= 9 if wanted is None else reached == wanted):
            ways.append((kernel, stride, padding, dilation))
    return ways


def _random_dense(
    rng: np.random.Generator, name: str, source: str, in_shape: Shape, outputs: int, edges: bool
) -> IntLayer:
    return dense(name, source, in_shape, _layer_weights(rng, (outputs, int(np.prod(in_shape))), edges))


def _layer_weights(rng: np.random.Generator, shape: Shape, edges: bool) -> npt.NDArray[np.int16]:
    """edges: the weights of each output add up to one of EDGES, or to a neighbour of it, if it has so many."""
    if not edges:
        return random_weights(rng, shape, int(rng.choice([4, 60, 256])))
    weight = np.zeros((shape[0], int(np.prod(shape[1:]))), np.int16)
    for row in weight:
        peak = int(rng.choice([-256, 254]))
        within = [total for total in EDGES if total + 2 < abs(peak) * len(row)] or [2]
        total = int(rng.choice(within)) + int(rng.choice([0, 0, 2, -2]))
        count, rest = divmod(total, abs(peak))
        places = rng.permutation(len(row))
        row[places[:count]] = peak
        row[places[count]] = np.sign(peak) * rest
    return weight.reshape(shape)
