"""Small integer layers, and every one of their synapses in plain Python: the oracle of the mapping's counts."""

from dataclasses import replace
from itertools import product

import numpy as np
from hypothesis import strategies as st

from neuroprune.mapping.types import Box, Tile
from neuroprune.quantize.types import Connection, IntConv, IntDense, IntNeuron, QuantGraph, QuantInput, QuantLayer
from neuroprune.targets import load_target

Synapse = tuple[Box, Box, int]

LOIHI = load_target("loihi-sim")
COARSE = replace(
    LOIHI,
    name="coarse",
    axon_base_bits=2,
    synapses_per_block=3,
    block_header_bits=5,
    word_bits=16,
    weight_bits=4,
    index_bits_min=2,
)


def layer_of(
    synapse: IntConv | IntDense,
    in_shape: tuple[int, ...],
    shape: tuple[int, ...],
    name: str = "layer",
    source: str = "input",
) -> QuantLayer:
    """A layer whose neuron does not matter."""
    neuron = IntNeuron(4095, 0, 100, np.zeros(shape[0], dtype=np.int32), 6)
    return QuantLayer(name, (Connection(source, synapse, in_shape),), neuron, shape, 1.0, "weight")


def chain(*layers: QuantLayer) -> QuantGraph:
    """The program of these layers."""
    return QuantGraph(QuantInput(layers[0].connections[0].in_shape, 1.0, 8), layers, 4)


@st.composite
def convolutions(draw: st.DrawFn, in_shape: Box | None = None) -> QuantLayer:
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
def tiled_convolutions(draw: st.DrawFn) -> tuple[QuantLayer, Tile]:
    """A small convolution and any box of its neurons."""
    layer = draw(convolutions())
    start = [draw(st.integers(0, size - 1)) for size in layer.shape]
    stop = [draw(st.integers(first + 1, size)) for first, size in zip(start, layer.shape, strict=True)]
    return layer, Tile(layer.name, (start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))


def enumerate_synapses(layer: QuantLayer, tile: Tile) -> list[Synapse]:
    """(source neuron, neuron of the tile, weight) of every synapse, straight from the definition of the layer."""
    synapse = layer.connections[0].synapse
    box = [range(first, last) for first, last in zip(tile.start, tile.stop, strict=True)]
    if isinstance(synapse, IntDense):
        sources = list(np.ndindex(*layer.connections[0].in_shape, *(1,) * (3 - len(layer.connections[0].in_shape))))
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
            if all(0 <= at < size for at, size in zip(source, layer.connections[0].in_shape, strict=True)):
                found.append((source, (c, y, x), int(synapse.weight[c, i, ky, kx])))
    return found
