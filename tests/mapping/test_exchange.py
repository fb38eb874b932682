"""Tiles and cores that are placed together: the same tiles, no core over its limits, no more hops."""

from collections import Counter
from dataclasses import replace

import numpy as np
from hypothesis import given, settings, strategies as st
from synapse_oracle import LOIHI, branched_programs, resized

from neuroprune.chips.types import Tile, TileResources
from neuroprune.mapping.exchange import exchange
from neuroprune.mapping.map import pack_program
from neuroprune.mapping.mesh import Mesh
from neuroprune.mapping.place import place
from neuroprune.mapping.traffic import Traffic, measure_traffic, messages
from neuroprune.mapping.types import ChipMapping, Packing
from neuroprune.mapping.verify import verify_mapping
from neuroprune.program.types import IntProgram


def hops(mapping: ChipMapping, traffic: Traffic) -> int:
    """All messages times hops."""
    core_of = {use.tile: number for number, core in enumerate(mapping.cores) for use in core.tiles}
    places = np.array([(core.chip, core.x, core.y) for core in mapping.cores])
    sent = messages(traffic, np.array([core_of[tile] for tile in traffic.tiles]))
    mesh = Mesh(LOIHI, mapping.chips)
    return sum(
        int(mesh.hops(places[source], places[target])) * int(spikes)
        for source, target, spikes in zip(*sent, strict=True)
    )


def tile(layer: str, number: int, neurons: int) -> TileResources:
    return TileResources(Tile(layer, (number, 0, 0), (number + 1, 1, 1)), (neurons, 0, 0, 0, 1), 0)


def pairs(order: list[int], neurons: list[int]) -> tuple[Packing, Traffic]:
    """Tile i of one layer sends to tile i of the next, and shares a core with tile order[i] of that."""
    count = len(order)
    first = [tile("first", number, neurons[number]) for number in range(count)]
    second = [tile("second", number, 600) for number in range(count)]
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
    packing, traffic = pairs([3, 0, 7, 1, 6, 2, 5, 4], [400] * 8)
    assert hops(place(packing, LOIHI, traffic), traffic) > 0
    found = exchange(packing, traffic, LOIHI)
    assert hops(found, traffic) == 0
    assert exchange(packing, traffic, LOIHI) == found


def test_tiles_that_take_unlike_amounts_find_each_other_by_those_that_take_the_same() -> None:
    packing, traffic = pairs([1, 0, 3, 2], [390, 380, 370, 360])
    assert (
        hops(exchange(packing, traffic, LOIHI), traffic) == 0
    )  # of the first no two are alike, those of the second are


def test_tiles_go_to_a_core_that_has_room_for_them_and_one_that_is_left_is_none() -> None:
    """The first sends to the second, which lies on a core of its own with room for both."""
    sender, reader, other = tile("first", 0, 100), tile("second", 0, 600), tile("third", 0, 900)
    packing = Packing(((sender, other), (reader,)))
    one = np.array([1])
    traffic = Traffic((sender.tile, reader.tile, other.tile), False, one * 0, one * 9, one * 0, one, one)
    found = exchange(packing, traffic, LOIHI)
    assert sorted(sorted(use.tile.layer for use in core.tiles) for core in found.cores) == [
        ["first", "second"],
        ["third"],
    ]
    alone = exchange(Packing(((sender,), (reader,))), replace(traffic, tiles=(sender.tile, reader.tile)), LOIHI)
    assert [len(core.tiles) for core in alone.cores] == [2]


@settings(max_examples=25, deadline=None)
@given(branched_programs(), st.integers(2, 12), st.integers(0, 1000))
def test_every_tile_stays_within_limits_and_hops_do_not_grow(program: IntProgram, neurons: int, seed: int) -> None:
    chip = resized(LOIHI, neurons_per_core=neurons)
    packing = pack_program(program, chip, "layers")
    rng = np.random.default_rng(seed)
    spikes = {layer.name: rng.integers(0, 9, layer.shape) for layer in program.layers}
    traffic = measure_traffic(program, packing, spikes, chip)
    found = exchange(packing, traffic, chip)
    verify_mapping(found, program, chip)
    assert Counter(use for core in found.cores for use in core.tiles) == Counter(
        use for core in packing.cores for use in core
    )
    assert len(found.cores) <= len(packing.cores)
    assert hops(found, traffic) <= hops(place(packing, chip, traffic), traffic)
