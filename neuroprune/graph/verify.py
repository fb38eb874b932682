"""The rules of a traced graph."""

from collections.abc import Iterator

import numpy as np

from neuroprune.graph.nodes import (
    Add,
    And,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    ConvTranspose,
    Delay,
    Flatten,
    Graph,
    Input,
    Linear,
    MaxPool,
    Node,
    PixelShuffle,
    Resample,
    Select,
    Upsample,
)
from neuroprune.neurons.model import FloatNeuron

# What an edge carries: the graded frame, spikes, 1 - spikes, sums of spikes, a pool or sum of any of those without
# weights, or the input of neurons.
FRAME, SPIKES, SILENCE, COUNTS, POOLED, CURRENT = "frame", "spikes", "silence", "counts", "pooled", "current"


def problems_of_traced(graph: Graph, last: str) -> list[tuple[str, str | None]]:
    """Sentences for everything that prevents folding, with the node of each, None of the whole.

    last: the node whose output the network returns.
    """
    problems: list[tuple[str, str | None]] = []
    flows: dict[str, str] = {}
    spiking = False
    for node in graph.nodes:
        flow, problem = _flow(node, [flows[name] for name in node.inputs])
        if problem and _joins_own_spikes(graph, node):
            problem = None
        flows[node.name] = flow
        spiking = spiking or (isinstance(node.op, FloatNeuron) and not node.op.integrates)
        found = [problem] if problem else []
        problems += [(f"layer {node.name}: {each}", node.name) for each in (*found, *_problems_of(graph, node, last))]
    if not spiking:
        problems.append(("the network has no spiking neurons: put an IFNode or LIFNode after its layers", None))
    return problems


def _joins_own_spikes(graph: Graph, node: Node) -> bool:
    """Whether it is the dense layer of a recurrent container, which multiplies out with the one before it."""
    read = graph[node.inputs[0]] if isinstance(node.op, Linear) else node
    return isinstance(read.op, Concat) and any(isinstance(graph[name].op, Delay) for name in read.inputs)


def _problems_of(graph: Graph, node: Node, last: str) -> Iterator[str]:
    """What is wrong with the place of a node in the graph."""
    if isinstance(node.op, Linear) and len(graph[node.inputs[0]].shape) != 1:
        yield f"it reads a map of shape {graph[node.inputs[0]].shape}; put a Flatten before it"
    if isinstance(node.op, FloatNeuron) and node.op.integrates:
        if node.name != last:
            yield "it never fires and is not the output; give it a finite threshold"
        elif graph.readout.of == "spikes":
            yield "it never fires; return its voltage v, or give it a finite threshold"
    elif node.name == last and graph.readout.of == "voltage":
        yield "it fires, so its voltage says little; set its threshold to infinity"
    readers = graph.consumers(node.name)
    if isinstance(node.op, Resample) and not all(isinstance(each.op, Flatten) for each in readers):
        yield (
            "its windows differ in size, which only a dense layer can take up; choose a size that divides its input, "
            "or flatten it for a Linear right behind it"
        )
    if node.name != last and not readers:
        yield "its output is not used; remove it"


def _flow(node: Node, sources: list[str]) -> tuple[str, str | None]:
    """What the output of `node` carries when its inputs carry `sources`, and the problem with that, if any."""
    match node.op:
        case Input():
            return FRAME, None
        case Delay():
            return SPIKES, None
        case Conv() | ConvTranspose() | Linear():
            # Weights upon weights multiply out to one layer, but only those of a projection leave its kernel as small.
            projects = isinstance(node.op, Conv) and node.op.weight.shape[2:] == (1, 1) and node.op.padding == (0, 0)
            if sources[0] == CURRENT and not projects:
                return CURRENT, (f"it follows {node.inputs[0]} without neurons between; put an IFNode or LIFNode there")
            return CURRENT, None
        case BatchNorm() as norm if sources[0] in (SPIKES, SILENCE) and _is_complement(norm):
            return SILENCE if sources[0] == SPIKES else SPIKES, None
        case AvgPool() | Resample() | BatchNorm():
            return CURRENT if sources[0] == CURRENT else POOLED, None
        case And():
            if not set(sources) <= {SPIKES, SILENCE}:
                return SPIKES, (
                    f"it multiplies {node.inputs[0]} by {node.inputs[1]}, which the chip does "
                    "of spikes alone; multiply outputs of LIFNode or IFNode, or 1 minus those"
                )
            return SPIKES, None
        case MaxPool():
            if sources[0] == COUNTS:
                return COUNTS, None
            if sources[0] != SPIKES:
                return SPIKES, (
                    "maximum pooling of values that are not spikes cannot be mapped; put it "
                    "right after an IFNode or LIFNode, or use AvgPool2d"
                )
            return SPIKES, None
        case Add():
            if set(sources) <= {SPIKES, COUNTS}:
                return COUNTS, None
            return CURRENT if CURRENT in sources else POOLED, None
        case Flatten() | Concat() | Select() | Upsample() | PixelShuffle():
            kinds = set(sources)
            if len(kinds) > 1 and kinds <= {SPIKES, COUNTS}:
                return COUNTS, None
            return sources[0] if len(kinds) == 1 else CURRENT if CURRENT in kinds else POOLED, None
        case FloatNeuron():
            return SPIKES, None


def _is_complement(norm: BatchNorm) -> bool:
    """Whether it makes 1 - x of x."""
    return bool(np.all(norm.gain == -1.0) and np.all(norm.offset == 1.0))
