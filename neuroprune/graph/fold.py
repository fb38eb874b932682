"""Folds a traced graph to the float program: layers of neurons that add up what their synapses deliver, and a bias.

Between two layers of spikes everything is linear: BatchNorm, average pooling, additions, concatenations, channel
selections, 1x1 projections of a current and the gain of the neurons. It multiplies out, exactly up to the rounding of
float64, to one synapse for each layer of spikes that a layer of neurons sees (several where their geometries differ).
So the sum of spikes of a SEW block and the membrane shortcut of an MS block, which is a current that flows on through
many blocks, become synapses from each of the layers that fire into it; an identity shortcut is a one-to-one synapse.
Maximum pooling of spikes is an OR: a synapse of ones and a memoryless neuron.
"""

from collections import Counter
from dataclasses import replace

import numpy as np

from neuroprune.errors import UnsupportedNetwork
from neuroprune.graph.compose import average_kernel, depthwise
from neuroprune.graph.float_program import (
    FloatInput,
    FloatProgram,
    Part,
    verify_float_program,
)
from neuroprune.graph.nodes import (
    Add,
    And,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    ConvTranspose,
    Delay,
    Flatten,
    Graph,
    Input,
    Linear,
    MaxPool,
    Node,
    Pair,
    PixelShuffle,
    Resample,
    Select,
    Shape,
    Upsample,
)
from neuroprune.graph.phases import (
    Phases,
    added,
    by_phase,
    concatenated,
    convolved,
    dense,
    padding_differs,
    scaled,
    selected,
    shuffled,
    upsampled,
    whole,
)
from neuroprune.graph.populations import Population, layers_of
from neuroprune.graph.terms import Value, source_value, spikes_at_most, synapses
from neuroprune.neurons.cuba_lif import CubaLif
from neuroprune.neurons.model import FloatNeuron

FORGETFUL = 4095 / 4096
"""The decay of neurons that keep as little as the chip's registers can say."""

MOST_PHASES = 256
"""Parts that a map is held in at most, as of maps 16 times as high and wide: each is a layer of the program."""

Parts = tuple[Phases, ...]
"""A map; or the maps and features that follow each other in a flattened vector."""


def fold(graph: Graph) -> FloatProgram:
    """The float program of a traced graph: each layer of neurons with its bias and its synapses.

    Neurons keep their name. A connection is named after the layer that holds its weights, followed by
    "@<source>" where that layer gives several; one without weights of its own is "<neuron>.sum", as of a maximum pool.
    Raises UnsupportedNetwork, listing all problems, where zero padding is not padding of spikes, where a bias would
    enter a current that decays, and where flattened maps are joined in a way that no synapse can express.

    >>> import torch
    >>> from neuroprune import build, fold, frames_of, load_dataset, load_recipe, trace
    >>> data = load_dataset("digits")
    >>> network = build(load_recipe("digits-conv"), data.input_shape, len(data.classes))
    >>> frames = frames_of(data.train.images[:16], data.coding)
    >>> floats = fold(trace(network, torch.from_numpy(frames)))  # BatchNorm and pools are in the weights
    >>> [(layer.name, layer.connections[0].synapse.weight.shape) for layer in floats.layers][:2]
    [('body.neuron1', (32, 1, 3, 3)), ('body.neuron2', (80, 32, 6, 6))]
    """
    folding = _Folding(graph)
    for node in graph.nodes:
        folding.add(node)
    folding.end(graph.nodes[-1])
    if folding.problems:
        raise UnsupportedNetwork(folding.problems)
    first = graph.nodes[0]
    assert isinstance(first.op, Input)
    layers = layers_of(first, folding.populations)
    program = FloatProgram(FloatInput(first.shape, first.op.sequence), layers, graph.steps, graph.readout)
    verify_float_program(program)
    return program


