"""Cutting a layer into tiles: the fewest boxes of neurons of which each fits a core."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from neuroprune.errors import CapacityError
from neuroprune.mapping.axons import Readers, output_axons
from neuroprune.mapping.encode import Bundle, SynapseUse, bundle, cheapest_use
from neuroprune.mapping.limits import exceeded
from neuroprune.mapping.reach import receptive_field, volume
from neuroprune.mapping.types import Box, Tile, TileUse
from neuroprune.program.types import IntConv, IntLayer
from neuroprune.targets import Target


def split_layer(layer: IntLayer, delays: Sequence[int], readers: Readers, target: Target) -> tuple[TileUse, ...]:
    """The tiles of `layer`, in C order, balanced along channels, height and width.

    delays: steps that the synapses of each connection hold spikes back.
    All ways to cut the three axes into parts of nearly equal size are tried, those of fewest tiles first; among
    equals the one of least synapse memory, then of fewest axons, wins. Every limit of a core holds for every tile.
    Raises CapacityError when not even single neurons fit.
    """
    counter = _Counter(layer, bundle(layer, delays), readers, target, {})
    best: tuple[TileUse, ...] = ()
    for cuts in _candidates(volume(layer.shape), target):
        count = cuts[0] * cuts[1] * cuts[2]
        if best and count > len(best):
            break
        uses = _fitting(counter, cuts)
        if uses and (not best or _cost(uses) < _cost(best)):
            best = uses
    if not best:
        raise CapacityError(_why_not(counter))
    return best


def _candidates(shape: Box, target: Target) -> list[Box]:
    """Numbers of parts along each axis, fewest tiles first, whose largest tile has not too many neurons."""
    channels, height, width = ({-(-size // part) for part in range(1, size + 1)} for size in shape)
    small = [
        (c, h, w)
        for c, h, w in product(channels, height, width)
        if -(-shape[0] // c) * -(-shape[1] // h) * -(-shape[2] // w) <= target.neurons_per_core
    ]
    return sorted(small, key=lambda cuts: (cuts[0] * cuts[1] * cuts[2], cuts))


def _tiles(layer: IntLayer, cuts: Box) -> Iterator[Tile]:
    runs = [
        [(i * size // parts, (i + 1) * size // parts) for i in range(parts)]
        for size, parts in zip(volume(layer.shape), cuts, strict=True)
    ]
    for (c0, c1), (y0, y1), (x0, x1) in product(*runs):
        yield Tile(layer.name, (c0, y0, x0), (c1, y1, x1))


def _fitting(counter: "_Counter", cuts: Box) -> tuple[TileUse, ...]:
    """The uses of all tiles, or nothing if one does not fit."""
    uses = []
    for tile in _tiles(counter.layer, cuts):
        use = counter.use(tile)
        if exceeded((use,), counter.target):
            return ()
        uses.append(use)
    return tuple(uses)


@dataclass(frozen=True, eq=False)
class _Counter:
    """Counts what tiles of one layer take; `known` keeps it of tiles that differ by their place in the plane only."""

    layer: IntLayer
    bundles: tuple[Bundle, ...]
    readers: Readers
    target: Target
    known: dict[object, SynapseUse]

    def use(self, tile: Tile) -> TileUse:
        fields = tuple(
            receptive_field(each.connection, each.connection.synapse, tile).key
            for each in self.bundles
            if isinstance(each.connection.synapse, IntConv)
        )
        key = (tile.start[0], tile.stop[0], tile.stop[1] - tile.start[1], tile.stop[2] - tile.start[2], fields)
        if key not in self.known:
            self.known[key] = cheapest_use(self.bundles, tile, self.layer.weight_bits, self.target)
        use = self.known[key]
        return TileUse(
            tile=tile,
            input_axons=use.input_axons,
            output_axons=output_axons(tile, self.readers, self.target),
            synapses=use.synapses,
            synapse_bits=use.synapse_bits,
            encodings=use.encodings,
            idle_neurons=use.idle_neurons,
            synapse_formats=use.synapse_formats,
        )


def _cost(uses: Sequence[TileUse]) -> tuple[int, int]:
    return sum(use.synapse_bits for use in uses), sum(use.input_axons + use.output_axons for use in uses)


def _why_not(counter: _Counter) -> str:
    """The sentence for a layer of which a single neuron exceeds a core."""
    layer, target = counter.layer, counter.target
    reasons = (exceeded((counter.use(tile),), target) for tile in _tiles(layer, volume(layer.shape)))
    name, needed, limit = next(reason for reason in reasons if reason)
    remedy = {
        "input axons": "prune the layer or pool before it",
        "output axons": "prune the layers that read it, so that they take fewer cores",
        "bits of synapse memory": "prune the layer",
        "synapse formats": "let it read fewer layers",
    }[name]
    verb = "reads" if name == "input axons" else "needs"
    return (
        f"layer {layer.name}: one neuron {verb} {needed} {name}, a core of {target.name} has {limit}: "
        f"{remedy}, or choose a target with larger cores"
    )
