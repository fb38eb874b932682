"""Deployments with more or less search for tiles: what their reports say, and what cannot be asked for."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from neuroprune.chips.load import load_chip
from neuroprune.data.catalog import find_dataset
from neuroprune.errors import InputError
from neuroprune.networks.build import build
from neuroprune.networks.recipe import load_recipe
from neuroprune.pipeline import deploy
from neuroprune.report.chip_schema import CoreReport
from neuroprune.report.schema import Report
from neuroprune.simulation.verification import LavaSettings

RECIPE, DATA = load_recipe("digits-conv"), find_dataset("digits")
FRAMES = np.random.default_rng(0).normal(0, 1, (8, *DATA.shape)).astype(np.float32)
NETWORK = build(RECIPE, DATA.shape, len(DATA.classes))


def report(**asked: Any) -> Report:
    chip = asked.pop("chip", "loihi-sim")
    return deploy(NETWORK, FRAMES, chip, lava=LavaSettings(samples=0), **asked).report


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


def test_a_step_is_never_longer_than_on_the_fewest_cores_and_the_busiest_core_is_the_reports(
    by_layers: Report, normal: Report
) -> None:
    fast = report(optimize="time")
    steps = [found.costs[0].step for found in (by_layers, normal, fast)]
    assert fast.costs[0].model == "davies-2018"
    assert all(step is not None for step in steps)
    one_by_one, fewest, least = (step.total_ns for step in steps if step is not None)
    assert least < min(fewest, one_by_one)
    assert fast.totals.cores <= by_layers.totals.cores
    # Written anew, from the cores of the report: every SynOp 3.5 ns, a neuron 8.4 ns and an idle one 5.3 ns.
    busy = [max(3.5 * operations(core), 8.4 * core.neurons + 5.3 * core.idle_neurons) for core in fast.cores]
    step = fast.costs[0].step
    assert step is not None
    assert max(busy) == pytest.approx(step.compute_ns)
    assert step.total_ns >= step.compute_ns
    assert fast.totals.synops_per_sample == normal.totals.synops_per_sample


def operations(core: CoreReport) -> float:
    """SynOps of a core in a step; weights of 0 count but in sparse runs, and a core here has one of the two kinds."""
    sparse = {encoding == "sparse" for tile in core.tiles for encoding in tile.encodings}
    assert len(sparse) == 1 or core.synops_per_step == core.nonzero_synops_per_step
    return core.nonzero_synops_per_step if sparse == {True} else core.synops_per_step


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"effort": "most"}, "there is no effort 'most': choose one of layers, normal, high"),
        ({"optimize": "speed"}, "there is no aim of a mapping 'speed': choose one of cores, traffic, time"),
        (
            {"optimize": "time", "chip": replace(load_chip("loihi-sim"), name="untimed", costs=())},
            "the time of a step is not known of untimed: its cost models are none, and one with synop_time "
            "of all encodings or active_neuron_time is needed, such as davies-2018 of loihi1; take such "
            "a chip, or name a model in its YAML",
        ),
        (
            {"optimize": "time", "chip": load_chip("speck")},
            "the time of a step is not known of speck: its cost models are none, and one with synop_time "
            "of all encodings or active_neuron_time is needed, such as davies-2018 of loihi1; take such "
            "a chip, or name a model in its YAML",
        ),
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
