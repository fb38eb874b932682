"""Pruning to what a chip has: counted as the slimmed network is counted, met, filled up, recorded, or refused."""

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from own_objects import NeuronsOnly
from torch import nn

from neuroprune.chips.load import load_chip
from neuroprune.compression.catalog import Residual
from neuroprune.compression.channels import channel_groups
from neuroprune.compression.chip_limits import ChipLimits, groups_of_layers, shapes_of
from neuroprune.compression.compress import compress
from neuroprune.compression.pruning import ChannelPruning
from neuroprune.compression.search import Selection, fewest_removed, give_back
from neuroprune.compression.select import rank
from neuroprune.compression.settings import CompressSettings
from neuroprune.compression.surgery import removable, remove_channels
from neuroprune.data.load import load_dataset
from neuroprune.data.types import Dataset
from neuroprune.errors import InputError
from neuroprune.graph.trace import trace
from neuroprune.networks.build import build
from neuroprune.networks.recipe import load_recipe
from neuroprune.program.narrow import narrowed
from neuroprune.program.timing import balance
from neuroprune.program.types import IntConv, IntProgram

CHIP = load_chip("loihi-sim")
SMALL = replace(CHIP, name="small", core=replace(CHIP.core, neurons_per_core=128))
"""Cores of so few neurons that digits-conv takes 37 of them."""


def shape(program: IntProgram) -> list[object]:
    """All that the mapper counts."""
    return [
        (
            layer.name,
            layer.shape,
            [
                (
                    each.source,
                    each.in_shape,
                    each.delay,
                    each.synapse.groups if isinstance(each.synapse, IntConv) else None,
                    (each.synapse.weight != 0).tolist(),
                )
                for each in layer.connections
            ],
        )
        for layer in program.layers
    ]


@pytest.mark.parametrize("residual", ["gather", "coupled"])
def test_the_narrowed_integers_have_the_shape_of_the_slimmed_network_with_its_relays(
    network: nn.Module, frames: torch.Tensor, residual: Residual
) -> None:
    network, samples = network.float(), frames.float().numpy()
    groups = removable(network, channel_groups(trace(network, frames[:1].float()), residual))
    random = np.random.default_rng(0)
    kept = {group.name: random.random(group.channels) < 0.5 for group in groups}
    for mask in kept.values():
        mask[0] = True
    whole = balance(shapes_of(network, samples, CHIP), 0)
    masks = {name: kept[groups[number].name] for name, number in groups_of_layers(whole, groups).items()}
    slim = balance(shapes_of(remove_channels(network, groups, kept), samples, CHIP), 0)
    assert shape(narrowed(whole, masks)) == shape(slim)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    data = load_dataset("digits")
    some = replace(data.test, images=data.test.images[:20], labels=data.test.labels[:20])
    return replace(data, test=some)


def digits_network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = build(load_recipe("digits-conv"), (1, 8, 8), 10)
        for each in made.modules():
            if isinstance(each, nn.BatchNorm2d):
                nn.init.uniform_(each.weight, 0.2, 1.5)
    return made.eval()


def pruned(data: Dataset, **settings: object):  # type: ignore[no-untyped-def]
    return compress(digits_network(), data, CompressSettings(**{"method": "slimming", **settings}), chip=SMALL)  # type: ignore[arg-type]


@pytest.mark.parametrize("cores", [30, 21, 12])
def test_no_more_cores_are_taken_than_asked_and_no_channel_more_would_fit(digits: Dataset, cores: int) -> None:
    result = pruned(digits, cores=cores)
    (limit,) = result.limits
    assert (limit.of, limit.chip, limit.asked) == ("cores", "small", cores)
    assert result.pruned.on_chip is not None and limit.reached == result.pruned.on_chip.cores <= cores
    network = digits_network()
    groups = removable(network, channel_groups(trace(network, torch.zeros(1, 1, 8, 8))))
    limits = ChipLimits(
        network, groups, np.random.default_rng(0).random((4, 1, 8, 8), dtype=np.float32), SMALL, {"cores": cores}
    )
    kept = np.concatenate([result.kept[group.name] for group in groups])
    assert limits.hold(kept)
    for channel in np.flatnonzero(~kept):
        kept[channel] = True
        assert not limits.hold(kept)
        kept[channel] = False


def test_shares_hold_beside_cores_and_whichever_asks_for_less_binds(digits: Dataset) -> None:
    both = pruned(digits, flops=0.5, cores=12)
    assert both.limits[0].holds and both.targets[0].reached < 0.5
    slack = pruned(digits, flops=0.5, cores=36)
    alone = pruned(digits, flops=0.5)
    assert all(np.array_equal(slack.kept[name], alone.kept[name]) for name in alone.kept)
    assert slack.limits[0].holds


def test_memory_is_a_limit_of_its_own(digits: Dataset) -> None:
    dense = compress(digits_network(), digits, CompressSettings(0.9), chip=CHIP).dense.on_chip
    assert dense is not None and dense.kib is not None
    most = dense.kib / 2
    result = compress(digits_network(), digits, CompressSettings(kib=most), chip=CHIP)
    assert result.limits[0].of == "kib" and result.limits[0].holds
    assert 0.9 * most < (result.limits[0].reached or 0) <= most


