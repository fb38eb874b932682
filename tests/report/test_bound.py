"""How far a mapping is from the fewest cores, as reports have it."""

import numpy as np
import pytest
from synapse_oracle import LOIHI, chain, layer_of, resized

from neuroprune.chips.load import load_chip
from neuroprune.mapping.effort import EffortName
from neuroprune.mapping.map import pack_program
from neuroprune.program.types import IntDense, IntLayer
from neuroprune.report.bound import bound_of


def dense(outputs: int, inputs: int, name: str, source: str) -> IntLayer:
    return layer_of(IntDense(np.full((outputs, inputs), 2, np.int16)), (inputs,), (outputs,), name, source)


PROGRAM = chain(dense(112, 1, "wide", "input"), dense(20, 112, "deep", "wide"))
CHIP = resized(LOIHI, neurons_per_core=40, synapse_words_per_core=3300, word_bits=2, block_header_bits=2)


@pytest.mark.parametrize(("effort", "cores", "gap"), [("layers", 6, 0.5), ("normal", 4, 0.0)])
def test_the_gap_is_to_the_most_that_one_resource_asks_for(effort: EffortName, cores: int, gap: float) -> None:
    """132 of 40 neurons; 1 and 112 of 4096 axons; 112 + 20 of 4096 that leave; 112 * 21 of 825 weights; 3 + 1 of 16."""
    found = bound_of(PROGRAM, pack_program(PROGRAM, CHIP, effort), CHIP, effort)
    assert found is not None
    assert (found.cores, found.bound, found.gap, found.effort) == (cores, 4, gap, effort)
    assert {each.name: each.cores for each in found.resources} == {
        "neurons": 4,
        "input axons": 1,
        "output axons": 1,
        "synapse memory": 3,
        "synapse formats": 1,
    }


def test_a_chip_of_a_layer_a_core_has_no_bound_since_all_cores_are_needed() -> None:
    speck = load_chip("speck")
    program = chain(dense(4, 2, "a", "input"), dense(3, 4, "b", "a"))
    assert bound_of(program, pack_program(program, speck), speck, "normal") is None
