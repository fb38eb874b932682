"""Integer programs made up at random, with weights, states and registers at the ends of their ranges."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from neuroprune.frozen import frozen_array
from neuroprune.graph.nodes import Pair, Shape
from neuroprune.quantize.types import Connection, IntConv, IntDense, IntNeuron, QuantGraph, QuantInput, QuantLayer

NEURON = IntNeuron(decay_u=4095, decay_v=2048, vth=300, bias_mant=frozen_array([0], np.int32), bias_exp=6)


def with_bias(neuron: IntNeuron, bias_mant: Sequence[int] | npt.NDArray[np.int32]) -> IntNeuron:
    return IntNeuron(neuron.decay_u, neuron.decay_v, neuron.vth, frozen_array(bias_mant, np.int32), neuron.bias_exp)


def conv(
    name: str,
    source: str,
    in_shape: Shape,
    weight: npt.NDArray[np.integer],
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
    neuron: IntNeuron = NEURON,
) -> QuantLayer:
    """A layer whose output shape follows from its parameters; one bias for all channels is spread over them."""
    height, width = (
        (size + 2 * pad - gap * (kernel - 1) - 1) // step + 1
        for size, pad, gap, kernel, step in zip(in_shape[1:], padding, dilation, weight.shape[2:], stride, strict=True)
    )
    synapse = IntConv(frozen_array(weight, np.int16), stride, padding, dilation, groups)
    neuron = with_bias(neuron, np.broadcast_to(neuron.bias_mant, len(weight)))
    return QuantLayer(
        name, (Connection(source, synapse, in_shape),), neuron, (len(weight), height, width), 1.0, "weight"
    )


def dense(
    name: str, source: str, in_shape: Shape, weight: npt.NDArray[np.integer], neuron: IntNeuron = NEURON
) -> QuantLayer:
    synapse = IntDense(frozen_array(weight, np.int16))
    neuron = with_bias(neuron, np.broadcast_to(neuron.bias_mant, len(weight)))
    return QuantLayer(name, (Connection(source, synapse, in_shape),), neuron, (len(weight),), 1.0, "weight")


def program(*layers: QuantLayer, steps: int = 4) -> QuantGraph:
    return QuantGraph(QuantInput(layers[0].connections[0].in_shape, 1.0, 8), layers, steps)


def random_weights(rng: np.random.Generator, shape: Shape, peak: int) -> npt.NDArray[np.int16]:
    """Even weights of at most `peak`, a fifth of them at the rails where `peak` allows them."""
    weight = rng.integers(-peak // 2, peak // 2 + 1, shape) * 2
    rail = rng.choice([-256, 254], shape)
    weight = np.where((rng.random(shape) < 0.2) & (peak == 256), rail, weight)
    return np.clip(weight, -256, 254).astype(np.int16)


def random_frames(rng: np.random.Generator, samples: int, shape: Shape) -> npt.NDArray[np.int8]:
    """Graded input with many values at the rails."""
    frames = rng.integers(-128, 128, (samples, *shape))
    return np.where(rng.random(frames.shape) < 0.2, rng.choice([-128, 127], frames.shape), frames).astype(np.int8)


def _divisors(number: int) -> list[int]:
    return [candidate for candidate in range(1, number + 1) if number % candidate == 0]


@st.composite
def programs(draw: st.DrawFn, memoryless: bool = False) -> tuple[QuantGraph, npt.NDArray[np.int8]]:
    """A chain of one to three layers and a few frames. memoryless: u keeps nothing, as in all that we compile."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    in_shape: Shape = (draw(st.integers(1, 4)), draw(st.integers(1, 6)), draw(st.integers(1, 6)))
    layers: list[QuantLayer] = []
    for index in range(draw(st.integers(1, 3))):
        name, source = f"layer{index}", layers[-1].name if layers else "input"
        outputs = draw(st.integers(1, 4))
        peak = draw(st.sampled_from([4, 60, 256]))
        neuron = IntNeuron(
            decay_u=4095 if memoryless else draw(st.sampled_from([4095, 4094, 2048, 100, 0])),
            decay_v=draw(st.sampled_from([0, 1, 1000, 1024, 2048, 3072, 4095])),
            vth=draw(st.sampled_from([0, 1, 37, 900, 20000, 131070, 131071])),
            bias_mant=frozen_array([0], np.int32),
            bias_exp=draw(st.sampled_from([6, 6, 0, 3, 7])),
        )
        if len(in_shape) == 3 and draw(st.booleans()):
            groups = draw(st.sampled_from(_divisors(in_shape[0])))
            kernel = tuple(draw(st.integers(1, min(3, size))) for size in in_shape[1:])
            dilation = tuple(
                draw(st.integers(1, 2)) if 2 * (k - 1) < size else 1
                for k, size in zip(kernel, in_shape[1:], strict=True)
            )
            padding = (draw(st.integers(0, 2)), draw(st.integers(0, 2)))
            stride = (draw(st.integers(1, 2)), draw(st.integers(1, 2)))
            weight = random_weights(rng, (outputs * groups, in_shape[0] // groups, *kernel), peak)
            neuron = with_bias(neuron, rng.choice([-4096, -1, 0, 3, 4095], len(weight)))
            layer = conv(name, source, in_shape, weight, stride, padding, dilation, groups, neuron)
        else:
            weight = random_weights(rng, (outputs, int(np.prod(in_shape))), peak)
            layer = dense(name, source, in_shape, weight, with_bias(neuron, rng.integers(-4096, 4096, outputs)))
        layers.append(layer)
        in_shape = layer.shape
    graph = program(*layers, steps=draw(st.integers(1, 4)))
    return graph, random_frames(rng, draw(st.integers(1, 3)), graph.input.shape)
