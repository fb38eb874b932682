"""The share of operations that is asked for is met, or the nearest one is named."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from neuroprune.compression.channels import ChannelGroup, Stage
from neuroprune.compression.cost import SynapseWork, count_macs
from neuroprune.compression.search import TOLERANCE, Selection, search
from neuroprune.compression.select import rank, select
from neuroprune.errors import InputError


def chain(*widths: int, pixels: int = 100) -> tuple[tuple[ChannelGroup, ...], tuple[SynapseWork, ...]]:
    """1x1 convolutions of those widths in a row, behind 3 input channels and before 10 outputs."""
    groups = tuple(
        ChannelGroup((Stage(f"conv{i}", f"norm{i}", f"fire{i}"),), (f"conv{i + 1}",), width)
        for i, width in enumerate(widths)
    )
    sides = (None, *groups, None)
    counts = (3, *widths, 10)
    work = tuple(
        SynapseWork(f"conv{i}", pixels * counts[i] * counts[i + 1], sides[i], sides[i + 1])
        for i in range(len(widths) + 1)
    )
    return groups, work


def find(widths: tuple[int, ...], flops: float, r: float = 0.1, seed: int = 0) -> Selection:
    groups, work = chain(*widths)
    generator = np.random.default_rng(seed)
    magnitude, criticality = generator.random((2, sum(widths)))
    return search(groups, work, rank(magnitude), rank(criticality), flops, r)


@settings(max_examples=30)
@given(st.floats(0.05, 0.95), st.integers(0, 5), st.sampled_from([0.0, 0.1, 0.3]))
def test_with_160_channels_every_share_is_met_within_one_percent(flops: float, seed: int, r: float) -> None:
    selection = find((32, 64, 64), flops, r, seed)
    assert abs(selection.share - flops) <= TOLERANCE
    assert all(mask.any() for mask in selection.kept.values())


@settings(max_examples=30)
@given(st.floats(0.2, 0.9), st.integers(0, 20))
def test_no_other_number_of_removed_channels_comes_nearer(flops: float, seed: int) -> None:
    widths, r = (12, 20, 16), 0.2
    try:
        found = find(widths, flops, r, seed)
    except InputError:
        return
    _, work = chain(*widths)
    magnitude, criticality = np.random.default_rng(seed).random((2, sum(widths)))
    layer = np.repeat([0, 1, 2], widths)
    for removed in range(sum(widths) - 2):
        kept = select(rank(magnitude), rank(criticality), layer, removed, r).kept
        counts = {f"conv{i}": int(kept[layer == i].sum()) for i in range(3)}
        assert abs(found.share - flops) <= abs(count_macs(work, counts) / count_macs(work) - flops)


def test_the_selection_says_what_share_its_masks_leave() -> None:
    groups, work = chain(32, 64, 64)
    selection = find((32, 64, 64), 0.5, r=0.3)
    counts = {name: int(mask.sum()) for name, mask in selection.kept.items()}
    assert selection.share == count_macs(work, counts) / count_macs(work)
    assert selection.p == pytest.approx(1 - sum(counts.values()) / 160)
    regenerated = sum(int(mask.sum()) for mask in selection.regenerated.values())
    assert regenerated == int(sum(counts.values()) * 0.3)
    assert [len(selection.kept[group.name]) for group in groups] == [32, 64, 64]


def test_a_share_between_the_steps_of_a_narrow_network_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(InputError) as caught:
        find((4,), 0.6)
    assert str(caught.value) == (
        "removing whole channels of this network cannot leave 60.0% of its FLOPs: the nearest share it can reach is "
        "50.0%, more than 1% away; ask for 0.500 instead"
    )
    assert find((4,), 0.5).share == 0.5


def test_a_share_below_one_channel_a_layer_is_refused_with_the_smallest_one() -> None:
    with pytest.raises(InputError, match=r"cannot leave 1\.0% of its FLOPs: the nearest share it can reach is 12\.5%"):
        find((8,), 0.01)
