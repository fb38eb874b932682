"""Where cores lie: curves that fill the mesh, and a search that never does worse."""

from dataclasses import replace
from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.sparse import csr_array
from synapse_oracle import LOIHI, chain, layer_of, resized

from neuroprune.mapping.curves import hilbert_curve
from neuroprune.mapping.map import map_program, pack_program
from neuroprune.mapping.mesh import Mesh
from neuroprune.mapping.place import place
from neuroprune.mapping.search import search_places
from neuroprune.mapping.traffic import Numbers, cores_of, measure_traffic, messages
from neuroprune.mapping.verify import verify_mapping
from neuroprune.program.types import IntDense


@given(st.integers(1, 40), st.integers(1, 40), st.booleans())
def test_the_curve_visits_every_place_once_and_goes_to_neighbours(columns: int, rows: int, upwards: bool) -> None:
    curve = hilbert_curve(columns, rows, upwards=upwards)
    assert sorted(curve) == sorted((x, y) for x in range(columns) for y in range(rows))
    steps = [max(abs(x1 - x), abs(y1 - y)) for (x, y), (x1, y1) in pairwise(curve)]
    assert set(steps) <= {1}
    diagonal = sum(abs(x1 - x) + abs(y1 - y) == 2 for (x, y), (x1, y1) in pairwise(curve))
    assert diagonal <= (columns % 2 or rows % 2)


def test_the_curve_of_a_square_is_hilberts() -> None:
    """The second step of the construction in Hilbert's paper of 1891."""
    assert hilbert_curve(4, 4, upwards=False) == [
        *((0, 0), (1, 0), (1, 1), (0, 1), (0, 2), (0, 3), (1, 3), (1, 2)),
        *((2, 2), (2, 3), (3, 3), (3, 2), (3, 1), (2, 1), (2, 0), (3, 0)),
    ]


@pytest.mark.parametrize("shape", [(16, 8), (8, 16)])
def test_chips_follow_each_other_along_the_curve(shape: tuple[int, int]) -> None:
    mesh = Mesh(replace(LOIHI, mesh=shape), 3)
    at = mesh.position(mesh.places)
    assert (np.abs(np.diff(at, axis=1)).sum(axis=0) == 1).all()
    assert (np.diff(mesh.places[:, 0]) >= 0).all()
    assert mesh.shape == (16, 24) if shape == (16, 8) else (24, 16)


def cost(between: csr_array, mesh: Mesh, at: Numbers) -> int:
    """All messages times hops."""
    total = 0
    for a, b in zip(*between.nonzero(), strict=True):
        total += int(between[a, b]) * int(mesh.hops(mesh.places[at[a]], mesh.places[at[b]]))
    return total


def random_messages(rng: np.random.Generator, cores: int) -> csr_array:
    return csr_array(rng.integers(0, 50, (cores, cores)) * (rng.random((cores, cores)) < 0.3))


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(0, 10**6))
def test_the_search_is_no_worse_than_the_curve(columns: int, rows: int, chips: int, seed: int) -> None:
    mesh = Mesh(replace(LOIHI, mesh=(columns, rows), cores_per_chip=columns * rows), chips)
    rng = np.random.default_rng(seed)
    cores = int(rng.integers(1, len(mesh.places) + 1))
    between = random_messages(rng, cores)
    at = search_places(between, mesh)
    assert len(set(at.tolist())) == cores
    assert cost(between, mesh, at) <= cost(between, mesh, np.arange(cores))
    assert (search_places(between, mesh) == at).all()


def test_the_search_finds_the_best_of_all_places_on_a_small_mesh() -> None:
    mesh = Mesh(replace(LOIHI, mesh=(3, 2), cores_per_chip=6), 1)
    for seed in range(2):
        between = random_messages(np.random.default_rng(seed), 5)
        best = min(cost(between, mesh, np.array(at)) for at in permutations(range(6), 5))
        assert cost(between, mesh, search_places(between, mesh)) == best


def test_measured_spikes_place_cores_that_talk_next_to_each_other() -> None:
    """Eight layers in a chain, a core each, of which the first wakes the last: it ends beside it."""
    one = IntDense(np.full((4, 4), 2, np.int16))
    names = "abcdefgh"
    layers = [layer_of(one, (4,), (4,), name, source) for name, source in zip(names, ("input", *names), strict=False)]
    last = replace(layers[-1], connections=(*layers[-1].connections, replace(layers[1].connections[0], delay=0)))
    program = chain(*layers[:-1], last)
    chip = resized(replace(LOIHI, mesh=(8, 1), cores_per_chip=8), neurons_per_core=4)
    packing = pack_program(program, chip)
    spikes = {name: np.full(4, 9 if name == "a" else 0) for name in names}
    traffic = measure_traffic(program, packing, spikes, chip)
    mapping = place(packing, chip, traffic)
    verify_mapping(mapping, program, chip)
    x = {core.tiles[0].tile.layer: core.x for core in mapping.cores}
    assert {abs(x["a"] - x["b"]), abs(x["a"] - x["h"])} == {1}
    assert messages(traffic, cores_of(packing, traffic)).spikes.sum() == 4 * 9 * 2
    assert map_program(program, chip) == place(packing, chip)
    assert [core.x for core in map_program(program, chip).cores] == list(range(8))
