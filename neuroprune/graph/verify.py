"""The rules of both forms of a graph, checked after the stage that made it."""

from neuroprune.graph.nodes import (
    Add,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    Flatten,
    Graph,
    Input,
    Linear,
    MaxPool,
    Neuron,
    Node,
    Select,
)

# What flows along an edge: the graded frame, spikes, a linear map of either, or the input of neurons.
FRAME, SPIKES, POOLED, CURRENT = "frame", "spikes", "pooled", "current"


def problems_of_traced(graph: Graph, last: str) -> list[str]:
    """Sentences for all that keeps a traced graph from being folded; `last` is the node whose output is returned."""
    problems: list[str] = []
    flows: dict[str, str] = {}
    for node in graph.nodes:
        flow, problem = _flow(node, flows.get(node.inputs[0], POOLED) if node.inputs else FRAME)
        flows[node.name] = flow
        if problem:
            problems.append(problem)
        if isinstance(node.op, Linear) and len(graph[node.inputs[0]].shape) != 1:
            problems.append(
                f"layer {node.name}: it reads a map of shape {graph[node.inputs[0]].shape}; put a Flatten before it"
            )
        readers = graph.consumers(node.name)
        if len(readers) > 1:
            problems.append(
                f"layer {node.name}: its output feeds {len(readers)} layers ({', '.join(r.name for r in readers)}); "
                "branches cannot be mapped yet, use one chain of layers"
            )
    if last != graph.nodes[-1].name:
        problems.append(f"layer {graph.nodes[-1].name}: its output is not used; remove it")
    if flows.get(last) != SPIKES:
        problems.append(
            f"layer {last}: it is the output but gives no spikes; append an IFNode or LIFNode and return their "
            "mean or sum over time"
        )
    return problems


def _flow(node: Node, source: str) -> tuple[str, str | None]:
    """What flows out of `node` when `source` flows in, and what stands against that."""
    match node.op:
        case Input():
            return FRAME, None
        case Conv() | Linear():
            if source == CURRENT:
                return CURRENT, (
                    f"layer {node.name}: it follows {node.inputs[0]} without neurons between; put an IFNode or "
                    "LIFNode there"
                )
            return CURRENT, None
        case BatchNorm():
            if source != CURRENT:
                return CURRENT, (
                    f"layer {node.name}: normalisation of {node.inputs[0]} cannot be folded; put it right behind a "
                    "convolution or linear layer"
                )
            return CURRENT, None
        case AvgPool():
            return CURRENT if source == CURRENT else POOLED, None
        case MaxPool():
            if source != SPIKES:
                return SPIKES, (
                    f"layer {node.name}: maximum pooling of values that are not spikes cannot be mapped; put it "
                    "right behind an IFNode or LIFNode, or use AvgPool2d"
                )
            return SPIKES, None
        case Flatten() | Add() | Concat() | Select():
            return source, None
        case Neuron():
            return SPIKES, None


def verify_folded(graph: Graph) -> None:
    """Input first; each synapse reads the input or earlier neurons; each neuron layer adds up synapses of its shape."""
    first, *rest = graph.nodes
    assert isinstance(first.op, Input) and not first.inputs and graph.steps >= 1
    known = {first.name: first}
    for node in rest:
        sources = [known[name] for name in node.inputs]
        if isinstance(node.op, Neuron):
            assert node.op.gain == 1.0, node.name
            assert sources and all(isinstance(synapse.op, Conv | Linear) for synapse in sources), node.name
            assert all(synapse.shape == node.shape for synapse in sources), node.name
        else:
            assert isinstance(node.op, Conv | Linear), node.name
            assert len(sources) == 1 and isinstance(sources[0].op, Input | Neuron), node.name
            assert node.op.bias.shape == (node.shape[0],), node.name
        known[node.name] = node
    assert isinstance(graph.nodes[-1].op, Neuron) and len(known) == len(graph.nodes)
