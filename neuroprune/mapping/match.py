"""Layers on unequal cores, each of which computes one: which core of the chip takes which layer."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from neuroprune.chips.chip import Chip
from neuroprune.chips.types import Resource, Tile, TileResources, volume
from neuroprune.errors import CapacityError, VerificationError
from neuroprune.mapping.count import Counting
from neuroprune.mapping.limits import exceeded
from neuroprune.mapping.types import ChipMapping, Core, Packing
from neuroprune.program.types import IntProgram
from neuroprune.readable import plural

Fits = npt.NDArray[np.bool_]
"""[layers, cores]: whether the core holds the layer."""


def match_layers(program: IntProgram, chip: Chip) -> Packing:
    """Each layer of `program` whole on a core that holds it: a maximum matching of layers and cores of one chip.

    Raises CapacityError where a layer fits no core, where there are more layers than cores, and where some layers fit
    fewer cores than they are.
    """
    tiles, cores = _whole_layers(program, chip), range(chip.cores_per_chip)
    if len(tiles) > len(cores):
        raise CapacityError(
            f"the network has {len(tiles)} layers, {chip.name} has {len(cores)} cores of one layer each: leave out "
            f"{len(tiles) - len(cores)} of them, or choose a target with more cores"
        )
    limits = [chip.core.resources_of(core) for core in cores]
    fits = np.array([[exceeded(each.used, limit) is None for limit in limits] for each in tiles])
    for tile, cores_that_hold in zip(tiles, fits, strict=True):
        if not cores_that_hold.any():
            raise CapacityError(_why_on_no_core(tile, limits, chip))
    numbers = maximum_bipartite_matching(csr_array(fits), perm_type="column")
    if (numbers < 0).any():
        raise CapacityError(_why_not_all(tiles, fits, numbers, chip))
    return Packing(tuple((each,) for each in tiles), tuple(map(int, numbers)))


def place_matched(packing: Packing, chip: Chip) -> ChipMapping:
    """Every core where the chip has it."""
    places = (divmod(number, chip.mesh[0]) for number in packing.numbers)
    cores = (Core(tiles, 0, x, y) for tiles, (y, x) in zip(packing.cores, places, strict=True))
    return ChipMapping(chip.name, tuple(cores), chips=1)


def verify_whole_layers(mapping: ChipMapping, program: IntProgram, chip: Chip) -> None:
    """Raise VerificationError unless each core holds one layer, whole."""
    shapes = {layer.name: volume(layer.shape) for layer in program.layers}
    for number, core in enumerate(mapping.cores):
        tile = core.tiles[0].tile
        if len(core.tiles) != 1 or (tile.start, tile.stop) != ((0, 0, 0), shapes[tile.layer]):
            raise VerificationError(
                f"core {number} holds {len(core.tiles)} tiles, {core.neurons} neurons together, and not a layer as a "
                f"core of {chip.name} must: map the network again"
            )


def _whole_layers(program: IntProgram, chip: Chip) -> list[TileResources]:
    """Every layer as one tile, in the order of the program."""
    whole = {layer.name: (Tile(layer.name, (0, 0, 0), volume(layer.shape)),) for layer in program.layers}
    counted = Counting(program, chip).count(whole)
    return [counted[layer.name][0] for layer in program.layers]


def _why_on_no_core(tile: TileResources, limits: Sequence[Sequence[Resource]], chip: Chip) -> str:
    """The sentence for a layer that fits no core: more than any has, or two things that no core has together."""
    layer = f"layer {tile.tile.layer}"
    largest = exceeded(tile.used, chip.core.resources)
    if largest:
        return largest.resource.exceeded_by(layer, largest.needed, chip.name)
    needs = range(len(tile.used))
    first, second, most = min(
        (
            (one, other, max(limit[other].limit for limit in limits if limit[one].limit >= tile.used[one]))
            for one in needs
            for other in needs
        ),
        key=lambda each: each[2] / tile.used[each[1]] if tile.used[each[1]] else np.inf,
    )
    scarce, wanted = chip.core.resources[first], chip.core.resources[second]
    return (
        f"{layer} needs {scarce.in_words(tile.used[first])} and {wanted.in_words(tile.used[second])}, a core of "
        f"{chip.name} with so much {scarce.name} has {wanted.in_words(most)} at most: {wanted.remedy}"
    )


def _why_not_all(tiles: Sequence[TileResources], fits: Fits, numbers: npt.NDArray[np.int32], chip: Chip) -> str:
    """The sentence for layers that fit fewer cores than they are: those that a layer without a core competes with."""
    rows = {int(np.flatnonzero(numbers < 0)[0])}
    while True:
        cores = set(np.flatnonzero(fits[sorted(rows)].any(axis=0)).tolist())
        more = rows | {row for row, core in enumerate(numbers) if int(core) in cores}
        if more == rows:
            break
        rows = more
    names, numbered = ", ".join(tiles[row].tile.layer for row in sorted(rows)), ", ".join(map(str, sorted(cores)))
    return (
        f"layers {names} are {len(rows)} and fit {plural(len(cores), 'core')} of {chip.name} alone ({numbered}), which "
        "hold a layer each: prune one until it fits another core, or leave one out"
    )
