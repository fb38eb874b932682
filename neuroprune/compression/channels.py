"""Which channels of a network are coupled, so that they can only be removed together, read from its traced graph."""

from dataclasses import dataclass

from neuroprune.graph.compose import is_depthwise
from neuroprune.graph.nodes import AvgPool, BatchNorm, Conv, Flatten, Graph, Linear, MaxPool, Node, Select
from neuroprune.neurons.model import FloatNeuron


@dataclass(frozen=True)
class Stage:
    """One layer of neurons whose channels belong to a group; all names are module paths.

    producer: the convolution or linear layer that its BatchNorm `norm` follows, or the channel selection that follows
    `norm`.
    gathers: in the latter case, the channels of `norm` that it selects; that norm keeps its width, as does the residual
    stream that it reads.
    """

    producer: str
    norm: str
    neuron: str
    gathers: tuple[int, ...] | None = None


@dataclass(frozen=True)
class ChannelGroup:
    """Coupled channels, which can only be removed together: of a layer of neurons and of the depthwise layers after it.

    With scale and shift of a channel at 0 in the norms of all stages, the neurons of that channel never receive
    anything, so they never fire: the channel can be cut from the producers and their norms, and from the inputs of all
    `consumers`. A `Linear` consumer after a Flatten has the same number of neighbouring inputs for each channel.
    """

    stages: tuple[Stage, ...]
    consumers: tuple[str, ...]
    channels: int

    @property
    def name(self) -> str:
        """The path of the layer that makes or gathers the channels."""
        return self.stages[0].producer

    @property
    def layers(self) -> tuple[str, ...]:
        """All layers that lose a channel when one is removed."""
        return (*self.consumers, *(layer for stage in self.stages for layer in (stage.producer, stage.norm)))


def channel_groups(graph: Graph) -> tuple[ChannelGroup, ...]:
    """The prunable channels of a traced (not folded) graph, in the order of its nodes.

    Left out, and so never pruned: channels without a BatchNorm right after their convolution or linear layer, those
    that are added to others or concatenated with them (residual streams), the channels of grouped convolutions other
    than depthwise ones, and those that feed one, channels that a second BatchNorm would make active again, those of
    layers that are used more than once, and the output of the network.
    """
    groups = (_group(graph, node) for node in graph.nodes if isinstance(node.op, BatchNorm))
    reused = {module_path(node.name) for node in graph.nodes if module_path(node.name) != node.name}
    return tuple(group for group in groups if group is not None and not reused & set(group.layers))


def module_path(name: str) -> str:
    """The module path of the layer of the node `name`: "conv" for "conv@2", its second use."""
    return name.partition("@")[0]


def count_channels(graph: Graph, groups: tuple[ChannelGroup, ...]) -> tuple[int, int]:
    """How many channels `groups` hold, layer by layer, and how many all layers and channel selections have."""
    layers = (node for node in graph.nodes if isinstance(node.op, Conv | Linear | Select))
    return sum(group.channels * len(group.stages) for group in groups), sum(node.shape[0] for node in layers)


def _group(graph: Graph, norm: Node) -> ChannelGroup | None:
    producer = graph[norm.inputs[0]]
    readers = graph.consumers(norm.name)
    gathers: tuple[int, ...] | None = None
    if len(readers) == 1 and isinstance(readers[0].op, Select):
        (producer,) = readers
        gathers = tuple(readers[0].op.channels.tolist())
        last = producer
    elif _is_dense(producer) and graph.consumers(producer.name) == (norm,):
        last = norm
    else:
        return None
    neuron = _neuron_after(graph, last)
    followed = _follow(graph, neuron) if neuron is not None else None
    if neuron is None or followed is None:
        return None
    stages, consumers = followed
    first = Stage(producer.name, norm.name, neuron.name, gathers)
    return ChannelGroup((first, *stages), consumers, producer.shape[0])


def _is_dense(node: Node) -> bool:
    """Whether every output channel of `node` reads every input channel."""
    return isinstance(node.op, Linear) or (isinstance(node.op, Conv) and node.op.groups == 1)


def _neuron_after(graph: Graph, node: Node) -> Node | None:
    """The only neurons that `node` feeds, directly or through pools."""
    readers = graph.consumers(node.name)
    if len(readers) != 1:
        return None
    (reader,) = readers
    if isinstance(reader.op, AvgPool | MaxPool):
        return _neuron_after(graph, reader)
    return reader if isinstance(reader.op, FloatNeuron) and reader.inputs == (node.name,) else None


def _follow(graph: Graph, node: Node) -> tuple[tuple[Stage, ...], tuple[str, ...]] | None:
    """The depthwise layers that the channels of `node` pass through, and the layers that read them in the end.

    None if anything else reads them, or nothing.
    """
    stages: tuple[Stage, ...] = ()
    consumers: tuple[str, ...] = ()
    for reader in graph.consumers(node.name):
        if _is_dense(reader):
            consumers += (reader.name,)
            continue
        if isinstance(reader.op, AvgPool | MaxPool | Flatten):
            further = _follow(graph, reader)
        elif isinstance(reader.op, Conv) and is_depthwise(reader.op):
            further = _follow_depthwise(graph, reader)
        else:
            return None
        if further is None:
            return None
        stages += further[0]
        consumers += further[1]
    return (stages, consumers) if consumers else None


def _follow_depthwise(graph: Graph, depthwise: Node) -> tuple[tuple[Stage, ...], tuple[str, ...]] | None:
    """As `_follow`, from a depthwise convolution on, which needs a BatchNorm and neurons of its own."""
    readers = graph.consumers(depthwise.name)
    neuron = _neuron_after(graph, readers[0]) if len(readers) == 1 and isinstance(readers[0].op, BatchNorm) else None
    further = _follow(graph, neuron) if neuron is not None else None
    if neuron is None or further is None:
        return None
    return (Stage(depthwise.name, readers[0].name, neuron.name), *further[0]), further[1]
