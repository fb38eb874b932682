"""When is pruned and how much, beside figures worked out by hand and those of the papers."""

from dataclasses import astuple
from itertools import pairwise

import hypothesis.strategies as st
import pytest
from hypothesis import given

from neuroprune.compression.schedules import (
    CubicSchedule,
    cosine_drop,
    cubic_schedule,
    lottery_rounds,
    rounds,
)
from neuroprune.errors import InputError


def test_the_sparsity_grows_as_a_cubic_worked_out_by_hand():
    schedule = CubicSchedule(0.8, interval=5, prunings=4)
    # 0.8 (1 - (3/4)^3), (1 - (2/4)^3), (1 - (1/4)^3), 1
    assert [schedule.sparsity(number) for number in (1, 2, 3, 4)] == pytest.approx([0.4625, 0.7, 0.7875, 0.8])
    assert schedule.sparsity(4) == 0.8


def test_a_pruning_follows_every_interval_until_all_are_done():
    schedule = CubicSchedule(0.8, interval=5, prunings=3)
    found = {iteration: schedule.number(iteration) for iteration in range(30)}
    assert {iteration: number for iteration, number in found.items() if number is not None} == {4: 1, 9: 2, 14: 3}


@pytest.mark.parametrize(
    ("interval", "iterations", "expected"),
    [
        (None, 200 * 390, (2000, 39)),  # CIFAR in batches of 128 for 200 epochs: the paper's
        (None, 10**6, (2000, 500)),
        (None, 199 * 390, (1940, 40)),
        (None, 4000, (100, 40)),
        (None, 100, (2, 50)),
        (None, 12, (1, 12)),
        (7, 20, (7, 2)),
        (20, 20, (20, 1)),
    ],
)
def test_the_interval_is_the_papers_or_a_fortieth_of_the_pruning(interval, iterations, expected):
    assert astuple(cubic_schedule(0.9, interval, iterations)) == (0.9, *expected)


def test_an_interval_longer_than_the_pruning_is_refused():
    sentence = (
        "pruning every 21 iterations never begins, since pruning has 20: give an interval of at most 20, "
        "or more prune_epochs"
    )
    with pytest.raises(InputError) as caught:
        cubic_schedule(0.9, 21, 20)
    assert str(caught.value) == sentence


@given(st.floats(0.01, 0.999), st.none() | st.integers(1, 500), st.integers(1, 10**6))
def test_the_target_is_reached_within_the_pruning_and_never_left(target, interval, iterations):
    if interval is not None and interval > iterations:
        return
    schedule = cubic_schedule(target, interval, iterations)
    assert schedule.number(schedule.interval * schedule.prunings - 1) == schedule.prunings
    assert schedule.interval * schedule.prunings <= iterations < schedule.interval * (schedule.prunings + 1)
    assert schedule.sparsity(schedule.prunings) == target
    numbers = range(1, min(schedule.prunings, 100) + 1)
    assert all(a < b for a, b in pairwise(schedule.sparsity(number) for number in numbers))


def test_the_share_that_is_exchanged_falls_as_a_cosine():
    assert [cosine_drop(number, 2) for number in (1, 2)] == pytest.approx([0.2525, 0.005])
    assert cosine_drop(1, 3) == pytest.approx(0.005 + 0.495 * 0.75)
    assert cosine_drop(7, 7) == 0.005
    assert [cosine_drop(number, 2, 0.0) for number in (1, 2)] == [0.0, 0.0]


def test_a_quarter_a_round_gives_the_sparsities_of_the_lottery_paper():
    assert rounds(1 - 0.75**8) == pytest.approx([1 - 0.75**number for number in range(1, 9)])
    assert rounds(0.25) == (0.25,) and len(rounds(0.26)) == 2


def test_one_search_stops_at_each_milestone_below_its_target():
    found = rounds(0.98, (0.90, 0.95))
    assert len(found) == 9 + 3 + 4
    assert (found[8], found[11], found[15]) == (0.90, 0.95, 0.98)
    assert rounds(0.95, (0.90, 0.95)) == found[:12]
    assert rounds(0.5, (0.90, 0.95)) == rounds(0.5)


@given(st.floats(0.001, 0.9999), st.lists(st.floats(0.001, 0.9999), max_size=3, unique=True).map(sorted))
def test_no_round_takes_more_than_its_share_and_none_could_be_spared(sparsity, milestones):
    found = (0.0, *rounds(sparsity, milestones))
    goals = [0.0, *(milestone for milestone in milestones if milestone < sparsity), sparsity]
    assert found[-1] == sparsity and set(goals) <= set(found)
    for before, after in pairwise(found):
        assert before < after and (1 - after) / (1 - before) >= 0.75 - 1e-6
    for start, goal in pairwise(goals):
        taken = found.index(goal) - found.index(start)
        assert taken == 1 or (1 - goal) / (1 - start) < 0.75 ** (taken - 1)


def test_epochs_of_a_search_are_those_of_the_lottery_paper():
    for prunings, epochs in ((8, 2260), (11, 3100)):  # 89.99 and 95.78 % by the paper's rule, which it gives for these
        found = lottery_rounds(1 - 0.75**prunings, 300, 300, milestones=())
        assert len(found) == prunings + 1 and found[-1].start == epochs
        assert [each.end - each.start for each in found] == [300, *[280] * prunings]


def test_rounds_follow_one_another_and_the_last_has_a_length_of_its_own():
    found = lottery_rounds(0.4, 30, 12, milestones=(0.25,))
    assert [astuple(each) for each in found] == [
        (0.0, 0, 30, 30, 0),
        (0.25, 30, 58, 30, 2),
        (0.4, 58, 68, 12, 2),
    ]


def test_weights_are_kept_early_enough_for_a_last_round_of_few_epochs():
    assert [each.skipped for each in lottery_rounds(0.2, 300, 5)] == [0, 4]
    assert [each.skipped for each in lottery_rounds(0.2, 7, 7)] == [0, 0]
    assert lottery_rounds(0.2, 300, 1)[-1].end == 301
