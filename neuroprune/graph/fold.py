"""Folds a traced graph: one synapse with bias for each layer of neurons.

BatchNorm, average pooling and the gain of the neurons are linear, so each chain of them between two layers of spikes
is one convolution or one dense map. Maximum pooling of spikes is an OR: a synapse of ones and a memoryless neuron.
"""

import numpy as np

from neuroprune.errors import UnsupportedNetwork
from neuroprune.frozen import frozen_array
from neuroprune.graph.compose import (
    average_kernel,
    convolve_after,
    dense_after,
    depthwise,
    identity_kernel,
    pads_differ,
    scale_outputs,
)
from neuroprune.graph.nodes import (
    AvgPool,
    BatchNorm,
    Conv,
    Flatten,
    Graph,
    Input,
    Linear,
    MaxPool,
    Neuron,
    Node,
    Shape,
    Synapse,
)
from neuroprune.graph.verify import verify_folded


def fold(graph: Graph) -> Graph:
    """The folded form of a traced graph: Input, then Conv or Linear and Neuron in turn.

    A neuron node keeps its name; the synapse before it is named after the layer that holds its weights. A maximum
    pool "p" becomes the synapse "p.sum" and the neuron "p". Raises UnsupportedNetwork where an average pooling meets
    a zero padding that it cannot be folded through.
    """
    nodes: list[Node] = [graph.nodes[0]]
    chain: list[Node] = []
    problems: list[str] = []
    for node in graph.nodes[1:]:
        chain.append(node)
        if isinstance(node.op, Neuron | MaxPool):
            source = nodes[-1]
            synapse, problem = _synapse(chain, source.shape, graph)
            if problem:
                problems.append(problem)
            weighted = [each.name for each in chain if isinstance(each.op, Conv | Linear)]
            name = weighted[-1] if weighted else f"{node.name}.sum"
            nodes.append(Node(name, synapse, (source.name,), node.shape))
            op = node.op
            # One spike in the window is enough to fire, and firing resets, so nothing is ever remembered.
            neuron = Neuron(0.0, 0.5) if isinstance(op, MaxPool) else Neuron(op.decay, op.threshold)
            nodes.append(Node(node.name, neuron, (name,), node.shape))
            chain = []
    if problems:
        raise UnsupportedNetwork(problems)
    folded = Graph(tuple(nodes), graph.steps, graph.readout)
    verify_folded(folded)
    return folded


def _synapse(chain: list[Node], shape: Shape, graph: Graph) -> tuple[Synapse, str | None]:
    """One linear map for the operations from spikes of `shape` to the input of the neurons that end the chain."""
    current: Synapse | None = None
    for node in chain:
        problem = _padding_problem(current, node, shape, graph)
        if problem:
            return identity_kernel(shape[0]), problem
        before = graph[node.inputs[0]].shape
        match node.op:
            case Conv() as conv:
                current = conv if current is None else convolve_after(current, conv)
            case AvgPool() as pool:
                box = average_kernel(pool, before[0])
                current = box if current is None else convolve_after(current, box)
            case MaxPool() as pool:
                ones = np.ones((before[0], 1, *pool.kernel))
                current = depthwise(ones, pool.stride, pool.padding, pool.dilation)
            case Linear() as linear:
                current = linear if current is None else dense_after(current, linear, shape, _spatial(chain, graph))
            case BatchNorm() as norm:
                assert current is not None
                current = scale_outputs(current, norm.gain, norm.offset)
            case Neuron() as neuron:
                if current is None:
                    current = identity_kernel(shape[0]) if len(shape) == 3 else _identity_dense(shape[0])
                gain = np.full(current.bias.shape, neuron.gain)
                current = scale_outputs(current, gain, np.zeros_like(gain))
            case Flatten() | Input():
                pass
    assert current is not None
    return current, None


def _padding_problem(current: Synapse | None, node: Node, shape: Shape, graph: Graph) -> str | None:
    """Why `node` cannot be folded behind `current`: zeros padded after pooling are not zeros padded before it."""
    padded = isinstance(node.op, Conv | AvgPool) and node.op.padding != (0, 0)
    source = graph[node.inputs[0]]
    if not padded or not isinstance(current, Conv) or not pads_differ(current, shape, source.shape):
        return None
    return (
        f"layer {node.name}: it pads the output of {source.name}, whose windows do not tile its input of "
        f"{shape[1]}x{shape[2]} exactly; choose a size that the pooling divides, or padding 0"
    )


def _spatial(chain: list[Node], graph: Graph) -> Shape:
    """Shape of the map that the chain's linear layer reads, before it was flattened."""
    for node in chain:
        if isinstance(node.op, Flatten):
            return graph[node.inputs[0]].shape
    raise AssertionError("a pooled map reaches a linear layer through Flatten")


def _identity_dense(features: int) -> Linear:
    return Linear(frozen_array(np.eye(features), np.float64), frozen_array(np.zeros(features), np.float64))
