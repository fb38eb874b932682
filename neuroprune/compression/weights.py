"""Which single weights of a network can be pruned, and which neurons score them, read from its traced graph."""

from dataclasses import dataclass
from math import prod

from spikingjelly.activation_based.layer import WSConv2d, WSLinear
from torch import nn

from neuroprune.compression.channels import module_path
from neuroprune.graph.nodes import (
    Add,
    And,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    Flatten,
    Graph,
    Linear,
    MaxPool,
    Node,
    Resample,
    Select,
    Upsample,
)
from neuroprune.neurons.model import FloatNeuron

DROPPED = -1
"""Stands for a channel that does not reach the neurons, since a selection leaves it out."""


@dataclass(frozen=True)
class PrunableWeight:
    """The weights of one convolution or linear layer, [output channels, ...].

    parameter: its name in the network. classifier: whether no hidden neurons come after it; such weights are pruned,
    but not regenerated.
    neuron: the path of the neurons that score its output channels, the first that those reach through BatchNorms,
    pools, additions, concatenations and selections; None where other weights follow without neurons between, or where
    the network ends without neurons. channels: for each output channel its channel there, or `DROPPED`; empty without
    neurons.
    """

    parameter: str
    shape: tuple[int, ...]
    classifier: bool
    neuron: str | None
    channels: tuple[int, ...]


def prunable_weights(module: nn.Module, graph: Graph) -> tuple[PrunableWeight, ...]:
    """The weights of all convolutions and linear layers of `module`, in the order of the nodes of `graph`.

    graph: as traced from it. A parameter that is used more than once is there once, scored by the neurons after its
    first use. Left out are weights that are no parameter themselves but computed from one (standardised, normalised):
    zeros of theirs would not stay.
    """
    layers = dict(module.named_modules(remove_duplicate=False))
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    uses: dict[str, list[Node]] = {}
    for node in graph.nodes:
        if isinstance(node.op, Conv | Linear):
            layer = layers.get(module_path(node.name))
            name = names.get(id(getattr(layer, "weight", None)))
            if name is not None and not isinstance(layer, WSConv2d | WSLinear):
                uses.setdefault(name, []).append(node)
    hidden = {node.name for node in graph.nodes if isinstance(node.op, FloatNeuron) and _feeds_weights(graph, node)}
    return tuple(_weight(module, graph, name, nodes, hidden) for name, nodes in uses.items())


def _weight(module: nn.Module, graph: Graph, name: str, nodes: list[Node], hidden: set[str]) -> PrunableWeight:
    classifier = not any(after.name in hidden for node in nodes for after in _downstream(graph, node))
    neuron, channels = _neurons_after(graph, nodes[0])
    return PrunableWeight(name, tuple(module.get_parameter(name).shape), classifier, neuron, channels)


def _downstream(graph: Graph, node: Node) -> list[Node]:
    """All nodes that the output of `node` has an effect on."""
    reached = {node.name}
    for each in graph.nodes:
        if reached.intersection(each.inputs):
            reached.add(each.name)
    return [each for each in graph.nodes if each.name in reached and each is not node]


def _feeds_weights(graph: Graph, node: Node) -> bool:
    return any(isinstance(each.op, Conv | Linear) for each in _downstream(graph, node))


def _neurons_after(graph: Graph, node: Node) -> tuple[str | None, tuple[int, ...]]:
    """The first neurons, in the order of nodes, that the channels of `node` reach as channels, and as which ones."""
    reached = {node.name: tuple(range(node.shape[0]))}
    for each in graph.nodes:
        source = next((name for name in each.inputs if name in reached), None)
        if source is None:
            continue
        if isinstance(each.op, FloatNeuron):
            return (None, ()) if each.op.integrates else (each.name, reached[source])
        channels = _channels_after(graph, each, source, reached[source])
        if channels is not None and max(channels) > DROPPED:
            reached[each.name] = channels
    return None, ()


def _channels_after(graph: Graph, node: Node, source: str, channels: tuple[int, ...]) -> tuple[int, ...] | None:
    """Where `channels` of its input `source` are in the output of `node`; None where they are no channels any more."""
    match node.op:
        case BatchNorm() | AvgPool() | Resample() | Upsample() | MaxPool() | Add() | And():
            return channels
        case Flatten() if prod(node.shape) == graph[source].shape[0]:
            return channels
        case Concat():
            before = sum(graph[name].shape[0] for name in node.inputs[: node.inputs.index(source)])
            return tuple(channel if channel == DROPPED else before + channel for channel in channels)
        case Select():
            places = node.op.channels.tolist()
            return tuple(places.index(channel) if channel in places else DROPPED for channel in channels)
    return None
