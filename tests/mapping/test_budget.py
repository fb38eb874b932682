"""The cores and chips that a program may take: more is refused, with what would make it fit."""

import re

import numpy as np
import pytest
from synapse_oracle import LOIHI, chain, layer_of, resized

from neuroprune.errors import CapacityError, InputError
from neuroprune.mapping.budget import Budget
from neuroprune.mapping.map import map_program
from neuroprune.program.types import IntDense, IntProgram

CHIP = resized(LOIHI, neurons_per_core=1)
"""128 cores a chip, of a neuron each."""


def two_layers(first: int, second: int) -> IntProgram:
    def dense(outputs: int, inputs: int, name: str, source: str) -> IntDense:
        return layer_of(IntDense(np.full((outputs, inputs), 2, np.int16)), (inputs,), (outputs,), name, source)

    return chain(dense(first, 2, "wide", "input"), dense(second, first, "out", "wide"))


@pytest.mark.parametrize(
    ("budget", "sentence"),
    [
        (
            Budget(chips=1),
            "the network needs 150 cores of loihi-sim, 22 more than the 128 that it may take: give it --chips 2, or "
            "prune it, above all layer wide, which is on 140 of these cores",
        ),
        (
            Budget(cores=149),
            "150 cores of loihi-sim, 1 more than the 149 that it may take: give it --cores 150, or prune",
        ),
        (
            Budget(cores=90, chips=1),
            "60 more than the 90 that it may take: give it --cores 150 and --chips 2, or prune",
        ),
        (Budget(cores=90, chips=2), "60 more than the 90 that it may take: give it --cores 150, or prune"),
    ],
)
def test_what_takes_more_is_refused_with_what_it_needs(budget: Budget, sentence: str) -> None:
    with pytest.raises(CapacityError, match=re.escape(sentence)) as caught:
        map_program(two_layers(140, 10), CHIP, budget)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("budget", [Budget(), Budget(cores=150), Budget(chips=2), Budget(cores=150, chips=2)])
def test_what_fits_is_mapped_as_without_limits(budget: Budget) -> None:
    program = two_layers(140, 10)
    assert map_program(program, CHIP, budget) == map_program(program, CHIP)


@pytest.mark.parametrize("numbers", [{"cores": 0}, {"chips": -1}])
def test_a_budget_has_at_least_one(numbers: dict[str, int]) -> None:
    ((name, value),) = numbers.items()
    with pytest.raises(InputError, match=f"^the {name} that a program may take are {value}, but must be at least 1: "):
        Budget(**numbers)