class _Folding:
    """The state of folding: values that are still read, layers of neurons so far, and problems found."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.values: dict[str, Parts] = {}
        self.readers = Counter(name for node in graph.nodes for name in node.inputs)
        self.populations: list[Population] = []
        self.problems: list[str] = []

    def add(self, node: Node) -> None:
        """The value of `node`, from those of its inputs."""
        inputs = [self.values[name] for name in node.inputs]
        self.values[node.name] = self._value(node, inputs)
        for name in node.inputs:
            self.readers[name] -= 1
            if not self.readers[name]:
                self.values.pop(name, None)  # so that weights of large networks are not held twice

    def end(self, last: Node) -> None:
        """Note the problem with the output, if there is one."""
        rate = self.values[last.name][0].rate
        if rate != (1, 1):
            self.problems.append(
                f"layer {last.name}: it gives maps in {rate[0]}x{rate[1]} parts, since layers before it made them "
                "larger, and scores are those of one layer; end with a Linear, or with a pool over the whole map"
            )

    def _value(self, node: Node, inputs: list[Parts]) -> Parts:
        match node.op:
            case Input():
                return (whole(source_value(node.name, node.shape)),)
            case Delay():
                return (whole(source_value(node.op.source, node.shape, delay=1)),)
            case Flatten():
                return self._flattened(inputs[0], node.shape)
            case Linear() as linear:
                return (dense(inputs[0], linear, node.name),)
            case FloatNeuron():
                return self._population(node, inputs[0])
            case MaxPool() as most:
                return (self._most(node, inputs[0][0], most),)
            case And():
                both = added([parts[0] for parts in inputs])
                return (self._fires(node.name, both, 1.5),)
            case Concat():
                if all(len(parts) == 1 and _is_plain(parts[0], node) for parts in inputs):
                    return (concatenated([parts[0] for parts in inputs]),)
                return tuple(part for parts in inputs for part in parts)
        shapes = {tuple(part.shape for part in parts) for parts in inputs}
        scales = isinstance(node.op, BatchNorm) and _is_scale(node.op)
        if len(shapes) > 1 or not (isinstance(node.op, Add) or scales or _is_plain(inputs[0][0], node)):
            self.problems.append(
                f"layer {node.name}: it works on maps that were flattened before; put it in front of the Flatten"
            )
            return inputs[0]
        match node.op:
            case Add():
                return tuple(added(list(parts)) for parts in zip(*inputs, strict=True))
            case BatchNorm() as norm if scales:
                ones = [np.ones(part.shape[0]) for part in inputs[0]]
                return tuple(scaled(p, norm.gain[0] * one, 0 * one) for p, one in zip(inputs[0], ones, strict=True))
            case BatchNorm() as norm:
                return (scaled(inputs[0][0], norm.gain, norm.offset),)
            case Select() as select:
                return (selected(inputs[0][0], select.channels),)
            case Upsample() | PixelShuffle() | ConvTranspose() as larger if self._is_too_large(
                node, inputs[0][0], larger
            ):
                return (whole(source_value(node.name, node.shape)),)
            case Upsample() as upsample:
                return (upsampled(inputs[0][0], upsample.factors),)
            case PixelShuffle() as shuffle:
                return (shuffled(inputs[0][0], shuffle.factor),)
            case Conv() | ConvTranspose() as conv:
                return (self._convolved(node, inputs[0][0], conv, node.name),)
            case Resample() as resample:
                return (replace(inputs[0][0], resampled=resample),)
            case AvgPool() as pool:
                return (self._convolved(node, inputs[0][0], average_kernel(pool, node.shape[0]), None),)
        raise AssertionError(node.op)

    def _convolved(self, node: Node, value: Phases, conv: Conv | ConvTranspose, layer: str | None) -> Phases:
        before = node.inputs[0]
        if isinstance(conv, ConvTranspose) and value.has_bias:
            self.problems.append(
                f"layer {node.name}: it puts zeros between the outputs of {before}, but a bias or an offset was added "
                "there; leave that bias out"
            )
        elif conv.padding != (0, 0) and value.has_bias:
            self.problems.append(
                f"layer {node.name}: it pads the output of {before} with zeros, but a bias or an offset was added "
                "there; set its padding to 0, or leave that bias out"
            )
        elif padding_differs(value, conv, node.shape):
            height, width = value.values[0].terms[0].source_shape[1:]
            self.problems.append(
                f"layer {node.name}: it pads the output of {before}, whose windows do not tile its input of "
                f"{height}x{width} exactly; choose a size that the pooling divides, or padding 0"
            )
        return convolved(value, conv, node.shape, layer)

    def _is_too_large(self, node: Node, value: Phases, larger: Upsample | PixelShuffle | ConvTranspose) -> bool:
        """Whether the map would have too many parts; then a problem was noted."""
        match larger:
            case Upsample():
                down, across = larger.factors
            case PixelShuffle():
                down, across = larger.factor, larger.factor
            case ConvTranspose():
                down, across = larger.stride
        phases = value.rate[0] * down * value.rate[1] * across
        if phases > MOST_PHASES:
            self.problems.append(
                f"layer {node.name}: maps of {value.shape} become {node.shape}, in {phases} parts of which each is a "
                f"layer on the chip, and {MOST_PHASES} are the most; make them less large, or pool in front of it"
            )
        return phases > MOST_PHASES

    def _flattened(self, parts: Parts, shape: Shape) -> Parts:
        (value,) = parts
        if value.resampled is None and value.shape[0] == shape[0]:  # maps of 1x1 are features
            return (whole(Value(shape, value.values[0].terms, value.values[0].bias)),)
        return parts

    def _population(self, node: Node, parts: Parts) -> Parts:
        value = parts[0]
        if len(parts) > 1:
            self.problems.append(
                f"layer {node.name}: its neurons read maps that were flattened and joined; join their spikes instead"
            )
            return parts
        assert isinstance(node.op, FloatNeuron)
        neuron = node.op.without_gain()
        gains = np.broadcast_to(node.op.gain, node.shape).reshape(value.shape[0], -1)
        if not np.allclose(gains, gains[:, :1], rtol=1e-6, atol=0.0):
            self.problems.append(
                f"layer {node.name}: its neurons differ within a channel in their thresholds or the gain of their "
                "input, while the weights of a convolution, which take those up, are the same all over a map; use one "
                "for each channel"
            )
        if np.any(gains != 1.0):
            value = scaled(value, gains[:, 0], np.zeros(value.shape[0]))
        if neuron.filters_input and value.has_bias:
            self.problems.append(
                f"layer {node.name}: a bias enters its current, which decays, while the chip adds biases to the "
                f"voltage; use bias=False and no BatchNorm in front of it, or a LIFNode"
            )
        return (self._populated(node.name, value, neuron),)

    def _populated(self, name: str, value: Phases, neuron: FloatNeuron) -> Phases:
        """The spikes of neurons that receive `value`: a layer of them for each of its phases."""

        def populate(of_phase: Value, phase: Pair) -> Value:
            part = None if value.rate == (1, 1) else Part(name, value.shape, phase, value.rate)
            called = part.name if part else name
            inputs = synapses(of_phase)
            late = dict.fromkeys(each.source for each in inputs if each.delay and (part or each.source != name))
            if late:
                self.problems.append(
                    f"layer {name}: it reads what {' and '.join(late)} fired one step before, and only its own spikes, "
                    "of a map that nothing made larger, reach a layer so late; let it read spikes of the same step"
                )
            self.populations.append(Population(called, of_phase.shape, neuron, inputs, of_phase.bias, part))
            return source_value(called, of_phase.shape)

        return by_phase(populate, value)

    def _most(self, node: Node, value: Phases, pool: MaxPool) -> Phases:
        """The maximum over windows of a sum of spikes: of how many spikes there is a place with at least so many.

        One spike in a window is enough for the first; for the others, places with as many are found first.
        """
        ones = depthwise(np.ones((value.shape[0], 1, *pool.kernel)), pool.stride, pool.padding, pool.dilation)
        names = [
            node.name,
            *(f"{node.name}.{number}" for number in range(2, max(map(spikes_at_most, value.values)) + 1)),
        ]
        most = []
        for number, name in enumerate(names, 1):
            found = value if number == 1 else self._fires(f"{name}.places", value, number - 0.5)
            most.append(self._fires(name, convolved(found, ones, node.shape, None), 0.5))
        return added(most)

    def _fires(self, name: str, value: Phases, threshold: float) -> Phases:
        """The spikes of neurons without memory that fire where `value` is above `threshold`."""
        # Of what is not enough to fire the next step keeps a 4096th, which no number of steps makes enough.
        neuron = CubaLif(FORGETFUL if threshold > 0.5 else 0.0, threshold)
        return self._populated(name, value, neuron)


def _is_plain(value: Phases, node: Node) -> bool:
    """Whether the value has the axes that `node` gives, so that it is no flattened map."""
    return len(value.shape) == len(node.shape)


def _is_scale(norm: BatchNorm) -> bool:
    """Whether it multiplies everything by one number."""
    return bool(np.all(norm.gain == norm.gain[0]) and not np.any(norm.offset))