def test_a_uniform_cut_stays_uniform(digits: Dataset) -> None:
    result = pruned(digits, cores=20, method="uniform")
    shares = [mask.mean() for mask in result.kept.values()]
    assert result.limits[0].holds and max(shares) - min(shares) < 1 / 32


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"cores": 4, "layer_floor": 0.5},
            r"removing whole channels of this network while every layer keeps 50\.0% of them cannot leave at most 4 "
            r"cores of small: with the fewest channels it takes (\d+) cores of small; ask for \1 instead",
        ),
        (
            {"cores": 40},
            r"this network takes 3\d cores of small as it is, no more than the 40 asked for: ask for fewer",
        ),
    ],
)
def test_limits_that_cannot_be_met_or_are_met_already_are_refused(
    digits: Dataset, settings: dict[str, object], sentence: str
) -> None:
    with pytest.raises(InputError) as caught:
        pruned(digits, **settings)
    assert re.fullmatch(sentence, str(caught.value)), str(caught.value)


def test_fewer_cores_than_a_channel_in_each_layer_takes_are_refused_with_the_fewest(digits: Dataset) -> None:
    tiny = replace(CHIP, name="tiny", core=replace(CHIP.core, neurons_per_core=32))
    with pytest.raises(InputError) as caught:
        compress(digits_network(), digits, CompressSettings(cores=2, method="slimming"), chip=tiny)
    sentence = (
        r"removing whole channels of this network cannot leave at most 2 cores of tiny: with the fewest channels it "
        r"takes (\d+) cores of tiny; ask for \1 instead"
    )
    assert re.fullmatch(sentence, str(caught.value)), str(caught.value)


def test_limits_of_what_no_chip_counts_are_refused(digits: Dataset) -> None:
    with pytest.raises(
        InputError, match=r"cores \(cores of the chip, .*\) is counted on a chip, and none is given: pas"
    ):
        compress(digits_network(), digits, CompressSettings(cores=3))
    toy = replace(CHIP, name="toy", core=NeuronsOnly(100))
    with pytest.raises(
        InputError, match="kib = 3 is of memory, and cores of toy count none in bits: give cores instead"
    ):
        compress(digits_network(), digits, CompressSettings(kib=3), chip=toy)


class Everything(ChannelPruning):
    """Removes one channel, whatever was asked for."""

    def choose(self) -> Selection:
        kept = {group.name: np.arange(group.channels) > 0 for group in self.job.groups}
        return Selection(kept, {name: np.zeros_like(mask) for name, mask in kept.items()})


def test_an_algorithm_that_minds_no_limit_is_told_of_in_the_record(digits: Dataset) -> None:
    settings = CompressSettings(cores=5, method="own")
    result = compress(digits_network(), digits, settings, chip=SMALL, algorithm=Everything)
    reached = result.limits[0].reached
    assert not result.limits[0].holds
    sentence = f"5 cores of small were asked for, and the network takes {reached:.0f}"
    assert sentence in result.record("run").warnings


def test_halving_finds_the_least_count_and_looks_for_steps_below_it() -> None:
    def falling(at: int) -> Callable[[int], bool]:
        return lambda count: count >= at

    assert [fewest_removed(falling(at), 0, 640) for at in (0, 1, 17, 640)] == [0, 1, 17, 640]
    assert fewest_removed(falling(641), 0, 640) is None
    assert fewest_removed(lambda count: count >= 400 or 365 <= count < 375, 0, 640) == 370


def test_looking_for_channels_reports_each_try_up_to_the_end() -> None:
    tried: list[int] = []
    shown: list[tuple[int, int]] = []

    def holds(count: int) -> bool:
        tried.append(count)
        return count >= 17

    assert fewest_removed(holds, 0, 640, lambda task, done, total: shown.append((done, total))) == 17
    whole = shown[-1][1]
    assert shown == [*((number, whole) for number in range(1, len(tried) - 1)), (whole, whole)]
    assert len(tried) - 2 <= whole

    layers, back = np.array([0, 0, 1, 1, 2]), []
    give_back(layers < 0, rank(-layers), layers, lambda mask: bool(mask.sum() < 2), lambda *at: back.append(at[1:]))
    assert back == [(1, 3), (2, 3), (3, 3), (3, 3)]


def test_channels_come_back_best_first_but_none_after_one_of_its_layer_that_does_not() -> None:
    layer = np.array([0, 0, 0, 1, 1, 1])
    price = np.array([5, 5, 5, 1, 1, 1])
    by_score = rank(np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4]))
    kept = np.array([True, False, False, True, False, False])
    for budget, expected in ((8, [0, 3, 4, 5]), (11, [0, 1, 3]), (6, [0, 3]), (99, [0, 1, 2, 3, 4, 5])):
        back = give_back(kept, by_score, layer, lambda mask, budget=budget: price[mask].sum() <= budget)  # type: ignore[misc]
        assert np.flatnonzero(back).tolist() == expected
