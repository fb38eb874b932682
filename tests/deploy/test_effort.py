"""Deployments with more or less search for tiles: what their reports say, and what cannot be asked for."""

import re
from typing import Any

import numpy as np
import pytest

from neuroprune.data.catalog import find_dataset
from neuroprune.errors import InputError
from neuroprune.networks.build import build
from neuroprune.networks.recipe import load_recipe
from neuroprune.pipeline import deploy
from neuroprune.report.schema import Report
from neuroprune.simulation.verification import LavaSettings

RECIPE, DATA = load_recipe("digits-conv"), find_dataset("digits")
FRAMES = np.random.default_rng(0).normal(0, 1, (8, *DATA.shape)).astype(np.float32)
NETWORK = build(RECIPE, DATA.shape, len(DATA.classes))


def report(**asked: Any) -> Report:
    return deploy(NETWORK, FRAMES, lava=LavaSettings(samples=0), **asked).report


@pytest.fixture(scope="module")
def by_layers() -> Report:
    return report(effort="layers")


@pytest.fixture(scope="module")
def normal() -> Report:
    return report()


@pytest.fixture(scope="module")
def few() -> Report:
    return report(optimize="traffic")


def test_a_report_says_how_far_the_cores_are_from_the_fewest(by_layers: Report, normal: Report) -> None:
    for found, effort in ((by_layers, "layers"), (normal, "normal")):
        bound = found.bound
        assert bound is not None
        assert bound.effort == effort
        assert bound.cores == found.totals.cores == len(found.cores)
        assert bound.bound == max(each.cores for each in bound.resources) <= bound.cores
        assert bound.gap == pytest.approx(bound.cores / bound.bound - 1)
        assert [each.name for each in bound.resources] == [each.name for each in found.totals.resources]
        by_neurons = next(each.cores for each in bound.resources if each.name == "neurons")
        assert by_neurons == -(-found.totals.neurons // 1024)
    assert normal.totals.cores <= by_layers.totals.cores


def test_effort_and_aim_change_nothing_that_is_computed(by_layers: Report, normal: Report, few: Report) -> None:
    for found in (normal, few):
        assert found.totals.synops_per_sample == by_layers.totals.synops_per_sample
        spikes = [layer.spikes_per_neuron_step for layer in found.layers]
        assert spikes == [layer.spikes_per_neuron_step for layer in by_layers.layers]


def test_few_messages_are_sent_on_no_more_cores(by_layers: Report, few: Report) -> None:
    assert few.totals.cores <= by_layers.totals.cores
    assert few.traffic is not None
    assert by_layers.traffic is not None
    assert few.traffic.messages_per_sample <= by_layers.traffic.messages_per_sample
    assert few.advice == ()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"effort": "most"}, "there is no effort 'most': choose one of layers, normal, high"),
        ({"optimize": "time"}, "there is no aim of a mapping 'time': choose one of cores, traffic"),
        (
            {"effort": "layers", "optimize": "traffic"},
            "few messages are found by cutting all layers together, but effort layers cuts each by itself: take a "
            "higher one, or optimize cores",
        ),
    ],
)
def test_what_cannot_be_asked_for_is_one_sentence(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(said)}$"):
        report(**asked)
