"""Cuts for few hops at a price of cores, against every way to cut a small network."""

from itertools import product

import numpy as np
import pytest
from synapse_oracle import LOIHI, chain, layer_of, resized

from neuroprune.chips.types import volume
from neuroprune.mapping.quiet import quiet_cuts
from neuroprune.mapping.ways import Ways
from neuroprune.program.types import IntConv, IntLayer, IntProgram

CHIP = resized(LOIHI, neurons_per_core=64)


def conv(channels: int, in_channels: int, size: int, name: str, source: str) -> IntLayer:
    weight = np.random.default_rng(0).integers(1, 100, (channels, in_channels, 3, 3)).astype(np.int16) * 2
    synapse = IntConv(weight, (1, 1), (1, 1), (1, 1), 1)
    return layer_of(synapse, (in_channels, size, size), (channels, size, size), name, source)


def every_way(ways: Ways, program: IntProgram, most: int) -> float:
    """The fewest hops that any cuts of the layers have whose tiles fill `most` cores or fewer."""
    parts = [
        list(product(*(sorted({-(-size // part) for part in range(1, size + 1)}) for size in volume(layer.shape))))
        for layer in program.layers
    ]
    weighed = (ways.weigh(cuts) for cuts in product(*parts))
    return min(each.hops for each in weighed if each and each.cores <= most)


@pytest.mark.parametrize("most", [8, 10, 16])
def test_few_hops_are_nearly_the_fewest_that_any_way_has(most: int) -> None:
    program = chain(conv(4, 2, 8, "first", "input"), conv(4, 4, 8, "second", "first"))
    spikes = {"first": np.ones((4, 8, 8), np.int64), "second": np.ones((4, 8, 8), np.int64)}
    ways = Ways(program, CHIP, spikes)
    found = quiet_cuts(ways, program.layers, most)
    assert found is not None
    assert found.weighed == ways.weigh(found.cuts)
    assert found.weighed.cores <= most
    assert found.weighed.hops <= 1.1 * every_way(ways, program, most)
    assert quiet_cuts(ways, program.layers, most) == found


def test_more_cores_never_mean_more_hops() -> None:
    program = chain(conv(8, 2, 8, "a", "input"), conv(8, 8, 8, "b", "a"), conv(8, 8, 8, "c", "b"))
    spikes = {name: np.ones((8, 8, 8), np.int64) for name in "abc"}
    ways = Ways(program, CHIP, spikes)
    hops = [found.weighed.hops for most in (24, 28, 36, 64) if (found := quiet_cuts(ways, program.layers, most))]
    assert len(hops) >= 3
    assert hops == sorted(hops, reverse=True)


def test_progress_is_told_of_every_layer() -> None:
    program = chain(conv(4, 2, 8, "first", "input"), conv(4, 4, 8, "second", "first"))
    told: list[tuple[str, int, int]] = []
    ways = Ways(program, CHIP, {"first": np.ones((4, 8, 8), np.int64)})
    quiet_cuts(ways, program.layers, 8, lambda task, done, total, **_: told.append((task, done, total)))
    assert told == [("ways to cut", 1, 2), ("ways to cut", 2, 2)]


def test_no_cuts_are_found_for_fewer_cores_than_neurons_fill() -> None:
    program = chain(conv(4, 2, 8, "first", "input"))
    ways = Ways(program, CHIP, {"first": np.ones((4, 8, 8), np.int64)})
    assert quiet_cuts(ways, program.layers, 3) is None
    assert quiet_cuts(ways, program.layers, 4) is not None
