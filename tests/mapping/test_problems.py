"""The published mapping problems: files that say what they hold, and best results that are possible and can be had."""

import numpy as np
import pytest
from mapping_problems import (
    Conv,
    Dense,
    problem_names,
    program_of,
    read_best,
    read_problem,
    weights,
)

from neuroprune.chips.load import load_chip
from neuroprune.mapping.bounds import least_cores
from neuroprune.mapping.count import Counting
from neuroprune.mapping.pack import pack
from neuroprune.mapping.place import place
from neuroprune.mapping.split import cut_tiles
from neuroprune.mapping.verify import verify_mapping
from neuroprune.program.verify import verify_program

NAMES = problem_names()
CHIP = load_chip("loihi-sim")
LARGE = {"vgg16", "vgg16-4bit", "vgg16-sparse", "vgg16-slim", "resnet19", "resnet19-preact", "dense-large"}
"""Whose tiles take long to count again; so do those of MobileNets."""
SMALL = [name for name in NAMES if name not in LARGE and not name.startswith("mobilenet")]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_a_program_of_the_neurons_that_it_states_and_its_best_result_keeps_the_bound(name: str) -> None:
    problem = read_problem(name)
    program = program_of(problem)
    verify_program(program, CHIP.rules)
    assert problem.name == name
    assert sum(int(np.prod(layer.shape)) for layer in program.layers) == problem.neurons
    best = read_best().results[name]
    assert best.bound == least_cores(program, CHIP) <= best.cores


@pytest.mark.parametrize("name", SMALL)
def test_the_cuts_of_a_best_result_fill_the_cores_that_it_states(name: str) -> None:
    program, best = program_of(read_problem(name)), read_best().results[name]
    cuts = zip(program.layers, best.cuts, strict=True)
    tiles = Counting(program, CHIP).count({layer.name: tuple(cut_tiles(layer, cut)) for layer, cut in cuts})
    packing = pack([each for layer in program.layers for each in tiles[layer.name]], CHIP.core.resources)
    verify_mapping(place(packing, CHIP), program, CHIP)
    assert len(packing.cores) == best.cores


def test_there_is_a_best_result_for_each_problem_and_for_no_other() -> None:
    best = read_best()
    assert sorted(best.results) == NAMES and best.chip == CHIP.name


def test_weights_are_as_dense_as_stated_of_their_bits_and_repeated_as_pools_repeat_them() -> None:
    pooled = Dense(source="input", delay=0, seed=3, density=0.25, repeat=(2, 4))
    drawn = weights(pooled, 4, (50, 8, 4, 8))
    np.testing.assert_array_equal(drawn, drawn[:, :, ::2, ::4].repeat(2, axis=2).repeat(4, axis=3))
    assert set(np.unique(drawn)) == set(range(-7 * 32, 8 * 32, 32))
    assert np.count_nonzero(drawn) / drawn.size == pytest.approx(0.25, abs=0.05)


def test_equal_seeds_are_equal_weights_and_full_density_has_no_zeros() -> None:
    conv = Conv(
        source="a", delay=0, seed=1, density=1, repeat=(1, 1), kernel=(3, 3), stride=(1, 1), padding=(1, 1),
        dilation=(1, 1), groups=1,
    )  # fmt: skip
    first, again = (weights(conv.model_copy(update={"source": name}), 8, (16, 4, 3, 3)) for name in ("a", "b"))
    np.testing.assert_array_equal(first, again)
    assert first.all() and np.abs(first).max() <= 254
    assert (weights(conv.model_copy(update={"seed": 2}), 8, (16, 4, 3, 3)) != first).any()
