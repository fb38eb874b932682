"""Masks of weights: exact counts, a stable tie-break, and what may be taken."""

from decimal import Decimal

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given

from neuroprune.compression.masks import count, count_kept, count_of, outside, size, top, top_by_layer, union


@st.composite
def scored(draw) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], int]:
    """Scores of one to three tensors with many ties, masks of what may be taken, and a number that may be too large."""
    shapes = draw(st.lists(st.sampled_from([(3,), (2, 2), (4, 1, 2), (1, 1)]), min_size=1, max_size=3))
    scores, among = {}, {}
    for place, shape in enumerate(shapes):
        number = int(np.prod(shape))
        values = draw(st.lists(st.sampled_from([0.0, 0.5, 0.5, 1.0, 2.0]), min_size=number, max_size=number))
        allowed = draw(st.lists(st.booleans(), min_size=number, max_size=number))
        scores[f"{place}.weight"] = torch.tensor(values).view(shape)
        among[f"{place}.weight"] = torch.tensor(allowed).view(shape)
    return scores, among, draw(st.integers(-1, 25))


def best(scores: dict[str, torch.Tensor], among: dict[str, torch.Tensor] | None, number: int) -> list[bool]:
    """The same by sorting: highest first, of equals the earlier."""
    flat = [float(score) for tensor in scores.values() for score in tensor.flatten()]
    allowed = [True] * len(flat) if among is None else [bool(x) for name in scores for x in among[name].flatten()]
    order = sorted((place for place in range(len(flat)) if allowed[place]), key=lambda place: (-flat[place], place))
    taken = set(order[: max(number, 0)])
    return [place in taken for place in range(len(flat))]


def flat(masks: dict[str, torch.Tensor]) -> list[bool]:
    return [bool(x) for mask in masks.values() for x in mask.flatten()]


@given(scored())
def test_the_highest_of_those_that_may_be_taken_are_and_of_equals_the_earlier(case):
    scores, among, number = case
    chosen = top(scores, number, among)
    assert {name: mask.shape for name, mask in chosen.items()} == {name: each.shape for name, each in scores.items()}
    assert flat(chosen) == best(scores, among, number)
    assert flat(top(scores, number)) == best(scores, None, number)


@given(scored())
def test_by_layer_each_tensor_is_chosen_from_alone(case):
    scores, among, number = case
    numbers = {name: number + place for place, name in enumerate(scores)}
    chosen = top_by_layer(scores, numbers, among)
    for name, tensor in scores.items():
        assert flat({name: chosen[name]}) == best({name: tensor}, among, numbers[name])


@given(scored())
def test_what_stays_and_what_does_not_are_all_weights(case):
    scores, among, number = case
    chosen = top(scores, number)
    assert count(chosen) + count(outside(chosen)) == size(chosen) == sum(score.numel() for score in scores.values())
    assert flat(union(chosen, among)) == [a or b for a, b in zip(flat(chosen), flat(among), strict=True)]


@given(st.integers(1, 10**8), st.integers(1, 9999))
def test_counts_are_those_of_exact_arithmetic(total, thousandths):
    sparsity = Decimal(thousandths) / 10000
    assert count_kept(total, float(sparsity)) == int(total * (1 - sparsity))
    assert count_of(total, float(sparsity)) == int(total * sparsity)


@pytest.mark.parametrize(("total", "sparsity", "kept"), [(10, 0.9, 1), (100, 0.71, 29), (7, 0.5, 3), (3, 0.9, 0)])
def test_counts_worked_out_by_hand(total, sparsity, kept):
    assert count_kept(total, sparsity) == kept
