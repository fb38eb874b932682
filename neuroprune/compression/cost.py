"""Multiply-accumulates of a network, computed from its shapes; with all channels or with fewer."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from neuroprune.compression.channels import ChannelGroup
from neuroprune.graph.nodes import Conv, Graph, Linear, Node
from neuroprune.neurons.model import FloatNeuron

FLOPS_PER_MAC = 2
"""A multiplication and an addition."""


@dataclass(frozen=True)
class SynapseWork:
    """Multiply-accumulates of the layer `name` for one sample, and the channel groups at its input and output.

    A depthwise layer of a group has it at its output only, since its work is proportional to one of the two.
    """

    name: str
    macs: int
    reads: ChannelGroup | None
    feeds: ChannelGroup | None


def synapse_work(graph: Graph, groups: tuple[ChannelGroup, ...] = ()) -> tuple[SynapseWork, ...]:
    """Work of every convolution and linear layer of a traced graph, in the order of its nodes.

    Counted once per time step, so T times per sample; a layer that no neuron precedes is fed the same frame at every
    step and counts once, unless samples are sequences. Products with padding count, additions of bias do not. This is
    the convention of the tables in "Brain-Inspired Efficient Pruning: Exploiting Criticality in Spiking Neural
    Networks".
    """
    reads = {consumer: group for group in groups for consumer in group.consumers}
    feeds = {stage.producer: group for group in groups for stage in group.stages}
    return tuple(
        SynapseWork(
            node.name,
            _macs_per_step(node) * (graph.steps if graph.is_sequence or _follows_neurons(graph, node) else 1),
            reads.get(node.name),
            feeds.get(node.name),
        )
        for node in graph.nodes
        if isinstance(node.op, Conv | Linear)
    )


def count_macs(work: tuple[SynapseWork, ...], kept: Mapping[str, int] | None = None) -> int:
    """Multiply-accumulates for one sample, with `kept` channels (by group) in place of all where given."""
    return sum(_scaled(_scaled(layer.macs, layer.reads, kept), layer.feeds, kept) for layer in work)


def _scaled(macs: int, group: ChannelGroup | None, kept: Mapping[str, int] | None) -> int:
    if group is None or kept is None:
        return macs
    return macs // group.channels * kept[group.name]


def _macs_per_step(node: Node) -> int:
    op = node.op
    assert isinstance(op, Conv | Linear)
    return op.weight.size * (prod(node.shape[1:]) if isinstance(op, Conv) else 1)


def _follows_neurons(graph: Graph, node: Node) -> bool:
    sources = [graph[name] for name in node.inputs]
    return any(isinstance(source.op, FloatNeuron) or _follows_neurons(graph, source) for source in sources)
