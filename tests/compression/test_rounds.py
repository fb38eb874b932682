"""The networks that a lottery search passes through: each is the one that a search for its sparsity alone ends with."""

from dataclasses import replace

import pytest
from channel_pruning import small_network, stripes
from rich.console import Console

from neuroprune.compression.compress import compress
from neuroprune.compression.result import CompressResult
from neuroprune.compression.settings import CompressSettings
from neuroprune.compression.table import render
from neuroprune.training.settings import TrainSettings

TUNING = TrainSettings(epochs=2, batch=16, lr=0.01, device="cpu")


def searched(sparsity: float, validation: float = 0.0) -> CompressResult:
    tuning = replace(TUNING, validation=validation)
    settings = CompressSettings(sparsity=sparsity, method="lth", prune_epochs=2, fine_tune=tuning)
    network = small_network(1)
    return compress(network, stripes(), settings, initial=small_network(2), chip="loihi-sim")


@pytest.fixture(scope="module")
def whole() -> CompressResult:
    return searched(0.96)


@pytest.mark.parametrize("sparsity", [0.9, 0.95])
def test_a_search_has_on_its_way_what_a_shorter_one_ends_with(whole: CompressResult, sparsity: float) -> None:
    shorter = searched(sparsity)
    found = min(whole.rounds, key=lambda each: abs(each.sparsity - sparsity))
    (target,) = shorter.targets
    assert found.sparsity == target.reached
    assert found.cost == shorter.pruned
    assert found.epoch == len(shorter.history)
    assert shorter.rounds == whole.rounds[: len(shorter.rounds)]

    def figures(result: CompressResult) -> list[tuple[float, float | None]]:
        return [(epoch.loss, epoch.test_accuracy) for epoch in result.history]

    assert figures(whole)[: found.epoch] == figures(shorter)


def test_the_rounds_begin_dense_and_cost_less_and_less(whole: CompressResult) -> None:
    first, *others = whole.rounds
    assert (first.epoch, first.sparsity) == (2, 0.0)
    assert first.cost.nonzero_parameters == first.cost.parameters
    weights = [each.cost.nonzero_parameters for each in (first, *others)] + [whole.pruned.nonzero_parameters]
    assert weights == sorted(set(weights), reverse=True)
    assert all(each.cost.on_chip is not None and each.cost.on_chip.cores for each in whole.rounds)


def test_the_test_set_is_read_at_each_round_where_samples_are_held_out() -> None:
    result = searched(0.5, validation=0.25)
    ends = [each.epoch for each in result.rounds]
    accuracies = {epoch.epoch: epoch.test_accuracy for epoch in result.history}
    assert {number for number, accuracy in accuracies.items() if accuracy is not None} == {*ends, len(result.history)}
    assert [accuracies[each.epoch] for each in result.rounds] == [each.cost.accuracy for each in result.rounds]


def test_people_see_the_rounds(whole: CompressResult) -> None:
    console = Console(width=80)
    with console.capture() as captured:
        console.print(render(whole.record("here")))
    _, _, shown = captured.get().partition("Networks of earlier rounds")
    rows = [line.split() for line in shown.splitlines() if line.count("%") == 2]
    assert len(rows) == len(whole.rounds)
    assert {f"{whole.rounds[0].cost.accuracy:.2%}", "0.0%"} <= set(rows[0])
