"""Growing regularisation: which filters are marked, and how their coefficient grows."""

import numpy as np
import pytest
import torch
from channel_pruning import TRAIN, job_for, small_network, stripes

from neuroprune.compression.methods.greg import (
    CEILING,
    GROWTH,
    LARGEST_STEP,
    PICK_CEILING,
    PICKING,
    SHRINKAGE,
    Greg1,
    Greg2,
    coefficients,
)
from neuroprune.training.observer import Observer, Step
from neuroprune.training.train import train


def test_the_coefficient_of_a_short_training_shrinks_filters_as_the_papers_long_one() -> None:
    rates = np.full(1000, 0.01)
    grown = coefficients(rates, 0)
    assert float((rates * grown).sum()) == pytest.approx(SHRINKAGE)
    assert (np.diff(grown) >= 0).all() and (grown[:10] == grown[0]).all() and grown[10] > grown[9]
    assert (grown[int(GROWTH * 1000) :] == grown[-1]).all() and grown[-1] > CEILING


def test_the_coefficient_of_a_long_training_stops_where_the_papers_does() -> None:
    grown = coefficients(np.full(125_000, 1e-3), 0)
    assert grown[-1] == CEILING and grown[0] == pytest.approx(1e-4) and grown[99_990] == pytest.approx(1.0)


def test_all_filters_are_regularised_a_little_before_some_are_marked() -> None:
    grown = coefficients(np.full(1000, 0.01), marked_at=100)
    assert grown[99] == PICK_CEILING and (np.diff(grown) >= 0).all()
    assert grown[0] == pytest.approx(PICK_CEILING / 10)
    assert grown[-1] > CEILING


def test_no_iteration_takes_more_of_a_filter_than_gradient_descent_bears() -> None:
    rates = np.linspace(0.1, 0.0, 20)
    assert (rates * coefficients(rates, 0)).max() <= LARGEST_STEP


def by_norm(weight: torch.Tensor) -> list[int]:
    """Filters from the smallest L1 norm to the largest."""
    return torch.argsort(weight.detach().abs().flatten(1).sum(1), stable=True).tolist()


def test_greg1_marks_the_same_share_of_each_layer_by_norm_and_they_shrink() -> None:
    data, network = stripes(), small_network()
    job = job_for(network, data, "greg1", {"flops": 0.5})
    order = {name: by_norm(network.get_submodule(name).weight) for name in ("conv1", "conv2")}
    begun = {name: network.get_submodule(name).weight.detach().clone() for name in order}
    algorithm = Greg1(job)
    train(network, data, TRAIN, observers=[algorithm])
    chosen = algorithm.choose()
    assert abs(chosen.shares["flops"] - 0.5) <= 0.01
    assert chosen.kept["conv1"].mean() == pytest.approx(chosen.kept["conv2"].mean(), abs=0.05)
    for name, smallest_first in order.items():
        gone = np.flatnonzero(~chosen.kept[name])
        assert sorted(smallest_first[: len(gone)]) == gone.tolist() != []
        left = network.get_submodule(name).weight.detach().flatten(1).norm(dim=1) / begun[name].flatten(1).norm(dim=1)
        assert left[gone].max() < 0.05 < 0.5 < left[chosen.kept[name]].min()
    assert not any(mask.any() for mask in chosen.regenerated.values())


def test_greg2_marks_once_the_filters_have_been_told_apart() -> None:
    data, network = stripes(), small_network()
    algorithm = Greg2(job_for(network, data, "greg2", {"flops": 0.5}))
    marked: list[bool] = []

    class Watch(Observer):
        def after_backward(self, step: Step) -> None:
            marked.append(algorithm.selection is not None)

    train(network, data, TRAIN, observers=[algorithm, Watch()])
    iterations = len(marked)
    assert marked == [iteration >= int(PICKING * iterations) for iteration in range(iterations)]


def test_channels_that_nothing_but_a_selection_makes_have_no_filters_to_shrink() -> None:
    from neuroprune.compression.prunable import find_prunable
    from neuroprune.graph.trace import trace
    from neuroprune.networks.build import build
    from neuroprune.networks.recipe import parse_recipe

    blocks = [{"conv": 8}, {"block": "preact", "channels": 8, "repeat": 2}]
    values = {"name": "r", "title": "t", "data": "digits", "steps": 2, "layers": blocks}
    network = build(parse_recipe(values, "recipe r"), (1, 8, 8), 3).eval()
    graph = trace(network, torch.zeros(1, 1, 8, 8))
    by_filters = find_prunable(network, graph, job_for(small_network(), stripes(), "greg1", {"flops": 0.5}).strategy)
    by_scales = find_prunable(network, graph, job_for(small_network(), stripes(), "slimming", {"flops": 0.5}).strategy)
    assert all(group.producers for group in by_filters.groups) and len(by_filters.groups) == 2
    assert len(by_scales.groups) > len(by_filters.groups)
