"""Cutting a layer into tiles: the fewest boxes of neurons of which each fits a core."""

from collections.abc import Iterator, Sequence
from itertools import product

from neuroprune.chips.chip import Chip
from neuroprune.chips.types import Box, Resource, Tile, TileCounter, TileResources, volume
from neuroprune.errors import CapacityError
from neuroprune.mapping.limits import exceeded
from neuroprune.program.types import IntLayer


def split_layer(layer: IntLayer, counter: TileCounter, chip: Chip) -> tuple[TileResources, ...]:
    """The tiles of `layer`, in C order, balanced along channels, height and width.

    counter: counts what tiles of the layer take.
    All ways to cut the three axes into parts of nearly equal size are tried, those of fewest tiles first; among
    equals the one of least cost to the chip's family wins. Every limit of a core holds for every tile.
    Raises CapacityError when not even single neurons fit.
    """
    resources = chip.core.resources
    best: tuple[TileResources, ...] = ()
    for cuts in _candidates(volume(layer.shape), chip.core.most_neurons):
        count = cuts[0] * cuts[1] * cuts[2]
        if best and count > len(best):
            break
        found = _fitting(cut_tiles(layer, cuts), counter, resources)
        if found and (not best or chip.core.cost(found) < chip.core.cost(best)):
            best = found
    if not best:
        raise CapacityError(_why_not(layer, counter, chip))
    return best


def _candidates(shape: Box, most_neurons: int) -> list[Box]:
    """Numbers of parts along each axis, fewest tiles first, whose largest tile has not too many neurons."""
    channels, height, width = ({-(-size // part) for part in range(1, size + 1)} for size in shape)
    small = [
        (c, h, w)
        for c, h, w in product(channels, height, width)
        if -(-shape[0] // c) * -(-shape[1] // h) * -(-shape[2] // w) <= most_neurons
    ]
    return sorted(small, key=lambda cuts: (cuts[0] * cuts[1] * cuts[2], cuts))


def cut_tiles(layer: IntLayer, cuts: Box) -> Iterator[Tile]:
    """The tiles of `layer`, in C order: so many parts of nearly equal size along channels, height and width."""
    parts = [
        [(i * size // count, (i + 1) * size // count) for i in range(count)]
        for size, count in zip(volume(layer.shape), cuts, strict=True)
    ]
    for (c0, c1), (y0, y1), (x0, x1) in product(*parts):
        yield Tile(layer.name, (c0, y0, x0), (c1, y1, x1))


def middle_tile(layer: IntLayer, cuts: Box) -> Tile:
    """The largest of `cut_tiles`, and of these the one in the middle."""
    ends = []
    for size, count in zip(volume(layer.shape), cuts, strict=True):
        parts = [(i * size // count, (i + 1) * size // count) for i in range(count)]
        ends.append(max(parts, key=lambda part: (part[1] - part[0], -abs(part[0] + part[1] - size))))
    (c0, c1), (y0, y1), (x0, x1) = ends
    return Tile(layer.name, (c0, y0, x0), (c1, y1, x1))


def _fitting(tiles: Iterator[Tile], counter: TileCounter, resources: Sequence[Resource]) -> tuple[TileResources, ...]:
    """What each of `tiles` takes, or nothing if one does not fit."""
    counted = []
    for tile in tiles:
        counted.append(counter(tile))
        if exceeded(counted[-1].used, resources):
            return ()
    return tuple(counted)


def _why_not(layer: IntLayer, counter: TileCounter, chip: Chip) -> str:
    """The sentence for a layer of which a single neuron exceeds a core."""
    single = cut_tiles(layer, volume(layer.shape))
    reasons = (exceeded(counter(tile).used, chip.core.resources) for tile in single)
    resource, needed = next(reason for reason in reasons if reason)
    return resource.exceeded_by(f"layer {layer.name}: one neuron", needed, chip.name)
