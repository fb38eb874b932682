"""What each layer and operation of a traced network becomes on a chip."""

from collections.abc import Mapping

from neuroprune.checking.schema import CheckedPart, ChipLayerKind
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
    Delay: "own spikes, a step later",
    Flatten: "flatten",
    Add: "addition",
    And: "product of spikes",
    Concat: "concatenation",
    Select: "selection",
}
"""What operations of a graph are called; all others are neurons."""


PLACES = ".places"
"""What names of neurons end in that find where several spikes of a sum meet (see graph/fold.py)."""


def parts_of(graph: Graph) -> tuple[CheckedPart, ...]:
    """The nodes of `graph` in its order."""
    readers = _readers(graph)
    return tuple(_part(node, readers[node.name]) for node in graph.nodes)


def kinds_on_chip(graph: Graph) -> dict[str, ChipLayerKind]:
    """By node of `graph`, what a layer on the chip of that name is, where it is no layer of the network's neurons."""
    kinds: dict[str, ChipLayerKind] = {}
    for node in graph.nodes:
        if isinstance(node.op, MaxPool):
            kinds[node.name] = "maximum pool"
        elif isinstance(node.op, And):
            kinds[node.name] = "product of spikes"
    return kinds


def kind_on_chip(name: str, kinds: Mapping[str, ChipLayerKind]) -> ChipLayerKind:
    """What the layer `name` on a chip is, given those of `kinds_on_chip`.

    A maximum pool `p` of a sum of spikes is several: `p` where there is a spike, and for each further number of them,
    such as 2, `p.2`, which pools `p.2.places`, where so many meet.
    """
    whole = name.partition("[")[0]  # of a part of a larger map
    pool, number = split_number(whole)
    if number is not None and kinds.get(pool) == "maximum pool":
        return "coincidence" if whole.endswith(PLACES) else "maximum pool"
    return kinds.get(whole, "neurons")


def split_number(name: str) -> tuple[str, int | None]:
    """`name` without the number of spikes that a maximum pool of a sum has in it, and that number (`kind_on_chip`)."""
    pool, _, number = name.removesuffix(PLACES).rpartition(".")
    return (pool, int(number)) if number.isdecimal() else (name, None)


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
