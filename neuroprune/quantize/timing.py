"""When each layer computes on a chip, where every synapse takes one step and layers work as a pipeline.

Layer l of a chain computes step t of a sample l steps after the input brought it. Where paths of different length meet,
spikes of the shorter one must wait, so that all that belongs to one step of the sample arrives together.
"""

from neuroprune.quantize.types import Connection, QuantGraph, QuantLayer


def depths(graph: QuantGraph) -> dict[str, int]:
    """Chip steps between the input and each layer, by name: the longest path; 0 for "input"."""
    found = {"input": 0}
    for layer in graph.layers:
        found[layer.name] = 1 + max(found[connection.source] for connection in layer.connections)
    return found


def wait(connection: Connection, layer: QuantLayer, depth: dict[str, int]) -> int:
    """Chip steps that spikes of `connection` into `layer` wait beyond the one that every synapse takes."""
    return depth[layer.name] - depth[connection.source] - 1 + connection.delay
