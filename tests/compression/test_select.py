"""Algorithm 2's choice of channels, against a restatement that sorts and counts by hand."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from neuroprune.compression.select import Choice, rank, select


def choose(magnitude: list[float], criticality: list[float], layer: list[int], removed: int, r: float) -> Choice:
    return select(rank(np.array(magnitude)), rank(np.array(criticality)), np.array(layer), removed, r)


def algorithm_2(magnitude: list[float], criticality: list[float], k: int, r: float) -> tuple[set[int], set[int]]:
    """The paper's rule word for word, for scores without ties: the channels kept, and those of them regenerated."""
    total = len(magnitude)
    g = int((total - k) * r)
    threshold = sorted(magnitude)[k + g - 1] if k + g else -1.0
    kept = {channel for channel in range(total) if magnitude[channel] > threshold}
    gone = sorted(set(range(total)) - kept, key=lambda channel: criticality[channel], reverse=True)
    return kept | set(gone[:g]), set(gone[:g])


@st.composite
def problems(draw: st.DrawFn, unique: bool) -> tuple[list[float], list[float], list[int], int, float]:
    sizes = draw(st.lists(st.integers(1, 9), min_size=1, max_size=4))
    total = sum(sizes)
    scores = st.lists(st.integers(0, 1000 if unique else 3), min_size=total, max_size=total, unique=unique)
    magnitude, criticality = [[value / 1000 for value in draw(scores)] for _ in range(2)]
    layer = [number for number, size in enumerate(sizes) for _ in range(size)]
    return (
        magnitude,
        criticality,
        layer,
        draw(st.integers(0, total - len(sizes))),
        draw(st.sampled_from([0.0, 0.1, 0.5, 0.9])),
    )


@given(problems(unique=True))
def test_the_choice_is_that_of_algorithm_2_wherever_that_empties_no_layer(problem: tuple) -> None:
    magnitude, criticality, layer, k, r = problem
    kept, regenerated = algorithm_2(magnitude, criticality, k, r)
    choice = choose(*problem)
    if {layer[channel] for channel in kept} == set(layer):
        assert set(np.flatnonzero(choice.kept)) == kept
        assert set(np.flatnonzero(choice.regenerated)) == regenerated


@given(problems(unique=False))
def test_exactly_k_channels_go_and_no_layer_is_emptied_even_with_ties(problem: tuple) -> None:
    _, _, layer, k, _ = problem
    choice = choose(*problem)
    assert choice.kept.sum() == len(layer) - k
    assert set(np.array(layer)[choice.kept]) == set(layer)
    assert not (choice.regenerated & ~choice.kept).any()


@given(problems(unique=True))
def test_a_layer_that_would_be_emptied_keeps_its_channel_of_largest_scale(problem: tuple) -> None:
    magnitude, criticality, layer, k, r = problem
    kept, _ = algorithm_2(magnitude, criticality, k, r)
    choice = choose(*problem)
    for emptied in set(layer) - {layer[channel] for channel in kept}:
        best = max((channel for channel in range(len(layer)) if layer[channel] == emptied), key=lambda c: magnitude[c])
        assert choice.kept[best]


def test_of_equal_scores_the_earlier_channel_stays() -> None:
    choice = choose([0.5] * 6, [0.2] * 6, [0] * 6, removed=2, r=0.5)
    assert choice.kept.tolist() == [True, True, True, True, False, False]
    assert choice.regenerated.tolist() == [False, False, True, True, False, False]


def test_regeneration_puts_a_critical_channel_in_place_of_one_with_a_larger_scale() -> None:
    choice = choose([0.9, 0.8, 0.7, 0.1], [0.1, 0.1, 0.1, 0.9], [0] * 4, removed=1, r=0.4)
    assert choice.kept.tolist() == [True, True, False, True]
    assert choice.regenerated.tolist() == [False, False, False, True]


@pytest.mark.parametrize("removed", [0, 6])
def test_the_extremes_keep_every_channel_and_one_a_layer(removed: int) -> None:
    choice = choose([0.9, 0.8, 0.7, 0.6, 0.3, 0.2, 0.1, 0.05], [0.0] * 8, [0, 0, 0, 0, 1, 1, 1, 1], removed, r=0.3)
    assert np.flatnonzero(choice.kept).tolist() == (list(range(8)) if removed == 0 else [0, 4])
