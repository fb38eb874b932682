"""What each layer and operation of a traced network becomes on a chip."""

from neuroprune.checking.schema import CheckedPart
from neuroprune.graph.nodes import (
    Add,
    And,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    ConvTranspose,
    Flatten,
    Graph,
    Input,
    Linear,
    MaxPool,
    Node,
    Op,
    PixelShuffle,
    Resample,
    Select,
    Upsample,
)

KINDS: dict[type[Op], str] = {
    Input: "input",
    Conv: "convolution",
    ConvTranspose: "transposed convolution",
    Linear: "linear",
    BatchNorm: "batch norm",
    AvgPool: "average pool",
    Resample: "adaptive pool",
    Upsample: "upsampling",
    PixelShuffle: "pixel shuffle",
    MaxPool: "maximum pool",
    Flatten: "flatten",
    Add: "addition",
    And: "product of spikes",
    Concat: "concatenation",
    Select: "selection",
}
"""What operations of a graph are called; all others are neurons."""


def parts_of(graph: Graph) -> tuple[CheckedPart, ...]:
    """The nodes of `graph` in its order."""
    readers = _readers(graph)
    return tuple(_part(node, readers[node.name]) for node in graph.nodes)


def _fires(op: Op) -> bool:
    """Whether it is a layer of neurons on the chip: neurons, and ORs and ANDs of spikes."""
    return isinstance(op, MaxPool | And) or type(op) not in KINDS


def _readers(graph: Graph) -> dict[str, tuple[str, ...]]:
    """By node, the layers of neurons that what it computes ends in, in the order of the graph."""
    order = {node.name: number for number, node in enumerate(graph.nodes)}
    into: dict[str, set[str]] = {node.name: set() for node in graph.nodes}
    for node in reversed(graph.nodes):
        of_inputs = {node.name} if _fires(node.op) else into[node.name]
        for name in node.inputs:
            into[name] |= of_inputs
    for node in graph.nodes:
        if _fires(node.op):
            into[node.name] = {node.name}
    return {name: tuple(sorted(readers, key=order.__getitem__)) for name, readers in into.items()}


def _part(node: Node, readers: tuple[str, ...]) -> CheckedPart:
    return CheckedPart(
        name=node.name, kind=KINDS.get(type(node.op), "neurons"), becomes=_becomes(node.op), readers=readers
    )


def _becomes(op: Op) -> str:
    match op:
        case Input():
            return "spikes that the host sends"
        case Conv() | ConvTranspose() | Linear():
            return "synapses"
        case MaxPool():
            return "neurons that pass spikes on (OR)"
        case And():
            return "neurons that fire where both do (AND)"
        case _ if type(op) in KINDS:
            return "folded into synapses"
    return "neurons"
