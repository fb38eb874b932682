"""Which channels of a network live and die together, read from its traced graph."""

from dataclasses import dataclass

from neuroprune.graph.nodes import AvgPool, BatchNorm, Conv, Flatten, Graph, Linear, MaxPool, Neuron, Node


@dataclass(frozen=True)
class ChannelGroup:
    """The output channels of a layer that is normalised and fires; all names are module paths.

    With scale and shift of a channel of `norm` at 0 the neurons of that channel never receive anything, so they never
    fire: the channel can be cut from `producer` and `norm`, and from the inputs of all `consumers`. A `Linear` consumer
    behind a Flatten holds a block of equally many inputs for each channel.
    """

    producer: str
    norm: str
    neuron: str
    consumers: tuple[str, ...]
    channels: int


def channel_groups(graph: Graph) -> tuple[ChannelGroup, ...]:
    """The prunable channels of a traced (not folded) graph, in the order of its nodes.

    Left out, and so never pruned: channels without a BatchNorm directly behind their convolution or linear layer, the
    channels of grouped convolutions and those that feed one, channels that a second BatchNorm would wake up again, and
    the output of the network.
    """
    groups = (_group(graph, node) for node in graph.nodes if isinstance(node.op, BatchNorm))
    return tuple(group for group in groups if group is not None)


def _group(graph: Graph, norm: Node) -> ChannelGroup | None:
    producer = graph[norm.inputs[0]]
    if not _is_dense(producer) or graph.consumers(producer.name) != (norm,):
        return None
    neuron = _neuron_behind(graph, norm)
    consumers = _consumers(graph, neuron) if neuron is not None else None
    if neuron is None or consumers is None:
        return None
    return ChannelGroup(producer.name, norm.name, neuron.name, consumers, norm.shape[0])


def _is_dense(node: Node) -> bool:
    """Whether every output channel of `node` reads every input channel."""
    return isinstance(node.op, Linear) or (isinstance(node.op, Conv) and node.op.groups == 1)


def _neuron_behind(graph: Graph, node: Node) -> Node | None:
    """The only neurons that `node` feeds, directly or through pools."""
    readers = graph.consumers(node.name)
    if len(readers) != 1:
        return None
    (reader,) = readers
    if isinstance(reader.op, AvgPool | MaxPool):
        return _neuron_behind(graph, reader)
    return reader if isinstance(reader.op, Neuron) else None


def _consumers(graph: Graph, node: Node) -> tuple[str, ...] | None:
    """The synapses that read `node` through pools and flattening; None if anything else does, or nothing at all."""
    found: list[str] = []
    for reader in graph.consumers(node.name):
        if _is_dense(reader):
            found.append(reader.name)
        elif isinstance(reader.op, AvgPool | MaxPool | Flatten):
            behind = _consumers(graph, reader)
            if behind is None:
                return None
            found.extend(behind)
        else:
            return None
    return tuple(found) or None
