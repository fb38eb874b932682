"""The rules of both forms of a graph, checked after the stage that made it."""

import math

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

# What flows along an edge: the graded frame, spikes, a weightless map of either, or the input of neurons.
FRAME, SPIKES, POOLED, CURRENT = "frame", "spikes", "pooled", "current"


def problems_of_traced(graph: Graph, last: str) -> list[str]:
    """Sentences for all that keeps a traced graph from being folded; `last` is the node whose output is returned."""
    problems: list[str] = []
    flows: dict[str, str] = {}
    spiking = False
    for node in graph.nodes:
        flow, problem = _flow(node, [flows[name] for name in node.inputs])
        flows[node.name] = flow
        spiking = spiking or (isinstance(node.op, Neuron) and math.isfinite(node.op.threshold))
        if problem:
            problems.append(problem)
        if isinstance(node.op, Linear) and len(graph[node.inputs[0]].shape) != 1:
            problems.append(
                f"layer {node.name}: it reads a map of shape {graph[node.inputs[0]].shape}; put a Flatten before it"
            )
        if isinstance(node.op, Neuron) and math.isinf(node.op.threshold):
            if node.name != last:
                problems.append(f"layer {node.name}: it never fires and is not the output; give it a finite threshold")
            elif graph.readout.of == "spikes":
                problems.append(
                    f"layer {node.name}: it never fires; return its voltage v, or give it a finite threshold"
                )
        elif node.name == last and graph.readout.of == "voltage":
            problems.append(f"layer {node.name}: it fires, so its voltage says little; set its threshold to infinity")
        if node.name != last and not graph.consumers(node.name):
            problems.append(f"layer {node.name}: its output is not used; remove it")
    if not spiking:
        problems.append("the network has no spiking neurons: put an IFNode or LIFNode behind its layers")
    return problems


def _flow(node: Node, sources: list[str]) -> tuple[str, str | None]:
    """What flows out of `node` when `sources` flow in, and what stands against that."""
    match node.op:
        case Input():
            return FRAME, None
        case Conv() | Linear():
            # Weights upon weights multiply out to one layer, but only those of a projection leave its kernel as small.
            projects = isinstance(node.op, Conv) and node.op.weight.shape[2:] == (1, 1) and node.op.padding == (0, 0)
            if sources[0] == CURRENT and not projects:
                return CURRENT, (
                    f"layer {node.name}: it follows {node.inputs[0]} without neurons between; put an IFNode or "
                    "LIFNode there"
                )
            return CURRENT, None
        case AvgPool() | BatchNorm():
            return CURRENT if sources[0] == CURRENT else POOLED, None
        case MaxPool():
            if sources[0] != SPIKES:
                return SPIKES, (
                    f"layer {node.name}: maximum pooling of values that are not spikes cannot be mapped; put it "
                    "right behind an IFNode or LIFNode, or use AvgPool2d"
                )
            return SPIKES, None
        case Add():
            return CURRENT if CURRENT in sources else POOLED, None
        case Flatten() | Concat() | Select():
            kinds = set(sources)
            return sources[0] if len(kinds) == 1 else CURRENT if CURRENT in kinds else POOLED, None
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
