"""Multiply-accumulates of a network, computed from its shapes."""

from dataclasses import dataclass
from math import prod

import numpy as np

from neuroprune.graph.nodes import Conv, ConvTranspose, Graph, Linear, Node
from neuroprune.neurons.model import FloatNeuron

FLOPS_PER_MAC = 2
"""A multiplication and an addition."""


@dataclass(frozen=True)
class SynapseWork:
    """Multiply-accumulates of the layer `name`: `per_step` in one time step, in `steps` of which a sample needs it."""

    name: str
    per_step: int
    steps: int

    @property
    def macs(self) -> int:
        """For one sample."""
        return self.per_step * self.steps


def synapse_work(graph: Graph, zeros: bool = True) -> tuple[SynapseWork, ...]:
    """Work of every convolution and linear layer of a traced graph, in the order of its nodes.

    A layer that no neuron precedes is fed the same frame at every step and is needed once, unless samples are
    sequences; all others are at each of the T steps. Products with padding count, additions of bias do not. zeros:
    whether products with weights that are zero count.
    """
    return tuple(
        SynapseWork(
            node.name,
            _macs_per_step(graph, node, zeros),
            graph.steps if graph.is_sequence or _follows_neurons(graph, node) else 1,
        )
        for node in graph.nodes
        if isinstance(node.op, Conv | ConvTranspose | Linear)
    )


def count_macs(work: tuple[SynapseWork, ...]) -> int:
    """Multiply-accumulates for one sample, all steps together, with the stem once."""
    return sum(layer.macs for layer in work)


def count_macs_per_step(work: tuple[SynapseWork, ...]) -> int:
    """Multiply-accumulates of one time step, the stem among them, which is how tables of single steps count."""
    return sum(layer.per_step for layer in work)


def _macs_per_step(graph: Graph, node: Node, zeros: bool) -> int:
    op = node.op
    assert isinstance(op, Conv | ConvTranspose | Linear)
    weights = op.weight.size if zeros else int(np.count_nonzero(op.weight))
    places = graph[node.inputs[0]] if isinstance(op, ConvTranspose) else node  # where the whole kernel is laid
    return weights * (1 if isinstance(op, Linear) else prod(places.shape[1:]))


def _follows_neurons(graph: Graph, node: Node) -> bool:
    sources = [graph[name] for name in node.inputs]
    return any(isinstance(source.op, FloatNeuron) or _follows_neurons(graph, source) for source in sources)
