"""Putting cores along the mesh."""

import numpy as np

from neuroprune.chips.chip import Chip
from neuroprune.mapping.mesh import Mesh
from neuroprune.mapping.search import search_places
from neuroprune.mapping.traffic import Traffic, cores_of, messages
from neuroprune.mapping.types import ChipMapping, Core, Packing


def place(packing: Packing, chip: Chip, traffic: Traffic | None = None) -> ChipMapping:
    """Cores one after the other along a curve that fills the mesh, so that neighbours in the pipeline are near each
    other; the next chip follows when one is full.

    traffic: of the same tiles. With it cores change places, on the same chips, until their messages take as few hops as
    a search finds; deterministic.
    """
    mesh = Mesh(chip, -(-len(packing.cores) // chip.cores_per_chip))
    numbers = np.arange(len(packing.cores))
    if traffic is not None:
        between = messages(traffic, cores_of(packing, traffic)).matrix(len(packing.cores))
        numbers = search_places(between, mesh)
    places = mesh.places[numbers].tolist()
    cores = tuple(Core(tiles, on, x, y) for tiles, (on, x, y) in zip(packing.cores, places, strict=True))
    return ChipMapping(chip=chip.name, cores=cores, chips=mesh.chips)
