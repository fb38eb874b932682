"""Where an integer program runs: split, pack, place, verify."""

from dataclasses import replace

from neuroprune.mapping.axons import read_by
from neuroprune.mapping.place import pack, place
from neuroprune.mapping.split import split_layer
from neuroprune.mapping.types import Mapping, TileUse
from neuroprune.mapping.verify import verify_mapping
from neuroprune.quantize.timing import depths, synaptic_delay
from neuroprune.quantize.types import Connection, IntConv, QuantGraph
from neuroprune.targets import Target


def map_graph(graph: QuantGraph, target: Target) -> Mapping:
    """Every neuron of `graph` on a core of `target`, as many chips as it takes.

    Layers are split from the last to the first, because a layer's output axons depend on how its readers are split.
    The frames are injected from off-chip into input axons of each layer that reads them. Deterministic.
    graph: balanced, so that no synapse delays longer than those of `target` can.
    Raises CapacityError when a single neuron of a layer does not fit a core.
    """
    wide = _with_wide_kernels(graph)
    split: dict[str, tuple[TileUse, ...]] = {}
    depth = depths(graph)
    for layer in reversed(wide.layers):
        consumers = [
            (connection, [(use.tile, use.encodings[number]) for use in split[consumer.name]])
            for consumer in wide.layers
            for number, connection in enumerate(consumer.connections)
            if connection.source == layer.name
        ]
        readers = read_by(layer, consumers)
        delays = [synaptic_delay(connection, layer, depth) for connection in layer.connections]
        split[layer.name] = split_layer(layer, delays, readers, target)
    uses = [use for layer in graph.layers for use in split[layer.name]]
    cores = place(pack(uses, target), target)
    mapping = Mapping(target=target.name, cores=cores, chips=-(-len(cores) // target.cores_per_chip))
    verify_mapping(mapping, graph, target)
    return mapping


def _with_wide_kernels(graph: QuantGraph) -> QuantGraph:
    """The same program with each dense connection from a map as a convolution whose kernel is as large as the map.

    So the channels of a pixel can share an axon there too, and where a pool has become part of the weights, pixels a
    block.
    """

    def widened(connection: Connection) -> Connection:
        synapse, shape = connection.synapse, connection.in_shape
        if isinstance(synapse, IntConv) or len(shape) != 3:
            return connection
        kernel = synapse.weight.reshape(-1, *shape)
        return replace(connection, synapse=IntConv(kernel, (1, 1), (0, 0), (1, 1), 1))

    layers = (replace(layer, connections=tuple(map(widened, layer.connections))) for layer in graph.layers)
    return replace(graph, layers=tuple(layers))
