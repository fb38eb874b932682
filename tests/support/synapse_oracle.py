"""Small integer layers, and every one of their synapses in plain Python: the oracle of the mapping's counts."""

from dataclasses import replace
from itertools import product

import numpy as np
from hypothesis import strategies as st

from neuroprune.chips.chip import Chip
from neuroprune.chips.load import load_chip
from neuroprune.chips.types import Box, Tile
from neuroprune.neurons.cuba_lif import IntCubaLif
from neuroprune.program.types import IntBias, IntConnection, IntConv, IntDense, IntInput, IntLayer, IntProgram

Synapse = tuple[Box, Box, int]

LOIHI = load_chip("loihi-sim")


def resized(chip: Chip, **numbers: int) -> Chip:
    """`chip` with other numbers of a core."""
    return replace(chip, core=replace(chip.core, **numbers))


COARSE = replace(
    resized(
        LOIHI,
        axon_base_bits=2,
        synapses_per_block=3,
        block_header_bits=5,
        word_bits=16,
        index_bits_min=2,
        skip_bits_min=1,
        skip_bits_max=3,
    ),
    name="coarse",
)


def layer_of(
    synapse: IntConv | IntDense,
    in_shape: tuple[int, ...],
    shape: tuple[int, ...],
    name: str = "layer",
    source: str = "input",
) -> IntLayer:
    """A layer whose neuron does not matter."""
    neuron, bias = IntCubaLif(4095, 0, 100), IntBias(np.zeros(shape[0], dtype=np.int32), 6)
    return IntLayer(name, (IntConnection(source, synapse, in_shape),), neuron, bias, shape, 1.0, "weight")


def chain(*layers: IntLayer) -> IntProgram:
    """The program of these layers."""
    return IntProgram(IntInput(layers[0].connections[0].in_shape, 1.0, 8), layers, 4)


