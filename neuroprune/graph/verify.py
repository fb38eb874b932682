"""The rules of both forms of a graph, checked after the stage that made it."""

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
        case Flatten():
            return source, None
        case Neuron():
            return SPIKES, None


def verify_folded(graph: Graph) -> None:
    """Input first, then synapse and neuron in turn, each reading the node before it; gains are folded away."""
    first, *rest = graph.nodes
    assert isinstance(first.op, Input) and not first.inputs
    assert rest and len(rest) % 2 == 0 and graph.steps >= 1
    for before, node in zip(graph.nodes, rest, strict=False):
        assert node.inputs == (before.name,), f"{node.name} reads {node.inputs}, expected {before.name}"
    for synapse, neuron in zip(rest[::2], rest[1::2], strict=True):
        assert isinstance(synapse.op, Conv | Linear), synapse.name
        assert isinstance(neuron.op, Neuron) and neuron.op.gain == 1.0, neuron.name
        assert synapse.shape == neuron.shape and synapse.op.bias.shape == (synapse.shape[0],), synapse.name
