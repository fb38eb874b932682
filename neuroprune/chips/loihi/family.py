"""The Loihi family: what a tile takes of a core."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import ClassVar, Literal, NamedTuple, get_args

from neuroprune.chips.loihi.axons import count_readers, output_axons
from neuroprune.chips.loihi.core import LoihiCore
from neuroprune.chips.loihi.encode import Encoding, StoredSynapses, cheapest_storage, share_synapses
from neuroprune.chips.loihi.least import least_taken
from neuroprune.chips.loihi.resets import NONE, Resets, resets
from neuroprune.chips.loihi.tables import tile_tables
from neuroprune.chips.receptive_field import receptive_field
from neuroprune.chips.senders import Senders, field_senders, nonzero_senders
from neuroprune.chips.tables import TileTables
from neuroprune.chips.types import Reader, Tile, TileCounter, TileResources
from neuroprune.fixed_point import IntegerRules
from neuroprune.program.types import IntConnection, IntConv, IntLayer


@dataclass(frozen=True)
class Loihi(LoihiCore):
    """A core whose axons lead to runs and blocks of synapses, counted as nengo-loihi does; see `loihi.encode`."""

    name: ClassVar[str] = "loihi"
    skips_zeros: ClassVar[tuple[str, ...]] = ("sparse",)
    message_for: ClassVar[Literal["core", "tile"]] = "tile"  # output axons are counted so, too: see `loihi.axons`

    @property
    def encodings(self) -> tuple[str, ...]:
        """Runs of one weight a neuron, of a weight and an index a synapse, and blocks that pixels share."""
        return get_args(Encoding)

    def tile_counter(
        self, layer: IntLayer, delays: Sequence[int], readers: Sequence[Reader], rules: IntegerRules
    ) -> TileCounter:
        """Counts tiles of `layer`; how a tile is stored is counted once, whoever reads it."""
        stored_of = _storage(layer, tuple(delays), rules.stored_bits(layer.weight_bits), self)
        read = count_readers(layer, [replace(each, connection=_widened(each.connection)) for each in readers])

        def count(tile: Tile) -> TileResources:
            stored, beside = stored_of(tile)
            compartments = (tile.neurons + stored.idle_neurons) * beside.compartments
            return TileResources(
                tile,
                used=(
                    compartments,
                    stored.input_axons + beside.input_axons,
                    output_axons(tile, read, self) + beside.output_axons,
                    stored.synapse_bits + beside.synapse_bits,
                    stored.synapse_formats + beside.synapse_formats,
                ),
                synapses=stored.synapses,
                encodings=stored.encodings,
                idle_neurons=compartments - tile.neurons,
                layout=stored.layout,
            )

        return count

    def senders(self, connection: IntConnection, tile: Tile, encoding: str | None) -> Senders:
        """Through population axons all channels of a pixel that the tile reads send, even those of zero weights."""
        if encoding != "shared":
            return nonzero_senders(connection, tile)
        widened = _widened(connection)
        assert isinstance(widened.synapse, IntConv)
        return field_senders(widened, widened.synapse, tile, sends=True)

    def least(
        self, layer: IntLayer, delays: Sequence[int], readers: Sequence[tuple[IntConnection, Tile]], rules: IntegerRules
    ) -> tuple[int, ...]:
        """See `loihi.least`."""
        widened = replace(layer, connections=tuple(map(_widened, layer.connections)))
        reading = [(_widened(connection), tile) for connection, tile in readers]
        return least_taken(widened, delays, reading, rules.stored_bits(layer.weight_bits), self)

    def tile_tables(
        self, layer: IntLayer, delays: Sequence[int], use: TileResources, rules: IntegerRules
    ) -> TileTables:
        """Runs and blocks as they were counted."""
        layer = replace(layer, connections=tuple(map(_widened, layer.connections)))
        stored_bits = rules.stored_bits(layer.weight_bits)
        return tile_tables(share_synapses(layer, delays), layer.neuron, delays, use, stored_bits, self)


class _Stored(NamedTuple):
    """What a tile takes whoever reads it: its synapses, and what its resets take beside them."""

    synapses: StoredSynapses
    resets: Resets


@lru_cache(maxsize=256)
def _storage(layer: IntLayer, delays: tuple[int, ...], stored_bits: int, core: LoihiCore) -> Callable[[Tile], _Stored]:
    """How tiles of `layer` are stored; what differs by its place in the plane only is counted once."""
    subtracts = layer.neuron.reset == "subtract"
    layer = replace(layer, connections=tuple(map(_widened, layer.connections)))
    shared = share_synapses(layer, delays)
    known: dict[object, _Stored] = {}

    @cache
    def stored(tile: Tile) -> _Stored:
        fields = tuple(
            receptive_field(each.connection, each.connection.synapse, tile).key
            for each in shared
            if isinstance(each.connection.synapse, IntConv)
        )
        key = (tile.start[0], tile.stop[0], tile.stop[1] - tile.start[1], tile.stop[2] - tile.start[2], fields)
        if key not in known:
            beside = resets(tile, stored_bits, core) if subtracts else NONE
            room = beside.room(core) if subtracts else core
            known[key] = _Stored(cheapest_storage(shared, tile, stored_bits, room), beside)
        return known[key]

    return stored


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
