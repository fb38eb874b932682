"""Layers on unequal cores: one each, where it fits, and refusals that name what is too large for which core."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from synapse_oracle import chain, layer_of

from neuroprune.chips.load import load_chip
from neuroprune.errors import CapacityError, VerificationError
from neuroprune.mapping.limits import exceeded
from neuroprune.mapping.map import map_program
from neuroprune.mapping.types import ChipMapping
from neuroprune.mapping.verify import verify_mapping
from neuroprune.program.types import IntConv, IntDense, IntLayer, IntProgram

SPECK = load_chip("speck")
SMALL = replace(
    SPECK,
    name="small",
    cores_per_chip=4,
    mesh=(4, 1),
    core=replace(SPECK.core, kernel_words_per_core=(8, 16, 32, 64), neuron_words_per_core=(64, 32, 16, 8)),  # type: ignore[call-arg]
)
"""Cores whose kernel memory doubles as their neuron memory halves."""


def plane(name: str, source: str, channels: tuple[int, int], size: int) -> IntLayer:
    """A 1x1 convolution from so many channels to so many: their product in kernel words, channels x size^2 neurons."""
    inputs, outputs = channels
    weight = np.full((outputs, inputs, 1, 1), 2, np.int16)
    return layer_of(
        IntConv(weight, (1, 1), (0, 0), (1, 1), 1), (inputs, size, size), (outputs, size, size), name, source
    )


def dense(name: str, source: str, inputs: int, outputs: int) -> IntLayer:
    return layer_of(IntDense(np.full((outputs, inputs), 2, np.int16)), (inputs,), (outputs,), name, source)


def in_a_row(*widths: int) -> IntProgram:
    """Dense layers of so many neurons, of which the first reads one value."""
    names = ["input", *(chr(ord("a") + number) for number in range(len(widths)))]
    sizes = (1, *widths)
    return chain(*(dense(names[n + 1], names[n], sizes[n], sizes[n + 1]) for n in range(len(widths))))


def numbers(mapping: ChipMapping) -> list[int]:
    return [core.x for core in mapping.cores]


def test_each_layer_lies_whole_on_a_core_that_holds_it() -> None:
    program = in_a_row(4, 8, 8)  # 4, 32 and 64 words of kernels
    mapping = map_program(program, SMALL)
    assert [(len(core.tiles), core.tiles[0].tile.layer) for core in mapping.cores] == [(1, "a"), (1, "b"), (1, "c")]
    assert numbers(mapping)[1:] == [2, 3]
    for core in mapping.cores:
        assert exceeded(core.used, SMALL.resources_at(core.x, core.y)) is None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_a_mapping_is_found_exactly_where_some_order_of_cores_holds_the_layers(widths: list[int]) -> None:
    program = in_a_row(*widths)
    inputs = (1, *widths)

    def holds(core: int, layer: int) -> bool:
        kernel = inputs[layer] * 2 ** int(np.ceil(np.log2(widths[layer])))
        return kernel <= (8, 16, 32, 64)[core] and widths[layer] <= (64, 32, 16, 8)[core]

    some = any(
        all(holds(core, layer) for layer, core in enumerate(order)) for order in permutations(range(4), len(widths))
    )
    try:
        verify_mapping(map_program(program, SMALL), program, SMALL)
        found = True
    except CapacityError:
        found = False
    assert found == some


def test_a_program_maps_the_same_way_twice() -> None:
    assert map_program(in_a_row(4, 4, 4), SMALL) == map_program(in_a_row(4, 4, 4), SMALL)


def test_more_layers_than_cores() -> None:
    expected = (
        r"^the network has 6 layers, small has 4 cores of one layer each: leave out 2 of them, or choose a target with "
        r"more cores$"
    )
    with pytest.raises(CapacityError, match=expected) as refused:
        map_program(in_a_row(1, 1, 1, 1, 1, 1), SMALL)
    assert refused.value.exit_code == 3


def test_a_layer_that_needs_two_things_which_no_core_has_together() -> None:
    expected = (
        r"^layer a needs 32 words of kernel memory and 32 words of neuron memory, a core of small with so much kernel "
        r"memory has 16 words of neuron memory at most: prune its channels, or let its stride or a pool before it make "
        r"its map smaller$"
    )
    with pytest.raises(CapacityError, match=expected):
        map_program(chain(plane("a", "input", (4, 8), 2)), SMALL)


def test_layers_that_fit_fewer_cores_than_they_are() -> None:
    expected = (
        r"^layers b, c are 2 and fit 1 core of small alone \(3\), which hold a layer each: prune one until it fits "
        r"another core, or leave one out$"
    )
    with pytest.raises(CapacityError, match=expected):
        map_program(in_a_row(8, 8, 8), SMALL)


def wrong_core(mapping: ChipMapping) -> ChipMapping:
    """The last two layers change places."""
    *others, last = mapping.cores
    other = others.pop()
    moved = (*others, replace(other, x=last.x), replace(last, x=other.x))
    return replace(mapping, cores=moved)


def test_a_layer_on_a_core_that_is_too_small_for_it_is_a_mistake() -> None:
    program = in_a_row(4, 8, 8)
    wrong = wrong_core(map_program(program, SMALL))
    expected = r"^core 2 needs 64 words of kernel memory, a core of small has 32: map the network again$"
    with pytest.raises(VerificationError, match=expected):
        verify_mapping(wrong, program, SMALL)


def test_two_layers_on_a_core_are_a_mistake() -> None:
    program = in_a_row(1, 1)
    mapping = map_program(program, SMALL)
    first, second = mapping.cores
    together = replace(mapping, cores=(replace(first, tiles=first.tiles + second.tiles),))
    expected = r"^core 0 holds 2 tiles, 2 neurons together, and not a layer as a core of small must: map the network a"
    with pytest.raises(VerificationError, match=expected):
        verify_mapping(together, program, SMALL)
