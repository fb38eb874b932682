"""Equal tiles that change places: the same tiles, every core as full as before, no more hops."""

from collections import Counter

import numpy as np
from hypothesis import given, settings, strategies as st
from synapse_oracle import LOIHI, branched_programs, resized

from neuroprune.chips.types import Tile, TileResources
from neuroprune.mapping.exchange import exchange
from neuroprune.mapping.map import pack_program
from neuroprune.mapping.mesh import Mesh
from neuroprune.mapping.place import place
from neuroprune.mapping.search import search_places
from neuroprune.mapping.traffic import Traffic, cores_of, measure_traffic, messages
from neuroprune.mapping.types import Packing
from neuroprune.mapping.verify import verify_mapping
from neuroprune.program.types import IntProgram


def hops(packing: Packing, traffic: Traffic) -> int:
    """All messages times hops where the search lays cores."""
    sent = messages(traffic, cores_of(packing, traffic))
    mesh = Mesh(LOIHI, -(-len(packing.cores) // LOIHI.cores_per_chip))
    places = mesh.places[search_places(sent.matrix(len(packing.cores)), mesh)]
    return int((mesh.hops(places[sent.source], places[sent.target]) * sent.spikes).sum())


def tile(layer: str, number: int, neurons: int) -> TileResources:
    return TileResources(Tile(layer, (number, 0, 0), (number + 1, 1, 1)), (neurons, 0, 0, 0, 1), 0)


def pairs(order: list[int], neurons: list[int]) -> tuple[Packing, Traffic]:
    """Tile i of one layer sends to tile i of the next, and shares a core with tile order[i] of that."""
    count = len(order)
    first = [tile("first", number, neurons[number]) for number in range(count)]
    second = [tile("second", number, 5) for number in range(count)]
    packing = Packing(tuple((first[number], second[other]) for number, other in enumerate(order)))
    everything = np.arange(count)
    traffic = Traffic(
        tiles=tuple(each.tile for each in (*first, *second)),
        once_a_core=False,
        source=everything,
        spikes=np.full(count, 100),
        net=everything,
        tile=count + everything,
        times=np.ones(count, np.int64),
    )
    return packing, traffic


def test_tiles_find_those_that_they_send_to() -> None:
    packing, traffic = pairs([3, 0, 7, 1, 6, 2, 5, 4], [9] * 8)
    assert hops(packing, traffic) > 0
    found = exchange(packing, traffic, LOIHI)
    assert hops(found, traffic) == 0
    assert exchange(packing, traffic, LOIHI) == found


def test_only_tiles_that_take_the_same_change_places() -> None:
    packing, traffic = pairs([1, 0, 3, 2], [9, 8, 7, 6])
    found = exchange(packing, traffic, LOIHI)
    assert [core[0] for core in found.cores] == [core[0] for core in packing.cores]  # of the first no two are alike
    assert hops(found, traffic) == 0  # those of the second are


@settings(max_examples=25, deadline=None)
@given(branched_programs(), st.integers(2, 12), st.integers(0, 1000))
def test_every_core_stays_as_full_and_hops_do_not_grow(program: IntProgram, neurons: int, seed: int) -> None:
    chip = resized(LOIHI, neurons_per_core=neurons)
    packing = pack_program(program, chip, "layers")
    rng = np.random.default_rng(seed)
    spikes = {layer.name: rng.integers(0, 9, layer.shape) for layer in program.layers}
    traffic = measure_traffic(program, packing, spikes, chip)
    found = exchange(packing, traffic, chip)

    def filled(packing: Packing) -> Counter[tuple[int, ...]]:
        return Counter(tuple(map(sum, zip(*(use.used for use in core), strict=True))) for core in packing.cores)

    assert filled(found) == filled(packing)
    layers = [[sorted(use.tile.layer for use in core) for core in each.cores] for each in (packing, found)]
    assert layers[0] == layers[1]
    verify_mapping(place(found, chip), program, chip)
    assert hops(found, traffic) <= hops(packing, traffic)