@st.composite
def convolutions(draw: st.DrawFn, in_shape: Box | None = None) -> IntLayer:
    """A small convolution of any stride, padding, dilation and groups; some weights zero, some rows of them equal."""
    channels = in_shape[0] if in_shape else draw(st.integers(1, 6))
    groups = draw(st.sampled_from([g for g in (1, 2, 3, channels) if channels % g == 0]))
    out_channels = groups * draw(st.integers(1, 3))
    window = st.tuples(st.integers(1, 3), st.integers(1, 3))
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    stride, padding, dilation = draw(window), draw(window), draw(window)
    padding = (padding[0] - 1, padding[1] - 1)
    least = [max(1, dilation[i] * (kernel[i] - 1) + 1 - 2 * padding[i]) for i in (0, 1)]
    size = in_shape[1:] if in_shape else tuple(draw(st.integers(n, n + 8)) for n in least)
    if any(n < m for n, m in zip(size, least, strict=True)):
        kernel, padding, dilation = (1, 1), (0, 0), (1, 1)
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    weight = rng.integers(-1, 2, (out_channels, channels // groups, *kernel)).astype(np.int16) * 2
    same_row, same_column = (rng.integers(0, size, size) if rng.random() < 0.4 else np.arange(size) for size in kernel)
    weight = weight[:, :, same_row][:, :, :, same_column]
    height, width = ((size[i] + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1 for i in (0, 1))
    synapse = IntConv(weight, stride, padding, dilation, groups)
    return layer_of(synapse, (channels, *size), (out_channels, height, width))


@st.composite
def tiled_convolutions(draw: st.DrawFn) -> tuple[IntLayer, Tile]:
    """A small convolution and any box of its neurons."""
    layer = draw(convolutions())
    return layer, draw(tiles(layer))


@st.composite
def tiled_sums(draw: st.DrawFn) -> tuple[IntLayer, tuple[int, ...], Tile]:
    """A layer of up to four convolutions, some of equal weights, the steps that each delays, and a box of its neurons.

    Sources are of different size, for strides of one and two meet in one map.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    shape = (draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    connections: list[IntConnection] = []
    for number in range(draw(st.integers(1, 3))):
        kernel, stride = draw(st.sampled_from([1, 3])), draw(st.sampled_from([1, 1, 2]))
        in_shape = (draw(st.integers(1, 2)), *(size * stride for size in shape[1:]))
        weight = (rng.integers(-1, 2, (shape[0], in_shape[0], kernel, kernel)) * 128).astype(np.int16)
        conv = IntConv(weight, (stride, stride), (kernel // 2, kernel // 2), (1, 1), 1)
        connections.append(IntConnection(f"source{number}", conv, in_shape))
        if draw(st.booleans()):  # the same weights, from another source
            twin = replace(conv, weight=weight.copy())
            connections.append(IntConnection(f"twin{number}", twin, in_shape))
    connections = draw(st.permutations(connections))[:4]
    layer = replace(layer_of(connections[0].synapse, (), shape), connections=tuple(connections))
    delays = tuple(draw(st.sampled_from([0, 0, 2, 3])) for _ in connections)
    return layer, delays, draw(tiles(layer))


@st.composite
def tiles(draw: st.DrawFn, layer: IntLayer) -> Tile:
    """Any box of the neurons of a layer of maps."""
    start = [draw(st.integers(0, size - 1)) for size in layer.shape]
    stop = [draw(st.integers(first + 1, size)) for first, size in zip(start, layer.shape, strict=True)]
    return Tile(layer.name, (start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))


@st.composite
def branched_programs(draw: st.DrawFn, delays: bool = False) -> IntProgram:
    """Layers of one or more connections to any layers before them: residual, skipping, repeated; the last is dense.

    Maps have one size, so that anything can be added to anything; one layer in two has a shape of features only.
    delays: whether spikes may arrive at a later step of the sample.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    height, width = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    shapes = {"input": (draw(st.integers(1, 3)), height, width)}
    layers: list[IntLayer] = []
    for number in range(draw(st.integers(1, 6))):
        flat = draw(st.booleans()) or any(len(layer.shape) == 1 for layer in layers)
        shape = (draw(st.integers(1, 3)),) if flat else (draw(st.integers(1, 3)), height, width)
        sources = draw(st.lists(st.sampled_from(sorted(shapes)), min_size=1, max_size=4))
        sources[0] = layers[-1].name if layers else "input"
        connections = []
        for source in sources if flat else [name for name in sources if len(shapes[name]) == 3] or ["input"]:
            synapse = _random_synapse(rng, shapes[source], shape, kernel=draw(st.sampled_from([1, 3])))
            delay = draw(st.integers(0, 3)) if delays else 0
            connections.append(IntConnection(source, synapse, shapes[source], delay))
            if draw(st.booleans()):  # the same weights once more, from any source of the same shape
                twin = draw(st.sampled_from(sorted(name for name in shapes if shapes[name] == shapes[source])))
                connections.append(replace(connections[-1], source=twin))
        bias = IntBias(rng.integers(-40, 40, shape[0]).astype(np.int32), 6)
        neuron = IntCubaLif(int(rng.choice([4095, 1000])), int(rng.choice([0, 2048])), int(rng.integers(0, 60)))
        layers.append(
            IntLayer(
                f"layer{number}", tuple(connections), neuron, bias, shape, 1.0, "weight", int(rng.choice([2, 4, 8]))
            )
        )
        shapes[f"layer{number}"] = shape
    return IntProgram(IntInput(shapes["input"], 1.0, 8), tuple(layers), draw(st.integers(1, 5)))


def _random_synapse(
    rng: np.random.Generator, in_shape: tuple[int, ...], shape: tuple[int, ...], kernel: int
) -> IntConv | IntDense:
    """Weights of -128, 0 and 128, which every width holds."""
    if len(shape) == 1:
        return IntDense((rng.integers(-1, 2, (shape[0], int(np.prod(in_shape)))) * 128).astype(np.int16))
    groups = in_shape[0] if in_shape[0] == shape[0] and rng.random() < 0.5 else 1
    weight = (rng.integers(-1, 2, (shape[0], in_shape[0] // groups, kernel, kernel)) * 128).astype(np.int16)
    return IntConv(weight, (1, 1), (kernel // 2, kernel // 2), (1, 1), groups)


def enumerate_synapses(connection: IntConnection, tile: Tile) -> list[Synapse]:
    """(source neuron, neuron of the tile, weight) of every synapse, straight from the definition of the connection."""
    synapse, in_shape = connection.synapse, connection.in_shape
    box = [range(first, last) for first, last in zip(tile.start, tile.stop, strict=True)]
    if isinstance(synapse, IntDense):
        sources = list(np.ndindex(*in_shape, *(1,) * (3 - len(in_shape))))
        return [(source, (o, 0, 0), int(synapse.weight[o, i])) for o in box[0] for i, source in enumerate(sources)]
    out_channels, per_group, *kernel = synapse.weight.shape
    found = []
    for c, y, x in product(*box):
        for i, ky, kx in product(range(per_group), range(kernel[0]), range(kernel[1])):
            source = (
                c // (out_channels // synapse.groups) * per_group + i,
                y * synapse.stride[0] - synapse.padding[0] + ky * synapse.dilation[0],
                x * synapse.stride[1] - synapse.padding[1] + kx * synapse.dilation[1],
            )
            if all(0 <= at < size for at, size in zip(source, in_shape, strict=True)):
                found.append((source, (c, y, x), int(synapse.weight[c, i, ky, kx])))
    return found
