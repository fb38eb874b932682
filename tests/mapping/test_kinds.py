"""Cores filled with kinds of tiles: all of them, within the limits, and not many more cores than there must be."""

from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from neuroprune.mapping.kinds import Kinds, cores_filled, fill, kinds_of

Tiles = list[tuple[int, ...]]


@st.composite
def tiles_and_limits(draw: st.DrawFn, most_resources: int = 3, most_tiles: int = 7) -> tuple[Tiles, np.ndarray]:
    """Some tiles, each of which fits a core; amounts are small, so that many are equal, and may be 0."""
    resources = draw(st.integers(1, most_resources))
    limits = draw(st.lists(st.integers(1, 9), min_size=resources, max_size=resources))
    tile = st.tuples(*(st.integers(0, limit) for limit in limits))
    return draw(st.lists(tile, min_size=1, max_size=most_tiles)), np.array(limits)


def fewest_cores_for(tiles: Tiles, limits: np.ndarray) -> int:
    """By trying each tile on each core and on a new one."""

    def least(left: Tiles, cores: list[np.ndarray], best: int) -> int:
        if len(cores) >= best or not left:
            return min(best, len(cores))
        tile = np.array(left[0])
        for number, core in enumerate(cores):
            if (core + tile <= limits).all():
                best = least(left[1:], [*cores[:number], core + tile, *cores[number + 1 :]], best)
        return least(left[1:], [*cores, tile], best)

    return least(sorted(tiles, reverse=True), [], len(tiles))


@settings(max_examples=300)
@given(tiles_and_limits(most_resources=5, most_tiles=30))
def test_every_tile_is_on_a_core_and_none_takes_more_than_there_is(case: tuple[Tiles, np.ndarray]) -> None:
    tiles, limits = case
    kinds = kinds_of(tiles)
    filled = fill(kinds, limits)
    assert sum(each.times * each.of_kinds for each in filled).tolist() == kinds.counts.tolist()
    assert all((each.of_kinds @ kinds.used <= limits).all() for each in filled)
    assert all(each.times > 0 and each.of_kinds.any() for each in filled)


@settings(max_examples=200)
@given(tiles_and_limits())
def test_no_core_is_left_for_which_a_later_tile_would_fit(case: tuple[Tiles, np.ndarray]) -> None:
    """So no two cores can be put together, and there are at most (resources + 1) times as many as there must be.

    Kou and Markowsky, "Multidimensional bin packing algorithms", IBM Journal of Research and Development 21, 1977.
    """
    tiles, limits = case
    kinds = kinds_of(tiles)
    cores = [each.of_kinds for each in fill(kinds, limits) for _ in range(each.times)]
    for number, core in enumerate(cores):
        room = limits - core @ kinds.used
        for later in cores[number + 1 :]:
            assert not any((kinds.used[kind] <= room).all() for kind in np.flatnonzero(later))
    assert fewest_cores_for(tiles, limits) <= len(cores) <= (limits.size + 1) * fewest_cores_for(tiles, limits)


@settings(max_examples=200)
@given(st.lists(st.integers(1, 20), min_size=1, max_size=9))
def test_of_one_resource_the_cores_are_those_of_first_fit_decreasing(amounts: list[int]) -> None:
    """At most 11/9 of the fewest and 6/9 (Dosa, "The tight bound of first fit decreasing bin-packing", 2007)."""
    tiles, limits = [(amount,) for amount in amounts], np.array([20])
    room: list[int] = []
    for amount in sorted(amounts, reverse=True):
        number = next((number for number, free in enumerate(room) if free >= amount), len(room))
        room[number:] = [[*room, 20][number] - amount, *room[number + 1 :]]
    cores = cores_filled([kinds_of(tiles)], limits)
    assert cores == len(room)
    assert cores <= (11 * fewest_cores_for(tiles, limits) + 6) / 9


def test_tiles_that_ask_for_different_things_share_cores() -> None:
    """Each core holds one that is short of neurons and one that is short of memory, though like would fit like."""
    kinds = Kinds(np.array([[9, 1], [1, 9]]), np.array([700, 700]))
    (only,) = fill(kinds, np.array([10, 10]))
    assert (only.of_kinds.tolist(), only.times) == ([1, 1], 700)


def test_it_does_not_matter_which_layers_tiles_are_of() -> None:
    """What a search counts by layers is what is packed at last, though many tiles are equally good for a core."""
    rng = np.random.default_rng(1)
    for _ in range(400):
        limits = rng.integers(2, 10, rng.integers(1, 5))
        kinds = rng.integers(0, np.minimum(limits, 4) + 1, (20, limits.size))
        tiles, layers = kinds[rng.integers(0, 20, 60)], int(rng.integers(1, 6))
        apart = [kinds_of(tiles[number::layers]) for number in range(layers)]
        assert cores_filled(apart, limits) == cores_filled([kinds_of(tiles)], limits)


@pytest.mark.parametrize("count", [1, 5])
def test_tiles_that_take_nothing_fit_one_core(count: int) -> None:
    assert cores_filled([kinds_of([(0, 0)] * count)], np.array([3, 3])) == 1


def test_many_tiles_of_few_kinds_are_filled_at_once() -> None:
    kinds = Kinds(np.array([[3, 1], [2, 5]]), np.array([100_000, 100_001]))
    filled = fill(kinds, np.array([10, 10]))
    assert len(filled) < 10
    assert sum(each.times for each in filled) >= ceil((100_000 * 1 + 100_001 * 5) / 10)
