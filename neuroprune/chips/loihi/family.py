"""The Loihi family: what a tile takes of a core."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar, Literal

from neuroprune.chips.loihi.axons import count_readers, output_axons
from neuroprune.chips.loihi.core import LoihiCore
from neuroprune.chips.loihi.encode import StoredSynapses, cheapest_storage, share_synapses
from neuroprune.chips.receptive_field import receptive_field
from neuroprune.chips.senders import Senders, field_senders, nonzero_senders
from neuroprune.chips.types import Reader, Tile, TileCounter, TileResources
from neuroprune.fixed_point import IntegerRules
from neuroprune.program.types import IntConnection, IntConv, IntLayer


@dataclass(frozen=True)
class Loihi(LoihiCore):
    """A core whose axons lead to runs and blocks of synapses, counted as nengo-loihi does; see `loihi.encode`."""

    name: ClassVar[str] = "loihi"
    skips_zeros: ClassVar[tuple[str, ...]] = ("sparse",)
    message_for: ClassVar[Literal["core", "tile"]] = "tile"  # output axons are counted so, too: see `loihi.axons`

    def tile_counter(
        self, layer: IntLayer, delays: Sequence[int], readers: Sequence[Reader], rules: IntegerRules
    ) -> TileCounter:
        """Counts tiles of `layer`; what differs by its place in the plane only is counted once."""
        layer = replace(layer, connections=tuple(map(_widened, layer.connections)))
        shared = share_synapses(layer, delays)
        stored_bits = rules.stored_bits(layer.weight_bits)
        read = count_readers(layer, [replace(each, connection=_widened(each.connection)) for each in readers])
        known: dict[object, StoredSynapses] = {}

        def count(tile: Tile) -> TileResources:
            fields = tuple(
                receptive_field(each.connection, each.connection.synapse, tile).key
                for each in shared
                if isinstance(each.connection.synapse, IntConv)
            )
            key = (tile.start[0], tile.stop[0], tile.stop[1] - tile.start[1], tile.stop[2] - tile.start[2], fields)
            if key not in known:
                known[key] = cheapest_storage(shared, tile, stored_bits, self)
            stored = known[key]
            return TileResources(
                tile,
                used=(
                    tile.neurons + stored.idle_neurons,
                    stored.input_axons,
                    output_axons(tile, read, self),
                    stored.synapse_bits,
                    stored.synapse_formats,
                ),
                synapses=stored.synapses,
                encodings=stored.encodings,
                idle_neurons=stored.idle_neurons,
            )

        return count

    def senders(self, connection: IntConnection, tile: Tile, encoding: str | None) -> Senders:
        """Through population axons all channels of a pixel that the tile reads send, even those of zero weights."""
        if encoding != "shared":
            return nonzero_senders(connection, tile)
        widened = _widened(connection)
        assert isinstance(widened.synapse, IntConv)
        return field_senders(widened, widened.synapse, tile, sends=True)


@lru_cache(maxsize=256)
def _widened(connection: IntConnection) -> IntConnection:
    """A dense connection from a map as a convolution whose kernel is as large as the map; others as they are.

    So the channels of a pixel can share an axon there too, and where a pool has become part of the weights, pixels a
    block.
    """
    synapse, shape = connection.synapse, connection.in_shape
    if isinstance(synapse, IntConv) or len(shape) != 3:
        return connection
    kernel = synapse.weight.reshape(-1, *shape)
    return replace(connection, synapse=IntConv(kernel, (1, 1), (0, 0), (1, 1), 1))
