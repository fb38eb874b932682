"""Statistics: small cases by hand, scipy's own tests, and how often equals are told apart."""

import numpy as np
import pytest
from scipy import stats

from neuroprune.experiment.statistics import holm, judge, paired_difference


def test_a_difference_worked_out_by_hand() -> None:
    difference = paired_difference([0.92, 0.93, 0.97], [0.91, 0.91, 0.94])
    # Differences 1, 2 and 3 points: mean 2, deviation 1, error 1 / sqrt(3); t of 2 degrees at 97.5 % is 4.3027.
    assert difference.seeds == 3
    assert difference.mean == pytest.approx(0.02)
    assert difference.low == pytest.approx(0.02 - 4.302653 * 0.01 / 3**0.5)
    assert difference.high == pytest.approx(0.02 + 4.302653 * 0.01 / 3**0.5)
    # t = 2 sqrt(3) = 3.4641; of 2 degrees p = 1 - t / sqrt(t^2 + 2).
    assert difference.p == pytest.approx(1 - 12**0.5 / 14**0.5)


@pytest.mark.parametrize("seed", range(5))
def test_intervals_and_chances_are_those_of_scipy(seed: int) -> None:
    random = np.random.default_rng(seed)
    first, second = random.normal(0.9, 0.02, (2, 3 + seed))
    expected = stats.ttest_rel(first, second)
    found = paired_difference(first.tolist(), second.tolist())
    assert found.p == pytest.approx(expected.pvalue)
    low, high = expected.confidence_interval(0.95)
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_one_seed_says_nothing_of_chance() -> None:
    difference = paired_difference([0.9], [0.8])
    assert difference.mean == pytest.approx(0.1)
    assert (difference.low, difference.high, difference.p) == (None, None, None)


def test_equal_differences_on_two_seeds_are_no_proof() -> None:
    assert paired_difference([0.91, 0.92], [0.90, 0.91]).p == pytest.approx(0.0, abs=1e-6)
    with_resolution = paired_difference([0.91, 0.92], [0.90, 0.91], resolution=0.01)
    # t = 0.01 / (0.01 / sqrt(2)) = 1.4142; of 1 degree p = 1 - 2 atan(t) / pi.
    assert with_resolution.p == pytest.approx(1 - 2 * np.arctan(2**0.5) / np.pi)
    assert paired_difference([0.9, 0.9], [0.9, 0.9]).p == 1.0


def test_holm_stops_at_the_first_that_is_not_below_its_share() -> None:
    # 0.05 / 4 = 0.0125, 0.05 / 3 = 0.0167, 0.05 / 2 = 0.025.
    assert holm({"a": 0.01, "b": 0.016, "c": 0.03, "d": 0.03}) == {"a", "b"}
    assert holm({"a": 0.013, "b": 0.014, "c": 0.015, "d": 0.9}) == set()
    assert holm({}) == set()


def values(means: dict[str, float], deviation: float, seeds: int = 5) -> dict[str, dict[int, float]]:
    random = np.random.default_rng(1)
    return {name: dict(enumerate((mean + random.normal(0, deviation, seeds)).tolist())) for name, mean in means.items()}


def test_a_clear_winner_is_one() -> None:
    verdict = judge(values({"b": 0.90, "a": 0.95, "c": 0.80}, 0.002))
    assert verdict.best == ("a",)
    assert verdict.winner == "a"


def test_what_lies_within_the_noise_is_a_tie_and_what_does_not_is_left_out() -> None:
    verdict = judge(values({"b": 0.949, "a": 0.95, "c": 0.80}, 0.004))
    assert set(verdict.best) == {"a", "b"}
    assert verdict.winner is None


def test_one_seed_has_no_winner() -> None:
    assert judge({"a": {0: 0.99}, "b": {0: 0.5}}).winner is None
    assert judge({"a": {0: 0.99}, "b": {0: 0.5}}).best == ("a", "b")


def test_only_seeds_that_both_have_are_compared() -> None:
    # On seeds 1 and 2 differences of 10 and 10.1 points: t = 201 of 1 degree, p = 0.0032; seed 0 says nothing of b.
    assert judge({"a": {0: 0.5, 1: 0.91, 2: 0.922}, "b": {1: 0.81, 2: 0.821}}).best == ("b", "a")
    assert judge({"a": {0: 0.9, 1: 0.91, 2: 0.922}, "b": {1: 0.81, 2: 0.821}}).winner == "a"
    assert judge({"a": {0: 0.9, 1: 0.9}, "b": {2: 0.5, 3: 0.5}}).best == ("a", "b")


def test_equals_seldom_have_a_winner() -> None:
    """Six variants that differ by nothing but chance, five seeds, 1000 times."""
    random = np.random.default_rng(0)
    winners = sum(
        judge({str(name): dict(enumerate(row)) for name, row in enumerate(table)}).winner is not None
        for table in random.normal(0.9, 0.01, (1000, 6, 5)).tolist()
    )
    assert winners <= 10
