"""Puts the nodes of a file in the order in which values flow, with the nodes that each one reads."""

from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from neuroprune.errors import InputError
from neuroprune.excerpts import capped
from neuroprune.networks.nir.file import NirFile, NirNode

ENDS = ("Input", "Output")
WEIGHTS = ("Linear", "Affine", "Conv1d", "Conv2d")


@dataclass(frozen=True, eq=False)
class Ordered:
    """A node and the names of those whose sum it reads, in alphabetical order; none of the input.

    back: nodes of weights through which neurons read what they fired one step before.
    """

    node: NirNode
    sources: tuple[str, ...]
    back: tuple[NirNode, ...] = ()


def in_order(file: NirFile, path: Path) -> tuple[Ordered, ...]:
    """The nodes from the one input to the one output. Inputs and outputs of nested graphs are among them.

    Raises InputError for recurrent connections other than from neurons through weights to themselves, for more or fewer
    than one input and output, and for nodes that no edge joins to both.
    """
    sources: dict[str, list[str]] = {name: [] for name in file.nodes}
    for source, target in file.edges:
        sources[target].append(source)
    back = _weights_back(file, sources)
    ends = {kind: [n.name for n in file.nodes.values() if n.kind == kind and "/" not in n.name] for kind in ENDS}
    for kind, names in ends.items():
        if len(names) != 1:
            raise InputError(f"{path} has {len(names)} nodes of kind {kind}, and one is read: write a network with one")
    try:
        order = tuple(TopologicalSorter(sources).static_order())
    except CycleError as error:
        circle = " -> ".join(capped(each) for each in reversed(error.args[1]))
        raise InputError(
            f"{path} has a recurrent connection ({capped(circle)}), and only those from neurons through one node of "
            "weights to the same neurons are read: leave it out and train again"
        ) from error
    reached = _reached(ends["Input"][0], file.edges)
    leading = _reached(ends["Output"][0], tuple((target, source) for source, target in file.edges))
    for name in order:
        if name not in reached:
            raise InputError(f"{path}: no edge leads from the input to node {capped(name)}: add the missing edge")
        if name not in leading:
            raise InputError(
                f"{path}: no edge leads from node {capped(name)} to the output: add the missing edge, or leave it out"
            )
    return tuple(Ordered(file.nodes[name], tuple(sources[name]), tuple(back.get(name, ()))) for name in order)


def _weights_back(file: NirFile, sources: dict[str, list[str]]) -> dict[str, list[NirNode]]:
    """By neurons, the nodes of weights that lead from them to them alone; those are taken out of `sources`."""
    targets: dict[str, list[str]] = {}
    for source, target in file.edges:
        targets.setdefault(source, []).append(target)
    back: dict[str, list[NirNode]] = {}
    for name, node in file.nodes.items():
        read = sources[name]
        if node.kind in WEIGHTS and len(read) == 1 and read == targets.get(name) and read[0] != name:
            back.setdefault(read[0], []).append(node)
    for neurons, nodes in back.items():
        names = {node.name for node in nodes}
        sources[neurons] = [name for name in sources[neurons] if name not in names]
        for name in names:
            del sources[name]
    return back


def _reached(start: str, edges: tuple[tuple[str, str], ...]) -> set[str]:
    """All nodes that edges lead to from `start`, itself too."""
    after: dict[str, list[str]] = {}
    for source, target in edges:
        after.setdefault(source, []).append(target)
    seen, open_ends = {start}, [start]
    while open_ends:
        new = [name for name in after.get(open_ends.pop(), []) if name not in seen]
        seen.update(new)
        open_ends += new
    return seen
