"""Zeros that are stored are as many weights as before, each of a value of its own kind."""

import numpy as np

from neuroprune.program.types import IntConnection, IntDense
from neuroprune.program.zeros import with_zeros_stored


def dense(weight: list[list[int]]) -> IntConnection:
    return IntConnection("input", IntDense(np.array(weight, np.int16)), in_shape=(len(weight[0]),))


def test_no_zero_is_left_and_what_was_equal_or_not_stays_so() -> None:
    connection = dense([[2, 0, -4], [254, 2, 0]])
    weight, stored = connection.synapse.weight.ravel(), with_zeros_stored(connection).synapse.weight.ravel()
    assert np.count_nonzero(stored) == 6
    assert (stored[weight != 0] == weight[weight != 0]).all()
    assert ((stored[:, None] == stored) == (weight[:, None] == weight)).all()
    assert stored.dtype == np.int16


def test_nothing_but_zeros_and_nothing_above_them_are_stored_too() -> None:
    assert (with_zeros_stored(dense([[0, 0]])).synapse.weight > 0).all()
    assert with_zeros_stored(dense([[-2, 0]])).synapse.weight.tolist() == [[-2, 1]]


def test_only_the_zeros_that_are_named_are_stored() -> None:
    named = np.array([[True, False, False]])
    assert with_zeros_stored(dense([[0, 0, 6]]), named).synapse.weight.tolist() == [[7, 0, 6]]
