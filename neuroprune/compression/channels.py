"""Which channels of a network are coupled, so that they can only be removed together, read from its traced graph.

The outputs of all nodes lie in *spaces*: a convolution or linear layer begins a new one, what works channel by channel
(BatchNorm, neurons, pools, depthwise convolutions, flattening) stays in that of its input, and an addition or a product
makes one of those of its inputs. A channel group is a space from which a channel can be removed everywhere at once.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch

from neuroprune.compression.catalog import Residual
from neuroprune.graph.compose import is_depthwise
from neuroprune.graph.nodes import (
    Add,
    And,
    AvgPool,
    BatchNorm,
    Conv,
    Delay,
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


@dataclass(frozen=True)
class Gather:
    """A channel selection that begins a group: it gathers `channels` of the BatchNorm `norm`, which keeps its width."""

    selection: str
    norm: str
    channels: tuple[int, ...]


@dataclass(frozen=True)
class ChannelGroup:
    """Channels of several layers that can only be removed together; all names are module paths, in the graph's order.

    producers: convolutions and linear layers whose outputs the channels are, depthwise ones among them. bare: those of
    them that something other than a BatchNorm reads. gathers: channel selections whose outputs the channels are.
    norms: BatchNorms over the channels. neurons: layers of neurons over them, at least one. selections: channel
    selections that pass all of them on. consumers: layers whose inputs they are, at least one; a `Linear` after a
    Flatten has the same number of neighbouring inputs for each channel.

    With weights and bias of a channel at 0 in the bare producers, and scale and shift of it in all `scales`, everything
    between producers and consumers is 0 there and no neuron fires, so removing the channel changes nothing.
    """

    name: str
    channels: int
    producers: tuple[str, ...]
    bare: tuple[str, ...]
    norms: tuple[str, ...]
    neurons: tuple[str, ...]
    consumers: tuple[str, ...]
    gathers: tuple[Gather, ...] = ()
    selections: tuple[str, ...] = ()

    @property
    def scales(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """Each BatchNorm with a scale for every channel, and where in it those of the channels are.

        Empty where no BatchNorm normalises them, so that |gamma| cannot rank them.
        """
        everything = tuple(range(self.channels))
        return (
            *((gather.norm, gather.channels) for gather in self.gathers),
            *((norm, everything) for norm in self.norms),
        )


def channel_groups(graph: Graph, residual: Residual = "gather") -> tuple[ChannelGroup, ...]:
    """The prunable channels of a traced (not folded) graph, in the order of its nodes.

    Left out, and so never pruned: the frame and the output of the network, channels that are concatenated with others,
    those of layers that read themselves, those of grouped convolutions other than depthwise ones, and those that feed
    one, channels of layers that are used more than once, those that code adds a number to or multiplies by several,
    those without neurons, and those with neurons that fire without input; what is normalised or fired only after maps
    of several pixels were flattened; with "gather" whatever is added to others or multiplied by them, and in either
    mode what a channel selection reads that does not pass it on.
    """
    space = _spaces(graph, residual)
    closed = _closed(graph, space, residual)
    members: dict[str, list[Node]] = {}
    readers: dict[str, list[Node]] = {}
    for node in graph.nodes:
        members.setdefault(space[node.name], []).append(node)
        if is_dense(node):
            readers.setdefault(space[node.inputs[0]], []).append(node)
    groups = (
        _group(graph, nodes, readers.get(name, []), space)
        for name, nodes in members.items()
        if name not in closed and name in readers
    )
    return tuple(group for group in groups if group.neurons)


def has_stream(graph: Graph) -> bool:
    """Whether anything is added to anything else, or multiplied by it, so that the two modes may differ."""
    return any(isinstance(node.op, Add | And) for node in graph.nodes)


def module_path(name: str) -> str:
    """The module path of the layer of the node `name`: "conv" for "conv@2", its second use."""
    return name.partition("@")[0]


def count_channels(graph: Graph, groups: tuple[ChannelGroup, ...]) -> tuple[int, int]:
    """How many channels `groups` hold, layer by layer, and how many all layers and channel selections have."""
    layers = (node for node in graph.nodes if isinstance(node.op, Conv | Linear | Select))
    prunable = sum(
        group.channels * (len(group.producers) + len(group.gathers) + len(group.selections)) for group in groups
    )
    return prunable, sum(node.shape[0] for node in layers)


def _spaces(graph: Graph, residual: Residual) -> dict[str, str]:
    """The space of every node, called by the first node in it."""
    space: dict[str, str] = {}
    for node in graph.nodes:
        space[node.name] = space[node.inputs[0]] if _keeps_channels(graph, node, residual) else node.name
        for other in node.inputs[1:] if isinstance(node.op, Add | And) else ():
            one, two = space[node.name], space[other]
            space.update({name: one for name, of in space.items() if of == two})
    first: dict[str, str] = {}
    return {name: first.setdefault(of, name) for name, of in space.items()}


def _closed(graph: Graph, space: dict[str, str], residual: Residual) -> set[str]:
    """The spaces from which nothing can be removed."""
    reused = {module_path(node.name) for node in graph.nodes if _is_layer(node) and "@" in node.name}
    closed = {space[graph.nodes[-1].name]}
    for node in graph.nodes:
        own, read = space[node.name], {space[name] for name in node.inputs}
        if _is_layer(node) and module_path(node.name) in reused:
            closed |= {own, *read}
        if not isinstance(node.op, Flatten | Add) and node.shape[0] != graph[own].shape[0]:
            closed.add(own)
        match node.op:
            case Add() | And() if residual == "gather":
                closed.add(own)
            case BatchNorm() if _is_arithmetic(node) and not _leaves_zeros(graph, node):
                closed.add(own)
            case FloatNeuron() if not _is_silent(node.op, graph.steps):
                closed.add(own)
            case Delay():
                closed |= {own, space[node.op.source]}
            case _ if is_dense(node) or _keeps_channels(graph, node, residual):
                pass
            case Select() if _gathers(graph, node, reused):
                closed |= read
            case _:  # the frame, concatenations, grouped convolutions, other selections
                closed |= {own, *read}
    return closed


def _group(graph: Graph, nodes: list[Node], readers: list[Node], space: dict[str, str]) -> ChannelGroup:
    """The group of the space of `nodes`, whose channels the convolutions and linear layers `readers` read."""
    producers = tuple(node for node in nodes if isinstance(node.op, Conv | Linear))
    selects = tuple(node for node in nodes if isinstance(node.op, Select))
    gathers = tuple(_gather(node) for node in selects if space[node.inputs[0]] != space[node.name])
    bare = (node for node in producers if not all(_is_norm(reader) for reader in graph.consumers(node.name)))
    return ChannelGroup(
        name=nodes[0].name,
        channels=nodes[0].shape[0],
        producers=_names(producers),
        bare=_names(bare),
        norms=_names(node for node in nodes if _is_norm(node)),
        neurons=_names(node for node in nodes if isinstance(node.op, FloatNeuron)),
        consumers=_names(readers),
        gathers=gathers,
        selections=_names(node for node in selects if space[node.inputs[0]] == space[node.name]),
    )


def _names(nodes: Iterable[Node]) -> tuple[str, ...]:
    return tuple(node.name for node in nodes)


def _gather(node: Node) -> Gather:
    assert isinstance(node.op, Select)
    return Gather(node.name, node.inputs[0], tuple(node.op.channels.tolist()))


def _gathers(graph: Graph, node: Node, reused: set[str]) -> bool:
    """Whether the channel selection `node` reads each channel once, of a BatchNorm that works for it alone."""
    assert isinstance(node.op, Select)
    norm = graph[node.inputs[0]]
    alone = _is_norm(norm) and graph.consumers(norm.name) == (node,) and module_path(norm.name) not in reused
    return alone and len(np.unique(node.op.channels)) == len(node.op.channels)


def _keeps_channels(graph: Graph, node: Node, residual: Residual) -> bool:
    """Whether each channel of the output is made of the same channel of the inputs alone."""
    match node.op:
        case Conv():
            return not is_dense(node) and is_depthwise(node.op)
        case Select():
            width = graph[node.inputs[0]].shape[0]
            return residual == "coupled" and np.array_equal(node.op.channels, np.arange(width))
        case _:
            same = Add | And | AvgPool | BatchNorm | Flatten | MaxPool | Resample | Upsample | FloatNeuron
            return isinstance(node.op, same)


def is_dense(node: Node) -> bool:
    """Whether every output channel of `node` reads every input channel."""
    return isinstance(node.op, Linear) or (isinstance(node.op, Conv) and node.op.groups == 1)


def _is_norm(node: Node) -> bool:
    """Whether it is a layer, and not arithmetic with numbers."""
    return isinstance(node.op, BatchNorm) and not _is_arithmetic(node)


def _is_arithmetic(node: Node) -> bool:
    """Whether it multiplies by numbers or adds them, which tracing calls after what is read."""
    return node.name.startswith(tuple(f"{node.inputs[0]}.{kind}" for kind in ("scale", "shift")))


def _leaves_zeros(graph: Graph, node: Node) -> bool:
    """Whether arithmetic gives 0 for channels of 0, by one number for all, so that none need be left out of it.

    1 - spikes does not, but its product with spikes does.
    """
    assert isinstance(node.op, BatchNorm)
    if len(set(node.op.gain.tolist())) > 1 or len(set(node.op.offset.tolist())) > 1:
        return False
    readers = graph.consumers(node.name)
    in_products = bool(readers) and all(
        isinstance(reader.op, And) and not all(_is_arithmetic(graph[name]) for name in reader.inputs)
        for reader in readers
    )
    return not node.op.offset.any() or in_products


def _is_layer(node: Node) -> bool:
    """Whether tensors of its own hold a place for each channel, so that all its uses would lose one."""
    return isinstance(node.op, Conv | Linear | Select) or _is_norm(node)


def _is_silent(neuron: FloatNeuron, steps: int) -> bool:
    """Whether neurons that receive nothing never fire."""
    state = neuron.rest(torch.zeros(1))
    for _ in range(steps):
        state = neuron.integrate(state, torch.zeros(1), 0.0)
        if bool((state[-1] >= neuron.threshold).any()):
            return False
    return True
