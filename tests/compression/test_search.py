"""The shares of the costs that are asked for are met, or the nearest ones are named."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from neuroprune.compression.catalog import Currency
from neuroprune.compression.channels import ChannelGroup
from neuroprune.compression.cost_model import CostModel, Term
from neuroprune.compression.search import TOLERANCE, Selection, search
from neuroprune.compression.select import least_kept, rank, select
from neuroprune.errors import InputError


def chain(*widths: int) -> CostModel:
    """1x1 convolutions of those widths in a row, behind 3 input channels and before 10 outputs, on ten pixels.

    Its parameters are the weights and a bias for each of those channels; channel c of each layer causes c SynOps.
    """
    groups = tuple(
        ChannelGroup(f"conv{i}", width, (f"conv{i}",), (), (f"norm{i}",), (f"fire{i}",), (f"conv{i + 1}",))
        for i, width in enumerate(widths)
    )
    last = len(widths) - 1
    synapses = (
        Term(np.array([3.0]), None, 0),
        *(Term(np.ones(width), i, i + 1) for i, width in enumerate(widths[:-1])),
        Term(np.full(widths[-1], 10.0), last, None),
    )
    terms: dict[Currency, tuple[Term, ...]] = {
        "flops": tuple(Term(10 * term.each, term.reads, term.feeds) for term in synapses),
        "params": (*synapses, *(Term(np.ones(1), None, number) for number in range(len(widths)))),
        "synops": tuple(Term(np.arange(float(width)), number, None) for number, width in enumerate(widths)),
    }
    return CostModel(groups, terms)


def orders(widths: tuple[int, ...], seed: int) -> tuple[np.ndarray, np.ndarray]:
    score, regrowth = np.random.default_rng(seed).random((2, sum(widths)))
    return rank(score), rank(regrowth)


def find(
    widths: tuple[int, ...], targets: dict[Currency, float], r: float = 0.1, seed: int = 0, **control: float
) -> Selection:
    return search(chain(*widths), *orders(widths, seed), targets, r, **control)  # type: ignore[arg-type]


@settings(max_examples=30)
@given(
    st.floats(0.05, 0.95),
    st.integers(0, 5),
    st.sampled_from([0.0, 0.1, 0.3]),
    st.sampled_from(["flops", "params", "synops"]),
    st.booleans(),
)
def test_with_160_channels_every_share_is_met_within_one_percent(
    share: float, seed: int, r: float, currency: Currency, uniform: bool
) -> None:
    selection = find((32, 64, 64), {currency: share}, r, seed, uniform=uniform)
    assert abs(selection.shares[currency] - share) <= TOLERANCE
    assert all(mask.any() for mask in selection.kept.values())


targets_of_some = st.dictionaries(
    st.sampled_from(["flops", "params", "synops"]), st.floats(0.2, 0.9), min_size=1, max_size=3
)


@settings(max_examples=60)
@given(targets_of_some, st.integers(0, 20), st.sampled_from([{}, {"floor": 0.2}, {"uniform": True}]))
def test_no_other_number_of_removed_channels_comes_nearer(
    targets: dict[Currency, float], seed: int, control: dict[str, float]
) -> None:
    widths, r = (12, 20, 16), 0.2
    costs, (by_score, by_regrowth) = chain(*widths), orders(widths, seed)
    least = least_kept(costs.layer, control.get("floor", 0.0)).sum()

    def excess(shares: dict[Currency, float]) -> float:
        return max(shares[currency] - target for currency, target in targets.items())

    reached = []
    for removed in range(sum(widths) - least + 1):
        kept = select(by_score, by_regrowth, costs.layer, removed, r, **control).kept  # type: ignore[arg-type]
        reached.append(excess({currency: float(share[0]) for currency, share in costs.shares(kept[None]).items()}))
    nearest = min(reached, key=abs)
    if abs(nearest) > TOLERANCE:
        with pytest.raises(InputError, match="more than 1% away"):
            find(widths, targets, r, seed, **control)
    else:
        assert excess(find(widths, targets, r, seed, **control).shares) == nearest


def test_the_selection_says_what_shares_its_masks_leave() -> None:
    costs = chain(32, 64, 64)
    selection = find((32, 64, 64), {"flops": 0.5}, r=0.3)
    mask = np.concatenate(list(selection.kept.values()))
    assert selection.shares == {currency: share[0] for currency, share in costs.shares(mask[None]).items()}
    assert set(selection.shares) == {"flops", "params", "synops"}
    assert selection.p == pytest.approx(1 - mask.sum() / 160)
    regenerated = sum(int(mask.sum()) for mask in selection.regenerated.values())
    assert regenerated == int(mask.sum() * 0.3)
    assert [len(selection.kept[group.name]) for group in costs.groups] == [32, 64, 64]


def test_of_several_targets_all_hold_and_one_is_met() -> None:
    alone = find((32, 64, 64), {"flops": 0.5})
    both = find((32, 64, 64), {"flops": 0.5, "synops": 0.4})
    assert alone.shares["synops"] > 0.5
    assert both.shares["flops"] <= 0.5 and abs(both.shares["synops"] - 0.4) <= TOLERANCE
    slack = find((32, 64, 64), {"flops": 0.5, "synops": 0.9})
    assert slack.shares == alone.shares


def test_a_share_between_the_steps_of_a_narrow_network_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(InputError) as caught:
        find((4,), {"flops": 0.6})
    assert str(caught.value) == (
        "removing whole channels of this network cannot leave 60.0% of its FLOPs: the nearest share it can reach is "
        "50.0%, more than 1% away; ask for 0.500 instead"
    )
    assert find((4,), {"flops": 0.5}).shares["flops"] == 0.5


def test_a_share_below_one_channel_a_layer_is_refused_with_the_smallest_one() -> None:
    with pytest.raises(InputError, match=r"cannot leave 1\.0% of its FLOPs: the nearest share it can reach is 12\.5%"):
        find((8,), {"flops": 0.01})


def test_where_several_targets_cannot_hold_the_one_that_binds_is_named() -> None:
    with pytest.raises(InputError) as caught:
        find((8,), {"flops": 0.5, "params": 0.01})
    assert str(caught.value) == (
        "removing whole channels of this network cannot leave 50.0% of its FLOPs and 1.0% of its parameters: the "
        "nearest share it can reach is 12.5% of its parameters, which bind here, more than 1% away; ask for 0.125 "
        "instead"
    )


def test_a_floor_that_keeps_too_much_is_named() -> None:
    with pytest.raises(InputError) as caught:
        find((40, 40), {"synops": 0.05}, floor=0.3)
    assert str(caught.value).startswith(
        "removing whole channels of this network while every layer keeps 30.0% of them cannot leave 5.0% of its "
        "SynOps: the nearest share it can reach is "
    )


def test_a_network_that_never_fires_costs_no_synops_at_all() -> None:
    costs = chain(8)
    silent = CostModel(costs.groups, {**costs.terms, "synops": (Term(np.zeros(8), 0, None),)})
    assert search(silent, *orders((8,), 0), {"flops": 0.5}, 0.0).shares["synops"] == 0.0
