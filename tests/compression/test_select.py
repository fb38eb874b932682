"""Algorithm 2's choice of channels, against a restatement that sorts and counts by hand, and its controls."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from neuroprune.compression.select import Choice, least_kept, quotas, rank, select

Problem = tuple[list[float], list[float], list[int], int, float]


def choose(
    magnitude: list[float],
    criticality: list[float],
    layer: list[int],
    removed: int,
    r: float,
    floor: float = 0.0,
    uniform: bool = False,
) -> Choice:
    orders = rank(np.array(magnitude)), rank(np.array(criticality))
    return select(*orders, np.array(layer), removed, r, floor=floor, uniform=uniform)


def algorithm_2(magnitude: list[float], criticality: list[float], k: int, r: float) -> tuple[set[int], set[int]]:
    """The paper's rule word for word, for scores without ties: the channels kept, and those of them regenerated."""
    total = len(magnitude)
    g = int((total - k) * r)
    threshold = sorted(magnitude)[k + g - 1] if k + g else -1.0
    kept = {channel for channel in range(total) if magnitude[channel] > threshold}
    gone = sorted(set(range(total)) - kept, key=lambda channel: criticality[channel], reverse=True)
    return kept | set(gone[:g]), set(gone[:g])


def least(size: int, floor: float) -> int:
    """What a layer keeps at least: a share in tenths of `size`, rounded up in integers, and one channel."""
    return max(1, -(-size * round(10 * floor) // 10))


@st.composite
def problems(draw: st.DrawFn, unique: bool, floor: float = 0.0) -> Problem:
    sizes = draw(st.lists(st.integers(1, 9), min_size=1, max_size=4))
    total = sum(sizes)
    scores = st.lists(st.integers(0, 1000 if unique else 3), min_size=total, max_size=total, unique=unique)
    magnitude, criticality = [[value / 1000 for value in draw(scores)] for _ in range(2)]
    layer = [number for number, size in enumerate(sizes) for _ in range(size)]
    return (
        magnitude,
        criticality,
        layer,
        draw(st.integers(0, total - sum(least(size, floor) for size in sizes))),
        draw(st.sampled_from([0.0, 0.1, 0.5, 0.9])),
    )


@given(problems(unique=True))
def test_the_choice_is_that_of_algorithm_2_wherever_that_empties_no_layer(problem: Problem) -> None:
    magnitude, criticality, layer, k, r = problem
    kept, regenerated = algorithm_2(magnitude, criticality, k, r)
    choice = choose(*problem)
    if {layer[channel] for channel in kept} == set(layer):
        assert set(np.flatnonzero(choice.kept)) == kept
        assert set(np.flatnonzero(choice.regenerated)) == regenerated


@given(problems(unique=False))
def test_exactly_k_channels_go_and_no_layer_is_emptied_even_with_ties(problem: Problem) -> None:
    _, _, layer, k, _ = problem
    choice = choose(*problem)
    assert choice.kept.sum() == len(layer) - k
    assert set(np.array(layer)[choice.kept]) == set(layer)
    assert not (choice.regenerated & ~choice.kept).any()


@given(problems(unique=True))
def test_a_layer_that_would_be_emptied_keeps_its_channel_of_largest_scale(problem: Problem) -> None:
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


FLOORS = [0.0, 0.1, 0.2, 0.5, 0.9]
with_floor = st.sampled_from(FLOORS).flatmap(lambda floor: st.tuples(problems(False, floor), st.just(floor)))


@given(with_floor, st.booleans())
def test_every_choice_keeps_the_exact_count_and_its_floor_in_every_layer(
    case: tuple[Problem, float], uniform: bool
) -> None:
    problem, floor = case
    _, _, layer, k, r = problem
    choice = choose(*problem, floor, uniform)
    assert choice.kept.sum() == len(layer) - k
    sizes, kept = np.bincount(layer), np.bincount(np.array(layer)[choice.kept], minlength=max(layer) + 1)
    assert all(count >= least(size, floor) for size, count in zip(sizes.tolist(), kept.tolist(), strict=True))
    assert not (choice.regenerated & ~choice.kept).any()
    assert choice.regenerated.sum() <= int((len(layer) - k) * r)


@given(with_floor, st.booleans())
def test_what_stays_by_score_is_the_best_of_its_layer(case: tuple[Problem, float], uniform: bool) -> None:
    problem, floor = case
    magnitude, _, layer, _, _ = problem
    choice = choose(*problem, floor, uniform)
    by_score = choice.kept & ~choice.regenerated
    for number in set(layer):
        mine = [channel for channel in rank(np.array(magnitude)) if layer[channel] == number]
        assert by_score[mine].tolist() == sorted(by_score[mine].tolist(), reverse=True)


@given(with_floor)
def test_without_regeneration_fewer_channels_are_some_of_more(case: tuple[Problem, float]) -> None:
    (magnitude, criticality, layer, k, _), floor = case
    fewer = choose(magnitude, criticality, layer, k, 0.0, floor)
    for removed in range(k):
        more = choose(magnitude, criticality, layer, removed, 0.0, floor)
        assert not (fewer.kept & ~more.kept).any()


def test_a_floor_guards_the_best_of_a_layer_that_would_fall_below_it() -> None:
    magnitude = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.15]
    layer = [0] * 5 + [1] * 5
    free = choose(magnitude, [0.0] * 10, layer, removed=6, r=0.0)
    assert np.flatnonzero(free.kept).tolist() == [0, 1, 2, 5]
    guarded = choose(magnitude, [0.0] * 10, layer, removed=6, r=0.0, floor=0.4)
    assert np.flatnonzero(guarded.kept).tolist() == [0, 1, 5, 6]


def test_what_regeneration_brings_back_counts_for_the_floor() -> None:
    magnitude, criticality = [0.9, 0.8, 0.7, 0.6, 0.2, 0.1], [0.1, 0.1, 0.1, 0.1, 0.2, 0.9]
    choice = choose(magnitude, criticality, [0] * 4 + [1] * 2, removed=3, r=0.4, floor=0.5)
    assert (np.flatnonzero(choice.kept).tolist(), np.flatnonzero(choice.regenerated).tolist()) == ([0, 1, 5], [5])


def test_uniform_keeps_the_same_share_of_every_layer_whatever_the_scores() -> None:
    magnitude = [0.9, 0.8, 0.7, 0.6, 0.04, 0.03, 0.02, 0.01]
    criticality = [0.1, 0.2, 0.3, 0.4, 0.1, 0.2, 0.3, 0.4]
    layer = [0] * 4 + [1] * 4
    assert np.flatnonzero(choose(magnitude, criticality, layer, 4, 0.0, uniform=True).kept).tolist() == [0, 1, 4, 5]
    half = choose(magnitude, criticality, layer, 4, 0.5, uniform=True)
    assert np.flatnonzero(half.kept).tolist() == [0, 3, 4, 7]
    assert np.flatnonzero(half.regenerated).tolist() == [3, 7]


@pytest.mark.parametrize(
    ("channels", "survivors", "floor", "expected"),
    [
        ((32, 80, 80), 96, 0.0, (16, 40, 40)),
        ((3, 3, 3), 5, 0.0, (2, 2, 1)),  # 1.67 each: of equal remainders the earlier layers get one more
        ((10, 3, 7), 11, 0.0, (5, 2, 4)),  # 5.5, 1.65, 3.85
        ((1, 1, 100), 3, 0.0, (1, 1, 1)),
        ((1, 1, 100), 12, 0.0, (1, 1, 10)),  # 0.12 and 0.12 become 1 each, and the last layer shares what is left
        ((5, 30), 12, 0.3, (2, 10)),  # 1.71 is below two, so the other keeps 10
        ((4, 4), 8, 0.9, (4, 4)),
    ],
)
def test_quotas_are_shares_in_whole_channels(
    channels: tuple[int, ...], survivors: int, floor: float, expected: tuple[int, ...]
) -> None:
    layer = np.repeat(np.arange(len(channels)), channels)
    assert quotas(np.array(channels), least_kept(layer, floor), survivors).tolist() == list(expected)


@given(with_floor)
def test_quotas_differ_from_equal_shares_by_less_than_a_channel_where_no_floor_binds(
    case: tuple[Problem, float],
) -> None:
    (_, _, layer, k, _), floor = case
    sizes, least_of = np.bincount(layer), least_kept(np.array(layer), floor)
    survivors = len(layer) - k
    found = quotas(sizes, least_of, survivors)
    assert found.sum() == survivors and (found <= sizes).all() and (found >= least_of).all()
    shares = sizes * survivors / len(layer)
    if (shares >= least_of).all():
        assert (np.abs(found - shares) < 1).all()


@pytest.mark.parametrize(("size", "floor", "expected"), [(30, 0.1, 3), (5, 0.2, 1), (7, 0.2, 2), (4, 0.0, 1)])
def test_a_floor_is_rounded_up_but_not_by_the_rounding_of_floats(size: int, floor: float, expected: int) -> None:
    assert least_kept(np.zeros(size, dtype=np.intp), floor).tolist() == [expected]
