"""Where an integer program runs: split, pack, place, verify."""

from dataclasses import replace

from neuroprune.mapping.axons import read_by
from neuroprune.mapping.place import pack, place
from neuroprune.mapping.split import split_layer
from neuroprune.mapping.types import ChipMapping, TileUse
from neuroprune.mapping.verify import verify_mapping
from neuroprune.program.timing import depths, synaptic_delay
from neuroprune.program.types import IntConnection, IntConv, IntProgram
from neuroprune.targets import Target


def map_program(program: IntProgram, target: Target) -> ChipMapping:
    """Every neuron of `program` on a core of `target`, as many chips as it takes.

    Layers are split from the last to the first, because a layer's output axons depend on how its readers are split.
    The frames are injected from off-chip into input axons of each layer that reads them. Deterministic.
    program: balanced, so that no synapse delays longer than those of `target` can.
    Raises CapacityError when a single neuron of a layer does not fit a core.
    """
    wide = _with_wide_kernels(program)
    split: dict[str, tuple[TileUse, ...]] = {}
    depth = depths(program)
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
    uses = [use for layer in program.layers for use in split[layer.name]]
    cores = place(pack(uses, target), target)
    mapping = ChipMapping(target=target.name, cores=cores, chips=-(-len(cores) // target.cores_per_chip))
    verify_mapping(mapping, program, target)
    return mapping


def _with_wide_kernels(program: IntProgram) -> IntProgram:
    """The same program with each dense connection from a map as a convolution whose kernel is as large as the map.

    So the channels of a pixel can share an axon there too, and where a pool has become part of the weights, pixels a
    block.
    """

    def widened(connection: IntConnection) -> IntConnection:
        synapse, shape = connection.synapse, connection.in_shape
        if isinstance(synapse, IntConv) or len(shape) != 3:
            return connection
        kernel = synapse.weight.reshape(-1, *shape)
        return replace(connection, synapse=IntConv(kernel, (1, 1), (0, 0), (1, 1), 1))

    layers = (replace(layer, connections=tuple(map(widened, layer.connections))) for layer in program.layers)
    return replace(program, layers=tuple(layers))
