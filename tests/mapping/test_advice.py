"""Advice is followed: what it promises is what the mapper finds of the narrower program."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from own_objects import NeuronsOnly
from programs import conv, dense, joined, program_of

from neuroprune.chips.load import load_chip
from neuroprune.mapping.advice import MOST_ADVICE, Change, changes_that_fit, changes_that_save
from neuroprune.mapping.map import map_program
from neuroprune.program.narrow import coupled_layers, narrowed
from neuroprune.program.timing import balance
from neuroprune.program.types import IntProgram

CHIP = load_chip("loihi-sim")


def weights(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(1, 127, shape) * 2


def plain(first: int = 40, second: int = 70) -> IntProgram:
    """Two convolutions on 14 x 14 pixels, the second of which has half the rows and columns."""
    return program_of(
        conv("conv1", "input", (1, 14, 14), weights(first, 1, 3, 3), padding=(1, 1)),
        conv("conv2", "conv1", (first, 14, 14), weights(second, first, 3, 3), stride=(2, 2), padding=(1, 1)),
        dense("out", "conv2", (second, 7, 7), weights(10, second * 49)),
    )


def residual() -> IntProgram:
    first, second, _ = plain(40, 70).layers
    inner = conv("inner", "conv2", (70, 7, 7), weights(90, 70, 3, 3), padding=(1, 1))
    end = conv("end", "inner", (90, 7, 7), weights(70, 90, 3, 3), padding=(1, 1))
    end = joined(end, conv("end", "conv2", (70, 7, 7), weights(70, 1, 1, 1), groups=70))
    return program_of(first, second, inner, end, dense("out", "end", (70, 7, 7), weights(10, 70 * 49)))


def advised(program: IntProgram, chip: Any = CHIP) -> tuple[IntProgram, tuple[Change, ...]]:
    program = balance(program, chip.synaptic_delay_max)
    return program, changes_that_save(program, map_program(program, chip, effort="layers").cores, chip, "layers")


def followed(program: IntProgram, change: Change, chip: Any = CHIP) -> int:
    stays = np.arange(change.layers.channels) < change.layers.channels - change.removed
    return len(map_program(narrowed(program, dict.fromkeys(change.layers.layers, stays)), chip, effort="layers").cores)


@pytest.mark.parametrize("made", [plain, residual])
@pytest.mark.parametrize("target", ["loihi-sim", "loihi-sim-relay"])
def test_who_follows_the_advice_gets_the_cores_it_promises(made: Any, target: str) -> None:
    chip = load_chip(target)
    program, changes = advised(made(), chip)
    before = len(map_program(program, chip, effort="layers").cores)
    assert 1 <= len(changes) <= MOST_ADVICE
    for change in changes:
        assert change.before == before
        assert followed(program, change, chip) == change.after < before
    assert list(changes) == sorted(changes, key=lambda change: -change.merit)


def test_one_channel_fewer_than_advised_does_not_save_as_much() -> None:
    program, changes = advised(plain())
    for change in changes:
        if change.removed > 1:
            assert followed(program, replace(change, removed=change.removed - 1)) > change.after


def test_a_network_that_is_built_narrower_takes_the_cores_that_were_promised() -> None:
    _, changes = advised(plain())
    change = next(each for each in changes if each.layers.layers == ("conv2",))
    assert len(map_program(plain(second=70 - change.removed), CHIP, effort="layers").cores) == change.after


def test_layers_of_a_stream_are_advised_as_one() -> None:
    program = balance(residual(), CHIP.synaptic_delay_max)
    assert [each.layers for each in coupled_layers(program)] == [("conv1",), ("conv2", "end"), ("inner",)]


def test_what_fits_one_core_needs_no_advice() -> None:
    assert advised(program_of(dense("out", "input", (4,), weights(3, 4))))[1] == ()


def test_the_same_program_gets_the_same_advice() -> None:
    assert advised(plain())[1] == advised(plain())[1]


def test_a_chip_of_another_family_is_advised_too() -> None:
    chip = replace(CHIP, name="toy", core=NeuronsOnly(100))
    program = program_of(dense("a", "input", (4,), weights(101, 4)), dense("out", "a", (101,), weights(100, 101)))
    program, (change,) = advised(program, chip)
    assert (change.layers.layers, change.removed, change.resource, change.before, change.after) == (
        ("a",), 1, "neurons", 3, 2
    )  # fmt: skip


def too_wide(channels: int = 60, features: int = 3) -> IntProgram:
    """The outputs read more neurons than a core has input axons."""
    return program_of(
        conv("conv", "input", (1, 10, 10), weights(channels, 1, 3, 3), padding=(1, 1)),
        dense("middle", "conv", (channels, 10, 10), weights(features, channels * 100)),
        dense("out", "middle", (features,), weights(2, features)),
    )


def test_what_does_not_fit_is_told_the_fewest_channels_that_let_it() -> None:
    chip = replace(CHIP, core=replace(CHIP.core, input_axons_per_core=95))
    program = program_of(
        dense("a", "input", (10,), weights(100, 10)),
        dense("b", "a", (100,), weights(20, 100)),
        dense("out", "b", (20,), weights(3, 20)),
    )
    (change,) = changes_that_fit(program, chip, "layers")
    assert (change.layers.layers, change.removed, change.before, change.resource) == (("a",), 5, None, None)
    assert followed(program, change, chip) == change.after
    hopeless = replace(CHIP, core=replace(CHIP.core, input_axons_per_core=9))
    assert changes_that_fit(program, hopeless, "layers") == ()
